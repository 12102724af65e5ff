//===- WarpOperand.cpp - A GEMM operand for mma.sync ----------------------===//
#include "compiler/Conversion/KernelToGPU/Ampere/WarpOperand.h"
#include "compiler/Conversion/KernelToGPU/GPURegion.h"
#include "compiler/Conversion/KernelToGPU/PlainProduct.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace smelt;
using namespace smelt::gpu;

/// What tensor cores multiply exactly, as bf16.
static bool isNarrow(Value tensor) {
  Type element = cast<RankedTensorType>(tensor.getType()).getElementType();
  return element.isBF16() || isa<Float8E4M3FNType, Float8E5M2Type>(element);
}

static Value getYielded(kernel::GemmOp op, unsigned index) {
  return cast<kernel::YieldOp>(op->getRegion(index).front().getTerminator()).getValues()[0];
}

std::string WarpOperand::whyNot(kernel::GemmOp op, unsigned index) {
  std::string name = index == 0 ? "operand a " : "operand b ";
  if (!isNarrow(getYielded(op, index)) && !isNarrow(getExactOperand(op, index)))
    return name + "is neither bf16 nor fp8";
  GPUOperandRegion region(cast<kernel::KernelOpInterface>(op.getOperation()), index);
  std::string reason = region.whyNot();
  return reason.empty() ? "" : name + reason;
}

/// Rows of what the region yields as bf16, two elements a thread.
static void emitCopy(kernel::GemmOp op, unsigned index, GPUEmission &emission,
                     const WarpOperand &to) {
  GPUOperandRegion region(cast<kernel::KernelOpInterface>(op.getOperation()), index);
  region.prepare(emission);
  constexpr int64_t threads = 256;
  GPUFunction function(emission, index == 0 ? "operand a as bf16" : "operand b as bf16", threads);
  CodeBuilder code(function.builder(), op.getLoc());
  region.bind(function);
  Value pointer = function.getWorkspace(to.byteOffset);
  int64_t perRow = llvm::divideCeil(to.width, 2), total = perRow * to.rows * op.getGroups();
  Value item = code.add(code.mul(code.blockIndex(), threads), code.threadIndex());
  code.ifThen(code.less(item, total), [&] {
    Value row = code.div(item, perRow), column = code.mul(code.rem(item, perRow), 2);
    region.start();
    auto get = [&](Value feature, unsigned count) {
      return region.get(row, GPUChunk::at(feature, 0, to.width, count));
    };
    SmallVector<Value> pair;
    if (to.width % 2 == 0 && region.getVector() % 2 == 0) {
      pair = get(column, 2);
    } else {
      Value next = code.add(column, 1);
      next = code.select(code.less(next, to.width), next, column);
      pair = {get(column, 1)[0], get(next, 1)[0]};
    }
    code.store(code.packBF16(pair[0], pair[1]),
               code.atElement(pointer, row, to.pitch, code.mul(column, 2), 1), 4);
  });
  function.finish({int64_t(llvm::divideCeil(total, threads)), 1, 1});
}

WarpOperand WarpOperand::make(kernel::GemmOp op, unsigned index, GPUEmission &emission) {
  WarpOperand operand;
  operand.transposed = index == 0 ? op.getTransposeA() : !op.getTransposeB();
  int64_t outer = index == 0 ? op.getM() : op.getN();
  operand.rows = operand.transposed ? op.getK() : outer;
  operand.width = operand.transposed ? outer : op.getK();
  operand.pitch = 2 * operand.width;
  Value stored = findStoredOperand(op, index);
  if (stored && cast<RankedTensorType>(stored.getType()).getElementType().isBF16() &&
      operand.pitch % 16 == 0 && emission.getAlignment(emission.getArgument(stored)) % 16 == 0) {
    operand.argument = emission.getArgument(stored);
    return operand;
  }
  operand.pitch = llvm::alignTo(operand.pitch, 16);
  operand.argument = emission.getWorkspaceArgument();
  operand.byteOffset = emission.allocateWorkspace(operand.pitch * operand.rows * op.getGroups());
  emitCopy(op, index, emission, operand);
  return operand;
}

//===----------------------------------------------------------------------===//
// Copies to shared memory
//===----------------------------------------------------------------------===//

static constexpr int64_t threads = 128, copies = WarpOperandLoader::bytes / 16 / threads;

WarpOperandLoader::WarpOperandLoader(CodeBuilder &code, GPUFunction &function,
                                     const WarpOperand &operand)
    : code(code), operand(operand),
      pointer(function.getPointer(operand.argument, operand.byteOffset)) {}

void WarpOperandLoader::begin(Value thread, Value place, Value group) {
  SharedTile tile = getTile(operand);
  int64_t pieces = tile.rowBytes / 16, linesApart = threads / pieces;
  line = code.div(thread, pieces);
  piece = code.rem(thread, pieces);
  destination = tile.getPlace(code, line, piece);
  Value base = pointer;
  if (group)
    base = code.atElement(base, group, operand.rows, code.i32(0), operand.pitch);
  // What lies outside of the product is read from its edge, and multiplied for nothing.
  auto clamp = [&](Value x, int64_t size, int64_t step) {
    return size % outer ? code.select(code.less(x, size), x, code.i32((size - 1) / step * step))
                        : x;
  };
  if (operand.transposed) {
    Value column = clamp(code.add(place, code.mul(piece, 8)), operand.width, 8);
    Value first = code.atElement(base, line, operand.pitch, code.mul(column, 2), 1);
    for (int64_t i = 0; i < copies; ++i)
      sources.push_back(code.at(first, i * linesApart * operand.pitch));
    return;
  }
  for (int64_t i = 0; i < copies; ++i) {
    Value row = clamp(code.add(code.add(place, line), i * linesApart), operand.rows, 1);
    if (i == 0 || operand.rows % outer)
      sources.push_back(code.atElement(base, row, operand.pitch, code.mul(piece, 16), 1));
    else
      sources.push_back(code.at(sources[0], i * linesApart * operand.pitch));
  }
}

void WarpOperandLoader::load(Value shared, Value k) {
  SharedTile tile = getTile(operand);
  int64_t linesApart = threads / (tile.rowBytes / 16);
  // How far k moves the sources, and how many of the 16 bytes there are.
  Value moved = code.mul(
      arith::ExtUIOp::create(code.builder, code.loc, code.builder.getI64Type(), k).getResult(),
      operand.transposed ? operand.pitch : 2);
  int64_t size = operand.transposed ? operand.rows : operand.width;
  bool isRagged = size % depth;
  Value rest;
  if (isRagged && !operand.transposed) {
    rest = code.sub(code.i32(2 * size), code.add(code.mul(k, 2), code.mul(piece, 16)));
    rest = arith::MaxSIOp::create(code.builder, code.loc, rest, code.i32(0));
    rest = arith::MinSIOp::create(code.builder, code.loc, rest, code.i32(16));
  }
  for (int64_t i = 0; i < copies; ++i) {
    if (isRagged && operand.transposed)
      rest = code.select(code.less(code.add(code.add(k, line), i * linesApart), size), code.i32(16),
                         code.i32(0));
    Value source = code.at(sources[i], moved);
    if (rest)
      source = code.select(code.equal(rest, 0), pointer, source);
    copyAsync(code, code.at(shared, code.add(destination, i * linesApart * tile.rowBytes)), source,
              rest);
  }
}
