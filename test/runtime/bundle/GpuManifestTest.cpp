// The gpu sections of a manifest: text round trip, and one broken rule at a time.
#include "test/runtime/bundle/ExampleManifest.h"

#include <gtest/gtest.h>

#include <functional>

using namespace smelt::runtime;
using smelt::runtime::test::exampleManifest;
using smelt::runtime::test::expectCorrupt;
using smelt::runtime::test::readBack;

static Manifest gpuManifest() {
  Manifest m = exampleManifest();
  m.target = "cuda";
  m.gpu.architecture = "sm_90a";
  GpuParameter map;
  map.kind = GpuParameter::Kind::TensorMap;
  map.arguments = {0};
  map.map = {DType::F32, {8, 4}, {32}, {8, 4}, 32, false};
  GpuLaunch gemm{"smelt_k0", "gemm", {132, 1, 1}, 384, 196736, 2,
                 {{GpuParameter::Kind::Pointer, {1}, 16, {}}, map}};
  GpuLaunch sums{"smelt_k0_1", "sums", {1, 1, 1}, 256, 0, 1,
                 {{GpuParameter::Kind::PointerTable, {0, 1, 2, 3}, 0, {}}}};
  m.kernels[0].gpu = {gemm, sums};
  m.kernels[1].gpu = {sums};
  m.kernels[1].gpu[0].parameters[0].arguments = {0, 1};
  return m;
}

TEST(GpuManifestTest, TextRoundTrips) {
  StatusOr<Manifest> parsed = Manifest();
  ASSERT_NO_FATAL_FAILURE(readBack(gpuManifest(), parsed));
  const GpuLaunch &launch = parsed->kernels[0].gpu[0];
  EXPECT_EQ(launch.grid, (std::array<uint32_t, 3>{132, 1, 1}));
  EXPECT_EQ(launch.cluster, 2u);
  EXPECT_EQ(launch.parameters[0].byteOffset, 16u);
  EXPECT_EQ(launch.parameters[1].map.sizes, (std::vector<uint64_t>{8, 4}));
  EXPECT_EQ(launch.parameters[1].map.swizzle, 32u);
  EXPECT_EQ(parsed->kernels[0].gpu[1].parameters[0].arguments.size(), 4u);
}

TEST(GpuManifestTest, RefusesEachBrokenField) {
  struct Case {
    const char *message;
    std::function<void(Manifest &)> change;
  };
  auto map = [](Manifest &m) -> GpuParameter & { return m.kernels[0].gpu[0].parameters[1]; };
  const Case cases[] = {
      {"unknown target", [](Manifest &m) { m.target = "tpu"; }},
      {"architecture is missing", [](Manifest &m) { m.gpu.architecture = ""; }},
      {"has no launches", [](Manifest &m) { m.kernels[1].gpu.clear(); }},
      {"has no symbol", [](Manifest &m) { m.kernels[0].gpu[1].symbol = ""; }},
      {"out of range", [](Manifest &m) { m.kernels[0].gpu[0].grid[1] = 65536; }},
      {"cannot have 2048 threads", [](Manifest &m) { m.kernels[0].gpu[0].threads = 2048; }},
      {"bytes of shared memory", [](Manifest &m) { m.kernels[0].gpu[0].sharedBytes = 300000; }},
      {"do not divide the grid", [](Manifest &m) { m.kernels[0].gpu[0].grid[0] = 131; }},
      {"there is no argument 9",
       [](Manifest &m) { m.kernels[0].gpu[0].parameters[0].arguments = {9}; }},
      {"has 0 buffers", [](Manifest &m) { m.kernels[0].gpu[1].parameters[0].arguments.clear(); }},
      {"reaches beyond buffer",
       [](Manifest &m) { m.kernels[0].gpu[0].parameters[0].byteOffset = 1 << 20; }},
      {"reaches beyond buffer \"weight\"", [&](Manifest &m) { map(m).map.sizes = {8, 5}; }},
      {"one stride fewer", [&](Manifest &m) { map(m).map.strides.clear(); }},
      {"no multiple of 16", [&](Manifest &m) { map(m).map.strides = {36}; }},
      {"box size", [&](Manifest &m) { map(m).map.box = {8, 257}; }},
      {"swizzle of 48", [&](Manifest &m) { map(m).map.swizzle = 48; }},
      {"64 bytes wide", [&](Manifest &m) { map(m).map.box = {16, 4}; }},
      {"begins at byte 8", [&](Manifest &m) { map(m).byteOffset = 8; }},
  };
  for (const Case &each : cases) {
    Manifest m = gpuManifest();
    each.change(m);
    expectCorrupt(validateManifest(m), each.message);
  }
}

TEST(GpuManifestTest, CpuBundlesHaveNoLaunchesOnAGpu) {
  Manifest m = exampleManifest();
  m.kernels = gpuManifest().kernels;
  EXPECT_FALSE(validateManifest(m).isOk());
}

TEST(GpuManifestTest, UnknownKeysAreRefused) {
  std::string text = writeManifest(gpuManifest());
  size_t at = text.find("\"threads\"");
  ASSERT_NE(at, std::string::npos);
  text.insert(at, "\"colour\":1,");
  EXPECT_EQ(parseManifest(text).status().code(), StatusCode::Corrupt);
}
