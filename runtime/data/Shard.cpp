#include "runtime/data/Shard.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>

namespace smelt::runtime {

static_assert(std::endian::native == std::endian::little, "shards are little-endian");

StatusOr<Shard> Shard::openBin(const std::string &path, int64_t vocabulary) {
  SMELT_ASSIGN_OR_RETURN(MappedFile file, MappedFile::open(path));
  std::span<const std::byte> bytes = file.bytes();
  if (bytes.size() < kShardHeaderBytes)
    return corruptError("shard ", path, ": the file ends at byte ", bytes.size(), ", inside the ",
                        kShardHeaderBytes, "-byte header");
  std::array<int32_t, 3> header;
  std::memcpy(header.data(), bytes.data(), sizeof header);
  if (header[0] != kShardMagic)
    return corruptError("shard ", path, ": byte 0: the magic number is ", header[0], ", not ",
                        kShardMagic, "; this is not a token shard");
  if (header[1] != kShardVersion)
    return corruptError("shard ", path, ": byte 4: version ", header[1], ", not ", kShardVersion);
  if (header[2] < 0)
    return corruptError("shard ", path, ": byte 8: the token count is ", header[2]);
  uint64_t count = static_cast<uint64_t>(header[2]);
  uint64_t expected = kShardHeaderBytes + count * sizeof(uint16_t);
  if (bytes.size() != expected)
    return corruptError("shard ", path, ": byte ", std::min<uint64_t>(bytes.size(), expected),
                        ": the header promises ", count, " tokens, so ", expected,
                        " bytes, but the file has ", bytes.size());
  return Shard(path, std::move(file), sizeof(uint16_t), kShardHeaderBytes, count, vocabulary);
}

StatusOr<Shard> Shard::openText(const std::string &path) {
  SMELT_ASSIGN_OR_RETURN(MappedFile file, MappedFile::open(path));
  uint64_t count = file.bytes().size();
  return Shard(path, std::move(file), 1, 0, count, 256);
}

namespace {
/// Copies little-endian tokens; their maximum.
template <typename Stored> int32_t copyTokens(const std::byte *from, std::span<int32_t> out) {
  int32_t largest = 0;
  for (int32_t &token : out) {
    Stored value;
    std::memcpy(&value, from, sizeof value);
    from += sizeof value;
    token = value;
    largest = std::max(largest, token);
  }
  return largest;
}
} // namespace

Status Shard::read(uint64_t first, std::span<int32_t> out) const {
  uint64_t offset = headerBytes_ + first * tokenBytes_;
  const std::byte *from = file_.bytes().data() + offset;
  if (tokenBytes_ == 1) {
    copyTokens<uint8_t>(from, out);
    return Status::ok();
  }
  if (copyTokens<uint16_t>(from, out) < vocabulary_)
    return Status::ok();
  auto bad = std::find_if(out.begin(), out.end(), [&](int32_t t) { return t >= vocabulary_; });
  return corruptError("shard ", path_, ": byte ",
                      offset + static_cast<uint64_t>(bad - out.begin()) * tokenBytes_, ": token ",
                      *bad, " is not below the vocabulary ", vocabulary_);
}

Status writeShard(const std::string &path, std::span<const uint16_t> tokens) {
  if (tokens.size() > static_cast<size_t>(std::numeric_limits<int32_t>::max()))
    return usageError("shard ", path, ": ", tokens.size(), " tokens are too many for one shard");
  std::array<int32_t, 256> header = {};
  header[0] = kShardMagic;
  header[1] = kShardVersion;
  header[2] = static_cast<int32_t>(tokens.size());
  return writeFileAtomically(path, {std::as_bytes(std::span(header)), std::as_bytes(tokens)});
}

} // namespace smelt::runtime
