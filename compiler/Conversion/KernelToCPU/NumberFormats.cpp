//===- NumberFormats.cpp - bf16, f16, f8 and i16 in memory ----------------===//
#include "compiler/Conversion/KernelToCPU/NumberFormats.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/BuiltinTypes.h"

using namespace mlir;

namespace smelt {
namespace {

/// Bits of f32 and what lies in memory, as scalars or vectors alike.
class Bits {
public:
  Bits(OpBuilder &b, Location loc, Type shape) : b(b), loc(loc), shape(shape) {}

  /// `element`, or a vector of as many as the shape has.
  Type of(Type element) {
    auto vector = dyn_cast<VectorType>(shape);
    return vector ? Type(VectorType::get(vector.getShape(), element)) : element;
  }
  Type f32() { return of(b.getF32Type()); }
  Type integer(unsigned width) { return of(b.getIntegerType(width)); }

  Value constant(unsigned width, int64_t value) {
    IntegerAttr number = b.getIntegerAttr(b.getIntegerType(width), APInt(width, value, true, true));
    if (auto vector = dyn_cast<VectorType>(integer(width)))
      return arith::ConstantOp::create(b, loc, DenseElementsAttr::get(vector, number.getValue()));
    return arith::ConstantOp::create(b, loc, number);
  }
  Value number(double value) {
    FloatAttr number = b.getF32FloatAttr(value);
    if (auto vector = dyn_cast<VectorType>(f32()))
      return arith::ConstantOp::create(b, loc, DenseElementsAttr::get(vector, number.getValue()));
    return arith::ConstantOp::create(b, loc, number);
  }
  Value cast(Type type, Value x) {
    return x.getType() == type ? x : arith::BitcastOp::create(b, loc, type, x).getResult();
  }
  Value toBits(Value x) { return cast(integer(32), x); }
  Value toFloat(Value bits) { return cast(f32(), bits); }
  Value extend(unsigned width, Value x) {
    return arith::ExtUIOp::create(b, loc, integer(width), x);
  }
  Value truncate(unsigned width, Value x) {
    return arith::TruncIOp::create(b, loc, integer(width), x);
  }
  Value and_(Value x, Value y) { return arith::AndIOp::create(b, loc, x, y); }
  Value or_(Value x, Value y) { return arith::OrIOp::create(b, loc, x, y); }
  Value add(Value x, Value y) { return arith::AddIOp::create(b, loc, x, y); }
  Value shiftLeft(Value x, Value by) { return arith::ShLIOp::create(b, loc, x, by); }
  Value shiftRight(Value x, Value by) { return arith::ShRUIOp::create(b, loc, x, by); }
  Value select(Value condition, Value x, Value y) {
    return arith::SelectOp::create(b, loc, condition, x, y);
  }
  Value equal(Value x, Value y) {
    return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, x, y);
  }
  /// x > y; false for NaN.
  Value greater(Value x, Value y) {
    return arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OGT, x, y);
  }
  Value isNaN(Value x) { return arith::CmpFOp::create(b, loc, arith::CmpFPredicate::UNO, x, x); }
  Value fromF16(Value bits) {
    return arith::ExtFOp::create(b, loc, f32(), cast(of(b.getF16Type()), bits));
  }
  Value toF16(Value x) {
    return cast(integer(16), arith::TruncFOp::create(b, loc, of(b.getF16Type()), x));
  }
  /// No fast-math flags: these sums and products round, on purpose.
  Value plus(Value x, Value y) { return arith::AddFOp::create(b, loc, x, y); }
  Value minus(Value x, Value y) { return arith::SubFOp::create(b, loc, x, y); }
  Value times(Value x, Value y) { return arith::MulFOp::create(b, loc, x, y); }

  OpBuilder &b;
  Location loc;
  Type shape;
};

bool isE4M3(Type type) { return isa<Float8E4M3FNType>(type); }
bool isE5M2(Type type) { return isa<Float8E5M2Type>(type); }

