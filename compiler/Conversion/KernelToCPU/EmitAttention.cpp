//===- EmitAttention.cpp - kernel.attention ------------------------------===//
//
// Threads share blocks of 64 queries (of one head, or of all heads if the result region wants whole
// rows). For each block of 64 keys that some query sees: k's rows are pulled through their region
// (a token_shift is another row index) and transposed, S = (scale·Q)·Kᵀ in registers, online
// softmax, O = O·exp(m_old − m_new) + P·V. A block has its fixed order of keys: the bits do not
// depend on threads.
//
//===----------------------------------------------------------------------===//
#include "compiler/Conversion/KernelToCPU/AttentionBlocks.h"
#include "compiler/Conversion/KernelToCPU/EmitKernels.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;

namespace smelt {
namespace {

constexpr int64_t kBlock = kAttentionBlock;

struct AttentionPlan {
  AttentionPlan(kernel::AttentionOp op, const CPUTarget &target)
      : shape(op.getHeadsType()), q(op.getQ(), target.lanes), k(op.getK(), target.lanes),
        v(op.getV(), target.lanes), result(op.getResult(), target.lanes) {
    perHead = result.whyNot().empty() && result.isElementwiseIn(0);
    for (Value value : result.getTerminator()->getOperands())
      perHead &= !result.isTotal(value) && result.getFeatures(value) == shape.heads * shape.width;
  }
  std::string whyNot(kernel::AttentionOp op) const {
    if (!getElementTypeOrSelf(op.getLse()).isF32() || !getElementTypeOrSelf(op.getScale()).isF32())
      return "lse and scale are f32";
    for (const RowProgram *program : {&q, &k, &v})
      if (std::string why = whyNotOperandRegion(*program); !why.empty())
        return why;
    if (!result.whyNot().empty())
      return result.whyNot().str();
    RowReach reach = result.getReach(0);
    if (reach.before || reach.after)
      return "its result region reads neighbour rows of the attention output";
    return {};
  }
  int64_t workspaceBytes() const { return shape.blocks() * result.getPartialFloats() * 4; }

  AttentionShape shape;
  RowProgram q, k, v, result;
  bool perHead; ///< The result region works on each head by itself.
};

class ForwardEmitter : AttentionBlocks {
public:
  ForwardEmitter(kernel::AttentionOp op, KernelFunction &function, AttentionPlan &plan)
      : AttentionBlocks(function, plan.shape), op(op), plan(plan) {}

  void emit() {
    const RowProgram &result = plan.result;
    int64_t floats = result.getPartialFloats(), blocks = shape.blocks();
    first = function.getMemory(op.getFirst()), lse = function.getMemory(op.getLse());
    SmallVector<RowSource> sources = makeWholeSources(function, result, op.getResultInputs(), 1);
    sources[0].load = [this](OpBuilder &, Location, Value row, const FeatureChunk &chunk) {
      return loadOutput(row, chunk);
    };
    SmallVector<RowSink> sinks;
    for (auto [output, value] : llvm::zip(op.getOutputs(), result.getTerminator()->getOperands()))
      sinks.push_back({function.getMemory(output), {}, result.getFeatures(value), {}});
    Value partials = floats ? function.getWorkspace(0, blocks * floats, b.getF32Type()) : Value();

    int64_t items = plan.perHead ? blocks * shape.heads : blocks;
    function.emitParallel(std::min(items, maxThreadsPerKernel), [&](Value) {
      Value scale = splat(loadScalar(function.getMemory(op.getScale()), function.index(0)));
      auto qRows = makeEmitter(plan.q, makeWholeSources(function, plan.q, op.getQInputs()), scale);
      auto kRows = makeEmitter(plan.k, makeWholeSources(function, plan.k, op.getKInputs()));
      auto vRows = makeEmitter(plan.v, makeWholeSources(function, plan.v, op.getVInputs()));
      RowEmitter results(result, b, b.getLoc(), sources, sinks);
      allocateScratch();
      function.emitSharedLoop(0, items, 1, [&](Value item) {
        if (plan.perHead) {
          head = arith::RemUIOp::create(b, item, function.index(shape.heads));
          q0 = function.mul(
              spread(arith::DivUIOp::create(b, item, function.index(shape.heads)), blocks), kBlock);
          emitHead(*qRows, *kRows, *vRows);
          Value rows =
              arith::MinUIOp::create(b, arith::SubIOp::create(b, function.index(shape.tokens), q0),
                                     function.index(kBlock));
          function.emitLoop(function.index(0), rows, 1, [&](Value i) {
            results.emitRowWindow(function.add(q0, i), function.mul(head, shape.width), shape.width,
                                  (shape.heads - 1) * shape.width, shape.width);
          });
          return;
        }
        Value block = spread(item, blocks);
        q0 = function.mul(block, kBlock);
        function.emitLoop(0, shape.heads, 1, [&](Value h) {
          head = h;
          emitHead(*qRows, *kRows, *vRows);
          gatherHead();
        });
        if (floats) {
          results.setPartials(partials, function.mul(block, floats));
          results.zeroPartials();
        }
        results.emitRows(
            q0, arith::MinUIOp::create(b, function.add(q0, kBlock), function.index(shape.tokens)));
      });
    });
    RowEmitter totals(result, b, b.getLoc(), sources, sinks);
    totals.storeTotals(partials, blocks, floats);
  }

private:
  void allocateScratch() {
    qBlock = allocateRows(), kBlockRows = allocateRows(), kColumns = allocateRows(),
    vBlock = allocateRows(), output = allocateRows();
    scores = allocate(kBlock * kBlock), sums = allocate(kBlock * lanes), maxima = allocate(kBlock),
    factors = allocate(kBlock);
    if (!plan.perHead)
      whole = allocate(kBlock * shape.heads * shape.width + lanes);
  }

