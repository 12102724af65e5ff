//===- OutlineKernels.cpp - Kernel ops become functions and calls ---------===//
//
//   func.func @train(…) {                      func.func @train(…) {
//     %1 = kernel.gemm a(%x) b(%w) …     →       %1 = call @kernel_0(%x, %w) {smelt.label = "gemm
//     …", smelt.steps = […], …} %2 = kernel.gemm a(%1) b(%v) …             %2 = call @kernel_0(%1,
//     %v) …   // same types and regions: the same kernel
//   }                                          }
//                                              func.func private @kernel_0(%0, %1) { %2 =
//                                              kernel.gemm a(%0) b(%1) …  return %2 }
//
// A launch keeps the fused locations of everything in it; the function has those of its first
// launch. Operands that are the same value become one argument. Two kernels are the same when they
// print alike without locations.
//
//===----------------------------------------------------------------------===//
#include "compiler/Transforms/Fusion/CountKernel.h"
#include "compiler/Transforms/Fusion/DescribeKernel.h"
#include "compiler/Transforms/Fusion/MergeKernels.h"
#include "compiler/Transforms/Fusion/Passes.h"

#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringMap.h"

namespace smelt {
#define GEN_PASS_DEF_OUTLINEKERNELSPASS
#include "compiler/Transforms/Fusion/Passes.h.inc"
} // namespace smelt

using namespace mlir;
using namespace mlir::kernel;

/// Every location in the kernel op, once each.
static Location fuseLocations(Operation *kernel) {
  llvm::SetVector<Location> locations;
  std::function<void(Location)> add = [&](Location loc) {
    if (auto fused = dyn_cast<FusedLoc>(loc))
      for (Location part : fused.getLocations())
        add(part);
    else if (!isa<UnknownLoc>(loc))
      locations.insert(loc);
  };
  add(kernel->getLoc());
  kernel->walk([&](Operation *inner) {
    if (!isa<YieldOp, lm::ConstantOp>(inner))
      add(inner->getLoc());
  });
  return FusedLoc::get(kernel->getContext(), locations.getArrayRef());
}

/// A private function, not yet in a module, that holds a copy of `kernel`.
static func::FuncOp buildKernelFunction(Operation *kernel, ArrayRef<Value> inputs) {
  OpBuilder builder(kernel->getContext());
  auto type = builder.getFunctionType(ValueRange(inputs).getTypes(), kernel->getResultTypes());
  auto function = func::FuncOp::create(kernel->getLoc(), "kernel", type);
  function.setPrivate();
  Block *block = function.addEntryBlock();
  builder.setInsertionPointToEnd(block);
  IRMapping map;
  map.map(inputs, block->getArguments());
  Operation *copy = builder.clone(*kernel, map);
  copy->removeDiscardableAttr("smelt.refused");
  copy->removeDiscardableAttr(smelt::storedAttribute);
  func::ReturnOp::create(builder, kernel->getLoc(), copy->getResults());
  return function;
}

/// The function's text without locations and names: equal for kernels that compute the same.
static std::string printForComparison(func::FuncOp function) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  // Whole tables: two kernels that differ in a constant are two.
  function->print(stream, OpPrintingFlags().printGenericOpForm().useLocalScope());
  return text;
}

/// One remark per fusion that was tried for this kernel and refused, at the spec step; `told` holds
/// those of other programs' launches.
static void remarkRefusals(Operation *kernel,
                           llvm::DenseSet<std::pair<Attribute, Attribute>> &told) {
  if (auto refused = kernel->getAttrOfType<ArrayAttr>("smelt.refused"))
    for (auto reason : refused.getAsRange<StringAttr>())
      if (told.insert({LocationAttr(kernel->getLoc()), reason}).second)
        emitRemark(kernel->getLoc()) << "missed fusion " << reason.getValue();
}

static func::CallOp buildCall(Operation *kernel, func::FuncOp function, ArrayRef<Value> inputs,
                              smelt::KernelCounts counts) {
  OpBuilder builder(kernel);
  auto call = func::CallOp::create(builder, fuseLocations(kernel), function, inputs);
  llvm::SetVector<StringAttr> steps = smelt::collectSteps(kernel);
  call->setAttr("smelt.label", builder.getStringAttr(smelt::describeKernel(kernel)));
  call->setAttr("smelt.steps",
                builder.getArrayAttr(SmallVector<Attribute>(steps.begin(), steps.end())));
  call->setAttr("smelt.flops", builder.getI64IntegerAttr(counts.flops));
  call->setAttr("smelt.bytes", builder.getI64IntegerAttr(counts.bytes));
  if (Attribute refused = kernel->getDiscardableAttr("smelt.refused"))
    call->setAttr("smelt.refused", refused);
  return call;
}

namespace {
struct OutlineKernelsPass : smelt::impl::OutlineKernelsPassBase<OutlineKernelsPass> {
  using OutlineKernelsPassBase::OutlineKernelsPassBase;

  void runOnOperation() override {
    SmallVector<Operation *> work;
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (!function.isPrivate())
        for (Operation &op : function.getOps())
          if (isa<KernelOpInterface>(op))
            work.push_back(&op);
    SymbolTable symbols(getOperation());
    SmallVector<smelt::KernelCounts> counts; // Before kernels that others' counts look at are gone.
    for (Operation *kernel : work)
      counts.push_back(smelt::countKernel(kernel, symbols));
    llvm::StringMap<func::FuncOp> known;
    llvm::DenseSet<std::pair<Attribute, Attribute>> told;
    for (auto [kernel, count] : llvm::zip(work, counts)) {
      if (remarks)
        remarkRefusals(kernel, told);
      llvm::SetVector<Value> inputs(kernel->operand_begin(), kernel->operand_end());
      func::FuncOp function = buildKernelFunction(kernel, inputs.getArrayRef());
      auto [entry, isNew] = known.try_emplace(printForComparison(function), function);
      if (isNew) {
        // A statistic does not count from 0: the names need a number of their own.
        function.setName("kernel_" + std::to_string(known.size() - 1));
        symbols.insert(function);
        ++kernels;
      } else {
        function.erase();
      }
      auto call = buildCall(kernel, entry->second, inputs.getArrayRef(), count);
      kernel->replaceAllUsesWith(call.getResults());
      kernel->erase();
      ++launches;
    }
  }
};
} // namespace
