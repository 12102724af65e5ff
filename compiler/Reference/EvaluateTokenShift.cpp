//===- EvaluateTokenShift.cpp - token_shift, its transpose and its dot ----===//
#include "compiler/Reference/Evaluate.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::lm;
using namespace smelt::reference;

namespace {

/// What the three ops of the family share. A [T, D] tensor is read as one head.
struct Shift {
  ShiftMode mode;
  int64_t distance, rows, heads, width;
  std::vector<bool> isShiftedHead, isShiftedFeature;
  bool masksDocuments;
  const Tensor *documentStart = nullptr;

  template <typename Op>
  Shift(Op op, const Tensor &x, Frame &frame)
      : mode(op.getMode()), distance(op.getDistance()), rows(x.getDim(0)),
        heads(x.getRank() == 3 ? x.getDim(1) : 1), width(x.getWidth()),
        isShiftedHead(heads, op.getHeads().empty()),
        isShiftedFeature(width, op.getFeatures().empty()),
        masksDocuments(op.getDocuments() == DocumentRule::mask) {
    for (int64_t head : op.getHeads())
      isShiftedHead[head] = true;
    for (size_t pair = 0; pair < op.getFeatures().size(); pair += 2)
      for (int64_t feature = op.getFeatures()[pair]; feature < op.getFeatures()[pair + 1];
           ++feature)
        isShiftedFeature[feature] = true;
    if (op.getDocumentStart())
      documentStart = &frame[op.getDocumentStart()];
  }

  int64_t index(int64_t t, int64_t h, int64_t i) const { return (t * heads + h) * width + i; }

  /// Does element (t, h, i) take from row t − distance?
  bool takes(int64_t t, int64_t h, int64_t i) const {
    if (t < distance || !isShiftedHead[h] || !isShiftedFeature[i])
      return false;
    return !masksDocuments || t - distance >= int64_t((*documentStart)(t));
  }

  template <typename Visit> void forEachElement(Visit visit) const {
    for (int64_t t = 0; t < rows; ++t)
      for (int64_t h = 0; h < heads; ++h)
        for (int64_t i = 0; i < width; ++i)
          visit(t, h, i);
  }
};

/// scale · gate of row t and head h.
template <typename Op> double getCoefficient(Op op, Frame &frame, int64_t t, int64_t h) {
  double c = op.getScale() ? frame[op.getScale()].item() : 1.0;
  if (!op.getGate())
    return c;
  const Tensor &gate = frame[op.getGate()];
  return c * (gate.getRank() == 2 && gate.getDim(1) > 1 ? gate(t, h) : gate(t));
}

} // namespace

static LogicalResult evaluateShift(TokenShiftOp op, Frame &frame) {
  const Tensor &x = frame[op.getX()];
  Tensor &y = frame.define(op.getResult());
  Shift shift(op, x, frame);
  shift.forEachElement([&](int64_t t, int64_t h, int64_t i) {
    int64_t here = shift.index(t, h, i);
    y(here) = x(here);
    if (!shift.takes(t, h, i))
      return;
    double c = getCoefficient(op, frame, t, h);
    double earlier = x(shift.index(t - shift.distance, h, i));
    y(here) = shift.mode == ShiftMode::replace ? x(here) + c * (earlier - x(here))
                                               : x(here) + c * earlier;
    if (shift.mode == ShiftMode::replace && !op.getScale() && !op.getGate())
      y(here) = earlier; // Exactly: x + (e − x) may round.
  });
  return success();
}

/// The transposed map: every y of the forward pass hands its gradient to the x's that it was made
/// from.
static LogicalResult evaluateAdjoint(TokenShiftAdjointOp op, Frame &frame) {
  const Tensor &dy = frame[op.getDy()];
  Tensor &dx = frame.define(op.getDx(), Tensor::filled(dy.shape, 0.0));
  Shift shift(op, dy, frame);
  shift.forEachElement([&](int64_t t, int64_t h, int64_t i) {
    int64_t here = shift.index(t, h, i);
    if (!shift.takes(t, h, i)) {
      dx(here) += dy(here);
      return;
    }
    double c = getCoefficient(op, frame, t, h);
    dx(here) += (shift.mode == ShiftMode::replace ? 1.0 - c : 1.0) * dy(here);
    dx(shift.index(t - shift.distance, h, i)) += c * dy(here);
  });
  return success();
}

static LogicalResult evaluateDot(TokenShiftDotOp op, Frame &frame) {
  const Tensor &x = frame[op.getX()], &dy = frame[op.getDy()];
  Tensor &p = frame.define(op.getResult());
  p = Tensor::filled(p.shape, 0.0);
  Shift shift(op, x, frame);
  bool isPerHead = p.getRank() == 2 && p.getDim(1) > 1;
  shift.forEachElement([&](int64_t t, int64_t h, int64_t i) {
    if (!shift.takes(t, h, i))
      return;
    int64_t here = shift.index(t, h, i);
    double direction = x(shift.index(t - shift.distance, h, i)) -
                       (shift.mode == ShiftMode::replace ? x(here) : 0.0);
    (isPerHead ? p(t, h) : p(t)) += dy(here) * direction;
  });
  return success();
}

Evaluation smelt::reference::evaluateTokenShift(Operation *op, Frame &frame) {
  return TypeSwitch<Operation *, Evaluation>(op)
      .Case([&](TokenShiftOp op) { return evaluateShift(op, frame); })
      .Case([&](TokenShiftAdjointOp op) { return evaluateAdjoint(op, frame); })
      .Case([&](TokenShiftDotOp op) { return evaluateDot(op, frame); })
      .Default([](Operation *) -> Evaluation { return std::nullopt; });
}
