//===- EmitForward.cpp - The steps of a spec as lm ops --------------------===//
//
// One function per program. Steps are emitted in the order they run; every op's location is the
// step's path over the place of its key.
//
//===----------------------------------------------------------------------===//
#include "compiler/Import/FunctionEmitter.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace smelt;

void FunctionEmitter::emit() {
  Mark mark = model.forward.front().mark;
  OpBuilder::InsertPoint end(module.module.getBody(), module.module.getBody()->end());
  builder.restoreInsertionPoint(end);
  std::string name = role.str() + ".T" + std::to_string(tokens);
  auto indexVector = RankedTensorType::get({tokens}, builder.getI32Type());
  bool generates = role == "generate";
  llvm::SmallVector<Type> inputs(generates ? 2 : 3, indexVector), outputs;
  if (generates)
    outputs = {getType({tokens, model.dims.vocabRows})};
  else
    outputs = {getType({}), getType({})};
  auto function = func::FuncOp::create(builder, locate("forward", mark), name,
                                       builder.getFunctionType(inputs, outputs));
  function->setAttr("smelt.role", builder.getStringAttr(role));
  function->setAttr("smelt.tokens", builder.getI64IntegerAttr(tokens));
  module.declareBefore(function);
  Block *body = function.addEntryBlock();
  builder.setInsertionPointToStart(body);
  tokenInput = body->getArgument(0);
  targets = generates ? Value() : body->getArgument(1);
  documentStart = body->getArgument(generates ? 1 : 2);
  runList(model.forward, Value(), {"forward", "forward", -1, Value()});
  func::ReturnOp::create(builder, function.getLoc(), results);
}

std::string FunctionEmitter::makePath(const Step &step, const Site &site,
                                      llvm::StringMap<int> &seen) {
  // Inside 'layers' a step is called by its layer and key, elsewhere by its place in its list.
  if (site.prefix != "layers." + std::to_string(site.layer))
    return site.path + "[" + std::to_string(step.index) + "]." + step.label;
  int count = ++seen[step.label];
  return site.path + "." + step.label + (count > 1 ? "#" + std::to_string(count) : "");
}

Value FunctionEmitter::runList(const StepList &steps, Value x, const Site &site) {
  llvm::StringMap<int> seen;
  for (const Step &step : steps) {
    if (!step.runsIn(site.layer))
      continue;
    path = makePath(step, site, seen);
    x = runStep(step, x, site);
  }
  return x;
}

Value FunctionEmitter::runStep(const Step &step, Value x, const Site &site) {
  return std::visit([&](const auto &op) { return emitOp(op, step, x, site); }, step.op);
}

Value FunctionEmitter::makeScalar(double value, Location loc) {
  Value &constant =
      constants[std::to_string(value) + "|" + llvm::utohexstr(llvm::bit_cast<uint64_t>(value))];
  if (!constant)
    constant = lm::ConstantOp::create(builder, loc, getType({}), value);
  return constant;
}

Value FunctionEmitter::makeIndexScalar(int64_t value, Location loc) {
  Value &constant = constants["i" + std::to_string(value)];
  if (!constant) {
    auto type = RankedTensorType::get({}, builder.getI32Type());
    auto splat = DenseElementsAttr::get(type, builder.getI32IntegerAttr(value));
    constant = lm::ConstantOp::create(builder, loc, type, cast<ElementsAttr>(splat));
  }
  return constant;
}

Value FunctionEmitter::readStored(const std::string &name, llvm::ArrayRef<int64_t> shape,
                                  const Init &init, int64_t fanIn, DType dtype, Location loc,
                                  Mark mark) {
  Value &read = reads[name];
  if (!read) {
    RankedTensorType type = module.getParameter(name, shape, init, fanIn, dtype, loc, mark);
    read =
        lm::ReadOp::create(builder, loc, type, FlatSymbolRefAttr::get(builder.getContext(), name));
  }
  return read;
}

Value FunctionEmitter::castTo(DType dtype, Value value, Location loc) {
  auto type = cast<RankedTensorType>(value.getType());
  if (type.getElementType() == module.getType(dtype))
    return value;
  return lm::CastOp::create(builder, loc, type.clone(module.getType(dtype)), value);
}

