//===- ActivationStorage.h - Which values are stored in bf16 ----*- C++ -*-===//
//
// The one place that decides, for every target.
//
//===----------------------------------------------------------------------===//
#ifndef SMELT_COMPILER_TRANSFORMS_PRECISION_ACTIVATIONSTORAGE_H
#define SMELT_COMPILER_TRANSFORMS_PRECISION_ACTIVATIONSTORAGE_H

#include "dialects/Kernel/KernelOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/DenseSet.h"

namespace smelt {

/// The storage of one program's values between kernels. To bf16 go f32 matrices and stacks of heads
/// that one kernel makes and others read. f32 stay:
///  - what the program gives away: results, gradients, parameters and state;
///  - numbers per row (and head): lse, gates, factors (every type of that kind in the program);
///  - sums over all rows, which their kernel finishes after its rows;
///  - RoPE tables (a spec that wants them in bf16 says so);
///  - in update programs everything but what products make or take (Newton–Schulz).
class ActivationStorage {
public:
  explicit ActivationStorage(mlir::func::FuncOp function);

  /// Empty if `value` goes to bf16, else why it stays as it is.
  llvm::StringRef whyNot(mlir::OpResult value) const;

private:
  llvm::DenseSet<mlir::Type> rowFactors;
  bool isUpdate;
};

/// The region whose yields are the results of kernel `op`; null if it has none (rope_table …).
mlir::Region *getYieldingRegion(mlir::Operation *op);

} // namespace smelt

#endif
