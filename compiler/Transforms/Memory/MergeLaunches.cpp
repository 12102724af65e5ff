//===- MergeLaunches.cpp - Two launches as one ----------------------------===//
#include "compiler/Transforms/Memory/MergeLaunches.h"
#include "compiler/Conversion/OutlinedKernel.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace mlir::exec;
using namespace smelt;

int64_t smelt::getPlannedBytes(const LaunchGraph &graph, ArrayRef<LaunchGroup> groups) {
  LaunchGraph joined;
  joined.bytes = graph.bytes;
  SmallVector<unsigned> order;
  for (const LaunchGroup &group : groups) {
    llvm::SmallSetVector<unsigned, 16> buffers;
    for (unsigned launch : group)
      buffers.insert_range(graph.launches[launch].buffers);
    order.push_back(joined.launches.size());
    joined.launches.push_back({{}, llvm::to_vector(buffers)});
  }
  return getPlannedBytes(joined, order);
}

int64_t smelt::getPlannedBytes(const LaunchGraph &graph) {
  SmallVector<LaunchGroup> groups;
  for (unsigned i = 0; i < graph.launches.size(); ++i)
    groups.push_back({i});
  return getPlannedBytes(graph, groups);
}

std::vector<LaunchShape> smelt::joinShapes(ArrayRef<LaunchShape> first,
                                           ArrayRef<LaunchShape> second) {
  std::vector<LaunchShape> shapes;
  for (JoinedLaunch both : matchLaunches(first, second))
    shapes.push_back(both.first < 0    ? second[both.second]
                     : both.second < 0 ? first[both.first]
                                       : first[both.first].beside(second[both.second]));
  return shapes;
}

/// A private function with the kernels of both, made once.
static func::FuncOp getKernel(func::FuncOp first, func::FuncOp second, ArrayRef<LaunchShape> shapes,
                              SymbolTable &symbols) {
  StringRef rest = second.getSymName();
  rest.consume_front("kernel_");
  std::string name = (first.getSymName() + "_with_" + rest).str();
  if (auto known = symbols.lookup<func::FuncOp>(name))
    return known;
  OpBuilder builder(first.getContext());
  auto both = [](TypeRange a, TypeRange b) {
    SmallVector<Type> list(a);
    list.append(b.begin(), b.end());
    return list;
  };
  Location loc = builder.getFusedLoc({first.getLoc(), second.getLoc()});
  auto function = func::FuncOp::create(
      loc, name,
      builder.getFunctionType(both(first.getArgumentTypes(), second.getArgumentTypes()),
                              both(first.getResultTypes(), second.getResultTypes())));
  function.setPrivate();
  Block *block = function.addEntryBlock();
  builder.setInsertionPointToEnd(block);
  SmallVector<Value> results;
  unsigned argument = 0;
  for (func::FuncOp part : {first, second}) {
    IRMapping map;
    for (BlockArgument old : part.getArguments())
      map.map(old, block->getArgument(argument++));
    Block &body = part.getBody().front();
    for (Operation &op : body.without_terminator())
      builder.clone(op, map);
    for (Value value : body.getTerminator()->getOperands())
      results.push_back(map.lookup(value));
  }
  func::ReturnOp::create(builder, loc, results);
  setPlannedWorkspace(function, getPlannedWorkspace(first) + getPlannedWorkspace(second));
  setLaunchShapes(function, shapes);
  for (func::FuncOp part : {first, second})
    if (Attribute generic = part->getAttr("smelt.generic"))
      function->setAttr("smelt.generic", generic);
  symbols.insert(function);
  return function;
}

/// The first one's buffer, now as large as both need.
static FlatSymbolRefAttr joinWorkspaces(LaunchOp first, LaunchOp second, func::FuncOp kernel,
                                        SymbolTable &symbols) {
  FlatSymbolRefAttr keep = first.getWorkspaceAttr(), drop = second.getWorkspaceAttr();
  if (!keep)
    std::swap(keep, drop);
  if (!keep)
    return keep;
  if (drop)
    symbols.erase(symbols.lookup(drop.getValue()));
  auto buffer = symbols.lookup<BufferOp>(keep.getValue());
  int64_t numbers = (getPlannedWorkspace(kernel) + 3) / 4;
  buffer.setType(RankedTensorType::get({numbers}, Float32Type::get(kernel.getContext())));
  buffer.setBytes(numbers * 4);
  return keep;
}

LaunchOp smelt::mergeLaunches(LaunchOp first, LaunchOp second, ArrayRef<LaunchShape> shapes,
                              SymbolTable &symbols) {
  func::FuncOp kernel =
      getKernel(symbols.lookup<func::FuncOp>(first.getKernel()),
                symbols.lookup<func::FuncOp>(second.getKernel()), shapes, symbols);
  OpBuilder builder(first);
  auto both = [&](ArrayAttr a, ArrayAttr b) {
    SmallVector<Attribute> list(a.begin(), a.end());
    list.append(b.begin(), b.end());
    return builder.getArrayAttr(list);
  };
  FlatSymbolRefAttr workspace = joinWorkspaces(first, second, kernel, symbols);
  auto made = LaunchOp::create(builder, builder.getFusedLoc({first.getLoc(), second.getLoc()}),
                               FlatSymbolRefAttr::get(kernel.getSymNameAttr()),
                               both(first.getReads(), second.getReads()),
                               both(first.getWrites(), second.getWrites()), workspace,
                               builder.getStringAttr(first.getLabel() + " + " + second.getLabel()),
                               builder.getI64IntegerAttr(first.getFlops() + second.getFlops()),
                               builder.getI64IntegerAttr(first.getBytes() + second.getBytes()));
  for (StringRef name : {"smelt.steps", "smelt.refused"}) {
    llvm::SmallSetVector<Attribute, 8> all;
    for (LaunchOp part : {first, second})
      if (auto list = part->getAttrOfType<ArrayAttr>(name))
        all.insert_range(list);
    if (!all.empty())
      made->setAttr(name, builder.getArrayAttr(all.getArrayRef()));
  }
  first.erase();
  second.erase();
  return made;
}
