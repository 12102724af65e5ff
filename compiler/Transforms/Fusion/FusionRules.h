//===- FusionRules.h - What may be fused, and what it saves -----*- C++ -*-===//
//
// The two ways to fuse rows with a neighbour, for all passes:
//
//  * into the *result* region (or body) of a kernel that makes or takes its values: nothing is
//  computed twice;
//  * into the *loads* of all its users: its result is never stored, but computed once per user.
//
// Predicates return why not; empty means yes.
//
//===----------------------------------------------------------------------===//
#ifndef SMELT_COMPILER_TRANSFORMS_FUSION_FUSIONRULES_H
#define SMELT_COMPILER_TRANSFORMS_FUSION_FUSIONRULES_H

#include "compiler/Transforms/Fusion/RowAccess.h"
#include "mlir/Pass/Pass.h"
#include <functional>

namespace smelt {

/// What a target can run and what it finds expensive.
struct FusionOptions {
  /// Why the target's generator cannot compute this op in a region (empty: it can). Null: every row
  /// op.
  llvm::StringRef (*whyNotRowOp)(mlir::Operation *) = nullptr;
  /// Why the target's fast generator does not take this GEMM with the regions that it has (empty:
  /// it does). A GEMM that it takes is never given rows with which it would not. Null: all GEMMs
  /// run alike, whatever their regions compute.
  std::function<std::string(mlir::kernel::GemmOp)> whyNotFastGemm;
  /// The same for attention.
  std::function<std::string(mlir::kernel::AttentionOp)> whyNotFastAttention;
  /// Why attention's fast kernels do not load rows with this shift (of the keys, or of q or v): it
  /// is computed beforehand then.
  std::function<std::string(mlir::lm::TokenShiftOp, bool isKey)> whyNotFastShift;
  /// Price of a floating-point operation that is done twice, in bytes of memory traffic.
  double bytesPerFlop = 0.125;
  /// A load region may cost this many operations per element of what it yields.
  double maxLoadFlops = 24;
};

/// `host` may compute `guest` in its result region (or body).
std::string whyNotIntoResult(mlir::Operation *host, mlir::kernel::RowwiseOp guest,
                             const FusionOptions &options);

/// The target's fast generator takes `host`, but would not take it with `guest` in its result
/// region. Both must be mergeable.
std::string whyNotStayFast(mlir::Operation *host, mlir::kernel::RowwiseOp guest,
                           const FusionOptions &options);

/// The region whose input this operand is; nullopt for plain operands.
std::optional<unsigned> getRegionOfOperand(mlir::OpOperand &use);

/// The user of `producer` may compute it where it loads it.
std::string whyNotIntoLoad(mlir::kernel::RowwiseOp producer, mlir::OpOperand &use,
                           const FusionOptions &options);

/// All users may.
std::string whyNotIntoAllLoads(mlir::kernel::RowwiseOp producer, const FusionOptions &options);

/// No candidate for being computed in loads: reductions of reductions of rows, neighbour rows of
/// what is itself reduced, or something that loads already start from.
bool staysStored(mlir::kernel::RowwiseOp producer);

/// Computes `producer` in the loads of all its users and erases it. What it reads stays stored from
/// then on: without this, each step of a long chain would look cheap to repeat.
void cloneIntoAllLoads(mlir::kernel::RowwiseOp producer);

/// Bytes of traffic that are saved when `host` computes `guest`.
double countSavingIntoResult(mlir::Operation *host, mlir::kernel::RowwiseOp guest);
/// Bytes of traffic that are saved when all users of `producer` compute it, less the price of
/// computing it more than once.
double countSavingIntoLoads(mlir::kernel::RowwiseOp producer, const FusionOptions &options);

/// Computing `guest` in its users' loads is possible and saves more than computing it in `host`:
/// some user is a GEMM, which streams what it loads, and the inputs are stored anyway.
bool prefersLoads(mlir::Operation *host, mlir::kernel::RowwiseOp guest,
                  const FusionOptions &options);

/// Some user of a result of `producer` is the load of a GEMM.
bool feedsGemmLoad(mlir::kernel::RowwiseOp producer);

/// Keeps on `op` why a fusion was refused: explain shows it if the op is still a kernel of its own
/// in the end.
void noteRefusal(mlir::Operation *op, llvm::StringRef what, llvm::StringRef why);

} // namespace smelt

#endif
