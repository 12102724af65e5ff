#include "runtime/checkpoint/Safetensors.h"
#include "test/runtime/TemporaryFolder.h"

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>

using namespace smelt::runtime;
using smelt::runtime::test::TemporaryFolder;

static std::string fileWith(const std::string &header, size_t dataBytes) {
  uint64_t length = header.size();
  return std::string(reinterpret_cast<const char *>(&length), 8) + header +
         std::string(dataBytes, 'x');
}

class SafetensorsTest : public ::testing::Test {
protected:
  Status openText(const std::string &bytes) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
    return SafetensorsFile::open(path).status();
  }
  TemporaryFolder folder;
  std::string path = folder / "t.safetensors";
};

TEST_F(SafetensorsTest, RoundTrips) {
  std::vector<float> matrix = {1, 2, 3, 4, 5, 6};
  int32_t scalar = -7;
  std::map<std::string, TensorView> tensors = {
      {"b.matrix", {DType::F32, {2, 3}, std::as_bytes(std::span(matrix))}},
      {"a \"quoted\"", {DType::I32, {}, std::as_bytes(std::span(&scalar, 1))}},
      {"empty", {DType::F32, {0, 4}, {}}}};
  ASSERT_TRUE(writeSafetensors(path, tensors, {{"format", "smelt"}}).isOk());
  auto file = SafetensorsFile::open(path);
  ASSERT_TRUE(file.isOk()) << file.status().message();
  ASSERT_EQ(file->tensors().size(), 3u);
  EXPECT_EQ(file->metadata().at("format"), "smelt");
  const TensorView &read = file->tensors().at("b.matrix");
  EXPECT_EQ(read.shape, (std::vector<int64_t>{2, 3}));
  ASSERT_EQ(read.data.size(), 24u);
  EXPECT_EQ(std::memcmp(read.data.data(), matrix.data(), 24), 0);
  EXPECT_EQ(std::memcmp(file->tensors().at("a \"quoted\"").data.data(), &scalar, 4), 0);
}

TEST_F(SafetensorsTest, RefusesEachBrokenHeader) {
  const std::pair<const char *, std::string> cases[] = {
      {"only 3 bytes", "abc"},
      {"does not fit", std::string("\xff\xff\xff\xff\xff\xff\xff\x7f{}", 10)},
      {"not a JSON object", fileWith("[]", 0)},
      {"not a JSON object", fileWith("{", 0)},
      {"expected an object", fileWith(R"({"a":1})", 0)},
      {"dtype", fileWith(R"({"a":{"dtype":"F31","shape":[1],"data_offsets":[0,4]}})", 4)},
      {"outside the file",
       fileWith(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 3)},
      {"outside the file",
       fileWith(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})", 4)},
      {"does not need", fileWith(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", 4)},
      {"does not need",
       fileWith(R"({"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}})",
                0)},
      {"shape", fileWith(R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", 4)},
      {"overlap", fileWith(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},)"
                           R"("b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})",
                           3)},
      {"hole", fileWith(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                        R"("b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}})",
                        3)},
      {"belong to no tensor",
       fileWith(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 9)},
      {"unknown key",
       fileWith(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"x":1}})", 1)},
  };
  for (const auto &[message, bytes] : cases) {
    Status status = openText(bytes);
    EXPECT_EQ(status.code(), StatusCode::Corrupt) << message;
    EXPECT_NE(status.message().find(message), std::string::npos)
        << status.message() << " lacks: " << message;
  }
}

TEST_F(SafetensorsTest, MutatedFilesNeverCrash) {
  std::string whole = fileWith(R"({"__metadata__":{"k":"v"},"a":{"dtype":"F32","shape":[2,3],)"
                               R"("data_offsets":[0,24]},"b":{"dtype":"BF16","shape":[],)"
                               R"("data_offsets":[24,26]}})",
                               26);
  ASSERT_TRUE(openText(whole).isOk());
  uint32_t random = 99;
  int refused = 0;
  for (int i = 0; i < 600; ++i) {
    std::string changed = whole;
    random = random * 1664525 + 1013904223;
    changed[(random >> 8) % changed.size()] ^= static_cast<char>(1 << (random & 7));
    if (i % 5 == 0)
      changed.resize((random >> 4) % changed.size());
    Status status = openText(changed);
    if (!status.isOk()) {
      ASSERT_EQ(status.code(), StatusCode::Corrupt);
      ++refused;
    }
  }
  EXPECT_GT(refused, 300);
}