  /// Attention of queries [q0, q0 + 64) of `head`: normalised rows in `output`, and lse in its
  /// tensor.
  void emitHead(RowEmitter &qRows, RowEmitter &kRows, RowEmitter &vRows) {
    packRows(qRows, q0, head, qBlock);
    // The first key that any of the queries sees.
    auto least = scf::ForOp::create(b, function.index(0), function.index(kBlock), function.index(1),
                                    ValueRange{toInteger(q0)});
    {
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToEnd(least.getBody());
      Value i = least.getInductionVar();
      Value seen = loadScalar(first, clampRow(function.add(q0, i)));
      scf::YieldOp::create(b,
                           ValueRange{arith::MinSIOp::create(b, least.getRegionIterArg(0), seen)});
    }
    Value none = arith::ConstantOp::create(b, b.getF32FloatAttr(-1e30));
    function.emitLoop(0, kBlock, 1, [&](Value i) {
      storeScalar(none, maxima, i);
      store(number(0), sums, function.mul(i, lanes));
    });
    function.emitLoop(0, kBlock * stride, lanes, [&](Value at) { store(number(0), output, at); });
    Value begin = function.mul(
        arith::DivUIOp::create(b, toIndex(least.getResult(0)), function.index(kBlock)), kBlock);
    Value end = arith::MinUIOp::create(b, function.add(q0, kBlock), function.index(shape.tokens));
    function.emitLoop(begin, end, kBlock, [&](Value k0) {
      packRows(kRows, k0, head, kBlockRows);
      transpose(kBlockRows, kColumns);
      packRows(vRows, k0, head, vBlock);
      multiply({qBlock, stride}, {kColumns, kBlock}, {scores, kBlock}, shape.width, kBlock / lanes,
               Accumulate::Overwrite);
      emitSoftmax(k0);
      // On the diagonal, rows i … i + 3 see no keys past i + 3.
      multiply({scores, kBlock}, {vBlock, stride}, {output, stride}, kBlock, stride / lanes,
               Accumulate::ScaleAndAdd, factors, [&](Value i) -> Value {
                 Value last = arith::SubIOp::create(b, function.add(function.add(q0, i), 4), k0);
                 return arith::MinUIOp::create(b, last, function.index(kBlock));
               });
    });
    emitFinish();
  }

