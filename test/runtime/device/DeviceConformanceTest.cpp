// What every device must do, whatever it is. A device joins by a line at the end.
#include "runtime/device/cpu/CpuDevice.h"
#include "runtime/device/cuda/CudaDevice.h"

#include <gtest/gtest.h>

#include <cstring>
#include <functional>

using namespace smelt::runtime;

struct DeviceCase {
  const char *name;
  std::function<std::unique_ptr<Device>()> make;
  const char *module;
  std::string (*whyNot)() = [] { return std::string(); }; ///< Empty: the machine has the device.
};

/// A kernel of the module: one function of that name, with a pointer per buffer.
static DeviceKernel kernelOf(const char *symbol, uint32_t buffers) {
  GpuLaunch launch;
  launch.symbol = symbol;
  for (uint32_t i = 0; i < buffers; ++i)
    launch.parameters.push_back({GpuParameter::Kind::Pointer, {i}, 0, {}});
  return {symbol, {launch}};
}

class DeviceConformanceTest : public ::testing::TestWithParam<DeviceCase> {
protected:
  void SetUp() override {
    if (std::string why = GetParam().whyNot(); !why.empty())
      GTEST_SKIP() << why;
    device = GetParam().make();
    ASSERT_TRUE(device->allocateArena(kArena).isOk());
  }
  void load() {
    Status status =
        device->loadModule(GetParam().module, {kernelOf("add_one", 1), kernelOf("multiply", 3)});
    ASSERT_TRUE(status.isOk()) << status.message();
  }
  void write(uint64_t offset, float value) {
    ASSERT_TRUE(device->copyIn(offset, std::as_bytes(std::span(&value, 1))).isOk());
  }
  float read(uint64_t offset) {
    float value = -12345; // Poison: must be overwritten.
    EXPECT_TRUE(device->copyOut(offset, std::as_writable_bytes(std::span(&value, 1))).isOk());
    return value;
  }
  static constexpr uint64_t kArena = 3 << 20; // More than one huge page and not a multiple of it.
  std::unique_ptr<Device> device;
};

TEST_P(DeviceConformanceTest, TheArenaStartsZeroed) {
  std::vector<std::byte> bytes(kArena, std::byte(0xab));
  ASSERT_TRUE(device->copyOut(0, bytes).isOk());
  for (std::byte byte : bytes)
    ASSERT_EQ(byte, std::byte(0));
}

TEST_P(DeviceConformanceTest, CopiesRoundTripAtTheEnds) {
  write(0, 1.5f);
  write(kArena - 4, 2.5f);
  EXPECT_EQ(read(0), 1.5f);
  EXPECT_EQ(read(kArena - 4), 2.5f);
  EXPECT_EQ(read(4), 0.0f);
}

TEST_P(DeviceConformanceTest, CopiesOutsideTheArenaAreRefused) {
  std::byte bytes[8] = {};
  EXPECT_FALSE(device->copyIn(kArena - 4, bytes).isOk());
  EXPECT_FALSE(device->copyOut(kArena + 64, bytes).isOk());
  EXPECT_FALSE(device->copyIn(~uint64_t(0) - 3, bytes).isOk());
  EXPECT_TRUE(device->copyIn(kArena, std::span<std::byte>()).isOk());
}

TEST_P(DeviceConformanceTest, LaunchesRunInOrder) {
  load();
  auto program = device->addProgram({{0, {0}}, {1, {0, 64, 128}}, {0, {128}}});
  ASSERT_TRUE(program.isOk());
  write(0, 2);
  write(64, 5);
  ASSERT_TRUE(device->run(*program).isOk());
  ASSERT_TRUE(device->synchronize().isOk());
  EXPECT_EQ(read(128), 16); // (2 + 1) * 5 + 1
  ASSERT_TRUE(device->run(*program).isOk());
  ASSERT_TRUE(device->synchronize().isOk());
  EXPECT_EQ(read(128), 21); // (3 + 1) * 5 + 1
}

TEST_P(DeviceConformanceTest, ReadsAreOfTheTimeOfTheirStart) {
  load();
  auto program = device->addProgram({{0, {0}}});
  ASSERT_TRUE(program.isOk());
  write(0, 2);
  write(256, 7);
  std::vector<DeviceRead> reads;
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(device->run(*program).isOk());
    DeviceRange ranges[] = {{256, 4}, {0, 4}};
    auto read = device->startRead(ranges);
    ASSERT_TRUE(read.isOk());
    reads.push_back(*read);
  }
  write(0, 100);
  for (int i : {1, 0, 2}) {
    float values[2] = {-1, -1};
    ASSERT_TRUE(device->finishRead(reads[i], std::as_writable_bytes(std::span(values))).isOk());
    EXPECT_EQ(values[0], 7);
    EXPECT_EQ(values[1], 3 + i);
  }
  float value = 0;
  EXPECT_FALSE(device->finishRead(reads[0], std::as_writable_bytes(std::span(&value, 1))).isOk());
  DeviceRange outside[] = {{kArena, 4}};
  EXPECT_FALSE(device->startRead(outside).isOk());
}

