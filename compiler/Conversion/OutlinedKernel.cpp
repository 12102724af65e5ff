//===- OutlinedKernel.cpp - A kernel in a function of its own -------------===//
#include "compiler/Conversion/OutlinedKernel.h"
#include "dialects/Kernel/KernelOps.h"

using namespace mlir;

namespace smelt {

Operation *getOutlinedKernel(func::FuncOp function) {
  if (function.isDeclaration() || !function.isPrivate() ||
      !llvm::hasSingleElement(function.getBody()))
    return nullptr;
  Block &body = function.getBody().front();
  if (body.getOperations().size() != 2 || !isa<kernel::KernelOpInterface>(body.front()))
    return nullptr;
  return &body.front();
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
