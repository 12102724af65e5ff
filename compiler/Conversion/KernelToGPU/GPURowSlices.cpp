//===- GPURowSlices.cpp - Rows dealt to warps head by head ----------------===//
#include "compiler/Conversion/KernelToGPU/GPURowSlices.h"
#include "compiler/Conversion/KernelToGPU/GPURowScope.h"
#include <set>

using namespace mlir;
using namespace mlir::lm;

namespace smelt {
namespace {

/// Works on a head's features alone, if the heads of what it reads are `width` wide.
bool staysInHead(const GPURowProgram &program, Operation *op, int64_t width) {
  auto hasHeads = [&](Value x) {
    return program.getSegment(x) == width && program.getFeatures(x) > width;
  };
  if (isa<RMSNormOp, RMSNormBackwardOp, RopeOp, TokenShiftOp, TokenShiftAdjointOp>(op))
    return hasHeads(op->getOperand(0));
  if (isa<SplitOp, ConcatOp>(op))
    return llvm::all_of(llvm::concat<Value>(op->getOperands(), op->getResults()), [&](Value x) {
      return program.getFeatures(x) % width == 0 && program.getSegment(x) == program.getFeatures(x);
    });
  if (auto scale = dyn_cast<RowScaleOp>(op))
    return program.getFeatures(scale.getG()) == 1 || hasHeads(scale.getX());
  if (auto broadcast = dyn_cast<BroadcastOp>(op))
    return program.getFeatures(broadcast.getX()) == 1;
  if (auto constant = dyn_cast<ConstantOp>(op))
    return constant.getValue().isSplat();
  return isa<AddOp, MultiplyOp, MixOp, ScaleOp, UnaryOp, UnaryBackwardOp, CastOp, QuantizeOp,
             SoftcapOp, SoftcapBackwardOp, AtLeastOp, ReshapeOp, SumOp, DotOp>(op);
}

/// Where the parts of what `value` is made of begin; their concat is added to `seen`.
void collectCuts(const GPURowProgram &program, Value value, std::set<int64_t> &cuts,
                 std::set<Operation *> &seen) {
  while (Operation *op = value.getDefiningOp()) {
    if (auto concat = dyn_cast<ConcatOp>(op)) {
      int64_t begin = 0;
      seen.insert(op);
      for (Value part : concat.getParts())
        cuts.insert(begin), begin += program.getFeatures(part);
      return;
    }
    if (!isa<CastOp, ReshapeOp, QuantizeOp, ScaleOp, RowScaleOp>(op))
      return;
    value = op->getOperand(0);
  }
}

} // namespace

GPURowSlices::GPURowSlices(const GPURowProgram &program) {
  if (program.isFlat())
    return;
  int64_t found = 0;
  for (Operation &op : *program.getTerminator()->getBlock())
    if (isa<RMSNormOp, RMSNormBackwardOp>(op) &&
        program.getFeatures(op.getOperand(0)) > program.getSegment(op.getOperand(0)))
      found = program.getSegment(op.getOperand(0));
  if (!found || found % 32 || found > 512)
    return;
  std::map<int64_t, std::set<int64_t>> cuts;
  std::set<Operation *> seen;
  for (Operation &op : program.getTerminator()->getBlock()->without_terminator())
    if (!program.isTotal(op.getResult(0)) || isa<SumOp, DotOp>(op))
      if (!staysInHead(program, &op, found))
        return;
  auto note = [&](Value value) {
    int64_t features = program.getFeatures(value);
    cuts[features].insert(0);
    collectCuts(program, value, cuts[features], seen);
    return features % found == 0;
  };
  for (Value value : program.getTerminator()->getOperands())
    if (!program.isTotal(value) && !note(value))
      return;
  for (Operation *sum : program.getSums())
    for (Value operand : sum->getOperands())
      if (!isa<SumOp, DotOp>(sum) || !note(operand))
        return;
  for (Operation &op : program.getTerminator()->getBlock()->without_terminator())
    if (isa<ConcatOp>(op) && !seen.count(&op)) // Its parts would meet within one unit.
      return;
  width = found, units = 0;
  // Two chunks a lane at least: one of each half.
  int64_t lanes = llvm::bit_floor(uint64_t(width / 2 / program.getVector()));
  together = 32 / std::clamp<int64_t>(lanes, 1, 32);
  for (auto &[features, begins] : cuts)
    for (auto it = begins.begin(); it != begins.end(); ++it) {
      int64_t end = std::next(it) == begins.end() ? features : *std::next(it);
      Part &part = parts.emplace_back(Part{features, *it, (end - *it) / width, {}, {}});
      for (auto [i, value] : llvm::enumerate(program.getTerminator()->getOperands()))
        if (!program.isTotal(value) && program.getFeatures(value) == features)
          part.results.push_back(i);
      for (auto [i, sum] : llvm::enumerate(program.getSums()))
        if (program.getFeatures(sum->getOperand(0)) == features)
          part.sums.push_back(i);
    }
  for (const Part &part : parts)
    while (part.heads % together)
      together /= 2;
  for (const Part &part : parts)
    units += part.heads / together;
}

GPUChunk GPURowEmitter::inSlice(const GPUChunk &chunk, const GPUChunk &slice) {
  const GPUChunk::Head &of = slice.head;
  Value &start = scopes[1]->sliceStarts[chunk.dynamic.getAsOpaquePointer()];
  if (!start)
    start = atRowLevel([&] { return g.add(g.mul(of.number, of.width), chunk.dynamic); });
  GPUChunk made{start, of.first * of.width + chunk.offset, slice.low, slice.high, chunk.count, {}};
  made.head = {of.width, of.first, chunk.offset, chunk.low, chunk.high, of.number, chunk.dynamic};
  return made;
}

SmallVector<Value> GPURowEmitter::storePart(const GPURowSlices &slices, size_t index, Value row,
                                            Value number) {
  startRow();
  const GPURowSlices::Part &part = slices.parts[index];
  GPUChunk whole;
  whole.low = part.begin, whole.high = part.begin + part.heads * slices.width;
  whole.head.width = slices.width, whole.head.first = part.begin / slices.width;
  whole.head.number = number;
  Values sums(program.getSums().size(), g.number(0));
  // Everything is read before the first store, behind which no load would pass.
  struct Store {
    GPUChunk chunk;
    Value valid;
    SmallVector<Values> values;
  };
  SmallVector<Store> stores;
  forChunks(0, slices.width, [&](const GPUChunk &features, Value valid) {
    GPUChunk chunk = inSlice(features, whole);
    for (unsigned i : part.sums) {
      Operation *op = program.getSums()[i];
      Values xs = get(op->getOperand(0), row, chunk), ys;
      if (op->getNumOperands() > 1)
        ys = get(op->getOperand(1), row, chunk);
      Value after = sums[i];
      for (auto [j, x] : llvm::enumerate(xs))
        after = ys.empty() ? g.addf(after, x) : g.fma(x, ys[j], after);
      sums[i] = valid ? g.select(valid, after, sums[i]) : after;
    }
    Store &store = stores.emplace_back(Store{chunk, valid, {}});
    for (unsigned i : part.results)
      store.values.push_back(
          getForStore(program.getTerminator()->getOperand(i), sinks[i].element, row, chunk));
  });
  for (const Store &store : stores)
    storeResults(part.results, store.values, row, store.chunk, store.valid);
  return sums;
}

SmallVector<Value> GPURowEmitter::storeSlice(const GPURowSlices &slices, Value row, Value unit) {
  SmallVector<Type> types(std::max<size_t>(program.getSums().size(), 1), g.f32());
  auto emit = [&](auto &&self, size_t part, int64_t first) -> Values {
    auto here = [&] {
      Value number = g.mul(g.add(unit, -first), slices.together);
      if (group.inWarp)
        number = g.add(number, group.inWarp);
      Values sums = storePart(slices, part, row, number);
      sums.resize(types.size(), sums.empty() ? g.number(0) : sums.back());
      return sums;
    };
    int64_t next = first + slices.parts[part].heads / slices.together;
    if (part + 1 == slices.parts.size())
      return here();
    return g.choose(g.less(unit, next), types, here, [&] { return self(self, part + 1, next); });
  };
  Values sums = emit(emit, 0, 0);
  sums.resize(program.getSums().size());
  return sums;
}

} // namespace smelt
