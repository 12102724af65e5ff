//===- GPURowEmitter.cpp - Pulling features of a region's values ----------===//
#include "compiler/Conversion/KernelToGPU/GPURowScope.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::lm;

namespace smelt {

GPURowEmitter::GPURowEmitter(const GPURowProgram &program, ImplicitLocOpBuilder &builder,
                             GPURowGroup group, ArrayRef<GPURowSource> sources,
                             ArrayRef<GPURowSink> sinks)
    : program(program), b(builder), g(builder), group(group), sources(sources), sinks(sinks) {
  assert(program.whyNot().empty() && "a region that cannot be emitted");
  mark = g.integer(0).getDefiningOp();
  owned.push_back(std::make_unique<Scope>());
  scopes.push_back(owned[0].get());
  startRow();
}

GPURowEmitter::~GPURowEmitter() = default;

void GPURowEmitter::startRow() {
  rowLoop = nullptr;
  owned.resize(1);
  owned.push_back(std::make_unique<Scope>());
  scopes = {owned[0].get(), owned[1].get()};
}

void GPURowEmitter::nested(Operation *outer, llvm::function_ref<void()> body) {
  Operation *saved = rowLoop;
  if (!rowLoop)
    rowLoop = outer;
  owned.push_back(std::make_unique<Scope>());
  scopes.push_back(owned.back().get());
  body();
  scopes.pop_back();
  rowLoop = saved;
}

SmallVector<Value> GPURowEmitter::get(Value value, Value row, const GPUChunk &chunk) {
  auto type = cast<RankedTensorType>(value.getType());
  if (type.getRank() == 0)
    return Values(chunk.count, getUniform(value));
  if (auto constant = value.getDefiningOp<ConstantOp>(); constant && constant.getValue().isSplat())
    return Values(chunk.count, getUniform(value));
  Scope::ChunkKey key{value.getAsOpaquePointer(), row.getAsOpaquePointer(),
                      chunk.dynamic.getAsOpaquePointer(), chunk.offset, chunk.count};
  for (Scope *scope : llvm::reverse(scopes))
    if (auto it = scope->chunks.find(key); it != scope->chunks.end())
      return it->second;
  // One number a row: not again in every round of a loop over features.
  if (rowLoop && !chunk.dynamic && chunk.count == 1 && program.getFeatures(value) == 1)
    return atRowLevel([&] { return get(value, row, chunk); });
  Values computed = compute(value, row, chunk);
  scopes.back()->chunks[key] = computed;
  return computed;
}

Value GPURowEmitter::getUniform(Value value) {
  if (auto it = known.find(value); it != known.end())
    return it->second;
  if (auto it = scopes[0]->uniforms.find(value.getAsOpaquePointer());
      it != scopes[0]->uniforms.end())
    return it->second;
  Value made = atMark([&]() -> Value {
    if (auto constant = value.getDefiningOp<ConstantOp>()) {
      auto splat = cast<DenseElementsAttr>(constant.getValue());
      if (splat.getElementType().isInteger(32))
        return g.integer(splat.getSplatValue<APInt>().getSExtValue());
      APFloat number = splat.getSplatValue<APFloat>();
      bool losesInfo;
      number.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &losesInfo);
      return g.number(number.convertToDouble());
    }
    if (auto argument = dyn_cast<BlockArgument>(value)) {
      const GPURowSource &source = sources[argument.getArgNumber()];
      return g.loadNumbers(source.pointer, source.element, 1, false)[0];
    }
    Operation *op = value.getDefiningOp();
    if (cast<RankedTensorType>(value.getType()).getElementType().isInteger(32))
      return computeInteger(op, {});
    return computeElementwise(op, {}, GPUChunk::at(0))[0];
  });
  scopes[0]->uniforms[value.getAsOpaquePointer()] = made;
  return made;
}

Value GPURowEmitter::getRowStart(Value row, int64_t rows, int64_t stride) {
  bool isShort = program.isFlat() || rows * stride < (int64_t(1) << 31);
  std::tuple<void *, int64_t, bool> key{row.getAsOpaquePointer(), stride, isShort};
  Value &start = scopes[1]->starts[key];
  if (!start)
    start = atRowLevel(
        [&] { return isShort ? g.mul(row, stride) : g.mul(g.widen(row), g.integer64(stride)); });
  return start;
}

