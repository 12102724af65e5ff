//===- BuildManifest.cpp - An exec module as a manifest -------------------===//
#include "compiler/Target/Bundle/BuildManifest.h"
#include "dialects/Exec/ExecCollectives.h"
#include "dialects/Exec/ExecOps.h"
#include "dialects/Train/TrainOps.h"
#include "llvm/ADT/StringMap.h"

using namespace mlir;
using namespace smelt;

namespace {

//===- Attributes to plain values -------------------------------------------===//

std::string getText(DictionaryAttr dictionary, StringRef key) {
  auto value = dictionary.getAs<StringAttr>(key);
  return value ? value.str() : std::string();
}

int64_t getInteger(DictionaryAttr dictionary, StringRef key, int64_t otherwise = 0) {
  auto value = dictionary.getAs<IntegerAttr>(key);
  return value ? value.getInt() : otherwise;
}

DictionaryAttr getDictionary(DictionaryAttr dictionary, StringRef key) {
  auto value = dictionary.getAs<DictionaryAttr>(key);
  return value ? value : DictionaryAttr::get(dictionary.getContext());
}

std::optional<runtime::DType> getDType(Type type) {
  if (type.isF32())
    return runtime::DType::F32;
  if (type.isBF16())
    return runtime::DType::BF16;
  if (type.isF16())
    return runtime::DType::F16;
  if (type.isF64())
    return runtime::DType::F64;
  if (isa<Float8E4M3FNType>(type))
    return runtime::DType::F8E4M3;
  if (isa<Float8E5M2Type>(type))
    return runtime::DType::F8E5M2;
  if (type.isInteger(32))
    return runtime::DType::I32;
  if (type.isInteger(16))
    return runtime::DType::I16;
  return std::nullopt;
}

runtime::BufferKind getKind(exec::BufferKind kind) {
  switch (kind) {
  case exec::BufferKind::parameter:
    return runtime::BufferKind::Parameter;
  case exec::BufferKind::state:
    return runtime::BufferKind::State;
  case exec::BufferKind::gradient:
    return runtime::BufferKind::Gradient;
  case exec::BufferKind::setting:
    return runtime::BufferKind::Setting;
  case exec::BufferKind::input:
    return runtime::BufferKind::Input;
  case exec::BufferKind::output:
    return runtime::BufferKind::Output;
  case exec::BufferKind::constant:
    return runtime::BufferKind::Constant;
  case exec::BufferKind::workspace:
    return runtime::BufferKind::Workspace;
  }
  llvm_unreachable("every kind is listed");
}

runtime::Init getInit(ElementsAttr value) {
  runtime::Init init;
  auto toDouble = [](Attribute element) {
    if (auto number = dyn_cast<FloatAttr>(element))
      return number.getValueAsDouble();
    return static_cast<double>(cast<IntegerAttr>(element).getInt());
  };
  if (value.isSplat()) {
    init.kind = runtime::InitKind::Constant;
    init.value = toDouble(value.getSplatValue<Attribute>());
    return init;
  }
  init.kind = runtime::InitKind::Values;
  for (Attribute element : value.getValues<Attribute>())
    init.values.push_back(toDouble(element));
  return init;
}

//===- The manifest ---------------------------------------------------------===//

class ManifestBuilder {
public:
  explicit ManifestBuilder(ModuleOp module) : module(module), symbols(module) {
    manifest.compiler = "smelt " SMELT_VERSION;
  }

  FailureOr<runtime::Manifest> build() {
    auto arenas = module.getOps<exec::ArenaOp>();
    if (arenas.empty())
      return module.emitError("has no exec.arena: memory is not planned yet");
    manifest.arenaBytes = (*arenas.begin()).getBytes();
    for (auto buffer : module.getOps<exec::BufferOp>())
      if (failed(addBuffer(buffer)))
        return failure();
    for (auto program : module.getOps<exec::ProgramOp>())
      addProgram(program);
    for (auto run : module.getOps<train::RunOp>())
      if (failed(addRun(run)))
        return failure();
    return std::move(manifest);
  }

private:
  LogicalResult addBuffer(exec::BufferOp op) {
    auto type = cast<RankedTensorType>(op.getType());
    std::optional<runtime::DType> dtype = getDType(type.getElementType());
    if (!dtype)
      return op.emitError("has elements that a bundle cannot hold: ") << type.getElementType();
    uint32_t index = manifest.buffers.size();
    indices[op.getSymName()] = index;
    runtime::Buffer &buffer = manifest.buffers.emplace_back();
    buffer.name = op.getSymName().str();
    buffer.kind = getKind(op.getKind());
    buffer.dtype = *dtype;
    buffer.shape.assign(type.getShape().begin(), type.getShape().end());
    buffer.offset = op.getOffset();
    buffer.bytes = op.getBytes();
    if (op.getBase()) {
      auto base = indices.find(*op.getBase());
      if (base == indices.end())
        return op.emitError("comes before its base");
      buffer.base = base->second;
    }
    if (auto stride = op.getRankStride())
      buffer.rankStride = *stride;
    if (op.getPartNames())
      for (auto [part, rows] : llvm::zip_equal(op.getPartNamesAttr().getAsRange<StringAttr>(), *op.getPartRows()))
        buffer.partOf.push_back({part.str(), rows});
    if (isMaster(buffer))
      buffer.init = runtime::Init{runtime::InitKind::Master};
    if (op.getValue())
      buffer.init = getInit(*op.getValue());
    else if (op.getInit())
      return addInit(op, buffer);
    else if (FlatSymbolRefAttr source = op.getCopyOfAttr())
      return addCopy(op, source, buffer);
    else if (op.getKind() == exec::BufferKind::setting)
      return addSetting(op, index);
    return success();
  }

