//===- EmitForeach.cpp - kernel.foreach, many tensors in one launch -------===//
//
// Blocks are dealt to lanes by size. Addresses come from a table in the kernel's parameters, the
// constants of each lane are chosen by its number. A thread has a few groups of neighbouring
// elements and evaluates the region on each element; all its loads come before its stores, so
// results may lie where inputs of the lane do.
//
//===----------------------------------------------------------------------===//
#include "compiler/Conversion/KernelToGPU/EmitKernels.h"
#include "compiler/Conversion/KernelToGPU/GPUBuilder.h"
#include "llvm/ADT/DenseMap.h"

using namespace mlir;

namespace smelt {
namespace {

constexpr int64_t kThreads = 256, kPerThread = 8, kPerBlock = kThreads * kPerThread;

/// Neighbouring elements that a thread loads at once.
int64_t chooseVector(kernel::ForeachOp op, const GPUEmission &emission) {
  int64_t vector = 4;
  for (uint64_t lane = 0; lane < op.getLanes(); ++lane)
    if (op.getLaneElements(lane) < vector)
      return 1;
  for (ValueRange buffers : {ValueRange(op.getInputs()), ValueRange(op.getOutputs())})
    for (Value buffer : buffers) {
      int64_t bytes =
          vector * getElementTypeOrSelf(buffer.getType()).getIntOrFloatBitWidth() / 8;
      if (emission.getAlignment(emission.getArgument(buffer)) % bytes)
        return 1;
    }
  return vector;
}

/// Why `op` cannot be evaluated on one element; empty if it can.
StringRef whyNotScalar(Operation *op) {
  if (auto unary = dyn_cast<lm::UnaryOp>(op))
    return llvm::is_contained({lm::UnaryKind::identity, lm::UnaryKind::negate, lm::UnaryKind::sqrt,
                               lm::UnaryKind::reciprocal},
                              unary.getKind())
               ? ""
               : "its function has no code here";
  return isa<lm::ConstantOp, lm::AddOp, lm::MultiplyOp, lm::MixOp, lm::ScaleOp, lm::CastOp,
             lm::BroadcastOp>(op)
             ? ""
             : "it has no code here";
}

/// The value of `op` from those of its operands, all f32.
Value evaluate(GPUBuilder &g, Operation *op, llvm::DenseMap<Value, Value> &values) {
  auto operand = [&](unsigned i) { return values.lookup(op->getOperand(i)); };
  return llvm::TypeSwitch<Operation *, Value>(op)
      .Case([&](lm::ConstantOp constant) {
        auto elements = cast<DenseElementsAttr>(constant.getValue());
        return g.number(elements.getSplatValue<APFloat>().convertToDouble());
      })
      .Case([&](lm::AddOp) { return g.addf(operand(0), operand(1)); })
      .Case<lm::MultiplyOp, lm::ScaleOp>([&](auto) { return g.mulf(operand(0), operand(1)); })
      .Case([&](lm::MixOp mix) {
        Value sum;
        for (auto [value, coefficient] : llvm::zip(mix.getValues(), mix.getCoefficients())) {
          Value x = values.lookup(value), c = values.lookup(coefficient);
          sum = sum ? g.fma(c, x, sum) : g.mulf(c, x);
        }
        return sum;
      })
      .Case([&](lm::CastOp cast) {
        Type type = getElementTypeOrSelf(cast.getResult().getType());
        return type.isF32() ? operand(0) : g.roundTo(operand(0), type);
      })
      .Case([&](lm::BroadcastOp) { return operand(0); })
      .Case([&](lm::UnaryOp unary) -> Value {
        Value x = operand(0);
        if (unary.getKind() == lm::UnaryKind::sqrt)
          return g.sqrt(x);
        if (unary.getKind() == lm::UnaryKind::reciprocal)
          return g.divf(g.number(1), x);
        return unary.getKind() == lm::UnaryKind::negate ? g.negf(x) : x;
      });
}

/// The blocks of each lane and what its buffers are among the kernel's arguments.
struct Lanes {
  SmallVector<uint32_t> addresses; ///< Of a lane: its inputs, then its outputs.
  SmallVector<int64_t> firstBlocks;
  int64_t blocks = 0;

  Lanes(kernel::ForeachOp op, const GPUEmission &emission) {
    int64_t lanes = op.getLanes();
    for (int64_t lane = 0; lane < lanes; ++lane) {
      for (int64_t i = 0; i < int64_t(op.getPositions()); ++i)
        addresses.push_back(emission.getArgument(op.getInputs()[i * lanes + lane]));
      for (int64_t i = 0; i < int64_t(op.getOutputPositions()); ++i)
        addresses.push_back(emission.getArgument(op.getOutputs()[i * lanes + lane]));
      firstBlocks.push_back(blocks);
      blocks += llvm::divideCeil(op.getLaneElements(lane), kPerBlock);
    }
  }
};

/// The code of one thread.
class ForeachThread {
public:
  ForeachThread(kernel::ForeachOp op, GPUFunction &function, const Lanes &lanes)
      : op(op), body(op.getBody().front()), b(function.builder()), g(b),
        positions(op.getPositions()), outputs(op.getOutputPositions()) {
    Value table = function.addPointerTable(lanes.addresses);
    int64_t firstUniform = positions + op.getConstants().size();
    for (auto [i, uniform] : llvm::enumerate(op.getUniforms()))
      shared[body.getArgument(firstUniform + i)] = g.loadNumbers(
          function.getPointer(uniform), getElementTypeOrSelf(uniform.getType()), 1, true)[0];
    chooseLane(table, lanes.firstBlocks);
  }

