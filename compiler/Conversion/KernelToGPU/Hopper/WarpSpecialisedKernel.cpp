//===- WarpSpecialisedKernel.cpp - One group loads, two compute -----------===//
#include "compiler/Conversion/KernelToGPU/Hopper/WarpSpecialisedKernel.h"

using namespace mlir;
using namespace smelt;
using namespace smelt::gpu;

WarpSpecialisedKernel::WarpSpecialisedKernel(GPUEmission &emission, StringRef role, Location loc)
    : function(emission, role, threads), code(function.builder(), loc) {
  function.getFunction()->setAttr("nvvm.minctasm", code.builder.getI32IntegerAttr(1));
  shared = function.getDynamicShared();
  sharedAddress = LLVM::PtrToIntOp::create(code.builder, code.loc, code.i32Type(), shared);
  thread = code.threadIndex();
}

void WarpSpecialisedKernel::initialiseBarriers(llvm::function_ref<void()> initialise) {
  code.ifThen(code.equal(thread, 0), [&] {
    initialise();
    fenceBarriers(code);
  });
  code.barrierAll();
}

void WarpSpecialisedKernel::specialise(Value group, Producer producer, int64_t registers,
                                       llvm::function_ref<void()> produce,
                                       llvm::function_ref<void()> consume) {
  code.ifElse(
      code.equal(group, 0),
      [&] {
        NVVM::SetMaxRegisterOp::create(code.builder, code.loc, uint32_t(registers),
                                       NVVM::SetMaxRegisterAction::decrease);
        Value warp = code.uniform(code.shiftRight(thread, 5));
        code.ifThen(code.equal(warp, 0), [&] {
          producer == Producer::Thread ? code.ifThen(code.elected(), produce) : produce();
        });
      },
      consume);
}

void WarpSpecialisedKernel::takeRegisters(int64_t registers) {
  NVVM::SetMaxRegisterOp::create(code.builder, code.loc, uint32_t(registers),
                                 NVVM::SetMaxRegisterAction::increase);
}
