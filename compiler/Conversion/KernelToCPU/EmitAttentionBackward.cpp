//===- EmitAttentionBackward.cpp - kernel.attention_backward -------------===//
//
// No atomics, no shared accumulators. First D = rowsum(dout·out) and the rows' statistics,
// transposed for vector loads. Then threads share chunks of blocks of one head. A chunk owns dq, dk
// and dv of its rows:
//  - pairs of a query block and a key block both in the chunk: P and dP once, for dq, dk and dv
//  (five products);
//  - earlier keys of its queries: P and dP again, for dq (three); later queries of its keys: again,
//  for dk and dv (four).
// Documents and windows leave few pairs across chunks. Each sum has its fixed order: the bits do
// not depend on threads.
//
//===----------------------------------------------------------------------===//
#include "compiler/Conversion/KernelToCPU/AttentionBlocks.h"
#include "compiler/Conversion/KernelToCPU/EmitKernels.h"

using namespace mlir;

namespace smelt {
namespace {

constexpr int64_t kBlock = kAttentionBlock;

struct BackwardPlan {
  BackwardPlan(kernel::AttentionBackwardOp op, const CPUTarget &target)
      : shape(op.getHeadsType()), q(op.getQ(), target.lanes), k(op.getK(), target.lanes),
        v(op.getV(), target.lanes) {
    int64_t rows = shape.heads * shape.paddedTokens() * 4;
    // Chunks of up to 8 blocks (dq of one stays in the second-level cache), and enough of them to
    // share.
    int64_t widest =
        std::max<int64_t>(1, 131072 / (kBlock * (int64_t)llvm::alignTo(shape.width, target.lanes)));
    chunkBlocks =
        std::clamp<int64_t>(shape.blocks() * shape.heads / 32, 1, std::min<int64_t>(8, widest));
    chunks = (shape.blocks() + chunkBlocks - 1) / chunkBlocks;
    lseOffset = rows, firstOffset = 2 * rows, leastOffset = firstOffset + shape.paddedTokens() * 4;
    bytes = leastOffset + llvm::alignTo(shape.blocks() * 4, 64);
  }
  std::string whyNot(kernel::AttentionBackwardOp op) const {
    if (!getElementTypeOrSelf(op.getLse()).isF32() || !getElementTypeOrSelf(op.getScale()).isF32())
      return "lse and scale are f32";
    for (const RowProgram *program : {&q, &k, &v})
      if (std::string why = whyNotOperandRegion(*program); !why.empty())
        return why;
    return {};
  }

  AttentionShape shape;
  RowProgram q, k, v;
  /// Workspace: D [H][T], lse [H][T], first [T] and its least per block, T padded to whole blocks.
  int64_t lseOffset, firstOffset, leastOffset, bytes;
  int64_t chunkBlocks, chunks;
};

class BackwardEmitter : AttentionBlocks {
public:
  BackwardEmitter(kernel::AttentionBackwardOp op, KernelFunction &function, BackwardPlan &plan)
      : AttentionBlocks(function, plan.shape), op(op), plan(plan) {}

