//===- SpecText.h - Reads inputs and runs the importer on text --*- C++ -*-===//
#pragma once

#include "compiler/Import/Import.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/raw_ostream.h"
#include <fstream>
#include <sstream>

inline std::string readInput(const std::string &name) {
  std::ifstream file(std::string(SMELT_TEST_INPUTS) + "/" + name, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

/// Imports the text under the name "a.json"; returns what a user would see, and fills `ok`.
inline std::string importText(const std::string &text, bool &ok,
                              const std::vector<std::string> &overrides = {}) {
  static mlir::MLIRContext context;
  std::string output;
  llvm::raw_string_ostream os(output);
  llvm::SourceMgr sourceMgr;
  mlir::SourceMgrDiagnosticHandler handler(sourceMgr, &context, os);
  smelt::ImportOptions options;
  options.overrides = overrides;
  options.sourceMgr = &sourceMgr;
  ok = static_cast<bool>(smelt::importSpecText(context, text, "a.json", options));
  return output;
}

/// `text` with the only occurrence of `from` replaced; empty when it is not there exactly once.
inline std::string replaceOnce(std::string text, const std::string &from, const std::string &to) {
  size_t at = text.find(from);
  if (at == std::string::npos || text.find(from, at + 1) != std::string::npos)
    return "";
  return text.replace(at, from.size(), to);
}
