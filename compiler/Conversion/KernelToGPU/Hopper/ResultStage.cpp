//===- ResultStage.cpp - From a tile of a product to outputs --------------===//
#include "compiler/Conversion/KernelToGPU/Hopper/ResultStage.h"

using namespace mlir;
using namespace smelt;
using namespace smelt::gpu;

/// Row and column of tile number `tile` among those on and above the diagonal. Row r of T has T −
/// r: rows r and T − 1 − r together T + 1; where T is odd, row 0 and then rows r and T − r together
/// T.
static std::pair<Value, Value> locateSymmetric(CodeBuilder &code, int64_t count, Value tile) {
  bool isOdd = count % 2;
  int64_t together = isOdd ? count : count + 1;
  Value upper = code.div(tile, together), place = code.rem(tile, together);
  Value isUpper = code.less(code.add(place, upper), count);
  Value lower = code.sub(code.i32(isOdd ? count : count - 1), upper);
  return {code.select(isUpper, upper, lower),
          code.select(isUpper, code.add(place, upper), isOdd ? place : code.sub(place, 1))};
}

TileCoordinates smelt::gpu::locateTile(CodeBuilder &code, const GemmPlan &plan, Value tile) {
  Value split = plan.splits > 1 ? code.div(tile, plan.tiles()) : code.i32(0);
  Value inSplit = plan.splits > 1 ? code.rem(tile, plan.tiles()) : tile;
  Value group = plan.groups > 1 ? code.div(inSplit, plan.tilesOfMatrix()) : Value();
  Value inGroup = plan.groups > 1 ? code.rem(inSplit, plan.tilesOfMatrix()) : inSplit;
  auto [row, column] = plan.isSymmetric ? locateSymmetric(code, plan.tilesM(), inGroup)
                                        : std::pair(code.div(inGroup, plan.tilesN()),
                                                    code.rem(inGroup, plan.tilesN()));
  return {split, code.mul(row, tileRows), code.mul(column, tileColumns), group};
}

/// A bf16 matrix that is loaded or stored in chunks.
static GPUTensorMap describeChunks(const GemmPlan &plan, int64_t width) {
  GPUTensorMap map;
  map.sizes = {width, plan.m};
  map.strides = {width * 2};
  map.box = {64, 64};
  map.swizzle = 128;
  if (plan.groups > 1) {
    map.sizes.push_back(plan.groups);
    map.strides.push_back(plan.m * width * 2);
    map.box.push_back(1);
  }
  return map;
}

ResultStage::ResultStage(CodeBuilder &code, GPUFunction &function, kernel::GemmOp op,
                         const GemmPlan &plan, bool mayStage)
    : code(code), plan(plan), region(code, op), mayStage(mayStage) {
  for (auto [i, input] : llvm::enumerate(op.getResultInputs()))
    region.bindInput(i, function.getPointer(input));
  for (const GemmOutput &output : plan.outputs)
    places.push_back(
        mayStage && output.isStaged
            ? function.addTensorMap(output.argument, describeChunks(plan, output.columns.width))
            : function.getPointer(output.argument));
  if (!mayStage)
    return;
  for (const GemmRange &range : plan.ranges)
    for (const StagedInput &input : range.stagedInputs)
      if (!inputMaps.count(input.index))
        inputMaps[input.index] = function.addTensorMap(
            function.getEmission().getArgument(op.getResultInputs()[input.index]),
            describeChunks(plan, input.tableColumns ? input.tableColumns : input.columns.width));
}

void ResultStage::prefetch(const TileCoordinates &tile, StagingArea &staging) {
  for (const GemmRange &range : plan.ranges)
    if (!range.stagedInputs.empty())
      inRange(range, tile, [&] { staging.prefetch(getInputs(range, tile)); });
}

Value ResultStage::advanceParity(const TileCoordinates &tile, Value parity) {
  Value result = parity, turned = code.bitXor(parity, 1);
  for (const GemmRange &range : plan.ranges)
    if (!range.stagedInputs.empty() && getInputs(range, tile).countPasses() == 1)
      result = isWhole(range) ? turned : code.select(isInside(range, tile), turned, result);
  return result;
}

void ResultStage::storeBeside(const TileCoordinates &tile, const FragmentThread &thread,
                              TileExtent extent) {
  region.storeBeside(findBeside(plan.outputs, places), code.add(tile.row, thread.row),
                     code.add(tile.column, thread.pair), tile.group, extent.rowBlocks);
}

void ResultStage::run(const TileCoordinates &tile, const FragmentThread &thread, CellValue product,
                      StagingArea *staging, Value parity, TileExtent extent) {
  for (const GemmRange &range : plan.ranges)
    inRange(range, tile, [&] { runRange(range, tile, thread, product, staging, parity, extent); });
}

