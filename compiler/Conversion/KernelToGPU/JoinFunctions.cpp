//===- JoinFunctions.cpp - Launches of independent kernels as one ---------===//
//
//   llvm.func @a(%p) { … }          // 132 blocks
//   llvm.func @b(%q) { … }          // 264 blocks
// become
//   llvm.func @a(%p, %q) {          // 396 blocks
//     if block < 132 { a's body }
//     else { b's body, which sees itself as block − 132 of 264 }
//   }
//
//===----------------------------------------------------------------------===//
#include "compiler/Conversion/KernelToGPU/JoinFunctions.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

using namespace mlir;

namespace smelt {

/// Where the driver lays parameters: each at a multiple of its alignment.
static int64_t countParameterBytes(const GPULaunch &launch) {
  int64_t bytes = 0;
  for (const GPUParameter &parameter : launch.parameters) {
    bool isMap = parameter.kind == GPUParameter::Kind::TensorMap;
    bytes = llvm::alignTo(bytes, isMap ? 64 : 8);
    bytes += isMap ? 128 : 8 * int64_t(parameter.arguments.size());
  }
  return bytes;
}

LaunchShape getShape(const GPULaunch &launch) {
  bool isLine = launch.grid[1] == 1 && launch.grid[2] == 1 && launch.cluster == 1;
  return {launch.threads, isLine ? launch.grid[0] : 0, launch.sharedBytes, launch.staticSharedBytes,
          countParameterBytes(launch)};
}

/// Clones the body of `from`, except its return, to where `b` stands. Its first block is number
/// `firstBlock` of the grid.
static void cloneBody(ImplicitLocOpBuilder &b, LLVM::LLVMFuncOp from, IRMapping &map, Value block,
                      int64_t firstBlock, int64_t blocks) {
  assert(llvm::hasSingleElement(from.getBody()) && "generated functions have structured bodies");
  Value first = arith::ConstantOp::create(b, b.getI32IntegerAttr(firstBlock));
  Value mine = firstBlock ? arith::SubIOp::create(b, block, first).getResult() : block;
  Value count = arith::ConstantOp::create(b, b.getI32IntegerAttr(blocks));
  auto find = [&](Operation *op) {
    return isa<NVVM::BlockIdXOp>(op) ? mine : isa<NVVM::GridDimXOp>(op) ? count : Value();
  };
  for (Operation &op : from.getBody().front().without_terminator()) {
    if (Value known = find(&op)) { // What is cloned later reads it.
      map.map(op.getResult(0), known);
      continue;
    }
    Operation *copy = b.clone(op, map);
    copy->walk([&](Operation *inner) {
      if (Value known = find(inner))
        inner->getResult(0).replaceAllUsesWith(known);
    });
  }
}

/// The function of both launches, in place of theirs.
static GPULaunch joinTwo(ModuleOp module, const GPULaunch &first, const GPULaunch &second) {
  auto a = module.lookupSymbol<LLVM::LLVMFuncOp>(first.symbol),
       c = module.lookupSymbol<LLVM::LLVMFuncOp>(second.symbol);
  ImplicitLocOpBuilder b(FusedLoc::get(module.getContext(), {a.getLoc(), c.getLoc()}), a);
  SmallVector<Type> types(a.getFunctionType().getParams());
  types.append(c.getFunctionType().getParams().begin(), c.getFunctionType().getParams().end());
  auto function = LLVM::LLVMFuncOp::create(
      b, first.symbol, LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(b.getContext()), types));
  SmallVector<Attribute> attributes;
  for (LLVM::LLVMFuncOp part : {a, c}) {
    ArrayAttr known = part.getArgAttrsAttr();
    for (unsigned i = 0; i < part.getFunctionType().getNumParams(); ++i)
      attributes.push_back(known ? known[i] : b.getDictionaryAttr({}));
  }
  function.setArgAttrsAttr(b.getArrayAttr(attributes));
  function.setTargetCpuAttr(a.getTargetCpuAttr());
  // Bounds that either has hold for both: the same threads, and registers as the one with more.
  for (LLVM::LLVMFuncOp part : {c, a})
    for (NamedAttribute attribute : part->getDiscardableAttrs())
      function->setDiscardableAttr(attribute.getName(), attribute.getValue());

  Block *entry = function.addEntryBlock(b);
  b.setInsertionPointToStart(entry);
  IRMapping map;
  map.map(a.getArguments(), entry->getArguments().take_front(a.getNumArguments()));
  map.map(c.getArguments(), entry->getArguments().drop_front(a.getNumArguments()));
  Value block = NVVM::BlockIdXOp::create(b, b.getI32Type());
  Value end = arith::ConstantOp::create(b, b.getI32IntegerAttr(first.grid[0]));
  Value isFirst = arith::CmpIOp::create(b, arith::CmpIPredicate::ult, block, end);
  auto branch = scf::IfOp::create(b, isFirst, /*withElseRegion=*/true);
  LLVM::ReturnOp::create(b, ValueRange());
  b.setInsertionPointToStart(branch.thenBlock());
  cloneBody(b, a, map, block, 0, first.grid[0]);
  b.setInsertionPointToStart(branch.elseBlock());
  cloneBody(b, c, map, block, first.grid[0], second.grid[0]);
  a.erase();
  c.erase();

  GPULaunch both = first;
  both.role += " + " + second.role;
  both.grid[0] += second.grid[0];
  both.persistent = false; // Each part counts on its own blocks.
  both.sharedBytes = std::max(first.sharedBytes, second.sharedBytes);
  both.staticSharedBytes += second.staticSharedBytes;
  both.parameters.insert(both.parameters.end(), second.parameters.begin(), second.parameters.end());
  return both;
}

std::vector<GPULaunch> joinLaunches(ModuleOp module, std::vector<GPULaunch> first,
                                    std::vector<GPULaunch> second) {
  std::vector<LaunchShape> a, b;
  llvm::transform(first, std::back_inserter(a), getShape);
  llvm::transform(second, std::back_inserter(b), getShape);
  std::vector<GPULaunch> list;
  for (JoinedLaunch launch : matchLaunches(a, b))
    list.push_back(launch.first < 0 ? second[launch.second]
                   : launch.second < 0
                       ? first[launch.first]
                       : joinTwo(module, first[launch.first], second[launch.second]));
  return list;
}

} // namespace smelt
