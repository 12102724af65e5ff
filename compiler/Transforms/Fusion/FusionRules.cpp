//===- FusionRules.cpp - What may be fused, and what it saves -------------===//
#include "compiler/Transforms/Fusion/FusionRules.h"

#include "compiler/Transforms/Fusion/CountKernel.h"
#include "compiler/Transforms/Fusion/MergeKernels.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace mlir::kernel;
using namespace smelt;

//===- Graph -----------------------------------------------------------------===//

/// Something other than the two stands between them: merging would make a kernel wait for itself.
static bool hasPathThroughOthers(Operation *from, Operation *to) {
  SmallVector<Operation *> work;
  llvm::SmallPtrSet<Operation *, 32> seen;
  auto push = [&](Operation *op, bool first) {
    for (Operation *user : op->getUsers())
      if (!(first && user == to) && seen.insert(user).second)
        work.push_back(user);
  };
  push(from, true);
  while (!work.empty()) {
    Operation *op = work.pop_back_val();
    if (op == to)
      return true;
    push(op, false);
  }
  return false;
}

std::optional<unsigned> smelt::getRegionOfOperand(OpOperand &use) {
  auto op = dyn_cast<KernelOpInterface>(use.getOwner());
  if (!op)
    return std::nullopt;
  for (unsigned region = 0; region < op->getNumRegions(); ++region) {
    OperandRange inputs = op.getRegionInputs(region);
    if (!inputs.empty() && use.getOperandNumber() >= inputs.getBeginOperandIndex() &&
        use.getOperandNumber() < inputs.getBeginOperandIndex() + inputs.size())
      return region;
  }
  return std::nullopt;
}

static BlockArgument getArgument(KernelOpInterface op, unsigned region, OpOperand &use) {
  unsigned index = use.getOperandNumber() - op.getRegionInputs(region).getBeginOperandIndex();
  return op->getRegion(region).front().getArgument(op.getNumLeadingArguments(region) + index);
}

static Value getYielded(Operation *kernel, unsigned result) {
  return kernel->getRegion(*getResultRegion(kernel)).front().getTerminator()->getOperand(result);
}

static std::string whyNotOps(RowwiseOp guest, const FusionOptions &options) {
  if (options.whyNotRowOp)
    for (Operation &op : guest.getBody().front().without_terminator())
      if (StringRef why = options.whyNotRowOp(&op); !why.empty())
        return (op.getName().getStringRef() + ": " + why).str();
  return "";
}

static std::string whyNotRows(std::optional<int64_t> rows, std::optional<int64_t> others) {
  if (rows && others && *rows != *others)
    return "it works on " + std::to_string(*rows) + " rows, the kernel on " +
           std::to_string(*others);
  return "";
}

/// Sums over groups are added up block by block, and a block belongs to one group: all of a kernel
/// have the same groups, and only rowwise kernels and products of just these groups have them.
static std::string whyNotGroups(Operation *host, RowwiseOp guest) {
  llvm::SmallSetVector<int64_t, 2> counts;
  auto note = [&](Region &region) {
    for (auto sum : region.getOps<lm::GroupSumOp>())
      counts.insert(cast<RankedTensorType>(sum.getResult().getType()).getDimSize(0));
  };
  note(guest.getBody());
  note(host->getRegion(*getResultRegion(host)));
  if (counts.empty())
    return "";
  if (auto gemm = dyn_cast<GemmOp>(host))
    counts.insert(gemm.getGroups());
  else if (!isa<RowwiseOp>(host))
    return "it adds up groups of rows, which the kernel does not have";
  return counts.size() > 1 ? "it adds up other groups of rows" : "";
}

//===- Into a result region ----------------------------------------------------===//

static std::optional<int64_t> getResultRows(Operation *host) {
  if (auto gemm = dyn_cast<GemmOp>(host))
    return gemm.getResultRows();
  return getRows(host->getRegion(*getResultRegion(host)));
}

