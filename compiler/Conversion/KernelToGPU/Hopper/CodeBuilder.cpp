//===- CodeBuilder.cpp - Short names for device code ----------------------===//
#include "compiler/Conversion/KernelToGPU/Hopper/CodeBuilder.h"

using namespace mlir;
using namespace smelt::gpu;

Value CodeBuilder::i32(int64_t value) {
  return arith::ConstantOp::create(builder, loc, builder.getI32IntegerAttr(int32_t(value)));
}

Value CodeBuilder::i64(int64_t value) {
  return arith::ConstantOp::create(builder, loc, builder.getI64IntegerAttr(value));
}

Value CodeBuilder::f32(double value) {
  return arith::ConstantOp::create(builder, loc, builder.getF32FloatAttr(float(value)));
}

Value CodeBuilder::constantLike(Value like, int64_t value) {
  return arith::ConstantOp::create(builder, loc, builder.getIntegerAttr(like.getType(), value));
}

Value CodeBuilder::compare(arith::CmpIPredicate predicate, Value a, Value b) {
  return builder.createOrFold<arith::CmpIOp>(loc, predicate, a, b);
}

Value CodeBuilder::compare(arith::CmpIPredicate predicate, Value a, int64_t b) {
  return compare(predicate, a, constantLike(a, b));
}

Value CodeBuilder::select(Value condition, Value a, Value b) {
  return builder.createOrFold<arith::SelectOp>(loc, condition, a, b);
}

Value CodeBuilder::widen(Value a) {
  return builder.createOrFold<arith::ExtUIOp>(loc, builder.getI64Type(), a);
}

Value CodeBuilder::fadd(Value a, Value b) { return arith::AddFOp::create(builder, loc, a, b); }
Value CodeBuilder::fsub(Value a, Value b) { return arith::SubFOp::create(builder, loc, a, b); }
Value CodeBuilder::fmul(Value a, Value b) { return arith::MulFOp::create(builder, loc, a, b); }
Value CodeBuilder::fneg(Value a) { return arith::NegFOp::create(builder, loc, a); }

Value CodeBuilder::fma(Value a, Value b, Value c) {
  return LLVM::FMAOp::create(builder, loc, a.getType(), a, b, c);
}

Value CodeBuilder::fmax(Value a, Value b) {
  return LLVM::MaxNumOp::create(builder, loc, a.getType(), a, b);
}

Value CodeBuilder::approximate(llvm::StringRef instruction, Value x) {
  std::string code = (instruction + " $0, $1;").str();
  return NVVM::InlinePtxOp::create(builder, loc, TypeRange(f32Type()), ValueRange(x), ValueRange(),
                                   code, Value())
      ->getResult(0);
}

Value CodeBuilder::packBF16(Value low, Value high) {
  auto pair = VectorType::get(2, f32Type());
  Value both = LLVM::UndefOp::create(builder, loc, pair);
  both = LLVM::InsertElementOp::create(builder, loc, both, low, i32(0));
  both = LLVM::InsertElementOp::create(builder, loc, both, high, i32(1));
  auto narrow = VectorType::get(2, builder.getBF16Type());
  Value rounded = arith::TruncFOp::create(builder, loc, narrow, both);
  return LLVM::BitcastOp::create(builder, loc, i32Type(), rounded);
}

SmallVector<Value> CodeBuilder::packPairs(ArrayRef<Value> values) {
  SmallVector<Value> words;
  for (size_t i = 0; i < values.size(); i += 2)
    words.push_back(packBF16(values[i], values[i + 1]));
  return words;
}

std::pair<Value, Value> CodeBuilder::unpackBF16(Value word) {
  auto asFloat = [&](Value bits) -> Value {
    return LLVM::BitcastOp::create(builder, loc, f32Type(), bits);
  };
  return {asFloat(shiftLeft(word, 16)), asFloat(bitAnd(word, -65536))};
}

Value CodeBuilder::shuffleXor(Value x, unsigned mask) {
  return NVVM::ShflOp::create(builder, loc, x.getType(), i32(-1), x, i32(mask), i32(31),
                              NVVM::ShflKind::bfly, UnitAttr());
}

Value CodeBuilder::at(Value pointer, Value bytes) {
  return LLVM::GEPOp::create(builder, loc, pointer.getType(), builder.getI8Type(), pointer,
                             ArrayRef<LLVM::GEPArg>{bytes});
}

Value CodeBuilder::at(Value pointer, int64_t bytes) {
  if (!bytes)
    return pointer;
  if (bytes == int32_t(bytes))
    return LLVM::GEPOp::create(builder, loc, pointer.getType(), builder.getI8Type(), pointer,
                               ArrayRef<LLVM::GEPArg>{LLVM::GEPArg(int32_t(bytes))});
  return at(pointer, i64(bytes));
}

Value CodeBuilder::atElement(Value matrix, Value row, int64_t columns, Value column,
                             int64_t elementBytes) {
  Value index = add(mul(widen(row), columns), widen(column));
  return at(matrix, mul(index, elementBytes));
}

