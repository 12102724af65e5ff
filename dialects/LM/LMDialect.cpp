//===- LMDialect.cpp - The lm dialect -------------------------------------===//
#include "dialects/LM/LMOps.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::lm;

#include "dialects/LM/LMDialect.cpp.inc"
#include "dialects/LM/LMEnums.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/LM/LMAttributes.cpp.inc"
#include "dialects/LM/LMInterfaces.cpp.inc"
#define GET_OP_CLASSES
#include "dialects/LM/LMOps.cpp.inc"

void LMDialect::initialize() {
  addOperations<
#define GET_OP_LIST
#include "dialects/LM/LMOps.cpp.inc"
      >();
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/LM/LMAttributes.cpp.inc"
      >();
}

Operation *LMDialect::materializeConstant(OpBuilder &builder, Attribute value, Type type,
                                          Location loc) {
  if (!ConstantOp::isBuildableWith(value, type))
    return nullptr;
  return ConstantOp::create(builder, loc, type, cast<ElementsAttr>(value));
}
