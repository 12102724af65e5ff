//===- GPUBuilder.h - Short names for what GPU code is made of --*- C++ -*-===//
#ifndef SMELT_COMPILER_CONVERSION_KERNELTOGPU_GPUBUILDER_H
#define SMELT_COMPILER_CONVERSION_KERNELTOGPU_GPUBUILDER_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include <array>

namespace smelt {

/// A view of a builder. Integers are i32 unless said otherwise; numbers are f32.
class GPUBuilder {
public:
  using Value = mlir::Value;
  using Values = llvm::SmallVector<Value>;

  explicit GPUBuilder(mlir::ImplicitLocOpBuilder &b) : b(b) {}
  mlir::ImplicitLocOpBuilder &base() { return b; }

  // Constants.
  Value integer(int64_t value) { return constant(b.getI32IntegerAttr(value)); }
  Value integer64(int64_t value) { return constant(b.getI64IntegerAttr(value)); }
  Value number(double value) { return constant(b.getF32FloatAttr(value)); }
  Value boolean(bool value) { return constant(b.getBoolAttr(value)); }
  mlir::Type i32() { return b.getI32Type(); }
  mlir::Type i64() { return b.getI64Type(); }
  mlir::Type f32() { return b.getF32Type(); }
  mlir::Type pointer(unsigned space) {
    return mlir::LLVM::LLVMPointerType::get(b.getContext(), space);
  }

  // Integers; constants are folded.
  Value add(Value x, Value y) { return fold<mlir::arith::AddIOp>(x, y); }
  Value sub(Value x, Value y) { return fold<mlir::arith::SubIOp>(x, y); }
  Value mul(Value x, Value y) { return fold<mlir::arith::MulIOp>(x, y); }
  Value add(Value x, int64_t y) { return y ? add(x, integerLike(x, y)) : x; }
  Value mul(Value x, int64_t y) { return y == 1 ? x : mul(x, integerLike(x, y)); }
  Value div(Value x, int64_t y) {
    return y == 1 ? x : fold<mlir::arith::DivUIOp>(x, integerLike(x, y));
  }
  Value rem(Value x, int64_t y) {
    return y == 1 ? integerLike(x, 0) : fold<mlir::arith::RemUIOp>(x, integerLike(x, y));
  }
  Value min(Value x, Value y) { return fold<mlir::arith::MinSIOp>(x, y); }
  Value max(Value x, Value y) { return fold<mlir::arith::MaxSIOp>(x, y); }
  Value both(Value x, Value y) { return fold<mlir::arith::AndIOp>(x, y); }
  Value either(Value x, Value y) { return fold<mlir::arith::OrIOp>(x, y); }
  Value compare(mlir::arith::CmpIPredicate predicate, Value x, Value y) {
    return b.createOrFold<mlir::arith::CmpIOp>(predicate, x, y);
  }
  Value less(Value x, Value y) { return compare(mlir::arith::CmpIPredicate::slt, x, y); }
  Value less(Value x, int64_t y) { return less(x, integerLike(x, y)); }
  Value atLeast(Value x, Value y) { return compare(mlir::arith::CmpIPredicate::sge, x, y); }
  Value atLeast(Value x, int64_t y) { return atLeast(x, integerLike(x, y)); }
  Value equal(Value x, Value y) { return compare(mlir::arith::CmpIPredicate::eq, x, y); }
  Value equal(Value x, int64_t y) { return equal(x, integerLike(x, y)); }
  Value widen(Value x) { return mlir::arith::ExtSIOp::create(b, i64(), x); }
  Value select(Value condition, Value x, Value y) {
    return x == y ? x : b.createOrFold<mlir::arith::SelectOp>(condition, x, y);
  }

