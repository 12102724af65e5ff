//===- OperandCopy.cpp - GEMM operands as wgmma wants them ----------------===//
#include "compiler/Conversion/KernelToGPU/Hopper/OperandCopy.h"
#include "compiler/Conversion/KernelToGPU/GPURegion.h"
#include "compiler/Conversion/KernelToGPU/Hopper/ByteTranspose.h"
#include "compiler/Conversion/KernelToGPU/Hopper/SkipCasts.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace smelt;
using namespace smelt::gpu;

GPUTensorMap KMajorOperand::describe(int64_t boxRows) const {
  GPUTensorMap map;
  map.element = type == OperandType::BF16 ? GPUTensorMap::Element::BF16 : GPUTensorMap::Element::F8;
  map.sizes = {depth, rows};
  map.strides = {pitch};
  map.box = {swizzleRow / getBytes(type), boxRows};
  map.swizzle = 128;
  return map;
}

static Value getYielded(kernel::GemmOp op, unsigned index) {
  return cast<kernel::YieldOp>(op->getRegion(index).front().getTerminator()).getValues()[0];
}

static OperandType typeOf(Type element) {
  return isa<Float8E4M3FNType>(element) ? OperandType::E4M3
         : isa<Float8E5M2Type>(element) ? OperandType::E5M2
                                        : OperandType::BF16;
}

OperandType smelt::gpu::getMultipliedType(kernel::GemmOp op, unsigned index) {
  return typeOf(cast<RankedTensorType>(getYielded(op, index).getType()).getElementType());
}

static bool isKMajor(kernel::GemmOp op, unsigned index) {
  return index == 0 ? !op.getTransposeA() : op.getTransposeB();
}

/// The kernel's operand that region `index` passes on with its exact value; null if it computes.
static Value getStored(kernel::GemmOp op, unsigned index) {
  auto argument = dyn_cast<BlockArgument>(skipCasts(getYielded(op, index)));
  if (!argument)
    return {};
  Value operand = (index == 0 ? op.getAInputs() : op.getBInputs())[argument.getArgNumber()];
  Type element = cast<RankedTensorType>(operand.getType()).getElementType();
  bool isNarrow = element.isBF16() || typeOf(element) != OperandType::BF16;
  return isNarrow && typeOf(element) == smelt::gpu::getMultipliedType(op, index) ? operand
                                                                                 : Value();
}

/// The stored operand, if it lies as wgmma wants it.
static Value getInPlace(kernel::GemmOp op, unsigned index, const GPUEmission &emission) {
  Value operand = getStored(op, index);
  if (!operand || !isKMajor(op, index))
    return {};
  auto type = cast<RankedTensorType>(operand.getType());
  bool isAligned = op.getK() * type.getElementTypeBitWidth() / 8 % 16 == 0 &&
                   emission.getAlignment(emission.getArgument(operand)) % 16 == 0;
  return isAligned ? operand : Value();
}

std::optional<uint32_t> smelt::gpu::findRowsOfK(kernel::GemmOp op, unsigned index,
                                                const GPUEmission &emission) {
  Value operand = getStored(op, index);
  if (!operand || isKMajor(op, index) ||
      smelt::gpu::getMultipliedType(op, index) == OperandType::BF16)
    return std::nullopt;
  auto type = cast<RankedTensorType>(operand.getType());
  uint32_t argument = emission.getArgument(operand);
  if (type.getRank() != 2 || type.getDimSize(1) % 16 || op.getK() % 16 ||
      emission.getAlignment(argument) % 16)
    return std::nullopt;
  return argument;
}

std::string smelt::gpu::whyNotKMajor(kernel::GemmOp op, unsigned index,
                                     const GPUEmission &emission) {
  if (op.getGroups() != 1)
    return "it is a product of groups";
  if (getInPlace(op, index, emission))
    return "";
  std::string name = index == 0 ? "operand a " : "operand b ";
  GPUOperandRegion region(cast<kernel::KernelOpInterface>(op.getOperation()), index);
  if (std::string reason = region.whyNot(); !reason.empty())
    return name + reason;
  if (isKMajor(op, index))
    return "";
  if (smelt::gpu::getMultipliedType(op, index) == OperandType::BF16)
    return name + "is bf16 and not K-major";
  return region.getFeatures() % 4 ? name + "has rows of no multiple of 4 to transpose" : "";
}

namespace {

/// Loads words of four elements of what a region yields, narrowed.
class WordSource {
public:
  WordSource(kernel::GemmOp op, unsigned index, GPUEmission &emission, OperandType type)
      : region(cast<kernel::KernelOpInterface>(op.getOperation()), index), type(type),
        stored(getStored(op, index)) {
    if (stored && (emission.getAlignment(emission.getArgument(stored)) % 4 ||
                   region.getFeatures() % 4 || type == OperandType::BF16))
      stored = Value();
    if (!stored)
      region.prepare(emission);
  }

  void bind(GPUFunction &function) {
    if (stored)
      pointer = function.getPointer(stored);
    else
      region.bind(function);
  }

  int64_t getFeatures() const { return region.getFeatures(); }
  int64_t getRows() const { return region.getRows(); }

