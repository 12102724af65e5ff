//===- GPUNumberFormats.cpp - bf16, f16, f8 and i16 in memory -------------===//
//
// In registers every number is an f32 (an i32 for index tensors; the 16 low bits of a master are
// the numbers 0 … 65535). What is stored is rounded to nearest even; f8 saturates, as the CPU's
// does. GPUs from sm_89 on convert two f8 at once; before, it is done with integers and f16.
//
//===----------------------------------------------------------------------===//
#include "compiler/Conversion/KernelToGPU/GPUBuilder.h"
#include "compiler/Target/CUDA/GPUTarget.h"

using namespace mlir;

namespace smelt {
namespace {

bool isF8(Type type) { return isa<Float8E4M3FNType, Float8E5M2Type>(type); }

/// The GPU of the function that is being built, if it says so, can convert f8.
bool convertsF8(ImplicitLocOpBuilder &b) {
  Operation *op = b.getInsertionBlock()->getParentOp();
  auto function = dyn_cast<LLVM::LLVMFuncOp>(op);
  if (!function)
    function = op->getParentOfType<LLVM::LLVMFuncOp>();
  std::string why;
  auto target = function && function.getTargetCpu() ? GPUTarget::get(*function.getTargetCpu(), why)
                                                    : std::nullopt;
  return target && target->capability >= 89;
}

/// f8 by hand and by the GPU's own instructions.
struct F8 {
  ImplicitLocOpBuilder &b;
  GPUBuilder g;
  Type type;
  bool isE4M3, native;

  F8(ImplicitLocOpBuilder &b, Type type)
      : b(b), g(b), type(type), isE4M3(isa<Float8E4M3FNType>(type)), native(convertsF8(b)) {}

  Value integer(unsigned width, int64_t value) {
    return arith::ConstantOp::create(b, b.getIntegerAttr(b.getIntegerType(width), value));
  }
  Value cast(Type to, Value x) { return arith::BitcastOp::create(b, to, x); }
  Value and_(Value x, Value y) { return arith::AndIOp::create(b, x, y); }
  Value or_(Value x, Value y) { return arith::OrIOp::create(b, x, y); }
  Value shiftLeft(Value x, Value by) { return arith::ShLIOp::create(b, x, by); }
  Value shiftRight(Value x, Value by) { return arith::ShRUIOp::create(b, x, by); }
  std::string intrinsic(StringRef from, StringRef to) {
    auto pair = [&](StringRef name) { return name == "f8" ? isE4M3 ? "e4m3x2" : "e5m2x2" : name; };
    return ("llvm.nvvm." + pair(from) + ".to." + pair(to) + ".rn").str();
  }

  /// Two numbers of 16 bits that hold the first one low.
  std::array<Value, 2> decodePair(Value code) {
    std::array<Value, 2> numbers;
    if (native) {
      Value halves =
          g.intrinsic(intrinsic("f8", "f16x2"), VectorType::get({2}, b.getF16Type()), {code});
      for (int i : {0, 1}) {
        Value half = LLVM::ExtractElementOp::create(b, halves, g.integer(i));
        numbers[i] = arith::ExtFOp::create(b, g.f32(), half);
      }
      return numbers;
    }
    return {decode(and_(code, integer(16, 0xff))), decode(shiftRight(code, integer(16, 8)))};
  }
  /// The number whose bits are the low ones of an i16.
  Value decode(Value code) {
    auto fromF16 = [&](Value bits) -> Value {
      return arith::ExtFOp::create(b, g.f32(), cast(b.getF16Type(), bits));
    };
    if (!isE4M3) // The high half of an f16.
      return fromF16(shiftLeft(code, integer(16, 8)));
    // Seven bits of magnitude are those of an f16 that is 2⁸ times smaller; 0x7f is NaN.
    Value magnitude = and_(code, integer(16, 0x7f));
    Value sign = shiftLeft(and_(code, integer(16, 0x80)), integer(16, 8));
    Value half = or_(sign, shiftLeft(magnitude, integer(16, 7)));
    Value isNaN = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, magnitude, integer(16, 0x7f));
    return g.mulf(fromF16(g.select(isNaN, integer(16, 0x7fff), half)), g.number(256));
  }