  /// Scores → probabilities relative to the new maxima; factors for what is summed already.
  void emitSoftmax(Value k0) {
    function.emitLoop(0, kBlock, 1, [&](Value i) {
      Value row = clampRow(function.add(q0, i)), at = function.mul(i, kBlock);
      Value low = loadScalar(first, row), high = toInteger(row), start = toInteger(k0);
      SmallVector<Value> s, mask;
      Value most;
      for (int64_t c = 0; c < kBlock; c += lanes) {
        mask.push_back(lanesBetween(
            arith::AddIOp::create(b, start, arith::ConstantOp::create(b, b.getI32IntegerAttr(c))),
            low, high));
        s.push_back(load(scores, function.add(at, c)));
        Value visible = select(mask.back(), s.back(), number(-1e30));
        most = most ? larger(visible, most) : visible;
      }
      Value peak =
          vector::ReductionOp::create(b, vector::CombiningKind::MAXNUMF, most,
                                      arith::FastMathFlags::reassoc | arith::FastMathFlags::nnan);
      Value old = loadScalar(maxima, i), now = larger(peak, old), nowAll = splat(now);
      Value factor = exp(sub(splat(old), nowAll)), sum;
      for (auto [c, score] : llvm::enumerate(s)) {
        // A NaN score stays NaN: only what is masked is set to 0.
        Value p = select(mask[c], exp(sub(score, nowAll)), number(0));
        store(p, scores, function.add(at, c * lanes));
        sum = sum ? add(sum, p) : p;
      }
      Value sumAt = function.mul(i, lanes);
      store(add(mul(load(sums, sumAt), factor), sum), sums, sumAt);
      storeScalar(now, maxima, i);
      storeScalar(vector::ExtractOp::create(b, factor, ArrayRef<int64_t>{0}), factors, i);
    });
  }

  void emitFinish() {
    Value rows = arith::MinUIOp::create(
        b, arith::SubIOp::create(b, function.index(shape.tokens), q0), function.index(kBlock));
    function.emitLoop(function.index(0), rows, 1, [&](Value i) {
      Value sum = vector::ReductionOp::create(
          b, vector::CombiningKind::ADD, load(sums, function.mul(i, lanes)),
          arith::FastMathFlags::reassoc | arith::FastMathFlags::contract);
      Value logarithm =
          arith::AddFOp::create(b, loadScalar(maxima, i), math::LogOp::create(b, sum));
      storeScalar(logarithm, lse,
                  function.add(function.mul(function.add(q0, i), shape.heads), head));
      Value one = arith::ConstantOp::create(b, b.getF32FloatAttr(1));
      Value inverse = splat(arith::DivFOp::create(b, one, sum));
      for (int64_t c = 0; c < stride; c += lanes) {
        Value at = function.add(function.mul(i, stride), c);
        store(mul(load(output, at), inverse), output, at);
      }
    });
  }

  /// One head's rows into the rows of all heads.
  void gatherHead() {
    function.emitLoop(0, kBlock, 1, [&](Value i) {
      Value from = function.mul(i, stride),
            to = function.add(function.mul(i, shape.heads * shape.width),
                              function.mul(head, shape.width));
      forVectors([&](int64_t at, int64_t valid) {
        storeValid(load(output, function.add(from, at)), whole, function.add(to, at), valid);
      });
    });
  }

  /// The attention output as the result region reads it.
  Value loadOutput(Value row, const FeatureChunk &chunk) {
    Value local = arith::SubIOp::create(b, row, q0);
    Value memory = plan.perHead ? output : whole, at;
    if (plan.perHead) // Element by element: the chunk is the window's.
      at = function.add(function.mul(local, stride), chunk.offset);
    else
      at = function.add(function.mul(local, shape.heads * shape.width),
                        chunk.dynamic ? function.add(chunk.dynamic, chunk.offset)
                                      : function.index(chunk.offset));
    return chunk.isScalar() ? loadScalar(memory, at) : load(memory, at);
  }

  Value larger(Value x, Value y) {
    return select(arith::CmpFOp::create(b, arith::CmpFPredicate::OGT, x, y), x, y);
  }

  kernel::AttentionOp op;
  AttentionPlan &plan;
  Value first, lse;
  Value head, q0;
  Value qBlock, kBlockRows, kColumns, vBlock, output, scores, sums, maxima, factors, whole;
};

} // namespace

int64_t getWorkspaceBytes(kernel::AttentionOp op, const CPUTarget &target) {
  return AttentionPlan(op, target).workspaceBytes();
}

LogicalResult emitKernel(kernel::AttentionOp op, KernelFunction &function) {
  AttentionPlan plan(op, function.getTarget());
  if (std::string why = plan.whyNot(op); !why.empty())
    return op.emitOpError("cannot be generated for the CPU: ") << why;
  ForwardEmitter(op, function, plan).emit();
  return success();
}

} // namespace smelt
