//===- Import.h - JSON spec → lm module -------------------------*- C++ -*-===//
#ifndef SMELT_COMPILER_IMPORT_IMPORT_H
#define SMELT_COMPILER_IMPORT_IMPORT_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include <string>
#include <vector>

namespace llvm {
class SourceMgr;
}

namespace smelt {

struct ImportOptions {
  /// `training.steps=100`: a path into the spec and a JSON value (text that is no JSON is a
  /// string).
  std::vector<std::string> overrides;
  /// "spec" or "f32": like an override of the key 'precision'; empty: what the spec says.
  std::string precision;
  /// When given, the spec's and the overrides' texts become buffers of it, so that a
  /// SourceMgrDiagnosticHandler on the same manager shows lines and carets for overrides too.
  llvm::SourceMgr *sourceMgr = nullptr;
};

/// Reads a spec and builds its `lm` module (with the `train` declarations). Problems are reported
/// as errors through the context's diagnostic engine at FileLineColLocs; the result is null then. A
/// null result means exit code 3. The module carries the resolved spec's text as the string
/// attribute `smelt.spec`.
mlir::OwningOpRef<mlir::ModuleOp> importSpec(mlir::MLIRContext &context, llvm::StringRef path,
                                             const ImportOptions &options = {});

/// The same for a text in memory; `name` is the file name in messages.
mlir::OwningOpRef<mlir::ModuleOp> importSpecText(mlir::MLIRContext &context, llvm::StringRef text,
                                                 llvm::StringRef name,
                                                 const ImportOptions &options = {});

} // namespace smelt
#endif
