//===- OperandTile.cpp - Operands of a product, tile by tile --------------===//
#include "compiler/Conversion/KernelToGPU/Hopper/OperandTile.h"

using namespace mlir;
using namespace smelt;
using namespace smelt::gpu;

GPUTensorMap smelt::gpu::describeOperand(OperandType type, Major major, int64_t rows, int64_t k,
                                         int64_t groups, int64_t boxRows) {
  int64_t bytes = getBytes(type);
  GPUTensorMap map;
  map.element = type == OperandType::BF16 ? GPUTensorMap::Element::BF16 : GPUTensorMap::Element::F8;
  map.swizzle = 128;
  if (major == Major::K) {
    map.sizes = {k, rows};
    map.box = {swizzleRow / bytes, boxRows};
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

void smelt::gpu::loadOperand(CodeBuilder &code, Value map, Major major, Value place, Value barrier,
                             Value row, Value k, Value group, int64_t count) {
  if (major == Major::K) {
    SmallVector<Value> coordinates{k, row};
    if (group)
      coordinates.push_back(group);
    return loadTile(code, map, place, barrier, coordinates);
  }
  for (int64_t panel = 0; panel < count / 64; ++panel) {
    SmallVector<Value> coordinates{code.add(row, 64 * panel), k};
    if (group)
      coordinates.push_back(group);
    loadTile(code, map, code.at(place, panel * panelBytes), barrier, coordinates);
  }
}
