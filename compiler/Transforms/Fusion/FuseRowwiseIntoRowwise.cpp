//===- FuseRowwiseIntoRowwise.cpp - Fewer, larger rowwise kernels ---------===//
//
//   %a = kernel.rowwise(%x) {embedding}
//   %b = kernel.rowwise(%a) {token_shift}    →   %c = kernel.rowwise(%x) {embedding, token_shift,
//   rms_norm} %c = kernel.rowwise(%b) {rms_norm}
//
// Three ways, in this order:
//  * chains: a producer whose only reader is one kernel joins it (neighbour rows of what it makes
//  are then computed again, row by row);
//  * a consumer joins the producer of something that others read as well, and saves one read;
//  * neighbours without a path between them that read a common tensor, or work on nothing larger
//  than one value per row, share a launch.
//
// Legal when both work on the same rows, no sum over all rows is needed inside the kernel that adds
// it up, and no third kernel stands between. A producer that could go into the result region of a
// GEMM does not join a consumer that must not (neighbour rows).
//
//===----------------------------------------------------------------------===//
#include "compiler/Transforms/Fusion/CountKernel.h"
#include "compiler/Transforms/Fusion/MergeKernels.h"
#include "compiler/Transforms/Fusion/Passes.h"
#include "dialects/Train/TrainOps.h"

namespace smelt {
#define GEN_PASS_DEF_FUSEROWWISEINTOROWWISEPASS
#include "compiler/Transforms/Fusion/Passes.h.inc"
} // namespace smelt

using namespace mlir;
using namespace mlir::kernel;
using namespace smelt;

/// The rowwise kernel that reads every result of `producer`, if it is the only reader.
static RowwiseOp findOnlyReader(RowwiseOp producer) {
  Operation *reader = nullptr;
  for (Operation *user : producer->getUsers()) {
    if (reader && reader != user)
      return nullptr;
    reader = user;
  }
  return dyn_cast_or_null<RowwiseOp>(reader);
}

/// `consumer` reads neighbour rows of `producer`, which reads a product: only the producer can go
/// into the product's result region.
static bool splitsAtNeighbourRows(RowwiseOp producer, RowwiseOp consumer) {
  bool readsProduct = llvm::any_of(producer.getInputs(), [](Value v) {
    return isa_and_nonnull<GemmOp, AttentionOp>(v.getDefiningOp());
  });
  for (auto [input, argument] :
       llvm::zip(consumer.getInputs(), consumer.getBody().front().getArguments()))
    if (readsProduct && input.getDefiningOp() == producer &&
        getRowAccess(argument) == RowAccess::NeighbourRow)
      return true;
  return false;
}

/// `producer` makes little of much (a gate of a row): better computed where its input is made than
/// carried to its reader.
static bool reducesComputedRows(RowwiseOp producer) {
  int64_t read = 0, made = 0;
  for (Value input : producer.getInputs())
    if (isa_and_nonnull<GemmOp, AttentionOp, RowwiseOp>(input.getDefiningOp()))
      read += getBytes(input);
  for (Value result : producer.getResults())
    made += getBytes(result);
  return 4 * made <= read;
}

/// `guest` makes much of little that it shares with another kernel, for rowwise kernels (the
/// gradient of a gate's input from the gradient of the gate): better computed where that is read.
static bool expandsRows(RowwiseOp guest, int64_t sharedBytes) {
  int64_t made = 0;
  for (Value result : guest.getResults())
    if (llvm::any_of(result.getUsers(), llvm::IsaPred<RowwiseOp>))
      made += getBytes(result);
  return made >= 16 * sharedBytes;
}

/// One value per row at most: an index, a range, a count.
static bool isSmall(RowwiseOp op) {
  return llvm::all_of(op->getOperands(),
                      [](Value v) { return cast<RankedTensorType>(v.getType()).getRank() < 2; }) &&
         llvm::all_of(op->getResults(),
                      [](Value v) { return cast<RankedTensorType>(v.getType()).getRank() < 2; });
}

