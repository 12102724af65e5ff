//===- AccumulateGradients.cpp - Add up the micro-batches' gradients ------===//
//
// Where an update sees several micro-batches, each train.gradient becomes the sum of what the buffer
// holds (times the setting "accumulate", or "accumulate.P" of a group that is updated every P steps)
// and the new gradient. IR before and after: Passes.td.
//
//===----------------------------------------------------------------------===//
#include "compiler/Transforms/Optimizers/Passes.h"
#include "compiler/Transforms/Optimizers/UpdateProgram.h"
#include "llvm/ADT/DenseMap.h"

using namespace mlir;
using smelt::UpdatePeriod;

namespace smelt {
#define GEN_PASS_DEF_ACCUMULATEGRADIENTSPASS
#include "compiler/Transforms/Optimizers/Passes.h.inc"
} // namespace smelt

namespace {

int64_t getInteger(DictionaryAttr dictionary, StringRef key, int64_t otherwise) {
  auto value = dictionary.getAs<IntegerAttr>(key);
  return value ? value.getInt() : otherwise;
}

/// Has a stage several micro-batches a step?
bool hasMicroBatches(train::RunOp run) {
  auto training = run.getConfig().getAs<DictionaryAttr>("training");
  auto stages = training ? training.getAs<ArrayAttr>("stages") : ArrayAttr();
  return stages && llvm::any_of(stages, [](Attribute stage) {
           auto dictionary = dyn_cast<DictionaryAttr>(stage);
           return dictionary && getInteger(dictionary, "micro_batches", 1) > 1;
         });
}

/// `setting` is 0 for the first micro-batch after an update, else 1.
void accumulate(train::GradientOp op, StringRef setting) {
  OpBuilder builder(op);
  Location loc = op.getLoc();
  Value fresh = op.getGradient();
  auto scalar = RankedTensorType::get({}, builder.getF32Type());
  Value old = train::ReadGradientOp::create(builder, loc, fresh.getType(), op.getParameterAttr());
  Value keep = lm::SettingOp::create(builder, loc, scalar,
                                     FlatSymbolRefAttr::get(builder.getContext(), setting));
  Value one = lm::ConstantOp::create(builder, loc, scalar, 1.0);
  Value sum = lm::MixOp::create(builder, loc, fresh.getType(), ValueRange{old, fresh},
                                ValueRange{keep, one});
  op.getGradientMutable().assign(sum);
  op.setTotal(true);
}

struct AccumulateGradientsPass : smelt::impl::AccumulateGradientsPassBase<AccumulateGradientsPass> {
  void runOnOperation() override {
    bool inSteps = llvm::any_of(getOperation().getOps<train::RunOp>(), hasMicroBatches);
    llvm::DenseMap<StringAttr, UpdatePeriod> periods;
    for (auto op : getOperation().getOps<train::OptimizerOp>())
      if (UpdatePeriod period = UpdatePeriod::of(op); !period.isOuter)
        for (Attribute name : op.getParameters())
          periods[cast<FlatSymbolRefAttr>(name).getAttr()] = period;
    getOperation().walk([&](train::GradientOp op) {
      UpdatePeriod period = periods.lookup(op.getParameterAttr().getAttr());
      if (op.getTotal() || (period.every == 1 && !inSteps))
        return;
      accumulate(op, "accumulate" + period.getSettingSuffix());
      ++accumulated;
    });
  }
};

} // namespace
