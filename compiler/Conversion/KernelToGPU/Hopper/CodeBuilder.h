//===- CodeBuilder.h - Short names for device code ---------------*- C++ -*-===//
//
// What emitters of GPU kernels write most: 32-bit integer and f32 arithmetic, addresses, branches
// and loops, built as arith, llvm, scf and nvvm ops. Addresses are byte offsets from a pointer;
// shared memory is address space 3, global memory 1.
//
//===----------------------------------------------------------------------===//
#ifndef SMELT_COMPILER_CONVERSION_KERNELTOGPU_HOPPER_CODEBUILDER_H
#define SMELT_COMPILER_CONVERSION_KERNELTOGPU_HOPPER_CODEBUILDER_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/STLFunctionalExtras.h"

namespace smelt::gpu {

using mlir::Type;
using mlir::Value;
using mlir::ValueRange;

inline constexpr unsigned globalSpace = 1, sharedSpace = 3, clusterSpace = 7;

class CodeBuilder {
public:
  CodeBuilder(mlir::OpBuilder &builder, mlir::Location loc) : builder(builder), loc(loc) {}

  mlir::OpBuilder &builder;
  mlir::Location loc;

  //===- Types and constants ------------------------------------------------===//
  Type i1() { return builder.getI1Type(); }
  Type i32Type() { return builder.getI32Type(); }
  Type f32Type() { return builder.getF32Type(); }
  Type pointerType(unsigned space) {
    return mlir::LLVM::LLVMPointerType::get(builder.getContext(), space);
  }
  Value i32(int64_t value);
  Value i64(int64_t value);
  Value f32(double value);

  //===- Integers (32 bits unless said otherwise) ---------------------------===//
  Value add(Value a, Value b) { return fold<mlir::arith::AddIOp>(a, b); }
  Value add(Value a, int64_t b) { return b ? add(a, constantLike(a, b)) : a; }
  Value sub(Value a, Value b) { return fold<mlir::arith::SubIOp>(a, b); }
  Value sub(Value a, int64_t b) { return b ? sub(a, constantLike(a, b)) : a; }
  Value mul(Value a, Value b) { return fold<mlir::arith::MulIOp>(a, b); }
  Value mul(Value a, int64_t b) { return b == 1 ? a : mul(a, constantLike(a, b)); }
  Value div(Value a, int64_t b) {
    return b == 1 ? a : fold<mlir::arith::DivUIOp>(a, constantLike(a, b));
  }
  Value rem(Value a, int64_t b) { return fold<mlir::arith::RemUIOp>(a, constantLike(a, b)); }
  Value bitAnd(Value a, int64_t b) { return fold<mlir::arith::AndIOp>(a, constantLike(a, b)); }
  Value bitOr(Value a, int64_t b) { return fold<mlir::arith::OrIOp>(a, constantLike(a, b)); }
  Value bitXor(Value a, Value b) { return fold<mlir::arith::XOrIOp>(a, b); }
  Value bitXor(Value a, int64_t b) { return b ? bitXor(a, constantLike(a, b)) : a; }
  Value shiftLeft(Value a, int64_t b) { return fold<mlir::arith::ShLIOp>(a, constantLike(a, b)); }
  Value shiftRight(Value a, int64_t b) { return fold<mlir::arith::ShRUIOp>(a, constantLike(a, b)); }
  Value logicalAnd(Value a, Value b) { return fold<mlir::arith::AndIOp>(a, b); }
  Value equal(Value a, int64_t b) { return compare(mlir::arith::CmpIPredicate::eq, a, b); }
  Value less(Value a, Value b) { return compare(mlir::arith::CmpIPredicate::ult, a, b); }
  Value less(Value a, int64_t b) { return compare(mlir::arith::CmpIPredicate::ult, a, b); }
  Value atLeast(Value a, int64_t b) { return compare(mlir::arith::CmpIPredicate::uge, a, b); }
  Value compare(mlir::arith::CmpIPredicate predicate, Value a, Value b);
  Value compare(mlir::arith::CmpIPredicate predicate, Value a, int64_t b);
  Value select(Value condition, Value a, Value b);
  /// To 64 bits, unsigned.
  Value widen(Value a);

  //===- f32 ----------------------------------------------------------------===//
  Value fadd(Value a, Value b);
  Value fsub(Value a, Value b);
  Value fmul(Value a, Value b);
  Value fma(Value a, Value b, Value c);
  Value fmax(Value a, Value b);
  Value fneg(Value a);
  /// One PTX instruction from one f32 to another: "rsqrt.approx.ftz.f32".
  Value approximate(llvm::StringRef instruction, Value x);
  /// Two f32 as bf16 in the low and high half of an i32, round to nearest even.
  Value packBF16(Value low, Value high);
  /// The same of neighbours in a list.
  llvm::SmallVector<Value> packPairs(llvm::ArrayRef<Value> values);
  /// The two bf16 of an i32 as f32.
  std::pair<Value, Value> unpackBF16(Value word);
  /// The value of lane (this ^ mask).
  Value shuffleXor(Value x, unsigned mask);

  //===- Memory -------------------------------------------------------------===//
  Value at(Value pointer, Value bytes);
  Value at(Value pointer, int64_t bytes);
  /// The element at `row`, `column` of a row-major matrix; 64-bit arithmetic, since logits exceed 2
  /// GiB.
  Value atElement(Value matrix, Value row, int64_t columns, Value column, int64_t elementBytes);
  Value load(Type type, Value pointer, unsigned alignment);
  void store(Value value, Value pointer, unsigned alignment);

  //===- Control ------------------------------------------------------------===//
  void ifThen(Value condition, llvm::function_ref<void()> then);
  void ifElse(Value condition, llvm::function_ref<void()> then,
              llvm::function_ref<void()> otherwise);
  /// The i32 values that the branch taken gives, `count` of them.
  llvm::SmallVector<Value> choose(Value condition, unsigned count,
                                  llvm::function_ref<llvm::SmallVector<Value>()> then,
                                  llvm::function_ref<llvm::SmallVector<Value>()> otherwise);
  /// for (iv = first; iv < end; iv += step), unsigned; the body returns the carried values. Returns
  /// those after the loop.
  llvm::SmallVector<Value>
  loop(Value first, Value end, Value step, ValueRange carried,
       llvm::function_ref<llvm::SmallVector<Value>(Value iv, ValueRange carried)> body);
  /// while (condition(carried)) carried = body(what condition passes on); the condition gives its
  /// truth first. Returns what it passes on when it is false.
  llvm::SmallVector<Value>
  loopWhile(ValueRange carried,
            llvm::function_ref<std::pair<Value, llvm::SmallVector<Value>>(ValueRange)> condition,
            llvm::function_ref<llvm::SmallVector<Value>(ValueRange)> body);

  //===- Threads ------------------------------------------------------------===//
  Value threadIndex();
  Value blockIndex();
  Value gridSize();
  /// x of lane 0 for the whole warp: tells the compiler that x is the same in it.
  Value uniform(Value x);
  /// One thread of a converged warp.
  Value elected();
  /// All lanes of a warp are here, and what they read and wrote in shared memory is done: an
  /// arrival of one of them then stands for all. (A shuffle orders no memory.)
  void syncWarp();
  /// bar.sync / bar.arrive on a named barrier.
  void barrier(Value id, int64_t threads);
  void barrierArrive(Value id, int64_t threads);
  void barrierAll();

private:
  template <typename Op> Value fold(Value a, Value b) {
    return builder.createOrFold<Op>(loc, a, b);
  }
  Value constantLike(Value like, int64_t value);
};

} // namespace smelt::gpu
#endif