Value GPURowEmitter::getPlace(Value pointer, Type element, Value start, const GPUChunk &chunk) {
  Value place = pointer;
  if (start.getType().isInteger(32)) {
    // One addition for all tensors of a stride, and one instruction from there to each address.
    place = g.offset(place, element, chunk.dynamic ? g.add(start, chunk.dynamic) : start);
  } else {
    place = g.offset(place, element, start);
    if (chunk.dynamic)
      place = g.offset(place, element, chunk.dynamic);
  }
  return chunk.offset ? g.offset(place, element, g.integer(chunk.offset)) : place;
}

SmallVector<Value> GPURowEmitter::loadChunk(const GPURowSource &source, Value start,
                                            const GPUChunk &chunk) {
  unsigned bytes = source.element.getIntOrFloatBitWidth() / 8 * chunk.count;
  bool aligned = source.stride % chunk.count == 0 && source.alignment % bytes == 0;
  return g.loadNumbers(getPlace(source.pointer, source.element, start, chunk), source.element,
                       chunk.count, aligned);
}

SmallVector<Value> GPURowEmitter::computeArgument(BlockArgument argument, Value row,
                                                  const GPUChunk &chunk) {
  const GPURowSource &source = sources[argument.getArgNumber()];
  if (source.load)
    return source.load(row, chunk);
  return loadChunk(source, getRowStart(row, countRows(argument), source.stride), chunk);
}

SmallVector<Value> GPURowEmitter::computeTable(ConstantOp op, Value row, const GPUChunk &chunk) {
  Value &address = scopes[0]->uniforms[op];
  if (!address)
    address = atMark([&]() -> Value {
      auto function = mark->getParentOfType<LLVM::LLVMFuncOp>();
      OpBuilder::InsertionGuard guard(b);
      Operation *mine = &*b.getInsertionPoint();
      b.setInsertionPoint(function);
      auto type = cast<RankedTensorType>(op.getResult().getType());
      std::string name = function.getName().str() + "_table" + std::to_string(tables++);
      auto elements =
          cast<DenseElementsAttr>(op.getValue())
              .reshape(RankedTensorType::get({type.getNumElements()}, type.getElementType()));
      auto global = LLVM::GlobalOp::create(
          b, LLVM::LLVMArrayType::get(type.getElementType(), type.getNumElements()),
          /*isConstant=*/true, LLVM::Linkage::Internal, name, elements, /*alignment=*/16,
          /*addrSpace=*/1);
      b.setInsertionPoint(mine);
      return LLVM::AddressOfOp::create(b, global);
    });
  Type element = cast<RankedTensorType>(op.getResult().getType()).getElementType();
  GPURowSource source{address, element, program.getFeatures(op.getResult()), 16, {}};
  return loadChunk(source, getRowStart(row, countRows(op.getResult()), source.stride), chunk);
}

SmallVector<Value> GPURowEmitter::compute(Value value, Value row, const GPUChunk &chunk) {
  if (auto argument = dyn_cast<BlockArgument>(value))
    return computeArgument(argument, row, chunk);
  Operation *op = value.getDefiningOp();
  unsigned result = cast<OpResult>(value).getResultNumber();
  if (cast<RankedTensorType>(value.getType()).getElementType().isInteger(32))
    return {computeInteger(op, row)};
  return llvm::TypeSwitch<Operation *, Values>(op)
      .Case<RMSNormOp, RMSNormBackwardOp>([&](auto) { return computeNorm(op, row, chunk); })
      .Case([&](RopeOp rope) { return computeRope(rope, row, chunk); })
      .Case([&](ReshapeOp reshape) { return get(reshape.getX(), row, chunk); })
      .Case([&](ConstantOp table) { return computeTable(table, row, chunk); })
      .Case<SplitOp, ConcatOp>([&](auto) { return computeParts(op, result, row, chunk); })
      .Case<TokenShiftOp, TokenShiftAdjointOp>([&](auto) { return computeShift(op, row, chunk); })
      .Case([&](TokenShiftDotOp dot) { return computeShiftDot(dot, row, chunk); })
      .Case<GateOp, GateBackwardOp>([&](auto) { return computeGate(op, row, chunk); })
      .Case([&](SplitMasterOp split) {
        Values halves;
        for (Value master : get(split.getX(), row, chunk))
          halves.push_back(g.splitMaster(master)[result]);
        return halves;
      })
      .Case([&](RowDotOp dot) { return computeRowDot(dot, row, chunk); })
      .Case<CrossEntropyOp, CrossEntropyBackwardOp>(
          [&](auto) { return computeLoss(op, result, row, chunk); })
      .Case([&](EmbeddingOp embedding) {
        Value token =
            atRowLevel([&] { return get(embedding.getTokens(), row, GPUChunk::at(0))[0]; });
        return get(embedding.getTable(), token, chunk);
      })
      .Default([&](Operation *) { return computeElementwise(op, row, chunk); });
}

