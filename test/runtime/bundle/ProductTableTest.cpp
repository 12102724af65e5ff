// Kernels that are products, in the manifest; tables of their times, and what a table does to a
// manifest.
#include "runtime/bundle/ProductTable.h"
#include "test/runtime/bundle/ExampleManifest.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

using namespace smelt::runtime;
using smelt::runtime::test::exampleManifest;
using smelt::runtime::test::expectCorrupt;

namespace {
constexpr const char *kDigits = "0000000000000007000000000000020000000000000000000000000000000000"
                                "00000000000000000000000000000000000000000000000000000000000000ff";

/// Kernel 0 is a product in f32 with a factor in memory; kernel 1 is not.
Manifest productManifest() {
  Manifest m = exampleManifest();
  m.target = "cuda";
  m.gpu.architecture = "sm_90a";
  GpuLaunch launch{
      "smelt_k0", "gemm", {1, 1, 1}, 128, 0, 1, {{GpuParameter::Kind::Pointer, {0}, 0, {}}}};
  for (Kernel &kernel : m.kernels)
    kernel.gpu = {launch};
  m.kernels[0].product =
      GpuProduct{1, 2, 4, 8, false, true, DType::F32, 1, 2, 0, {1, 3}, 0, {0.25}};
  return m;
}

KernelLibrary library(std::optional<uint32_t> workspace, uint64_t bytes) {
  return {{130100, {7, 512, 0, 0, 0, 0, 0, 255}, bytes}, workspace, 12.5, 10.25};
}

ProductTable tableFor(double libraryMicroseconds, uint64_t workspace = 512) {
  LibraryAlgorithm algorithm{130100, {7, 512, 0, 0, 0, 0, 0, 255}, workspace};
  return {"NVIDIA H200",
          {{"2x4x8 nt f32 alpha + addend", 10, algorithm, libraryMicroseconds},
           {"64x64x64 nn bf16", 5, std::nullopt, 0}}};
}

TEST(ProductTableTest, NamesOfProducts) {
  GpuProduct product{22, 768, 768, 3072, true, false, DType::BF16, 0, 1, 2, {0.5}, {}, {}};
  EXPECT_EQ(describeProduct(product), "22 x 768x768x3072 tn bf16");
  product.addend = 3;
  product.beta.argument = 4;
  product.groups = 1;
  EXPECT_EQ(describeProduct(product), "768x768x3072 tn bf16 + beta addend");
}

TEST(ProductTableTest, ManifestTextRoundTrips) {
  Manifest m = productManifest();
  mergeProductTable(m, tableFor(8));
  std::string text = writeManifest(m);
  EXPECT_NE(text.find(kDigits), std::string::npos);
  StatusOr<Manifest> parsed = parseManifest(text);
  ASSERT_TRUE(parsed.isOk()) << parsed.status().message();
  EXPECT_EQ(writeManifest(*parsed), text);
  const Kernel &kernel = parsed->kernels[0];
  EXPECT_EQ(kernel.product->alpha.argument, 3u);
  EXPECT_EQ(kernel.product->addend, 0u);
  EXPECT_EQ(kernel.product->beta.value, 0.25);
  EXPECT_EQ(kernel.library->algorithm.data[7], 255u);
  EXPECT_EQ(kernel.library->libraryMicroseconds, 8);
  EXPECT_FALSE(parsed->kernels[1].product);
}

TEST(ProductTableTest, ManifestRefusesEachBrokenField) {
  struct Case {
    const char *message;
    std::function<void(Manifest &)> change;
  };
  auto product = [](Manifest &m) -> GpuProduct & { return *m.kernels[0].product; };
  const Case cases[] = {
      {"has no argument 9", [&](Manifest &m) { product(m).b = 9; }},
      {"has no argument 4", [&](Manifest &m) { product(m).beta.argument = 4; }},
      {"is too large", [&](Manifest &m) { product(m).groups = product(m).m = 1ll << 31; }},
      {"reaches beyond buffer \"tokens\"", [&](Manifest &m) { product(m).m = 5; }},
      {"reaches beyond buffer \"weight\"",
       [&](Manifest &m) {
         product(m).n = 17;
         product(m).k = 1;
       }},
      {"a factor that is no number", [&](Manifest &m) { product(m).beta.value = NAN; }},
      {"has a library but is no product",
       [&](Manifest &m) { m.kernels[1].library = library({}, 0); }},
      {"no workspace for the library",
       [&](Manifest &m) { m.kernels[0].library = library({}, 512); }},
      {"no workspace of 512 bytes", [&](Manifest &m) { m.kernels[0].library = library(0, 512); }},
      {"no workspace of 512 bytes", [&](Manifest &m) { m.kernels[0].library = library(999, 512); }},
  };
  ASSERT_TRUE(validateManifest(productManifest()).isOk());
  for (const Case &each : cases) {
    Manifest m = productManifest();
    each.change(m);
    expectCorrupt(validateManifest(m), each.message);
  }
}

TEST(ProductTableTest, TableTextRoundTrips) {
  std::string text = writeProductTable(tableFor(8));
  StatusOr<ProductTable> parsed = parseProductTable(text);
  ASSERT_TRUE(parsed.isOk()) << parsed.status().message();
  EXPECT_EQ(writeProductTable(*parsed), text);
  ASSERT_EQ(parsed->entries.size(), 2u);
  EXPECT_TRUE(parsed->entries[0].prefersLibrary());
  EXPECT_FALSE(parsed->entries[1].prefersLibrary());
}

TEST(ProductTableTest, ABadTableIsOneSentence) {
  std::string good = writeProductTable(tableFor(8));
  auto replaced = [&](const std::string &from, const std::string &to) {
    std::string text = good;
    size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return text.replace(at, from.size(), to);
  };
  const std::pair<std::string, const char *> cases[] = {
      {"{", "it is no JSON"},
      {"[]", "object"},
      {replaced("smelt product table", "recipe"), "it is no table of products"},
      {replaced("\"version\":1,", "\"version\":2,"), "version"},
      {replaced("cublaslt", "magma"), "there is no library \"magma\""},
      {replaced("000000000000000700", "00000000000000070"), "128 hexadecimal digits"},
      {replaced("\"library_us\":8.0", "\"library_us\":-8.0"), "\"library_us\" must be above 0"},
      {replaced("\"generated_us\":10.0", "\"generated_us\":\"fast\""), "products[0]"},
      {replaced("64x64x64 nn bf16", "2x4x8 nt f32 alpha + addend"), "is there twice"},
      {replaced("\"generated_us\"", "\"genrated_us\""), "key \"generated_us\" is missing"},
  };
  for (const auto &[text, message] : cases) {
    expectCorrupt(parseProductTable(text).status(), message);
  }
}

TEST(ProductTableTest, TheFasterOneIsChosen) {
  Manifest m = productManifest();
  uint64_t arena = m.arenaBytes;
  MergedTable merged = mergeProductTable(m, tableFor(8));
  EXPECT_EQ(merged.products, 1u);
  EXPECT_EQ(merged.measured, 1u);
  EXPECT_EQ(merged.library, 1u);
  ASSERT_TRUE(m.kernels[0].library);
  const Buffer &workspace = m.buffers[*m.kernels[0].library->workspace];
  EXPECT_EQ(workspace.kind, BufferKind::Workspace);
  EXPECT_GE(workspace.offset, arena); // Shared with nothing.
  EXPECT_EQ(workspace.bytes, 512u);
  EXPECT_EQ(m.arenaBytes, workspace.offset + 512);
  EXPECT_TRUE(validateManifest(m).isOk()) << validateManifest(m).message();

  // Another table replaces the choice and its workspace.
  EXPECT_EQ(mergeProductTable(m, tableFor(8, 0)).library, 1u);
  EXPECT_FALSE(m.kernels[0].library->workspace);
  EXPECT_EQ(m.buffers.size(), productManifest().buffers.size());
  EXPECT_TRUE(validateManifest(m).isOk());

  // 1 % is an accident; and what is not in the table stays generated.
  EXPECT_EQ(mergeProductTable(m, tableFor(9.9)).library, 0u);
  EXPECT_FALSE(m.kernels[0].library);
  merged = mergeProductTable(m, ProductTable{"x", {}});
  EXPECT_EQ(merged.measured, 0u);
  EXPECT_EQ(merged.library, 0u);
}
} // namespace