Value ResultStage::isInside(const GemmRange &range, const TileCoordinates &tile) {
  return code.less(code.sub(tile.column, range.columns.offset), range.columns.width);
}

void ResultStage::inRange(const GemmRange &range, const TileCoordinates &tile,
                          llvm::function_ref<void()> body) {
  if (isWhole(range))
    return body();
  code.ifThen(isInside(range, tile), body);
}

StagingArea::Place ResultStage::getPlace(const ColumnRange &columns, const TileCoordinates &tile) {
  return {code.sub(tile.column, columns.offset), tile.row, tile.group};
}

StagingArea::Inputs ResultStage::getInputs(const GemmRange &range, const TileCoordinates &tile) {
  StagingArea::Inputs result;
  result.isBeside = range.isInputBeside;
  for (const StagedInput &input : range.stagedInputs) {
    StagingArea::Input &next = result.list.emplace_back(
        StagingArea::Input{inputMaps.lookup(input.index), getPlace(input.columns, tile)});
    // A head's table: cosines, then sines, for every head.
    if (input.tableColumns) {
      next.place.column = code.i32(0);
      next.chunkColumns = input.tableColumns == tileColumns ? 64 : 0;
    }
  }
  return result;
}

void ResultStage::runRange(const GemmRange &range, const TileCoordinates &tile,
                           const FragmentThread &thread, CellValue product, StagingArea *staging,
                           Value parity, TileExtent extent) {
  if (!range.stagedInputs.empty() && mayStage) {
    staging->beginInputs(getInputs(range, tile), parity);
    for (auto [i, input] : llvm::enumerate(range.stagedInputs))
      region.bindPairs(input.index, [staging, i = unsigned(i)](Cell cell) {
        return staging->readInput(i, cell);
      });
  }
  Value row = code.add(tile.row, thread.row);
  SmallVector<StagingArea::Output> staged;
  std::optional<ColumnRange> current; // Values are kept among outputs of the same columns.
  // Numbers of rows and heads come first: what they are made of is stored over later.
  StagingArea::Before before = {};
  SmallVector<unsigned> numbers;
  auto storeNumbers = [&](int first, int end) {
    for (unsigned index : numbers) {
      const GemmOutput &output = plan.outputs[index];
      auto dot = output.tensor.getDefiningOp<lm::RowDotOp>();
      Value pair = code.add(getPlace(output.columns, tile).column, thread.pair);
      if (current != output.columns)
        region.beginTile(row, pair, product, tile.group);
      current = output.columns;
      storeHeadNumbers(code, places[index], plan.m, output.heads,
                       output.columns.width / output.heads, row, pair, first, end,
                       [&](Cell cell) { return region.getHeadSum(dot, cell); });
    }
  };
  for (unsigned index : range.outputs)
    if (const GemmOutput &output = plan.outputs[index]; output.heads) {
      numbers.push_back(index);
      before.run = storeNumbers;
      for (const StagedInput &input : range.stagedInputs)
        before.readsInputs |= llvm::is_contained(output.inputs, input.index);
    }
  if (!mayStage ||
      llvm::none_of(range.outputs, [&](unsigned i) { return plan.outputs[i].isStaged; }))
    storeNumbers(0, extent.rowBlocks);
  for (unsigned index : range.outputs) {
    const GemmOutput &output = plan.outputs[index];
    if (output.heads)
      continue;
    StagingArea::Place place = getPlace(output.columns, tile);
    Value pair = code.add(place.column, thread.pair);
    auto begin = [&, row, pair] {
      if (current != output.columns)
        region.beginTile(row, pair, product, tile.group);
      current = output.columns;
    };
    auto value = [this, &output](Cell cell) { return region.get(output.tensor, cell); };
    if (mayStage && output.isStaged) {
      unsigned reads = 0;
      for (auto [i, input] : llvm::enumerate(range.stagedInputs))
        reads |= unsigned(llvm::is_contained(output.inputs, input.index)) << i;
      staged.push_back({places[index], place, begin, value, reads});
      if (plan.isSymmetric)
        staged.back().isMirrored = code.compare(arith::CmpIPredicate::ne, tile.row, tile.column);
    } else {
      begin();
      storePairs(code, getGroup(places[index], output.element, output.columns.width, tile.group),
                 output.element, plan.m, output.columns.width, row, pair, value, extent);
    }
  }
  if (!staged.empty())
    staging->store(staged, before);
  region.unbindPairs();
}

Value ResultStage::getGroup(Value pointer, Type element, int64_t width, Value group) {
  int64_t bytes = element.getIntOrFloatBitWidth() / 8;
  return group ? code.atElement(pointer, group, plan.m * width, code.i32(0), bytes) : pointer;
}