Value GPURowEmitter::computeInteger(Operation *op, Value row) {
  auto range = cast<AttentionRangeOp>(op);
  Value document = get(range.getDocumentStart(), row, GPUChunk::at(0))[0];
  Value window = getUniform(range.getWindow());
  if (!range.getBlocks())
    return g.max(document, g.sub(row, window));
  // Blocks: window is w·B tokens; the query's own block and the w − 1 before it.
  int64_t block = *range.getBlocks();
  Value blocks = g.max(g.div(window, block), g.integer(1));
  Value first = g.sub(g.div(row, block), g.add(blocks, -1));
  return g.max(document, g.mul(first, block));
}

//===- Rows -----------------------------------------------------------------===//

SmallVector<Value> GPURowEmitter::getForStore(Value value, Type element, Value row,
                                              const GPUChunk &chunk) {
  Operation *op = value.getDefiningOp();
  if (!op || cast<RankedTensorType>(value.getType()).getElementType() != element)
    return get(value, row, chunk);
  if (auto cast_ = dyn_cast<CastOp>(op))
    return get(cast_.getX(), row, chunk);
  if (auto quantize = dyn_cast<QuantizeOp>(op))
    return computeQuotient(quantize, row, chunk);
  return get(value, row, chunk);
}

void GPURowEmitter::storeRow(Value row) {
  llvm::MapVector<int64_t, SmallVector<unsigned>> byFeatures;
  for (auto [i, value] : llvm::enumerate(program.getTerminator()->getOperands()))
    if (!program.isTotal(value))
      byFeatures[program.getFeatures(value)].push_back(i);
  for (auto &[features, results] : byFeatures)
    forChunks(0, features, [&, &results = results](const GPUChunk &chunk, Value valid) {
      // All values of these features first: a result may lie on what another one reads.
      SmallVector<Values> values;
      for (unsigned i : results)
        values.push_back(
            getForStore(program.getTerminator()->getOperand(i), sinks[i].element, row, chunk));
      storeResults(results, values, row, chunk, valid);
    });
}

void GPURowEmitter::storeResults(ArrayRef<unsigned> results, ArrayRef<Values> values, Value row,
                                 const GPUChunk &chunk, Value valid) {
  for (unsigned i : results) // Not first under the condition: other chunks use it, too.
    getRowStart(row, program.getRows(), sinks[i].stride);
  auto store = [&] {
    for (auto [i, numbers] : llvm::zip(results, values))
      storeNumbers(i, numbers, row, chunk);
  };
  if (valid)
    g.when(valid, store);
  else
    store();
}

void GPURowEmitter::storeNumbers(unsigned result, ArrayRef<Value> numbers, Value row,
                                 const GPUChunk &chunk) {
  const GPURowSink &sink = sinks[result];
  unsigned bytes = sink.element.getIntOrFloatBitWidth() / 8 * chunk.count;
  Value start = getRowStart(row, program.getRows(), sink.stride);
  g.storeNumbers(numbers, getPlace(sink.pointer, sink.element, start, chunk), sink.element,
                 sink.stride % chunk.count == 0 && sink.alignment % bytes == 0);
}

