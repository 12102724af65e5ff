//===- RowTables.h - Operands of row ops that are looked up ------*- C++ -*-===//
//
// Most operands of a row op are read at the op's own row. A few are tables: weights of a gate, cos
// and sin, embeddings. Their rows are chosen by an index of their own, so their first axis is not
// that of the region.
//
//===----------------------------------------------------------------------===//
#ifndef SMELT_COMPILER_CONVERSION_ROWTABLES_H
#define SMELT_COMPILER_CONVERSION_ROWTABLES_H

#include "dialects/LM/LMOps.h"

namespace smelt {

/// The operand holds the same for every row: a single number, or a table.
bool isUniformOperand(mlir::OpOperand &use);

/// All uses of the value, maybe after casts, are as a table.
bool isTable(mlir::Value value);

/// What the table is read from: the region's argument or constant before the casts.
mlir::Value getTableSource(mlir::Value table);

} // namespace smelt
#endif