  void emit() {
    int64_t padded = shape.paddedTokens(), blocks = shape.blocks(),
            items = plan.chunks * shape.heads;
    auto i32 = b.getI32Type();
    d = function.getWorkspace(0, shape.heads * padded, b.getF32Type());
    lse = function.getWorkspace(plan.lseOffset, shape.heads * padded, b.getF32Type());
    first = function.getWorkspace(plan.firstOffset, padded, i32);
    least = function.getWorkspace(plan.leastOffset, blocks, i32);
    dout = function.getMemory(op.getDout());

    function.emitParallel(std::min(items, maxThreadsPerKernel), [&](Value) {
      scale = splat(loadScalar(function.getMemory(op.getScale()), function.index(0)));
      auto qRows = makeEmitter(plan.q, makeWholeSources(function, plan.q, op.getQInputs()), scale);
      auto kRows = makeEmitter(plan.k, makeWholeSources(function, plan.k, op.getKInputs()));
      auto vRows = makeEmitter(plan.v, makeWholeSources(function, plan.v, op.getVInputs()));
      for (Value *block : {&qBlock, &qColumns, &kBlockRows, &kColumns, &vBlock, &vColumns, &gBlock,
                           &gColumns, &dkSum, &dvSum})
        *block = allocateRows();
      dqSum = allocate(plan.chunkBlocks * kBlock * stride);
      scores = allocate(kBlock * kBlock), slopes = allocate(kBlock * kBlock);

      function.emitSharedLoop(0, blocks, 1, [&](Value block) { emitStatistics(block); });
      function.emitSharedLoop(0, items, 1, [&](Value item) {
        head = arith::RemUIOp::create(b, item, function.index(shape.heads));
        statistics = function.mul(head, shape.paddedTokens());
        chunkBegin = function.mul(
            spread(arith::DivUIOp::create(b, item, function.index(shape.heads)), plan.chunks),
            plan.chunkBlocks * kBlock);
        chunkEnd = arith::MinUIOp::create(b, function.add(chunkBegin, plan.chunkBlocks * kBlock),
                                          function.index(padded));
        clear(dqSum, plan.chunkBlocks * kBlock * stride);
        function.emitLoop(chunkBegin, chunkEnd, kBlock,
                          [&](Value q0) { emitEarlierKeys(q0, *qRows, *kRows, *vRows); });
        function.emitLoop(chunkBegin, chunkEnd, kBlock,
                          [&](Value k0) { emitKeys(k0, *qRows, *kRows, *vRows); });
        function.emitLoop(chunkBegin, chunkEnd, kBlock, [&](Value q0) {
          storeRows({dqSum, stride, 1, placeInChunk(q0)}, q0, function.getMemory(op.getDq()),
                    scale);
        });
      });
    });
  }

private:
  /// Where dq of the queries from q0 on is in dqSum.
  Value placeInChunk(Value q0) {
    return function.mul(arith::SubIOp::create(b, q0, chunkBegin), stride);
  }

  /// `out` is D already.
  bool isSummed() { return op.getOut().getType().getRank() == 2; }

  /// D, lse and first of 64 rows. Rows past the end see no key: their first key is beyond all.
  void emitStatistics(Value block) {
    Value begin = function.mul(block, kBlock), out = function.getMemory(op.getOut());
    Value inputLse = function.getMemory(op.getLse()),
          inputFirst = function.getMemory(op.getFirst());
    Value beyond = arith::ConstantOp::create(b, b.getI32IntegerAttr(INT32_MAX));
    auto loop = scf::ForOp::create(b, function.index(0), function.index(kBlock), function.index(1),
                                   ValueRange{beyond});
    {
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToEnd(loop.getBody());
      Value row = function.add(begin, loop.getInductionVar()), safe = clampRow(row);
      Value exists =
          arith::CmpIOp::create(b, arith::CmpIPredicate::ult, row, function.index(shape.tokens));
      Value seen = select(exists, loadScalar(inputFirst, safe), beyond);
      storeScalar(seen, first, row);
      function.emitLoop(0, shape.heads, 1, [&](Value h) {
        Value at = function.add(function.mul(safe, shape.heads * shape.width),
                                function.mul(h, shape.width)),
              sum;
        forVectors([&](int64_t c, int64_t valid) {
          if (isSummed())
            return;
          Value term = mul(loadValid(out, function.add(at, c), valid),
                           loadValid(dout, function.add(at, c), valid));
          sum = sum ? add(sum, term) : term;
        });
        Value total = isSummed() ? loadScalar(out, function.add(function.mul(safe, shape.heads), h))
                                 : vector::ReductionOp::create(b, vector::CombiningKind::ADD, sum,
                                                               arith::FastMathFlags::reassoc |
                                                                   arith::FastMathFlags::contract)
                                       .getResult();
        Value to = function.add(function.mul(h, shape.paddedTokens()), row);
        storeScalar(total, d, to);
        storeScalar(loadScalar(inputLse, function.add(function.mul(safe, shape.heads), h)), lse,
                    to);
      });
      scf::YieldOp::create(b,
                           ValueRange{arith::MinSIOp::create(b, loop.getRegionIterArg(0), seen)});
    }
    storeScalar(loop.getResult(0), least, block);
  }

