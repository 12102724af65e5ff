//===- FragmentRegion.cpp - A GEMM's result region on accumulators --------===//
#include "compiler/Conversion/KernelToGPU/Hopper/FragmentRegion.h"
#include "compiler/Conversion/KernelToGPU/Hopper/FragmentTypes.h"
#include "compiler/Conversion/KernelToGPU/Hopper/SkipCasts.h"
#include "llvm/ADT/TypeSwitch.h"
#include <numbers>

using namespace mlir;
using namespace mlir::lm;
using namespace smelt::gpu;

FragmentRegion::FragmentRegion(CodeBuilder &code, kernel::GemmOp op)
    : code(code), op(op), block(op.getResult().front()) {}

void FragmentRegion::evaluateScalars() {
  for (BlockArgument argument : block.getArguments())
    if (argument.getArgNumber() > 0 && isScalar(argument))
      scalars[argument] = loadElement(pointers.lookup(argument.getArgNumber() - 1),
                                      typeOf(argument).getElementType(), code.i32(0));
  for (Operation &inner : block.without_terminator())
    if (inner.getNumResults() == 1 && isScalar(inner.getResult(0)))
      scalars[inner.getResult(0)] = computeScalar(&inner);
}

void FragmentRegion::beginTile(Value tileRow, Value tileColumn,
                               llvm::function_ref<Value(Cell)> elements, Value tileGroup) {
  row = tileRow;
  column = tileColumn;
  group = tileGroup;
  product = elements;
  known.clear();
}

Value FragmentRegion::loadElement(Value pointer, Type type, Value index) {
  int64_t bytes = type.getIntOrFloatBitWidth() / 8;
  Value address = code.at(pointer, code.mul(index, bytes));
  if (type.isF32())
    return code.load(type, address, 4);
  if (type.isBF16()) {
    Value bits = code.load(code.builder.getI16Type(), address, 2);
    Value wide = arith::ExtUIOp::create(code.builder, code.loc, code.i32Type(), bits);
    return LLVM::BitcastOp::create(code.builder, code.loc, code.f32Type(),
                                   code.shiftLeft(wide, 16));
  }
  llvm_unreachable("whyNot admits f32 and bf16");
}

std::pair<Value, Value> FragmentRegion::loadPairAt(Value address, Type type) {
  if (type.isBF16())
    return code.unpackBF16(code.load(code.i32Type(), address, 4));
  Value both = code.load(VectorType::get(2, code.f32Type()), address, 8);
  return {LLVM::ExtractElementOp::create(code.builder, code.loc, both, code.i32(0)),
          LLVM::ExtractElementOp::create(code.builder, code.loc, both, code.i32(1))};
}

std::pair<Value, Value> FragmentRegion::loadPair(Value pointer, Type type, Value index) {
  return loadPairAt(code.at(pointer, code.mul(index, type.getIntOrFloatBitWidth() / 8)), type);
}

Value FragmentRegion::clampedRow(int m, int h) {
  Value r = code.add(row, 64 * m + 8 * h);
  if (op.getM() % tileRows)
    r = code.select(code.less(r, op.getM()), r, code.i32(op.getM() - 1));
  return group ? code.add(r, code.mul(group, op.getM())) : r;
}

Value FragmentRegion::computeScalar(Operation *inner) {
  auto scalar = [&](Value value) { return scalars.lookup(value); };
  return llvm::TypeSwitch<Operation *, Value>(inner)
      .Case([&](ConstantOp constant) {
        return code.f32(constant.getValue().getSplatValue<APFloat>().convertToDouble());
      })
      .Case([&](AddOp add) { return code.fadd(scalar(add.getA()), scalar(add.getB())); })
      .Case([&](MultiplyOp mul) { return code.fmul(scalar(mul.getA()), scalar(mul.getB())); })
      .Case([&](ScaleOp scale) { return code.fmul(scalar(scale.getX()), scalar(scale.getS())); })
      .Case([&](CastOp cast) { return scalar(cast.getX()); })
      .Case([&](UnaryOp unary) { return applyUnary(unary.getKind(), scalar(unary.getX())); })
      .Case([&](MixOp mix) {
        Value sum;
        for (auto [value, coefficient] : llvm::zip_equal(mix.getValues(), mix.getCoefficients())) {
          Value c = scalar(coefficient), v = scalar(value);
          sum = sum ? code.fma(c, v, sum) : code.fmul(c, v);
        }
        return sum;
      });
}