  // Numbers.
  Value addf(Value x, Value y) { return mlir::arith::AddFOp::create(b, x, y); }
  Value subf(Value x, Value y) { return mlir::arith::SubFOp::create(b, x, y); }
  Value mulf(Value x, Value y) { return mlir::arith::MulFOp::create(b, x, y); }
  Value divf(Value x, Value y) { return mlir::arith::DivFOp::create(b, x, y); }
  Value negf(Value x) { return mlir::arith::NegFOp::create(b, x); }
  Value maxf(Value x, Value y) { return mlir::arith::MaxNumFOp::create(b, x, y); }
  Value fma(Value x, Value y, Value z) { return mlir::LLVM::FMAOp::create(b, x, y, z); }
  Value compare(mlir::arith::CmpFPredicate predicate, Value x, Value y) {
    return mlir::arith::CmpFOp::create(b, predicate, x, y);
  }
  Value greaterf(Value x, Value y) { return compare(mlir::arith::CmpFPredicate::OGT, x, y); }
  Value sqrt(Value x) { return mlir::LLVM::SqrtOp::create(b, x); }
  /// 1/sqrt(x) to 2^-22.9: one instruction of the special function unit instead of a square root
  /// and a division, each with Newton steps and a branch.
  Value rsqrt(Value x) { return intrinsic("llvm.nvvm.rsqrt.approx.f", f32(), {x}); }
  /// 1/x to 1 ulp, 0 beyond 2^126.
  Value reciprocal(Value x) { return intrinsic("llvm.nvvm.rcp.approx.ftz.f", f32(), {x}); }
  /// 2^x by the special function unit: 2 ulp.
  Value exp2(Value x) { return intrinsic("llvm.nvvm.ex2.approx.f32", f32(), {x}); }
  Value exp(Value x);
  Value log(Value x);
  Value sigmoid(Value x);
  Value tanh(Value x);
  /// The error function to 2e-7.
  Value erf(Value x);

  Value intrinsic(llvm::StringRef name, mlir::Type type, mlir::ValueRange arguments);

  // Threads.
  Value thread() { return mlir::NVVM::ThreadIdXOp::create(b, i32()); }
  Value block() { return mlir::NVVM::BlockIdXOp::create(b, i32()); }
  void barrier() { mlir::NVVM::Barrier0Op::create(b); }
  /// The value of the lane whose number differs by the bits of `mask`.
  Value shuffleXor(Value value, int mask);
  /// Every lane gets the sum (or maximum) over its group of `lanes` lanes, a power of two.
  Value sumOfLanes(Value value, int lanes = 32);
  Value maxOfLanes(Value value, int lanes = 32);
  Value voteBallot(Value predicate);

  // Memory. Offsets are in elements of `type`.
  Value offset(Value pointer, mlir::Type type, Value elements) {
    return mlir::LLVM::GEPOp::create(b, pointer.getType(), storageOf(type), pointer,
                                     llvm::ArrayRef<mlir::LLVM::GEPArg>{elements});
  }
  Value load(Value pointer, mlir::Type type, unsigned alignment = 0) {
    return mlir::LLVM::LoadOp::create(b, type, pointer, alignment);
  }
  void store(Value value, Value pointer, unsigned alignment = 0) {
    mlir::LLVM::StoreOp::create(b, value, pointer, alignment);
  }
  /// What LLVM has for an element in memory: f8 are bytes.
  mlir::Type storageOf(mlir::Type type);
  /// f32 of `count` consecutive elements of `type` from `pointer` on, `count`·size aligned if
  /// `aligned`.
  Values loadNumbers(Value pointer, mlir::Type type, unsigned count, bool aligned);
  void storeNumbers(llvm::ArrayRef<Value> numbers, Value pointer, mlir::Type type, bool aligned);
  /// A number as element of `type` and back: what storing it there makes of it.
  Value roundTo(Value number, mlir::Type type);
  /// lm.join_master and lm.split_master (high, low).
  Value joinMaster(Value high, Value low);
  std::array<Value, 2> splitMaster(Value master);

  // Control flow.
  using LoopBody = llvm::function_ref<Values(Value index, mlir::ValueRange carried)>;
  Values loop(Value begin, Value end, Value step, mlir::ValueRange initial, LoopBody body);
  void loop(Value begin, Value end, Value step, llvm::function_ref<void(Value)> body);
  void when(Value condition, llvm::function_ref<void()> body);
  Values choose(Value condition, mlir::TypeRange types, llvm::function_ref<Values()> then,
                llvm::function_ref<Values()> otherwise);

private:
  Value constant(mlir::TypedAttr value) { return mlir::arith::ConstantOp::create(b, value); }
  Value integerLike(Value x, int64_t value) {
    return constant(b.getIntegerAttr(x.getType(), value));
  }
  template <typename OpT> Value fold(Value x, Value y) { return b.createOrFold<OpT>(x, y); }

  mlir::ImplicitLocOpBuilder &b;
};

} // namespace smelt
#endif
