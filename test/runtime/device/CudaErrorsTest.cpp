// What the CUDA device says when something is wrong, and the rings of its copies: on a driver that
// does everything at once in the host's memory (FakeCuda.c).
#include "runtime/device/cuda/CudaDevice.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

using namespace smelt::runtime;

class CudaErrorsTest : public ::testing::Test {
protected:
  void SetUp() override { ::setenv("FAKE_CUDA", "", 1); }
  std::unique_ptr<Device> open(const char *what = "") {
    ::setenv("FAKE_CUDA", what, 1);
    auto device = makeCudaDevice();
    EXPECT_TRUE(device.isOk()) << device.status().message();
    return *std::move(device);
  }
  std::string fileWith(const char *name, const char *text) {
    std::string path = ::testing::TempDir() + name;
    std::ofstream(path) << text;
    return path;
  }
};

TEST_F(CudaErrorsTest, TooLittleMemoryIsSaidWithItsSizes) {
  auto device = open("few");
  Status status = device->allocateArena(uint64_t(100) << 20);
  EXPECT_EQ(status.code(), StatusCode::Usage);
  EXPECT_NE(status.message().find("needs 100 MiB, 1 MiB of 64 MiB are free"), std::string::npos)
      << status.message();
}

TEST_F(CudaErrorsTest, ADamagedCubinIsCorrupt) {
  auto device = open("damaged");
  ASSERT_TRUE(device->allocateArena(64).isOk());
  Status status = device->loadModule(fileWith("damaged.cubin", "x"), {});
  EXPECT_EQ(status.code(), StatusCode::Corrupt);
  EXPECT_NE(status.message().find("damaged.cubin"), std::string::npos) << status.message();
  EXPECT_NE(status.message().find("cuModuleLoadDataEx"), std::string::npos) << status.message();
}

TEST_F(CudaErrorsTest, AnotherGpuTakesThePtxOrSaysSo) {
  auto device = open("other");
  ASSERT_TRUE(device->allocateArena(64).isOk());
  Status status = device->loadModule(fileWith("alone.cubin", "x"), {});
  EXPECT_EQ(status.code(), StatusCode::Usage);
  EXPECT_NE(status.message().find("alone.cubin is not for this GPU, Fake"), std::string::npos)
      << status.message();
  fileWith("both.ptx", ".version 8.3");
  EXPECT_TRUE(device->loadModule(fileWith("both.cubin", "x"), {}).isOk());
}

TEST_F(CudaErrorsTest, ThereIsNoSuchGpu) {
  Status status = makeCudaDevice(3).status();
  EXPECT_EQ(status.code(), StatusCode::Usage);
  EXPECT_NE(status.message().find("no GPU 3; this machine has 1"), std::string::npos)
      << status.message();
}

TEST_F(CudaErrorsTest, CopiesGoRoundTheRing) {
  auto device = open();
  constexpr size_t kBytes = 900000; // No divisor of the ring.
  ASSERT_TRUE(device->allocateArena(uint64_t(4) << 20).isOk());
  for (int i = 0; i < 40; ++i) {
    std::vector<std::byte> large(kBytes, std::byte(i)), odd(7, std::byte(i + 1)), back(kBytes);
    int32_t word = 1000 + i, wordBack = 0;
    DeviceWrite writes[] = {
        {0, large}, {1 << 20, odd}, {2 << 20, std::as_bytes(std::span(&word, 1))}};
    ASSERT_TRUE(device->copyInTogether(writes).isOk());
    ASSERT_TRUE(device->copyOut(0, back).isOk());
    EXPECT_EQ(back, large);
    ASSERT_TRUE(device->copyOut(1 << 20, std::span(back).first(7)).isOk());
    EXPECT_TRUE(std::equal(odd.begin(), odd.end(), back.begin()));
    ASSERT_TRUE(device->copyOut(2 << 20, std::as_writable_bytes(std::span(&wordBack, 1))).isOk());
    EXPECT_EQ(wordBack, word);
  }
}
