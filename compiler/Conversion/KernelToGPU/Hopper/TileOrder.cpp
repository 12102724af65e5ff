//===- TileOrder.cpp - Which tile a block takes next ----------------------===//
#include "compiler/Conversion/KernelToGPU/Hopper/TileOrder.h"

using namespace mlir;
using namespace smelt;
using namespace smelt::gpu;

void TileOrder::allocate(SharedLayout &layout) {
  if (!isSorted())
    return;
  costs = layout.allocate(4 * tiles, 16);
  order = layout.allocate(4 * tiles, 16);
}

Value TileOrder::getUnsorted(CodeBuilder &code, Value position) {
  return descending ? code.sub(code.i32(tiles - 1), position) : position;
}

void TileOrder::prepare(CodeBuilder &code, GPUFunction &function, Value shared,
                        llvm::function_ref<Value(Value)> getCost) {
  function.setPersistent();
  counter = function.allocateCounter();
  if (!isSorted())
    return;
  orderPlace = code.at(shared, order);
  Value costPlace = code.at(shared, costs), thread = code.threadIndex();
  auto word = [&](Value base, Value index) { return code.at(base, code.mul(index, 4)); };
  auto forPositions = [&](llvm::function_ref<void(Value)> body) {
    code.loop(thread, code.i32(tiles), code.i32(function.getThreads()), {},
              [&](Value position, ValueRange) -> SmallVector<Value> {
                body(position);
                return {};
              });
  };
  forPositions([&](Value position) {
    code.store(getCost(getUnsorted(code, position)), word(costPlace, position), 4);
  });
  code.barrierAll();
  int64_t tail = std::max<int64_t>(0, tiles - std::min<int64_t>(longestTail, tiles / 4));
  tail = tail / window * window;
  forPositions([&](Value position) {
    Value isTail = code.atLeast(position, tail);
    Value begin = code.select(isTail, code.i32(tail), code.bitAnd(position, ~(window - 1)));
    Value end = code.select(isTail, code.i32(tiles), code.add(begin, window));
    Value mine = code.load(code.i32Type(), word(costPlace, position), 4);
    SmallVector<Value> place = code.loop(
        begin, end, code.i32(1), {begin}, [&](Value other, ValueRange before) -> SmallVector<Value> {
          Value cost = code.load(code.i32Type(), word(costPlace, other), 4);
          // Longer ones stand before it, and equal ones that stood there already.
          Value least = code.select(code.less(other, position), mine, code.add(mine, 1));
          Value isBefore = code.compare(arith::CmpIPredicate::uge, cost, least);
          return {code.select(isBefore, code.add(before[0], 1), before[0])};
        });
    code.store(getUnsorted(code, position), word(orderPlace, place[0]), 4);
  });
  code.barrierAll();
}

Value TileOrder::takeNext(CodeBuilder &code) {
  Value number = LLVM::AtomicRMWOp::create(code.builder, code.loc, LLVM::AtomicBinOp::add, counter,
                                           code.i32(1), LLVM::AtomicOrdering::monotonic, "device");
  // Every block takes one number too many: with its own index at the start, countItems() in all.
  code.ifThen(code.equal(number, countItems() - 1), [&] { code.store(code.i32(0), counter, 4); });
  return code.add(number, code.gridSize());
}

Value TileOrder::getTile(CodeBuilder &code, Value item) {
  Value position = code.div(item, heads);
  if (!isSorted())
    return getUnsorted(code, position);
  return code.load(code.i32Type(), code.at(orderPlace, code.mul(position, 4)), 4);
}
