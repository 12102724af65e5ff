//===- EvaluateFormats.cpp - f8 products, bf16+16 masters -----------------===//
#include "compiler/Reference/Evaluate.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/ADT/bit.h"

using namespace mlir;
using namespace mlir::lm;
using namespace smelt::reference;

/// x / scale in the f8 `elementType`. The product with 1/scale is rounded to f32 before.
static Tensor quantize(Tensor x, Type elementType, double scale, Frame &frame) {
  Type f32 = Float32Type::get(elementType.getContext());
  bool isExact = frame.interpreter.getRounding() == Rounding::none;
  double factor = isExact ? 1.0 / scale : roundTo(f32, 1.0 / scale);
  for (double &value : x.values)
    value = isExact ? value * factor : roundTo(f32, roundTo(f32, value) * factor);
  frame.interpreter.round(elementType, x);
  return x;
}

static Tensor multiplyQuantized(QuantizedMatmulOp op, Frame &frame) {
  Type e4m3 = Float8E4M3FNType::get(op.getContext());
  double xScale = op.getXScale().convertToDouble(), wScale = op.getWScale().convertToDouble();
  Tensor x = quantize(frame[op.getX()], e4m3, xScale, frame);
  Tensor w = quantize(frame[op.getW()], e4m3, wScale, frame);
  Tensor product = multiplyMatrices(x, w, /*transposeA=*/false, /*transposeB=*/true);
  for (double &value : product.values)
    value *= xScale * wScale;
  return product;
}

Evaluation smelt::reference::evaluateFormats(Operation *op, Frame &frame) {
  return TypeSwitch<Operation *, Evaluation>(op)
      .Case([&](QuantizeOp op) {
        Type elementType = getElementTypeOrSelf(op.getResult());
        frame.define(op.getResult(), quantize(frame[op.getX()], elementType,
                                              op.getScale().convertToDouble(), frame));
        return success();
      })
      .Case([&](QuantizedMatmulOp op) {
        frame.define(op.getResult(), multiplyQuantized(op, frame));
        return success();
      })
      .Case([&](JoinMasterOp op) {
        const Tensor &high = frame[op.getHigh()], &low = frame[op.getLow()];
        Tensor &result = frame.define(op.getResult());
        for (int64_t i = 0; i < result.getNumElements(); ++i) {
          // A bf16 is an f32 whose low bits are zero.
          uint32_t bits = llvm::bit_cast<uint32_t>(float(high(i))) & 0xffff0000u;
          result(i) = llvm::bit_cast<float>(bits | uint16_t(int64_t(low(i))));
        }
        return success();
      })
      .Case([&](SplitMasterOp op) {
        const Tensor &x = frame[op.getX()];
        Tensor &high = frame.define(op.getHigh()), &low = frame.define(op.getLow());
        for (int64_t i = 0; i < x.getNumElements(); ++i) {
          uint32_t bits = llvm::bit_cast<uint32_t>(float(x(i)));
          high(i) = llvm::bit_cast<float>(bits & 0xffff0000u);
          low(i) = bits & 0xffffu;
        }
        return success();
      })
      .Default([](Operation *) -> Evaluation { return std::nullopt; });
}
