//===- TuneCommand.cpp - Generated products or cuBLASLt's -----------------===//
//
// Every product of the bundle's programs is timed once on operands of random numbers, whatever else
// its buffers hold in training. The bundle gets the choices (ProductTable.h).
//
//===----------------------------------------------------------------------===//
#include "runtime/base/Files.h"
#include "runtime/base/Random.h"
#include "runtime/bundle/ProductTable.h"
#include "tools/smelt-run/Commands.h"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdio>
#include <set>

namespace smelt::runtime {

void addTuneOptions(CLI::App &command, TuneOptions &options) {
  command.add_option("bundle", options.bundle, "Bundle folder (NAME.smelt), compiled for a GPU")
      ->required();
  command.add_option("-o,--output", options.output, "Write this bundle [replace BUNDLE]");
  command.add_option("--table", options.table, "Take the times from this file: needs no GPU");
  command.add_option("--save-table", options.saveTable, "Also write the times to this file");
  command.add_option("--rounds", options.rounds, "Rounds; the median counts [10]")
      ->check(CLI::Range(1, 1000));
  command
      .add_option("--workspace", options.workspaceMebibytes,
                  "MiB that an algorithm of cuBLASLt may use besides [32]")
      ->check(CLI::Range(0, 1024));
  addDeviceChoice(command, options.device);
}

namespace {
/// Normal numbers over a buffer, the same 64 KiB again and again.
class Operands {
public:
  explicit Operands(Session &session) : session_(session) {
    RandomStream random(1, "tune");
    for (size_t i = 0; i < kValues; ++i) {
      storeElement(DType::BF16, random.normal(i), bf16_.data() + 2 * i);
      storeElement(DType::F32, random.normal(i), f32_.data() + 4 * i);
    }
  }
  Status fill(uint64_t offset, int64_t elements, DType type) {
    std::span<const std::byte> values =
        type == DType::F32 ? std::span<const std::byte>(f32_) : std::span<const std::byte>(bf16_);
    uint64_t bytes = static_cast<uint64_t>(elements) * dtypeBytes(type);
    for (uint64_t at = 0; at < bytes; at += values.size())
      SMELT_RETURN_IF_ERROR(session_.device().copyIn(
          offset + at, values.first(std::min<uint64_t>(values.size(), bytes - at))));
    return Status::ok();
  }

private:
  static constexpr size_t kValues = size_t(1) << 20;
  Session &session_;
  std::vector<std::byte> bf16_{2 * kValues}, f32_{4 * kValues};
};

Status fillOperands(Operands &operands, const GpuProduct &product, const DeviceLaunch &launch) {
  SMELT_RETURN_IF_ERROR(operands.fill(launch.offsets[product.a],
                                      product.groups * product.m * product.k, DType::BF16));
  SMELT_RETURN_IF_ERROR(operands.fill(launch.offsets[product.b],
                                      product.groups * product.k * product.n, DType::BF16));
  for (std::optional<uint32_t> factor : {product.alpha.argument, product.beta.argument})
    if (factor)
      SMELT_RETURN_IF_ERROR(operands.fill(launch.offsets[*factor], 1, DType::F32));
  return product.addend ? operands.fill(launch.offsets[*product.addend],
                                        product.groups * product.m * product.n, product.type)
                        : Status::ok();
}

StatusOr<ProductTable> measure(const TuneOptions &options) {
  SMELT_ASSIGN_OR_RETURN(auto session, Session::open(options.bundle, options.device));
  ProductTable table{session->device().description(), {}};
  Operands operands(*session);
  std::set<std::string> seen;
  for (const Program &program : session->manifest().programs) {
    std::vector<DeviceLaunch> launches = session->resolve(program);
    for (const DeviceLaunch &launch : launches) {
      const Kernel &kernel = session->manifest().kernels[launch.kernel];
      if (!kernel.product || !seen.insert(describeProduct(*kernel.product)).second)
        continue;
      SMELT_RETURN_IF_ERROR(fillOperands(operands, *kernel.product, launch));
      SMELT_ASSIGN_OR_RETURN(
          std::vector<ProductTime> times,
          session->device().timeProduct(launch, options.workspaceMebibytes << 20, options.rounds));
      ProductEntry &entry = table.entries.emplace_back();
      entry.product = describeProduct(*kernel.product);
      entry.generatedMicroseconds = times[0].microseconds;
      auto fastest = std::min_element(times.begin() + 1, times.end(), [](auto &a, auto &b) {
        return a.microseconds < b.microseconds;
      });
      if (fastest == times.end())
        continue;
      entry.algorithm = fastest->algorithm;
      entry.libraryMicroseconds = fastest->microseconds;
    }
  }
  return table;
}

StatusOr<ProductTable> readTable(const std::string &path) {
  SMELT_ASSIGN_OR_RETURN(std::string text, readFile(path));
  StatusOr<ProductTable> table = parseProductTable(text);
  return table.isOk() ? table : StatusOr<ProductTable>(table.status().withContext(path));
}

void print(const ProductTable &table) {
  std::printf("%12s %12s %8s  product\n", "generated", "cuBLASLt", "ratio");
  for (const ProductEntry &entry : table.entries) {
    if (entry.algorithm)
      std::printf("%9.1f us %9.1f us %8.3f  %s%s\n", entry.generatedMicroseconds,
                  entry.libraryMicroseconds,
                  entry.generatedMicroseconds / entry.libraryMicroseconds, entry.product.c_str(),
                  entry.prefersLibrary() ? ": cuBLASLt" : "");
    else
      std::printf("%9.1f us %12s %8s  %s\n", entry.generatedMicroseconds, "-", "-",
                  entry.product.c_str());
  }
}
} // namespace

Status runTune(const TuneOptions &options) {
  SMELT_ASSIGN_OR_RETURN(Bundle bundle, openBundle(options.bundle));
  if (bundle.manifest.target != "cuda")
    return usageError("bundle ", options.bundle,
                      " is for the CPU; only products on GPUs are tuned");
  SMELT_ASSIGN_OR_RETURN(ProductTable table,
                         options.table.empty() ? measure(options) : readTable(options.table));
  if (!options.saveTable.empty())
    SMELT_RETURN_IF_ERROR(writeFileAtomically(options.saveTable, writeProductTable(table)));
  print(table);
  MergedTable merged = mergeProductTable(bundle.manifest, table);
  std::map<std::string, std::string> files;
  for (const auto &[name, record] : bundle.manifest.files) {
    SMELT_ASSIGN_OR_RETURN(files[name], readFile(bundle.filePath(name)));
  }
  const std::string &output = options.output.empty() ? options.bundle : options.output;
  SMELT_RETURN_IF_ERROR(writeBundle(output, bundle.manifest, files));
  std::printf("%s: %zu of %zu kernels that are products by cuBLASLt (%zu not in the table)\n",
              output.c_str(), merged.library, merged.products, merged.products - merged.measured);
  return Status::ok();
}

} // namespace smelt::runtime