Value FunctionEmitter::readParameter(const std::string &name, llvm::ArrayRef<int64_t> shape,
                                     const Init &init, int64_t fanIn, Storage storage, Location loc,
                                     Mark mark) {
  Value &value = values[name];
  if (!value) {
    value = readStored(name, shape, init, fanIn, storage.dtype, loc, mark);
    if (storage.compute)
      value = castTo(*storage.compute, value, loc);
    value = castTo(DType::F32, value, loc);
  }
  return value;
}

Value FunctionEmitter::readSetting(const std::string &name, RankedTensorType type, Location loc) {
  Value &setting = settings[name];
  if (!setting)
    setting = lm::SettingOp::create(builder, loc, type,
                                    FlatSymbolRefAttr::get(builder.getContext(), name));
  return setting;
}

Value FunctionEmitter::emitCoefficient(const Coefficient &coefficient, int64_t layer,
                                       const std::string &path) {
  Location loc = locate(path, coefficient.mark);
  Value value;
  if (coefficient.scalar.empty()) {
    value = makeScalar(coefficient.constant, loc);
  } else {
    const Scalar &scalar = *model.findScalar(coefficient.scalar);
    std::string name = "scalars." + scalar.name;
    if (coefficient.perLayer)
      name += "." + std::to_string(coefficient.layer.value_or(layer));
    value = readParameter(name, {}, {Init::Kind::Constant, scalar.init}, 1, Storage(), loc,
                          scalar.mark);
  }
  if (coefficient.function)
    value = lm::UnaryOp::create(builder, loc, *coefficient.function, value);
  return value;
}

Value FunctionEmitter::emitEmbedding(const Embedding &table, int64_t index, Location loc) {
  int64_t width = model.dims.model;
  Value rows = readStored(table.parameterName(index), {table.rows, width}, table.init, width,
                          table.dtype, loc, table.mark);
  // The rows are cast, not the table.
  auto type = RankedTensorType::get({tokens, width}, module.getType(table.dtype));
  return castTo(DType::F32, lm::EmbeddingOp::create(builder, loc, type, rows, tokenInput), loc);
}

Value FunctionEmitter::emitOp(const EmbedStep &op, const Step &step, Value, const Site &) {
  return emitEmbedding(*model.findEmbedding(op.table), 0, locate(path, step.mark));
}

Value FunctionEmitter::emitOp(const RMSNormStep &op, const Step &step, Value x, const Site &) {
  return lm::RMSNormOp::create(builder, locate(path, step.mark), x,
                               builder.getF64FloatAttr(op.eps));
}

Value FunctionEmitter::emitOp(const ScaleStep &op, const Step &step, Value x, const Site &site) {
  Value factor = emitCoefficient(op.coefficient, site.layer, path);
  return lm::ScaleOp::create(builder, locate(path, step.mark), x, factor);
}

Value FunctionEmitter::emitOp(const MixStep &op, const Step &step, Value x, const Site &site) {
  llvm::SmallVector<Value> values, coefficients;
  for (auto &[name, coefficient] : op.terms) {
    values.push_back(name == "x" ? x : saved.lookup(name));
    coefficients.push_back(emitCoefficient(coefficient, site.layer, path));
  }
  return lm::MixOp::create(builder, locate(path, step.mark), x.getType(), values, coefficients);
}

Value FunctionEmitter::emitOp(const SaveStep &op, const Step &step, Value x, const Site &site) {
  std::string own = path;
  Site inner = site;
  inner.path = own;
  inner.prefix = site.prefix + "." + std::to_string(step.index) + ".save";
  saved[op.name] = runList(op.steps, x, inner);
  return x;
}

Value FunctionEmitter::emitGate(const GateSpec &gate, Value input, int64_t count,
                                const Site &site) {
  Location loc = locate(path + ".gate", gate.mark);
  // The caller's site already names the step.
  Value w = readParameter(site.prefix + ".gate", {count, gate.features}, gate.init, gate.features,
                          Storage{gate.dtype, std::nullopt}, loc, gate.mark);
  return lm::GateOp::create(builder, loc, getType({tokens, count}), input, w);
}

