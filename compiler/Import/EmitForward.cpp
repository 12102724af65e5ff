//===- EmitForward.cpp - The steps of a spec as lm ops --------------------===//
//
// One function per program. Steps are emitted in the order they run; every op's location is the step's path over the place of its key.
//
//===----------------------------------------------------------------------===//
#include "compiler/Import/EmitModule.h"
#include "compiler/Import/Schedules.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace smelt;

namespace {

/// Where a step list stands: what its steps are called and what they may read.
struct Site {
  std::string path;   // "forward[4].layers[3].attention.k": of locations
  std::string prefix; // "layers.3.attention.k": of parameter names
  int64_t layer = -1;
  /// What gates read: attention's input inside its lists, otherwise the stream itself (null).
  Value gateInput;
};

class FunctionEmitter {
public:
  FunctionEmitter(ModuleEmitter &module, llvm::StringRef role, int64_t tokens)
      : module(module), model(module.spec.model), builder(module.module.getContext()), role(role), tokens(tokens) {}

  void emit();

private:
  /// The op key with a number behind it when an earlier step of the same list, run before, has the same key.
  std::string makePath(const Step &step, const Site &site, llvm::StringMap<int> &seen);
  Value runList(const StepList &steps, Value x, const Site &site);
  Value runStep(const Step &step, Value x, const Site &site);

  Value emitOp(const EmbedStep &op, const Step &step, Value x, const Site &site);
  Value emitOp(const RMSNormStep &op, const Step &step, Value x, const Site &site);
  Value emitOp(const ScaleStep &op, const Step &step, Value x, const Site &site);
  Value emitOp(const MixStep &op, const Step &step, Value x, const Site &site);
  Value emitOp(const SaveStep &op, const Step &step, Value x, const Site &site);
  Value emitOp(const TokenShiftStep &op, const Step &step, Value x, const Site &site);
  Value emitOp(const RopeStep &op, const Step &step, Value x, const Site &site);
  Value emitOp(const GateStep &op, const Step &step, Value x, const Site &site);
  Value emitOp(const ActivationStep &op, const Step &step, Value x, const Site &site);
  Value emitOp(const AddEmbeddingStep &op, const Step &step, Value x, const Site &site);
  Value emitOp(const LayersStep &op, const Step &step, Value x, const Site &site);
  Value emitOp(const AttentionStep &op, const Step &step, Value x, const Site &site);
  Value emitOp(const MlpStep &op, const Step &step, Value x, const Site &site);
  Value emitOp(const HeadStep &op, const Step &step, Value x, const Site &site);

  Value emitLoss(const HeadStep &head, Value logits, const std::string &path, Mark mark);
  Value emitGate(const GateSpec &gate, Value input, int64_t count, const Site &site);
  Value emitCoefficient(const Coefficient &coefficient, int64_t layer, const std::string &path);
  Value emitWindow(const Window &window, std::optional<int64_t> blocks, Location loc, Mark mark, const std::string &path);
  Value emitEmbedding(const Embedding &table, int64_t index, Location loc);
  Value readParameter(const std::string &name, llvm::ArrayRef<int64_t> shape, const Init &init, int64_t fanIn, Location loc,
                      Mark mark);
  Value makeScalar(double value, Location loc);
  Value makeIndexScalar(int64_t value, Location loc);
  RankedTensorType getType(llvm::ArrayRef<int64_t> shape) { return RankedTensorType::get(shape, builder.getF32Type()); }
  Location locate(const llvm::Twine &path, Mark mark) { return module.diagnostics.getLocation(path, mark); }

