//===- MergeKernels.cpp - Moving rows between kernels ---------------------===//
#include "compiler/Transforms/Fusion/MergeKernels.h"

#include "dialects/Train/TrainOps.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace mlir::kernel;

std::optional<unsigned> smelt::getResultRegion(Operation *kernel) {
  if (isa<RowwiseOp>(kernel))
    return 0;
  if (isa<EmbeddingBackwardOp>(kernel))
    return 1;
  if (isa<GemmOp>(kernel))
    return 2;
  if (isa<AttentionOp>(kernel))
    return 3;
  return std::nullopt;
}

/// The argument of the region for `value`, which is added to its inputs unless it is one already.
static BlockArgument addInput(KernelOpInterface op, unsigned region, Value value) {
  Block &block = op->getRegion(region).front();
  unsigned leading = op.getNumLeadingArguments(region);
  for (auto [index, input] : llvm::enumerate(op.getRegionInputs(region)))
    if (input == value)
      return block.getArgument(leading + index);
  op.getRegionInputsMutable(region).append(value);
  return block.addArgument(value.getType(), value.getLoc());
}

static void eraseInput(KernelOpInterface op, unsigned region, unsigned index) {
  op->getRegion(region).front().eraseArgument(op.getNumLeadingArguments(region) + index);
  op.getRegionInputsMutable(region).erase(index);
}

/// The same op with other result types; the old one keeps its results until the caller has replaced
/// them.
static Operation *rebuild(Operation *op, TypeRange types) {
  OpBuilder builder(op);
  OperationState state(op->getLoc(), op->getName(), op->getOperands(), types,
                       op->getAttrDictionary().getValue());
  for (unsigned i = 0; i < op->getNumRegions(); ++i)
    state.addRegion();
  Operation *copy = builder.create(state);
  for (auto [from, to] : llvm::zip_equal(op->getRegions(), copy->getRegions()))
    to.takeBody(from);
  return copy;
}

/// Clones the ops of `from` behind the insertion point of `builder`; returns what it yields there.
static SmallVector<Value> cloneBody(OpBuilder &builder, Block &from, IRMapping &map) {
  for (Operation &op : from.without_terminator())
    builder.clone(op, map);
  SmallVector<Value> yielded;
  for (Value value : from.getTerminator()->getOperands())
    yielded.push_back(map.lookup(value));
  return yielded;
}

/// Both locations, side by side. (Fused ones with a mark, as autodiff makes them, stay whole.)
static Location fuseLocations(Location host, Location guest) {
  llvm::SetVector<Location> locations;
  for (Location loc : {host, guest}) {
    auto fused = dyn_cast<FusedLoc>(loc);
    if (fused && !fused.getMetadata())
      locations.insert(fused.getLocations().begin(), fused.getLocations().end());
    else
      locations.insert(loc);
  }
  return FusedLoc::get(host.getContext(), locations.getArrayRef());
}

Operation *smelt::mergeIntoResult(KernelOpInterface host, RowwiseOp guest) {
  unsigned region = *getResultRegion(host);
  Block &block = host->getRegion(region).front();
  Operation *yield = block.getTerminator();
  Block &body = guest.getBody().front();
  bool readsHost = llvm::any_of(
      guest.getInputs(), [&](Value input) { return input.getDefiningOp() == host.getOperation(); });
  OpBuilder builder(host->getContext());
  if (readsHost)
    builder.setInsertionPoint(yield);
  else
    builder.setInsertionPointToStart(&block);
  IRMapping map;
  for (auto [argument, input] : llvm::zip_equal(body.getArguments(), guest.getInputs()))
    map.map(argument, input.getDefiningOp() == host.getOperation()
                          ? yield->getOperand(cast<OpResult>(input).getResultNumber())
                          : Value(addInput(host, region, input)));
  SmallVector<Value> yielded = cloneBody(builder, body, map);
  for (auto [result, value] : llvm::zip_equal(guest.getResults(), yielded)) {
    unsigned leading = host.getNumLeadingArguments(region);
    for (unsigned i = host.getRegionInputs(region).size(); i-- > 0;)
      if (host.getRegionInputs(region)[i] == result) {
        block.getArgument(leading + i).replaceAllUsesWith(value);
        eraseInput(host, region, i);
      }
  }
  unsigned outputs = yield->getNumOperands();
  yield->insertOperands(outputs, yielded);
  SmallVector<Type> types(host->getResultTypes());
  types.insert(types.begin() + outputs, guest->result_type_begin(), guest->result_type_end());
  Operation *merged = rebuild(host, types);
  if (guest->hasAttr(storedAttribute))
    merged->setAttr(storedAttribute, builder.getUnitAttr());
  merged->setLoc(fuseLocations(host.getLoc(), guest.getLoc()));
  for (unsigned i = 0; i < host->getNumResults(); ++i)
    host->getResult(i).replaceAllUsesWith(merged->getResult(i < outputs ? i : i + yielded.size()));
  for (unsigned i = 0; i < yielded.size(); ++i)
    guest.getResult(i).replaceAllUsesWith(merged->getResult(outputs + i));
  guest.erase();
  host.erase();
  return simplifyKernel(merged);
}