/// Reads of the host's results by the guest.
static std::string whyNotReadResult(Operation *host, OpResult result, BlockArgument argument) {
  Operation *yield = host->getRegion(*getResultRegion(host)).front().getTerminator();
  if (result.getResultNumber() >= yield->getNumOperands())
    return "it reads the logarithms of attention's denominators, which no result region has";
  if (isLate(getYielded(host, result.getResultNumber())))
    return isReadByScalarsOnly(argument)
               ? ""
               : "it needs a sum over all rows that the same kernel adds up";
  RowAccess access = getRowAccess(argument);
  if (access == RowAccess::WholeTensor)
    return "it reads any row of the result, as a table";
  if (access == RowAccess::NeighbourRow && !isa<RowwiseOp>(host))
    return "it needs row t−1 of the product, which another tile computes";
  return "";
}

/// Reads of the guest's results by the host.
static std::string whyNotFeedResultRegion(KernelOpInterface host, RowwiseOp guest) {
  unsigned resultRegion = *getResultRegion(host);
  for (OpOperand &use : host->getOpOperands()) {
    auto result = dyn_cast<OpResult>(use.get());
    if (!result || result.getOwner() != guest.getOperation())
      continue;
    if (getRegionOfOperand(use) != resultRegion)
      return "a load of the same kernel needs it";
    BlockArgument argument = getArgument(host, resultRegion, use);
    if (isLate(getYielded(guest, result.getResultNumber())) && !isReadByScalarsOnly(argument))
      return "the kernel needs its sum over all rows";
    if (getRowAccess(argument) == RowAccess::WholeTensor)
      return "the kernel reads it as a table";
  }
  return "";
}

/// Attention works head by head: rows across all heads are not in one place.
static std::string whyNotPerHead(RowwiseOp guest) {
  for (Operation &op : guest.getBody().front().without_terminator())
    if (lm::isRowReduction(&op) || llvm::any_of(op.getResults(), isRowTotal))
      return (op.getName().getStringRef() + " needs whole rows, attention works head by head")
          .str();
  return "";
}

/// Whether somebody else reads results of `op`: they survive a merge of the two.
static SmallVector<Value> collectReadByOthers(Operation *op, Operation *other, Operation *copy) {
  SmallVector<Value> read;
  for (auto [result, copied] : llvm::zip_equal(op->getResults(), copy->getResults()))
    if (llvm::any_of(result.getUsers(), [&](Operation *user) { return user != other; }))
      read.push_back(copied);
  return read;
}

/// Why the target's fast generator, if it has one for such kernels, does not take this one.
static std::string whyNotFast(Operation *kernel, const FusionOptions &options) {
  if (auto gemm = dyn_cast<GemmOp>(kernel); gemm && options.whyNotFastGemm)
    return options.whyNotFastGemm(gemm);
  if (auto attention = dyn_cast<AttentionOp>(kernel); attention && options.whyNotFastAttention)
    return options.whyNotFastAttention(attention);
  return "";
}

std::string smelt::whyNotStayFast(Operation *host, RowwiseOp guest, const FusionOptions &options) {
  if (!isa<GemmOp, AttentionOp>(host) || !whyNotFast(host, options).empty())
    return "";
  // The answer for the merged kernel, from a copy of it.
  OpBuilder builder(host);
  Operation *hostCopy = builder.clone(*host), *guestCopy = builder.clone(*guest);
  for (auto [from, to] : llvm::zip_equal(host->getResults(), hostCopy->getResults()))
    guestCopy->replaceUsesOfWith(from, to);
  for (auto [from, to] : llvm::zip_equal(guest->getResults(), guestCopy->getResults()))
    hostCopy->replaceUsesOfWith(from, to);
  SmallVector<Value> read = collectReadByOthers(host, guest, hostCopy);
  llvm::append_range(read, collectReadByOthers(guest, host, guestCopy));
  auto reader = UnrealizedConversionCastOp::create(builder, host->getLoc(),
                                                   TypeRange(builder.getI1Type()), read);
  Operation *merged =
      mergeIntoResult(cast<KernelOpInterface>(hostCopy), cast<RowwiseOp>(guestCopy));
  std::string why = whyNotFast(merged, options);
  reader->erase();
  merged->erase();
  return why;
}

