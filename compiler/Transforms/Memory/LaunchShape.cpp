//===- LaunchShape.cpp - Launches of a kernel and what fits beside them ---===//
#include "compiler/Transforms/Memory/LaunchShape.h"
#include "llvm/Support/MathExtras.h"
#include <algorithm>

using namespace mlir;
using namespace smelt;

namespace {
/// Shared memory of a block on Hopper; 4 KiB of parameters fit every driver and GPU.
constexpr int64_t mostSharedBytes = 227 << 10, mostStaticSharedBytes = 48 << 10,
                  mostParameterBytes = 4 << 10, parameterAlignment = 64;

/// Blocks that fit on a multiprocessor: by shared memory, and no more than 2048 threads.
int64_t countResident(const LaunchShape &shape) {
  int64_t bytes = shape.sharedBytes + shape.staticSharedBytes,
          byThreads = std::max<int64_t>(1, 2048 / shape.threads);
  return bytes ? std::min(mostSharedBytes / bytes, byThreads) : byThreads;
}
} // namespace

LaunchShape LaunchShape::beside(const LaunchShape &other) const {
  return {threads, blocks + other.blocks, std::max(sharedBytes, other.sharedBytes),
          staticSharedBytes + other.staticSharedBytes,
          int64_t(llvm::alignTo(parameterBytes, parameterAlignment)) + other.parameterBytes};
}

bool LaunchShape::canStandBeside(const LaunchShape &other) const {
  if (threads != other.threads || !blocks || !other.blocks)
    return false;
  LaunchShape both = beside(other);
  return both.parameterBytes <= mostParameterBytes &&
         both.staticSharedBytes <= mostStaticSharedBytes &&
         both.sharedBytes + both.staticSharedBytes <= mostSharedBytes &&
         countResident(both) >= std::max(countResident(*this), countResident(other));
}

std::vector<LaunchShape> smelt::getLaunchShapes(func::FuncOp function) {
  std::vector<LaunchShape> shapes;
  if (auto attribute = function->getAttrOfType<DenseI64ArrayAttr>(launchesAttribute))
    for (ArrayRef<int64_t> rest = attribute; rest.size() >= 5; rest = rest.drop_front(5))
      shapes.push_back({rest[0], rest[1], rest[2], rest[3], rest[4]});
  return shapes;
}

void smelt::setLaunchShapes(func::FuncOp function, ArrayRef<LaunchShape> shapes) {
  SmallVector<int64_t> numbers;
  for (const LaunchShape &shape : shapes)
    numbers.append({shape.threads, shape.blocks, shape.sharedBytes, shape.staticSharedBytes,
                    shape.parameterBytes});
  function->setAttr(launchesAttribute, DenseI64ArrayAttr::get(function.getContext(), numbers));
}

std::vector<JoinedLaunch> smelt::matchLaunches(ArrayRef<LaunchShape> first,
                                               ArrayRef<LaunchShape> second) {
  // The longest common subsequence, from the ends of both lists.
  size_t rows = first.size(), columns = second.size();
  std::vector<std::vector<int>> most(rows + 1, std::vector<int>(columns + 1));
  for (size_t i = rows; i-- > 0;)
    for (size_t j = columns; j-- > 0;)
      most[i][j] = first[i].canStandBeside(second[j]) ? most[i + 1][j + 1] + 1
                                                      : std::max(most[i + 1][j], most[i][j + 1]);
  std::vector<JoinedLaunch> list;
  size_t i = 0, j = 0;
  while (i < rows || j < columns) {
    if (i < rows && j < columns && first[i].canStandBeside(second[j]))
      list.push_back({int(i++), int(j++)});
    else if (j == columns || (i < rows && most[i + 1][j] >= most[i][j + 1]))
      list.push_back({int(i++), -1});
    else
      list.push_back({-1, int(j++)});
  }
  return list;
}
