//===- EmitRopeTable.cpp - kernel.rope_table --------------------------------===//
// Runs once per change of a setting, so that plain scalar code in double does.
#include "compiler/Conversion/KernelToCPU/EmitKernels.h"
#include "compiler/Conversion/KernelToCPU/NumberFormats.h"

#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;

namespace smelt {

LogicalResult emitKernel(kernel::RopeTableOp op, KernelFunction &function) {
  auto type = cast<RankedTensorType>(op.getTable().getType());
  if (!isNumberFormat(type.getElementType()) ||
      !cast<RankedTensorType>(op.getFrequencies().getType()).getElementType().isF32())
    return op.emitOpError("cannot be generated for the CPU: frequencies are f32");
  int64_t tokens = type.getDimSize(0), width = type.getDimSize(1), count = width / 2;
  ImplicitLocOpBuilder &b = function.builder();
  Value frequencies = function.getMemory(op.getFrequencies()),
        table = function.getMemory(op.getTable());
  function.emitParallel(std::min(maxThreadsPerKernel, tokens), [&](Value) {
    function.emitSharedLoop(0, tokens, 1, [&](Value token) {
      Value integer = arith::IndexCastOp::create(b, b.getI64Type(), token);
      Value position = arith::SIToFPOp::create(b, b.getF64Type(), integer);
      Value row = function.mul(token, width);
      function.emitLoop(0, count, 1, [&](Value j) {
        Value stored = memref::LoadOp::create(b, frequencies, j);
        Value frequency = arith::ExtFOp::create(b, b.getF64Type(), stored);
        Value angle = arith::MulFOp::create(b, position, frequency);
        auto store = [&](Value value, Value column) {
          Value single = arith::TruncFOp::create(b, b.getF32Type(), value);
          storeRounded(b, b.getLoc(), single, table, function.add(row, column));
        };
        store(math::CosOp::create(b, angle), j);
        store(math::SinOp::create(b, angle), function.add(j, count));
      });
    });
  });
  return success();
}

} // namespace smelt
