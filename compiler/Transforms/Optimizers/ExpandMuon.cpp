//===- ExpandMuon.cpp - Write Muon as matrix products ---------------------===//
//
// Replaces train.muon by lm.matmul and element-wise lm ops; the equation stands at the op (TrainOps.td), the shapes in Passes.td.
//
//===----------------------------------------------------------------------===//
#include "compiler/Transforms/Optimizers/Passes.h"
#include <cmath>

using namespace mlir;

namespace smelt {
#define GEN_PASS_DEF_EXPANDMUONPASS
#include "compiler/Transforms/Optimizers/Passes.h.inc"
} // namespace smelt

namespace {

/// Builds lm ops for one matrix; all scalars are rank-0 tensors of its element type.
class MuonExpansion {
public:
  explicit MuonExpansion(train::MuonOp op)
      : op(op), builder(op), loc(op.getLoc()), type(cast<RankedTensorType>(op.getParameter().getType())),
        scalar(RankedTensorType::get({}, cast<RankedTensorType>(op.getLr().getType()).getElementType())) {}

  void run() {
    Value one = constant(1.0), mu = op.getMu();
    Value rest = mix({one, mu}, {one, constant(-1.0)}); // 1 − μ
    Value momentum = mix({op.getMomentum(), op.getGradient()}, {mu, rest});
    Value direction = op.getNesterov() ? mix({op.getGradient(), momentum}, {rest, mu}) : momentum;
    Value x = orthogonalise(normalise(direction));
    Value keep = mix({one, op.getLr()}, {one, constant(-lrScale() * op.getWeightDecay().convertToDouble())});
    double aspect = std::sqrt(std::max(1.0, double(type.getDimSize(0)) / double(type.getDimSize(1))));
    Value take = lm::ScaleOp::create(builder, loc, op.getLr(), constant(-lrScale() * aspect));
    Value parameter = mix({op.getParameter(), x}, {keep, take});
    op.replaceAllUsesWith(ValueRange{parameter, momentum});
    op.erase();
  }

private:
  double lrScale() { return op.getLrScale().convertToDouble(); }
  Value constant(double value) { return lm::ConstantOp::create(builder, loc, scalar, value); }
  Value mix(ArrayRef<Value> values, ArrayRef<Value> coefficients) {
    return lm::MixOp::create(builder, loc, values[0].getType(), values, coefficients);
  }
  Value multiply(Type result, Value a, Value b, bool transposeA, bool transposeB) {
    return lm::MatmulOp::create(builder, loc, result, a, b, transposeA, transposeB);
  }

  /// u / (‖u‖·(1 + 2⁻⁶) + 1e-7): a norm below 1, with room for rounding.
  Value normalise(Value u) {
    Value squares = lm::DotOp::create(builder, loc, scalar, u, u);
    Value norm = lm::UnaryOp::create(builder, loc, lm::UnaryKind::sqrt, squares);
    Value bound = mix({norm, constant(1.0)}, {constant(1.0 + 1.0 / 64), constant(1e-7)});
    Value factor = lm::UnaryOp::create(builder, loc, lm::UnaryKind::reciprocal, bound);
    return lm::ScaleOp::create(builder, loc, u, factor);
  }

  Value orthogonalise(Value x) {
    bool isTall = type.getDimSize(0) > type.getDimSize(1);
    int64_t small = std::min(type.getDimSize(0), type.getDimSize(1));
    auto gram = RankedTensorType::get({small, small}, type.getElementType());
    ArrayRef<double> coefficients = op.getCoefficients();
    for (size_t i = 0; i < coefficients.size(); i += 3) {
      Value a = multiply(gram, x, x, isTall, !isTall);
      Value b = mix({a, multiply(gram, a, a, false, false)}, {constant(coefficients[i + 1]), constant(coefficients[i + 2])});
      Value product = isTall ? multiply(type, x, b, false, false) : multiply(type, b, x, false, false);
      x = mix({x, product}, {constant(coefficients[i]), constant(1.0)});
    }
    return x;
  }

  train::MuonOp op;
  OpBuilder builder;
  Location loc;
  RankedTensorType type, scalar;
};

struct ExpandMuonPass : smelt::impl::ExpandMuonPassBase<ExpandMuonPass> {
  void runOnOperation() override {
    SmallVector<train::MuonOp> ops;
    getOperation().walk([&](train::MuonOp op) { ops.push_back(op); });
    for (train::MuonOp op : ops)
      MuonExpansion(op).run();
    expanded += ops.size();
  }
};

} // namespace
