#include "runtime/collective/nccl/NcclCollective.h"
#include "runtime/collective/nccl/NcclCommunicator.h"
#include "runtime/collective/peer/PeerCopies.h"
#include "runtime/device/cuda/Handles.h"

#include <algorithm>
#include <optional>
#include <vector>

namespace smelt::runtime {

namespace {
using namespace nccl;

std::optional<int> typeOf(DType type) {
  switch (type) {
  case DType::F32:
    return kFloat32;
  case DType::F64:
    return kFloat64;
  case DType::BF16:
    return kBfloat16;
  default:
    return std::nullopt;
  }
}

class NcclCollective final : public StreamCollective {
public:
  NcclCollective(const Library &library, const cuda::Driver &driver, Peers &peers)
      : library_(library), driver_(driver), rank_(peers.rank()), size_(peers.size()),
        communicator_(library, peers), copies_(driver, peers) {}

  Status open(std::chrono::milliseconds patience, int blocks);

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  std::string version() const override { return "NCCL " + library_.version; }

  StatusOr<std::shared_ptr<void>> allocateArena(uint64_t bytes, uint64_t largestSum) override {
    return copies_.share(bytes, largestSum, patience_, stream_.get());
  }
  Status start(const DeviceCollective &collective, uint64_t arena, void *stream) override;
  Status startBroadcast(std::span<const DeviceRange> ranges, int root, uint64_t arena,
                        void *stream) override;
  Status check() override { return communicator_.check(); }
  void abort() override { communicator_.abort(); }

  Status allReduce(std::span<std::byte> data, DType type) override;
  Status reduceScatter(std::span<const std::byte> from, std::span<std::byte> to,
                       DType type) override;
  Status allGather(std::span<const std::byte> from, std::span<std::byte> to) override;
  Status broadcast(std::span<std::byte> data, int root) override;
  Status barrier() override {
    float one = 1;
    return allReduce(std::as_writable_bytes(std::span(&one, 1)), DType::F32);
  }

private:
  /// For buffers in host memory, which come here piece by piece.
  static constexpr size_t kScratch = size_t(16) << 20;
  /// The bytes of a rank's part that go at once.
  size_t pieceBytes() const { return kScratch / static_cast<size_t>(size_) / 256 * 256; }

  Status startScratch(CollectiveKind kind, DType type, size_t bytes) {
    return start({kind, type, {{0, bytes}}}, scratch_.get(), stream_.get());
  }
  Status copyIn(size_t at, std::span<const std::byte> from) {
    return driver_.check(
        driver_.memcpyHtoDAsync(scratch_.get() + at, from.data(), from.size(), stream_.get()),
        "cuMemcpyHtoDAsync");
  }
  Status copyOut(std::span<std::byte> to, size_t at) {
    return driver_.check(
        driver_.memcpyDtoHAsync(to.data(), scratch_.get() + at, to.size(), stream_.get()),
        "cuMemcpyDtoHAsync");
  }
  Status finish() {
    return driver_.check(driver_.streamSynchronize(stream_.get()), "cuStreamSynchronize");
  }

