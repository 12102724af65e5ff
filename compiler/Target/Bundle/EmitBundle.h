//===- EmitBundle.h - An exec module to a bundle folder ---------*- C++ -*-===//
#ifndef SMELT_COMPILER_TARGET_BUNDLE_EMITBUNDLE_H
#define SMELT_COMPILER_TARGET_BUNDLE_EMITBUNDLE_H

#include "mlir/IR/BuiltinOps.h"
#include "runtime/base/Status.h"
#include <string>

namespace smelt {

struct BundleOptions {
  /// "host", or LLVM's name of a CPU.
  std::string cpu = "host";
  /// "sm_90a" …: a GPU instead; empty: the CPU.
  std::string gpu = {};
  /// The ptxas to run for a GPU; empty: what the machine has, "none": PTX only.
  std::string ptxas = {};
  /// If not empty, the optimised LLVM IR and the assembly of the kernels are written to `<dumpPrefix>.ll` and `.s`.
  std::string dumpPrefix = {};
  /// A folder with kernels that were compiled before (compiler/Target/ObjectCache.h);
  /// empty: all are compiled.
  std::string cache = {};
};

/// Generates the kernels' code and writes the bundle; `module` (at phase exec) is not changed. Errors in the IR are reported at the ops
/// as well; the status tells what kind of failure it is.
runtime::Status emitBundle(mlir::ModuleOp module, const std::string &directory, const BundleOptions &options = {});

} // namespace smelt
#endif
