//===- KernelFunction.h - A kernel's native function ------------*- C++ -*-===//
#ifndef SMELT_COMPILER_CONVERSION_KERNELTOCPU_KERNELFUNCTION_H
#define SMELT_COMPILER_CONVERSION_KERNELTOCPU_KERNELFUNCTION_H

#include "compiler/Target/CPU/CPUTarget.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "llvm/ADT/DenseMap.h"

namespace smelt {

/// `func.func @smelt_<name>(%buffers: !llvm.ptr)` under construction, for the outlined `func.func
/// private @<name>(tensors) -> tensors` with one kernel op. All memory is seen as flat memrefs
/// (rank 1, static size); buffers may be unaligned.
class KernelFunction {
public:
  /// Creates the function at the end of `module`; `workspaceBytes` > 0 adds the workspace argument.
  KernelFunction(mlir::ModuleOp module, mlir::func::FuncOp source, mlir::Operation *kernel,
                 const CPUTarget &target, int64_t workspaceBytes);

  /// Ends the function with a return.
  void finish();

  mlir::ImplicitLocOpBuilder &builder() { return b; }
  const CPUTarget &getTarget() const { return target; }
  unsigned getLanes() const { return target.lanes; }

  /// The flat memref of an operand or result of the kernel op.
  mlir::Value getMemory(mlir::Value tensor);
  /// The place of an operand's or result's buffer among the function's buffers, and the memory of a
  /// place that is known at run time only (index): memref<?xelementType>.
  int64_t getSlot(mlir::Value tensor) const { return slots.lookup(tensor); }
  mlir::Value getMemoryOfSlot(mlir::Value slot, mlir::Type elementType);
  /// A table of the module, as flat memory.
  mlir::Value getConstantTable(mlir::DenseElementsAttr values);
  /// A flat view of `elements` elements of the workspace from `byteOffset` on (a multiple of 64).
  mlir::Value getWorkspace(int64_t byteOffset, int64_t elements, mlir::Type elementType);

  /// Calls `body(thread)` (index, below `maxThreads`) on every thread of a team of at most
  /// `maxThreads`. Allocations that `body` makes outside of loops live as long as the region.
  void emitParallel(int64_t maxThreads, llvm::function_ref<void(mlir::Value thread)> body);
  /// Inside emitParallel: shares iterations begin, begin + step … < end among the threads (a fixed,
  /// contiguous share each); all threads wait for each other at the end.
  void emitSharedLoop(int64_t begin, int64_t end, int64_t step,
                      llvm::function_ref<void(mlir::Value)> body);
  /// A sequential loop.
  void emitLoop(mlir::Value begin, mlir::Value end, int64_t step,
                llvm::function_ref<void(mlir::Value)> body);
  void emitLoop(int64_t begin, int64_t end, int64_t step,
                llvm::function_ref<void(mlir::Value)> body);

  mlir::Value index(int64_t value);
  /// a + b and a · b of index values, with the trivial cases folded.
  mlir::Value add(mlir::Value a, int64_t b);
  mlir::Value add(mlir::Value a, mlir::Value b);
  mlir::Value mul(mlir::Value a, int64_t b);

private:
  mlir::Value loadPointer(int64_t slot);
  /// `elements` may be ShapedType::kDynamic: as many as there are.
  mlir::Value createMemory(mlir::Value pointer, int64_t elements, mlir::Type elementType);
  mlir::func::FuncOp declareThreadQuery(llvm::StringRef name);

  mlir::ModuleOp module;
  const CPUTarget &target;
  mlir::ImplicitLocOpBuilder b;
  mlir::Block *entry;
  llvm::DenseMap<mlir::Value, int64_t> slots;
  llvm::DenseMap<mlir::Value, mlir::Value> memory; ///< As far as it was asked for.
  mlir::Value workspace;
};

} // namespace smelt
#endif