  /// Is it this rank's part of parameters?
  bool isMaster(const runtime::Buffer &buffer) const {
    auto whole = buffer.partOf.empty() ? indices.end() : indices.find(buffer.partOf[0].name);
    return whole != indices.end() &&
           manifest.buffers[whole->second].kind == runtime::BufferKind::Parameter;
  }

  LogicalResult addInit(exec::BufferOp op, runtime::Buffer &buffer) {
    runtime::Init init;
    init.value = op.getInitValue() ? op.getInitValue()->convertToDouble() : 0.0;
    if (*op.getInit() == "constant")
      init.kind = init.value == 0 ? runtime::InitKind::Zeros : runtime::InitKind::Constant;
    else if (*op.getInit() == "uniform")
      init.kind = runtime::InitKind::Uniform;
    else if (*op.getInit() == "normal")
      init.kind = runtime::InitKind::Normal;
    else
      return op.emitError("has the unknown init '") << *op.getInit() << "'";
    buffer.init = init;
    return success();
  }

  LogicalResult addCopy(exec::BufferOp op, FlatSymbolRefAttr source, runtime::Buffer &buffer) {
    auto parameter = indices.find(source.getValue());
    if (parameter == indices.end())
      return op.emitError("comes before the parameter that it copies");
    buffer.init = runtime::Init{runtime::InitKind::Copy};
    buffer.init->source = parameter->second;
    return success();
  }

  LogicalResult addSetting(exec::BufferOp op, uint32_t index) {
    StringRef name = op.getSymName();
    name.consume_front("setting.");
    runtime::Setting &setting = manifest.settings.emplace_back();
    setting.name = name.str();
    setting.buffer = index;
    if (runtime::automaticPeriod(name, "accumulate") || runtime::automaticPeriod(name, "step"))
      return success();
    auto schedule = symbols.lookup<train::ScheduleOp>(name);
    if (!schedule)
      return op.emitError("is a setting without a train.schedule");
    if (auto power = schedule.getPower()) {
      setting.power = {power->convertToDouble(), {int64_t(*schedule.getEvery()), int64_t(*schedule.getOffset())}};
      return success();
    }
    ArrayRef<double> numbers = schedule.getSegments();
    bool isVector = cast<RankedTensorType>(schedule.getType()).getRank() == 1;
    for (size_t size = schedule.getPieceSize(); !numbers.empty(); numbers = numbers.drop_front(size)) {
      int64_t first = numbers[0], last = numbers[1];
      if (isVector)
        setting.pieces.push_back({first, last, numbers.take_front(size).drop_front(2).vec()});
      else
        setting.segments.push_back({first, last, numbers[2], numbers[3]});
    }
    return success();
  }

  void addProgram(exec::ProgramOp op) {
    runtime::Program &program = manifest.programs.emplace_back();
    program.name = op.getSymName().str();
    program.role = op.getRole().str();
    program.tokens = op.getTokens();
    for (NamedAttribute named : op.getInputs())
      program.inputs[named.getName().str()] = getIndex(named.getValue());
    for (NamedAttribute named : op.getOutputs())
      program.outputs[named.getName().str()] = getIndex(named.getValue());
    for (Operation &step : op.getBody().front()) {
      if (auto launch = dyn_cast<exec::LaunchOp>(step))
        program.launches.push_back(makeLaunch(launch));
      else
        program.collectives.push_back(makeCollective(&step, program.launches.size()));
    }
    addLastOfStep(op, program);
    if (program.role == "update")
      manifest.training.updates.push_back({program.name, {int64_t(op.getEvery()), int64_t(op.getOffset())}});
  }

  /// What smelt-place-collectives says of a program.
  static void addLastOfStep(exec::ProgramOp op, runtime::Program &program) {
    auto base = op->getAttrOfType<FlatSymbolRefAttr>("exec.last_of");
    if (!base)
      return;
    runtime::LastOfStep &last = program.last.emplace();
    last.program = base.getValue().str();
    if (auto updates = op->getAttrOfType<ArrayAttr>("exec.updates"))
      for (auto update : updates.getAsRange<StringAttr>())
        last.updates.push_back(update.str());
    if (auto from = op->getAttrOfType<IntegerAttr>("exec.updates_from"))
      last.updatesFrom = static_cast<uint32_t>(from.getInt());
  }

  static std::vector<uint32_t> getWait(Operation *op) {
    std::vector<uint32_t> wait;
    if (auto numbers = op->getAttrOfType<DenseI64ArrayAttr>("exec.wait"))
      wait.assign(numbers.asArrayRef().begin(), numbers.asArrayRef().end());
    return wait;
  }

