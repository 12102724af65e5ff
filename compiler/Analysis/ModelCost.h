//===- ModelCost.h - What a model costs, counted on its lm module -*- C++ -*-===//
//
// Parameters, arithmetic and tokens follow from the `lm` module alone; nothing is compiled or run.
//
//===----------------------------------------------------------------------===//
#ifndef SMELT_COMPILER_ANALYSIS_MODELCOST_H
#define SMELT_COMPILER_ANALYSIS_MODELCOST_H

#include "mlir/IR/BuiltinOps.h"
#include <map>
#include <string>
#include <vector>

namespace smelt {

/// Consecutive steps with one batch and one training program.
struct StageCost {
  int64_t firstStep = 0, lastStep = 0;
  int64_t tokens = 0;       ///< Of a step, all ranks together.
  int64_t microBatches = 0; ///< Of a step, all ranks together.
  int64_t microTokens = 0;
  std::string program;
  /// Keys that a query sees on average in the stage's last step, summed over the attentions, when
  /// no document is shorter than the window: the most that it can be.
  double attentionKeys = 0;
  /// Training: the forward pass, and twice its products (2.5 times for attention, which computes
  /// its scores again) backward. Only matrix products and attention are counted.
  double flopsPerToken = 0;
};

struct ModelCost {
  int64_t parameters = 0, parameterBytes = 0;
  /// Parameters by the first part of their names: embeddings, layers, head, scalars, forward.
  std::map<std::string, int64_t> parametersByPart;
  /// Weights that every token is multiplied by; a product is two operations for each.
  int64_t productWeights = 0;
  std::vector<StageCost> stages;
};

/// Counts the module that the importer made.
ModelCost countModel(mlir::ModuleOp module);

} // namespace smelt
#endif