  const Library &library_;
  const cuda::Driver &driver_;
  int rank_, size_;
  cuda::OwnedMemory scratch_;
  cuda::OwnedStream stream_;
  std::chrono::milliseconds patience_{0};
  CommunicatorOwner communicator_;
  peer::PeerCopies copies_;
};

Status NcclCollective::open(std::chrono::milliseconds patience, int blocks) {
  patience_ = patience;
  SMELT_RETURN_IF_ERROR(communicator_.connect(patience, blocks));
  cuda::DevicePointer memory = 0;
  SMELT_RETURN_IF_ERROR(
      driver_.check(driver_.memAlloc(&memory, kScratch), concat("cuMemAlloc(", kScratch, ")")));
  scratch_ = {&driver_, memory};
  cuda::Stream stream = nullptr;
  SMELT_RETURN_IF_ERROR(
      driver_.check(driver_.streamCreate(&stream, cuda::kStreamNonBlocking), "cuStreamCreate"));
  stream_ = {&driver_, stream};
  // Connections that are made at first use are made now, and not while a graph is captured.
  constexpr size_t kWarm = size_t(4) << 20;
  std::vector<float> ones(kWarm / sizeof(float), 1.0f);
  SMELT_RETURN_IF_ERROR(allReduce(std::as_writable_bytes(std::span(ones)), DType::F32));
  if (std::any_of(ones.begin(), ones.end(), [&](float sum) { return sum != float(size_); }))
    return internalError("NCCL's first sum of ", size_, " ones is wrong on rank ", rank_);
  size_t whole = kWarm / 256 / static_cast<size_t>(size_) * 256 * static_cast<size_t>(size_);
  SMELT_RETURN_IF_ERROR(startScratch(CollectiveKind::ReduceScatter, DType::BF16, whole));
  SMELT_RETURN_IF_ERROR(startScratch(CollectiveKind::AllGather, DType::BF16, whole));
  return finish();
}

Status NcclCollective::start(const DeviceCollective &collective, uint64_t arena, void *stream) {
  std::optional<int> type = typeOf(collective.type);
  if (!type)
    return internalError("a collective of ", dtypeName(collective.type));
  uint64_t element = dtypeBytes(collective.type), parts = static_cast<uint64_t>(size_);
  for (const DeviceRange &buffer : collective.buffers)
    if (buffer.bytes % (collective.kind == CollectiveKind::AllReduce ? element : element * parts))
      return internalError("a collective of ", buffer.bytes, " bytes on ", size_, " ranks");
  if (copies_.takes(collective, arena)) {
    SMELT_RETURN_IF_ERROR(communicator_.checkUse());
    return copies_.start(collective, static_cast<cuda::Stream>(stream));
  }
  return communicator_.runGroup("a collective", [&](Communicator communicator) {
    Result result = kSuccess;
    auto call = [&](const DeviceRange &buffer) {
      auto *whole = reinterpret_cast<std::byte *>(arena + buffer.offset);
      size_t part = buffer.bytes / parts;
      std::byte *mine = whole + part * static_cast<size_t>(rank_);
      switch (collective.kind) {
      case CollectiveKind::AllReduce:
        return library_.allReduce(whole, whole, buffer.bytes / element, *type, kSum, communicator,
                                  stream);
      case CollectiveKind::ReduceScatter:
        return library_.reduceScatter(whole, mine, part / element, *type, kSum, communicator,
                                      stream);
      case CollectiveKind::AllGather:
        return library_.allGather(mine, whole, part / element, *type, communicator, stream);
      }
      return kSuccess;
    };
    for (const DeviceRange &buffer : collective.buffers)
      if (buffer.bytes && (result == kSuccess || result == kInProgress))
        result = call(buffer);
    return result;
  });
}

Status NcclCollective::startBroadcast(std::span<const DeviceRange> ranges, int root, uint64_t arena,
                                      void *stream) {
  return communicator_.runGroup("ncclBroadcast", [&](Communicator communicator) {
    Result result = kSuccess;
    for (const DeviceRange &range : ranges) {
      auto *data = reinterpret_cast<std::byte *>(arena + range.offset);
      if (range.bytes && (result == kSuccess || result == kInProgress))
        result = library_.broadcast(data, data, range.bytes, kUint8, root, communicator, stream);
    }
    return result;
  });
}

Status NcclCollective::allReduce(std::span<std::byte> data, DType type) {
  for (size_t at = 0; at < data.size(); at += kScratch) {
    std::span<std::byte> piece = data.subspan(at, std::min(kScratch, data.size() - at));
    SMELT_RETURN_IF_ERROR(copyIn(0, piece));
    SMELT_RETURN_IF_ERROR(startScratch(CollectiveKind::AllReduce, type, piece.size()));
    SMELT_RETURN_IF_ERROR(copyOut(piece, 0));
    SMELT_RETURN_IF_ERROR(finish());
  }
  return Status::ok();
}

Status NcclCollective::reduceScatter(std::span<const std::byte> from, std::span<std::byte> to,
                                     DType type) {
  size_t part = to.size(), ranks = static_cast<size_t>(size_);
  if (from.size() != part * ranks)
    return internalError("reduce_scatter of ", from.size(), " bytes to ", part);
  for (size_t at = 0; at < part; at += pieceBytes()) {
    size_t piece = std::min(pieceBytes(), part - at);
    for (size_t rank = 0; rank < ranks; ++rank)
      SMELT_RETURN_IF_ERROR(copyIn(rank * piece, from.subspan(rank * part + at, piece)));
    SMELT_RETURN_IF_ERROR(startScratch(CollectiveKind::ReduceScatter, type, piece * ranks));
    SMELT_RETURN_IF_ERROR(copyOut(to.subspan(at, piece), static_cast<size_t>(rank_) * piece));
    SMELT_RETURN_IF_ERROR(finish());
  }
  return Status::ok();
}

Status NcclCollective::allGather(std::span<const std::byte> from, std::span<std::byte> to) {
  size_t part = from.size(), ranks = static_cast<size_t>(size_);
  if (to.size() != part * ranks)
    return internalError("all_gather of ", part, " bytes to ", to.size());
  for (size_t at = 0; at < part; at += pieceBytes()) {
    size_t piece = std::min(pieceBytes(), part - at);
    SMELT_RETURN_IF_ERROR(copyIn(static_cast<size_t>(rank_) * piece, from.subspan(at, piece)));
    auto *scratch = reinterpret_cast<std::byte *>(scratch_.get());
    SMELT_RETURN_IF_ERROR(communicator_.runGroup("ncclAllGather", [&](Communicator communicator) {
      return library_.allGather(scratch + static_cast<size_t>(rank_) * piece, scratch, piece,
                                kUint8, communicator, stream_.get());
    }));
    for (size_t rank = 0; rank < ranks; ++rank)
      SMELT_RETURN_IF_ERROR(copyOut(to.subspan(rank * part + at, piece), rank * piece));
    SMELT_RETURN_IF_ERROR(finish());
  }
  return Status::ok();
}

Status NcclCollective::broadcast(std::span<std::byte> data, int root) {
  for (size_t at = 0; at < data.size(); at += kScratch) {
    std::span<std::byte> piece = data.subspan(at, std::min(kScratch, data.size() - at));
    SMELT_RETURN_IF_ERROR(copyIn(0, piece));
    DeviceRange range{0, piece.size()};
    SMELT_RETURN_IF_ERROR(startBroadcast({&range, 1}, root, scratch_.get(), stream_.get()));
    SMELT_RETURN_IF_ERROR(copyOut(piece, 0));
    SMELT_RETURN_IF_ERROR(finish());
  }
  return Status::ok();
}

} // namespace

StatusOr<std::string> ncclVersion() {
  SMELT_ASSIGN_OR_RETURN(const Library *library, openNccl());
  return "NCCL " + library->version;
}

StatusOr<std::unique_ptr<StreamCollective>>
makeNcclCollective(Peers &peers, std::chrono::milliseconds patience, int blocks) {
  SMELT_ASSIGN_OR_RETURN(const Library *library, openNccl());
  SMELT_ASSIGN_OR_RETURN(const cuda::Driver *driver, cuda::openDriver());
  auto collective = std::make_unique<NcclCollective>(*library, *driver, peers);
  SMELT_RETURN_IF_ERROR(collective->open(patience, blocks));
  return std::unique_ptr<StreamCollective>(std::move(collective));
}

} // namespace smelt::runtime
