//===- RegisterEverything.cpp - Dialects and passes of the tools ----------===//
#include "tools/smelt-opt/RegisterEverything.h"

#include "dialects/LM/LMOps.h"
#if SMELT_HAS_TRAIN
#include "dialects/Train/TrainOps.h"
#endif
#if SMELT_HAS_KERNEL
#include "dialects/Kernel/KernelOps.h"
#endif
#if SMELT_HAS_EXEC
#include "dialects/Exec/ExecOps.h"
#endif
#if SMELT_HAS_AUTODIFF
#include "compiler/Transforms/Autodiff/Passes.h"
#endif

#if SMELT_HAS_DISTRIBUTION
#include "compiler/Transforms/Distribution/Passes.h"
#endif
#if SMELT_HAS_FUSION
#include "compiler/Transforms/Fusion/Passes.h"
#endif
#if SMELT_HAS_OPTIMIZERS
#include "compiler/Transforms/Optimizers/Passes.h"
#endif
#if SMELT_HAS_PLACEMENT
#include "compiler/Transforms/Placement/Passes.h"
#endif
#if SMELT_HAS_PRECISION
#include "compiler/Transforms/Precision/Passes.h"
#endif
#if SMELT_HAS_KERNELTOCPU
#include "compiler/Conversion/KernelToCPU/LowerKernelsToCPU.h"
#endif
#if SMELT_HAS_KERNELTOGPU
#include "compiler/Conversion/KernelToGPU/LowerKernelsToGPU.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#endif
#if SMELT_HAS_KERNELTOEXEC
#include "compiler/Conversion/KernelToExec/Passes.h"
#endif
#if SMELT_HAS_MEMORY
#include "compiler/Transforms/Memory/Passes.h"
#endif
#if SMELT_HAS_PIPELINES
#include "compiler/Pipelines/Pipelines.h"
#endif

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Index/IR/IndexDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/OpenMP/OpenMPDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/InitAllPasses.h"

void smelt::registerDialects(mlir::DialectRegistry &registry) {
  registry.insert<mlir::lm::LMDialect>();
#if SMELT_HAS_TRAIN
  registry.insert<mlir::train::TrainDialect>();
#endif
#if SMELT_HAS_KERNEL
  registry.insert<mlir::kernel::KernelDialect>();
#endif
#if SMELT_HAS_KERNELTOGPU
  registry.insert<mlir::NVVM::NVVMDialect>();
#endif
#if SMELT_HAS_EXEC
  registry.insert<mlir::exec::ExecDialect>();
#endif
  registry
      .insert<mlir::affine::AffineDialect, mlir::arith::ArithDialect, mlir::cf::ControlFlowDialect,
              mlir::func::FuncDialect, mlir::index::IndexDialect, mlir::LLVM::LLVMDialect,
              mlir::math::MathDialect, mlir::memref::MemRefDialect, mlir::omp::OpenMPDialect,
              mlir::scf::SCFDialect, mlir::tensor::TensorDialect, mlir::vector::VectorDialect>();
}

void smelt::registerPasses() {
  mlir::registerAllPasses(); // Part of libMLIR.so already, so it costs nothing.
#if SMELT_HAS_FUSION
  smelt::registerSmeltFusionPasses();
  smelt::registerFusionPipelines();
#endif
#if SMELT_HAS_AUTODIFF
  registerSmeltAutodiffPasses();
#endif
#if SMELT_HAS_DISTRIBUTION
  registerSmeltDistributionPasses();
#endif
#if SMELT_HAS_OPTIMIZERS
  registerSmeltOptimizersPasses();
#endif
#if SMELT_HAS_PLACEMENT
  registerSmeltPlacementPasses();
#endif
#if SMELT_HAS_PRECISION
  registerSmeltPrecisionPasses();
#endif
#if SMELT_HAS_KERNELTOCPU
  registerKernelToCPUPasses();
#endif
#if SMELT_HAS_KERNELTOGPU
  registerKernelToGPUPasses();
#endif
#if SMELT_HAS_KERNELTOEXEC
  registerSmeltKernelToExecPasses();
#endif
#if SMELT_HAS_MEMORY
  registerSmeltMemoryPasses();
#endif
#if SMELT_HAS_PIPELINES
  registerPipelines();
#endif
}
