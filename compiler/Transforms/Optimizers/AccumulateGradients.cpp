//===- AccumulateGradients.cpp - Add up the micro-batches' gradients ------===//
//
// Where the run has several micro-batches an update, each train.gradient becomes the sum of what the buffer holds (times the setting
// "accumulate") and the new gradient. IR before and after: Passes.td.
//
//===----------------------------------------------------------------------===//
#include "compiler/Transforms/Optimizers/Passes.h"

using namespace mlir;

namespace smelt {
#define GEN_PASS_DEF_ACCUMULATEGRADIENTSPASS
#include "compiler/Transforms/Optimizers/Passes.h.inc"
} // namespace smelt

namespace {

int64_t getInteger(DictionaryAttr dictionary, StringRef key, int64_t otherwise) {
  auto value = dictionary.getAs<IntegerAttr>(key);
  return value ? value.getInt() : otherwise;
}

/// Does one update see several micro-batches?
bool accumulates(train::RunOp run) {
  auto training = run.getConfig().getAs<DictionaryAttr>("training");
  if (!training)
    return false;
  if (getInteger(training, "optimizer_every", 1) > 1)
    return true;
  auto stages = training.getAs<ArrayAttr>("stages");
  return stages && llvm::any_of(stages, [](Attribute stage) {
           auto dictionary = dyn_cast<DictionaryAttr>(stage);
           return dictionary && getInteger(dictionary, "micro_batches", 1) > 1;
         });
}

void accumulate(train::GradientOp op) {
  OpBuilder builder(op);
  Location loc = op.getLoc();
  Value fresh = op.getGradient();
  auto scalar = RankedTensorType::get({}, builder.getF32Type());
  Value old = train::ReadGradientOp::create(builder, loc, fresh.getType(), op.getParameterAttr());
  Value keep = lm::SettingOp::create(builder, loc, scalar, FlatSymbolRefAttr::get(builder.getContext(), "accumulate"));
  Value one = lm::ConstantOp::create(builder, loc, scalar, 1.0);
  Value sum = lm::MixOp::create(builder, loc, fresh.getType(), ValueRange{old, fresh}, ValueRange{keep, one});
  op.getGradientMutable().assign(sum);
  op.setTotal(true);
}

struct AccumulateGradientsPass : smelt::impl::AccumulateGradientsPassBase<AccumulateGradientsPass> {
  void runOnOperation() override {
    if (llvm::none_of(getOperation().getOps<train::RunOp>(), accumulates))
      return;
    getOperation().walk([&](train::GradientOp op) {
      if (op.getTotal())
        return;
      accumulate(op);
      ++accumulated;
    });
  }
};

} // namespace
