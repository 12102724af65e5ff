//===- GradientCheck.h - Gradients against central differences --*- C++ -*-===//
#ifndef SMELT_TEST_COMPILER_TRANSFORMS_AUTODIFF_GRADIENTCHECK_H
#define SMELT_TEST_COMPILER_TRANSFORMS_AUTODIFF_GRADIENTCHECK_H

#include "compiler/Reference/Interpreter.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"
#include <functional>
#include <random>
#include <string>

namespace smelt::test {

/// The gradient of everything checked, at most: relative to the largest component. A five-point
/// stencil with step 1e-3 in double has an error near 1e-12 on these smooth functions, so six
/// digits of room are for functions with large fifth derivatives.
inline constexpr double gradientTolerance = 1e-6;

/// A context with the dialects that gradient programs use.
mlir::MLIRContext &getContext();

mlir::OwningOpRef<mlir::ModuleOp> parseModule(const std::string &text);

/// Random values in ±[0.05, 1.05): away from 0, where relu has its corner. `positive`: all above 0.
reference::Tensor makeRandomTensor(std::mt19937_64 &random, llvm::ArrayRef<int64_t> shape,
                                   bool positive = false);

/// d objective / d x by a five-point stencil, one element at a time; `x` is restored.
reference::Tensor differentiateNumerically(reference::Tensor &x,
                                           const std::function<double()> &objective,
                                           double step = 1e-3);

/// Fails the current test unless the two agree within gradientTolerance of the numeric one's
/// largest component. Returns that component.
double expectSameGradient(const reference::Tensor &analytic, const reference::Tensor &numeric,
                          const std::string &what);

/// Checks the function @f of the module in `text` with respect to all its float arguments: the
/// objective is Σ of all float results, each weighted by fresh random numbers. Argument attributes:
/// {smelt.values = dense<…>} gives values (needed for integers), {smelt.positive} keeps random
/// values positive. Returns the sum over arguments of the gradient's largest component, so that
/// callers can ask that something was tested.
double checkGradients(const std::string &text);

} // namespace smelt::test

#endif