  Value encodePair(Value first, Value second) {
    if (native)
      return g.intrinsic(intrinsic("ff", "f8"), b.getI16Type(), {second, first});
    return or_(encode(first), shiftLeft(encode(second), integer(16, 8)));
  }
  /// The code in the low bits of an i16.
  Value encode(Value x) {
    if (native)
      return encodePair(x, g.number(0));
    auto toF16 = [&](Value number) {
      return cast(b.getI16Type(), arith::TruncFOp::create(b, b.getF16Type(), number));
    };
    Value rounded = round(x);
    if (!isE4M3)
      return shiftRight(toF16(rounded), integer(16, 8));
    Value half = toF16(g.mulf(rounded, g.number(1.0 / 256)));
    Value sign = and_(shiftRight(half, integer(16, 8)), integer(16, 0x80));
    Value magnitude = and_(shiftRight(half, integer(16, 7)), integer(16, 0x7f));
    Value isNaN = g.compare(arith::CmpFPredicate::UNO, x, x);
    return or_(sign, g.select(isNaN, integer(16, 0x7f), magnitude));
  }
  /// With c the power of two at or below |x| (at least the smallest normal number's), adding and
  /// taking away c·2^(23 − mantissa bits) leaves |x| rounded to the mantissa's last place.
  Value round(Value x) {
    int mantissaBits = isE4M3 ? 3 : 2;
    auto toBits = [&](Value number) { return cast(g.i32(), number); };
    auto toNumber = [&](Value bits) { return cast(g.f32(), bits); };
    Value sign = and_(toBits(x), g.integer(int32_t(0x80000000)));
    Value magnitude = toNumber(and_(toBits(x), g.integer(0x7fffffff)));
    Value most = g.number(isE4M3 ? 448 : 57344);
    magnitude = g.select(g.greaterf(magnitude, most), most, magnitude);
    Value least = g.number(isE4M3 ? 0x1p-6 : 0x1p-14);
    Value normal = g.select(g.greaterf(magnitude, least), magnitude, least);
    Value power = and_(toBits(normal), g.integer(0x7f800000));
    Value shifter = toNumber(g.add(power, (23 - mantissaBits) << 23));
    Value rounded = g.subf(g.addf(magnitude, shifter), shifter);
    return toNumber(or_(toBits(rounded), sign));
  }
};

} // namespace

Type GPUBuilder::storageOf(Type type) { return isF8(type) ? b.getI8Type() : type; }

SmallVector<Value> GPUBuilder::loadNumbers(Value pointer, Type type, unsigned count, bool aligned) {
  unsigned size = type.getIntOrFloatBitWidth() / 8;
  if (count > 1 && !aligned) {
    Values numbers;
    for (unsigned i = 0; i < count; ++i)
      numbers.append(loadNumbers(offset(pointer, type, integer(i)), type, 1, true));
    return numbers;
  }
  if (isF8(type)) {
    F8 f8(b, type);
    if (count % 2) // One, or an odd number of them.
      return llvm::to_vector(llvm::map_range(llvm::seq(count), [&](unsigned i) -> Value {
        Value code = load(offset(pointer, type, integer(i)), b.getI8Type(), 1);
        return f8.decodePair(arith::ExtUIOp::create(b, b.getI16Type(), code))[0];
      }));
    Type pair = b.getI16Type();
    Value codes = load(pointer, count == 2 ? pair : VectorType::get({count / 2}, pair), count);
    Values numbers;
    for (unsigned i = 0; i < count / 2; ++i)
      for (Value number : f8.decodePair(
               count == 2 ? codes
                          : LLVM::ExtractElementOp::create(b, codes, integer(i)).getResult()))
        numbers.push_back(number);
    return numbers;
  }
  auto asNumber = [&](Value element) -> Value {
    if (type.isInteger(16))
      return arith::UIToFPOp::create(b, f32(), arith::ExtUIOp::create(b, i32(), element));
    return type.isF32() || type.isInteger() ? element
                                            : arith::ExtFOp::create(b, f32(), element).getResult();
  };
  if (count == 1)
    return {asNumber(load(pointer, type, size))};
  Values numbers;
  if (type.isBF16() && count % 2 == 0) { // An instruction a number: the halves of words.
    Type word = i32();
    Value words =
        load(pointer, count == 2 ? word : VectorType::get({count / 2}, word), size * count);
    for (unsigned i = 0; i < count / 2; ++i) {
      Value pair = count == 2 ? words : LLVM::ExtractElementOp::create(b, words, integer(i));
      Value low = arith::ShLIOp::create(b, pair, integer(16)),
            high = arith::AndIOp::create(b, pair, integer(int32_t(0xffff0000)));
      for (Value bits : {low, high})
        numbers.push_back(arith::BitcastOp::create(b, f32(), bits));
    }
    return numbers;
  }
  Value vector = load(pointer, VectorType::get({count}, type), size * count);
  for (unsigned i = 0; i < count; ++i)
    numbers.push_back(asNumber(LLVM::ExtractElementOp::create(b, vector, integer(i))));
  return numbers;
}

