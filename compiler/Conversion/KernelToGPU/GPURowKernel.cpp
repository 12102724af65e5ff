//===- GPURowKernel.cpp - A region of row ops as launches -----------------===//
//
// Rows are dealt to threads, warps or blocks by their width. Sums over all rows: each thread adds
// up what it sees, a block adds its threads' sums in order, a second launch adds the blocks'. The
// number of blocks depends on shapes and target alone, so the bits do not depend on the device.
//
//===----------------------------------------------------------------------===//
#include "compiler/Conversion/KernelToGPU/GPURowKernel.h"
#include "compiler/Conversion/KernelToGPU/GPURowSlices.h"
#include "compiler/Conversion/RowOps.h"

using namespace mlir;
using namespace mlir::lm;

namespace smelt {
namespace {

/// How rows (or their slices) meet threads.
struct Shape {
  int64_t threads, group, rowsPerBlock, blocks;
  int64_t together = 0; ///< Blocks of a multiprocessor that registers must allow; 0: any number.
};

Shape chooseShape(const GPURowProgram &program, const GPURowSlices &slices,
                  const GPUTarget &target) {
  // Blocks that keep sums go on from row to row: as many as run at once, whose work is the same.
  bool bounded = !program.getSums().empty();
  auto limit = [&](int64_t blocks, int64_t perMultiprocessor = 8) {
    return bounded ? std::min(blocks, perMultiprocessor * target.multiprocessors) : blocks;
  };
  if (program.isFlat()) {
    int64_t chunks = llvm::divideCeil(program.getWidestRow(), program.getVector());
    int64_t blocks = limit(llvm::divideCeil(chunks, 256));
    return {256, blocks * 256, 1, blocks};
  }
  int64_t width = program.getWidestRow(), rows = program.getRows();
  if (slices.width) {
    // A warp a unit; from row to row not always the same one. Blocks stay, with or without sums: a
    // warp's one unit is too little work for a block of its own.
    int64_t all = llvm::divideCeil(rows * slices.units, 8);
    int64_t blocks = std::min(all, 8 * target.multiprocessors);
    blocks -= blocks < all && blocks * 8 % slices.units == 0;
    return {256, slices.getGroup(), 8, blocks, 8};
  }
  if (width < 32)
    return {128, 1, 128, limit(llvm::divideCeil(rows, 128))};
  if (width <= 2048)
    return {128, 32, 4, limit(llvm::divideCeil(rows, 4), 5), bounded && width <= 768 ? 5 : 0};
  return {256, 256, 1, limit(rows, 4)};
}

/// Where a sum's numbers lie among a block's.
struct SumSlots {
  SmallVector<int64_t> offsets, elements;
  int64_t total = 0;
  explicit SumSlots(const GPURowProgram &program) {
    for (Operation *op : program.getSums()) {
      bool byRow = isa<GroupSumOp>(op);
      offsets.push_back(total);
      elements.push_back(byRow ? 0
                               : tensorOf(op->getResult(op->getNumResults() - 1)).getNumElements());
      total += elements.back();
    }
  }
};

class RowKernel {
public:
  RowKernel(GPUEmission &emission, const GPURowProgram &program, ArrayRef<GPURowBuffer> sources,
            ArrayRef<GPURowBuffer> sinks, StringRef role)
      : emission(emission), program(program), sources(sources), sinks(sinks), role(role),
        slices(program), shape(chooseShape(program, slices, emission.getTarget())), slots(program) {
  }

  void emit() {
    if (slots.total)
      partials = emission.allocateWorkspace(shape.blocks * slots.total * 4);
    for (Operation *op : program.getSums())
      if (isa<GroupSumOp>(op))
        byRow[op] = emission.allocateWorkspace(program.getRows() * 4);
    if (program.hasRowResults() || !program.getSums().empty())
      emitRows();
    if (program.hasTotalResults())
      emitTotals();
  }

private:
  SmallVector<GPURowSource> makeSources(GPUFunction &function) {
    SmallVector<GPURowSource> made;
    for (auto [i, buffer] : llvm::enumerate(sources))
      made.push_back(program.getBlock().getArgument(i).use_empty() ? GPURowSource()
                                                                   : makeSource(function, buffer));
    return made;
  }
  SmallVector<GPURowSink> makeSinks(GPUFunction &function, bool totals) {
    SmallVector<GPURowSink> made;
    for (auto [i, buffer] : llvm::enumerate(sinks))
      made.push_back(program.isTotal(program.getTerminator()->getOperand(i)) == totals
                         ? makeSink(function, buffer)
                         : GPURowSink());
    return made;
  }

