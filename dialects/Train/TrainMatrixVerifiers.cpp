//===- TrainMatrixVerifiers.cpp - Rules of banks and matrix optimisers ----===//
#include "dialects/Train/TrainOps.h"
#include <algorithm>
#include <cmath>

using namespace mlir;
using namespace mlir::train;

/// Members are declared tensors of one row shape and element type, and fill the bank.
LogicalResult BankOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto bank = dyn_cast<RankedTensorType>(getType());
  if (!bank || !bank.hasStaticShape() || bank.getRank() == 0)
    return emitOpError("needs a tensor type with rows, not ") << getType();
  int64_t rows = 0;
  for (Attribute attribute : getMembers()) {
    auto symbol = dyn_cast<FlatSymbolRefAttr>(attribute);
    Operation *member = symbol ? symbols.lookupNearestSymbolFrom(*this, symbol) : nullptr;
    auto type =
        member && !isa<BankOp>(member) ? member->getAttrOfType<TypeAttr>("type") : TypeAttr();
    auto tensor = type ? dyn_cast<RankedTensorType>(type.getValue()) : RankedTensorType();
    if (!tensor)
      return emitOpError("holds ") << attribute << ", which is no parameter or state";
    if (tensor.getRank() != bank.getRank() || tensor.getElementType() != bank.getElementType() ||
        tensor.getShape().drop_front() != bank.getShape().drop_front()) {
      InFlightDiagnostic error = emitOpError("of ")
                                 << bank << " holds " << attribute << ", which is " << tensor;
      error.attachNote(member->getLoc()) << "declared here";
      return error;
    }
    rows += tensor.getDimSize(0);
  }
  if (int64_t(getPadding()) < 0 || rows + int64_t(getPadding()) != bank.getDimSize(0))
    return emitOpError("has ") << bank.getDimSize(0) << " rows, but its members have " << rows;
  return success();
}

template <typename Op> static LogicalResult verifyMatrices(Op op) {
  auto type = cast<RankedTensorType>(op.getParameter().getType());
  if (type.getRank() != 2)
    return op.emitOpError("orthogonalises matrices, not ") << type;
  int64_t groups = op.getGroups();
  if (groups < 1 || type.getDimSize(0) % groups)
    return op.emitOpError("cannot cut the rows of ") << type << " into " << groups << " matrices";
  int64_t ranks = op.getRanks();
  if (ranks < 1)
    return op.emitOpError("cannot be one of ") << ranks << " ranks' part";
  size_t matrices = groups * ranks;
  if (op.getLrScales().size() != matrices || op.getWeightDecays().size() != matrices)
    return op.emitOpError("needs one lr scale and one weight decay per matrix");
  if (op.getCoefficients().empty() || op.getCoefficients().size() % 3)
    return op.emitOpError("needs three coefficients per iteration");
  return success();
}

LogicalResult MuonOp::verify() {
  if (failed(verifyMatrices(*this)))
    return failure();
  if (bool(getSmoothed()) != bool(getNewSmoothed()))
    return emitOpError("gives a smoothed update exactly if it takes one");
  if (!getSmoothed())
    return success();
  auto smoothed = cast<RankedTensorType>(getSmoothed().getType());
  if (getNewSmoothed().getType() != smoothed ||
      smoothed.getShape() != cast<RankedTensorType>(getParameter().getType()).getShape())
    return emitOpError("needs a smoothed update of the parameter's shape, not ") << smoothed;
  return success();
}

LogicalResult NorMuonOp::verify() {
  if (failed(verifyMatrices(*this)))
    return failure();
  if (getVarianceAxis() != 0 && getVarianceAxis() != 1)
    return emitOpError("averages over axis 0 or 1, not ") << int64_t(getVarianceAxis());
  auto parameter = cast<RankedTensorType>(getParameter().getType());
  SmallVector<int64_t> shape{parameter.getDimSize(0)};
  if (getVarianceAxis() == 0)
    shape = {int64_t(getGroups()), parameter.getDimSize(1)};
  auto wanted = RankedTensorType::get(shape, parameter.getElementType());
  if (getSecond().getType() != wanted || getNewSecond().getType() != wanted)
    return emitOpError("needs second moments ") << wanted << ", not " << getSecond().getType();
  return success();
}

template <typename Op> static SmallVector<double> getScales(Op op) {
  double shape = std::sqrt(std::max(1.0, double(op.getRows()) / double(op.getColumns())));
  return llvm::map_to_vector(op.getLrScales(), [&](double scale) { return scale * shape; });
}
SmallVector<double> MuonOp::getShapedScales() { return getScales(*this); }
SmallVector<double> NorMuonOp::getShapedScales() { return getScales(*this); }
