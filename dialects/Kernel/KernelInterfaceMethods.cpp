//===- KernelInterfaceMethods.cpp - Which operands feed which region -------===//
#include "dialects/Kernel/KernelOps.h"

using namespace mlir;
using namespace mlir::kernel;

// Each table lists, region by region: name, accessor stem of its inputs, leading block arguments.
#define SMELT_REGION(INDEX, STEM)                                                                  \
  case INDEX:                                                                                      \
    return get##STEM##Inputs();
#define SMELT_REGION_MUTABLE(INDEX, STEM)                                                          \
  case INDEX:                                                                                      \
    return get##STEM##InputsMutable();

OperandRange GemmOp::getRegionInputs(unsigned index) {
  switch (index) {
    SMELT_REGION(0, A) SMELT_REGION(1, B) SMELT_REGION(2, Result)
  }
  llvm_unreachable("kernel.gemm has three regions");
}
MutableOperandRange GemmOp::getRegionInputsMutable(unsigned index) {
  switch (index) {
    SMELT_REGION_MUTABLE(0, A) SMELT_REGION_MUTABLE(1, B) SMELT_REGION_MUTABLE(2, Result)
  }
  llvm_unreachable("kernel.gemm has three regions");
}
StringRef GemmOp::getRegionName(unsigned index) {
  static constexpr StringLiteral names[] = {"a", "b", "result"};
  return names[index];
}
unsigned GemmOp::getNumLeadingArguments(unsigned index) { return index == 2 ? 1 : 0; }

OperandRange AttentionOp::getRegionInputs(unsigned index) {
  switch (index) {
    SMELT_REGION(0, Q) SMELT_REGION(1, K) SMELT_REGION(2, V) SMELT_REGION(3, Result)
  }
  llvm_unreachable("kernel.attention has four regions");
}
MutableOperandRange AttentionOp::getRegionInputsMutable(unsigned index) {
  switch (index) {
    SMELT_REGION_MUTABLE(0, Q) SMELT_REGION_MUTABLE(1, K) SMELT_REGION_MUTABLE(2, V)
    SMELT_REGION_MUTABLE(3, Result)
  }
  llvm_unreachable("kernel.attention has four regions");
}
StringRef AttentionOp::getRegionName(unsigned index) {
  static constexpr StringLiteral names[] = {"q", "k", "v", "result"};
  return names[index];
}
unsigned AttentionOp::getNumLeadingArguments(unsigned index) { return index == 3 ? 1 : 0; }

OperandRange AttentionBackwardOp::getRegionInputs(unsigned index) {
  switch (index) {
    SMELT_REGION(0, Q) SMELT_REGION(1, K) SMELT_REGION(2, V)
  }
  llvm_unreachable("kernel.attention_backward has three regions");
}
MutableOperandRange AttentionBackwardOp::getRegionInputsMutable(unsigned index) {
  switch (index) {
    SMELT_REGION_MUTABLE(0, Q) SMELT_REGION_MUTABLE(1, K) SMELT_REGION_MUTABLE(2, V)
  }
  llvm_unreachable("kernel.attention_backward has three regions");
}
StringRef AttentionBackwardOp::getRegionName(unsigned index) {
  static constexpr StringLiteral names[] = {"q", "k", "v"};
  return names[index];
}
unsigned AttentionBackwardOp::getNumLeadingArguments(unsigned index) { return 0; }

OperandRange RowwiseOp::getRegionInputs(unsigned index) { return getInputs(); }
MutableOperandRange RowwiseOp::getRegionInputsMutable(unsigned index) { return getInputsMutable(); }
StringRef RowwiseOp::getRegionName(unsigned index) { return "body"; }
unsigned RowwiseOp::getNumLeadingArguments(unsigned index) { return 0; }

OperandRange EmbeddingBackwardOp::getRegionInputs(unsigned index) {
  return index == 0 ? getDyInputs() : getResultInputs();
}
MutableOperandRange EmbeddingBackwardOp::getRegionInputsMutable(unsigned index) {
  return index == 0 ? getDyInputsMutable() : getResultInputsMutable();
}
StringRef EmbeddingBackwardOp::getRegionName(unsigned index) { return index == 0 ? "dy" : "result"; }
unsigned EmbeddingBackwardOp::getNumLeadingArguments(unsigned index) { return index; }

// The chunks and the lanes' constants are no operands; fusion may add uniforms.
OperandRange ForeachOp::getRegionInputs(unsigned index) { return getUniforms(); }
MutableOperandRange ForeachOp::getRegionInputsMutable(unsigned index) {
  return getUniformsMutable();
}
StringRef ForeachOp::getRegionName(unsigned index) { return "body"; }
unsigned ForeachOp::getNumLeadingArguments(unsigned index) {
  return getPositions() + getConstants().size();
}

#define SMELT_NO_REGIONS(OP)                                                                       \
  OperandRange OP::getRegionInputs(unsigned) { llvm_unreachable("no regions"); }                   \
  MutableOperandRange OP::getRegionInputsMutable(unsigned) { llvm_unreachable("no regions"); }     \
  StringRef OP::getRegionName(unsigned) { llvm_unreachable("no regions"); }                        \
  unsigned OP::getNumLeadingArguments(unsigned) { llvm_unreachable("no regions"); }
SMELT_NO_REGIONS(RopeTableOp)
