//===- EmitEmbeddingBackward.cpp - kernel.embedding_backward --------------===//
// The rows of the table are dealt to buckets; a bucket's thread walks over all tokens in order and
// adds the rows of dy whose token is in its bucket. So every row of dy is evaluated once, and every
// sum is in the order of tokens whatever the number of threads.
#include "compiler/Conversion/KernelToCPU/AttentionBlocks.h"
#include "compiler/Conversion/KernelToCPU/EmitKernels.h"
#include "compiler/Conversion/KernelToCPU/RowEmitter.h"

using namespace mlir;

namespace smelt {
namespace {

/// Consecutive tokens fall into different buckets: text uses few neighbouring bytes often.
constexpr int64_t kBuckets = 32, kSpread = 37;

struct EmbeddingPlan {
  EmbeddingPlan(kernel::EmbeddingBackwardOp op, const CPUTarget &target)
      : dy(op.getDy(), target.lanes), result(op.getResult(), target.lanes) {
    auto sum = cast<RankedTensorType>(result.getBlock().getArgument(0).getType());
    entries = sum.getDimSize(0), width = sum.getNumElements() / entries;
    identity = sum.getElementType().isF32() && result.getTerminator()->getNumOperands() == 1 &&
               result.getTerminator()->getOperand(0) == result.getBlock().getArgument(0);
    blockRows = std::max<int64_t>(1, (entries + 63) / 64);
    blocks = (entries + blockRows - 1) / blockRows;
    sumBytes = identity ? 0 : llvm::alignTo(entries * width * 4, 64);
    bytes = sumBytes + blocks * result.getPartialFloats() * 4;
  }
  RowProgram dy, result;
  int64_t entries, width, blockRows, blocks, sumBytes, bytes;
  bool identity;
};

} // namespace

int64_t getWorkspaceBytes(kernel::EmbeddingBackwardOp op, const CPUTarget &target) {
  return EmbeddingPlan(op, target).bytes;
}

LogicalResult emitKernel(kernel::EmbeddingBackwardOp op, KernelFunction &function) {
  EmbeddingPlan plan(op, function.getTarget());
  for (const RowProgram *program : {&plan.dy, &plan.result})
    if (!program->whyNot().empty())
      return op.emitOpError("cannot be generated for the CPU: ") << program->whyNot();
  if (plan.dy.getPartialFloats() || plan.dy.getTerminator()->getNumOperands() != 1)
    return op.emitOpError(
        "cannot be generated for the CPU: region dy must yield one tensor, and no sums over rows");
  ImplicitLocOpBuilder &b = function.builder();
  int64_t lanes = function.getLanes(), tokens = plan.dy.getRows();
  Value list = function.getMemory(op.getTokens());
  Value sum = plan.identity ? function.getMemory(op.getOutputs()[0])
                            : function.getWorkspace(0, plan.entries * plan.width, b.getF32Type());
  auto vector = VectorType::get({lanes}, b.getF32Type());
  SmallVector<RowSource> dySources = makeWholeSources(function, plan.dy, op.getDyInputs());
  SmallVector<RowSource> sources = makeWholeSources(function, plan.result, op.getResultInputs(), 1);
  sources[0] = {sum, {}, plan.width, {}};
  SmallVector<RowSink> sinks;
  for (auto [output, value] :
       llvm::zip(op.getOutputs(), plan.result.getTerminator()->getOperands()))
    sinks.push_back({function.getMemory(output), {}, plan.result.getFeatures(value), {}});
  int64_t floats = plan.result.getPartialFloats();
  Value partials =
      floats ? function.getWorkspace(plan.sumBytes, plan.blocks * floats, b.getF32Type()) : Value();

  function.emitParallel(std::min(kBuckets, maxThreadsPerKernel), [&](Value) {
    Value sumBase; // Of the current token's row.
    auto accumulate = [&](OpBuilder &, Location, Value, const FeatureChunk &chunk, Value value) {
      Value first =
          chunk.dynamic ? function.add(chunk.dynamic, chunk.offset) : function.index(chunk.offset);
      Value at = function.add(sumBase, first);
      if (chunk.isScalar()) {
        Value old = memref::LoadOp::create(b, sum, ValueRange{at});
        memref::StoreOp::create(b, arith::AddFOp::create(b, old, value), sum, ValueRange{at});
      } else if (chunk.lanes == lanes) {
        Value old = vector::LoadOp::create(b, vector, sum, ValueRange{at});
        vector::StoreOp::create(b, arith::AddFOp::create(b, old, value), sum, ValueRange{at});
      } else {
        SmallVector<bool> bits(lanes, false);
        std::fill_n(bits.begin(), chunk.lanes, true);
        Value mask = arith::ConstantOp::create(
            b, DenseElementsAttr::get(VectorType::get({lanes}, b.getI1Type()), bits));
        Value zero = arith::ConstantOp::create(b, DenseElementsAttr::get(vector, 0.0f));
        Value old = vector::MaskedLoadOp::create(b, vector, sum, ValueRange{at}, mask, zero);
        vector::MaskedStoreOp::create(b, sum, ValueRange{at}, mask,
                                      arith::AddFOp::create(b, old, value));
      }
    };
    RowSink sink;
    sink.store = accumulate;
    RowEmitter rows(plan.dy, b, b.getLoc(), dySources, sink);
    auto isMine = [&](Value entry, Value bucket) -> Value { // entry · spread mod buckets
      Value of = arith::RemUIOp::create(b, function.mul(entry, kSpread), function.index(kBuckets));
      return arith::CmpIOp::create(b, arith::CmpIPredicate::eq, of, bucket);
    };
    auto when = [&](Value condition, llvm::function_ref<void()> body) {
      auto branch = scf::IfOp::create(b, condition, /*withElseRegion=*/false);
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPoint(branch.thenBlock()->getTerminator());
      body();
    };
    function.emitSharedLoop(0, kBuckets, 1, [&](Value bucket) {
      function.emitLoop(0, plan.entries, 1, [&](Value entry) {
        when(isMine(entry, bucket), [&] {
          Value base = function.mul(entry, plan.width);
          Value zero = arith::ConstantOp::create(b, b.getF32FloatAttr(0));
          function.emitLoop(0, plan.width, 1, [&](Value j) {
            memref::StoreOp::create(b, zero, sum, ValueRange{function.add(base, j)});
          });
        });
      });
      function.emitLoop(0, tokens, 1, [&](Value row) {
        Value token = arith::IndexCastOp::create(b, b.getIndexType(),
                                                 memref::LoadOp::create(b, list, ValueRange{row}));
        when(isMine(token, bucket), [&] {
          sumBase = function.mul(token, plan.width);
          rows.emitRow(row);
        });
      });
    });
    if (plan.identity)
      return;
    RowEmitter results(plan.result, b, b.getLoc(), sources, sinks);
    function.emitSharedLoop(0, plan.entries, plan.blockRows, [&](Value begin) {
      if (floats) {
        Value block = arith::DivUIOp::create(b, begin, function.index(plan.blockRows));
        results.setPartials(partials, function.mul(block, floats));
        results.zeroPartials();
      }
      results.emitRows(begin, arith::MinUIOp::create(b, function.add(begin, plan.blockRows),
                                                     function.index(plan.entries)));
    });
  });
  if (!plan.identity) {
    RowEmitter totals(plan.result, b, b.getLoc(), sources, sinks);
    totals.storeTotals(partials, plan.blocks, floats);
  }
  return success();
}

} // namespace smelt
