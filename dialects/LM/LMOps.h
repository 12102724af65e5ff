//===- LMOps.h - Operations of the lm dialect -------------------*- C++ -*-===//
#ifndef SMELT_DIALECTS_LM_LMOPS_H
#define SMELT_DIALECTS_LM_LMOPS_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "dialects/LM/LMDialect.h.inc"
#include "dialects/LM/LMEnums.h.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/LM/LMAttributes.h.inc"

namespace mlir::lm {
/// Marks row ops; see LM_RowOp in LMBase.td.
template <typename ConcreteType>
class RowOp : public OpTrait::TraitBase<ConcreteType, RowOp> {};

/// `custom<Numbers>` of assembly formats: a list of numbers as [1.0, 0.1].
void printNumbers(OpAsmPrinter &printer, Operation *op, NumbersAttr numbers);
ParseResult parseNumbers(OpAsmParser &parser, NumbersAttr &numbers);
} // namespace mlir::lm

#include "dialects/LM/LMInterfaces.h.inc"
#define GET_OP_CLASSES
#include "dialects/LM/LMOps.h.inc"

namespace mlir::lm {
/// The row op needs sums (or maxima) over a row before any element of its results can be computed.
bool isRowReduction(Operation *op);
} // namespace mlir::lm

#endif
