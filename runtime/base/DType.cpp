#include "runtime/base/DType.h"

#include <cmath>
#include <cstring>
#include <iterator>
#include <limits>

namespace smelt::runtime {

namespace {
struct DTypeRow {
  DType dtype;
  const char *name;
  const char *safetensors;
  uint64_t bytes;
};
constexpr DTypeRow kDTypes[] = {
    {DType::F64, "f64", "F64", 8},
    {DType::F32, "f32", "F32", 4},
    {DType::BF16, "bf16", "BF16", 2},
    {DType::F16, "f16", "F16", 2},
    {DType::F8E4M3, "f8e4m3", "F8_E4M3", 1},
    {DType::F8E5M2, "f8e5m2", "F8_E5M2", 1},
    {DType::I64, "i64", "I64", 8},
    {DType::I32, "i32", "I32", 4},
    {DType::I16, "i16", "I16", 2},
    {DType::I8, "i8", "I8", 1},
    {DType::U8, "u8", "U8", 1},
    {DType::Bool, "bool", "BOOL", 1},
};

const DTypeRow &rowOf(DType dtype) { return kDTypes[static_cast<size_t>(dtype)]; }

template <typename T> void storeInteger(double value, void *to) {
  double rounded = std::nearbyint(value);
  // The bounds are exact doubles; the upper one is exclusive because max() itself may round up.
  constexpr double low = static_cast<double>(std::numeric_limits<T>::min());
  constexpr double high = static_cast<double>(std::numeric_limits<T>::max());
  T result = !(rounded > low)    ? std::numeric_limits<T>::min()
             : !(rounded < high) ? std::numeric_limits<T>::max()
                                 : static_cast<T>(rounded);
  std::memcpy(to, &result, sizeof result);
}

template <typename T> double loadAs(const void *from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return static_cast<double>(value);
}

uint16_t floatToBF16(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  if (std::isnan(value))
    return static_cast<uint16_t>((bits >> 16) | 0x40);
  return static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

float bf16ToFloat(uint16_t half) {
  uint32_t bits = static_cast<uint32_t>(half) << 16;
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}

uint16_t doubleToF16(double value) {
  uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  double magnitude = std::fabs(value);
  if (std::isnan(value))
    return sign | 0x7e00;
  if (magnitude >= 65520.0) // Halfway between the largest finite value and the next power of two.
    return sign | 0x7c00;
  if (magnitude == 0)
    return sign;
  int exponent = 0;
  std::frexp(magnitude, &exponent);        // magnitude = m * 2^exponent, m in [0.5, 1)
  int unit = std::max(exponent - 11, -24); // The value of the last mantissa bit is 2^unit.
  auto count = static_cast<uint32_t>(std::nearbyint(std::ldexp(magnitude, -unit)));
  // A count of 2^11 carries into the exponent by itself: the encoding is monotonic.
  return static_cast<uint16_t>(sign | (count + (static_cast<uint32_t>(unit + 24) << 10)));
}

double f16ToDouble(uint16_t half) {
  double sign = half & 0x8000 ? -1.0 : 1.0;
  int exponent = (half >> 10) & 31, mantissa = half & 1023;
  if (exponent == 31)
    return mantissa ? std::nan("") : sign * std::numeric_limits<double>::infinity();
  if (exponent == 0)
    return sign * std::ldexp(mantissa, -24);
  return sign * std::ldexp(mantissa + 1024, exponent - 25);
}

/// An 8-bit float: e4m3 has no infinity and one NaN (all ones), e5m2 is like f16.
struct Float8Format {
  int mantissaBits, bias;
  double largest;
  uint8_t largestCode, nan;
};
constexpr Float8Format kE4M3 = {3, 7, 448.0, 0x7e, 0x7f};
constexpr Float8Format kE5M2 = {2, 15, 57344.0, 0x7b, 0x7e};

uint8_t doubleToF8(const Float8Format &format, double value) {
  uint8_t sign = std::signbit(value) ? 0x80 : 0;
  double magnitude = std::fabs(value);
  if (std::isnan(value))
    return sign | format.nan;
  if (magnitude >= format.largest)
    return sign | format.largestCode;
  if (magnitude == 0)
    return sign;
  int exponent = 0;
  std::frexp(magnitude, &exponent); // magnitude = m * 2^exponent, m in [0.5, 1)
  int smallest = 1 - format.bias - format.mantissaBits;
  int unit = std::max(exponent - 1 - format.mantissaBits, smallest);
  auto count = static_cast<uint32_t>(std::nearbyint(std::ldexp(magnitude, -unit)));
  auto steps = static_cast<uint32_t>(unit - smallest);
  // As for f16: a full count carries into the exponent by itself.
  return static_cast<uint8_t>(sign | (count + (steps << format.mantissaBits)));
}

double f8ToDouble(const Float8Format &format, uint8_t code) {
  double sign = code & 0x80 ? -1.0 : 1.0;
  int magnitude = code & 0x7f;
  if (magnitude > format.largestCode) {
    bool isInfinite = format.nan == 0x7e && magnitude == 0x7c;
    return isInfinite ? sign * std::numeric_limits<double>::infinity() : std::nan("");
  }
  int exponent = magnitude >> format.mantissaBits;
  int mantissa = magnitude & ((1 << format.mantissaBits) - 1);
  int smallest = 1 - format.bias - format.mantissaBits;
  if (exponent == 0)
    return sign * std::ldexp(mantissa, smallest);
  return sign * std::ldexp(mantissa + (1 << format.mantissaBits), exponent - 1 + smallest);
}
} // namespace

const char *dtypeName(DType dtype) { return rowOf(dtype).name; }
const char *safetensorsDTypeName(DType dtype) { return rowOf(dtype).safetensors; }
uint64_t dtypeBytes(DType dtype) { return rowOf(dtype).bytes; }

std::optional<DType> parseDType(std::string_view name) {
  for (const DTypeRow &row : kDTypes)
    if (name == row.name)
      return row.dtype;
  return std::nullopt;
}

std::optional<DType> parseSafetensorsDType(std::string_view name) {
  for (const DTypeRow &row : kDTypes)
    if (name == row.safetensors)
      return row.dtype;
  return std::nullopt;
}

bool isFloat(DType dtype) { return dtype <= DType::F8E5M2; }

std::optional<uint64_t> shapeBytes(const std::vector<int64_t> &shape, DType dtype) {
  constexpr uint64_t limit = uint64_t(1) << 62;
  uint64_t bytes = dtypeBytes(dtype);
  bool zero = false;
  for (int64_t dim : shape) {
    if (dim < 0)
      return std::nullopt;
    if (dim == 0) {
      zero = true;
      continue;
    }
    if (static_cast<uint64_t>(dim) > limit / bytes)
      return std::nullopt;
    bytes *= static_cast<uint64_t>(dim);
  }
  return zero ? 0 : bytes;
}

void storeElement(DType dtype, double value, void *to) {
  switch (dtype) {
  case DType::F64:
    std::memcpy(to, &value, 8);
    return;
  case DType::F32: {
    auto single = static_cast<float>(value);
    std::memcpy(to, &single, 4);
    return;
  }
  case DType::BF16: {
    uint16_t half = floatToBF16(static_cast<float>(value));
    std::memcpy(to, &half, 2);
    return;
  }
  case DType::F16: {
    uint16_t half = doubleToF16(value);
    std::memcpy(to, &half, 2);
    return;
  }
  case DType::F8E4M3:
  case DType::F8E5M2: {
    uint8_t code = doubleToF8(dtype == DType::F8E4M3 ? kE4M3 : kE5M2, value);
    std::memcpy(to, &code, 1);
    return;
  }
  case DType::I64:
    return storeInteger<int64_t>(value, to);
  case DType::I32:
    return storeInteger<int32_t>(value, to);
  case DType::I16:
    return storeInteger<int16_t>(value, to);
  case DType::I8:
    return storeInteger<int8_t>(value, to);
  case DType::U8:
    return storeInteger<uint8_t>(value, to);
  case DType::Bool: {
    uint8_t flag = value != 0;
    std::memcpy(to, &flag, 1);
    return;
  }
  }
}

double loadElement(DType dtype, const void *from) {
  switch (dtype) {
  case DType::F64:
    return loadAs<double>(from);
  case DType::F32:
    return loadAs<float>(from);
  case DType::BF16: {
    uint16_t half;
    std::memcpy(&half, from, 2);
    return bf16ToFloat(half);
  }
  case DType::F16: {
    uint16_t half;
    std::memcpy(&half, from, 2);
    return f16ToDouble(half);
  }
  case DType::F8E4M3:
  case DType::F8E5M2: {
    uint8_t code;
    std::memcpy(&code, from, 1);
    return f8ToDouble(dtype == DType::F8E4M3 ? kE4M3 : kE5M2, code);
  }
  case DType::I64:
    return loadAs<int64_t>(from);
  case DType::I32:
    return loadAs<int32_t>(from);
  case DType::I16:
    return loadAs<int16_t>(from);
  case DType::I8:
    return loadAs<int8_t>(from);
  case DType::U8:
  case DType::Bool:
    return loadAs<uint8_t>(from);
  }
  return 0;
}

} // namespace smelt::runtime