void GPURowEmitter::storeChunk(Value row, const GPUChunk &chunk) {
  SmallVector<Values> values;
  for (auto [value, sink] : llvm::zip(program.getTerminator()->getOperands(), sinks))
    values.push_back(getForStore(value, sink.element, row, chunk));
  for (auto [i, numbers] : llvm::enumerate(values))
    storeNumbers(i, numbers, row, chunk);
}

int64_t GPURowEmitter::countAccumulators(Operation *sum) const {
  if (isa<GroupSumOp>(sum))
    return 0;
  auto gate = dyn_cast<GateBackwardOp>(sum);
  if (!gate)
    return 1;
  return llvm::divideCeil(cast<RankedTensorType>(gate.getW().getType()).getNumElements(),
                          group.size);
}

SmallVector<SmallVector<Value>> GPURowEmitter::getContributions(Value row) {
  SmallVector<Values> all;
  for (Operation *op : program.getSums()) {
    Values &mine = all.emplace_back();
    if (isa<GroupSumOp>(op)) // Kept by row: see GPURowKernel.
      continue;
    if (auto gate = dyn_cast<GateBackwardOp>(op)) { // dw[g, j] += da[g]·x[j]
      auto weights = cast<RankedTensorType>(gate.getW().getType());
      int64_t elements = weights.getNumElements(), width = weights.getDimSize(1);
      Values da;
      for (int64_t i = 0; i < weights.getDimSize(0); ++i) {
        Value value = get(gate.getGate(), row, GPUChunk::at(i))[0];
        Value gradient = get(gate.getDgate(), row, GPUChunk::at(i))[0];
        da.push_back(g.mulf(gradient, g.mulf(value, g.subf(g.number(1), value))));
      }
      for (int64_t i = 0; i < countAccumulators(op); ++i) {
        int64_t base = i * group.size;
        Value element = group.lane ? g.add(group.lane, base) : g.integer(base);
        Value valid = g.less(element, elements);
        element = g.min(element, g.integer(elements - 1));
        Place place;
        place.segment = g.div(element, width);
        Value x = get(gate.getX(), row, GPUChunk::at(g.rem(element, width), 0, width))[0];
        mine.push_back(g.select(valid, g.mulf(choose(da, place), x), g.number(0)));
      }
      continue;
    }
    if (auto count = dyn_cast<CountOp>(op)) {
      Value counts = g.atLeast(get(count.getTargets(), row, GPUChunk::at(0))[0], 0);
      if (group.lane)
        counts = g.both(counts, g.equal(group.lane, 0));
      mine.push_back(g.select(counts, g.number(1), g.number(0)));
      continue;
    }
    Value x = op->getOperand(0), y = op->getNumOperands() > 1 ? op->getOperand(1) : Value();
    Value sum = g.number(0);
    auto term = [&](const GPUChunk &chunk, Value valid, Value before) {
      Values xs = get(x, row, chunk), ys = y ? get(y, row, chunk) : Values();
      Value after = before;
      for (auto [i, element] : llvm::enumerate(xs))
        after = y ? g.fma(element, ys[i], after) : g.addf(after, element);
      return valid ? g.select(valid, after, before) : after;
    };
    // The chunks that results are made of, so that what is loaded here stays in registers.
    int64_t features = program.getFeatures(x);
    unsigned count = features % program.getVector() == 0 ? program.getVector() : 1;
    if (llvm::divideCeil(features, group.size * count) <= 16) {
      forChunks(0, features,
                [&](const GPUChunk &chunk, Value valid) { sum = term(chunk, valid, sum); });
    } else {
      Value step = g.integer(group.size * count), lane = group.lane ? group.lane : g.integer(0);
      Value begin = g.mul(lane, count);
      auto loop = scf::ForOp::create(b, begin, g.integer(features), step, ValueRange{sum});
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToEnd(loop.getBody());
      nested(loop, [&] {
        scf::YieldOp::create(b, term(GPUChunk::at(loop.getInductionVar(), 0, features, count),
                                     Value(), loop.getRegionIterArg(0)));
      });
      sum = loop.getResult(0);
    }
    mine.push_back(sum);
  }
  return all;
}

} // namespace smelt
