//===- ModelCost.cpp - What a model costs, counted on its lm module -------===//
#include "compiler/Analysis/ModelCost.h"
#include "compiler/Analysis/Windows.h"
#include "dialects/LM/LMOps.h"
#include "dialects/Train/TrainOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace smelt;

namespace {

int64_t getInteger(DictionaryAttr dictionary, StringRef key) {
  auto value = dictionary.getAs<IntegerAttr>(key);
  return value ? value.getInt() : 0;
}

int64_t getDim(Value value, unsigned axis) {
  return cast<RankedTensorType>(value.getType()).getDimSize(axis);
}

class Counter {
public:
  explicit Counter(ModuleOp module) : module(module), symbols(module) {}

  ModelCost count() {
    for (auto parameter : module.getOps<lm::ParameterOp>())
      countParameter(parameter);
    for (auto run : module.getOps<train::RunOp>())
      if (auto training = run.getConfig().getAs<DictionaryAttr>("training"))
        if (auto stages = training.getAs<ArrayAttr>("stages"))
          for (auto stage : stages.getAsRange<DictionaryAttr>())
            countStage(stage);
    return std::move(cost);
  }

private:
  void countParameter(lm::ParameterOp parameter) {
    auto type = cast<RankedTensorType>(parameter.getType());
    int64_t elements = type.getNumElements();
    cost.parameters += elements;
    cost.parameterBytes += elements * type.getElementTypeBitWidth() / 8;
    cost.parametersByPart[parameter.getSymName().split('.').first.str()] += elements;
  }

  void countStage(DictionaryAttr config) {
    StageCost stage;
    stage.firstStep = getInteger(config, "first");
    stage.lastStep = getInteger(config, "last");
    stage.microTokens = getInteger(config, "tokens");
    stage.microBatches = getInteger(config, "micro_batches");
    stage.tokens = stage.microTokens * stage.microBatches;
    stage.program = config.getAs<StringAttr>("program").str();
    auto function = symbols.lookup<func::FuncOp>(stage.program);
    if (!function)
      return;
    int64_t weights = 0;
    double attention = 0;
    std::map<std::pair<int64_t, int64_t>, double> averages; // layers share their windows
    function.walk([&](Operation *op) {
      if (auto product = dyn_cast<lm::MatmulOp>(op)) {
        weights += getDim(product.getB(), 0) * getDim(product.getB(), 1);
      } else if (auto product = dyn_cast<lm::QuantizedMatmulOp>(op)) {
        weights += getDim(product.getW(), 0) * getDim(product.getW(), 1);
      } else if (auto heads = dyn_cast<lm::AttentionOp>(op)) {
        auto range = heads.getFirst().getDefiningOp<lm::AttentionRangeOp>();
        if (!range)
          return;
        auto key = std::make_pair(getWindowAt(range.getWindow(), stage.lastStep, symbols),
                                  int64_t(range.getBlocks().value_or(0)));
        auto [it, isNew] = averages.try_emplace(key, 0);
        if (isNew)
          it->second = averageKeys(stage.microTokens, key.first, key.second);
        stage.attentionKeys += it->second;
        attention += it->second * getDim(heads.getQ(), 1) * getDim(heads.getQ(), 2);
      }
    });
    // Per key and feature: q·k and p·v, and backward the scores again, dv, dp, dq and dk.
    stage.flopsPerToken = 6.0 * weights + (4 + 10) * attention;
    cost.productWeights = weights;
    cost.stages.push_back(stage);
  }

  ModuleOp module;
  SymbolTable symbols;
  ModelCost cost;
};

} // namespace

ModelCost smelt::countModel(ModuleOp module) { return Counter(module).count(); }
