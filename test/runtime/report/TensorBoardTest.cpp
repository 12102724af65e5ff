#include "runtime/report/TensorBoard.h"
#include "test/runtime/TemporaryFolder.h"

#include <gtest/gtest.h>

#include <cstring>

using namespace smelt::runtime;
using smelt::runtime::test::TemporaryFolder;

namespace {
/// A protocol buffer message read back: fields in order.
struct Field {
  int number;
  uint64_t integer;  ///< Varint and fixed values.
  std::string bytes; ///< Length-delimited values.
};

uint64_t readVarint(std::string_view &data) {
  uint64_t value = 0;
  for (int shift = 0; !data.empty(); shift += 7) {
    auto byte = static_cast<unsigned char>(data.front());
    data.remove_prefix(1);
    value |= uint64_t(byte & 127) << shift;
    if (byte < 128)
      break;
  }
  return value;
}

uint64_t readFixed(std::string_view &data, size_t bytes) {
  uint64_t value = 0;
  EXPECT_GE(data.size(), bytes);
  std::memcpy(&value, data.data(), bytes);
  data.remove_prefix(bytes);
  return value;
}

std::vector<Field> decode(std::string_view data) {
  std::vector<Field> fields;
  while (!data.empty()) {
    uint64_t key = readVarint(data);
    Field field{static_cast<int>(key >> 3), 0, ""};
    switch (key & 7) {
    case 0:
      field.integer = readVarint(data);
      break;
    case 1:
      field.integer = readFixed(data, 8);
      break;
    case 5:
      field.integer = readFixed(data, 4);
      break;
    case 2: {
      uint64_t length = readVarint(data);
      field.bytes = data.substr(0, length);
      data.remove_prefix(length);
      break;
    }
    default:
      ADD_FAILURE() << "wire type " << (key & 7);
      return fields;
    }
    fields.push_back(field);
  }
  return fields;
}

uint32_t unmask(uint32_t masked) {
  uint32_t rotated = masked - 0xa282ead8u;
  return (rotated >> 17) | (rotated << 15);
}

/// Splits TFRecord framing and checks both checksums.
std::vector<std::string> readRecords(std::string_view data) {
  std::vector<std::string> records;
  while (!data.empty()) {
    std::string_view lengthBytes = data.substr(0, 8);
    uint64_t length = readFixed(data, 8);
    EXPECT_EQ(unmask(static_cast<uint32_t>(readFixed(data, 4))), crc32c(lengthBytes));
    records.emplace_back(data.substr(0, length));
    data.remove_prefix(length);
    EXPECT_EQ(unmask(static_cast<uint32_t>(readFixed(data, 4))), crc32c(records.back()));
  }
  return records;
}
} // namespace

// RFC 3720 (iSCSI), appendix B.4, and the common check value.
TEST(TensorBoardTest, Crc32cVectors) {
  EXPECT_EQ(crc32c("123456789"), 0xe3069283u);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62a8ab43u);
}

TEST(TensorBoardTest, TheFileDecodesToWhatWasWritten) {
  TemporaryFolder folder;
  auto writer = TensorBoardWriter::create(folder.path());
  ASSERT_TRUE(writer.isOk()) << writer.status().message();
  ASSERT_TRUE(writer->addScalars(300, {{"loss/train", 2.5}, {"scalars/x0", -1}}).isOk());
  auto names = listDirectory(folder.path());
  ASSERT_EQ(names.size(), 1u);
  EXPECT_EQ(names[0].rfind("events.out.tfevents.", 0), 0u);
  auto records = readRecords(*readFile(folder / names[0]));
  ASSERT_EQ(records.size(), 2u);
  auto version = decode(records[0]);
  EXPECT_EQ(version.back().number, 3);
  EXPECT_EQ(version.back().bytes, "brain.Event:2");
  auto event = decode(records[1]);
  ASSERT_EQ(event.size(), 3u);
  EXPECT_EQ(event[1].number, 2);
  EXPECT_EQ(event[1].integer, 300u);
  EXPECT_EQ(event[2].number, 5);
  auto values = decode(event[2].bytes);
  ASSERT_EQ(values.size(), 2u);
  auto value = decode(values[0].bytes);
  EXPECT_EQ(value[0].bytes, "loss/train");
  float number = -9;
  std::memcpy(&number, &value[1].integer, 4);
  EXPECT_EQ(number, 2.5f);
  EXPECT_EQ(decode(values[1].bytes)[0].bytes, "scalars/x0");
}