  /// The verifier has checked that every name is a buffer.
  uint32_t getIndex(Attribute name) { return indices.lookup(cast<FlatSymbolRefAttr>(name).getValue()); }

  runtime::Launch makeLaunch(exec::LaunchOp op) {
    runtime::Launch launch;
    for (ArrayAttr list : {op.getReads(), op.getWrites()})
      for (Attribute name : list)
        launch.arguments.push_back(getIndex(name));
    if (FlatSymbolRefAttr workspace = op.getWorkspaceAttr())
      launch.arguments.push_back(getIndex(workspace));
    launch.kernel = getKernel(op.getKernel(), launch.arguments.size());
    launch.label = op.getLabel().str();
    launch.flops = op.getFlops();
    launch.bytes = op.getBytes();
    launch.wait = getWait(op);
    if (auto steps = op->getAttrOfType<ArrayAttr>("smelt.steps"))
      for (Attribute step : steps)
        if (auto text = dyn_cast<StringAttr>(step))
          launch.steps.push_back(text.str());
    return launch;
  }

  /// The verifier has checked that nothing but launches and collectives stands in a program.
  runtime::CollectiveStep makeCollective(Operation *op, size_t before) {
    auto kind = isa<exec::ReduceScatterOp>(op) ? runtime::CollectiveKind::ReduceScatter
                : isa<exec::AllGatherOp>(op)   ? runtime::CollectiveKind::AllGather
                                               : runtime::CollectiveKind::AllReduce;
    runtime::CollectiveStep step{kind, static_cast<uint32_t>(before)};
    for (Attribute name : exec::getCollectiveBuffers(op))
      step.buffers.push_back(getIndex(name));
    step.onLane = op->hasAttr("exec.lane");
    step.wait = getWait(op);
    return step;
  }

  uint32_t getKernel(StringRef name, uint32_t arguments) {
    auto [it, isNew] = kernels.try_emplace(name, manifest.kernels.size());
    if (isNew)
      manifest.kernels.push_back({name.str(), "smelt_" + name.str(), arguments});
    return it->second;
  }

  LogicalResult addRun(train::RunOp op) {
    DictionaryAttr config = op.getConfig();
    manifest.name = getText(config, "name");
    addTraining(getDictionary(config, "training"));
    DictionaryAttr data = getDictionary(config, "data"), documents = getDictionary(data, "documents");
    manifest.data.train = getText(data, "train");
    manifest.data.validation = getText(data, "validation");
    manifest.data.tokenizer = getText(data, "tokenizer");
    manifest.data.vocabulary = getInteger(data, "vocabulary", 256);
    manifest.data.sequence = getInteger(data, "sequence");
    manifest.data.startToken = getInteger(documents, "start_token", -1);
    manifest.data.maxTokens = getInteger(documents, "max_tokens");
    if (auto files = data.getAs<DictionaryAttr>("tokenizer_files"))
      for (NamedAttribute file : files)
        manifest.data.tokenizerFiles[file.getName().str()] = cast<StringAttr>(file.getValue()).str();
    auto order = runtime::parseSampleOrder(getText(documents, "order"));
    if (!order)
      return op.emitError("has no sample order called '") << getText(documents, "order") << "'";
    manifest.data.order = *order;
    manifest.data.ranks = getInteger(documents, "ranks");
    return success();
  }

  void addTraining(DictionaryAttr config) {
    runtime::Training &training = manifest.training;
    training.steps = getInteger(config, "steps");
    training.seed = getInteger(config, "seed");
    training.ranks = getInteger(config, "job_ranks", 1);
    if (auto blocks = module->getAttrOfType<IntegerAttr>("exec.collective_blocks"))
      training.collectiveBlocks = blocks.getInt();
    training.checkpointEvery = getInteger(config, "checkpoint_every");
    training.checkpointKeep = getInteger(config, "checkpoint_keep");
    DictionaryAttr validation = getDictionary(config, "validation");
    training.validation = {getInteger(validation, "every"), getInteger(validation, "tokens"), getText(validation, "program")};
    for (NamedAttribute named : getDictionary(validation, "final_settings"))
      if (auto value = dyn_cast<FloatAttr>(named.getValue()))
        training.validation.finalSettings[named.getName().str()] = value.getValueAsDouble();
      else if (auto value = dyn_cast<IntegerAttr>(named.getValue()))
        training.validation.finalSettings[named.getName().str()] = value.getInt();
    if (auto stages = config.getAs<ArrayAttr>("stages"))
      for (auto stage : stages.getAsRange<DictionaryAttr>())
        training.stages.push_back({getInteger(stage, "first"), getInteger(stage, "last"), getText(stage, "program"), getInteger(stage, "micro_batches", 1)});
  }

  ModuleOp module;
  SymbolTable symbols;
  runtime::Manifest manifest;
  llvm::StringMap<uint32_t> indices, kernels;
};

} // namespace

FailureOr<runtime::Manifest> smelt::buildManifest(ModuleOp module) {
  return ManifestBuilder(module).build();
}
