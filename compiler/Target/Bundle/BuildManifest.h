//===- BuildManifest.h - An exec module as a manifest -----------*- C++ -*-===//
#ifndef SMELT_COMPILER_TARGET_BUNDLE_BUILDMANIFEST_H
#define SMELT_COMPILER_TARGET_BUNDLE_BUILDMANIFEST_H

#include "compiler/Target/CPU/CPUTarget.h"
#include "mlir/IR/BuiltinOps.h"
#include "runtime/bundle/Manifest.h"

namespace smelt {

/// Everything of the manifest but the files. Errors are reported at the ops.
mlir::FailureOr<runtime::Manifest> buildManifest(mlir::ModuleOp module, const CPUTarget &target);

} // namespace smelt
#endif