  void emitRows() {
    GPUFunction function(emission, role, shape.threads);
    if (shape.together)
      function.getFunction()->setAttr(NVVM::NVVMDialect::getMinctasmAttrName(),
                                      function.builder().getI32IntegerAttr(shape.together));
    ImplicitLocOpBuilder &b = function.builder();
    GPUBuilder g(b);
    Value thread = g.thread(), block = g.block();
    GPURowGroup group;
    group.size = shape.group;
    Value firstRow = block; // A block a row.
    if (program.isFlat()) {
      group.lane = g.add(g.mul(block, shape.threads), thread);
    } else if (shape.group == 1) {
      firstRow = g.add(g.mul(block, shape.rowsPerBlock), thread);
    } else if (shape.group <= 32) {
      group.lane = g.rem(thread, shape.group);
      if (shape.group < 32)
        group.inWarp = g.div(g.rem(thread, 32), shape.group);
      firstRow = g.add(g.mul(block, shape.rowsPerBlock), g.div(thread, 32));
    } else {
      group.lane = thread;
      group.scratch = function.allocateShared(shape.group / 32 * 4);
    }
    SmallVector<GPURowSource> from = makeSources(function);
    SmallVector<GPURowSink> to = makeSinks(function, false);
    GPURowEmitter rows(program, b, group, from, to);
    int64_t items = program.getRows() * slices.units; // Rows, or a unit of one each.
    auto storeSlice = [&](Value item) {
      return rows.storeSlice(slices, g.div(item, slices.units), g.rem(item, slices.units));
    };
    if (program.getSums().empty()) {
      auto body = [&](Value row) {
        if (slices.width) {
          storeSlice(row);
          return;
        }
        rows.startRow();
        rows.storeRow(row);
      };
      if (program.isFlat())
        body(g.integer(0));
      else if (slices.width)
        g.loop(firstRow, g.integer(items), g.integer(shape.blocks * shape.rowsPerBlock), body);
      else
        g.when(g.less(firstRow, items), [&] { body(firstRow); });
      function.finish({shape.blocks, 1, 1});
      return;
    }
    Values sums;
    for (Operation *op : program.getSums())
      for (int64_t i = 0; i < rows.countAccumulators(op); ++i)
        sums.push_back(g.number(0));
    auto addRow = [&](Value row, ValueRange before) {
      Values after;
      if (slices.width) {
        for (Value each : storeSlice(row))
          after.push_back(g.addf(before[after.size()], each));
        return after;
      }
      rows.startRow();
      for (Values &contributions : rows.getContributions(row))
        for (Value each : contributions)
          after.push_back(g.addf(before[after.size()], each));
      for (auto [op, offset] : byRow) {
        Value number = rows.get(op->getOperand(0), row, GPUChunk::at(0))[0];
        Value place = g.offset(function.getWorkspace(offset), g.f32(), row);
        if (group.lane)
          g.when(g.equal(group.lane, 0), [&] { g.store(number, place, 4); });
        else
          g.store(number, place, 4);
      }
      rows.storeRow(row);
      return after;
    };
    if (program.isFlat())
      sums = addRow(g.integer(0), sums);
    else
      sums = g.loop(firstRow, g.integer(items), g.integer(shape.blocks * shape.rowsPerBlock), sums,
                    [&](Value row, ValueRange carried) { return addRow(row, carried); });
    if (slots.total)
      storePartials(function, rows, group, thread, block, sums);
    function.finish({shape.blocks, 1, 1});
  }