std::string smelt::whyNotIntoResult(Operation *host, RowwiseOp guest,
                                    const FusionOptions &options) {
  if (!getResultRegion(host))
    return "the kernel has no result region";
  if (std::string why = whyNotOps(guest, options); !why.empty())
    return why;
  if (std::string why = whyNotRows(getRows(guest.getBody()), getResultRows(host)); !why.empty())
    return why;
  if (std::string why = whyNotGroups(host, guest); !why.empty())
    return why;
  if (isa<AttentionOp>(host))
    if (std::string why = whyNotPerHead(guest); !why.empty())
      return why;
  for (OpOperand &use : guest->getOpOperands())
    if (use.get().getDefiningOp() == host)
      if (std::string why =
              whyNotReadResult(host, cast<OpResult>(use.get()), getArgument(guest, 0, use));
          !why.empty())
        return why;
  if (std::string why = whyNotFeedResultRegion(cast<KernelOpInterface>(host), guest); !why.empty())
    return why;
  if (hasPathThroughOthers(host, guest) || hasPathThroughOthers(guest, host))
    return "another kernel stands between the two";
  return whyNotStayFast(host, guest, options);
}

//===- Into loads --------------------------------------------------------------===//

/// Attention loads each key and value many times, so only changes of index are done there.
static bool isIndexChange(Operation &op) {
  return isa<lm::ReshapeOp, lm::TokenShiftOp, lm::ConstantOp, YieldOp>(op);
}

/// Moves elements, computes nothing.
static bool isLayoutChange(Operation &op) {
  return isa<lm::ReshapeOp, lm::SplitOp, lm::ConcatOp, lm::ConstantOp, YieldOp>(op);
}

/// Passes on the same numbers in the same order.
static bool isExactCopy(Operation &op) {
  if (auto cast = dyn_cast<lm::CastOp>(op))
    return getElementTypeOrSelf(cast.getX().getType()).getIntOrFloatBitWidth() <=
           getElementTypeOrSelf(cast.getResult().getType()).getIntOrFloatBitWidth();
  return isa<lm::ReshapeOp, YieldOp>(op);
}

std::string smelt::whyNotIntoLoad(RowwiseOp producer, OpOperand &use,
                                  const FusionOptions &options) {
  auto consumer = dyn_cast<KernelOpInterface>(use.getOwner());
  std::optional<unsigned> region = getRegionOfOperand(use);
  if (!consumer || !region)
    return "its value is stored for " + use.getOwner()->getName().getStringRef().str();
  if (isa<GemmOp>(consumer) && getResultRegion(consumer) != *region && options.whyNotFastGemm &&
      !llvm::all_of(producer.getBody().front(), isExactCopy))
    return "the matrix unit takes its operands as they are stored";
  auto result = cast<OpResult>(use.get());
  if (isLate(getYielded(producer, result.getResultNumber())))
    return "it adds up rows: that is done once";
  if (isa<AttentionOp, AttentionBackwardOp>(consumer) && getResultRegion(consumer) != *region &&
      !llvm::all_of(producer.getBody().front(), isIndexChange))
    return "attention loads each row many times, so it would be computed many times";
  if (getRowAccess(getArgument(consumer, *region, use)) == RowAccess::WholeTensor)
    return "it is read as a table";
  return whyNotRows(getRows(producer.getBody()), getRows(consumer->getRegion(*region)));
}

/// Row reductions, one after the other, that `value` needs.
static unsigned countReductionDepth(Value value) {
  Operation *op = value.getDefiningOp();
  if (!op)
    return 0;
  unsigned depth = 0;
  for (Value operand : op->getOperands())
    depth = std::max(depth, countReductionDepth(operand));
  return depth + lm::isRowReduction(op);
}

bool smelt::staysStored(RowwiseOp producer) {
  if (producer->hasAttr(storedAttribute) &&
      !llvm::all_of(producer.getBody().front(), isLayoutChange))
    return true;
  for (Operation &op : producer.getBody().front())
    for (OpOperand &use : op.getOpOperands()) {
      unsigned depth = countReductionDepth(use.get());
      if (isa<YieldOp>(op) ? depth > 1
                           : depth > 0 && smelt::getRowAccess(use) == RowAccess::NeighbourRow)
        return !producer->hasOneUse();
    }
  return false;
}

