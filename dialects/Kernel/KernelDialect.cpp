//===- KernelDialect.cpp - The kernel dialect -----------------------------===//
#include "dialects/Kernel/KernelOps.h"
#include "mlir/IR/DialectImplementation.h"
#include "mlir/IR/OpImplementation.h"

using namespace mlir;
using namespace mlir::kernel;

#include "dialects/Kernel/KernelDialect.cpp.inc"
#include "dialects/Kernel/KernelInterfaces.cpp.inc"
#define GET_OP_CLASSES
#include "dialects/Kernel/KernelOps.cpp.inc"

void KernelDialect::initialize() {
  addOperations<
#define GET_OP_LIST
#include "dialects/Kernel/KernelOps.cpp.inc"
      >();
}

void kernel::buildIdentityRegion(OpBuilder &builder, Location loc, Region &region, Type type) {
  OpBuilder::InsertionGuard guard(builder);
  Block *block = builder.createBlock(&region, {}, {type}, {loc});
  YieldOp::create(builder, loc, ValueRange(block->getArguments()));
}

bool kernel::isIdentityRegion(Region &region) {
  Block &block = region.front();
  auto yield = cast<YieldOp>(block.getTerminator());
  return llvm::hasSingleElement(block) && llvm::equal(yield.getValues(), block.getArguments());
}