/// The end of a parameter's gradient: makes numbers and small matrices for the update alone, from
/// inputs so small that keeping them for a while costs less than a launch.
static bool finishesGradients(RowwiseOp op) {
  constexpr int64_t smallResult = 64 << 10, smallInput = 16 << 20;
  return llvm::all_of(op->getResults(),
                      [](Value result) {
                        return smelt::getBytes(result) <= smallResult &&
                               llvm::all_of(result.getUsers(), llvm::IsaPred<train::GradientOp>);
                      }) &&
         llvm::all_of(op.getInputs(), [](Value input) {
           Operation *source = input.getDefiningOp();
           return !isa_and_nonnull<KernelOpInterface>(source) ||
                  smelt::getBytes(input) <= smallInput;
         });
}

static bool readCommonTensor(RowwiseOp a, RowwiseOp b) {
  int64_t shared = 0;
  for (Value v : a.getInputs())
    if (cast<RankedTensorType>(v.getType()).getRank() > 0 && llvm::is_contained(b.getInputs(), v))
      shared += getBytes(v);
  return shared > 0 && !expandsRows(b, shared);
}

/// Bytes of the producer's results that the consumer reads.
static int64_t countRead(RowwiseOp producer, RowwiseOp consumer) {
  int64_t bytes = 0;
  for (Value input : consumer.getInputs())
    if (input.getDefiningOp() == producer)
      bytes += getBytes(input);
  return bytes;
}

namespace {
struct FuseRowwiseIntoRowwisePass
    : smelt::impl::FuseRowwiseIntoRowwisePassBase<FuseRowwiseIntoRowwisePass> {
  using FuseRowwiseIntoRowwisePassBase::FuseRowwiseIntoRowwisePassBase;
  FusionOptions options;

  bool tryMerge(RowwiseOp host, RowwiseOp guest) {
    ++candidates;
    if (std::string why = whyNotIntoResult(host, guest, options); !why.empty()) {
      noteRefusal(guest, "into another rowwise kernel", why);
      ++refused;
      return false;
    }
    mergeIntoResult(host, guest);
    ++fused;
    return true;
  }

  /// Producers join their only readers, from the end of each chain to its start.
  void fuseChains() {
    bool changed = true;
    while (changed) {
      changed = false;
      SmallVector<RowwiseOp> producers(getOperation().getOps<RowwiseOp>());
      for (RowwiseOp producer : producers) {
        RowwiseOp reader = findOnlyReader(producer);
        if (!reader || splitsAtNeighbourRows(producer, reader) || reducesComputedRows(producer) ||
            !tryMerge(producer, reader))
          continue;
        changed = true;
        break; // The reader, maybe later in the list, is gone.
      }
    }
  }

  void fuseConsumers() {
    SmallVector<RowwiseOp> consumers(getOperation().getOps<RowwiseOp>());
    for (RowwiseOp consumer : consumers)
      for (Value input : consumer.getInputs())
        if (auto producer = input.getDefiningOp<RowwiseOp>())
          if (!expandsRows(consumer, countRead(producer, consumer)) &&
              !prefersLoads(producer, consumer, options) && tryMerge(producer, consumer))
            break;
  }

  void fuseNeighbours() {
    SmallVector<RowwiseOp> kernels(getOperation().getOps<RowwiseOp>());
    for (size_t i = 0; i < kernels.size(); ++i)
      for (size_t j = 0; j < i; ++j)
        if (kernels[j] && getRows(kernels[j].getBody()) == getRows(kernels[i].getBody()) &&
            (readCommonTensor(kernels[j], kernels[i]) ||
             (isSmall(kernels[i]) && isSmall(kernels[j])) ||
             (finishesGradients(kernels[i]) && finishesGradients(kernels[j]))) &&
            whyNotIntoResult(kernels[j], kernels[i], options).empty()) {
          ++candidates;
          kernels[j] = cast<RowwiseOp>(mergeIntoResult(kernels[j], kernels[i]));
          kernels[i] = nullptr;
          ++fused;
          break;
        }
  }

  void runOnOperation() override {
    Block &block = getOperation().getBody().front();
    fuseChains();
    sortKernels(block);
    if (chainsOnly)
      return;
    fuseConsumers();
    sortKernels(block);
    fuseNeighbours();
    sortKernels(block);
  }
};
} // namespace

std::unique_ptr<Pass> smelt::createFuseRowwiseIntoRowwisePass(const FusionOptions &options,
                                                              bool chainsOnly) {
  auto pass =
      std::make_unique<FuseRowwiseIntoRowwisePass>(FuseRowwiseIntoRowwisePassOptions{chainsOnly});
  pass->options = options;
  return pass;
}