/// e4m3's seven bits of magnitude are those of an f16 that is 2⁸ times smaller; 0x7f is NaN.
Value decodeE4M3(Bits &bits, Value code) {
  Value wide = bits.extend(16, code);
  Value magnitude = bits.and_(wide, bits.constant(16, 0x7f));
  Value sign = bits.shiftLeft(bits.and_(wide, bits.constant(16, 0x80)), bits.constant(16, 8));
  Value half = bits.or_(sign, bits.shiftLeft(magnitude, bits.constant(16, 7)));
  // The NaN of f16, all ones, takes its place before the conversion.
  half =
      bits.select(bits.equal(magnitude, bits.constant(16, 0x7f)), bits.constant(16, 0x7fff), half);
  return bits.times(bits.fromF16(half), bits.number(256));
}

Value encodeE4M3(Bits &bits, Value x) {
  Value half = bits.toF16(bits.times(x, bits.number(1.0 / 256)));
  Value sign = bits.and_(bits.shiftRight(half, bits.constant(16, 8)), bits.constant(16, 0x80));
  Value magnitude = bits.and_(bits.shiftRight(half, bits.constant(16, 7)), bits.constant(16, 0x7f));
  magnitude = bits.select(bits.isNaN(x), bits.constant(16, 0x7f), magnitude);
  return bits.truncate(8, bits.or_(sign, magnitude));
}

/// f32 from the bits of a memory element.
Value decode(Bits &bits, Type element, Value stored) {
  if (element.isF32())
    return stored;
  if (element.isF16())
    return arith::ExtFOp::create(bits.b, bits.loc, bits.f32(), stored);
  unsigned width = element.getIntOrFloatBitWidth();
  Value code = bits.cast(bits.integer(width), stored);
  if (element.isBF16())
    return bits.toFloat(bits.shiftLeft(bits.extend(32, code), bits.constant(32, 16)));
  if (isE5M2(element)) // The high half of an f16.
    return bits.fromF16(bits.shiftLeft(bits.extend(16, code), bits.constant(16, 8)));
  if (isE4M3(element))
    return decodeE4M3(bits, code);
  return arith::SIToFPOp::create(bits.b, bits.loc, bits.f32(), bits.extend(32, code));
}

/// The memory element of an f32 that is such a number.
Value encode(Bits &bits, Type element, Value x) {
  if (element.isF32())
    return x;
  Type stored = bits.of(element);
  if (element.isF16())
    return arith::TruncFOp::create(bits.b, bits.loc, stored, x);
  if (element.isBF16())
    return bits.cast(stored,
                     bits.truncate(16, bits.shiftRight(bits.toBits(x), bits.constant(32, 16))));
  if (isE5M2(element))
    return bits.cast(stored,
                     bits.truncate(8, bits.shiftRight(bits.toF16(x), bits.constant(16, 8))));
  if (isE4M3(element))
    return bits.cast(stored, encodeE4M3(bits, x));
  return bits.truncate(16, arith::FPToSIOp::create(bits.b, bits.loc, bits.integer(32), x));
}

/// Adds half of the last place that is kept, less one where that is even, and cuts.
Value roundToBF16(Bits &bits, Value x) {
  Value code = bits.toBits(x);
  Value odd = bits.and_(bits.shiftRight(code, bits.constant(32, 16)), bits.constant(32, 1));
  Value carried = bits.add(code, bits.add(odd, bits.constant(32, 0x7fff)));
  Value rounded = bits.toFloat(bits.and_(carried, bits.constant(32, 0xffff0000)));
  return bits.select(bits.isNaN(x), x, rounded);
}

