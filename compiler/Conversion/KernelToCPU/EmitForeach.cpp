//===- EmitForeach.cpp - kernel.foreach ---------------------------------------===//
// One parallel loop over chunks of all lanes. The code is that of one chunk of one lane: where a
// chunk's lane begins, its size, its buffers and its constants are read from tables, so its size does
// not grow with the lanes. Every element is computed alike: threads do not change the bits.
#include "compiler/Conversion/KernelToCPU/EmitKernels.h"
#include "compiler/Conversion/KernelToCPU/RowEmitter.h"

#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace smelt {
namespace {

/// Elements per share of work.
constexpr int64_t share = 4096;

class ForeachEmitter {
public:
  ForeachEmitter(kernel::ForeachOp op, KernelFunction &function, const RowProgram &program)
      : op(op), function(function), program(program), b(function.builder()),
        lanes(op.getLanes()) {}

  void emit() {
    SmallVector<int64_t> sizes, firstShares;
    int64_t shares = 0;
    for (int64_t lane = 0; lane < lanes; ++lane) {
      sizes.push_back(cast<RankedTensorType>(op.getInputs()[lane].getType()).getNumElements());
      firstShares.push_back(shares);
      shares += llvm::divideCeil(sizes.back(), share);
    }
    // Lanes beyond the last one, which the search may ask for, begin after everything.
    firstShares.resize(llvm::PowerOf2Ceil(lanes), shares);
    sizeTable = makeTable(sizes);
    firstTable = makeTable(firstShares);
    SmallVector<int64_t> slots;
    for (Value value : llvm::concat<Value>(op.getInputs(), op.getOutputs()))
      slots.push_back(function.getSlot(value));
    slotTable = makeTable(slots);
    for (auto row : op.getConstants().getAsRange<lm::NumbersAttr>())
      constantTables.push_back(makeTable(row.asArrayRef()));
    function.emitParallel(std::min(maxThreadsPerKernel, shares), [&](Value) {
      function.emitSharedLoop(0, shares, 1, [&](Value number) { emitShare(number); });
    });
  }

private:
  void emitShare(Value number) {
    Value lane = findLane(number);
    Value first = load(firstTable, lane), elements = load(sizeTable, lane);
    Value begin = function.mul(arith::SubIOp::create(b, number, first), share);
    Value end = arith::MinSIOp::create(b, function.add(begin, share), elements);
    SmallVector<RowSource> sources;
    SmallVector<RowSink> sinks;
    unsigned positions = op.getPositions();
    for (unsigned i = 0; i < positions; ++i)
      sources.push_back({getLane(i, lane, op.getInputs()[i * lanes]), {}, 0, {}});
    for (Value table : constantTables)
      sources.push_back({getElement(table, lane), {}, 0, {}});
    for (Value uniform : op.getUniforms())
      sources.push_back({function.getMemory(uniform), {}, 0, {}});
    for (unsigned i = 0; i < op.getOutputPositions(); ++i)
      sinks.push_back({getLane(positions + i, lane, op.getOutputs()[i * lanes]), {}, 0, {}});
    RowEmitter emitter(program, b, b.getLoc(), sources, sinks);
    int64_t width = function.getLanes();
    Value whole = arith::SubIOp::create(
        b, end, arith::RemUIOp::create(b, arith::SubIOp::create(b, end, begin),
                                       function.index(width)));
    function.emitLoop(begin, whole, width, [&](Value at) { emitChunk(emitter, at, width); });
    function.emitLoop(whole, end, 1, [&](Value at) { emitChunk(emitter, at, 0); });
  }

  /// All loads come before all stores, so that a result may lie where an input of its lane does.
  void emitChunk(RowEmitter &emitter, Value at, unsigned width) {
    int64_t chunk = program.getFeatures(program.getBlock().getArgument(0));
    FeatureChunk features =
        FeatureChunk::at(at, /*multipleOf=*/1, 0, 0, chunk, static_cast<unsigned>(width));
    emitter.startRow();
    Value row = function.index(0);
    for (unsigned i = 0; i < op.getPositions(); ++i)
      emitter.get(program.getBlock().getArgument(i), row, features);
    emitter.emitChunk(row, features);
  }

  /// The last lane whose first share is not after `number`.
  Value findLane(Value number) {
    Value lane = function.index(0);
    for (int64_t step = llvm::PowerOf2Ceil(lanes) / 2; step > 0; step /= 2) {
      Value next = function.add(lane, step);
      Value isThere = arith::CmpIOp::create(b, arith::CmpIPredicate::sle, load(firstTable, next), number);
      lane = arith::SelectOp::create(b, isThere, next, lane);
    }
    return lane;
  }

  /// The flat memory of position `position` of `lane`; its elements are those of `example`.
  Value getLane(unsigned position, Value lane, Value example) {
    Value slot = load(slotTable, function.add(lane, position * lanes));
    return function.getMemoryOfSlot(
        slot, cast<RankedTensorType>(example.getType()).getElementType());
  }

  //===- Tables -------------------------------------------------------------===//

  Value makeTable(ArrayRef<int64_t> values) {
    auto type = RankedTensorType::get({static_cast<int64_t>(values.size())}, b.getI64Type());
    return function.getConstantTable(DenseElementsAttr::get(type, values));
  }
  Value makeTable(ArrayRef<double> values) {
    auto type = RankedTensorType::get({static_cast<int64_t>(values.size())}, b.getF32Type());
    SmallVector<float> floats(values.begin(), values.end());
    return function.getConstantTable(DenseElementsAttr::get(type, ArrayRef<float>(floats)));
  }
  Value load(Value table, Value at) {
    return arith::IndexCastOp::create(b, b.getIndexType(),
                                      memref::LoadOp::create(b, table, ValueRange{at}));
  }
  /// table[at] as a memory of one element.
  Value getElement(Value table, Value at) {
    auto type = MemRefType::get({1}, b.getF32Type(),
                                StridedLayoutAttr::get(b.getContext(), ShapedType::kDynamic, {1}));
    return memref::ReinterpretCastOp::create(b, type, table, OpFoldResult(at),
                                             ArrayRef<OpFoldResult>{b.getIndexAttr(1)},
                                             ArrayRef<OpFoldResult>{b.getIndexAttr(1)});
  }

  kernel::ForeachOp op;
  KernelFunction &function;
  const RowProgram &program;
  ImplicitLocOpBuilder &b;
  int64_t lanes;
  Value sizeTable, firstTable, slotTable;
  SmallVector<Value> constantTables;
};

} // namespace

LogicalResult emitKernel(kernel::ForeachOp op, KernelFunction &function) {
  RowProgram program(op.getBody(), function.getTarget().lanes);
  if (!program.whyNot().empty())
    return op.emitOpError("cannot be generated for the CPU: ") << program.whyNot();
  ForeachEmitter(op, function, program).emit();
  return success();
}

} // namespace smelt
