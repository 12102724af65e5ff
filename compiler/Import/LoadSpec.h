//===- LoadSpec.h - Spec files and overlays as one tree ---------*- C++ -*-===//
//
// A spec may stand on another one: {"smelt": 1, "base": "../a.json", "set": {PATH: VALUE …}}. The
// base is read first, from a path relative to the overlay's folder, and may be an overlay itself.
//
//===----------------------------------------------------------------------===//
#ifndef SMELT_COMPILER_IMPORT_LOADSPEC_H
#define SMELT_COMPILER_IMPORT_LOADSPEC_H

#include "compiler/Import/Json.h"

namespace llvm {
class MemoryBuffer;
class SourceMgr;
} // namespace llvm

namespace smelt {

class SpecDiagnostics;

/// Overlays on overlays: at most this many files.
constexpr unsigned kMaxOverlays = 16;

/// Reads the text, which stands in `source` under the file name `name`, and its bases; `tree` is
/// then a whole spec whose values have marks in the files that they come from. Bases become buffers
/// of `sourceMgr`, when there is one.
bool loadSpec(llvm::StringRef text, llvm::StringRef name, uint32_t source,
              SpecDiagnostics &diagnostics, llvm::SourceMgr *sourceMgr, JsonValue &tree);

} // namespace smelt
#endif