Value FragmentRegion::applyUnary(UnaryKind kind, Value x) {
  constexpr double log2e = std::numbers::log2e;
  auto exponential = [&](Value y) {
    return code.approximate("ex2.approx.ftz.f32", code.fmul(y, code.f32(log2e)));
  };
  auto sigmoid = [&](Value y) {
    Value e = exponential(code.fneg(y));
    return code.approximate("rcp.approx.ftz.f32", code.fadd(e, code.f32(1)));
  };
  // max that keeps NaN: what has gone wrong must stay visible.
  auto relu = [&](Value y) -> Value {
    return arith::MaximumFOp::create(code.builder, code.loc, y, code.f32(0));
  };
  switch (kind) {
  case UnaryKind::identity:
    return x;
  case UnaryKind::negate:
    return code.fneg(x);
  case UnaryKind::sigmoid:
    return sigmoid(x);
  case UnaryKind::tanh:
    return code.approximate("tanh.approx.f32", x);
  case UnaryKind::relu:
    return relu(x);
  case UnaryKind::relu_squared: {
    Value y = relu(x);
    return code.fmul(y, y);
  }
  case UnaryKind::gelu: { // x·Φ(x) = x·σ(1.702 x) is too coarse; tanh form, error below 4e-4.
    Value cube = code.fmul(code.fmul(x, x), x);
    Value inner =
        code.fma(cube, code.f32(0.7978845608 * 0.044715), code.fmul(x, code.f32(0.7978845608)));
    Value half = code.fmul(x, code.f32(0.5));
    return code.fma(half, code.approximate("tanh.approx.f32", inner), half);
  }
  case UnaryKind::silu:
    return code.fmul(x, sigmoid(x));
  case UnaryKind::exp:
    return exponential(x);
  case UnaryKind::sqrt:
    return code.approximate("sqrt.approx.ftz.f32", x);
  case UnaryKind::reciprocal:
    return code.approximate("rcp.approx.ftz.f32", x);
  case UnaryKind::step: {
    Value positive =
        arith::CmpFOp::create(code.builder, code.loc, arith::CmpFPredicate::OGE, x, code.f32(0));
    return code.select(positive, code.f32(1), code.f32(0));
  }
  }
  llvm_unreachable("unknown unary kind");
}

/// dy·f'(x), or with `from_output` as a function of y = f(x).
Value FragmentRegion::applyUnaryBackward(UnaryBackwardOp backward, Value x, Value dy) {
  UnaryKind kind = backward.getKind();
  bool fromOutput = backward.getFromOutput();
  auto value = [&] { return fromOutput ? x : applyUnary(kind, x); };
  auto whenPositive = [&](Value result) {
    Value positive =
        arith::CmpFOp::create(code.builder, code.loc, arith::CmpFPredicate::UGT, x, code.f32(0));
    return code.select(positive, result, code.f32(0));
  };
  switch (kind) {
  case UnaryKind::identity:
    return dy;
  case UnaryKind::negate:
    return code.fneg(dy);
  case UnaryKind::sigmoid: {
    Value y = value();
    return code.fmul(dy, code.fmul(y, code.fsub(code.f32(1), y)));
  }
  case UnaryKind::tanh: {
    Value y = value();
    return code.fmul(dy, code.fma(code.fneg(y), y, code.f32(1)));
  }
  case UnaryKind::relu:
    return whenPositive(dy);
  case UnaryKind::relu_squared: {
    Value root =
        fromOutput ? code.approximate("sqrt.approx.ftz.f32", x) : applyUnary(UnaryKind::relu, x);
    return code.fmul(dy, code.fadd(root, root));
  }
  case UnaryKind::exp:
    return code.fmul(dy, value());
  case UnaryKind::sqrt:
    return code.fmul(dy, code.approximate("rcp.approx.ftz.f32", code.fadd(value(), value())));
  case UnaryKind::reciprocal: {
    Value y = value();
    return code.fneg(code.fmul(dy, code.fmul(y, y)));
  }
  case UnaryKind::step:
    return code.f32(0);
  case UnaryKind::gelu:
  case UnaryKind::silu:
    break;
  }
  llvm_unreachable("whyNot refuses gelu and silu");
}

