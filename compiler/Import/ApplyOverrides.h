//===- ApplyOverrides.h - --set training.steps=100 --------------*- C++ -*-===//
#ifndef SMELT_COMPILER_IMPORT_APPLYOVERRIDES_H
#define SMELT_COMPILER_IMPORT_APPLYOVERRIDES_H

#include "compiler/Import/Json.h"

namespace llvm {
class SourceMgr;
}

namespace smelt {

/// Replaces or adds the value at each override's path in `tree`. New values stand in sources of
/// their own, called
/// "--set:training.steps", which also go into `sourceMgr` when there is one.
bool applyOverrides(JsonValue &tree, const std::vector<std::string> &overrides,
                    SpecDiagnostics &diagnostics, llvm::SourceMgr *sourceMgr);

} // namespace smelt
#endif
