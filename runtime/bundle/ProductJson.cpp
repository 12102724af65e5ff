//===- ProductJson.cpp - Kernels that are products, as JSON ---------------===//
//
//   "product":{"groups":1,"m":49152,"n":768,"k":3072,"transpose_a":false,"transpose_b":false,"type":"bf16",
//              "a":0,"b":1,"output":4,"alpha":{"argument":2},"addend":3,"beta":{"value":1.0}}
//   "library":{"name":"cublaslt","version":130100,"algorithm":"…128
//   digits…","workspace_bytes":1024,
//              "workspace":17,"generated_us":314.5,"library_us":301.2}
//
//===----------------------------------------------------------------------===//
#include "runtime/bundle/ProductJson.h"

#include <cmath>
#include <limits>

namespace smelt::runtime {

using nlohmann::ordered_json;

namespace {
constexpr int64_t kMaxSize = int64_t(1) << 31;
constexpr uint64_t kMaxArguments = 1 << 20, kMaxWorkspace = uint64_t(1) << 32;

GpuFactor readFactor(JsonObject &owner, const char *key, Status &failure) {
  GpuFactor factor;
  JsonObject object(owner.value(key), owner.pathOf(key), failure);
  if (object.has("argument"))
    factor.argument = static_cast<uint32_t>(object.unsignedInteger("argument", kMaxArguments));
  else
    factor.value = object.number("value");
  object.finish();
  return factor;
}

ordered_json factorJson(const GpuFactor &factor) {
  if (factor.argument)
    return {{"argument", *factor.argument}};
  return {{"value", factor.value}};
}

uint32_t readArgument(JsonObject &object, const char *key) {
  return static_cast<uint32_t>(object.unsignedInteger(key, kMaxArguments));
}
} // namespace

GpuProduct readProduct(JsonObject &object, Status &failure) {
  GpuProduct product;
  product.groups = object.integer("groups", 1, kMaxSize);
  product.m = object.integer("m", 1, kMaxSize);
  product.n = object.integer("n", 1, kMaxSize);
  product.k = object.integer("k", 1, kMaxSize);
  product.transposeA = object.boolean("transpose_a");
  product.transposeB = object.boolean("transpose_b");
  std::string type = object.text("type");
  if (auto parsed = parseDType(type); parsed == DType::BF16 || parsed == DType::F32)
    product.type = *parsed;
  else
    object.fail(concat("a product cannot be \"", type, "\""));
  product.a = readArgument(object, "a");
  product.b = readArgument(object, "b");
  product.output = readArgument(object, "output");
  product.alpha = readFactor(object, "alpha", failure);
  if (object.has("addend")) {
    product.addend = readArgument(object, "addend");
    product.beta = readFactor(object, "beta", failure);
  }
  object.finish();
  return product;
}

ordered_json productJson(const GpuProduct &product) {
  ordered_json json = {{"groups", product.groups},
                       {"m", product.m},
                       {"n", product.n},
                       {"k", product.k},
                       {"transpose_a", product.transposeA},
                       {"transpose_b", product.transposeB},
                       {"type", dtypeName(product.type)},
                       {"a", product.a},
                       {"b", product.b},
                       {"output", product.output},
                       {"alpha", factorJson(product.alpha)}};
  if (product.addend) {
    json["addend"] = *product.addend;
    json["beta"] = factorJson(product.beta);
  }
  return json;
}

std::string algorithmText(const std::array<uint64_t, 8> &data) {
  std::string text;
  for (uint64_t word : data)
    for (int shift = 60; shift >= 0; shift -= 4)
      text += "0123456789abcdef"[word >> shift & 15];
  return text;
}

std::optional<std::array<uint64_t, 8>> parseAlgorithm(std::string_view text) {
  std::array<uint64_t, 8> data = {};
  if (text.size() != 128)
    return std::nullopt;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'f'))
      return std::nullopt;
    data[i / 16] = data[i / 16] << 4 | static_cast<uint64_t>(c <= '9' ? c - '0' : c - 'a' + 10);
  }
  return data;
}

