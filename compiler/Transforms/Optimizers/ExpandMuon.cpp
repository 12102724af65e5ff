//===- ExpandMuon.cpp - Write Muon as matrix products ---------------------===//
//
// Replaces train.muon and train.normuon by lm.matmul and row ops; the equations stand at the ops
// (TrainMatrixOps.td), the shapes in Passes.td.
//
//===----------------------------------------------------------------------===//
#include "compiler/Transforms/Optimizers/MatrixMath.h"
#include "compiler/Transforms/Optimizers/Passes.h"

using namespace mlir;
using namespace smelt;

namespace smelt {
#define GEN_PASS_DEF_EXPANDMUONPASS
#include "compiler/Transforms/Optimizers/Passes.h.inc"
} // namespace smelt

/// smoothed = lerp(x, smoothed, s), stored in its own type; the step takes what is stored.
static Value smooth(MatrixMath &math, train::MuonOp op, Value x, SmallVectorImpl<Value> &results) {
  if (!op.getSmoothed())
    return x;
  Type stored = op.getSmoothed().getType(), wide = x.getType();
  double s = op.getSmoothing().convertToDouble();
  Value old = lm::CastOp::create(math.builder, math.loc, wide, op.getSmoothed());
  Value moved = math.mix({old, x}, {math.constant(s), math.constant(1 - s)});
  Value rounded = lm::CastOp::create(math.builder, math.loc, stored, moved);
  results.push_back(rounded);
  return lm::CastOp::create(math.builder, math.loc, wide, rounded);
}

void smelt::expandMuon(train::MuonOp op) {
  OpBuilder builder(op);
  MatrixMath math(builder, op.getLoc(), op.getParameter(), op.getLr(), op.getGroups());
  auto [direction, momentum] =
      math.moveMomentum(op.getGradient(), op.getMomentum(), op.getMu(), op.getNesterov());
  Value x = math.orthogonalise(direction, op.getNormScale().convertToDouble(),
                               op.getNormEps().convertToDouble(), op.getCoefficients());
  SmallVector<Value> results{Value(), momentum};
  x = smooth(math, op, x, results);
  // p·(1 − lr·lr_scale·wd) − lr·η·x, one coefficient per matrix.
  SmallVector<double> ones(op.getLrScales().size(), 1.0), decays, rates;
  for (auto [lrScale, decay, shaped] :
       llvm::zip_equal(op.getLrScales(), op.getWeightDecays(), op.getShapedScales())) {
    decays.push_back(-lrScale * decay);
    rates.push_back(-shaped);
  }
  Value one = math.constant(1.0), lr = op.getLr();
  if (llvm::all_equal(decays) && llvm::all_equal(rates)) {
    Value keep = math.mix({one, lr}, {one, math.constant(decays.front())});
    Value take = lm::ScaleOp::create(builder, op.getLoc(), lr, math.constant(rates.front()));
    results[0] = math.mix({op.getParameter(), x}, {keep, take});
  } else {
    results[0] = math.mixPerMatrix({op.getParameter(), op.getParameter(), x}, {one, lr, lr},
                                   {ones, decays, rates});
  }
  op.replaceAllUsesWith(results);
  op.erase();
}

namespace {
struct ExpandMuonPass : smelt::impl::ExpandMuonPassBase<ExpandMuonPass> {
  void runOnOperation() override {
    SmallVector<Operation *> ops;
    getOperation().walk([&](Operation *op) {
      if (isa<train::MuonOp, train::NorMuonOp>(op))
        ops.push_back(op);
    });
    for (Operation *op : ops) {
      if (auto muon = dyn_cast<train::MuonOp>(op)) {
        expanded += muon.getGroups();
        expandMuon(muon);
      } else {
        auto normuon = cast<train::NorMuonOp>(op);
        expanded += normuon.getGroups();
        expandNorMuon(normuon);
      }
    }
  }
};
} // namespace
