//===- ExpandNorMuon.cpp - Write NorMuon as matrix products ---------------===//
//
// The part of train.normuon behind the orthogonalisation; the equation stands at the op. Everything
// but the sums over whole matrices is one number per row or element by element, so that it ends in
// the result of the last Newton–Schulz product and in one launch behind it.
//
//===----------------------------------------------------------------------===//
#include "compiler/Transforms/Optimizers/MatrixMath.h"

using namespace mlir;
using namespace smelt;

namespace {

/// lerp(mean, second, beta2) and 1/√max(that, 1e-10).
std::pair<Value, Value> moveSecond(MatrixMath &math, train::NorMuonOp op, Value mean) {
  double beta2 = op.getBeta2().convertToDouble();
  Value second = math.mix({op.getSecond(), mean}, {math.constant(beta2), math.constant(1 - beta2)});
  Value root = math.unary(lm::UnaryKind::sqrt, math.atLeast(second, 1e-10));
  return {second, math.unary(lm::UnaryKind::reciprocal, root)};
}

struct Normalised {
  Value x, second;
};

/// ‖x‖/max(‖x·step‖, 1e-10) of each matrix, at each of its rows.
Value getNormRatio(MatrixMath &math, Value before, Value after) {
  Value old = math.unary(lm::UnaryKind::sqrt, math.expand(math.sumGroups(before)));
  Value made = math.unary(lm::UnaryKind::sqrt, math.expand(math.sumGroups(after)));
  return math.multiply(old, math.unary(lm::UnaryKind::reciprocal, math.atLeast(made, 1e-10)));
}

/// One step size per row, from the mean over its columns.
Normalised normaliseRows(MatrixMath &math, train::NorMuonOp op, Value x) {
  Value squares = math.dotRows(x, x);
  Value mean = lm::ScaleOp::create(math.builder, math.loc, squares,
                                   math.constant(1.0 / double(math.getColumns())));
  auto [second, step] = moveSecond(math, op, mean);
  Value ratio = getNormRatio(math, squares, math.multiply(squares, math.multiply(step, step)));
  return {math.scaleRows(x, math.multiply(step, ratio)), second};
}

/// One step size per column, from the mean over its rows: sums over rows are products with ones.
Normalised normaliseColumns(MatrixMath &math, train::NorMuonOp op, Value x) {
  Type element = math.type.getElementType();
  auto ones = [&](ArrayRef<int64_t> shape, double value) -> Value {
    return lm::ConstantOp::create(math.builder, math.loc, RankedTensorType::get(shape, element),
                                  value);
  };
  int64_t rows = math.getRows(), columns = math.getColumns();
  Value mean = math.multiplyMatrices(ones({math.groups, rows}, 1.0 / double(rows)),
                                     math.multiply(x, x), false, false, 1, columns);
  auto [second, step] = moveSecond(math, op, mean);
  Value steps =
      math.multiplyMatrices(ones({math.groups * rows, 1}, 1.0), step, false, false, rows, columns);
  Value y = math.multiply(x, steps);
  return {math.scaleRows(y, getNormRatio(math, math.dotRows(x, x), math.dotRows(y, y))), second};
}

} // namespace

void smelt::expandNorMuon(train::NorMuonOp op) {
  OpBuilder builder(op);
  MatrixMath math(builder, op.getLoc(), op.getParameter(), op.getLr(), op.getGroups());
  auto [direction, momentum] =
      math.moveMomentum(op.getGradient(), op.getMomentum(), op.getMu(), op.getNesterov());
  Value x = math.orthogonalise(direction, op.getNormScale().convertToDouble(),
                               op.getNormEps().convertToDouble(), op.getCoefficients());
  auto [update, second] =
      op.getVarianceAxis() == 1 ? normaliseRows(math, op, x) : normaliseColumns(math, op, x);
  Value decayed = op.getParameter();
  if (op.getCautious())
    decayed = math.multiply(
        decayed, math.unary(lm::UnaryKind::step, math.multiply(update, op.getParameter())));
  double peak = op.getPeak().convertToDouble();
  SmallVector<double> ones(op.getLrScales().size(), 1.0), decays, rates;
  for (auto [shaped, decay] : llvm::zip_equal(op.getShapedScales(), op.getWeightDecays())) {
    rates.push_back(-peak * shaped);
    decays.push_back(-peak * peak * shaped * decay);
  }
  Value squaredLr = math.multiply(op.getLr(), op.getLr());
  Value parameter =
      math.mixPerMatrix({op.getParameter(), decayed, update},
                        {math.constant(1.0), squaredLr, op.getLr()}, {ones, decays, rates});
  op.replaceAllUsesWith(ValueRange{parameter, momentum, second});
  op.erase();
}