KernelLibrary readKernelLibrary(JsonObject &object, Status &) {
  KernelLibrary library;
  if (std::string name = object.text("name"); name != "cublaslt")
    object.fail(concat("there is no library \"", name, "\""));
  library.algorithm.version = object.unsignedInteger("version", kMaxWorkspace);
  if (auto data = parseAlgorithm(object.text("algorithm")))
    library.algorithm.data = *data;
  else
    object.fail("\"algorithm\" must be 128 hexadecimal digits");
  library.algorithm.workspaceBytes = object.unsignedInteger("workspace_bytes", kMaxWorkspace);
  if (object.has("workspace"))
    library.workspace = readArgument(object, "workspace");
  library.generatedMicroseconds = object.number("generated_us");
  library.libraryMicroseconds = object.number("library_us");
  object.finish();
  return library;
}

ordered_json kernelLibraryJson(const KernelLibrary &library) {
  ordered_json json = {{"name", "cublaslt"},
                       {"version", library.algorithm.version},
                       {"algorithm", algorithmText(library.algorithm.data)},
                       {"workspace_bytes", library.algorithm.workspaceBytes}};
  if (library.workspace)
    json["workspace"] = *library.workspace;
  json["generated_us"] = library.generatedMicroseconds;
  json["library_us"] = library.libraryMicroseconds;
  return json;
}

namespace {
/// groups · rows · columns, or nothing if that is no size.
std::optional<uint64_t> countElements(int64_t groups, int64_t rows, int64_t columns) {
  uint64_t matrix = static_cast<uint64_t>(rows) * static_cast<uint64_t>(columns);
  if (matrix > (uint64_t(1) << 46) / static_cast<uint64_t>(groups))
    return std::nullopt;
  return matrix * static_cast<uint64_t>(groups);
}
} // namespace

Status checkKernelProduct(const Manifest &manifest, const Kernel &kernel) {
  if (kernel.library && !kernel.product)
    return corruptError("kernel \"", kernel.name, "\" has a library but is no product");
  if (!kernel.product)
    return Status::ok();
  const GpuProduct &p = *kernel.product;
  auto fail = [&](auto... what) {
    return corruptError("kernel \"", kernel.name, "\": its product ", what...);
  };
  if (!countElements(p.groups, p.m, p.n) || !countElements(p.groups, p.m, p.k) ||
      !countElements(p.groups, p.k, p.n))
    return fail("is too large");
  for (std::optional<uint32_t> argument :
       {std::optional(p.a), std::optional(p.b), std::optional(p.output), p.addend, p.alpha.argument,
        p.beta.argument})
    if (argument && *argument >= kernel.arguments)
      return fail("has no argument ", *argument);
  if (!std::isfinite(p.alpha.value) || !std::isfinite(p.beta.value))
    return fail("has a factor that is no number");
  if (!kernel.library)
    return Status::ok();
  const KernelLibrary &library = *kernel.library;
  if (library.algorithm.workspaceBytes && !library.workspace)
    return fail("has no workspace for the library");
  if (!library.workspace)
    return Status::ok();
  if (*library.workspace >= manifest.buffers.size() ||
      manifest.buffers[*library.workspace].kind != BufferKind::Workspace ||
      manifest.buffers[*library.workspace].bytes < library.algorithm.workspaceBytes)
    return fail("has no workspace of ", library.algorithm.workspaceBytes, " bytes for the library");
  return Status::ok();
}

Status checkLaunchProduct(const Manifest &manifest, const Kernel &kernel, const Launch &launch) {
  if (!kernel.product)
    return Status::ok();
  const GpuProduct &p = *kernel.product;
  uint64_t operand = dtypeBytes(DType::BF16), result = dtypeBytes(p.type);
  auto check = [&](std::optional<uint32_t> argument, uint64_t bytes) -> Status {
    if (!argument)
      return Status::ok();
    const Buffer &buffer = manifest.buffers[launch.arguments[*argument]];
    if (buffer.bytes < bytes)
      return corruptError("the product of kernel \"", kernel.name, "\" reaches beyond buffer \"",
                          buffer.name, "\"");
    return Status::ok();
  };
  SMELT_RETURN_IF_ERROR(check(p.a, *countElements(p.groups, p.m, p.k) * operand));
  SMELT_RETURN_IF_ERROR(check(p.b, *countElements(p.groups, p.k, p.n) * operand));
  SMELT_RETURN_IF_ERROR(check(p.output, *countElements(p.groups, p.m, p.n) * result));
  SMELT_RETURN_IF_ERROR(check(p.addend, *countElements(p.groups, p.m, p.n) * result));
  SMELT_RETURN_IF_ERROR(check(p.alpha.argument, dtypeBytes(DType::F32)));
  return check(p.beta.argument, dtypeBytes(DType::F32));
}

} // namespace smelt::runtime
