//===- GPUEmission.h - The code of one kernel op on a GPU -------*- C++ -*-===//
//
// An emitter gets a GPUEmission for its kernel op, makes functions with it (GPUFunction) and adds
// their launches, in order. Bytes that cross from one launch to the next lie in the kernel's
// workspace, which the emission hands out.
//
//===----------------------------------------------------------------------===//
#ifndef SMELT_COMPILER_CONVERSION_KERNELTOGPU_GPUEMISSION_H
#define SMELT_COMPILER_CONVERSION_KERNELTOGPU_GPUEMISSION_H

#include "compiler/Conversion/KernelToGPU/GPULaunch.h"
#include "compiler/Target/CUDA/GPUTarget.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "llvm/ADT/ArrayRef.h"

namespace smelt {

class GPUEmission {
public:
  /// `source` is the outlined function around `kernel`; its arguments and results are the kernel's
  /// buffers. `alignments[i]` divides the address of buffer i in every launch (empty: 16 for all).
  /// Where several kernels are one function, those before this one are `before`.
  GPUEmission(mlir::ModuleOp module, mlir::func::FuncOp source, mlir::Operation *kernel,
              const GPUTarget &target, llvm::ArrayRef<int64_t> alignments = {},
              const GPUEmission *before = nullptr);

  mlir::ModuleOp getModule() const { return module; }
  const GPUTarget &getTarget() const { return target; }
  mlir::Operation *getKernel() const { return kernel; }

  /// Position of an operand's or a result's buffer.
  uint32_t getArgument(mlir::Value operandOrResult) const;
  uint32_t getWorkspaceArgument() const { return workspaceArgument; }
  /// Divides the buffer's address, in every launch of this kernel (the workspace's too).
  int64_t getAlignment(uint32_t argument) const;

  /// Byte offset of new bytes in the workspace, a multiple of 256.
  int64_t allocateWorkspace(int64_t bytes);
  int64_t getWorkspaceBytes() const { return workspaceBytes; }

  void addLaunch(GPULaunch launch) { launches.push_back(std::move(launch)); }
  const std::vector<GPULaunch> &getLaunches() const { return launches; }
  /// "smelt_kernel_3", "smelt_kernel_3_1" …: a symbol for the next launch.
  std::string makeSymbol();

private:
  mlir::ModuleOp module;
  mutable mlir::func::FuncOp source;
  mlir::Operation *kernel;
  const GPUTarget &target;
  llvm::SmallVector<int64_t> alignments;
  uint32_t workspaceArgument = 0;
  int64_t workspaceBytes = 0;
  unsigned symbols = 0;
  std::vector<GPULaunch> launches;
};

/// An `llvm.func @symbol(…) attributes {nvvm.kernel, nvvm.reqntid}` under construction. Parameters
/// can be added at any time before finish().
class GPUFunction {
public:
  GPUFunction(GPUEmission &emission, llvm::StringRef role, int64_t threads);

  mlir::ImplicitLocOpBuilder &builder() { return b; }
  GPUEmission &getEmission() { return emission; }
  mlir::LLVM::LLVMFuncOp getFunction() { return function; }
  int64_t getThreads() const { return launch.threads; }

  /// !llvm.ptr<1> to a buffer; the same parameter when asked twice.
  mlir::Value getPointer(uint32_t argument, int64_t byteOffset = 0);
  /// !llvm.ptr<1> to an operand or result of the kernel op.
  mlir::Value getPointer(mlir::Value operandOrResult) {
    return getPointer(emission.getArgument(operandOrResult));
  }
  /// !llvm.ptr<1> to workspace bytes.
  mlir::Value getWorkspace(int64_t byteOffset) {
    return getPointer(emission.getWorkspaceArgument(), byteOffset);
  }
  /// !llvm.ptr to an array of pointers in the function's parameters (load, then cast to space 1).
  mlir::Value addPointerTable(llvm::ArrayRef<uint32_t> arguments);
  /// !llvm.ptr to a TMA descriptor in the function's parameters.
  mlir::Value addTensorMap(uint32_t argument, const GPUTensorMap &map, int64_t byteOffset = 0);

  /// !llvm.ptr<3> to `bytes` of static shared memory (16-byte aligned unless said otherwise).
  mlir::Value allocateShared(int64_t bytes, int64_t alignment = 16);
  /// !llvm.ptr<1> to an i32 of this function in global memory, 0 when the module is loaded: launches
  /// leave 0 behind.
  mlir::Value allocateCounter();
  /// !llvm.ptr<1> to constant numbers in global memory.
  mlir::Value addTable(llvm::ArrayRef<int32_t> numbers);
  /// !llvm.ptr<3> to the launch's dynamic shared memory, 1024-byte aligned.
  mlir::Value getDynamicShared();

  /// The function does all of its work, and gives the same bits, with any smaller grid along x.
  void setPersistent() { launch.persistent = true; }

  /// Ends the function and adds its launch to the emission.
  void finish(std::array<int64_t, 3> grid, int64_t dynamicSharedBytes = 0, int64_t cluster = 1);

private:
  mlir::Value addParameter(GPUParameter parameter, mlir::Type type,
                           llvm::ArrayRef<mlir::NamedAttribute> attributes = {});

  GPUEmission &emission;
  mlir::ImplicitLocOpBuilder b;
  mlir::LLVM::LLVMFuncOp function;
  GPULaunch launch;
  unsigned sharedBlocks = 0, tables = 0;
};

} // namespace smelt
#endif
