//===- RegisterEverything.h - Dialects and passes of the tools --*- C++ -*-===//
#ifndef SMELT_TOOLS_SMELT_OPT_REGISTEREVERYTHING_H
#define SMELT_TOOLS_SMELT_OPT_REGISTEREVERYTHING_H

namespace mlir {
class DialectRegistry;
}

namespace smelt {
/// Adds Smelt's four dialects and the upstream ones that Smelt lowers to.
void registerDialects(mlir::DialectRegistry &registry);

/// Adds Smelt's passes and pipelines, and the upstream passes that tests use, to the process-wide
/// pass registry.
void registerPasses();
} // namespace smelt

#endif