  /// dq of queries [q0, q0 + 64) from the keys before the chunk.
  void emitEarlierKeys(Value q0, RowEmitter &qRows, RowEmitter &kRows, RowEmitter &vRows) {
    Value seen = toIndex(loadScalar(least, arith::DivUIOp::create(b, q0, function.index(kBlock))));
    when(arith::CmpIOp::create(b, arith::CmpIPredicate::ult, seen, chunkBegin), [&] {
      packRows(qRows, q0, head, qBlock);
      packRows(dout, q0, head, gBlock);
      Value begin = function.mul(arith::DivUIOp::create(b, seen, function.index(kBlock)), kBlock);
      function.emitLoop(begin, chunkBegin, kBlock, [&](Value k0) {
        packRows(kRows, k0, head, kBlockRows);
        transpose(kBlockRows, kColumns);
        packRows(vRows, k0, head, vBlock);
        transpose(vBlock, vColumns);
        multiply({qBlock, stride}, {kColumns, kBlock}, {scores, kBlock}, shape.width,
                 kBlock / lanes, Accumulate::Overwrite);
        multiply({gBlock, stride}, {vColumns, kBlock}, {slopes, kBlock}, shape.width,
                 kBlock / lanes, Accumulate::Overwrite);
        // Rows are queries, lanes keys; all keys are before the queries.
        function.emitLoop(0, kBlock, 1, [&](Value i) {
          Value row = function.add(q0, i), at = function.add(statistics, row),
                low = splat(loadScalar(first, row));
          Value rowLse = splat(loadScalar(lse, at)), rowD = splat(loadScalar(d, at));
          for (int64_t c = 0; c < kBlock; c += lanes) {
            Value keys =
                arith::AddIOp::create(b, splat(toInteger(function.add(k0, c))), laneNumbers());
            emitSlope(function.add(function.mul(i, kBlock), c), rowLse, rowD,
                      arith::CmpIOp::create(b, arith::CmpIPredicate::sge, keys, low),
                      /*storeProbability=*/false);
          }
        });
        multiply({slopes, kBlock}, {kBlockRows, stride}, {dqSum, stride, 1, placeInChunk(q0)},
                 kBlock, stride / lanes, Accumulate::Add);
      });
    });
  }

