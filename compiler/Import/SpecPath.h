//===- SpecPath.h - Edits of a spec by path ---------------------*- C++ -*-===//
//
// Paths of `--set` and of overlays:
//
//   training.stages[0].tokens                      keys, elements of lists from 0, [-1] the last
//   forward[layers].layers[attention].attention.k  the step with that key; [mix#2] the second one
//   optimizers[0].parameters["*.gate"]             a key with dots, stars or brackets in it
//   k[+], k[+2], k[+token_shift]                   a new element: at the end, before 2, before that
//
// The value null removes what the path leads to.
//
//===----------------------------------------------------------------------===//
#ifndef SMELT_COMPILER_IMPORT_SPECPATH_H
#define SMELT_COMPILER_IMPORT_SPECPATH_H

#include "compiler/Import/Json.h"

namespace smelt {

class SpecDiagnostics;

/// Puts `value` at `path` of `tree`, or removes what is there when it is null. Only the last part
/// of the path may be new. Reports at `mark` what cannot be followed and returns false then.
bool editSpec(JsonValue &tree, llvm::StringRef path, JsonValue value, Mark mark,
              SpecDiagnostics &diagnostics);

} // namespace smelt
#endif
