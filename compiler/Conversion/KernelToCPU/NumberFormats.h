//===- NumberFormats.h - bf16, f16, f8 and i16 in memory --------*- C++ -*-===//
//
// Registers hold f32. A value of a narrower type is an f32 that is a number of that type: it is
// rounded once, where it is made, and stored and loaded exactly. The 16 low bits of a master (i16)
// are the f32 numbers 0 … 65535. The bits are the same on every CPU: no instruction that flushes
// denormals (vcvtneps2bf16) is used.
//
//===----------------------------------------------------------------------===//
#ifndef SMELT_COMPILER_CONVERSION_KERNELTOCPU_NUMBERFORMATS_H
#define SMELT_COMPILER_CONVERSION_KERNELTOCPU_NUMBERFORMATS_H

#include "mlir/IR/Builders.h"

namespace smelt {

/// Memory can hold such elements, or registers such values.
bool isNumberFormat(mlir::Type elementType);

/// f32 or a vector of f32 (`type`) from memory[at], a flat memref of any number format. `mask`, if
/// given: lanes without it are 0 and not read.
mlir::Value loadNumbers(mlir::OpBuilder &b, mlir::Location loc, mlir::Type type, mlir::Value memory,
                        mlir::Value at, mlir::Value mask = {});

/// Stores `value`, which must hold numbers of the memory's type.
void storeNumbers(mlir::OpBuilder &b, mlir::Location loc, mlir::Value value, mlir::Value memory,
                  mlir::Value at, mlir::Value mask = {});

/// `value` (f32 or a vector of f32) rounded to the nearest numbers of `elementType`, ties to even.
/// Beyond its range lies infinity, in f8 the largest number. NaN stays NaN.
mlir::Value roundNumbers(mlir::OpBuilder &b, mlir::Location loc, mlir::Value value,
                         mlir::Type elementType);

/// Rounds and stores.
void storeRounded(mlir::OpBuilder &b, mlir::Location loc, mlir::Value value, mlir::Value memory,
                  mlir::Value at, mlir::Value mask = {});

/// lm.join_master and lm.split_master on f32 (vectors).
mlir::Value joinMaster(mlir::OpBuilder &b, mlir::Location loc, mlir::Value high, mlir::Value low);
mlir::Value splitMaster(mlir::OpBuilder &b, mlir::Location loc, mlir::Value master, bool high);

} // namespace smelt
#endif
