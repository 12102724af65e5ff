//===- RunText.h - Interpret a module given as text --------------*- C++ -*-===//
#ifndef SMELT_TEST_COMPILER_REFERENCE_RUNTEXT_H
#define SMELT_TEST_COMPILER_REFERENCE_RUNTEXT_H

#include "compiler/Reference/Interpreter.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"
#include <string>
#include <vector>

namespace smelt::test {

/// A module and its interpreter. Diagnostics go to `messages` instead of the terminal.
class Program {
public:
  explicit Program(const std::string &text);

  /// Runs a function; empty (and a message) where it fails.
  std::vector<reference::Tensor> run(llvm::StringRef function,
                                     llvm::ArrayRef<reference::Tensor> inputs = {});

  reference::Interpreter &getInterpreter() { return *interpreter; }
  std::string messages;

private:
  mlir::OwningOpRef<mlir::ModuleOp> module;
  std::unique_ptr<reference::Interpreter> interpreter;
};

/// The function @f with these arguments, results and body, run on `inputs`.
std::vector<reference::Tensor> runBody(const std::string &arguments, const std::string &results,
                                       const std::string &body,
                                       llvm::ArrayRef<reference::Tensor> inputs);

/// Fails the test unless shapes agree and all elements lie within `tolerance`.
void expectNear(const reference::Tensor &actual, const reference::Tensor &expected,
                double tolerance = 1e-12);

} // namespace smelt::test

#endif
