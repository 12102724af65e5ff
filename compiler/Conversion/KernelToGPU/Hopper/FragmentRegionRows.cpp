//===- FragmentRegionRows.cpp - Numbers of rows and heads in result regions ===//
//
// Factors, sums and gates: what a result region has once a row, or once a row and head.
//
//===----------------------------------------------------------------------===//
#include "compiler/Conversion/KernelToGPU/Hopper/FragmentRegion.h"
#include "compiler/Conversion/KernelToGPU/Hopper/FragmentTypes.h"
#include "compiler/Conversion/KernelToGPU/Hopper/SkipCasts.h"

using namespace mlir;
using namespace mlir::lm;
using namespace smelt::gpu;

Value FragmentRegion::sumOfQuad(Value sum) {
  sum = code.fadd(sum, code.shuffleXor(sum, 1));
  return code.fadd(sum, code.shuffleXor(sum, 2));
}

/// The first cell of a cell's head and row.
static Cell getLeader(RankedTensorType heads, Cell cell) {
  int blocks = int(heads.getDimSize(2) / 8);
  return {cell.m, cell.n8 / blocks * blocks, cell.h, 0};
}

Value FragmentRegion::getHeadFactor(RowScaleOp scale, Cell cell) {
  Value factors = skipCasts(scale.getG());
  Cell leader = getLeader(typeOf(scale.getX()), cell);
  std::pair<Value, int> key{factors, leader.index()};
  if (Value value = early.lookup(key))
    return value;
  Value &value = known[key];
  if (!value) {
    int64_t heads = typeOf(factors).getDimSize(1), width = typeOf(scale.getX()).getDimSize(2);
    Value head = code.add(code.div(column, width), 8 * leader.n8 / width);
    if (op.getN() % tileColumns) // Half a tile may lie beside the product.
      head = code.select(code.less(head, heads), head, code.i32(heads - 1));
    Value index = code.add(code.mul(clampedRow(cell.m, cell.h), heads), head);
    value = loadElement(pointers.lookup(cast<BlockArgument>(factors).getArgNumber() - 1),
                        typeOf(factors).getElementType(), index);
  }
  return value;
}

void FragmentRegion::prefetchFactors(Value tileRow, Value tileColumn, Value tileGroup) {
  early.clear();
  beginTile(tileRow, tileColumn, nullptr, tileGroup);
  for (auto scale : block.getOps<RowScaleOp>())
    for (int m = 0; m < 2; ++m)
      for (int h = 0; h < 2; ++h) {
        if (isRowVector(scale.getG())) {
          if (!findColumns(op, scale.getG()))
            early[{scale.getG(), Cell{m, 0, h, 0}.index()}] = get(scale.getG(), {m, 0, h, 0});
          continue;
        }
        int blocks = int(typeOf(scale.getX()).getDimSize(2) / 8);
        for (int n8 = 0; n8 < 16; n8 += blocks)
          early[{skipCasts(scale.getG()), Cell{m, n8, h, 0}.index()}] =
              getHeadFactor(scale, {m, n8, h, 0});
      }
  known.clear();
}

SmallVector<Value> FragmentRegion::loadRow(BlockArgument input, Value index, int64_t count) {
  Value pointer = pointers.lookup(input.getArgNumber() - 1);
  Type element = typeOf(input).getElementType();
  int64_t width = getWidth(input);
  Value first = code.mul(index, width);
  SmallVector<Value> numbers;
  for (int64_t i = 0; i < count;) {
    if (width % 2 || i + 1 == count) {
      numbers.push_back(loadElement(pointer, element, code.add(first, i++)));
      continue;
    }
    auto [low, high] = loadPair(pointer, element, code.add(first, i));
    numbers.append({low, high});
    i += 2;
  }
  return numbers;
}

Value FragmentRegion::addRow(RowDotOp dot, Cell cell) {
  auto input = cast<BlockArgument>(skipCasts(dot.getA()));
  Value sum;
  for (Value number : loadRow(input, clampedRow(cell.m, cell.h), getWidth(input)))
    sum = sum ? code.fadd(sum, number) : number;
  auto times = dot.getB().getDefiningOp<ConstantOp>().getValue().getSplatValue<APFloat>();
  return times.isExactlyValue(1) ? sum : code.fmul(sum, code.f32(times.convertToDouble()));
}

