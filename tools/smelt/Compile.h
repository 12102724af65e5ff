//===- Compile.h - A spec through the phases --------------------*- C++ -*-===//
//
// Standard types only: this is what the exception-free MLIR side offers to the rest of the tool.
// Every function prints its own diagnostics on standard error and returns an exit code (0, 3 =
// spec, 4 = corrupt input, 7 = storage, 1 = a defect of Smelt).
//
//===----------------------------------------------------------------------===//
#pragma once

#include "tools/smelt/Options.h"

namespace smelt::cli {

/// `smelt check`: the spec through the importer and its verifiers; prints one line about the model,
/// and with ranks or a GPU what a run costs.
int checkSpec(const CheckOptions &options);

/// `smelt compile`: runs the phases after `options.from` up to `options.to`. A bundle is written to
/// `options.output`; other phases are text, written to the file `options.output` or, when that is
/// empty, to standard output.
int compileSpec(const CompileOptions &options);

/// `smelt explain`.
int explainSpec(const ExplainOptions &options);

/// NAME of models/NAME.json, NAME.smelt or NAME.mlir.
std::string modelName(const std::string &input);

} // namespace smelt::cli