  ModuleEmitter &module;
  const ModelSpec &model;
  OpBuilder builder;
  llvm::StringRef role;
  int64_t tokens;
  Value tokenInput, targets, documentStart;
  /// Values that one function needs once: parameters read, ranges by window, the rope table, constants.
  llvm::StringMap<Value> reads, ranges, constants;
  Value ropeTable;
  llvm::StringMap<Value> saved;
  llvm::SmallVector<Value> results;
  /// Path of the step being emitted, and how often each block has been named ("layers.3.attention").
  std::string path;
  llvm::StringMap<int> blockNames;
};

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
  auto function = func::FuncOp::create(builder, locate("forward", mark), name, builder.getFunctionType(inputs, outputs));
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

std::string FunctionEmitter::makePath(const Step &step, const Site &site, llvm::StringMap<int> &seen) {
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
  Value &constant = constants[std::to_string(value) + "|" + llvm::utohexstr(llvm::bit_cast<uint64_t>(value))];
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

Value FunctionEmitter::readParameter(const std::string &name, llvm::ArrayRef<int64_t> shape, const Init &init, int64_t fanIn,
                                     Location loc, Mark mark) {
  Value &read = reads[name];
  if (!read) {
    RankedTensorType type = module.getParameter(name, shape, init, fanIn, loc, mark);
    read = lm::ReadOp::create(builder, loc, type, FlatSymbolRefAttr::get(builder.getContext(), name));
  }
  return read;
}

Value FunctionEmitter::emitCoefficient(const Coefficient &coefficient, int64_t layer, const std::string &path) {
  Location loc = locate(path, coefficient.mark);
  Value value;
  if (coefficient.scalar.empty()) {
    value = makeScalar(coefficient.constant, loc);
  } else {
    const Scalar &scalar = *model.findScalar(coefficient.scalar);
    std::string name = "scalars." + scalar.name;
    if (coefficient.perLayer)
      name += "." + std::to_string(coefficient.layer.value_or(layer));
    value = readParameter(name, {}, {Init::Kind::Constant, scalar.init}, 1, loc, scalar.mark);
  }
  if (coefficient.function)
    value = lm::UnaryOp::create(builder, loc, *coefficient.function, value);
  return value;
}

Value FunctionEmitter::emitEmbedding(const Embedding &table, int64_t index, Location loc) {
  int64_t width = model.dims.model;
  Value rows = readParameter(table.parameterName(index), {table.rows, width}, table.init, width, loc, table.mark);
  return lm::EmbeddingOp::create(builder, loc, getType({tokens, width}), rows, tokenInput);
}

Value FunctionEmitter::emitOp(const EmbedStep &op, const Step &step, Value, const Site &) {
  return emitEmbedding(*model.findEmbedding(op.table), 0, locate(path, step.mark));
}

Value FunctionEmitter::emitOp(const RMSNormStep &op, const Step &step, Value x, const Site &) {
  return lm::RMSNormOp::create(builder, locate(path, step.mark), x, builder.getF64FloatAttr(op.eps));
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

Value FunctionEmitter::emitGate(const GateSpec &gate, Value input, int64_t count, const Site &site) {
  Location loc = locate(path + ".gate", gate.mark);
  // The caller's site already names the step.
  Value w = readParameter(site.prefix + ".gate", {count, gate.features}, gate.init, gate.features, loc, gate.mark);
  return lm::GateOp::create(builder, loc, getType({tokens, count}), input, w);
}

Value FunctionEmitter::emitOp(const TokenShiftStep &op, const Step &step, Value x, const Site &site) {
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
  return lm::TokenShiftOp::create(builder, locate(path, step.mark), x.getType(), x, scale, gate, documents,
                                  lm::ShiftModeAttr::get(context, op.mode), builder.getDenseI64ArrayAttr(op.features),
                                  builder.getDenseI64ArrayAttr(op.heads), builder.getI64IntegerAttr(op.distance),
                                  lm::DocumentRuleAttr::get(context, op.documents));
}

Value FunctionEmitter::emitOp(const RopeStep &, const Step &step, Value x, const Site &) {
  if (!ropeTable) {
    Location loc = locate("rope", model.rope.mark);
    auto type = getType({static_cast<int64_t>(model.rope.frequencies.size())});
    auto values = DenseElementsAttr::get(type, llvm::ArrayRef<float>(model.rope.frequencies));
    Value frequencies = lm::ConstantOp::create(builder, loc, type, cast<ElementsAttr>(values));
    ropeTable = lm::RopeTableOp::create(builder, loc, getType({tokens, model.dims.head}), frequencies);
  }
  return lm::RopeOp::create(builder, locate(path, step.mark), x.getType(), x, ropeTable,
                            model.rope.restartsAtDocuments ? documentStart : Value(), /*inverse=*/false);
}

Value FunctionEmitter::emitOp(const GateStep &op, const Step &step, Value x, const Site &site) {
  Site own = site;
  own.prefix += "." + std::to_string(step.index);
  std::string stepPath = path;
  Value g = emitGate(op.gate, site.gateInput ? site.gateInput : x, op.perHead ? model.dims.heads : 1, own);
  return lm::RowScaleOp::create(builder, locate(stepPath, step.mark), x, g);
}

Value FunctionEmitter::emitOp(const ActivationStep &op, const Step &step, Value x, const Site &) {
  return lm::UnaryOp::create(builder, locate(path, step.mark), op.kind, x);
}

Value FunctionEmitter::emitOp(const AddEmbeddingStep &op, const Step &step, Value x, const Site &site) {
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

Value FunctionEmitter::emitWindow(const Window &window, std::optional<int64_t> blocks, Location loc, Mark mark,
                                  const std::string &path) {
  std::string key = window.setting + "|" + std::to_string(window.tokens) + "|" + std::to_string(blocks.value_or(0));
  Value &range = ranges[key];
  if (range)
    return range;
  Value width;
  if (window.setting.empty()) {
    width = makeIndexScalar(window.tokens, loc);
  } else {
    llvm::StringRef name = llvm::StringRef(window.setting).drop_front(7);
    module.getSchedule(window.setting, builder.getI32Type(),
                       makeStageSchedule(module.spec.training.stages,
                                         [&](const Stage &stage) { return double(stage.windows.at(name.str())); }),
                       loc);
    width = lm::SettingOp::create(builder, loc, RankedTensorType::get({}, builder.getI32Type()),
                                  FlatSymbolRefAttr::get(builder.getContext(), window.setting));
  }
  range = lm::AttentionRangeOp::create(builder, loc, documentStart.getType(), documentStart, width,
                                       blocks ? builder.getI64IntegerAttr(*blocks) : IntegerAttr());
  return range;
}

/// "layers.3.attention", with a number behind a second one in the same layer; outside layers by the step's place.
static std::string nameBlock(const Site &site, const Step &step, llvm::StringMap<int> &names) {
  if (site.layer < 0)
    return site.prefix + "." + std::to_string(step.index) + "." + step.label;
  std::string name = site.prefix + "." + step.label;
  int count = ++names[name];
  return count > 1 ? name + "_" + std::to_string(count) : name;
}

Value FunctionEmitter::emitOp(const AttentionStep &op, const Step &step, Value x, const Site &site) {
  const Dims &d = model.dims;
  int64_t width = d.heads * d.head;
  std::string own = path, name = nameBlock(site, step, blockNames);
  Location loc = locate(own, step.mark);
  Value u = runList(op.input, x, {own + ".input", name + ".input", site.layer, Value()});

  Value weight = readParameter(name + ".qkv", {3 * width, d.model}, op.qkvInit, d.model, loc, step.mark);
  Value qkv = lm::MatmulOp::create(builder, loc, getType({tokens, 3 * width}), u, weight, /*transpose_a=*/false,
                                   /*transpose_b=*/true);
  // A factor on the weight is a factor on the product.
  if (op.qkvScale)
    qkv = lm::ScaleOp::create(builder, loc, qkv, emitCoefficient(*op.qkvScale, site.layer, own + ".weight_scale.qkv"));
  Type part = getType({tokens, width}), headsType = getType({tokens, d.heads, d.head});
  auto split = lm::SplitOp::create(builder, loc, TypeRange{part, part, part}, qkv);
  auto runHeads = [&](unsigned i, const StepList &steps, llvm::StringRef list) -> Value {
    Value heads = lm::ReshapeOp::create(builder, loc, headsType, split.getResult(i));
    return runList(steps, heads, {own + "." + list.str(), name + "." + list.str(), site.layer, u});
  };
  Value q = runHeads(0, op.q, "q"), k = runHeads(1, op.k, "k"), v = runHeads(2, op.v, "v");

  const Window &window = op.windows[site.layer < 0 ? 0 : site.layer];
  Value first = emitWindow(window, op.blocks, loc, step.mark, own);
  Value scale = makeScalar(op.scale, locate(own + ".scale", op.scaleMark));
  auto attention =
      lm::AttentionOp::create(builder, loc, headsType, getType({tokens, d.heads}), q, k, v, first, scale);
  Value heads = runList(op.output, attention.getResult(), {own + ".output", name + ".output", site.layer, u});
  Value joined = lm::ReshapeOp::create(builder, loc, part, heads);
  Value outWeight = readParameter(name + ".out", {d.model, width}, op.outInit, width, loc, step.mark);
  Value y = lm::MatmulOp::create(builder, loc, x.getType(), joined, outWeight, false, true);
  if (op.outScale)
    y = lm::ScaleOp::create(builder, loc, y, emitCoefficient(*op.outScale, site.layer, own + ".weight_scale.out"));
  return lm::AddOp::create(builder, loc, x.getType(), x, y);
}

Value FunctionEmitter::emitOp(const MlpStep &op, const Step &step, Value x, const Site &site) {
  std::string own = path, name = nameBlock(site, step, blockNames);
  Location loc = locate(own, step.mark);
  int64_t width = model.dims.model;
  Value u = runList(op.input, x, {own + ".input", name + ".input", site.layer, Value()});
  Value up = readParameter(name + ".up", {op.hidden, width}, op.upInit, width, loc, step.mark);
  Value hidden = lm::MatmulOp::create(builder, loc, getType({tokens, op.hidden}), u, up, false, true);
  hidden = lm::UnaryOp::create(builder, loc, op.activation, hidden);
  Value down = readParameter(name + ".down", {width, op.hidden}, op.downInit, op.hidden, loc, step.mark);
  Value y = lm::MatmulOp::create(builder, loc, x.getType(), hidden, down, false, true);
  y = runList(op.output, y, {own + ".output", name + ".output", site.layer, Value()});
  return lm::AddOp::create(builder, loc, x.getType(), x, y);
}

Value FunctionEmitter::emitOp(const HeadStep &op, const Step &step, Value x, const Site &) {
  std::string own = path;
  Location loc = locate(own, step.mark);
  const Dims &d = model.dims;
  Value u = runList(op.input, x, {own + ".input", "head.input", -1, Value()});
  Value weight = readParameter("head", {d.vocabRows, d.model}, op.init, d.model, loc, step.mark);
  Value logits = lm::MatmulOp::create(builder, loc, getType({tokens, d.vocabRows}), u, weight, false, true);
  if (op.softcap)
    logits = lm::SoftcapOp::create(builder, locate(own + ".softcap", op.softcapMark),
                                   lm::SoftcapKindAttr::get(builder.getContext(), *op.softcap), logits,
                                   builder.getF64FloatAttr(op.amplitude), builder.getF64FloatAttr(op.temperature));
  if (role == "generate")
    results = {logits};
  else
    emitLoss(op, logits, own, step.mark);
  return x;
}

/// The objective of a micro-batch is its share of the step's: a mean over the step's tokens, or their sum.
Value FunctionEmitter::emitLoss(const HeadStep &head, Value logits, const std::string &path, Mark mark) {
  Location loc = locate(path + ".loss", head.lossMark);
  auto perToken = RankedTensorType::get({tokens}, builder.getF32Type());
  auto loss = lm::CrossEntropyOp::create(builder, loc, perToken, perToken, logits, targets);
  Value sum = lm::SumOp::create(builder, loc, getType({}), loss.getLoss());
  Value objective = sum;
  if (!head.sum) {
    Value count = lm::CountOp::create(builder, loc, getType({}), targets);
    objective = lm::ScaleOp::create(builder, loc, sum, lm::UnaryOp::create(builder, loc, lm::UnaryKind::reciprocal, count));
    // With several micro-batches their means are averaged.
    const TrainingSpec &training = module.spec.training;
    auto share = [&](const Stage &stage) { return double(training.microTokens(stage)) / double(stage.tokens); };
    std::vector<Segment> shares = makeStageSchedule(training.stages, share);
    if (role == "train" && shares.size() > 1) {
      module.getSchedule("micro_batch_share", builder.getF32Type(), shares, loc);
      Value setting = lm::SettingOp::create(builder, loc, getType({}),
                                            FlatSymbolRefAttr::get(builder.getContext(), "micro_batch_share"));
      objective = lm::ScaleOp::create(builder, loc, objective, setting);
    } else if (role == "train" && shares.front().value != 1) {
      objective = lm::ScaleOp::create(builder, loc, objective, makeScalar(shares.front().value, loc));
    }
  }
  results = {objective, sum};
  return objective;
}

} // namespace

void smelt::emitProgram(ModuleEmitter &emitter, llvm::StringRef role, int64_t tokens) {
  FunctionEmitter(emitter, role, tokens).emit();
}