void FragmentRegion::computeGates(GateOp gate, Value pointer, int rowBlocks,
                                  SmallVectorImpl<NumberStore> &stores) {
  auto weights = cast<BlockArgument>(skipCasts(gate.getW()));
  Value source = skipCasts(gate.getX()), factor;
  if (auto scale = source.getDefiningOp<RowScaleOp>())
    source = skipCasts(scale.getX()), factor = scale.getG();
  int64_t gates = typeOf(weights).getDimSize(0), features = typeOf(weights).getDimSize(1);
  SmallVector<SmallVector<Value>> rows;
  for (int m = 0; m < rowBlocks; ++m)
    for (int h = 0; h < 2; ++h)
      rows.push_back(loadRow(cast<BlockArgument>(source), clampedRow(m, h), features));
  // A quad of threads has a row: gates 0, 4 …, 1, 5 … and so on.
  Value quad = code.shiftRight(column, 1);
  for (int64_t first = 0; first < gates; first += 4) {
    Value number = code.add(quad, first), isGate = code.less(number, gates);
    SmallVector<Value> w =
        loadRow(weights, code.select(isGate, number, code.i32(gates - 1)), features);
    for (int m = 0; m < rowBlocks; ++m)
      for (int h = 0; h < 2; ++h) {
        Value sum;
        for (auto [x, y] : llvm::zip_equal(rows[2 * m + h], w))
          sum = sum ? code.fma(x, y, sum) : code.fmul(x, y);
        if (factor)
          sum = code.fmul(sum, get(factor, {m, 0, h, 0}));
        Value r = code.add(row, 64 * m + 8 * h);
        stores.push_back({applyUnary(UnaryKind::sigmoid, sum),
                          code.atElement(pointer, r, gates, number, 4), isGate, r});
      }
  }
}

void FragmentRegion::storeBeside(ArrayRef<std::pair<Value, Value>> outputs, Value tileRow,
                                 Value tileColumn, Value tileGroup, int rowBlocks) {
  if (outputs.empty())
    return;
  code.ifThen(code.less(tileColumn, 8), [&] {
    beginTile(tileRow, tileColumn, nullptr, tileGroup);
    SmallVector<NumberStore> stores; // All loads first: none passes a store.
    for (auto [output, pointer] : outputs) {
      if (auto gate = output.getDefiningOp<GateOp>()) {
        computeGates(gate, pointer, rowBlocks, stores);
        continue;
      }
      for (int m = 0; m < rowBlocks; ++m)
        for (int h = 0; h < 2; ++h) {
          Value r = code.add(row, 64 * m + 8 * h);
          stores.push_back({get(output, {m, 0, h, 0}), code.at(pointer, code.mul(r, 4)),
                            code.equal(tileColumn, 0), r});
        }
    }
    for (const NumberStore &store : stores) {
      Value inside = store.isMine;
      if (op.getM() % tileRows)
        inside = code.logicalAnd(inside, code.less(store.row, op.getM()));
      code.ifThen(inside, [&] { code.store(store.value, store.address, 4); });
    }
  });
  known.clear();
}

Value FragmentRegion::getHeadSum(RowDotOp dot, Cell cell) {
  int blocks = int(typeOf(dot.getA()).getDimSize(2) / 8);
  auto key = [&](int h) {
    return std::pair(dot.getResult(), Cell::count + Cell{cell.m, cell.n8, h, 0}.index());
  };
  if (Value sum = known.lookup(key(cell.h)))
    return sum;
  // Both of the thread's rows together, as their elements come from shared memory.
  Value sums[2][2] = {};
  for (int n8 = cell.n8; n8 < cell.n8 + blocks; ++n8)
    for (int h = 0; h < 2; ++h)
      for (int p = 0; p < 2; ++p) {
        Value a = get(dot.getA(), {cell.m, n8, h, p}), b = get(dot.getB(), {cell.m, n8, h, p});
        Value &sum = sums[h][p];
        sum = sum ? code.fma(a, b, sum) : code.fmul(a, b);
      }
  for (int h = 0; h < 2; ++h)
    known[key(h)] = sumOfQuad(code.fadd(sums[h][0], sums[h][1]));
  return known.lookup(key(cell.h));
}

/// rsqrt(mean(x²) + eps) of the head that the cell is in: 2 shuffles over the quad of threads that
/// hold its row.
Value FragmentRegion::getNormFactor(RMSNormOp norm, Cell cell) {
  int64_t head = typeOf(norm.getX()).getDimSize(2);
  Cell leader = getLeader(typeOf(norm.getX()), cell);
  int blocks = int(head / 8), first = leader.n8;
  Value &factor = known[{norm.getResult(), Cell::count + leader.index()}];
  if (factor)
    return factor;
  Value sums[4] = {}; // Shorter chains of dependent additions.
  for (int n8 = first; n8 < first + blocks; ++n8)
    for (int p = 0; p < 2; ++p) {
      Value x = get(norm.getX(), {cell.m, n8, cell.h, p});
      Value &sum = sums[(2 * n8 + p) % 4];
      sum = sum ? code.fma(x, x, sum) : code.fmul(x, x);
    }
  Value sum = code.fadd(code.fadd(sums[0], sums[1]), code.fadd(sums[2], sums[3]));
  Value mean = code.fma(sumOfQuad(sum), code.f32(1.0 / double(head)),
                        code.f32(norm.getEps().convertToDouble()));
  Value result = code.approximate("rsqrt.approx.ftz.f32", mean);
  return known[{norm.getResult(), Cell::count + leader.index()}] = result;
}
