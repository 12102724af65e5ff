#include "runtime/report/TensorBoard.h"

#include <array>
#include <chrono>
#include <cstring>

#include <unistd.h>

namespace smelt::runtime {

namespace {
constexpr std::array<uint32_t, 256> makeCrcTable() {
  std::array<uint32_t, 256> table = {};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit)
      value = value & 1 ? (value >> 1) ^ 0x82f63b78u : value >> 1;
    table[i] = value;
  }
  return table;
}
constexpr std::array<uint32_t, 256> kCrcTable = makeCrcTable();

/// TFRecord stores checksums rotated and shifted, so that checksums of checksums stay useful.
uint32_t maskedCrc(std::string_view data) {
  uint32_t crc = crc32c(data);
  return ((crc >> 15) | (crc << 17)) + 0xa282ead8u;
}

template <typename T> void appendRaw(std::string &out, T value) {
  out.append(reinterpret_cast<const char *>(&value), sizeof value);
}

void appendVarint(std::string &out, uint64_t value) {
  for (; value >= 128; value >>= 7)
    out += static_cast<char>(value | 128);
  out += static_cast<char>(value);
}

/// Protocol buffer wire types.
enum WireType { Varint = 0, Fixed64 = 1, Bytes = 2, Fixed32 = 5 };

void appendKey(std::string &out, int field, WireType type) {
  appendVarint(out, static_cast<uint64_t>(field << 3 | type));
}

void appendBytes(std::string &out, int field, std::string_view bytes) {
  appendKey(out, field, Bytes);
  appendVarint(out, bytes.size());
  out += bytes;
}

/// Event: 1 = wall_time (double), 2 = step (int64).
std::string beginEvent(double wallTime, int64_t step) {
  std::string event;
  appendKey(event, 1, Fixed64);
  appendRaw(event, wallTime);
  appendKey(event, 2, Varint);
  appendVarint(event, static_cast<uint64_t>(step));
  return event;
}

double wallTimeNow() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}
} // namespace

uint32_t crc32c(std::string_view data) {
  uint32_t crc = ~0u;
  for (unsigned char byte : data)
    crc = kCrcTable[(crc ^ byte) & 255] ^ (crc >> 8);
  return ~crc;
}

std::string frameRecord(std::string_view data) {
  std::string record;
  appendRaw<uint64_t>(record, data.size());
  appendRaw(record, maskedCrc(record));
  record += data;
  appendRaw(record, maskedCrc(data));
  return record;
}

std::string encodeScalarEvent(double wallTime, int64_t step,
                              const std::vector<std::pair<std::string, double>> &scalars) {
  std::string summary; // Summary: 1 = repeated value.
  for (const auto &[tag, number] : scalars) {
    std::string value; // Value: 1 = tag (string), 2 = simple_value (float).
    appendBytes(value, 1, tag);
    appendKey(value, 2, Fixed32);
    appendRaw(value, static_cast<float>(number));
    appendBytes(summary, 1, value);
  }
  std::string event = beginEvent(wallTime, step);
  appendBytes(event, 5, summary); // Event: 5 = summary.
  return event;
}

StatusOr<TensorBoardWriter> TensorBoardWriter::create(const std::string &directory) {
  char host[256] = "localhost";
  ::gethostname(host, sizeof host - 1);
  double now = wallTimeNow();
  std::string path = concat(directory, "/events.out.tfevents.", static_cast<int64_t>(now), ".",
                            host, ".", ::getpid());
  SMELT_ASSIGN_OR_RETURN(AppendFile file, AppendFile::open(path));
  std::string event = beginEvent(now, 0);
  appendBytes(event, 3, "brain.Event:2"); // Event: 3 = file_version.
  SMELT_RETURN_IF_ERROR(file.append(frameRecord(event)));
  return TensorBoardWriter(std::move(file));
}

Status TensorBoardWriter::addScalars(int64_t step,
                                     const std::vector<std::pair<std::string, double>> &scalars) {
  return file_.append(frameRecord(encodeScalarEvent(wallTimeNow(), step, scalars)));
}

} // namespace smelt::runtime