  /// dk and dv of keys [k0, k0 + 64), and what these keys give to dq of queries in the chunk.
  void emitKeys(Value k0, RowEmitter &qRows, RowEmitter &kRows, RowEmitter &vRows) {
    packRows(kRows, k0, head, kBlockRows);
    packRows(vRows, k0, head, vBlock);
    clear(dkSum, kBlock * stride), clear(dvSum, kBlock * stride);
    Value lastKey = toInteger(function.add(k0, kBlock - 1));
    function.emitLoop(k0, function.index(shape.paddedTokens()), kBlock, [&](Value q0) {
      Value seen = loadScalar(least, arith::DivUIOp::create(b, q0, function.index(kBlock)));
      when(arith::CmpIOp::create(b, arith::CmpIPredicate::sle, seen, lastKey), [&] {
        packRows(qRows, q0, head, qBlock);
        transpose(qBlock, qColumns);
        packRows(dout, q0, head, gBlock);
        transpose(gBlock, gColumns);
        multiply({kBlockRows, stride}, {qColumns, kBlock}, {scores, kBlock}, shape.width,
                 kBlock / lanes, Accumulate::Overwrite);
        multiply({vBlock, stride}, {gColumns, kBlock}, {slopes, kBlock}, shape.width,
                 kBlock / lanes, Accumulate::Overwrite);
        // Rows are keys, lanes queries: a query t sees key j when first[t] ≤ j ≤ t.
        function.emitLoop(0, kBlock, 1, [&](Value i) {
          Value key = toInteger(function.add(k0, i)), keys = splat(key);
          for (int64_t c = 0; c < kBlock; c += lanes) {
            Value queries = function.add(q0, c), at = function.add(statistics, queries);
            Value numbers = arith::AddIOp::create(b, splat(toInteger(queries)), laneNumbers());
            Value mask = arith::AndIOp::create(
                b, arith::CmpIOp::create(b, arith::CmpIPredicate::sge, numbers, keys),
                arith::CmpIOp::create(b, arith::CmpIPredicate::sle, load(first, queries), keys));
            emitSlope(function.add(function.mul(i, kBlock), c), load(lse, at), load(d, at), mask,
                      /*storeProbability=*/true);
          }
        });
        multiply({scores, kBlock}, {gBlock, stride}, {dvSum, stride}, kBlock, stride / lanes,
                 Accumulate::Add);
        multiply({slopes, kBlock}, {qBlock, stride}, {dkSum, stride}, kBlock, stride / lanes,
                 Accumulate::Add); // scale is in q.
        when(arith::CmpIOp::create(b, arith::CmpIPredicate::ult, q0, chunkEnd), [&] {
          // On the diagonal, queries i … i + 3 see no keys past i + 3.
          multiply({slopes, 1, kBlock}, {kBlockRows, stride}, {dqSum, stride, 1, placeInChunk(q0)},
                   kBlock, stride / lanes, Accumulate::Add, {}, [&](Value i) -> Value {
                     Value last =
                         arith::SubIOp::create(b, function.add(function.add(q0, i), 4), k0);
                     return arith::MinUIOp::create(b, last, function.index(kBlock));
                   });
        });
      });
    });
    storeRows({dkSum, stride}, k0, function.getMemory(op.getDk()), {});
    storeRows({dvSum, stride}, k0, function.getMemory(op.getDv()), {});
  }

  /// At one vector of scores S and slopes dP: P = exp(S − lse), dP → P·(dP − D).
  void emitSlope(Value at, Value rowLse, Value rowD, Value mask, bool storeProbability) {
    Value p = select(mask, exp(sub(load(scores, at), rowLse)), number(0));
    if (storeProbability)
      store(p, scores, at);
    store(select(mask, mul(p, sub(load(slopes, at), rowD)), number(0)), slopes, at);
  }

  void clear(Value memory, int64_t floats) {
    function.emitLoop(0, floats, lanes, [&](Value at) { store(number(0), memory, at); });
  }

  void storeRows(Matrix rows, Value row0, Value memory, Value factor) {
    Value count = arith::MinUIOp::create(
        b, arith::SubIOp::create(b, function.index(shape.tokens), row0), function.index(kBlock));
    function.emitLoop(function.index(0), count, 1, [&](Value i) {
      Value to = function.add(function.mul(function.add(row0, i), shape.heads * shape.width),
                              function.mul(head, shape.width));
      Value from = function.mul(i, rows.rowStride);
      if (rows.origin)
        from = function.add(from, rows.origin);
      forVectors([&](int64_t c, int64_t valid) {
        Value value = load(rows.memory, function.add(from, c));
        storeValid(factor ? mul(value, factor) : value, memory, function.add(to, c), valid);
      });
    });
  }

  kernel::AttentionBackwardOp op;
  BackwardPlan &plan;
  Value d, lse, first, least, dout, scale;
  Value head, statistics, chunkBegin, chunkEnd;
  Value qBlock, qColumns, kBlockRows, kColumns, vBlock, vColumns, gBlock, gColumns, dqSum, dkSum,
      dvSum, scores, slopes;
};

} // namespace

int64_t getWorkspaceBytes(kernel::AttentionBackwardOp op, const CPUTarget &target) {
  return BackwardPlan(op, target).bytes;
}

LogicalResult emitKernel(kernel::AttentionBackwardOp op, KernelFunction &function) {
  BackwardPlan plan(op, function.getTarget());
  if (std::string why = plan.whyNot(op); !why.empty())
    return op.emitOpError("cannot be generated for the CPU: ") << why;
  BackwardEmitter(op, function, plan).emit();
  return success();
}

} // namespace smelt