Value FunctionEmitter::emitOp(const TokenShiftStep &op, const Step &step, Value x,
                              const Site &site) {
  Value scale, gate, documents;
  if (op.scale)
    scale = emitCoefficient(*op.scale, site.layer, path);
  if (op.gate) {
    Site own = site;
    own.prefix += "." + std::to_string(step.index);
    gate = emitGate(*op.gate, site.gateInput ? site.gateInput : x, 1, own);
  }
  if (op.documents == lm::DocumentRule::mask)
    documents = documentStart;
  MLIRContext *context = builder.getContext();
  return lm::TokenShiftOp::create(
      builder, locate(path, step.mark), x.getType(), x, scale, gate, documents,
      lm::ShiftModeAttr::get(context, op.mode), builder.getDenseI64ArrayAttr(op.features),
      builder.getDenseI64ArrayAttr(op.heads), builder.getI64IntegerAttr(op.distance),
      lm::DocumentRuleAttr::get(context, op.documents));
}

Value FunctionEmitter::emitOp(const RopeStep &, const Step &step, Value x, const Site &) {
  if (!ropeTable) {
    Location loc = locate("rope", model.rope.mark);
    auto type =
        RankedTensorType::get({tokens, model.dims.head}, module.getType(model.rope.compute));
    ropeTable = lm::RopeTableOp::create(builder, loc, type, emitFrequencies(loc));
    ropeTable = castTo(DType::F32, ropeTable, loc);
  }
  return lm::RopeOp::create(builder, locate(path, step.mark), x.getType(), x, ropeTable,
                            model.rope.restartsAtDocuments ? documentStart : Value(),
                            /*inverse=*/false);
}

/// A constant, or under YaRN a setting: a row of frequencies for each stretch of steps.
Value FunctionEmitter::emitFrequencies(Location loc) {
  auto type = getType({static_cast<int64_t>(model.rope.frequencies.size())});
  if (model.rope.yarn) {
    std::vector<Piece> pieces = makeYarnFrequencies(module.spec.training, model.rope);
    if (pieces.size() > 1) {
      module.getSchedule("rope.frequencies", builder.getF32Type(), pieces, loc);
      return readSetting("rope.frequencies", type, loc);
    }
  }
  llvm::SmallVector<float> rounded(model.rope.frequencies.begin(), model.rope.frequencies.end());
  auto values = DenseElementsAttr::get(type, llvm::ArrayRef<float>(rounded));
  return lm::ConstantOp::create(builder, loc, type, cast<ElementsAttr>(values));
}

Value FunctionEmitter::emitOp(const GateStep &op, const Step &step, Value x, const Site &site) {
  Site own = site;
  own.prefix += "." + std::to_string(step.index);
  std::string stepPath = path;
  Value g = emitGate(op.gate, site.gateInput ? site.gateInput : x,
                     op.perHead ? model.dims.heads : 1, own);
  return lm::RowScaleOp::create(builder, locate(stepPath, step.mark), x, g);
}

Value FunctionEmitter::emitOp(const ActivationStep &op, const Step &step, Value x, const Site &) {
  return lm::UnaryOp::create(builder, locate(path, step.mark), op.kind, x);
}

Value FunctionEmitter::emitOp(const AddEmbeddingStep &op, const Step &step, Value x,
                              const Site &site) {
  int64_t index = op.index;
  if (!op.byLayer.empty()) {
    auto it = op.byLayer.find(site.layer);
    if (it == op.byLayer.end())
      return x;
    index = it->second;
  }
  Location loc = locate(path, step.mark);
  Value rows = emitEmbedding(*model.findEmbedding(op.table), index, loc);
  if (rows.getType() != x.getType())
    rows = lm::ReshapeOp::create(builder, loc, x.getType(), rows);
  if (!op.scale || op.scale->isConstantOne())
    return lm::AddOp::create(builder, loc, x.getType(), x, rows);
  Value one = makeScalar(1.0, loc);
  Value factor = emitCoefficient(*op.scale, site.layer, path);
  return lm::MixOp::create(builder, loc, x.getType(), ValueRange{x, rows}, ValueRange{one, factor});
}

Value FunctionEmitter::emitOp(const LayersStep &op, const Step &step, Value x, const Site &site) {
  std::string own = "forward[" + std::to_string(step.index) + "].layers";
  for (int64_t layer = 0; layer < model.dims.layers; ++layer) {
    std::string number = std::to_string(layer);
    x = runList(op.steps, x, {own + "[" + number + "]", "layers." + number, layer, Value()});
  }
  return x;
}

void smelt::emitProgram(ModuleEmitter &emitter, llvm::StringRef role, int64_t tokens) {
  FunctionEmitter(emitter, role, tokens).emit();
}
