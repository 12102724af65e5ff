//===- FunctionEmitter.h - One program of a spec as lm ops ------*- C++ -*-===//
#ifndef SMELT_COMPILER_IMPORT_FUNCTIONEMITTER_H
#define SMELT_COMPILER_IMPORT_FUNCTIONEMITTER_H

#include "compiler/Import/EmitModule.h"

namespace smelt {

/// Where a step list stands: what its steps are called and what they may read.
struct Site {
  std::string path;   // "forward[4].layers[3].attention.k": of locations
  std::string prefix; // "layers.3.attention.k": of parameter names
  int64_t layer = -1;
  /// What gates read: attention's input inside its lists, otherwise the stream itself (null).
  mlir::Value gateInput;
};

/// Emits one program. Steps on one tensor are in EmitForward.cpp, the blocks (attention, mlp, head)
/// in EmitBlocks.cpp.
class FunctionEmitter {
public:
  FunctionEmitter(ModuleEmitter &module, llvm::StringRef role, int64_t tokens)
      : module(module), model(module.spec.model), builder(module.module.getContext()), role(role),
        tokens(tokens) {}

  void emit();

private:
  /// The op key with a number behind it when an earlier step of the same list, run before, has the
  /// same key.
  std::string makePath(const Step &step, const Site &site, llvm::StringMap<int> &seen);
  mlir::Value runList(const StepList &steps, mlir::Value x, const Site &site);
  mlir::Value runStep(const Step &step, mlir::Value x, const Site &site);

  mlir::Value emitOp(const EmbedStep &op, const Step &step, mlir::Value x, const Site &site);
  mlir::Value emitOp(const RMSNormStep &op, const Step &step, mlir::Value x, const Site &site);
  mlir::Value emitOp(const ScaleStep &op, const Step &step, mlir::Value x, const Site &site);
  mlir::Value emitOp(const MixStep &op, const Step &step, mlir::Value x, const Site &site);
  mlir::Value emitOp(const SaveStep &op, const Step &step, mlir::Value x, const Site &site);
  mlir::Value emitOp(const TokenShiftStep &op, const Step &step, mlir::Value x, const Site &site);
  mlir::Value emitOp(const RopeStep &op, const Step &step, mlir::Value x, const Site &site);
  mlir::Value emitOp(const GateStep &op, const Step &step, mlir::Value x, const Site &site);
  mlir::Value emitOp(const ActivationStep &op, const Step &step, mlir::Value x, const Site &site);
  mlir::Value emitOp(const AddEmbeddingStep &op, const Step &step, mlir::Value x, const Site &site);
  mlir::Value emitOp(const LayersStep &op, const Step &step, mlir::Value x, const Site &site);
  mlir::Value emitOp(const AttentionStep &op, const Step &step, mlir::Value x, const Site &site);
  mlir::Value emitOp(const MlpStep &op, const Step &step, mlir::Value x, const Site &site);
  mlir::Value emitOp(const HeadStep &op, const Step &step, mlir::Value x, const Site &site);

  mlir::Value emitLoss(const HeadStep &head, mlir::Value logits, const std::string &path,
                       Mark mark);
  mlir::Value emitGate(const GateSpec &gate, mlir::Value input, int64_t count, const Site &site);
  mlir::Value emitCoefficient(const Coefficient &coefficient, int64_t layer,
                              const std::string &path);
  mlir::Value emitWindow(const Window &window, std::optional<int64_t> blocks, mlir::Location loc,
                         Mark mark, const std::string &path);
  mlir::Value emitEmbedding(const Embedding &table, int64_t index, mlir::Location loc);
  /// The parameter's value in f32, rounded first to the type that its storage says.
  mlir::Value readParameter(const std::string &name, llvm::ArrayRef<int64_t> shape,
                            const Init &init, int64_t fanIn, Storage storage, mlir::Location loc,
                            Mark mark);
  mlir::Value readStored(const std::string &name, llvm::ArrayRef<int64_t> shape, const Init &init,
                         int64_t fanIn, DType dtype, mlir::Location loc, Mark mark);
  mlir::Value castTo(DType dtype, mlir::Value value, mlir::Location loc);
  mlir::Value readSetting(const std::string &name, mlir::RankedTensorType type, mlir::Location loc);
  mlir::Value emitFrequencies(mlir::Location loc);
  mlir::Value emitScale(const AttentionStep &op, mlir::Location loc);
  mlir::Value makeScalar(double value, mlir::Location loc);
  mlir::Value makeIndexScalar(int64_t value, mlir::Location loc);
  mlir::RankedTensorType getType(llvm::ArrayRef<int64_t> shape) {
    return mlir::RankedTensorType::get(shape, builder.getF32Type());
  }
  mlir::Location locate(const llvm::Twine &path, Mark mark) {
    return module.diagnostics.getLocation(path, mark);
  }

  ModuleEmitter &module;
  const ModelSpec &model;
  mlir::OpBuilder builder;
  llvm::StringRef role;
  int64_t tokens;
  mlir::Value tokenInput, targets, documentStart;
  /// Values that one function needs once: parameters read, ranges by window, the rope table,
  /// constants.
  llvm::StringMap<mlir::Value> reads, values, ranges, constants, settings;
  mlir::Value ropeTable;
  llvm::StringMap<mlir::Value> saved;
  llvm::SmallVector<mlir::Value> results;
  /// Path of the step being emitted, and how often each block has been named
  /// ("layers.3.attention").
  std::string path;
  llvm::StringMap<int> blockNames;
};

} // namespace smelt
#endif
