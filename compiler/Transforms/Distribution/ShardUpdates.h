//===- ShardUpdates.h - Each rank updates a part ----------------*- C++ -*-===//
//
// Rewrites what an optimiser op reads and writes from whole tensors to this rank's part of them.
// The collectives that make parts of sums and wholes of parts are Distribute.cpp's.
//
//===----------------------------------------------------------------------===//
#ifndef SMELT_COMPILER_TRANSFORMS_DISTRIBUTION_SHARDUPDATES_H
#define SMELT_COMPILER_TRANSFORMS_DISTRIBUTION_SHARDUPDATES_H

#include "dialects/LM/LMOps.h"
#include "dialects/Train/TrainCollectives.h"
#include "dialects/Train/TrainOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/SymbolTable.h"

namespace smelt {

/// A part is a whole number of so many bytes.
inline constexpr int64_t partBytes = 256;

int64_t getTensorBytes(mlir::Type type);

/// The fewest units (of `unitBytes` each) that give `ranks` ranks all of `units`, and whose bytes are
/// a multiple of partBytes.
int64_t getUnitsPerRank(int64_t units, int64_t unitBytes, int64_t ranks);

/// The type with another number of rows.
mlir::RankedTensorType withRows(mlir::Type type, int64_t rows);

/// Makes the state, or bank of states, called `name` a rank's part of `rows` rows of what it was.
void makePart(mlir::SymbolTable &symbols, mlir::FlatSymbolRefAttr name, int64_t rows);

/// Cuts an adam or adamw op's parameters of at least `minBytes` into blocks of rows, where these need
/// no more padding than the parameter is large.
template <typename Op>
void shardAdam(Op op, mlir::SymbolTable &symbols, int64_t ranks, int64_t minBytes);
/// Deals the matrices of a muon or normuon op to the ranks, in blocks.
template <typename Op> void shardMatrices(Op op, mlir::SymbolTable &symbols, int64_t ranks);

/// Parameters whose parts the ranks update, but which all else reads through one conversion to a
/// narrower type, become tensors of that type, and their values masters of which each rank has its
/// part. Gives how many tensors then are gathered.
int64_t gatherNarrow(mlir::ModuleOp module, mlir::SymbolTable &symbols);

} // namespace smelt

#endif
