//===- OutlinedKernel.cpp - A kernel in a function of its own -------------===//
#include "compiler/Conversion/OutlinedKernel.h"
#include "dialects/Kernel/KernelOps.h"

using namespace mlir;

namespace smelt {

SmallVector<Operation *> getOutlinedKernels(func::FuncOp function) {
  if (function.isDeclaration() || !function.isPrivate() ||
      !llvm::hasSingleElement(function.getBody()))
    return {};
  SmallVector<Operation *> kernels;
  for (Operation &op : function.getBody().front().without_terminator()) {
    if (!isa<kernel::KernelOpInterface>(op))
      return {};
    kernels.push_back(&op);
  }
  return kernels;
}

Operation *getOutlinedKernel(func::FuncOp function) {
  SmallVector<Operation *> kernels = getOutlinedKernels(function);
  return kernels.size() == 1 ? kernels.front() : nullptr;
}

int64_t getPlannedWorkspace(func::FuncOp function) {
  auto bytes = function->getAttrOfType<IntegerAttr>(workspaceAttribute);
  return bytes ? bytes.getInt() : 0;
}

void setPlannedWorkspace(func::FuncOp function, int64_t bytes) {
  function->removeAttr(workspaceAttribute);
  if (bytes)
    function->setAttr(workspaceAttribute, Builder(function).getI64IntegerAttr(bytes));
}

} // namespace smelt
