//===- EvaluateMatrixOptimizers.cpp - Banks, Muon, NorMuon ----------------===//
//
// Matrix by matrix, from the equations that stand at the ops, in loops: nothing of the expansion's
// way to do a bank at once is repeated here.
//
//===----------------------------------------------------------------------===//
#include "compiler/Reference/Evaluate.h"
#include <algorithm>
#include <cmath>

using namespace mlir;
using namespace smelt::reference;

//===- Banks ----------------------------------------------------------------===//

std::optional<Tensor>
smelt::reference::gatherBank(train::BankOp bank, const std::map<std::string, Tensor> &tensors) {
  Tensor whole;
  llvm::append_range(whole.shape, cast<RankedTensorType>(bank.getType()).getShape());
  for (Attribute member : bank.getMembers()) {
    auto symbol = cast<FlatSymbolRefAttr>(member);
    auto found = tensors.find(symbol.getValue().str());
    if (found != tensors.end()) {
      llvm::append_range(whole.values, found->second.values);
      continue;
    }
    auto state = SymbolTable::lookupNearestSymbolFrom<train::StateOp>(bank, symbol);
    if (!state)
      return std::nullopt;
    int64_t count = cast<RankedTensorType>(state.getType()).getNumElements();
    whole.values.resize(whole.values.size() + count);
  }
  return whole;
}

LogicalResult smelt::reference::scatterBank(Operation *op, train::BankOp bank, const Tensor &value,
                                            std::map<std::string, Tensor> &tensors) {
  if (ArrayRef<int64_t>(value.shape) != cast<RankedTensorType>(bank.getType()).getShape())
    return op->emitOpError("writes a part of the bank @") << bank.getSymName();
  auto from = value.values.begin();
  for (Attribute member : bank.getMembers()) {
    auto symbol = cast<FlatSymbolRefAttr>(member);
    Operation *definition = SymbolTable::lookupNearestSymbolFrom(bank, symbol);
    auto type = cast<RankedTensorType>(definition->getAttrOfType<TypeAttr>("type").getValue());
    auto to = from + type.getNumElements();
    tensors[symbol.getValue().str()] = Tensor(type.getShape(), std::vector<double>(from, to));
    from = to;
  }
  return success();
}

//===- One matrix -----------------------------------------------------------===//

/// a + t·(b − a)
static double lerp(double a, double b, double t) { return a + t * (b - a); }

/// Rows [first, first + count) of a tensor.
static Tensor getRows(const Tensor &whole, int64_t first, int64_t count) {
  SmallVector<int64_t> shape = whole.shape;
  int64_t width = whole.getNumElements() / shape[0];
  shape[0] = count;
  auto begin = whole.values.begin() + first * width;
  return Tensor(shape, std::vector<double>(begin, begin + count * width));
}

static void setRows(Tensor &whole, int64_t first, const Tensor &part) {
  int64_t width = whole.getNumElements() / whole.shape[0];
  std::copy(part.values.begin(), part.values.end(), whole.values.begin() + first * width);
}

static double getNorm(const Tensor &x) {
  double squares = 0;
  for (double value : x.values)
    squares += value * value;
  return std::sqrt(squares);
}

/// Newton–Schulz: X = u/(‖u‖·normScale + normEps), then the polynomial of each coefficient triple.
static Tensor orthogonalise(Tensor x, double normScale, double normEps,
                            ArrayRef<double> coefficients) {
  double bound = getNorm(x) * normScale + normEps;
  for (double &value : x.values)
    value /= bound;
  bool isTall = x.getDim(0) > x.getDim(1);
  for (size_t i = 0; i < coefficients.size(); i += 3) {
    Tensor a = isTall ? multiplyMatrices(x, x, true, false) : multiplyMatrices(x, x, false, true);
    Tensor b = addScaled(a, coefficients[i + 1], multiplyMatrices(a, a, false, false),
                         coefficients[i + 2]);
    Tensor product =
        isTall ? multiplyMatrices(x, b, false, false) : multiplyMatrices(b, x, false, false);
    x = addScaled(x, coefficients[i], product, 1.0);
  }
  return x;
}

/// Moves `momentum` and returns the direction that is orthogonalised.
static Tensor moveMomentum(const Tensor &gradient, Tensor &momentum, double mu, bool nesterov) {
  Tensor direction = gradient;
  for (int64_t i = 0; i < gradient.getNumElements(); ++i) {
    momentum(i) = lerp(momentum(i), gradient(i), 1.0 - mu);
    direction(i) = nesterov ? lerp(gradient(i), momentum(i), mu) : momentum(i);
  }
  return direction;
}