  /// The block's sums to the workspace, added in the order of warps.
  void storePartials(GPUFunction &function, GPURowEmitter &rows, const GPURowGroup &group,
                     Value thread, Value block, ArrayRef<Value> sums) {
    GPUBuilder g(function.builder());
    int64_t warps = shape.threads / 32;
    Value lane = g.rem(thread, 32), warp = g.div(thread, 32);
    Value mine = g.offset(function.getWorkspace(partials), g.f32(),
                          g.mul(g.widen(block), g.integer64(slots.total)));
    Value shared = function.allocateShared(warps * slots.total * 4);
    auto slot = [&](Value ofWarp, Value number) {
      return g.offset(shared, g.f32(), g.add(g.mul(ofWarp, slots.total), number));
    };
    bool wholeBlock = !program.isFlat() && shape.group > 32;
    size_t next = 0;
    for (auto [i, op] : llvm::enumerate(program.getSums())) {
      int64_t offset = slots.offsets[i], elements = slots.elements[i];
      for (int64_t j = 0; j < rows.countAccumulators(op); ++j) {
        Value sum = sums[next++];
        if (!isa<GateBackwardOp>(op) || shape.group == 1) { // The same number in every thread.
          Value whole = g.sumOfLanes(sum);
          g.when(g.equal(lane, 0), [&] { g.store(whole, slot(warp, g.integer(offset + j)), 4); });
        } else { // Dealt to the threads of a row.
          Value element = g.add(group.lane, j * group.size);
          g.when(g.less(element, elements), [&] {
            g.store(sum, slot(wholeBlock ? g.integer(0) : warp, g.add(element, offset)), 4);
          });
        }
      }
    }
    g.barrier();
    // Numbers that the threads of a whole block share are there once, the others once a warp.
    g.loop(thread, g.integer(slots.total), g.integer(shape.threads), [&](Value number) {
      Value inOrder = g.load(slot(g.integer(0), number), g.f32(), 4);
      Value once = g.boolean(false);
      if (wholeBlock)
        for (auto [i, op] : llvm::enumerate(program.getSums()))
          if (isa<GateBackwardOp>(op))
            once = g.either(once, g.both(g.atLeast(number, slots.offsets[i]),
                                         g.less(number, slots.offsets[i] + slots.elements[i])));
      for (int64_t w = 1; w < warps; ++w) {
        Value part = g.load(slot(g.integer(w), number), g.f32(), 4);
        inOrder = g.select(once, inOrder, g.addf(inOrder, part));
      }
      g.store(inOrder, g.offset(mine, g.f32(), number), 4);
    });
  }

