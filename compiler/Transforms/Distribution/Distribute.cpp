//===- Distribute.cpp - Let the ranks of a job share a step ---------------===//
//
// IR before and after: Passes.td.
//
//===----------------------------------------------------------------------===//
#include "compiler/Transforms/Distribution/Passes.h"
#include "dialects/Train/TrainCollectives.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;

namespace smelt {
#define GEN_PASS_DEF_DISTRIBUTEPASS
#include "compiler/Transforms/Distribution/Passes.h.inc"
} // namespace smelt

namespace {

/// The gradients that a program reads, in order, with their bytes.
using Gradients = llvm::MapVector<StringAttr, int64_t>;

int64_t getBytes(Type type) {
  auto tensor = cast<RankedTensorType>(type);
  return tensor.getNumElements() * tensor.getElementTypeBitWidth() / 8;
}

Type getElementType(train::ReadGradientOp read) {
  return cast<RankedTensorType>(read.getGradient().getType()).getElementType();
}

struct DistributePass : smelt::impl::DistributePassBase<DistributePass> {
  using Base::Base;

  void runOnOperation() override {
    if (ranks < 1) {
      getOperation().emitError("cannot be run by ") << ranks.getValue() << " ranks";
      return signalPassFailure();
    }
    if (ranks == 1)
      return;
    for (auto run : getOperation().getOps<train::RunOp>())
      if (failed(distribute(run)))
        return signalPassFailure();
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (auto role = function->getAttrOfType<StringAttr>("smelt.role"); role && role.getValue() == "update")
        sumGradients(function);
  }

  /// Checks that micro-batches divide, and notes the ranks.
  LogicalResult distribute(train::RunOp run) {
    Builder builder(&getContext());
    auto training = run.getConfig().getAs<DictionaryAttr>("training");
    if (!training)
      return success();
    if (auto stages = training.getAs<ArrayAttr>("stages"))
      for (auto stage : stages.getAsRange<DictionaryAttr>()) {
        auto number = stage.getAs<IntegerAttr>("micro_batches");
        int64_t microBatches = number ? number.getInt() : 1;
        if (microBatches % ranks == 0)
          continue;
        auto first = stage.getAs<IntegerAttr>("first");
        auto error = run.emitError("the ") << microBatches << " micro-batches of a step do not divide among " << ranks.getValue() << " ranks";
        if (first)
          error << " (from step " << first.getInt() << " on)";
        return error << "; training.micro_batch sets their size";
      }
    NamedAttrList withRanks(training), config(run.getConfig());
    withRanks.set("job_ranks", builder.getI64IntegerAttr(ranks));
    config.set("training", withRanks.getDictionary(&getContext()));
    run.setConfigAttr(config.getDictionary(&getContext()));
    return success();
  }

  void sumGradients(func::FuncOp function) {
    llvm::MapVector<Type, Gradients> byType;
    function.walk([&](train::ReadGradientOp read) {
      // Blocks of rows of one gradient add up to what it has, or count more than once: a bucket's size is no exact matter.
      byType[getElementType(read)][read.getParameterAttr().getAttr()] += getBytes(read.getGradient().getType());
    });
    OpBuilder builder = OpBuilder::atBlockBegin(&function.getBody().front());
    for (auto &[type, gradients] : byType) {
      SmallVector<Attribute> bucket;
      int64_t bytes = 0;
      auto close = [&] {
        if (bucket.empty())
          return;
        train::AllReduceOp::create(builder, function.getLoc(), builder.getArrayAttr(bucket));
        bucket.clear();
        bytes = 0;
        ++buckets;
      };
      for (auto &[name, size] : gradients) {
        bucket.push_back(FlatSymbolRefAttr::get(name));
        bytes += size;
        if (bytes >= bucketBytes)
          close();
      }
      close();
    }
  }
};

} // namespace
