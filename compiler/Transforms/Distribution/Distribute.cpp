//===- Distribute.cpp - Let the ranks of a job share a step ---------------===//
//
// IR before and after: Passes.td.
//
//===----------------------------------------------------------------------===//
#include "compiler/Transforms/Distribution/Passes.h"
#include "compiler/Transforms/Distribution/ShardUpdates.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace smelt;

namespace smelt {
#define GEN_PASS_DEF_DISTRIBUTEPASS
#include "compiler/Transforms/Distribution/Passes.h.inc"
} // namespace smelt

LogicalResult smelt::checkMicroBatches(ModuleOp module, int64_t ranks) {
  for (auto run : module.getOps<train::RunOp>()) {
    auto training = run.getConfig().getAs<DictionaryAttr>("training");
    auto stages = training ? training.getAs<ArrayAttr>("stages") : ArrayAttr();
    if (!stages)
      continue;
    for (auto stage : stages.getAsRange<DictionaryAttr>()) {
      auto number = stage.getAs<IntegerAttr>("micro_batches");
      int64_t microBatches = number ? number.getInt() : 1;
      if (microBatches % ranks == 0)
        continue;
      auto first = stage.getAs<IntegerAttr>("first");
      auto error = run.emitError("the ") << microBatches << " micro-batches of a step do not divide among " << ranks << " ranks";
      if (first)
        error << " (from step " << first.getInt() << " on)";
      return error << "; training.micro_batch sets their size";
    }
  }
  return success();
}

namespace {

/// Symbols with the bytes that each moves, in program order.
using Tensors = llvm::MapVector<StringAttr, int64_t>;
/// One message carries one element type.
using ByType = llvm::MapVector<Type, Tensors>;

struct DistributePass : smelt::impl::DistributePassBase<DistributePass> {
  using Base::Base;

  void runOnOperation() override {
    if (ranks < 1) {
      getOperation().emitError("cannot be run by ") << ranks.getValue() << " ranks";
      return signalPassFailure();
    }
    if (ranks == 1)
      return;
    if (failed(checkMicroBatches(getOperation(), ranks)))
      return signalPassFailure();
    for (auto run : getOperation().getOps<train::RunOp>())
      noteRanks(run);
    SymbolTable symbols(getOperation());
    SmallVector<func::FuncOp> updates;
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (auto role = function->getAttrOfType<StringAttr>("smelt.role");
          role && role.getValue() == "update")
        updates.push_back(function);
    if (shard)
      for (func::FuncOp function : updates)
        shardUpdates(function, symbols);
    if (narrow)
      narrowed += gatherNarrow(getOperation(), symbols);
    for (func::FuncOp function : updates)
      communicate(function);
  }

  void shardUpdates(func::FuncOp function, SymbolTable &symbols) {
    function.walk([&](Operation *op) {
      TypeSwitch<Operation *>(op)
          .Case<train::AdamOp, train::AdamWOp>([&](auto op) { shardAdam(op, symbols, ranks, shardBytes); })
          .Case<train::MuonOp, train::NorMuonOp>([&](auto op) { shardMatrices(op, symbols, ranks); });
    });
  }

  void noteRanks(train::RunOp run) {
    Builder builder(&getContext());
    auto training = run.getConfig().getAs<DictionaryAttr>("training");
    if (!training)
      return;
    NamedAttrList withRanks(training), config(run.getConfig());
    withRanks.set("job_ranks", builder.getI64IntegerAttr(ranks));
    config.set("training", withRanks.getDictionary(&getContext()));
    run.setConfigAttr(config.getDictionary(&getContext()));
  }

  /// Sums before everything else, what is made whole behind it.
  void communicate(func::FuncOp function) {
    ByType reduced, scattered, gathered;
    function.walk([&](Operation *op) {
      // Blocks of rows of one tensor add up to what it has, or count more than once: a bucket's size is no exact matter.
      if (auto read = dyn_cast<train::ReadGradientOp>(op))
        add(read.getRanks() == 1 ? reduced : scattered, read.getParameterAttr(), read.getGradient(), read.getRanks());
      else if (auto write = dyn_cast<train::WriteOp>(op); write && write.getRanks() > 1)
        add(gathered, write.getSymbolAttr(), write.getValue(), write.getRanks());
    });
    Location loc = function.getLoc();
    OpBuilder builder = OpBuilder::atBlockBegin(&function.getBody().front());
    auto count = builder.getI64IntegerAttr(ranks);
    fillBuckets(reduced, [&](ArrayAttr bucket) { train::AllReduceOp::create(builder, loc, bucket); });
    fillBuckets(scattered, [&](ArrayAttr bucket) { train::ReduceScatterOp::create(builder, loc, bucket, count); });
    builder.setInsertionPoint(function.getBody().front().getTerminator());
    fillBuckets(gathered, [&](ArrayAttr bucket) { train::AllGatherOp::create(builder, loc, bucket, count); });
  }

  static void add(ByType &tensors, FlatSymbolRefAttr name, Value value, int64_t parts) {
    auto type = cast<RankedTensorType>(value.getType());
    tensors[type.getElementType()][name.getAttr()] += parts * getTensorBytes(type);
  }

  void fillBuckets(const ByType &byType, function_ref<void(ArrayAttr)> create) {
    for (auto &[type, tensors] : byType) {
      SmallVector<Attribute> bucket;
      int64_t bytes = 0;
      auto close = [&] {
        if (bucket.empty())
          return;
        create(ArrayAttr::get(&getContext(), bucket));
        bucket.clear();
        bytes = 0;
        ++buckets;
      };
      for (auto &[name, size] : tensors) {
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
