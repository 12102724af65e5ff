//===- AttentionBlocks.cpp - Blocks of rows and their products ------------===//
#include "compiler/Conversion/KernelToCPU/AttentionBlocks.h"
#include "compiler/Conversion/KernelToCPU/NumberFormats.h"

using namespace mlir;

namespace smelt {

AttentionBlocks::AttentionBlocks(KernelFunction &function, AttentionShape shape)
    : function(function), b(function.builder()), shape(shape), lanes(function.getLanes()),
      stride(llvm::alignTo(shape.width, lanes)) {}

Value AttentionBlocks::allocate(int64_t floats) {
  return memref::AllocaOp::create(
      b, MemRefType::get({(int64_t)llvm::alignTo(floats, 16)}, b.getF32Type()),
      b.getI64IntegerAttr(64));
}

Value AttentionBlocks::spread(Value iteration, int64_t blocks) {
  Value half = arith::DivUIOp::create(b, iteration, function.index(2));
  Value odd = arith::CmpIOp::create(b, arith::CmpIPredicate::ne,
                                    arith::RemUIOp::create(b, iteration, function.index(2)),
                                    function.index(0));
  return select(odd, arith::SubIOp::create(b, function.index(blocks - 1), half), half);
}

Value AttentionBlocks::clampRow(Value row) {
  return arith::MinUIOp::create(b, row, function.index(shape.tokens - 1));
}

SmallVector<RowSource> makeWholeSources(KernelFunction &function, const RowProgram &program,
                                        ValueRange inputs, unsigned skip) {
  SmallVector<RowSource> sources(skip);
  for (auto [i, input] : llvm::enumerate(inputs))
    sources.push_back({function.getMemory(input),
                       {},
                       program.getFeatures(program.getBlock().getArgument(skip + i)),
                       {}});
  return sources;
}

std::string whyNotOperandRegion(const RowProgram &program) {
  if (!program.whyNot().empty())
    return program.whyNot().str();
  if (program.getPartialFloats())
    return "a region of q, k or v sums over rows";
  return {};
}

//===- Packing --------------------------------------------------------------===//

std::unique_ptr<RowEmitter>
AttentionBlocks::makeEmitter(const RowProgram &program, ArrayRef<RowSource> sources, Value factor) {
  RowSink sink;
  sink.store = [this, factor](OpBuilder &, Location, Value, const FeatureChunk &chunk,
                              Value value) {
    // The window's place is the head; `offset` counts within it. Lanes past the head's width stay
    // in the row's padding.
    store(factor ? mul(value, factor) : value, slot, function.add(slotRow, chunk.offset));
  };
  return std::make_unique<RowEmitter>(program, b, b.getLoc(), sources, sink);
}

void AttentionBlocks::packRows(RowEmitter &emitter, Value row0, Value head, Value rows) {
  Value first = function.mul(head, shape.width);
  function.emitLoop(0, kAttentionBlock, 1, [&](Value i) {
    slot = rows, slotRow = function.mul(i, stride);
    emitter.emitRowWindow(clampRow(function.add(row0, i)), first, shape.width,
                          (shape.heads - 1) * shape.width, shape.width);
  });
}

void AttentionBlocks::packRows(Value memory, Value row0, Value head, Value rows) {
  Value first = function.mul(head, shape.width);
  function.emitLoop(0, kAttentionBlock, 1, [&](Value i) {
    Value from = function.add(
              function.mul(clampRow(function.add(row0, i)), shape.heads * shape.width), first),
          to = function.mul(i, stride);
    forVectors([&](int64_t at, int64_t valid) {
      store(loadValid(memory, function.add(from, at), valid), rows, function.add(to, at));
    });
  });
}

void AttentionBlocks::transpose(Value rows, Value columns) {
  function.emitLoop(0, stride, lanes, [&](Value c) {
    function.emitLoop(0, kAttentionBlock, lanes, [&](Value r) {
      SmallVector<Value> v;
      Value from = function.add(function.mul(r, stride), c),
            to = function.add(function.mul(c, kAttentionBlock), r);
      for (int64_t i = 0; i < lanes; ++i)
        v.push_back(load(rows, function.add(from, i * stride)));
      // Exchange quadrants of 2s x 2s blocks for s = lanes/2 … 1.
      for (int64_t s = lanes / 2; s >= 1; s /= 2) {
        SmallVector<int64_t> low, high;
        for (int64_t j = 0; j < lanes; ++j) {
          low.push_back(j & s ? lanes + j - s : j);
          high.push_back(j & s ? lanes + j : j + s);
        }
        for (int64_t i = 0; i < lanes; ++i) {
          if (i & s)
            continue;
          Value x = v[i], y = v[i + s];
          v[i] = vector::ShuffleOp::create(b, x, y, low);
          v[i + s] = vector::ShuffleOp::create(b, x, y, high);
        }
      }
      for (int64_t i = 0; i < lanes; ++i)
        store(v[i], columns, function.add(to, i * kAttentionBlock));
    });
  });
}

//===- Products ---------------------------------------------------------------===//

void AttentionBlocks::multiply(Matrix a, Matrix bMatrix, Matrix c, int64_t length, int64_t vectors,
                               Accumulate mode, Value factors,
                               llvm::function_ref<Value(Value)> limit) {
  constexpr int64_t tileRows = 4;
  int64_t most = lanes == 16 ? 4 : 2;
  auto rowOf = [&](const Matrix &matrix, Value i) {
    Value row = function.mul(i, matrix.rowStride);
    return matrix.origin ? function.add(row, matrix.origin) : row;
  };
  for (int64_t v0 = 0; v0 < vectors; v0 += most) {
    int64_t count = std::min(most, vectors - v0);
    function.emitLoop(0, kAttentionBlock, tileRows, [&](Value i) {
      Value rowA = rowOf(a, i), rowC = function.add(rowOf(c, i), v0 * lanes);
      SmallVector<Value> init;
      for (int64_t r = 0; r < tileRows; ++r) {
        Value factor = mode == Accumulate::ScaleAndAdd
                           ? splat(loadScalar(factors, function.add(i, r)))
                           : Value();
        for (int64_t v = 0; v < count; ++v) {
          Value old = mode == Accumulate::Overwrite
                          ? number(0)
                          : load(c.memory, function.add(rowC, r * c.rowStride + v * lanes));
          init.push_back(factor ? mul(old, factor) : old);
        }
      }
      Value end = limit ? limit(i) : function.index(length);
      auto loop = scf::ForOp::create(b, function.index(0), end, function.index(1), init);
      {
        OpBuilder::InsertionGuard guard(b);
        b.setInsertionPointToEnd(loop.getBody());
        Value k = loop.getInductionVar(), rowB = function.add(rowOf(bMatrix, k), v0 * lanes),
              columnA = function.add(rowA, function.mul(k, a.columnStride));
        SmallVector<Value> bs, next;
        for (int64_t v = 0; v < count; ++v)
          bs.push_back(load(bMatrix.memory, function.add(rowB, v * lanes)));
        for (int64_t r = 0; r < tileRows; ++r) {
          Value x = splat(loadScalar(a.memory, function.add(columnA, r * a.rowStride)));
          for (int64_t v = 0; v < count; ++v)
            next.push_back(
                vector::FMAOp::create(b, x, bs[v], loop.getRegionIterArg(r * count + v)));
        }
        scf::YieldOp::create(b, next);
      }
      for (int64_t r = 0; r < tileRows; ++r)
        for (int64_t v = 0; v < count; ++v)
          store(loop.getResult(r * count + v), c.memory,
                function.add(rowC, r * c.rowStride + v * lanes));
    });
  }
}

//===- Arithmetic ---------------------------------------------------------------===//

Value AttentionBlocks::exp(Value x) {
  auto i32 = VectorType::get({lanes}, b.getI32Type());
  // t = x·log2 e; 2^t = 2^n·2^f with n = round(t): adding 1.5·2^23 leaves n in the low bits of the
  // sum.
  Value t = mul(x, number(1.44269504088896341));
  t = select(arith::CmpFOp::create(b, arith::CmpFPredicate::OLT, t, number(-126)), number(-126), t);
  Value shifter = number(12582912.0);
  Value shifted = arith::AddFOp::create(b, t, shifter);
  Value f = arith::SubFOp::create(b, t, arith::SubFOp::create(b, shifted, shifter));
  // 2^f on [-1/2, 1/2]: the Taylor polynomial of degree 7 is exact to float.
  Value p = number(1.5252733804059840e-5);
  for (double coefficient :
       {1.5403530393381609e-4, 1.3333558146428443e-3, 9.6181291076284772e-3, 5.5504108664821580e-2,
        2.4022650695910071e-1, 6.9314718055994531e-1, 1.0})
    p = vector::FMAOp::create(b, p, f, number(coefficient));
  Value exponent = arith::ShLIOp::create(
      b, arith::BitcastOp::create(b, i32, shifted),
      arith::ConstantOp::create(b,
                                DenseElementsAttr::get(i32, b.getI32IntegerAttr(23).getValue())));
  return arith::BitcastOp::create(
      b, vectorType(), arith::AddIOp::create(b, arith::BitcastOp::create(b, i32, p), exponent));
}

Value AttentionBlocks::splat(Value scalar) {
  return vector::BroadcastOp::create(b, VectorType::get({lanes}, scalar.getType()), scalar);
}
Value AttentionBlocks::number(double value) {
  return arith::ConstantOp::create(
      b, DenseElementsAttr::get(vectorType(), b.getF32FloatAttr(value).getValue()));
}
Value AttentionBlocks::load(Value memory, Value at) {
  auto element = cast<MemRefType>(memory.getType()).getElementType();
  if (element.isInteger(32))
    return vector::LoadOp::create(b, VectorType::get({lanes}, element), memory, ValueRange{at});
  return loadNumbers(b, b.getLoc(), vectorType(), memory, at);
}
Value AttentionBlocks::loadScalar(Value memory, Value at) {
  if (cast<MemRefType>(memory.getType()).getElementType().isInteger(32))
    return memref::LoadOp::create(b, memory, ValueRange{at});
  return loadNumbers(b, b.getLoc(), b.getF32Type(), memory, at);
}
void AttentionBlocks::store(Value value, Value memory, Value at) {
  vector::StoreOp::create(b, value, memory, ValueRange{at});
}
void AttentionBlocks::storeScalar(Value value, Value memory, Value at) {
  memref::StoreOp::create(b, value, memory, ValueRange{at});
}
Value AttentionBlocks::add(Value x, Value y) {
  return arith::AddFOp::create(b, x, y, arith::FastMathFlags::contract);
}
Value AttentionBlocks::sub(Value x, Value y) {
  return arith::SubFOp::create(b, x, y, arith::FastMathFlags::contract);
}
Value AttentionBlocks::mul(Value x, Value y) {
  return arith::MulFOp::create(b, x, y, arith::FastMathFlags::contract);
}
Value AttentionBlocks::select(Value condition, Value x, Value y) {
  return arith::SelectOp::create(b, condition, x, y);
}
Value AttentionBlocks::toInteger(Value index) {
  return arith::IndexCastOp::create(b, b.getI32Type(), index);
}
Value AttentionBlocks::toIndex(Value integer) {
  return arith::IndexCastOp::create(b, b.getIndexType(), integer);
}

Value AttentionBlocks::laneNumbers() {
  SmallVector<int32_t> numbers;
  for (int64_t i = 0; i < lanes; ++i)
    numbers.push_back(i);
  return arith::ConstantOp::create(
      b,
      DenseElementsAttr::get(VectorType::get({lanes}, b.getI32Type()), ArrayRef<int32_t>(numbers)));
}

Value AttentionBlocks::lanesBetween(Value start, Value low, Value high) {
  // Unsigned: start + i − low ≤ high − low.
  Value from = arith::AddIOp::create(b, splat(arith::SubIOp::create(b, start, low)), laneNumbers());
  return arith::CmpIOp::create(b, arith::CmpIPredicate::ule, from,
                               splat(arith::SubIOp::create(b, high, low)));
}

Value AttentionBlocks::maskOf(int64_t valid) {
  SmallVector<bool> bits(lanes, false);
  std::fill_n(bits.begin(), valid, true);
  return arith::ConstantOp::create(
      b, DenseElementsAttr::get(VectorType::get({lanes}, b.getI1Type()), bits));
}

void AttentionBlocks::forVectors(llvm::function_ref<void(int64_t, int64_t)> body) {
  for (int64_t at = 0; at < shape.width; at += lanes)
    body(at, std::min(lanes, shape.width - at));
}

Value AttentionBlocks::loadValid(Value memory, Value at, int64_t valid) {
  if (valid == lanes)
    return load(memory, at);
  return loadNumbers(b, b.getLoc(), vectorType(), memory, at, maskOf(valid));
}

void AttentionBlocks::storeValid(Value value, Value memory, Value at, int64_t valid) {
  storeRounded(b, b.getLoc(), value, memory, at, valid == lanes ? Value() : maskOf(valid));
}

void AttentionBlocks::when(Value condition, llvm::function_ref<void()> body) {
  auto branch = scf::IfOp::create(b, condition, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(branch.thenBlock()->getTerminator());
  body();
}

} // namespace smelt
