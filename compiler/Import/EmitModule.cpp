//===- EmitModule.cpp - A checked spec as a module ------------------------===//
#include "compiler/Import/EmitModule.h"
#include "dialects/Train/TrainOps.h"
#include <cmath>
#include <set>

using namespace mlir;
using namespace smelt;

ModuleEmitter::ModuleEmitter(ModuleOp module, const Spec &spec, SpecDiagnostics &diagnostics)
    : module(module), spec(spec), diagnostics(diagnostics), builder(module.getContext()) {
  builder.setInsertionPointToStart(module.getBody());
}

RankedTensorType ModuleEmitter::getParameter(llvm::StringRef name, llvm::ArrayRef<int64_t> shape,
                                             const Init &init, int64_t fanIn, DType dtype,
                                             Location loc, Mark mark) {
  auto type = RankedTensorType::get(shape, getType(dtype));
  auto [entry, isNew] = parameterIndex.try_emplace(name, parameters.size());
  if (!isNew)
    return type;
  parameters.push_back({name.str(), shape.vec(), dtype, mark});
  lm::InitKind kind = lm::InitKind::constant;
  double value = init.value;
  switch (init.kind) {
  case Init::Kind::Constant:
    break;
  case Init::Kind::Uniform:
    kind = lm::InitKind::uniform;
    break;
  case Init::Kind::UniformStd:
    // The standard deviation of uniform values in [-b, b) is b/√3.
    kind = lm::InitKind::uniform;
    value = std::sqrt(3.0) * init.value / std::sqrt(static_cast<double>(fanIn));
    break;
  case Init::Kind::Normal:
    kind = lm::InitKind::normal;
    break;
  }
  lm::ParameterOp::create(builder, loc, builder.getStringAttr(name), TypeAttr::get(type),
                          lm::InitKindAttr::get(builder.getContext(), kind),
                          builder.getF64FloatAttr(value));
  return type;
}

void ModuleEmitter::getSchedule(llvm::StringRef name, Type elementType,
                                llvm::ArrayRef<Segment> segments, Location loc) {
  if (!schedules.try_emplace(name, true).second)
    return;
  llvm::SmallVector<double> flat;
  for (const Segment &s : segments)
    flat.append({static_cast<double>(s.first), static_cast<double>(s.last), s.value, s.slope});
  train::ScheduleOp::create(builder, loc, builder.getStringAttr(name),
                            TypeAttr::get(RankedTensorType::get({}, elementType)),
                            lm::NumbersAttr::get(builder.getContext(), flat));
}

void ModuleEmitter::getSchedule(llvm::StringRef name, Type elementType,
                                llvm::ArrayRef<Piece> pieces, Location loc) {
  if (!schedules.try_emplace(name, true).second)
    return;
  llvm::SmallVector<double> flat;
  for (const Piece &piece : pieces) {
    flat.append({static_cast<double>(piece.first), static_cast<double>(piece.last)});
    flat.append(piece.values.begin(), piece.values.end());
  }
  auto type =
      RankedTensorType::get({static_cast<int64_t>(pieces.front().values.size())}, elementType);
  train::ScheduleOp::create(builder, loc, builder.getStringAttr(name), TypeAttr::get(type),
                            lm::NumbersAttr::get(builder.getContext(), flat));
}

std::string ModuleEmitter::nameScale(double init, double growth) {
  auto it = llvm::find(scales, std::make_pair(init, growth));
  size_t index = it - scales.begin();
  if (it == scales.end())
    scales.push_back({init, growth});
  return index ? "attention_scale." + std::to_string(index) : "attention_scale";
}

FloatType ModuleEmitter::getType(DType dtype) {
  switch (dtype) {
  case DType::F32:
    return builder.getF32Type();
  case DType::BF16:
    return builder.getBF16Type();
  }
  llvm_unreachable("every type is listed");
}

void ModuleEmitter::emit() {
  // The programs of all stages first, in the order of their first use.
  std::set<int64_t> seen;
  for (const Stage &stage : spec.training.stages)
    if (int64_t tokens = spec.training.microTokens(stage); seen.insert(tokens).second)
      emitProgram(*this, "train", tokens);
  emitProgram(*this, "evaluate", spec.data.validationMicroBatch);
  emitProgram(*this, "generate", spec.data.sampleTokens);
  emitTraining(*this);
}
