//===- EmitHopperGemm.cpp - Persistent, warp-specialised GEMM -------------===//
//
// One block of 384 threads per multiprocessor takes tiles of 128 × 128 in turn. Warp group 0 is the
// producer: one thread copies operand tiles of 128 bytes of k by TMA into a ring of shared memory.
// Warp groups 1 and 2 are consumers in ping-pong: each owns a whole tile, and named barriers order
// their multiplications, so that one stores (and runs the result region) while the other
// multiplies. Measurements and what was tried: tools/bench/RESULTS.md and README.md here.
//
// Parts of k (splits) leave f32 products in the workspace; a second launch adds them in order and
// runs the result region.
//
//===----------------------------------------------------------------------===//
#include "compiler/Conversion/KernelToGPU/EmitKernels.h"
#include "compiler/Conversion/KernelToGPU/Hopper/GemmPlan.h"
#include "compiler/Conversion/KernelToGPU/Hopper/TileStore.h"

using namespace mlir;
using namespace smelt;
using namespace smelt::gpu;

namespace {

/// A tile's place, as values of the running kernel.
struct TileCoordinates {
  Value split, row, column, group;
};

TileCoordinates locate(CodeBuilder &code, const GemmPlan &plan, Value tile) {
  Value split = plan.splits > 1 ? code.div(tile, plan.tiles()) : code.i32(0);
  Value inSplit = plan.splits > 1 ? code.rem(tile, plan.tiles()) : tile;
  int64_t perGroup = plan.tilesM() * plan.tilesN();
  Value group = plan.groups > 1 ? code.div(inSplit, perGroup) : Value();
  Value inGroup = plan.groups > 1 ? code.rem(inSplit, perGroup) : inSplit;
  return {split, code.mul(code.div(inGroup, plan.tilesN()), tileRows),
          code.mul(code.rem(inGroup, plan.tilesN()), tileColumns), group};
}

GPUTensorMap::Element getMapElement(OperandType type) {
  return type == OperandType::BF16 ? GPUTensorMap::Element::BF16 : GPUTensorMap::Element::F8;
}

/// The map of an operand with `rows` rows of the product and k; boxes of one stage, or of a panel
/// of it if MN-major.
GPUTensorMap describeOperand(OperandType type, Major major, int64_t rows, int64_t k,
                             int64_t groups) {
  int64_t bytes = getBytes(type);
  GPUTensorMap map;
  map.element = getMapElement(type);
  map.swizzle = 128;
  if (major == Major::K) {
    map.sizes = {k, rows};
    map.box = {swizzleRow / bytes, tileRows};
  } else {
    map.sizes = {rows, k};
    map.box = {swizzleRow / bytes, 64};
  }
  map.strides = {map.sizes[0] * bytes};
  if (groups > 1) {
    map.sizes.push_back(groups);
    map.strides.push_back(rows * k * bytes);
    map.box.push_back(1);
  }
  return map;
}

/// A bf16 matrix that is loaded or stored in chunks.
GPUTensorMap describeChunks(const GemmPlan &plan, int64_t width) {
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

/// Runs the result region on a tile and stores the outputs; serves the kernel itself and the sum of
/// splits.
class ResultStage {
public:
  ResultStage(CodeBuilder &code, GPUFunction &function, kernel::GemmOp op, const GemmPlan &plan,
              bool mayStage)
      : code(code), plan(plan), region(code, op), mayStage(mayStage) {
    for (auto [i, input] : llvm::enumerate(op.getResultInputs()))
      region.bindInput(i, function.getPointer(input));
    for (const GemmOutput &output : plan.outputs)
      places.push_back(
          mayStage && output.isStaged
              ? function.addTensorMap(output.argument, describeChunks(plan, output.columns.width))
              : function.getPointer(output.argument));
    for (const GemmRange &range : plan.ranges)
      for (unsigned index : mayStage ? range.stagedInputs : std::vector<unsigned>())
        if (!inputMaps.count(index))
          inputMaps[index] =
              function.addTensorMap(function.getEmission().getArgument(op.getResultInputs()[index]),
                                    describeChunks(plan, range.columns.width));
  }

  void begin() { region.evaluateScalars(); }

  /// Before a tile is multiplied: thread 0 starts to load what the region will read. The staging
  /// area was reclaimed.
  void prefetch(const TileCoordinates &tile, StagingArea &staging) {
    for (const GemmRange &range : plan.ranges)
      if (!range.stagedInputs.empty())
        inRange(range, tile, [&] { staging.prefetch(getMaps(range), getPlace(range, tile)); });
  }

  /// The parity of the staging area's next input barrier, after this tile.
  Value advanceParity(const TileCoordinates &tile, Value parity) {
    Value result = parity;
    for (const GemmRange &range : plan.ranges) {
      if (range.stagedInputs.empty())
        continue;
      Value turned = StagingArea::advanceParity(code, parity, range.stagedInputs.size());
      result = isWhole(range) ? turned : code.select(isInside(range, tile), turned, result);
    }
    return result;
  }

  /// `staging` is null where outputs are stored as pairs; `blocks` of 8 columns are done.
  void run(const TileCoordinates &tile, const FragmentThread &thread, CellValue product,
           StagingArea *staging, Value parity, int blocks = 16) {
    for (auto [index, range] : llvm::enumerate(plan.ranges)) {
      // A range before this one may have left stores on their way out of the staging area.
      bool isFree =
          llvm::none_of(ArrayRef(plan.ranges).take_front(index), [&](const GemmRange &before) {
            return before.columns.overlaps(range.columns);
          });
      inRange(range, tile,
              [&] { runRange(range, tile, thread, product, staging, parity, blocks, isFree); });
    }
  }

private:
  bool isWhole(const GemmRange &range) {
    return range.columns.offset == 0 && range.columns.width == plan.n;
  }
  Value isInside(const GemmRange &range, const TileCoordinates &tile) {
    return code.less(code.sub(tile.column, range.columns.offset), range.columns.width);
  }
  void inRange(const GemmRange &range, const TileCoordinates &tile,
               llvm::function_ref<void()> body) {
    if (isWhole(range))
      return body();
    code.ifThen(isInside(range, tile), body);
  }
  StagingArea::Place getPlace(const GemmRange &range, const TileCoordinates &tile) {
    return {code.sub(tile.column, range.columns.offset), tile.row, tile.group};
  }
  SmallVector<Value> getMaps(const GemmRange &range) {
    return llvm::map_to_vector(range.stagedInputs,
                               [&](unsigned index) { return inputMaps.lookup(index); });
  }

  void runRange(const GemmRange &range, const TileCoordinates &tile, const FragmentThread &thread,
                CellValue product, StagingArea *staging, Value parity, int blocks, bool isFree) {
    StagingArea::Place place = getPlace(range, tile);
    Value row = code.add(tile.row, thread.row), pair = code.add(place.column, thread.pair);
    region.beginTile(row, pair, product, tile.group);
    if (!range.stagedInputs.empty() && mayStage) {
      staging->beginInputs(getMaps(range), place, parity);
      for (auto [i, index] : llvm::enumerate(range.stagedInputs))
        region.bindPairs(
            index, [staging, i = unsigned(i)](Cell cell) { return staging->readInput(i, cell); });
    }
    for (unsigned index : range.outputs) {
      const GemmOutput &output = plan.outputs[index];
      auto value = [&](Cell cell) { return region.get(output.tensor, cell); };
      if (mayStage && output.isStaged) {
        staging->store(places[index], place, isFree, value);
        isFree = false;
      } else {
        storePairs(code, getGroup(places[index], output.element, range.columns.width, tile.group),
                   output.element, plan.m, range.columns.width, row, pair, value, blocks);
      }
    }
    region.unbindPairs();
  }

  /// Where a group's rows of an output begin.
  Value getGroup(Value pointer, Type element, int64_t width, Value group) {
    int64_t bytes = element.getIntOrFloatBitWidth() / 8;
    return group ? code.atElement(pointer, group, plan.m * width, code.i32(0), bytes) : pointer;
  }

  CodeBuilder &code;
  const GemmPlan &plan;
  FragmentRegion region;
  bool mayStage;
  SmallVector<Value> places; ///< Tensor maps or pointers, one per output.
  llvm::DenseMap<unsigned, Value> inputMaps;
};

/// The kernel that multiplies.
class HopperGemm {
public:
  HopperGemm(kernel::GemmOp op, GPUEmission &emission, const GemmPlan &plan, int64_t partials)
      : plan(plan), function(emission, "gemm", threads), code(function.builder(), op.getLoc()),
        mapA(function.addTensorMap(
            plan.aArgument, describeOperand(plan.aType, plan.aMajor, plan.m, plan.k, plan.groups))),
        mapB(function.addTensorMap(plan.bArgument, describeOperand(plan.bType, plan.bMajor, plan.n,
                                                                   plan.k, plan.groups))) {
    if (plan.splits == 1)
      result.emplace(code, function, op, plan, /*mayStage=*/plan.stagingChunks > 0);
    else
      partialProducts = function.getWorkspace(partials);
  }

  void emit(int64_t multiprocessors) {
    function.getFunction()->setAttr("nvvm.minctasm", code.builder.getI32IntegerAttr(1));
    int64_t ringOffset = layout.allocate(plan.stages * stageBytes, 1024);
    stagingOffset = layout.allocate(2 * plan.stagingChunks * chunkBytes, 1024);
    int64_t barrierOffset = layout.allocate(8 * (2 * plan.stages + 2), 16);
    shared = code.at(function.getDynamicShared(), ringOffset);
    sharedAddress = LLVM::PtrToIntOp::create(code.builder, code.loc, code.i32Type(), shared);
    barriers.emplace(code, function.getDynamicShared(), barrierOffset);
    ring.emplace(code, *barriers, 0, plan.stages);

    thread = code.threadIndex();
    block = code.blockIndex();
    Value group = code.uniform(code.shiftRight(thread, 7));
    code.ifThen(code.equal(thread, 0), [&] {
      for (int64_t i = 0; i < 2 * plan.stages + 2;
           ++i) // The last two: inputs of the result region, a group each.
        initialiseBarrier(code, barriers->get(i), 1);
      fenceBarriers(code);
    });
    code.barrierAll();
    grid = std::min(plan.tiles() * plan.splits, multiprocessors);
    code.ifElse(
        code.equal(group, 0), [&] { emitProducer(); }, [&] { emitConsumer(code.sub(group, 1)); });
    function.finish({grid, 1, 1}, layout.getBytes());
  }

private:
  static constexpr int64_t threads = 384, stageBytes = 2 * GemmPlan::tileBytes;
  /// Named barriers: 1 and 2 of a consumer group's own threads, 3 and 4 order the groups'
  /// multiplications.
  static constexpr int64_t ownBarrier = 1, turnBarrier = 3;

  void loadOperand(Value map, Major major, Value place, Value barrier, Value row, Value k,
                   Value group) {
    if (major == Major::K) {
      SmallVector<Value> coordinates{k, row};
      if (group)
        coordinates.push_back(group);
      return loadTile(code, map, place, barrier, coordinates);
    }
    for (int64_t panel = 0; panel < 2; ++panel) {
      SmallVector<Value> coordinates{code.add(row, 64 * panel), k};
      if (group)
        coordinates.push_back(group);
      loadTile(code, map, code.at(place, panel * panelBytes), barrier, coordinates);
    }
  }

  void emitProducer() {
    NVVM::SetMaxRegisterOp::create(code.builder, code.loc, 40,
                                   NVVM::SetMaxRegisterAction::decrease);
    Value warp = code.uniform(code.shiftRight(thread, 5));
    code.ifThen(code.equal(warp, 0), [&] {
      code.ifThen(code.elected(), [&] {
        RingPosition start = ring->start(/*producer=*/true);
        code.loop(block, code.i32(plan.tiles() * plan.splits), code.i32(grid),
                  {start.stage, start.parity}, [&](Value tile, ValueRange carried) {
                    return produceTile(tile, {carried[0], carried[1]});
                  });
      });
    });
  }

  SmallVector<Value> produceTile(Value tile, RingPosition start) {
    TileCoordinates place = locate(code, plan, tile);
    Value firstBlock = code.mul(place.split, plan.blocksPerSplit);
    return code.loop(code.i32(0), code.i32(plan.blocksPerSplit), code.i32(1),
                     {start.stage, start.parity},
                     [&](Value step, ValueRange carried) -> SmallVector<Value> {
                       RingPosition at{carried[0], carried[1]};
                       waitBarrier(code, ring->empty(at.stage), at.parity);
                       Value full = ring->full(at.stage);
                       expectBytes(code, full, code.i32(stageBytes));
                       Value k = code.mul(code.add(firstBlock, step), plan.blockK());
                       Value stage = code.at(shared, code.mul(at.stage, stageBytes));
                       loadOperand(mapA, plan.aMajor, stage, full, place.row, k, place.group);
                       loadOperand(mapB, plan.bMajor, code.at(stage, GemmPlan::tileBytes), full,
                                   place.column, k, place.group);
                       RingPosition next = ring->advance(at);
                       return {next.stage, next.parity};
                     });
  }

  /// The multiplications of one stage: 4 steps of 32 bytes of k, 2 blocks of 64 rows.
  SmallVector<Value> multiplyStage(RingPosition at, ValueRange accumulators, bool first) {
    waitBarrier(code, ring->full(at.stage), at.parity);
    Value stage = code.add(sharedAddress, code.mul(at.stage, stageBytes));
    Value a = describeTile(code, stage, plan.aMajor);
    Value b = describeTile(code, code.add(stage, GemmPlan::tileBytes), plan.bMajor);
    Multiply shape{tileColumns, plan.aType, plan.bType, plan.aMajor, plan.bMajor};
    fenceMultiply(code);
    SmallVector<Value> result(accumulators);
    for (int64_t step = 0; step < 4; ++step) {
      Value bStep = code.add(b, step * getStep(plan.bMajor));
      for (int64_t m = 0; m < 2; ++m) {
        Value aStep = code.add(a, step * getStep(plan.aMajor) + m * (panelBytes >> 4));
        result[m] = multiply(code, shape, aStep, bStep, result[m], first && step == 0);
      }
    }
    commitMultiply(code);
    return result;
  }

  void release(Value stage, const FragmentThread &fragment) {
    code.ifThen(fragment.isFirst, [&] { arriveBarrier(code, ring->empty(stage)); });
  }

  void emitConsumer(Value consumer) {
    NVVM::SetMaxRegisterOp::create(code.builder, code.loc, 232,
                                   NVVM::SetMaxRegisterAction::increase);
    FragmentThread fragment = getFragmentThread(code, thread);
    std::optional<StagingArea> staging;
    if (plan.stagingChunks) {
      Value area = code.at(code.at(function.getDynamicShared(), stagingOffset),
                           code.mul(consumer, plan.stagingChunks * chunkBytes));
      staging.emplace(code, area, plan.stagingChunks, code.add(consumer, ownBarrier),
                      barriers->get(2 * plan.stages, consumer), fragment);
    }
    if (result)
      result->begin();
    // Consumer 1 gives consumer 0 the first turn; its own first tile lies one tile further in the
    // ring.
    Value isSecond = code.equal(consumer, 1);
    Value mine = code.add(consumer, turnBarrier),
          other = code.sub(code.i32(turnBarrier + 1), consumer);
    code.ifThen(isSecond, [&] { code.barrierArrive(code.i32(turnBarrier), 256); });
    RingPosition start = ring->start(/*producer=*/false),
                 later = ring->advance(start, plan.blocksPerSplit);
    RingPosition from{code.select(isSecond, later.stage, start.stage),
                      code.select(isSecond, later.parity, start.parity)};
    Value firstTile = code.add(block, code.mul(consumer, grid));
    code.loop(firstTile, code.i32(plan.tiles() * plan.splits), code.i32(2 * grid),
              {from.stage, from.parity, code.i32(0)},
              [&](Value tile, ValueRange carried) -> SmallVector<Value> {
                TileCoordinates place = locate(code, plan, tile);
                if (staging) {
                  staging->reclaim();
                  result->prefetch(place, *staging);
                }
                code.barrier(mine, 256);
                RingPosition end = consumeTile(place, {carried[0], carried[1]}, other, fragment,
                                               staging ? &*staging : nullptr, carried[2]);
                // The other group's tile lies between this one and the next.
                RingPosition next = ring->advance(end, plan.blocksPerSplit);
                return {next.stage, next.parity,
                        result ? result->advanceParity(place, carried[2]) : carried[2]};
              });
    if (staging)
      code.ifThen(fragment.isFirst, [&] { waitStores(code, 0, /*read=*/false); });
  }

  RingPosition consumeTile(const TileCoordinates &place, RingPosition at, Value other,
                           const FragmentThread &fragment, StagingArea *staging,
                           Value inputParity) {
    Value undefined =
        LLVM::UndefOp::create(code.builder, code.loc, getAccumulatorType(code, tileColumns));
    SmallVector<Value> first = multiplyStage(at, {undefined, undefined}, /*first=*/true);
    RingPosition next = ring->advance(at);
    SmallVector<Value> state =
        code.loop(code.i32(1), code.i32(plan.blocksPerSplit), code.i32(1),
                  {next.stage, next.parity, at.stage, first[0], first[1]},
                  [&](Value, ValueRange carried) -> SmallVector<Value> {
                    RingPosition here{carried[0], carried[1]};
                    SmallVector<Value> sums =
                        multiplyStage(here, carried.drop_front(3), /*first=*/false);
                    waitMultiply(code, 1); // The stage before has been read.
                    release(carried[2], fragment);
                    RingPosition following = ring->advance(here);
                    return {following.stage, following.parity, here.stage, sums[0], sums[1]};
                  });
    code.barrierArrive(other, 256);
    waitMultiply(code, 0);
    release(state[2], fragment);
    SmallVector<Value> registers;
    for (int m = 0; m < 2; ++m)
      for (int64_t i = 0; i < tileColumns / 2; ++i)
        registers.push_back(LLVM::ExtractValueOp::create(code.builder, code.loc, state[3 + m],
                                                         ArrayRef<int64_t>{i}));
    auto product = [&](Cell cell) {
      return registers[cell.m * 64 + 4 * cell.n8 + 2 * cell.h + cell.p];
    };
    if (result)
      result->run(place, fragment, product, staging, inputParity);
    else
      storePartial(place, fragment, product);
    return {state[0], state[1]};
  }

  /// An f32 product of a part of k: [splits, groups, m, n] in the workspace.
  void storePartial(const TileCoordinates &place, const FragmentThread &fragment,
                    CellValue product) {
    Value matrix = place.split;
    if (place.group)
      matrix = code.add(code.mul(matrix, plan.groups), place.group);
    Value base = LLVM::GEPOp::create(code.builder, code.loc, partialProducts.getType(),
                                     code.f32Type(), partialProducts,
                                     ArrayRef<LLVM::GEPArg>{code.mul(matrix, plan.m * plan.n)});
    storePairs(code, base, code.f32Type(), plan.m, plan.n, code.add(place.row, fragment.row),
               code.add(place.column, fragment.pair), product);
  }

  const GemmPlan &plan;
  GPUFunction function;
  CodeBuilder code;
  Value mapA, mapB, partialProducts;
  std::optional<ResultStage> result;
  SharedLayout layout;
  std::optional<BarrierArray> barriers;
  std::optional<Ring> ring;
  int64_t stagingOffset = 0, grid = 0;
  Value shared, sharedAddress, thread, block;
};

/// Nothing in the region looks beyond an element's own pair.
bool isElementwise(kernel::GemmOp op) {
  return llvm::none_of(op.getResult().front(),
                       [](Operation &inner) { return isa<lm::RMSNormOp, lm::RopeOp>(inner); });
}

/// Adds the parts in order and runs the result region, a warp group per tile, or per 16 columns of
/// it.
void emitSum(kernel::GemmOp op, GPUEmission &emission, const GemmPlan &plan, int64_t partials) {
  GPUFunction function(emission, "gemm sum of splits", 128);
  CodeBuilder code(function.builder(), op.getLoc());
  Value pointer = function.getWorkspace(partials);
  ResultStage result(code, function, op, plan, /*mayStage=*/false);
  FragmentThread fragment = getFragmentThread(code, code.threadIndex());
  result.begin();
  int blocks = isElementwise(op) ? 2 : 16;
  int64_t pieces = 16 / blocks;
  TileCoordinates place = locate(code, plan, code.div(code.blockIndex(), pieces));
  // The pair of columns moves by whole blocks; the tile, which decides the range, does not.
  fragment.pair =
      code.add(fragment.pair, code.mul(code.rem(code.blockIndex(), pieces), 8 * blocks));
  Value row = code.add(place.row, fragment.row), column = code.add(place.column, fragment.pair);
  auto pair = VectorType::get(2, code.f32Type());
  const int64_t matrixBytes = plan.m * plan.n * 4;
  Value first =
      place.group ? code.atElement(pointer, place.group, plan.m * plan.n, code.i32(0), 4) : pointer;
  SmallVector<Value> sums(Cell::count); // Pairs, loaded when the region asks for them.
  auto load = [&](Cell cell) {
    Value &sum = sums[Cell{cell.m, cell.n8, cell.h, 0}.index()];
    if (!sum) {
      Value r = code.add(row, 64 * cell.m + 8 * cell.h), c = code.add(column, 8 * cell.n8);
      if (plan.m % tileRows)
        r = code.select(code.less(r, plan.m), r, code.i32(plan.m - 1));
      if (plan.n % tileColumns)
        c = code.select(code.less(c, plan.n), c, code.i32(plan.n - 2));
      Value address = code.atElement(first, r, plan.n, c, 4);
      for (int64_t split = 0; split < plan.splits; ++split) {
        Value part = code.load(pair, code.at(address, split * matrixBytes * plan.groups), 8);
        sum = sum ? code.fadd(sum, part) : part;
      }
    }
    return LLVM::ExtractElementOp::create(code.builder, code.loc, sum, code.i32(cell.p))
        .getResult();
  };
  result.run(place, fragment, load, nullptr, Value(), blocks);
  function.finish({plan.tiles() * pieces, 1, 1});
}

} // namespace

std::string smelt::whyNotFastGemm(kernel::GemmOp op, const GPUEmission &emission) {
  return GemmPlan::whyNot(op, emission);
}

LogicalResult smelt::emitFastGemm(kernel::GemmOp op, GPUEmission &emission) {
  GemmPlan plan = GemmPlan::make(op, emission);
  int64_t partials = 0;
  if (plan.splits > 1)
    partials = emission.allocateWorkspace(plan.splits * plan.groups * plan.m * plan.n * 4);
  HopperGemm(op, emission, plan, partials).emit(emission.getTarget().multiprocessors);
  if (plan.splits > 1)
    emitSum(op, emission, plan, partials);
  return success();
}
