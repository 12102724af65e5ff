//===- FusionTest.h - Specs for the fusion tests ----------------*- C++ -*-===//
#ifndef SMELT_TEST_COMPILER_TRANSFORMS_FUSION_FUSIONTEST_H
#define SMELT_TEST_COMPILER_TRANSFORMS_FUSION_FUSIONTEST_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "mlir/Pass/PassManager.h"
#include <functional>
#include <string>

namespace smelt::test {

/// What stands in a spec's step lists, as JSON text; empty ones are left out.
struct Steps {
  std::string afterEmbedding; ///< Steps behind the embedding, each followed by a comma.
  std::string layerStart;     ///< Steps before each layer's residual mix, each followed by a comma.
  std::string layerEnd;       ///< Steps behind each layer's MLP, each after a comma.
  std::string q = R"({"rms_norm": {}}, {"rope": {}})";
  std::string k = R"({"rms_norm": {}}, {"rope": {}})";
  std::string v;
  std::string mlpInput = R"({"rms_norm": {}})";
  std::string beforeHead = R"({"rms_norm": {}},)";
  std::string attention; ///< Members of each layer's attention, each followed by a comma.
  int microBatches = 1;
};

/// A spec of two small layers.
std::string makeSpec(const Steps &steps);

/// The spec's module at the train phase: gradients and optimisers in place. Fails the test on
/// errors.
mlir::OwningOpRef<mlir::ModuleOp> importAndDifferentiate(mlir::MLIRContext &context,
                                                         const std::string &spec);

/// Forms kernels, runs `fuse` on each function, and outlines if asked.
void makeKernels(mlir::ModuleOp module, const std::function<void(mlir::OpPassManager &)> &fuse,
                 bool outline);

mlir::MLIRContext &getContext();

} // namespace smelt::test

#endif