TEST_P(DeviceConformanceTest, CopiesInKeepTheirPlaceAmongPrograms) {
  load();
  auto program = device->addProgram({{0, {0}}, {1, {0, 64, 128}}});
  ASSERT_TRUE(program.isOk());
  std::vector<DeviceRead> reads;
  // Large enough that a ring of pinned memory goes round.
  std::vector<float> large(200000);
  for (int i = 0; i < 60; ++i) {
    float a = float(i), b[3] = {2, 3, 4};
    std::fill(large.begin(), large.end(), float(i));
    DeviceWrite writes[] = {{0, std::as_bytes(std::span(&a, 1))},
                            {64, std::as_bytes(std::span(b))},
                            {1 << 20, std::as_bytes(std::span(large))}};
    ASSERT_TRUE(device->copyInTogether(writes).isOk());
    a = b[0] = b[1] = -1;
    ASSERT_TRUE(device->run(*program).isOk());
    DeviceRange ranges[] = {{128, 4}, {(1 << 20) + 4 * (large.size() - 1), 4}};
    auto read = device->startRead(ranges);
    ASSERT_TRUE(read.isOk());
    reads.push_back(*read);
  }
  for (int i = 0; i < 60; ++i) {
    float values[2];
    ASSERT_TRUE(device->finishRead(reads[i], std::as_writable_bytes(std::span(values))).isOk());
    EXPECT_EQ(values[0], (i + 1) * 2);
    EXPECT_EQ(values[1], i);
  }
}

TEST_P(DeviceConformanceTest, TimedLaunchesDoTheSame) {
  load();
  write(0, 2);
  write(64, 5);
  auto times = device->runTimed({{0, {0}}, {1, {0, 64, 128}}, {0, {128}}});
  ASSERT_TRUE(times.isOk());
  EXPECT_EQ(read(128), 16);
  ASSERT_EQ(times->size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ((*times)[i].launch, i);
    EXPECT_GE((*times)[i].milliseconds, 0);
    EXPECT_GE((*times)[i].start,
              i ? (*times)[i - 1].start + (*times)[i - 1].milliseconds - 1e-3 : 0);
  }
  EXPECT_FALSE(device->runTimed({{2, {0}}}).isOk());
}

TEST_P(DeviceConformanceTest, MissingModulesAndSymbolsAreNamed) {
  Status missing = device->loadModule("/nonexistent/module", {});
  EXPECT_EQ(missing.code(), StatusCode::Corrupt);
  EXPECT_NE(missing.message().find("/nonexistent/module"), std::string::npos);
  Status symbol = GetParam().make()->loadModule(GetParam().module, {kernelOf("no_such_kernel", 1)});
  EXPECT_EQ(symbol.code(), StatusCode::Corrupt);
  EXPECT_NE(symbol.message().find("no_such_kernel"), std::string::npos);
}

TEST_P(DeviceConformanceTest, WrongProgramsAreRefused) {
  load();
  EXPECT_FALSE(device->addProgram({{2, {0}}}).isOk());
  EXPECT_FALSE(device->addProgram({{0, {kArena + 64}}}).isOk());
  EXPECT_FALSE(device->run(DeviceProgram{5}).isOk());
  EXPECT_FALSE(device->allocateArena(64).isOk());
}

INSTANTIATE_TEST_SUITE_P(Devices, DeviceConformanceTest,
                         ::testing::Values(DeviceCase{"cpu", [] { return makeCpuDevice(); },
                                                      SMELT_CONFORMANCE_KERNELS},
                                           DeviceCase{"cuda", [] { return *makeCudaDevice(); },
                                                      SMELT_CONFORMANCE_PTX, whyNoCuda}),
                         [](const auto &info) { return info.param.name; });

TEST(CudaDeviceTest, AMachineWithoutItSaysSo) {
  if (whyNoCuda().empty())
    GTEST_SKIP() << "this machine has a GPU";
  Status status = makeCudaDevice().status();
  EXPECT_EQ(status.code(), StatusCode::Usage);
  EXPECT_NE(status.message().find("NVIDIA driver"), std::string::npos) << status.message();
}

TEST(CpuDeviceTest, PassesTheThreadCountToOpenMP) {
  auto device = makeCpuDevice(3);
  ASSERT_TRUE(device->allocateArena(64).isOk());
  ASSERT_TRUE(device->loadModule(SMELT_CONFORMANCE_KERNELS, {{"read_threads"}}).isOk());
  auto program = device->addProgram({{0, {0}}});
  ASSERT_TRUE(device->run(*program).isOk());
  float threads = -1;
  ASSERT_TRUE(device->copyOut(0, std::as_writable_bytes(std::span(&threads, 1))).isOk());
  EXPECT_EQ(threads, 3);
  EXPECT_NE(device->description().find("3 threads"), std::string::npos);
}