  /// `vector` elements at a time: first all loads, then what is computed and stored.
  void run(int64_t vector);

private:
  using Numbers = SmallVector<GPUBuilder::Values>; ///< Of each buffer, neighbouring elements.

  /// This block's lane: its size, its constants, its buffers.
  void chooseLane(Value table, ArrayRef<int64_t> firstBlocks);
  Numbers load(Value at, int64_t count);
  void computeAndStore(Value at, int64_t count, const Numbers &loaded);

  kernel::ForeachOp op;
  Block &body;
  ImplicitLocOpBuilder &b;
  GPUBuilder g;
  int64_t positions, outputs;
  llvm::DenseMap<Value, Value> shared; ///< The region's uniforms and constants.
  Value block, firstBlock, size;
  SmallVector<Value> pointers;
};

void ForeachThread::chooseLane(Value table, ArrayRef<int64_t> firstBlocks) {
  block = g.block();
  Value which = g.integer(0);
  firstBlock = g.integer(0);
  size = g.integer(op.getLaneElements(0));
  SmallVector<Value> constants;
  for (auto row : op.getConstants().getAsRange<lm::NumbersAttr>())
    constants.push_back(g.number(row[0]));
  for (int64_t lane = 1, lanes = op.getLanes(); lane < lanes; ++lane) {
    Value here = g.atLeast(block, firstBlocks[lane]);
    which = g.select(here, g.integer(lane), which);
    firstBlock = g.select(here, g.integer(firstBlocks[lane]), firstBlock);
    size = g.select(here, g.integer(op.getLaneElements(lane)), size);
    for (auto [i, row] : llvm::enumerate(op.getConstants().getAsRange<lm::NumbersAttr>()))
      constants[i] = g.select(here, g.number(row[lane]), constants[i]);
  }
  for (auto [i, constant] : llvm::enumerate(constants))
    shared[body.getArgument(positions + i)] = constant;
  Value entry = g.mul(which, positions + outputs);
  for (int64_t i = 0; i < positions + outputs; ++i) {
    Value generic = g.load(g.offset(table, g.pointer(0), g.add(entry, i)), g.pointer(0), 8);
    pointers.push_back(LLVM::AddrSpaceCastOp::create(b, g.pointer(1), generic));
  }
}

ForeachThread::Numbers ForeachThread::load(Value at, int64_t count) {
  Numbers loaded;
  for (int64_t j = 0; j < positions; ++j) {
    Type type = getElementTypeOrSelf(body.getArgument(j).getType());
    loaded.push_back(g.loadNumbers(g.offset(pointers[j], type, at), type, count, true));
  }
  return loaded;
}

void ForeachThread::computeAndStore(Value at, int64_t count, const Numbers &loaded) {
  Numbers results(outputs);
  for (int64_t i = 0; i < count; ++i) {
    llvm::DenseMap<Value, Value> values = shared;
    for (int64_t j = 0; j < positions; ++j)
      values[body.getArgument(j)] = loaded[j][i];
    for (Operation &inner : body.without_terminator())
      values[inner.getResult(0)] = evaluate(g, &inner, values);
    for (auto [result, value] : llvm::zip(results, body.getTerminator()->getOperands()))
      result.push_back(values.lookup(value));
  }
  for (auto [j, value] : llvm::enumerate(body.getTerminator()->getOperands())) {
    Type type = getElementTypeOrSelf(value.getType());
    g.storeNumbers(results[j], g.offset(pointers[positions + j], type, at), type, true);
  }
}

void ForeachThread::run(int64_t vector) {
  int64_t rounds = kPerThread / vector;
  Value begin = g.add(g.mul(g.sub(block, firstBlock), kPerBlock), g.mul(g.thread(), vector));
  Value last = g.add(size, -vector);
  auto placeOf = [&](int64_t round) { return g.add(begin, round * kThreads * vector); };
  SmallVector<Numbers> loaded;
  for (int64_t round = 0; round < rounds; ++round)
    loaded.push_back(load(g.min(placeOf(round), last), vector));
  for (int64_t round = 0; round < rounds; ++round) {
    Value at = placeOf(round);
    g.when(g.atLeast(last, at), [&] { computeAndStore(at, vector, loaded[round]); });
    if (vector > 1) // What is left of a size that is no multiple of it.
      g.when(g.both(g.less(last, at), g.less(at, size)), [&] {
        g.loop(at, size, g.integer(1),
               [&](Value each) { computeAndStore(each, 1, load(each, 1)); });
      });
  }
}

} // namespace

LogicalResult emitGeneric(kernel::ForeachOp op, GPUEmission &emission) {
  for (Operation &inner : op.getBody().front().without_terminator())
    if (StringRef why = whyNotScalar(&inner); !why.empty())
      return inner.emitOpError("cannot be generated for GPUs: ") << why;
  Lanes lanes(op, emission);
  GPUFunction function(emission, "foreach", kThreads);
  ForeachThread(op, function, lanes).run(chooseVector(op, emission));
  function.finish({lanes.blocks, 1, 1});
  return success();
}

} // namespace smelt
