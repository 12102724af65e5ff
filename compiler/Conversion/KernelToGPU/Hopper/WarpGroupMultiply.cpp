//===- WarpGroupMultiply.cpp - wgmma on tiles in shared memory ------------===//
#include "compiler/Conversion/KernelToGPU/Hopper/WarpGroupMultiply.h"

using namespace mlir;
using namespace smelt::gpu;

// Fields of a descriptor, in 16-byte units: start address (bits 0–13), leading offset (16–29),
// stride offset (32–45); swizzle 128 B is 1 in bits 62–63. K-major: 8 rows are 1024 bytes apart.
// MN-major: panels follow each other, 8 k-rows are 1024 bytes apart.
Value smelt::gpu::describeTile(CodeBuilder &code, Value address, Major major) {
  Value start = code.bitAnd(code.shiftRight(address, 4), 0x3fff);
  Value wide = arith::ExtUIOp::create(code.builder, code.loc, code.builder.getI64Type(), start);
  int64_t leading = major == Major::MN ? panelBytes >> 4 : 1;
  return code.bitOr(wide, (int64_t(1) << 62) | (int64_t(1024 >> 4) << 32) | (leading << 16));
}

Type smelt::gpu::getAccumulatorType(CodeBuilder &code, int64_t n) {
  SmallVector<Type> registers(n / 2, code.f32Type());
  return LLVM::LLVMStructType::getLiteral(code.builder.getContext(), registers);
}

static NVVM::WGMMATypes getType(OperandType type) {
  switch (type) {
  case OperandType::BF16:
    return NVVM::WGMMATypes::bf16;
  case OperandType::E4M3:
    return NVVM::WGMMATypes::e4m3;
  case OperandType::E5M2:
    return NVVM::WGMMATypes::e5m2;
  }
  llvm_unreachable("unknown operand type");
}

Value smelt::gpu::multiply(CodeBuilder &code, const Multiply &shape, Value a, Value b,
                           Value accumulator, bool first) {
  MLIRContext *context = code.builder.getContext();
  auto k = NVVM::MMAShapeAttr::get(context, 64, int(shape.n), int(32 / getBytes(shape.a)));
  return NVVM::WgmmaMmaAsyncOp::create(
      code.builder, code.loc, accumulator.getType(), accumulator, a, b, k,
      NVVM::WGMMATypesAttr::get(context, getType(shape.a)),
      NVVM::WGMMATypesAttr::get(context, getType(shape.b)),
      NVVM::WGMMATypesAttr::get(context, NVVM::WGMMATypes::f32),
      NVVM::WGMMAScaleOutAttr::get(context,
                                   first ? NVVM::WGMMAScaleOut::zero : NVVM::WGMMAScaleOut::one),
      NVVM::WGMMAScaleInAttr::get(context, NVVM::WGMMAScaleIn::one),
      NVVM::WGMMAScaleInAttr::get(context, NVVM::WGMMAScaleIn::one),
      // nvvm calls B "col" when it is K-major.
      NVVM::MMALayoutAttr::get(context, shape.aMajor == Major::K ? NVVM::MMALayout::row
                                                                 : NVVM::MMALayout::col),
      NVVM::MMALayoutAttr::get(context, shape.bMajor == Major::K ? NVVM::MMALayout::col
                                                                 : NVVM::MMALayout::row),
      NVVM::MMAIntOverflowAttr());
}

void smelt::gpu::fenceMultiply(CodeBuilder &code) {
  NVVM::WgmmaFenceAlignedOp::create(code.builder, code.loc);
}
void smelt::gpu::commitMultiply(CodeBuilder &code) {
  NVVM::WgmmaGroupSyncAlignedOp::create(code.builder, code.loc);
}
void smelt::gpu::waitMultiply(CodeBuilder &code, unsigned pending) {
  NVVM::WgmmaWaitGroupSyncOp::create(code.builder, code.loc, uint64_t(pending));
}
