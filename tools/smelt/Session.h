//===- Session.h - One module on its way through the phases -----*- C++ -*-===//
#pragma once

#include "tools/smelt/Explain.h"
#include "tools/smelt/Options.h"

#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"
#include "mlir/Support/LogicalResult.h"
#include "llvm/Support/SourceMgr.h"

#include <memory>

namespace mlir {
class SourceMgrDiagnosticHandler;
}

namespace smelt::cli {

/// The named phases, in order. A module is "at" the phase that made it.
enum class Phase { Spec, LM, Train, Kernel, Exec, Bundle };

/// The phase of that name; the command line has checked it.
Phase phaseOf(const std::string &name);
const char *nameOf(Phase phase);
/// "host" for the target "cpu", NAME for "cpu:NAME".
std::string cpuOf(const std::string &target);
/// The target itself if it names a GPU ("sm_90a"), else empty.
std::string gpuOf(const std::string &target);

/// Owns the context, prints diagnostics at their place in the spec.
class Session {
public:
  explicit Session(const CompileOptions &options);
  ~Session();

  /// Reads options.input: a spec, or IR text at phase options.from. Returns the exit code.
  int load();
  /// Runs every phase after the current one up to `last` (at most Exec), dumping where asked.
  /// Returns the exit code.
  int runTo(Phase last);

  mlir::ModuleOp module() { return *module_; }
  Phase phase() const { return phase_; }
  const std::vector<SpecStep> &steps() const { return steps_; }

private:
  int dump();

  CompileOptions options_;
  llvm::SourceMgr sourceManager_;
  mlir::MLIRContext context_;
  std::unique_ptr<mlir::SourceMgrDiagnosticHandler> handler_;
  mlir::OwningOpRef<mlir::ModuleOp> module_;
  Phase phase_ = Phase::Spec;
  std::vector<SpecStep>
      steps_; ///< Taken from the lm module, where every step still has ops of its own.
};

} // namespace smelt::cli