void GPUBuilder::storeNumbers(ArrayRef<Value> numbers, Value pointer, Type type, bool aligned) {
  unsigned size = type.getIntOrFloatBitWidth() / 8, count = numbers.size();
  if (count > 1 && !(aligned && count % 2 == 0)) {
    for (auto [i, number] : llvm::enumerate(numbers))
      storeNumbers({number}, i ? offset(pointer, type, integer(i)) : pointer, type, true);
    return;
  }
  auto vectorOf = [&](unsigned elements, Type element, llvm::function_ref<Value(unsigned)> get) {
    Value vector = LLVM::UndefOp::create(b, VectorType::get({elements}, element));
    for (unsigned i = 0; i < elements; ++i)
      vector = LLVM::InsertElementOp::create(b, vector, get(i), integer(i));
    return vector;
  };
  if (isF8(type)) {
    F8 f8(b, type);
    auto pair = [&](unsigned i) { return f8.encodePair(numbers[2 * i], numbers[2 * i + 1]); };
    if (count == 1)
      store(arith::TruncIOp::create(b, b.getI8Type(), f8.encode(numbers[0])), pointer, 1);
    else
      store(count == 2 ? pair(0) : vectorOf(count / 2, b.getI16Type(), pair), pointer, count);
    return;
  }
  auto asElement = [&](Value number) -> Value {
    if (type.isInteger(16))
      return arith::TruncIOp::create(b, type, arith::FPToSIOp::create(b, i32(), number));
    return number.getType() == type ? number : arith::TruncFOp::create(b, type, number).getResult();
  };
  if (count == 1)
    return store(asElement(numbers[0]), pointer, size);
  store(vectorOf(count, type, [&](unsigned i) { return asElement(numbers[i]); }), pointer,
        size * count);
}

Value GPUBuilder::roundTo(Value number, Type type) {
  if (type.isF32())
    return number;
  if (isF8(type)) {
    F8 f8(b, type);
    return f8.native ? f8.decodePair(f8.encode(number))[0] : f8.round(number);
  }
  Value rounded = arith::TruncFOp::create(b, type, number);
  return arith::ExtFOp::create(b, f32(), rounded);
}

Value GPUBuilder::joinMaster(Value high, Value low) {
  Value bits = arith::OrIOp::create(b, arith::BitcastOp::create(b, i32(), high),
                                    arith::FPToSIOp::create(b, i32(), low));
  return arith::BitcastOp::create(b, f32(), bits);
}

std::array<GPUBuilder::Value, 2> GPUBuilder::splitMaster(Value master) {
  Value bits = arith::BitcastOp::create(b, i32(), master);
  Value high = arith::AndIOp::create(b, bits, integer(int32_t(0xffff0000)));
  Value low = arith::AndIOp::create(b, bits, integer(0xffff));
  return {arith::BitcastOp::create(b, f32(), high), arith::SIToFPOp::create(b, f32(), low)};
}

} // namespace smelt
