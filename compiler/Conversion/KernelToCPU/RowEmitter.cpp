//===- RowEmitter.cpp - Pulling chunks of a region's values ---------------===//
#include "compiler/Conversion/KernelToCPU/NumberFormats.h"
#include "compiler/Conversion/KernelToCPU/RowEmitterScope.h"
#include "compiler/Conversion/RowTables.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::lm;

namespace smelt {

RowEmitter::RowEmitter(const RowProgram &program, OpBuilder &builder, Location loc,
                       ArrayRef<RowSource> sources, ArrayRef<RowSink> sinks)
    : program(program), b(builder), loc(loc), sources(sources), sinks(sinks),
      lanes(program.getLanes()) {
  assert(program.whyNot().empty() && "a region that cannot be emitted");
  mark = arith::ConstantIndexOp::create(b, loc, 0);
  ownedScopes.push_back(std::make_unique<Scope>());
  scopes.push_back(ownedScopes[0].get());
  startRow();
}

RowEmitter::~RowEmitter() = default;

void RowEmitter::startRow() {
  rowLoop = nullptr;
  ownedScopes.resize(1);
  ownedScopes.push_back(std::make_unique<Scope>());
  scopes = {ownedScopes[0].get(), ownedScopes[1].get()};
}

void RowEmitter::enter(Operation *nest, Block *block) {
  if (block->mightHaveTerminator())
    b.setInsertionPoint(block->getTerminator());
  else
    b.setInsertionPointToEnd(block);
  if (!rowLoop)
    rowLoop = nest;
  ownedScopes.push_back(std::make_unique<Scope>());
  scopes.push_back(ownedScopes.back().get());
}

Value RowEmitter::get(Value value, Value row, const FeatureChunk &chunk) {
  auto type = cast<RankedTensorType>(value.getType());
  if (type.getRank() == 0)
    return splat(getUniform(value), chunk);
  Scope::ChunkKey key{value.getAsOpaquePointer(), row.getAsOpaquePointer(),
                      chunk.dynamic.getAsOpaquePointer(), chunk.offset, chunk.lanes};
  for (Scope *scope : scopes)
    if (auto it = scope->chunks.find(key); it != scope->chunks.end())
      return it->second;
  auto make = [&] {
    Value made;
    if (auto argument = dyn_cast<BlockArgument>(value))
      made = loadSource(argument.getArgNumber(), row, chunk);
    else if (program.isMaterialised(value))
      made = loadMemory(materialise(value, row), first(chunk), chunk);
    else
      made = compute(value, row, chunk);
    scopes.back()->chunks[key] = made;
    return made;
  };
  // One number per row goes where it is computed once.
  if (chunk.isScalar() && !chunk.dynamic)
    return atRowLevel(make);
  return make();
}

/// True for ops that give numbers of their operand, or exact ones.
static bool keepsNumbers(Operation *op) {
  if (auto cast = dyn_cast<CastOp>(op)) // Rounded to the same type already.
    return cast.getX().getType() == cast.getResult().getType();
  return isa<ReshapeOp, SplitOp, ConcatOp, BroadcastOp, EmbeddingOp, ConstantOp, SplitMasterOp>(op);
}

Value RowEmitter::rounded(Value made, Value value) {
  Operation *op = value.getDefiningOp();
  if (op && keepsNumbers(op))
    return made;
  return roundNumbers(b, loc, made, cast<RankedTensorType>(value.getType()).getElementType());
}

Value RowEmitter::compute(Value value, Value row, const FeatureChunk &chunk) {
  return rounded(computeUnrounded(value, row, chunk), value);
}

Value RowEmitter::computeUnrounded(Value value, Value row, const FeatureChunk &chunk) {
  Operation *op = value.getDefiningOp();
  return llvm::TypeSwitch<Operation *, Value>(op)
      .Case<SplitMasterOp>([&](SplitMasterOp split) {
        return splitMaster(b, loc, get(split.getX(), row, chunk), value == split.getHigh());
      })
      .Case<ReshapeOp, SplitOp, BroadcastOp, RowScaleOp, EmbeddingOp, ConstantOp>(
          [&](auto) { return computeShape(op, value, row, chunk); })
      .Case<ConcatOp>([&](ConcatOp concat) { return computeConcat(concat, row, chunk); })
      .Case<RMSNormOp, RMSNormBackwardOp>([&](auto) { return computeNorm(op, row, chunk); })
      .Case<RopeOp>([&](RopeOp rope) { return computeRope(rope, row, chunk); })
      .Case<RowDotOp>([&](RowDotOp dot) { return computeRowDot(dot, row, chunk); })
      .Case<TokenShiftOp, TokenShiftAdjointOp, TokenShiftDotOp>(
          [&](auto) { return computeShift(op, row, chunk); })
      .Case<GateOp, GateBackwardOp>([&](auto) { return computeGate(op, row, chunk); })
      .Case<ExpandGroupsOp>([&](ExpandGroupsOp expand) {
        auto x = cast<RankedTensorType>(expand.getX().getType());
        int64_t rowsOfGroup = program.getRows() / x.getDimSize(0);
        Value group = arith::DivUIOp::create(b, loc, row, index(rowsOfGroup));
        return loadTable(expand.getX(), group, 1, chunk);
      })
      .Case<CrossEntropyOp, CrossEntropyBackwardOp>(
          [&](auto) { return computeLoss(op, value, row, chunk); })
      .Default([&](Operation *) { return computeElementwise(op, row, chunk); });
}

Value RowEmitter::getUniform(Value value) {
  if (Value total = totalValues.lookup(value))
    return total;
  Scope::ChunkKey key{value.getAsOpaquePointer(), nullptr, nullptr, 0, 0};
  if (auto it = scopes[0]->chunks.find(key); it != scopes[0]->chunks.end())
    return it->second;
  return atMark([&] {
    Value made;
    if (auto argument = dyn_cast<BlockArgument>(value))
      made = loadNumbers(b, loc, b.getF32Type(), sources[argument.getArgNumber()].memory, index(0));
    else if (auto constant = dyn_cast<ConstantOp>(value.getDefiningOp()))
      made = number(
          cast<DenseElementsAttr>(constant.getValue()).getSplatValue<APFloat>().convertToFloat(),
          b.getF32Type());
    else if (auto reshape = dyn_cast<ReshapeOp>(value.getDefiningOp()))
      made = getUniform(reshape.getX());
    else if (auto broadcast = dyn_cast<BroadcastOp>(value.getDefiningOp()))
      made = getUniform(broadcast.getX());
    else
      made = rounded(computeElementwise(value.getDefiningOp(), {}, FeatureChunk::at(0, 0)), value);
    scopes[0]->chunks[key] = made;
    return made;
  });
}

Value RowEmitter::getUniformInteger(Value value) {
  if (auto argument = dyn_cast<BlockArgument>(value))
    return atMark([&]() -> Value {
      return memref::LoadOp::create(b, loc, sources[argument.getArgNumber()].memory,
                                    ValueRange{index(0)});
    });
  auto constant = value.getDefiningOp<ConstantOp>();
  return integer(
      cast<DenseElementsAttr>(constant.getValue()).getSplatValue<APInt>().getSExtValue());
}

Value RowEmitter::getInteger(Value value, Value row) {
  Scope::ChunkKey key{value.getAsOpaquePointer(), row.getAsOpaquePointer(), nullptr, 0, 0};
  for (Scope *scope : scopes)
    if (auto it = scope->chunks.find(key); it != scope->chunks.end())
      return it->second;
  return atRowLevel([&] {
    Value made;
    if (auto argument = dyn_cast<BlockArgument>(value)) {
      const RowSource &source = sources[argument.getArgNumber()];
      Value at = source.firstRow ? arith::SubIOp::create(b, loc, row, source.firstRow) : row;
      made = memref::LoadOp::create(b, loc, source.memory, ValueRange{at});
    } else if (auto range = value.getDefiningOp<AttentionRangeOp>()) {
      made = computeAttentionRange(range, row);
    } else {
      made = getUniformInteger(value);
    }
    scopes.back()->chunks[key] = made;
    return made;
  });
}

//===- Memory ---------------------------------------------------------------===//

Value RowEmitter::first(const FeatureChunk &chunk) {
  if (!chunk.dynamic)
    return index(chunk.offset);
  return chunk.offset
             ? arith::AddIOp::create(b, loc, chunk.dynamic, index(chunk.offset)).getResult()
             : chunk.dynamic;
}

static Value rowBase(OpBuilder &b, Location loc, Value row, Value firstRow, int64_t stride) {
  Value local = firstRow ? arith::SubIOp::create(b, loc, row, firstRow).getResult() : row;
  if (stride == 1)
    return local;
  return arith::MulIOp::create(b, loc, local, arith::ConstantIndexOp::create(b, loc, stride));
}

Value RowEmitter::loadMemory(Value memory, Value base, const FeatureChunk &chunk) {
  bool ragged = !chunk.isScalar() && chunk.lanes != lanes;
  return loadNumbers(b, loc, typeOf(chunk), memory, base, ragged ? laneMask(chunk) : Value());
}

void RowEmitter::storeMemory(Value memory, Value base, const FeatureChunk &chunk, Value value) {
  bool ragged = !chunk.isScalar() && chunk.lanes != lanes;
  storeNumbers(b, loc, value, memory, base, ragged ? laneMask(chunk) : Value());
}

Value RowEmitter::loadSource(unsigned argument, Value row, const FeatureChunk &chunk) {
  const RowSource &source = sources[argument];
  Value value = program.getBlock().getArgument(argument);
  if (source.load) // An accumulator: not a number of the argument's type yet.
    return rounded(source.load(b, loc, row, chunk), value);
  Value base = rowBase(b, loc, row, source.firstRow, source.rowStride);
  Value made = loadMemory(source.memory, arith::AddIOp::create(b, loc, base, first(chunk)), chunk);
  bool sameType = cast<MemRefType>(source.memory.getType()).getElementType() ==
                  cast<RankedTensorType>(value.getType()).getElementType();
  return sameType ? made : rounded(made, value);
}

Value RowEmitter::roundedAs(Value table, Value made) {
  auto cast = table.getDefiningOp<CastOp>();
  return cast ? rounded(roundedAs(cast.getX(), made), table) : made;
}

Value RowEmitter::loadTable(Value table, Value tableRow, int64_t width, const FeatureChunk &chunk) {
  if (auto cast = table.getDefiningOp<CastOp>())
    return rounded(loadTable(cast.getX(), tableRow, width, chunk), table);
  Value at = arith::AddIOp::create(b, loc, rowBase(b, loc, tableRow, {}, width), first(chunk));
  if (auto argument = dyn_cast<BlockArgument>(table))
    return loadMemory(sources[argument.getArgNumber()].memory, at, chunk);
  // A constant table: a splat, or a global of the module.
  auto constant = table.getDefiningOp<ConstantOp>();
  auto elements = cast<DenseElementsAttr>(constant.getValue());
  if (elements.isSplat() && elements.getElementType().isInteger())
    return number(elements.getSplatValue<APInt>().getZExtValue(), chunk);
  if (elements.isSplat())
    return number(elements.getSplatValue<APFloat>().convertToFloat(), chunk);
  auto type = cast<RankedTensorType>(elements.getType());
  auto flat = MemRefType::get({type.getNumElements()}, type.getElementType());
  Attribute reshaped =
      elements.reshape(RankedTensorType::get(flat.getShape(), flat.getElementType()));
  auto module = b.getInsertionBlock()->getParentOp()->getParentOfType<ModuleOp>();
  // The same table is shared; names count up, so that the same module gives the same code.
  std::string name;
  for (unsigned i = 0; name.empty() || module.lookupSymbol(name); ++i) {
    name = "constant_" + llvm::utostr(i);
    auto known = module.lookupSymbol<memref::GlobalOp>(name);
    if (known && known.getInitialValue() == reshaped)
      break;
  }
  if (!module.lookupSymbol(name)) {
    OpBuilder atModule = OpBuilder::atBlockBegin(module.getBody());
    memref::GlobalOp::create(atModule, loc, name, atModule.getStringAttr("private"), flat, reshaped,
                             /*constant=*/true,
                             /*alignment=*/atModule.getI64IntegerAttr(64));
  }
  return loadMemory(memref::GetGlobalOp::create(b, loc, flat, name), at, chunk);
}

Value RowEmitter::getScratch(int64_t floats) {
  return atMark([&]() -> Value {
    return memref::AllocaOp::create(
        b, loc, MemRefType::get({(int64_t)llvm::alignTo(floats, 16)}, b.getF32Type()),
        b.getI64IntegerAttr(64));
  });
}

Value RowEmitter::materialise(Value value, Value row) {
  Scope::RowKey key{value.getAsOpaquePointer(), row.getAsOpaquePointer()};
  for (Scope *scope : scopes)
    if (auto it = scope->scratch.find(key); it != scope->scratch.end())
      return it->second;
  return atRowLevel([&] {
    Value memory = getScratch(program.getFeatures(value));
    forDomain(value, [&](const FeatureChunk &chunk) {
      storeMemory(memory, first(chunk), chunk, compute(value, row, chunk));
    });
    scopes.back()->scratch[key] = memory;
    return memory;
  });
}

//===- Results ----------------------------------------------------------------===//

void RowEmitter::storeResult(unsigned i, Value row, const FeatureChunk &chunk) {
  Value value = get(program.getTerminator()->getOperand(i), row, chunk);
  if (sinks[i].store)
    return sinks[i].store(b, loc, row, chunk, value);
  Value base = rowBase(b, loc, row, sinks[i].firstRow, sinks[i].rowStride);
  storeMemory(sinks[i].memory, arith::AddIOp::create(b, loc, base, first(chunk)), chunk, value);
}

void RowEmitter::emitChunk(Value row, const FeatureChunk &chunk) {
  for (unsigned i = 0; i < sinks.size(); ++i)
    if (!program.isTotal(program.getTerminator()->getOperand(i)))
      storeResult(i, row, chunk);
}

void RowEmitter::emitRow(Value row) {
  startRow();
  accumulateRow(row); // First: a result may lie where an input does (see mayOverwrite), so all
                      // reads of sums come before the stores.
  // Results of one width share their loop, so that what they have in common is computed once.
  llvm::MapVector<int64_t, SmallVector<unsigned>> byWidth;
  for (auto [i, value] : llvm::enumerate(program.getTerminator()->getOperands())) {
    if (program.isTotal(value))
      continue;
    if (cast<RankedTensorType>(value.getType()).getElementType().isInteger(32)) {
      Value integer = getInteger(value, row);
      memref::StoreOp::create(b, loc, integer, sinks[i].memory,
                              ValueRange{rowBase(b, loc, row, sinks[i].firstRow, 1)});
      continue;
    }
    byWidth[program.getFeatures(value)].push_back(i);
  }
  for (auto &[width, results] : byWidth) {
    if (width == 1) {
      for (unsigned i : results)
        storeResult(i, row, FeatureChunk::at(0, 0));
      continue;
    }
    SmallVector<int64_t> cuts;
    int64_t period = 0;
    for (unsigned i : results)
      collectCuts(program.getTerminator()->getOperand(i), 0, 0, width, cuts, period, 0);
    forChunks(width, cuts, period, [&](const FeatureChunk &chunk) {
      for (unsigned i : results)
        storeResult(i, row, chunk);
    });
  }
}

void RowEmitter::emitRowWindow(Value row, Value window, int64_t multipleOf, int64_t last,
                               int64_t count) {
  startRow();
  int64_t high = (window ? last : 0) + count;
  for (int64_t at = 0; at < count; at += lanes) {
    unsigned valid = std::min<int64_t>(lanes, count - at);
    emitChunk(row, window ? FeatureChunk::at(window, multipleOf, at, 0, high, valid)
                          : FeatureChunk::at(at, valid));
  }
}

void RowEmitter::emitRows(Value begin, Value end) {
  auto loop = scf::ForOp::create(b, loc, begin, end, index(1));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(loop.getBody()->getTerminator());
  emitRow(loop.getInductionVar());
}

} // namespace smelt