/// With c the power of two at or below |x| (at least the smallest normal number's), adding and
/// taking away c·2^(23 − mantissa bits) leaves |x| rounded to the mantissa's last place.
Value roundToF8(Bits &bits, Value x, int mantissaBits, int smallestExponent, double largest) {
  Value sign = bits.and_(bits.toBits(x), bits.constant(32, 0x80000000));
  Value magnitude = bits.toFloat(bits.and_(bits.toBits(x), bits.constant(32, 0x7fffffff)));
  Value most = bits.number(largest);
  magnitude = bits.select(bits.greater(magnitude, most), most, magnitude);
  Value least = bits.number(std::ldexp(1.0, smallestExponent));
  Value normal = bits.select(bits.greater(magnitude, least), magnitude, least);
  Value power = bits.and_(bits.toBits(normal), bits.constant(32, 0x7f800000));
  Value shifter = bits.toFloat(bits.add(power, bits.constant(32, (23 - mantissaBits) << 23)));
  Value rounded = bits.minus(bits.plus(magnitude, shifter), shifter);
  return bits.toFloat(bits.or_(bits.toBits(rounded), sign));
}

} // namespace

bool isNumberFormat(Type type) {
  return type.isF32() || type.isBF16() || type.isF16() || isE4M3(type) || isE5M2(type) ||
         type.isInteger(16);
}

Value loadNumbers(OpBuilder &b, Location loc, Type type, Value memory, Value at, Value mask) {
  Type element = cast<MemRefType>(memory.getType()).getElementType();
  Bits bits(b, loc, type);
  auto vector = dyn_cast<VectorType>(bits.of(element));
  Value stored;
  if (!vector) {
    stored = memref::LoadOp::create(b, loc, memory, ValueRange{at});
  } else if (mask) {
    Value zero = arith::ConstantOp::create(b, loc, b.getZeroAttr(vector));
    stored = vector::MaskedLoadOp::create(b, loc, vector, memory, ValueRange{at}, mask, zero);
  } else {
    stored = vector::LoadOp::create(b, loc, vector, memory, ValueRange{at});
  }
  return decode(bits, element, stored);
}

void storeNumbers(OpBuilder &b, Location loc, Value value, Value memory, Value at, Value mask) {
  Type element = cast<MemRefType>(memory.getType()).getElementType();
  Bits bits(b, loc, value.getType());
  Value stored = encode(bits, element, value);
  if (!isa<VectorType>(value.getType()))
    memref::StoreOp::create(b, loc, stored, memory, ValueRange{at});
  else if (mask)
    vector::MaskedStoreOp::create(b, loc, memory, ValueRange{at}, mask, stored);
  else
    vector::StoreOp::create(b, loc, stored, memory, ValueRange{at});
}

Value roundNumbers(OpBuilder &b, Location loc, Value value, Type element) {
  Bits bits(b, loc, value.getType());
  if (element.isF16())
    return bits.fromF16(bits.toF16(value));
  if (element.isBF16())
    return roundToBF16(bits, value);
  if (isE4M3(element))
    return roundToF8(bits, value, 3, -6, 448);
  if (isE5M2(element))
    return roundToF8(bits, value, 2, -14, 57344);
  return value;
}

void storeRounded(OpBuilder &b, Location loc, Value value, Value memory, Value at, Value mask) {
  Type element = cast<MemRefType>(memory.getType()).getElementType();
  storeNumbers(b, loc, roundNumbers(b, loc, value, element), memory, at, mask);
}

Value joinMaster(OpBuilder &b, Location loc, Value high, Value low) {
  Bits bits(b, loc, high.getType());
  Value lowBits = arith::FPToSIOp::create(b, loc, bits.integer(32), low);
  return bits.toFloat(bits.or_(bits.toBits(high), lowBits));
}

Value splitMaster(OpBuilder &b, Location loc, Value master, bool high) {
  Bits bits(b, loc, master.getType());
  Value code = bits.toBits(master);
  if (high)
    return bits.toFloat(bits.and_(code, bits.constant(32, 0xffff0000)));
  Value low = bits.and_(code, bits.constant(32, 0xffff));
  return arith::SIToFPOp::create(b, loc, bits.f32(), low);
}

} // namespace smelt
