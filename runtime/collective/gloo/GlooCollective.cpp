#include "runtime/collective/gloo/GlooPlugin.h"

#include <gloo/allgather.h>
#include <gloo/allreduce.h>
#include <gloo/barrier.h>
#include <gloo/broadcast.h>
#include <gloo/config.h>
#include <gloo/rendezvous/context.h>
#include <gloo/rendezvous/store.h>
#include <gloo/transport/tcp/device.h>

#include <cstring>
#include <vector>

namespace smelt::runtime {

namespace {

/// Thrown through Gloo, which knows no Status; caught in this file.
struct StoreFailure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Where Gloo's ranks find each other's addresses.
class PeerStore : public gloo::rendezvous::Store {
public:
  explicit PeerStore(Peers &peers) : peers_(peers) {}
  void set(const std::string &key, const std::vector<char> &data) override {
    check(peers_.set("gloo/" + key, std::string(data.begin(), data.end())));
  }
  std::vector<char> get(const std::string &key) override {
    StatusOr<std::string> value = peers_.get("gloo/" + key);
    check(value.status());
    return {value->begin(), value->end()};
  }
  void wait(const std::vector<std::string> &keys) override {
    for (const std::string &key : keys)
      get(key);
  }
  void wait(const std::vector<std::string> &keys, const std::chrono::milliseconds &) override {
    wait(keys);
  }

private:
  static void check(const Status &status) {
    if (!status.isOk())
      throw StoreFailure(status.message());
  }
  Peers &peers_;
};

template <typename T> void addElements(void *to, const void *a, const void *b, size_t count) {
  for (size_t i = 0; i < count; ++i)
    static_cast<T *>(to)[i] = static_cast<const T *>(a)[i] + static_cast<const T *>(b)[i];
}

class GlooCollective : public Collective {
public:
  GlooCollective(Peers &peers, std::shared_ptr<gloo::Context> context)
      : peers_(peers), context_(std::move(context)) {}

  int rank() const override { return context_->rank; }
  int size() const override { return context_->size; }
  std::string version() const override {
    return concat("Gloo ", GLOO_VERSION_MAJOR, ".", GLOO_VERSION_MINOR, ".", GLOO_VERSION_PATCH);
  }

  Status allReduce(std::span<std::byte> data, DType type) override {
    if (type == DType::BF16)
      return allReduceNarrow(data, type);
    if (type != DType::F32 && type != DType::F64)
      return internalError("all_reduce of ", dtypeName(type));
    return run([&] {
      gloo::AllreduceOptions options(context_);
      options.setTag(++tag_);
      options.setAlgorithm(gloo::AllreduceOptions::Algorithm::RING);
      if (type == DType::F32) {
        options.setOutput(reinterpret_cast<float *>(data.data()), data.size() / sizeof(float));
        options.setReduceFunction(&addElements<float>);
      } else {
        options.setOutput(reinterpret_cast<double *>(data.data()), data.size() / sizeof(double));
        options.setReduceFunction(&addElements<double>);
      }
      gloo::allreduce(options);
    });
  }

  /// Everybody's part goes to its owner, who adds them in order of ranks. (Gloo 0.5 has only a
  /// reduce_scatter of the old interface, for f32 and powers of two.)
  Status reduceScatter(std::span<const std::byte> from, std::span<std::byte> to,
                       DType type) override {
    size_t part = to.size(), element = dtypeBytes(type);
    if (from.size() != part * size() || part % element)
      return internalError("reduce_scatter of ", from.size(), " bytes to ", part);
    std::vector<std::byte> parts(part * size());
    std::memcpy(parts.data() + rank() * part, from.data() + rank() * part, part);
    SMELT_RETURN_IF_ERROR(run([&] {
      uint64_t slot = (uint64_t(0x7f) << 56) | ++tag_;
      auto in = context_->createUnboundBuffer(parts.data(), parts.size());
      auto out = context_->createUnboundBuffer(const_cast<std::byte *>(from.data()), from.size());
      for (int step = 1; step < size() && part; ++step) {
        int next = (rank() + step) % size(), last = (rank() + size() - step) % size();
        in->recv(last, slot, last * part, part);
        out->send(next, slot, next * part, part);
        in->waitRecv(context_->getTimeout());
        out->waitSend(context_->getTimeout());
      }
    }));
    for (size_t at = 0; at < part; at += element) {
      double sum = 0;
      for (int other = 0; other < size(); ++other) {
        double term = loadElement(type, parts.data() + other * part + at);
        // f32 and bf16 are added in f32.
        sum = type == DType::F64 ? sum + term : double(float(sum) + float(term));
      }
      storeElement(type, sum, to.data() + at);
    }
    return Status::ok();
  }