Value FragmentRegion::getRowValue(Value tensor, Cell cell) {
  Cell first{cell.m, 0, cell.h, 0};
  return get(tensor, first);
}

/// The pair (j, j + d/2) lies in one thread: the other half is d/2 columns away.
Value FragmentRegion::rotate(RopeOp rope, Cell cell) {
  int64_t head = typeOf(rope.getX()).getDimSize(2);
  int half = int(head / 16); // in blocks of 8 columns
  bool isSecond = cell.n8 / half % 2;
  Cell partner = cell;
  partner.n8 += isSecond ? -half : half;
  Cell firstCell = isSecond ? partner : cell;
  // Element j of the head; the table has cos in columns 0 … d/2−1 and sin behind.
  Value table = skipCasts(rope.getTable());
  auto argument = dyn_cast<BlockArgument>(table);
  RankedTensorType type = typeOf(table);
  // Both elements of a pair come in one load.
  auto load = [&](int which) {
    auto key = [&](int p) {
      Cell pair = firstCell;
      pair.p = p;
      return std::pair(table, (which + 2) * Cell::count + pair.index());
    };
    if (Value value = known.lookup(key(firstCell.p)))
      return value;
    Value low, high;
    if (auto found = staged.find(argument.getArgNumber() - 1); found != staged.end()) {
      std::tie(low, high) = found->second({cell.m, firstCell.n8 + which * half, cell.h, 0});
    } else {
      int64_t firstColumn = firstCell.n8 % (2 * half) * 8 + which * head / 2;
      Value quadColumn = code.rem(column, 8); // 2·(lane mod 4): tiles begin at multiples of 8.
      Value index =
          code.add(code.add(code.mul(clampedRow(cell.m, cell.h), type.getDimSize(1)), quadColumn),
                   firstColumn);
      std::tie(low, high) =
          loadPair(pointers.lookup(argument.getArgNumber() - 1), type.getElementType(), index);
    }
    known[key(0)] = low;
    known[key(1)] = high;
    return firstCell.p ? high : low;
  };
  Value cosine = load(0), sine = load(1);
  if (rope.getInverse())
    sine = code.fneg(sine);
  Value x = get(rope.getX(), cell), other = get(rope.getX(), partner);
  // y1 = x1·cos + x2·sin, y2 = −x1·sin + x2·cos
  return code.fma(x, cosine, code.fmul(other, isSecond ? code.fneg(sine) : sine));
}

Value FragmentRegion::computeInput(BlockArgument argument, Cell cell) {
  RankedTensorType type = typeOf(argument);
  Value pointer = pointers.lookup(argument.getArgNumber() - 1);
  Value r = clampedRow(cell.m, cell.h);
  if (isRowVector(argument))
    return loadElement(pointer, type.getElementType(), r);
  Cell other = cell;
  other.p = 1 - cell.p;
  if (auto found = staged.find(argument.getArgNumber() - 1); found != staged.end()) {
    auto [low, high] = found->second(cell);
    known[{argument, other.index()}] = cell.p ? low : high;
    return cell.p ? high : low;
  }
  // A tile of a matrix: both elements of a pair come in one load.
  int64_t width = getWidth(argument), bytes = type.getElementTypeBitWidth() / 8;
  Value address;
  if (width % tileColumns) {
    Value c = code.add(column, 8 * cell.n8);
    c = code.select(code.less(c, width - 1), c, code.i32(width - 2));
    address = code.atElement(pointer, r, width, c, bytes);
  } else {
    Value &first = known[{argument, 4 * Cell::count + 2 * cell.m + cell.h}];
    if (!first)
      first = code.atElement(pointer, r, width, column, bytes);
    address = code.at(first, 8 * cell.n8 * bytes);
  }
  std::pair<Value, Value> pair = loadPairAt(address, type.getElementType());
  known[{argument, other.index()}] = cell.p ? pair.first : pair.second;
  return cell.p ? pair.second : pair.first;
}

Value FragmentRegion::get(Value tensor, Cell cell) {
  if (isScalar(tensor))
    return scalars.lookup(tensor);
  if (isRowVector(tensor))
    cell = {cell.m, 0, cell.h, 0};
  if (Value value = early.lookup({tensor, cell.index()}))
    return value;
  if (Value value = known.lookup({tensor, cell.index()}))
    return value;
  Value value = tensor == block.getArgument(0) ? product(cell) : compute(tensor, cell);
  known[{tensor, cell.index()}] = value;
  return value;
}

