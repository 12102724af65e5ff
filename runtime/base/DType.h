//===- DType.h - Element types of buffers, shards and checkpoints -*- C++ -*-===//
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace smelt::runtime {

enum class DType { F64, F32, BF16, F16, F8E4M3, F8E5M2, I64, I32, I16, I8, U8, Bool };

/// The name in manifests: "f32", "bf16", "i32", "bool" …
const char *dtypeName(DType dtype);
std::optional<DType> parseDType(std::string_view name);
/// The name in safetensors files: "F32", "BF16", "I32", "BOOL" …
const char *safetensorsDTypeName(DType dtype);
std::optional<DType> parseSafetensorsDType(std::string_view name);
/// Bytes of one element.
uint64_t dtypeBytes(DType dtype);
bool isFloat(DType dtype);

/// shape's element count times the element size; nothing if a dimension is negative or the product
/// overflows 2^62.
std::optional<uint64_t> shapeBytes(const std::vector<int64_t> &shape, DType dtype);

/// Stores `value` as one element of `dtype` at `to`: floats round to nearest even (f8 saturates),
/// integers to nearest with clamping.
void storeElement(DType dtype, double value, void *to);
/// Reads one element of `dtype`.
double loadElement(DType dtype, const void *from);

} // namespace smelt::runtime
