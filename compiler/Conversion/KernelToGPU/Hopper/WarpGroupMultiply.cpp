//===- WarpGroupMultiply.cpp - wgmma on tiles in shared memory ------------===//
#include "compiler/Conversion/KernelToGPU/Hopper/WarpGroupMultiply.h"

using namespace mlir;
using namespace smelt::gpu;

// Fields of a descriptor, in 16-byte units: start address (bits 0–13), leading offset (16–29),
// stride offset (32–45: 8 rows); the swizzle in bits 62–63 is 1 for 128 bytes, 2 for 64,
// 3 for 32.
Value smelt::gpu::describeTile(CodeBuilder &code, Value address, Major major, int64_t panel,
                               int64_t swizzle) {
  Value start = code.bitAnd(code.shiftRight(address, 4), 0x3fff);
  Value wide = arith::ExtUIOp::create(code.builder, code.loc, code.builder.getI64Type(), start);
  int64_t leading = major == Major::MN ? panel >> 4 : 1;
  int64_t kind = swizzle == 128 ? 1 : swizzle == 64 ? 2 : 3;
  return code.bitOr(wide, int64_t(uint64_t(kind) << 62 | uint64_t(8 * swizzle >> 4) << 32 |
                                  uint64_t(leading) << 16));
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

SmallVector<Value> smelt::gpu::multiplyBlocks(CodeBuilder &code, const Multiply &shape, Value a,
                                              Value b, ValueRange accumulators, bool first) {
  fenceMultiply(code);
  SmallVector<Value> result(accumulators);
  for (int64_t step = 0; step < swizzleRow / 32; ++step) {
    for (auto [m, block] : llvm::enumerate(result)) {
      Value bStep, aStep;
      auto moveB = [&] { bStep = code.add(b, step * getStep(shape.bMajor)); };
      if (shape.movesBFirst)
        moveB();
      aStep = code.add(a, step * getStep(shape.aMajor) + int64_t(m) * (panelBytes >> 4));
      if (!shape.movesBFirst)
        moveB();
      block = multiply(code, shape, aStep, bStep, block, first && step == 0);
    }
  }
  commitMultiply(code);
  return result;
}

/// An asm whose first `count` outputs are f32 and tied to the last `count` inputs.
static Value emitTied(CodeBuilder &code, const Twine &text, StringRef constraints,
                      ArrayRef<Value> words, Value accumulator) {
  SmallVector<Value> registers = unpackAccumulator(code, accumulator), operands(words);
  operands.append(registers);
  std::string all;
  for (size_t i = 0; i < registers.size(); ++i)
    all += "=f,";
  all += constraints;
  for (size_t i = 0; i < registers.size(); ++i)
    all += (all.back() == ',' ? "" : ",") + std::to_string(i);
  MLIRContext *context = code.builder.getContext();
  return LLVM::InlineAsmOp::create(
             code.builder, code.loc, accumulator.getType(), operands,
             code.builder.getStringAttr(text), code.builder.getStringAttr(all),
             code.builder.getUnitAttr(), UnitAttr(),
             LLVM::TailCallKindAttr::get(context, LLVM::TailCallKind::None),
             LLVM::AsmDialectAttr::get(context, LLVM::AsmDialect::AD_ATT), ArrayAttr())
      .getResult(0);
}

// No nvvm op takes A from registers.
Value smelt::gpu::multiplyRegisters(CodeBuilder &code, const Multiply &shape, ArrayRef<Value> a,
                                    Value b, Value accumulator, bool first) {
  auto name = [](OperandType type) -> std::string {
    return type == OperandType::BF16 ? ".bf16" : type == OperandType::E4M3 ? ".e4m3" : ".e5m2";
  };
  int64_t count = shape.n / 2;
  std::string text = "wgmma.mma_async.sync.aligned.m64n" + std::to_string(shape.n) + "k" +
                     std::to_string(32 / getBytes(shape.a)) + ".f32" + name(shape.a) +
                     name(shape.b) + " {";
  for (int64_t i = 0; i < count; ++i)
    text += (i ? ", $" : "$") + std::to_string(i);
  auto operand = [&](int64_t i) { return "$" + std::to_string(count + i); };
  text += "}, {" + operand(0) + ", " + operand(1) + ", " + operand(2) + ", " + operand(3) + "}, " +
          operand(4) + (first ? ", 0, 1, 1" : ", 1, 1, 1");
  // Whether B is MN-major is said of 16-bit types alone: f8 are K-major.
  if (shape.b == OperandType::BF16)
    text += shape.bMajor == Major::MN ? ", 1" : ", 0";
  text += ";";
  SmallVector<Value> words(a);
  words.push_back(b);
  return emitTied(code, text, "r,r,r,r,l,", words, accumulator);
}

Value smelt::gpu::waitMultiply(CodeBuilder &code, unsigned pending, Value accumulator,
                               ArrayRef<Value> keep) {
  std::string constraints;
  for (size_t i = 0; i < keep.size(); ++i)
    constraints += "r,";
  return emitTied(code, "wgmma.wait_group.sync.aligned " + Twine(pending) + ";", constraints, keep,
                  accumulator);
}

SmallVector<Value> smelt::gpu::unpackAccumulator(CodeBuilder &code, Value accumulator) {
  SmallVector<Value> registers;
  auto type = cast<LLVM::LLVMStructType>(accumulator.getType());
  for (int64_t i = 0; i < int64_t(type.getBody().size()); ++i)
    registers.push_back(
        LLVM::ExtractValueOp::create(code.builder, code.loc, accumulator, ArrayRef<int64_t>{i}));
  return registers;
}

Value smelt::gpu::packAccumulator(CodeBuilder &code, ArrayRef<Value> registers) {
  Value packed = LLVM::UndefOp::create(code.builder, code.loc,
                                       getAccumulatorType(code, 2 * int64_t(registers.size())));
  for (auto [i, value] : llvm::enumerate(registers))
    packed = LLVM::InsertValueOp::create(code.builder, code.loc, packed, value,
                                         ArrayRef<int64_t>{int64_t(i)});
  return packed;
}