static double getAspect(const Tensor &x) {
  return std::sqrt(std::max(1.0, double(x.getDim(0)) / double(x.getDim(1))));
}

//===- Muon -----------------------------------------------------------------===//

LogicalResult smelt::reference::evaluateMatrixOptimizer(train::MuonOp op, Frame &frame) {
  double mu = frame[op.getMu()].item();
  int64_t rows = op.getRows();
  Tensor &parameters = frame.define(op.getNewParameter(), frame[op.getParameter()]);
  Tensor &momenta = frame.define(op.getNewMomentum(), frame[op.getMomentum()]);
  Tensor *smoothed = nullptr;
  if (op.getSmoothed())
    smoothed = &frame.define(op.getNewSmoothed(), frame[op.getSmoothed()]);
  for (int64_t i = 0; i < int64_t(op.getGroups()); ++i) {
    Tensor p = getRows(parameters, i * rows, rows), m = getRows(momenta, i * rows, rows);
    Tensor u = moveMomentum(getRows(frame[op.getGradient()], i * rows, rows), m, mu,
                            op.getNesterov());
    Tensor x = orthogonalise(u, op.getNormScale().convertToDouble(),
                             op.getNormEps().convertToDouble(), op.getCoefficients());
    if (smoothed) {
      x = addScaled(getRows(*smoothed, i * rows, rows), op.getSmoothing().convertToDouble(), x,
                    1.0 - op.getSmoothing().convertToDouble());
      frame.interpreter.round(op.getSmoothed().getType(), x);
      setRows(*smoothed, i * rows, x);
    }
    double lr = frame[op.getLr()].item() * op.getLrScales()[i];
    setRows(parameters, i * rows,
            addScaled(p, 1.0 - lr * op.getWeightDecays()[i], x, -lr * getAspect(x)));
    setRows(momenta, i * rows, m);
  }
  return success();
}

//===- NorMuon --------------------------------------------------------------===//

/// Moves `second` (one per row, or one per column) towards the mean squares of x and divides x by
/// its root, the norm of x unchanged.
static void reduceVariance(Tensor &x, Tensor &second, double beta2, bool perRow) {
  int64_t rows = x.getDim(0), columns = x.getDim(1), count = perRow ? rows : columns;
  double before = getNorm(x);
  for (int64_t i = 0; i < count; ++i) {
    double squares = 0;
    int64_t length = perRow ? columns : rows;
    for (int64_t j = 0; j < length; ++j)
      squares += std::pow(perRow ? x(i, j) : x(j, i), 2);
    second(i) = lerp(squares / double(length), second(i), beta2);
    for (int64_t j = 0; j < length; ++j)
      (perRow ? x(i, j) : x(j, i)) /= std::sqrt(std::max(second(i), 1e-10));
  }
  double ratio = before / std::max(getNorm(x), 1e-10);
  for (double &value : x.values)
    value *= ratio;
}

LogicalResult smelt::reference::evaluateMatrixOptimizer(train::NorMuonOp op, Frame &frame) {
  double mu = frame[op.getMu()].item(),
         rate = frame[op.getLr()].item() * op.getPeak().convertToDouble();
  int64_t rows = op.getRows(), secondRows = op.getVarianceAxis() == 1 ? rows : 1;
  Tensor &parameters = frame.define(op.getNewParameter(), frame[op.getParameter()]);
  Tensor &momenta = frame.define(op.getNewMomentum(), frame[op.getMomentum()]);
  Tensor &seconds = frame.define(op.getNewSecond(), frame[op.getSecond()]);
  for (int64_t i = 0; i < int64_t(op.getGroups()); ++i) {
    Tensor p = getRows(parameters, i * rows, rows), m = getRows(momenta, i * rows, rows),
           second = getRows(seconds, i * secondRows, secondRows);
    Tensor u = moveMomentum(getRows(frame[op.getGradient()], i * rows, rows), m, mu,
                            op.getNesterov());
    Tensor x = orthogonalise(u, op.getNormScale().convertToDouble(),
                             op.getNormEps().convertToDouble(), op.getCoefficients());
    reduceVariance(x, second, op.getBeta2().convertToDouble(), op.getVarianceAxis() == 1);
    double eta = rate * op.getLrScales()[i] * getAspect(x);
    for (int64_t j = 0; j < p.getNumElements(); ++j) {
      bool decays = !op.getCautious() || x(j) * p(j) >= 0;
      p(j) -= (decays ? op.getWeightDecays()[i] * rate * eta * p(j) : 0.0) + eta * x(j);
    }
    setRows(parameters, i * rows, p);
    setRows(momenta, i * rows, m);
    setRows(seconds, i * secondRows, second);
  }
  return success();
}
