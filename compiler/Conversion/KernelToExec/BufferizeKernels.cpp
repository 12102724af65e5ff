//===- BufferizeKernels.cpp - Programs on tensors to launches on buffers --===//
//
// Makes the buffers that all programs share, then one exec.program per function with a role (BufferizeProgram.cpp). IR before and after:
// Passes.td.
//
//===----------------------------------------------------------------------===//
#include "compiler/Conversion/KernelToExec/BufferizeProgram.h"
#include "compiler/Conversion/KernelToExec/Passes.h"

using namespace mlir;

namespace smelt {
#define GEN_PASS_DEF_BUFFERIZEKERNELSPASS
#include "compiler/Conversion/KernelToExec/Passes.h.inc"
} // namespace smelt

using namespace smelt;
using exec::BufferKind;

namespace {

void createParameters(ModuleOp module, Storage &storage, SharedBuffers &shared) {
  Builder builder(module.getContext());
  for (auto op : module.getOps<lm::ParameterOp>()) {
    Storage::Place place = storage.createBuffer(BufferKind::parameter, op.getSymName(), op.getType(), op.getLoc());
    place.setInitAttr(builder.getStringAttr(lm::stringifyEnum(op.getInit())));
    place.setInitValueAttr(op.getInitValueAttr());
    shared.tensors[op.getSymNameAttr()] = place;
  }
}

void createStates(ModuleOp module, Storage &storage, SharedBuffers &shared, bool derived) {
  for (auto op : module.getOps<train::StateOp>())
    if (op.getDerived() == derived)
      shared.tensors[op.getSymNameAttr()] = storage.createBuffer(derived ? BufferKind::workspace : BufferKind::state, op.getSymName(), op.getType(), op.getLoc());
}

void createGradients(ModuleOp module, Storage &storage, SharedBuffers &shared) {
  llvm::DenseMap<StringAttr, Location> wanted;
  module.walk([&](Operation *op) {
    if (auto gradient = dyn_cast<train::GradientOp>(op))
      wanted.try_emplace(gradient.getParameterAttr().getAttr(), op->getLoc());
    else if (auto read = dyn_cast<train::ReadGradientOp>(op))
      wanted.try_emplace(read.getParameterAttr().getAttr(), op->getLoc());
  });
  for (auto op : module.getOps<lm::ParameterOp>())
    if (auto it = wanted.find(op.getSymNameAttr()); it != wanted.end())
      shared.gradients[op.getSymNameAttr()] = storage.createBuffer(BufferKind::gradient, ("gradient." + op.getSymName()).str(), op.getType(), it->second);
}

struct BufferizeKernelsPass : smelt::impl::BufferizeKernelsPassBase<BufferizeKernelsPass> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    SymbolTable symbols(module);
    Storage storage(module);
    SharedBuffers shared;
    createParameters(module, storage, shared);
    createStates(module, storage, shared, /*derived=*/false);
    createGradients(module, storage, shared);
    createStates(module, storage, shared, /*derived=*/true);

    SmallVector<func::FuncOp> programs;
    for (auto function : module.getOps<func::FuncOp>())
      if (function->hasAttr("smelt.role"))
        programs.push_back(function);
    BufferizationCounts counts;
    for (func::FuncOp program : programs)
      if (failed(bufferizeProgram(program, symbols, storage, shared, counts)))
        return signalPassFailure();
    eraseSources(module, programs);
    launches += counts.launches;
    inPlace += counts.inPlace;
    copies += counts.copies;
  }

  static void eraseSources(ModuleOp module, ArrayRef<func::FuncOp> programs) {
    for (func::FuncOp program : programs)
      program.erase();
    for (Operation &op : llvm::make_early_inc_range(module.getOps()))
      if (isa<lm::ParameterOp, train::StateOp>(op))
        op.erase();
  }
};

} // namespace