Operation *smelt::cloneIntoRegion(RowwiseOp producer, KernelOpInterface consumer, unsigned region) {
  Block &block = consumer->getRegion(region).front();
  OpBuilder builder = OpBuilder::atBlockBegin(&block);
  IRMapping map;
  for (auto [argument, input] :
       llvm::zip_equal(producer.getBody().front().getArguments(), producer.getInputs()))
    map.map(argument, addInput(consumer, region, input));
  SmallVector<Value> yielded = cloneBody(builder, producer.getBody().front(), map);
  unsigned leading = consumer.getNumLeadingArguments(region);
  for (unsigned i = consumer.getRegionInputs(region).size(); i-- > 0;) {
    auto result = dyn_cast<OpResult>(consumer.getRegionInputs(region)[i]);
    if (!result || result.getOwner() != producer.getOperation())
      continue;
    block.getArgument(leading + i).replaceAllUsesWith(yielded[result.getResultNumber()]);
    eraseInput(consumer, region, i);
  }
  return simplifyKernel(consumer);
}

/// Erases ops without uses, then inputs without uses, and joins inputs that are the same value.
static void simplifyRegion(KernelOpInterface op, unsigned region) {
  Block &block = op->getRegion(region).front();
  // Not early_inc over reverse: that keeps a reference to the op being erased.
  SmallVector<Operation *> inner;
  for (Operation &innerOp : block.without_terminator())
    inner.push_back(&innerOp);
  for (Operation *innerOp : llvm::reverse(inner))
    if (innerOp->use_empty())
      innerOp->erase();
  unsigned leading = op.getNumLeadingArguments(region);
  for (unsigned i = op.getRegionInputs(region).size(); i-- > 0;) {
    auto inputs = op.getRegionInputs(region);
    BlockArgument argument = block.getArgument(leading + i);
    auto same = llvm::find(inputs.take_front(i), inputs[i]);
    if (same != inputs.begin() + i)
      argument.replaceAllUsesWith(block.getArgument(leading + (same - inputs.begin())));
    if (argument.use_empty())
      eraseInput(op, region, i);
  }
}

Operation *smelt::simplifyKernel(Operation *kernel) {
  auto op = cast<KernelOpInterface>(kernel);
  if (kernel->use_empty()) {
    kernel->erase();
    return nullptr;
  }
  if (std::optional<unsigned> region = getResultRegion(kernel)) {
    Operation *yield = kernel->getRegion(*region).front().getTerminator();
    // Results that are the same value become one; those without uses go.
    for (unsigned i = 0; i < yield->getNumOperands(); ++i)
      for (unsigned j = 0; j < i; ++j)
        if (yield->getOperand(i) == yield->getOperand(j))
          kernel->getResult(i).replaceAllUsesWith(kernel->getResult(j));
    llvm::BitVector dead(kernel->getNumResults());
    for (unsigned i = 0; i < yield->getNumOperands(); ++i)
      dead[i] = kernel->getResult(i).use_empty();
    if (dead.any()) {
      SmallVector<Type> types;
      for (unsigned i = 0; i < kernel->getNumResults(); ++i)
        if (!dead[i])
          types.push_back(kernel->getResult(i).getType());
      llvm::BitVector deadYields = dead;
      deadYields.resize(yield->getNumOperands());
      yield->eraseOperands(deadYields);
      Operation *copy = rebuild(kernel, types);
      for (unsigned i = 0, next = 0; i < kernel->getNumResults(); ++i)
        if (!dead[i])
          kernel->getResult(i).replaceAllUsesWith(copy->getResult(next++));
      kernel->erase();
      kernel = copy;
      op = cast<KernelOpInterface>(copy);
    }
  }
  for (unsigned region = 0; region < kernel->getNumRegions(); ++region)
    simplifyRegion(op, region);
  return kernel;
}

void smelt::sortKernels(Block &block) {
  SmallVector<Operation *> old, order;
  llvm::SmallPtrSet<Operation *, 32> done;
  for (Operation &op : block.without_terminator())
    old.push_back(&op);
  for (Operation *op : old)
    if (op->getNumOperands() == 0 && !isa<KernelOpInterface>(op))
      order.push_back(op), done.insert(op);
  std::function<void(Operation *)> place = [&](Operation *op) {
    if (!done.insert(op).second)
      return;
    for (Value operand : op->getOperands())
      if (Operation *source = operand.getDefiningOp())
        place(source);
    order.push_back(op);
  };
  for (Operation *op : old)
    if (!isa<train::WriteOp>(op))
      place(op);
  for (Operation *op : old)
    place(op);
  for (Operation *op : order)
    op->moveBefore(block.getTerminator());
}
