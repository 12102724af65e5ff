//===- MatrixMath.cpp - What the matrix optimisers' expansions share ------===//
#include "compiler/Transforms/Optimizers/MatrixMath.h"
#include "dialects/Train/TrainCollectives.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace smelt;

MatrixMath::MatrixMath(OpBuilder &builder, Location loc, Value bank, Value lr, int64_t groups)
    : builder(builder), loc(loc), type(cast<RankedTensorType>(bank.getType())), groups(groups) {
  Type element = type.getElementType();
  rowsType = RankedTensorType::get({type.getDimSize(0)}, element);
  perMatrixType = RankedTensorType::get({groups}, element);
  scalarType = cast<RankedTensorType>(lr.getType());
}

Value MatrixMath::constant(double value) {
  return lm::ConstantOp::create(builder, loc, scalarType, value);
}

Value MatrixMath::mix(ArrayRef<Value> values, ArrayRef<Value> coefficients) {
  return lm::MixOp::create(builder, loc, values[0].getType(), values, coefficients);
}

Value MatrixMath::multiply(Value a, Value b) { return lm::MultiplyOp::create(builder, loc, a, b); }

Value MatrixMath::unary(lm::UnaryKind kind, Value x) {
  return lm::UnaryOp::create(builder, loc, kind, x);
}

Value MatrixMath::atLeast(Value x, double bound) {
  return lm::AtLeastOp::create(builder, loc, x.getType(), x, builder.getF64FloatAttr(bound));
}

Value MatrixMath::multiplyMatrices(Value a, Value b, bool transposeA, bool transposeB, int64_t rows,
                                   int64_t columns) {
  auto result = RankedTensorType::get({groups * rows, columns}, type.getElementType());
  return lm::MatmulOp::create(builder, loc, result, a, b, transposeA, transposeB, groups);
}

Value MatrixMath::dotRows(Value x, Value y) {
  return lm::RowDotOp::create(builder, loc, rowsType, x, y);
}

Value MatrixMath::sumGroups(Value rows) {
  return lm::GroupSumOp::create(builder, loc, perMatrixType, rows);
}

Value MatrixMath::expand(Value perMatrix) {
  return lm::ExpandGroupsOp::create(builder, loc, rowsType, perMatrix);
}

Value MatrixMath::scaleRows(Value x, Value rows) {
  return lm::RowScaleOp::create(builder, loc, x.getType(), x, rows);
}

Value MatrixMath::mixPerMatrix(ArrayRef<Value> values, ArrayRef<Value> scalars,
                               ArrayRef<SmallVector<double>> constants) {
  auto scale = [&](Value x, Value s) -> Value { return lm::ScaleOp::create(builder, loc, x, s); };
  if (llvm::all_of(constants, [](ArrayRef<double> of) { return llvm::all_equal(of); })) {
    SmallVector<Value> coefficients;
    for (auto [scalar, of] : llvm::zip_equal(scalars, constants))
      coefficients.push_back(scale(scalar, constant(of.front())));
    return mix(values, coefficients);
  }
  Value sum;
  for (auto [value, scalar, of] : llvm::zip_equal(values, scalars, constants)) {
    Type element = perMatrixType.getElementType();
    auto table = DenseElementsAttr::get(
        RankedTensorType::get({int64_t(of.size())}, element),
        llvm::map_to_vector(of, [&](double x) -> Attribute { return FloatAttr::get(element, x); }));
    bool isOfRanks = int64_t(of.size()) != groups;
    Value perMatrix =
        isOfRanks ? Value(train::RankConstantOp::create(builder, loc, perMatrixType, table))
                  : Value(lm::ConstantOp::create(builder, loc, table));
    Value rows = expand(perMatrix);
    Value term = scaleRows(value, scale(rows, scalar));
    sum = sum ? Value(lm::AddOp::create(builder, loc, sum, term)) : term;
  }
  return sum;
}

std::pair<Value, Value> MatrixMath::moveMomentum(Value gradient, Value momentum, Value mu,
                                                 bool nesterov) {
  Value one = constant(1.0);
  Value rest = mix({one, mu}, {one, constant(-1.0)}); // 1 − μ
  Value moved = mix({momentum, gradient}, {mu, rest});
  return {nesterov ? mix({gradient, moved}, {rest, mu}) : moved, moved};
}

Value MatrixMath::orthogonalise(Value u, double normScale, double normEps,
                                ArrayRef<double> coefficients) {
  // The norm is expanded first: what follows is then one number per row, computed where it is used.
  Value norm = unary(lm::UnaryKind::sqrt, expand(sumGroups(dotRows(u, u))));
  Value ones = lm::ConstantOp::create(builder, loc, rowsType, 1.0);
  Value bound = mix({norm, ones}, {constant(normScale), constant(normEps)});
  Value x = scaleRows(u, unary(lm::UnaryKind::reciprocal, bound));
  Value one = constant(1.0);
  bool isTall = getRows() > getColumns();
  int64_t side = std::min(getRows(), getColumns());
  for (size_t i = 0; i < coefficients.size(); i += 3) {
    Value a = multiplyMatrices(x, x, isTall, !isTall, side, side);
    Value aa = multiplyMatrices(a, a, false, false, side, side);
    Value b = mix({a, aa}, {constant(coefficients[i + 1]), constant(coefficients[i + 2])});
    Value product = isTall ? multiplyMatrices(x, b, false, false, getRows(), side)
                           : multiplyMatrices(b, x, false, false, side, getColumns());
    x = mix({x, product}, {constant(coefficients[i]), one});
  }
  return x;
}