  /// Elements `feature` … + 3 of a row; the row has a multiple of 4.
  SmallVector<Value> loadNumbers(Value row, Value feature) {
    region.start();
    if (region.getVector() == 4)
      return region.get(row, GPUChunk::at(feature, 0, getFeatures(), 4));
    SmallVector<Value> numbers;
    for (int64_t i = 0; i < 4; ++i)
      numbers.push_back(
          region.get(row, GPUChunk::at(i ? add(feature, i) : feature, 0, getFeatures()))[0]);
    return numbers;
  }
  Value loadOne(Value row, Value feature) {
    region.start();
    return region.get(row, GPUChunk::at(feature, 0, getFeatures()))[0];
  }
  /// The same as f8.
  Value loadWord(CodeBuilder &code, Value row, Value feature) {
    if (stored)
      return code.load(code.i32Type(), code.atElement(pointer, row, getFeatures(), feature, 1), 4);
    builder = &code;
    return packF8(code, type, loadNumbers(row, feature));
  }
  void use(CodeBuilder &code) { builder = &code; }

private:
  Value add(Value x, int64_t y) { return builder->add(x, y); }

  GPUOperandRegion region;
  OperandType type;
  Value stored, pointer;
  CodeBuilder *builder = nullptr;
};

constexpr int64_t copyThreads = 256;

/// Row by row, four elements a thread.
void emitCopy(WordSource &source, GPUEmission &emission, Location loc, const KMajorOperand &to) {
  GPUFunction function(emission, "narrow operand", copyThreads);
  CodeBuilder code(function.builder(), loc);
  source.use(code);
  Value pointer = function.getWorkspace(to.byteOffset);
  source.bind(function);
  int64_t bytes = getBytes(to.type), each = to.depth % 4 ? 1 : 4, perRow = to.depth / each;
  int64_t total = perRow * to.rows;
  Value index = code.add(code.mul(code.blockIndex(), copyThreads), code.threadIndex());
  code.ifThen(code.less(index, total), [&] {
    Value row = code.div(index, perRow), feature = code.mul(code.rem(index, perRow), each);
    Value address = code.atElement(pointer, row, to.pitch, code.mul(feature, bytes), 1);
    if (each == 1) {
      Value number = source.loadOne(row, feature), zero = code.f32(0);
      Value word = to.type == OperandType::BF16 ? code.packBF16(number, zero)
                                                : packF8(code, to.type, {number, zero, zero, zero});
      Type element = code.builder.getIntegerType(unsigned(8 * bytes));
      return code.store(arith::TruncIOp::create(code.builder, code.loc, element, word), address,
                        unsigned(bytes));
    }
    if (to.type != OperandType::BF16)
      return code.store(source.loadWord(code, row, feature), address, 4);
    SmallVector<Value> numbers = source.loadNumbers(row, feature);
    code.store(code.packBF16(numbers[0], numbers[1]), address, 4);
    code.store(code.packBF16(numbers[2], numbers[3]), code.at(address, 4), 4);
  });
  function.finish({int64_t(llvm::divideCeil(total, copyThreads)), 1, 1});
}

/// A tile a block; the source has rows of k.
void emitTransposedCopy(WordSource &source, GPUEmission &emission, Location loc,
                        const KMajorOperand &to) {
  GPUFunction function(emission, "transpose operand", ByteTransposer::threads);
  CodeBuilder code(function.builder(), loc);
  source.use(code);
  Value pointer = function.getWorkspace(to.byteOffset);
  source.bind(function);
  ByteTransposer transposer(code, code.threadIndex(),
                            function.allocateShared(ByteTransposer::sharedBytes));
  constexpr int64_t tile = ByteTransposer::tile;
  int64_t tilesX = (int64_t)llvm::divideCeil(to.rows, tile),
          tilesY = llvm::divideCeil(to.depth, tile);
  Value block = code.blockIndex();
  Value firstRow = code.mul(code.div(block, tilesX), tile),
        firstColumn = code.mul(code.rem(block, tilesX), tile);
  Value column = code.add(firstColumn, transposer.getColumn());
  if (to.rows % tile)
    column = code.select(code.less(column, to.rows), column, code.i32(to.rows - 4));
  std::array<std::array<Value, 4>, ByteTransposer::pieces> words;
  for (int64_t i = 0; i < ByteTransposer::pieces; ++i)
    for (int64_t r = 0; r < 4; ++r) {
      Value row = code.add(firstRow, code.add(transposer.getRow(i), r));
      if (to.depth % tile)
        row = code.select(code.less(row, to.depth), row, code.i32(to.depth - 1));
      words[i][r] = source.loadWord(code, row, column);
    }
  for (int64_t i = 0; i < ByteTransposer::pieces; ++i)
    transposer.put(i, words[i]);
  code.barrierAll();
  transposer.store(pointer, to.pitch, firstRow, firstColumn, to.depth, to.rows);
  function.finish({tilesX * tilesY, 1, 1});
}

} // namespace

KMajorOperand smelt::gpu::makeKMajor(kernel::GemmOp op, unsigned index, GPUEmission &emission) {
  KMajorOperand result;
  result.type = smelt::gpu::getMultipliedType(op, index);
  result.rows = index == 0 ? op.getM() : op.getN();
  result.depth = op.getK();
  if (Value operand = getInPlace(op, index, emission)) {
    result.argument = emission.getArgument(operand);
    result.pitch = result.depth * getBytes(result.type);
    return result;
  }
  WordSource source(op, index, emission, result.type);
  result.pitch = llvm::alignTo(result.depth * getBytes(result.type), 16);
  result.argument = emission.getWorkspaceArgument();
  result.byteOffset = emission.allocateWorkspace(result.pitch * result.rows);
  if (isKMajor(op, index))
    emitCopy(source, emission, op.getLoc(), result);
  else
    emitTransposedCopy(source, emission, op.getLoc(), result);
  return result;
}
