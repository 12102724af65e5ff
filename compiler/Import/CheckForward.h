//===- CheckForward.h - What only shows when the steps run ------*- C++ -*-===//
#ifndef SMELT_COMPILER_IMPORT_CHECKFORWARD_H
#define SMELT_COMPILER_IMPORT_CHECKFORWARD_H

#include "compiler/Import/Spec.h"

namespace smelt {

/// Walks the steps in the order they run, layer by layer: saved names exist before they are used
/// and have the shape of their use, the stream is started before it is used, and no tensor's size
/// overflows. Notes the widest activation.
void checkForward(const JsonValue &tree, Spec &spec, SpecDiagnostics &diagnostics);

} // namespace smelt
#endif