  Status allGather(std::span<const std::byte> from, std::span<std::byte> to) override {
    if (to.size() != from.size() * size())
      return internalError("all_gather of ", from.size(), " bytes to ", to.size());
    if (from.empty())
      return Status::ok();
    return run([&] {
      gloo::AllgatherOptions options(context_);
      options.setTag(++tag_);
      options.setInput(reinterpret_cast<uint8_t *>(const_cast<std::byte *>(from.data())),
                       from.size());
      options.setOutput(reinterpret_cast<uint8_t *>(to.data()), to.size());
      gloo::allgather(options);
    });
  }

  Status broadcast(std::span<std::byte> data, int root) override {
    if (data.empty())
      return Status::ok();
    return run([&] {
      gloo::BroadcastOptions options(context_);
      options.setTag(++tag_);
      options.setRoot(root);
      options.setOutput(reinterpret_cast<uint8_t *>(data.data()), data.size());
      gloo::broadcast(options);
    });
  }

  Status barrier() override {
    return run([&] {
      gloo::BarrierOptions options(context_);
      options.setTag(++tag_);
      gloo::barrier(options);
    });
  }

private:
  /// Each rank sums its part in f32 and rounds once; then all get all parts.
  Status allReduceNarrow(std::span<std::byte> data, DType type) {
    size_t element = dtypeBytes(type), count = data.size() / element;
    size_t part = (count + size() - 1) / size() * element;
    std::vector<std::byte> padded(part * size()), sum(part);
    std::memcpy(padded.data(), data.data(), data.size());
    SMELT_RETURN_IF_ERROR(reduceScatter(padded, sum, type));
    SMELT_RETURN_IF_ERROR(allGather(sum, padded));
    std::memcpy(data.data(), padded.data(), data.size());
    return Status::ok();
  }

  /// Gloo throws when a connection breaks; who is gone, the group finds out.
  template <typename Function> Status run(Function function) {
    try {
      function();
      return Status::ok();
    } catch (const std::exception &failure) {
      return peers_.explain(concat("a collective failed: ", failure.what()),
                            peers_.timeout() + std::chrono::seconds(2));
    }
  }

  Peers &peers_;
  std::shared_ptr<gloo::Context> context_;
  uint32_t tag_ = 0;
};

} // namespace

} // namespace smelt::runtime

using namespace smelt::runtime;

extern "C" int smeltGlooInterface() { return kGlooPluginInterface; }

extern "C" Collective *smeltGlooMake(Peers &peers, Status &failure) {
  try {
    auto context = std::make_shared<gloo::rendezvous::Context>(peers.rank(), peers.size());
    // Ranks may be far apart (one compiles, one validates); who is lost, the heartbeat tells.
    context->setTimeout(std::chrono::hours(1));
    gloo::transport::tcp::attr attributes;
    attributes.hostname = peers.localAddress();
    auto device = gloo::transport::tcp::CreateDevice(attributes);
    PeerStore store(peers);
    context->connectFullMesh(store, device);
    return new GlooCollective(peers, std::move(context));
  } catch (const std::exception &error) {
    failure = peers.explain(concat("Gloo cannot connect the ranks: ", error.what()),
                            std::chrono::milliseconds(0));
    return nullptr;
  }
}