std::string smelt::whyNotIntoAllLoads(RowwiseOp producer, const FusionOptions &options) {
  if (std::string why = whyNotOps(producer, options); !why.empty())
    return why;
  int64_t flops = 0, elements = 1;
  for (Operation &op : producer.getBody().front().without_terminator()) {
    if (llvm::any_of(op.getResults(), isRowTotal))
      return "it adds up rows: that is done once";
    flops += countRowOpFlops(&op);
  }
  for (Value result : producer.getResults())
    elements = std::max(elements, cast<RankedTensorType>(result.getType()).getNumElements());
  if (double(flops) > options.maxLoadFlops * double(elements))
    return "computing it in each load is too much work";
  for (OpOperand &use : producer->getUses())
    if (std::string why = whyNotIntoLoad(producer, use, options); !why.empty())
      return why;
  return "";
}

void smelt::cloneIntoAllLoads(RowwiseOp producer) {
  for (Value input : producer.getInputs())
    if (auto source = input.getDefiningOp<RowwiseOp>())
      source->setAttr(storedAttribute, UnitAttr::get(source.getContext()));
  while (!producer->use_empty()) {
    OpOperand &use = *producer->getUses().begin();
    cloneIntoRegion(producer, cast<KernelOpInterface>(use.getOwner()), *getRegionOfOperand(use));
  }
  producer.erase();
}

//===- Cost ----------------------------------------------------------------------===//

/// Bytes that reading region inputs costs: of a table, the rows that are gathered, at twice the
/// price.
static double countReadBytes(RowwiseOp kernel, unsigned input) {
  double bytes = getBytes(kernel.getInputs()[input]);
  BlockArgument argument = kernel.getBody().getArgument(input);
  for (OpOperand &use : argument.getUses())
    if (auto embedding = dyn_cast<lm::EmbeddingOp>(use.getOwner());
        embedding && use.getOperandNumber() == 0)
      bytes = 2.0 * getBytes(embedding.getResult());
  return bytes;
}

double smelt::countSavingIntoResult(Operation *host, RowwiseOp guest) {
  double saved = 0;
  for (Value input : guest.getInputs()) {
    if (input.getDefiningOp() != host)
      continue;
    bool onlyGuest = llvm::all_of(input.getUsers(),
                                  [&](Operation *user) { return user == guest.getOperation(); });
    saved += (onlyGuest ? 2.0 : 1.0) * getBytes(input);
  }
  return saved;
}

double smelt::countSavingIntoLoads(RowwiseOp producer, const FusionOptions &options) {
  double saved = 0, flops = 0;
  llvm::SmallSetVector<Operation *, 8> users;
  for (Value result : producer.getResults()) {
    llvm::SmallSetVector<Operation *, 8> readers(result.getUsers().begin(),
                                                 result.getUsers().end());
    saved += double(1 + readers.size()) * getBytes(result);
    users.insert(readers.begin(), readers.end());
  }
  for (unsigned i = 0; i < producer.getInputs().size(); ++i) {
    double bytes = countReadBytes(producer, i);
    saved += bytes;
    for (Operation *user : users)
      if (!llvm::is_contained(user->getOperands(), producer.getInputs()[i]))
        saved -= bytes;
  }
  for (Operation &op : producer.getBody().front().without_terminator())
    flops += countRowOpFlops(&op);
  return saved - double(users.size() - 1) * flops * options.bytesPerFlop;
}

bool smelt::feedsGemmLoad(RowwiseOp producer) {
  return llvm::any_of(producer->getUses(), [](OpOperand &use) {
    return isa<GemmOp>(use.getOwner()) &&
           getRegionOfOperand(use) != getResultRegion(use.getOwner());
  });
}

bool smelt::prefersLoads(Operation *host, RowwiseOp guest, const FusionOptions &options) {
  return feedsGemmLoad(guest) && !staysStored(guest) &&
         whyNotIntoAllLoads(guest, options).empty() &&
         countSavingIntoLoads(guest, options) > countSavingIntoResult(host, guest);
}

//===- Remarks -----------------------------------------------------------------===//

void smelt::noteRefusal(Operation *op, StringRef what, StringRef why) {
  Builder builder(op->getContext());
  auto note = builder.getStringAttr(what + ": " + why);
  SmallVector<Attribute> notes;
  if (auto old = op->getAttrOfType<ArrayAttr>("smelt.refused"))
    llvm::append_range(notes, old);
  if (!llvm::is_contained(notes, note))
    notes.push_back(note);
  op->setAttr("smelt.refused", builder.getArrayAttr(notes));
}
