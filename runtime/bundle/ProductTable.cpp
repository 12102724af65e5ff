//===- ProductTable.cpp - Measured choices between kernels ----------------===//
//
//   {"format":"smelt product table","version":1,"library":"cublaslt","device":"NVIDIA
//   H200","products":[
//    {"product":"49152x768x3072 nn bf16","generated_us":314.5,"library_us":301.2,"version":130100,
//     "algorithm":"…128 digits…","workspace_bytes":1024}]}
//
//===----------------------------------------------------------------------===//
#include "runtime/bundle/ProductTable.h"
#include "runtime/bundle/ProductJson.h"

#include <algorithm>
#include <set>

namespace smelt::runtime {

using nlohmann::json;
using nlohmann::ordered_json;

namespace {
constexpr const char *kFormat = "smelt product table", *kWorkspace = "cublaslt.workspace";
} // namespace

std::string describeProduct(const GpuProduct &product) {
  std::string text = product.groups > 1 ? concat(product.groups, " x ") : "";
  text += concat(product.m, "x", product.n, "x", product.k, " ", product.transposeA ? "t" : "n",
                 product.transposeB ? "t" : "n", " ", dtypeName(product.type));
  if (product.alpha.argument)
    text += " alpha";
  if (product.addend)
    text += product.beta.argument ? " + beta addend" : " + addend";
  return text;
}

namespace {
ProductEntry readEntry(JsonObject &object) {
  ProductEntry entry;
  entry.product = object.text("product");
  entry.generatedMicroseconds = object.number("generated_us");
  if (entry.generatedMicroseconds <= 0)
    object.fail("\"generated_us\" must be above 0");
  if (object.has("algorithm")) {
    entry.libraryMicroseconds = object.number("library_us");
    if (entry.libraryMicroseconds <= 0)
      object.fail("\"library_us\" must be above 0");
    LibraryAlgorithm &algorithm = entry.algorithm.emplace();
    algorithm.version = object.unsignedInteger("version", uint64_t(1) << 32);
    algorithm.workspaceBytes = object.unsignedInteger("workspace_bytes", uint64_t(1) << 32);
    if (auto data = parseAlgorithm(object.text("algorithm")))
      algorithm.data = *data;
    else
      object.fail("\"algorithm\" must be 128 hexadecimal digits");
  }
  object.finish();
  return entry;
}
} // namespace

StatusOr<ProductTable> parseProductTable(std::string_view text) {
  json value = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (value.is_discarded())
    return corruptError("it is no JSON");
  Status failure;
  ProductTable table;
  JsonObject object(value, "", failure);
  if (object.text("format") != kFormat)
    object.fail("it is no table of products");
  object.integer("version", 1, 1);
  if (std::string library = object.text("library"); library != "cublaslt")
    object.fail(concat("there is no library \"", library, "\""));
  table.device = object.text("device");
  std::set<std::string> seen;
  size_t index = 0;
  for (const json &element : object.array("products")) {
    JsonObject entry(element, concat("products[", index++, "]"), failure);
    table.entries.push_back(readEntry(entry));
    if (!seen.insert(table.entries.back().product).second)
      entry.fail(concat("\"", table.entries.back().product, "\" is there twice"));
  }
  object.finish();
  if (!failure.isOk())
    return failure;
  return table;
}

std::string writeProductTable(const ProductTable &table) {
  std::string text = concat("{\"format\":\"", kFormat, "\",\"version\":1,\"library\":\"cublaslt\",",
                            "\"device\":", json(table.device).dump(), ",\"products\":[");
  const char *separator = "\n";
  for (const ProductEntry &entry : table.entries) {
    ordered_json json = {{"product", entry.product}, {"generated_us", entry.generatedMicroseconds}};
    if (entry.algorithm) {
      json["library_us"] = entry.libraryMicroseconds;
      json["version"] = entry.algorithm->version;
      json["algorithm"] = algorithmText(entry.algorithm->data);
      json["workspace_bytes"] = entry.algorithm->workspaceBytes;
    }
    text += separator + json.dump();
    separator = ",\n";
  }
  return text + "]}\n";
}

namespace {
/// Takes the manifest's choices away, and the workspace that they shared.
void removeChoices(Manifest &manifest) {
  for (Kernel &kernel : manifest.kernels)
    kernel.library.reset();
  if (!manifest.buffers.empty() && manifest.buffers.back().name == kWorkspace) {
    manifest.arenaBytes = manifest.buffers.back().offset;
    manifest.buffers.pop_back();
  }
}

/// Index of a new workspace behind the arena; nothing for no bytes.
std::optional<uint32_t> addWorkspace(Manifest &manifest, uint64_t bytes) {
  if (!bytes)
    return std::nullopt;
  constexpr uint64_t alignment = 256;
  auto align = [](uint64_t x) { return (x + alignment - 1) / alignment * alignment; };
  Buffer &buffer = manifest.buffers.emplace_back();
  buffer.name = kWorkspace;
  buffer.kind = BufferKind::Workspace;
  buffer.dtype = DType::I32;
  buffer.offset = align(manifest.arenaBytes);
  buffer.bytes = align(bytes);
  buffer.shape = {static_cast<int64_t>(buffer.bytes / dtypeBytes(buffer.dtype))};
  manifest.arenaBytes = buffer.offset + buffer.bytes;
  return static_cast<uint32_t>(manifest.buffers.size() - 1);
}
} // namespace

MergedTable mergeProductTable(Manifest &manifest, const ProductTable &table) {
  removeChoices(manifest);
  MergedTable merged;
  uint64_t bytes = 0;
  for (Kernel &kernel : manifest.kernels) {
    if (!kernel.product)
      continue;
    ++merged.products;
    std::string product = describeProduct(*kernel.product);
    auto entry = std::find_if(table.entries.begin(), table.entries.end(),
                              [&](const ProductEntry &each) { return each.product == product; });
    if (entry == table.entries.end())
      continue;
    ++merged.measured;
    if (!entry->prefersLibrary())
      continue;
    ++merged.library;
    kernel.library = {
        *entry->algorithm, {}, entry->generatedMicroseconds, entry->libraryMicroseconds};
    bytes = std::max(bytes, entry->algorithm->workspaceBytes);
  }
  std::optional<uint32_t> workspace = addWorkspace(manifest, bytes);
  for (Kernel &kernel : manifest.kernels)
    if (kernel.library && kernel.library->algorithm.workspaceBytes)
      kernel.library->workspace = workspace;
  return merged;
}

} // namespace smelt::runtime