  /// What is left after all rows: a block a job.
  void emitTotals() {
    int64_t threads = program.getSums().empty() ? 32 : 256;
    GPUFunction function(emission, (role + ": sums").str(), threads);
    GPUBuilder g(function.builder());
    Value thread = g.thread(), block = g.block(), shared = function.allocateShared(8 * 4);
    SmallVector<GPURowSource> from = makeSources(function);
    SmallVector<GPURowSink> to = makeSinks(function, true);
    int64_t blocks = 0;
    auto addJobs = [&](int64_t count, llvm::function_ref<void(Value)> emitJob) {
      Value index = g.add(block, -blocks);
      g.when(g.both(g.atLeast(index, 0), g.less(index, count)), [&] { emitJob(index); });
      blocks += count;
    };
    /// Σ of numbers [first, first + count·stride), for all threads of the block.
    auto add = [&](Value numbers, Value first, int64_t count, int64_t stride) {
      Value mine = g.loop(thread, g.integer(count), g.integer(threads), {g.number(0)},
                          [&](Value at, ValueRange carried) -> Values {
                            Value place = g.add(first, g.mul(at, stride));
                            Value each = g.load(g.offset(numbers, g.f32(), place), g.f32(), 4);
                            return {g.addf(carried[0], each)};
                          })[0];
      mine = g.sumOfLanes(mine);
      g.when(g.equal(g.rem(thread, 32), 0),
             [&] { g.store(mine, g.offset(shared, g.f32(), g.div(thread, 32)), 4); });
      g.barrier();
      Value total;
      for (int64_t w = 0; w < threads / 32; ++w) {
        Value part = g.load(g.offset(shared, g.f32(), g.integer(w)), g.f32(), 4);
        total = total ? g.addf(total, part) : part;
      }
      g.barrier();
      return total;
    };
    Value all = slots.total ? function.getWorkspace(partials) : Value();
    llvm::MapVector<Value, int64_t> scalars; // Sums of rank 0 and their slots.
    for (auto [i, op] : llvm::enumerate(program.getSums())) {
      Value sum = op->getResult(op->getNumResults() - 1);
      int64_t offset = slots.offsets[i];
      bool byRows = isa<GroupSumOp>(op);
      if (!byRows && !isa<GateBackwardOp>(op)) {
        scalars[sum] = offset;
        continue;
      }
      int64_t count = tensorOf(sum).getNumElements(), size = program.getRows() / count;
      addJobs(count, [&](Value number) {
        Value total = byRows ? add(function.getWorkspace(byRow[op]), g.mul(number, size), size, 1)
                             : add(all, g.add(number, offset), shape.blocks, slots.total);
        g.when(g.equal(thread, 0), [&] {
          for (auto [j, result] : llvm::enumerate(program.getTerminator()->getOperands()))
            if (result == sum)
              g.storeNumbers({total}, g.offset(to[j].pointer, to[j].element, number), to[j].element,
                             false);
        });
      });
    }
    addJobs(1, [&](Value) {
      llvm::DenseMap<Value, Value> totals;
      for (auto [sum, offset] : scalars) {
        Value total = add(all, g.integer(offset), shape.blocks, slots.total);
        totals[sum] = sum.getDefiningOp<CountOp>() ? g.maxf(total, g.number(1)) : total;
      }
      g.when(g.equal(thread, 0), [&] {
        GPURowEmitter emitter(program, function.builder(), {}, from, to);
        for (auto [sum, total] : totals)
          emitter.setTotal(sum, total);
        for (auto [i, value] : llvm::enumerate(program.getTerminator()->getOperands()))
          if (program.isTotal(value) && tensorOf(value).getRank() == 0)
            g.storeNumbers({emitter.getUniform(value)}, to[i].pointer, to[i].element, false);
      });
    });
    function.finish({blocks, 1, 1});
  }

  using Values = GPUBuilder::Values;
  GPUEmission &emission;
  const GPURowProgram &program;
  ArrayRef<GPURowBuffer> sources, sinks;
  StringRef role;
  GPURowSlices slices;
  Shape shape;
  SumSlots slots;
  int64_t partials = 0;
  llvm::MapVector<Operation *, int64_t> byRow; ///< Workspace of sums over groups of rows.
};

} // namespace

GPURowBuffer makeRowBuffer(const GPUEmission &emission, const GPURowProgram &program, Value value,
                           Value outer) {
  return {emission.getArgument(outer), 0, tensorOf(value).getElementType(),
          program.getFeatures(value)};
}

GPURowBuffer makeWorkspaceRows(GPUEmission &emission, const GPURowProgram &program, Value value,
                               Type element) {
  int64_t elements = tensorOf(value).getNumElements();
  int64_t offset = emission.allocateWorkspace(elements * (element.getIntOrFloatBitWidth() / 8));
  return {emission.getWorkspaceArgument(), offset, element, program.getFeatures(value)};
}

GPURowSource makeSource(GPUFunction &function, const GPURowBuffer &buffer) {
  return {function.getPointer(buffer.argument, buffer.byteOffset),
          buffer.element,
          buffer.stride,
          std::min<int64_t>(16, function.getEmission().getAlignment(buffer.argument)),
          {}};
}

GPURowSink makeSink(GPUFunction &function, const GPURowBuffer &buffer) {
  return {function.getPointer(buffer.argument, buffer.byteOffset), buffer.element, buffer.stride,
          std::min<int64_t>(16, function.getEmission().getAlignment(buffer.argument))};
}

void emitRowLaunches(GPUEmission &emission, const GPURowProgram &program,
                     ArrayRef<GPURowBuffer> sources, ArrayRef<GPURowBuffer> sinks, StringRef role) {
  RowKernel(emission, program, sources, sinks, role).emit();
}

} // namespace smelt
