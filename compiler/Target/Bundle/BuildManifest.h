//===- BuildManifest.h - An exec module as a manifest -----------*- C++ -*-===//
#ifndef SMELT_COMPILER_TARGET_BUNDLE_BUILDMANIFEST_H
#define SMELT_COMPILER_TARGET_BUNDLE_BUILDMANIFEST_H

#include "mlir/IR/BuiltinOps.h"
#include "runtime/bundle/Manifest.h"

namespace smelt {

/// Everything of the manifest but the target and the files. Errors are reported at the ops.
mlir::FailureOr<runtime::Manifest> buildManifest(mlir::ModuleOp module);

} // namespace smelt
#endif