static Value roundBF16(CodeBuilder &code, Value x) {
  Value narrow = arith::TruncFOp::create(code.builder, code.loc, code.builder.getBF16Type(), x);
  return arith::ExtFOp::create(code.builder, code.loc, code.f32Type(), narrow);
}

Value FragmentRegion::compute(Value tensor, Cell cell) {
  if (auto argument = dyn_cast<BlockArgument>(tensor))
    return computeInput(argument, cell);
  return llvm::TypeSwitch<Operation *, Value>(tensor.getDefiningOp())
      .Case([&](ConstantOp constant) {
        return code.f32(constant.getValue().getSplatValue<APFloat>().convertToDouble());
      })
      .Case([&](BroadcastOp broadcast) {
        return isScalar(broadcast.getX()) ? scalars.lookup(broadcast.getX())
                                          : getRowValue(broadcast.getX(), cell);
      })
      .Case([&](AddOp add) { return code.fadd(get(add.getA(), cell), get(add.getB(), cell)); })
      .Case([&](MultiplyOp mul) { return code.fmul(get(mul.getA(), cell), get(mul.getB(), cell)); })
      .Case([&](ScaleOp scale) {
        return code.fmul(get(scale.getX(), cell), scalars.lookup(scale.getS()));
      })
      .Case([&](RowDotOp dot) { return addRow(dot, cell); })
      .Case([&](RowScaleOp scale) {
        return code.fmul(get(scale.getX(), cell), isRowVector(scale.getG())
                                                      ? getRowValue(scale.getG(), cell)
                                                      : getHeadFactor(scale, cell));
      })
      .Case([&](CastOp cast) {
        Value x = get(cast.getX(), cell);
        // What is yielded is rounded when it is stored.
        bool rounds = typeOf(cast.getX()).getElementType().isF32() &&
                      typeOf(cast.getResult()).getElementType().isBF16() &&
                      !llvm::all_of(cast->getUsers(),
                                    [](Operation *user) { return isa<kernel::YieldOp>(user); });
        return rounds ? roundBF16(code, x) : x;
      })
      .Case([&](ReshapeOp reshape) { return get(reshape.getX(), cell); })
      .Case([&](SplitOp split) { return get(split.getX(), cell); })
      .Case([&](UnaryOp unary) { return applyUnary(unary.getKind(), get(unary.getX(), cell)); })
      .Case([&](UnaryBackwardOp backward) {
        return applyUnaryBackward(backward, get(backward.getX(), cell),
                                  get(backward.getDy(), cell));
      })
      .Case([&](MixOp mix) {
        Value sum;
        for (auto [value, coefficient] : llvm::zip_equal(mix.getValues(), mix.getCoefficients())) {
          Value c = scalars.lookup(coefficient), v = get(value, cell);
          sum = sum ? code.fma(c, v, sum) : code.fmul(c, v);
        }
        return sum;
      })
      .Case([&](SoftcapOp softcap) {
        Value z = get(softcap.getX(), cell);
        double amplitude = softcap.getAmplitude().convertToDouble();
        Value scaled = code.fmul(z, code.f32(1 / softcap.getTemperature().convertToDouble()));
        switch (softcap.getKind()) {
        case SoftcapKind::tanh:
          return code.fmul(applyUnary(UnaryKind::tanh, scaled), code.f32(amplitude));
        case SoftcapKind::sigmoid:
          return code.fmul(applyUnary(UnaryKind::sigmoid, scaled), code.f32(amplitude));
        case SoftcapKind::rsqrt: {
          Value square = code.fma(z, z, code.f32(amplitude * amplitude));
          return code.fmul(code.fmul(z, code.f32(amplitude)),
                           code.approximate("rsqrt.approx.ftz.f32", square));
        }
        }
        llvm_unreachable("unknown softcap kind");
      })
      .Case([&](RMSNormOp norm) {
        Value factor = getNormFactor(norm, cell);
        return code.fmul(get(norm.getX(), cell), factor);
      })
      .Case([&](RopeOp rope) { return rotate(rope, cell); });
}
