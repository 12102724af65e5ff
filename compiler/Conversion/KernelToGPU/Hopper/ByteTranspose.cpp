//===- ByteTranspose.cpp - f8 numbers, packed and transposed --------------===//
#include "compiler/Conversion/KernelToGPU/Hopper/ByteTranspose.h"

using namespace mlir;
using namespace smelt::gpu;

static Value call(CodeBuilder &code, llvm::StringRef name, Type type, ValueRange arguments) {
  return LLVM::CallIntrinsicOp::create(code.builder, code.loc, type,
                                       code.builder.getStringAttr(name), arguments)
      .getResult(0);
}

static std::string pairName(OperandType type) {
  assert(type != OperandType::BF16);
  return type == OperandType::E4M3 ? "e4m3x2" : "e5m2x2";
}

Value smelt::gpu::packF8(CodeBuilder &code, OperandType type, ArrayRef<Value> four) {
  auto pair = [&](Value low, Value high) -> Value {
    Value packed = call(code, "llvm.nvvm.ff.to." + pairName(type) + ".rn",
                        code.builder.getI16Type(), {high, low});
    return arith::ExtUIOp::create(code.builder, code.loc, code.i32Type(), packed);
  };
  Value high = code.shiftLeft(pair(four[2], four[3]), 16);
  return arith::OrIOp::create(code.builder, code.loc, pair(four[0], four[1]), high);
}

std::array<Value, 4> smelt::gpu::unpackF8(CodeBuilder &code, OperandType type, Value word) {
  std::array<Value, 4> numbers;
  auto halves = VectorType::get({2}, code.builder.getF16Type());
  for (int i = 0; i < 2; ++i) {
    Value bits = arith::TruncIOp::create(code.builder, code.loc, code.builder.getI16Type(),
                                         code.shiftRight(word, 16 * i));
    Value two = call(code, "llvm.nvvm." + pairName(type) + ".to.f16x2.rn", halves, {bits});
    for (int p = 0; p < 2; ++p) {
      Value half = LLVM::ExtractElementOp::create(code.builder, code.loc, two, code.i32(p));
      numbers[2 * i + p] = arith::ExtFOp::create(code.builder, code.loc, code.f32Type(), half);
    }
  }
  return numbers;
}

Value smelt::gpu::permuteBytes(CodeBuilder &code, Value a, Value b, int64_t selector) {
  return call(code, "llvm.nvvm.prmt", code.i32Type(), {a, b, code.i32(selector)});
}

ByteTransposer::ByteTransposer(CodeBuilder &code, Value thread, Value shared)
    : code(code), thread(thread), shared(shared) {
  lane = code.bitAnd(thread, 31);
  warp = code.shiftRight(thread, 5);
  column = code.mul(lane, 4);
  row = code.mul(warp, 4);
}

/// Word of 4 rows (block rowBlock) of column 4·columnBlock + inBlock. Lanes that differ in
/// columnBlock (put) or in rowBlock (store) meet different banks.
Value ByteTransposer::place(Value columnBlock, int64_t inBlock, Value rowBlock) {
  Value index = code.add(code.add(code.mul(columnBlock, 33), rowBlock), inBlock * 32 * 33);
  return code.at(shared, code.mul(index, 4));
}

void ByteTransposer::put(int64_t index, const std::array<Value, 4> &words) {
  auto permute = [&](Value x, Value y, int64_t selector) {
    return permuteBytes(code, x, y, selector);
  };
  Value low01 = permute(words[0], words[1], 0x5140), low23 = permute(words[2], words[3], 0x5140);
  Value high01 = permute(words[0], words[1], 0x7362), high23 = permute(words[2], words[3], 0x7362);
  std::array<Value, 4> columns = {permute(low01, low23, 0x5410), permute(low01, low23, 0x7632),
                                  permute(high01, high23, 0x5410), permute(high01, high23, 0x7632)};
  Value rowBlock = code.add(warp, index * (32 / pieces));
  for (int64_t j = 0; j < 4; ++j)
    code.store(columns[j], place(lane, j, rowBlock), 4);
}

void ByteTransposer::store(Value pointer, int64_t pitch, Value firstRow, Value firstColumn,
                           int64_t rows, int64_t columns) {
  // A warp stores a row of the transpose: lane l has rows 4l … 4l+3 of the tile.
  Value fromRow = code.add(firstRow, code.mul(lane, 4));
  Value inRows = rows % tile ? code.less(fromRow, rows) : Value();
  for (int64_t i = 0; i < tile / (threads / 32); ++i) {
    // Column 4·block + j of the tile, j the same for all threads.
    int64_t j = i % 4;
    Value block = code.add(warp, i / 4 * (threads / 32));
    Value at = code.add(firstColumn, code.add(code.mul(block, 4), j));
    Value word = code.load(code.i32Type(), place(block, j, lane), 4);
    Value inside = inRows;
    if (columns % tile) {
      Value inColumns = code.less(at, columns);
      inside = inside ? code.logicalAnd(inside, inColumns) : inColumns;
    }
    auto write = [&] { code.store(word, code.atElement(pointer, at, pitch, fromRow, 1), 4); };
    inside ? code.ifThen(inside, write) : write();
  }
}