Value CodeBuilder::load(Type type, Value pointer, unsigned alignment) {
  return LLVM::LoadOp::create(builder, loc, type, pointer, alignment);
}

void CodeBuilder::store(Value value, Value pointer, unsigned alignment) {
  LLVM::StoreOp::create(builder, loc, value, pointer, alignment);
}

void CodeBuilder::ifThen(Value condition, llvm::function_ref<void()> then) {
  auto op = scf::IfOp::create(builder, loc, condition, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(op.thenBlock());
  then();
}

void CodeBuilder::ifElse(Value condition, llvm::function_ref<void()> then,
                         llvm::function_ref<void()> otherwise) {
  auto op = scf::IfOp::create(builder, loc, condition, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(op.thenBlock());
  then();
  builder.setInsertionPointToStart(op.elseBlock());
  otherwise();
}

SmallVector<Value> CodeBuilder::choose(Value condition, unsigned count,
                                       llvm::function_ref<SmallVector<Value>()> then,
                                       llvm::function_ref<SmallVector<Value>()> otherwise) {
  SmallVector<Type> types(count, i32Type());
  auto op = scf::IfOp::create(builder, loc, types, condition, /*addThenBlock=*/true,
                              /*addElseBlock=*/true);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(op.thenBlock());
  scf::YieldOp::create(builder, loc, then());
  builder.setInsertionPointToStart(op.elseBlock());
  scf::YieldOp::create(builder, loc, otherwise());
  return SmallVector<Value>(op.getResults());
}

SmallVector<Value>
CodeBuilder::loop(Value first, Value end, Value step, ValueRange carried,
                  llvm::function_ref<SmallVector<Value>(Value, ValueRange)> body) {
  auto op = scf::ForOp::create(builder, loc, first, end, step, carried);
  op.setUnsignedCmp(true);
  OpBuilder::InsertionGuard guard(builder);
  Block *block = op.getBody();
  // Without carried values the builder made the terminator already.
  if (carried.empty()) {
    builder.setInsertionPoint(block->getTerminator());
    body(op.getInductionVar(), {});
  } else {
    builder.setInsertionPointToEnd(block);
    scf::YieldOp::create(builder, loc, body(op.getInductionVar(), op.getRegionIterArgs()));
  }
  return SmallVector<Value>(op.getResults());
}

SmallVector<Value> CodeBuilder::loopWhile(
    ValueRange carried,
    llvm::function_ref<std::pair<Value, SmallVector<Value>>(ValueRange)> condition,
    llvm::function_ref<SmallVector<Value>(ValueRange)> body) {
  OpBuilder::InsertionGuard guard(builder);
  OperationState state(loc, scf::WhileOp::getOperationName());
  state.addOperands(carried);
  Region *before = state.addRegion(), *after = state.addRegion();
  auto addBlock = [&](Region *region, TypeRange types) {
    Block *block = new Block;
    region->push_back(block);
    block->addArguments(types, SmallVector<Location>(types.size(), loc));
    builder.setInsertionPointToEnd(block);
    return block;
  };
  OpBuilder::InsertPoint here = builder.saveInsertionPoint();
  Block *test = addBlock(before, carried.getTypes());
  auto [holds, passed] = condition(test->getArguments());
  scf::ConditionOp::create(builder, loc, holds, passed);
  Block *step = addBlock(after, ValueRange(passed).getTypes());
  scf::YieldOp::create(builder, loc, body(step->getArguments()));
  builder.restoreInsertionPoint(here);
  state.addTypes(ValueRange(passed).getTypes());
  return SmallVector<Value>(builder.create(state)->getResults());
}

Value CodeBuilder::threadIndex() { return NVVM::ThreadIdXOp::create(builder, loc, i32Type()); }
Value CodeBuilder::blockIndex() { return NVVM::BlockIdXOp::create(builder, loc, i32Type()); }
Value CodeBuilder::gridSize() { return NVVM::GridDimXOp::create(builder, loc, i32Type()); }

Value CodeBuilder::uniform(Value x) {
  return NVVM::ShflOp::create(builder, loc, x.getType(), i32(-1), x, i32(0), i32(31),
                              NVVM::ShflKind::idx, UnitAttr());
}

Value CodeBuilder::elected() { return NVVM::ElectSyncOp::create(builder, loc, i1(), Value()); }

void CodeBuilder::syncWarp() { NVVM::SyncWarpOp::create(builder, loc, i32(-1)); }

void CodeBuilder::barrier(Value id, int64_t threads) {
  NVVM::BarrierOp::create(builder, loc, Type(), id, i32(threads), NVVM::BarrierReductionAttr(),
                          Value());
}

void CodeBuilder::barrierArrive(Value id, int64_t threads) {
  NVVM::BarrierArriveOp::create(builder, loc, id, i32(threads));
}

void CodeBuilder::barrierAll() { NVVM::BarrierOp::create(builder, loc); }
