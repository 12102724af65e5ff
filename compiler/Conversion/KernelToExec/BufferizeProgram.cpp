//===- BufferizeProgram.cpp - One program's launches and buffers ----------===//
//
// In order: find where every value that is read from somewhere lies, and where values are wanted (sinks: writes, gradients, results);
// choose a place for each kernel result, a sink where that is safe; emit launches, then the copies for sinks that were refused.
//
//===----------------------------------------------------------------------===//
#include "compiler/Conversion/KernelToExec/BufferizeProgram.h"
#include "compiler/Conversion/KernelToExec/InPlace.h"
#include "dialects/Kernel/KernelOps.h"
#include "dialects/Exec/ExecCollectives.h"
#include "dialects/Train/TrainCollectives.h"
#include "dialects/Train/TrainOps.h"

using namespace mlir;
using namespace smelt;
using exec::BufferKind;
using Place = Storage::Place;

namespace {

/// A value that is wanted in a certain buffer at the end of the program.
struct Sink {
  Value value;
  Place target;
  Operation *user;
  bool done = false;
};

class ProgramBufferizer {
public:
  ProgramBufferizer(func::FuncOp function, SymbolTable &symbols, Storage &storage, SharedBuffers &shared, BufferizationCounts &counts)
      : function(function), symbols(symbols), storage(storage), shared(shared), counts(counts), builder(function) {}

  LogicalResult run() {
    if (failed(collect()))
      return failure();
    createProgram();
    if (failed(emitSums()))
      return failure();
    for (auto [index, call] : llvm::enumerate(calls)) {
      for (OpResult result : call->getResults())
        places[result] = choosePlace(result, index);
      emitLaunch(call);
    }
    return success(succeeded(emitCopies()) && succeeded(emitGathers()));
  }

private:
  //===- What there is ------------------------------------------------------===//

  /// The value whose place `value` shares: reshapes are free.
  Value getRoot(Value value) const {
    auto it = aliases.find(value);
    return it == aliases.end() ? value : it->second;
  }

  LogicalResult collect() {
    StringRef role = function->getAttrOfType<StringAttr>("smelt.role").getValue();
    SmallVector<StringRef> inputNames{"tokens", "targets", "document_start"};
    if (role == "generate")
      inputNames.erase(inputNames.begin() + 1);
    if (function.getNumArguments() > inputNames.size())
      return function.emitError("a program of role ") << role << " has at most " << inputNames.size() << " inputs";
    for (BlockArgument argument : function.getArguments())
      places[argument] = createNamed(BufferKind::input, inputNames[argument.getArgNumber()], argument.getType(), inputs);
    for (Operation &op : function.getOps())
      if (failed(collect(&op)))
        return failure();
    return success();
  }

  LogicalResult collect(Operation *op) {
    if (auto call = dyn_cast<func::CallOp>(op)) {
      auto kernel = symbols.lookup<func::FuncOp>(call.getCallee());
      if (std::optional<unsigned> argument = getReshapedArgument(kernel))
        aliases[call.getResult(0)] = getRoot(call.getOperand(*argument));
      else
        calls.push_back(call);
      return success();
    }
    if (auto reshape = dyn_cast<lm::ReshapeOp>(op)) {
      aliases[reshape.getResult()] = getRoot(reshape.getX());
      return success();
    }
    if (auto read = dyn_cast<lm::ReadOp>(op))
      return readRows(op, shared.tensors.lookup(read.getSymbolAttr().getAttr()), read.getFirstRow(), read.getRanks());
    if (auto read = dyn_cast<train::ReadGradientOp>(op))
      return readRows(op, shared.gradients.lookup(read.getParameterAttr().getAttr()), read.getFirstRow(), read.getRanks());
    if (auto setting = dyn_cast<lm::SettingOp>(op)) {
      Place &place = shared.settings[setting.getSymbolAttr().getAttr()];
      if (!place)
        place = storage.createBuffer(BufferKind::setting, ("setting." + setting.getSymbol()).str(), setting.getType(), op->getLoc());
      places[setting] = place;
      return success();
    }
    if (auto constant = dyn_cast<lm::ConstantOp>(op)) {
      places[constant] = storage.getConstant(constant.getValue(), op->getLoc());
      return success();
    }
    if (auto table = dyn_cast<train::RankConstantOp>(op)) {
      auto place = storage.getRankConstant(cast<DenseElementsAttr>(table.getValue()), cast<RankedTensorType>(table.getType()), op);
      if (succeeded(place))
        places[table] = *place;
      return place;
    }
    if (isa<train::AllReduceOp, train::ReduceScatterOp>(op)) {
      sums.push_back(op);
      return success();
    }
    if (auto gather = dyn_cast<train::AllGatherOp>(op)) {
      gathers.push_back(gather);
      return success();
    }
    if (auto write = dyn_cast<train::WriteOp>(op))
      return addSink(op, shared.tensors.lookup(write.getSymbolAttr().getAttr()), write.getValue(), write.getFirstRow(), write.getRanks());
    if (auto gradient = dyn_cast<train::GradientOp>(op))
      return addSink(op, shared.gradients.lookup(gradient.getParameterAttr().getAttr()), gradient.getGradient(), /*firstRow=*/0, /*ranks=*/1);
    if (auto terminator = dyn_cast<func::ReturnOp>(op))
      return collectResults(terminator);
    return op->emitError("cannot be part of a program of launches");
  }

  FailureOr<Place> getRange(Place base, Type type, int64_t firstRow, int64_t ranks, Operation *op) {
    auto tensor = cast<RankedTensorType>(type);
    return ranks > 1 ? storage.getRankPart(base, tensor, ranks, op) : storage.getRows(base, tensor, firstRow, op);
  }

  LogicalResult readRows(Operation *op, Place base, int64_t firstRow, int64_t ranks) {
    if (!base)
      return op->emitError("reads a tensor that the module does not declare");
    auto place = getRange(base, op->getResult(0).getType(), firstRow, ranks, op);
    if (failed(place))
      return failure();
    for (Sink &sink : sinks)
      if (Storage::overlap(sink.target, *place)) {
        auto error = op->emitError("reads @") << base.getSymName() << " after it was written";
        error.attachNote(sink.user->getLoc()) << "written here";
        return error;
      }
    places[op->getResult(0)] = *place;
    return success();
  }

  LogicalResult addSink(Operation *op, Place base, Value value, int64_t firstRow, int64_t ranks) {
    if (!base)
      return op->emitError("writes a tensor that the module does not declare");
    auto place = getRange(base, value.getType(), firstRow, ranks, op);
    if (failed(place))
      return failure();
    for (Sink &sink : sinks)
      if (Storage::overlap(sink.target, *place)) {
        auto error = op->emitError("writes @") << base.getSymName() << " a second time";
        error.attachNote(sink.user->getLoc()) << "first written here";
        return error;
      }
    sinks.push_back({value, *place, op});
    return success();
  }

  LogicalResult collectResults(func::ReturnOp terminator) {
    SmallVector<StringRef> names{"objective", "loss_sum"};
    if (function->getAttrOfType<StringAttr>("smelt.role").getValue() == "generate")
      names = {"logits"};
    if (terminator.getNumOperands() > names.size())
      return terminator.emitError("gives ") << terminator.getNumOperands() << " results, but only " << names.size() << " have a name";
    for (OpOperand &operand : terminator->getOpOperands())
      sinks.push_back({operand.get(), createNamed(BufferKind::output, names[operand.getOperandNumber()], operand.get().getType(), outputs), terminator});
    return success();
  }

  Place createNamed(BufferKind kind, StringRef name, Type type, SmallVectorImpl<NamedAttribute> &list) {
    Place place = storage.createBuffer(kind, (function.getName() + "." + name).str(), type, function.getLoc());
    list.emplace_back(builder.getStringAttr(name), FlatSymbolRefAttr::get(place.getSymNameAttr()));
    return place;
  }

  //===- Where results go ---------------------------------------------------===//

  Place choosePlace(OpResult result, size_t index) {
    for (Sink &sink : sinks)
      if (!sink.done && getRoot(sink.value) == result && isSafe(sink, result, index)) {
        sink.done = true;
        ++counts.inPlace;
        return sink.target;
      }
    std::string name = (function.getName() + "." + Twine(nextWorkspace++)).str();
    return storage.createBuffer(BufferKind::workspace, name, result.getType(), calls[index].getLoc());
  }

  /// May launch `index` write `result` where `sink` wants it?
  bool isSafe(Sink &sink, OpResult result, size_t index) {
    func::CallOp call = calls[index];
    auto kernel = symbols.lookup<func::FuncOp>(call.getCallee());
    for (OpOperand &operand : call->getOpOperands()) {
      Place place = places.lookup(getRoot(operand.get()));
      if (Storage::overlap(place, sink.target) &&
          !(Storage::isSame(place, sink.target) && mayOverwrite(kernel, operand.getOperandNumber(), result.getResultNumber())))
        return false;
    }
    auto wantsOldContents = [&](Value value) {
      Value root = getRoot(value);
      Place place = places.lookup(root); // None yet: a result of this launch or a later one, which lies elsewhere.
      return root != result && place && Storage::overlap(place, sink.target);
    };
    for (func::CallOp later : llvm::ArrayRef(calls).drop_front(index + 1))
      if (llvm::any_of(later.getOperands(), wantsOldContents))
        return false;
    return llvm::none_of(sinks, [&](Sink &other) { return !other.done && wantsOldContents(other.value); });
  }

  //===- The program --------------------------------------------------------===//

  void createProgram() {
    auto getInteger = [&](StringRef name, int64_t otherwise) {
      auto value = function->getAttrOfType<IntegerAttr>(name);
      return builder.getI64IntegerAttr(value ? value.getInt() : otherwise);
    };
    auto program = exec::ProgramOp::create(builder, function.getLoc(), function.getSymNameAttr(), function->getAttrOfType<StringAttr>("smelt.role"),
                                           getInteger("smelt.tokens", 0), builder.getDictionaryAttr(inputs), builder.getDictionaryAttr(outputs),
                                           getInteger("smelt.every", 1), getInteger("smelt.offset", 0));
    builder.createBlock(&program.getBody());
  }

  FlatSymbolRefAttr refer(Place place) { return FlatSymbolRefAttr::get(place.getSymNameAttr()); }

  ArrayAttr refer(ValueRange values) {
    return builder.getArrayAttr(llvm::map_to_vector(values, [&](Value value) -> Attribute { return refer(places.lookup(getRoot(value))); }));
  }

  FailureOr<ArrayAttr> referAll(Operation *op, ArrayAttr names, const llvm::DenseMap<StringAttr, Place> &buffers, StringRef does) {
    SmallVector<Attribute> references;
    for (auto name : names.getAsRange<FlatSymbolRefAttr>()) {
      Place place = buffers.lookup(name.getAttr());
      if (!place)
        return op->emitError(does) << name << ", which no program gives or reads";
      references.push_back(refer(place));
    }
    return builder.getArrayAttr(references);
  }

  /// They come before the launches: they sum what earlier programs made.
  LogicalResult emitSums() {
    for (Operation *op : sums) {
      auto buffers = referAll(op, op->getAttrOfType<ArrayAttr>("gradients"), shared.gradients, "sums the gradient of ");
      if (failed(buffers))
        return failure();
      if (auto scatter = dyn_cast<train::ReduceScatterOp>(op))
        exec::ReduceScatterOp::create(builder, op->getLoc(), *buffers, scatter.getRanksAttr());
      else
        exec::AllReduceOp::create(builder, op->getLoc(), *buffers);
    }
    return success();
  }

  /// They come after the launches and copies, whose parts they gather.
  LogicalResult emitGathers() {
    for (train::AllGatherOp op : gathers) {
      auto buffers = referAll(op, op.getParameters(), shared.tensors, "gathers ");
      if (failed(buffers))
        return failure();
      exec::AllGatherOp::create(builder, op.getLoc(), *buffers, op.getRanksAttr());
    }
    return success();
  }

  void emitLaunch(func::CallOp call) {
    auto kernel = symbols.lookup<func::FuncOp>(call.getCallee());
    FlatSymbolRefAttr workspace;
    if (auto bytes = kernel->getAttrOfType<IntegerAttr>("kernel.workspace"); bytes && bytes.getInt() > 0) {
      auto type = RankedTensorType::get({(bytes.getInt() + 3) / 4}, builder.getF32Type());
      std::string name = (function.getName() + ".scratch." + Twine(nextScratch++)).str();
      workspace = refer(storage.createBuffer(BufferKind::workspace, name, type, call.getLoc()));
    }
    auto label = call->getAttrOfType<StringAttr>("smelt.label");
    auto flops = call->getAttrOfType<IntegerAttr>("smelt.flops"), bytes = call->getAttrOfType<IntegerAttr>("smelt.bytes");
    auto launch = exec::LaunchOp::create(builder, call.getLoc(), call.getCalleeAttr(), refer(call.getOperands()), refer(call.getResults()),
                                         workspace, label ? label : builder.getStringAttr(call.getCallee()),
                                         flops ? flops : builder.getI64IntegerAttr(0), bytes ? bytes : builder.getI64IntegerAttr(0));
    for (StringRef name : {"smelt.steps", "smelt.refused"})
      if (Attribute value = call->getAttr(name))
        launch->setAttr(name, value);
    ++counts.launches;
  }

  LogicalResult emitCopies() {
    for (Sink &sink : sinks) {
      if (sink.done)
        continue;
      Place source = places.lookup(getRoot(sink.value));
      for (Sink &other : sinks)
        if (&other != &sink && Storage::overlap(other.target, source) && getRoot(other.value) != getRoot(sink.value))
          return sink.user->emitError("wants the old contents of @") << source.getSymName() << ", which this program replaces";
      if (Storage::isSame(source, sink.target))
        continue;
      func::FuncOp kernel = getCopyKernel(sink.value.getType(), sink.user->getLoc());
      int64_t bytes = 2 * Storage::getBytes(sink.value.getType());
      exec::LaunchOp::create(builder, sink.user->getLoc(), FlatSymbolRefAttr::get(kernel.getSymNameAttr()),
                             builder.getArrayAttr({refer(source)}), builder.getArrayAttr({refer(sink.target)}), FlatSymbolRefAttr(),
                             builder.getStringAttr(("copy to " + sink.target.getSymName()).str()), builder.getI64IntegerAttr(0),
                             builder.getI64IntegerAttr(bytes));
      ++counts.copies;
      ++counts.launches;
    }
    return success();
  }

  /// A private function with one rowwise kernel that yields its input.
  func::FuncOp getCopyKernel(Type type, Location loc) {
    auto tensor = cast<RankedTensorType>(type);
    std::string name = "copy";
    for (int64_t size : tensor.getShape())
      name += "_" + std::to_string(size);
    llvm::raw_string_ostream(name) << "_" << tensor.getElementType();
    if (auto known = symbols.lookup<func::FuncOp>(name))
      return known;
    OpBuilder body(builder.getContext());
    auto kernel = func::FuncOp::create(loc, name, builder.getFunctionType(type, type));
    kernel.setPrivate();
    body.setInsertionPointToEnd(kernel.addEntryBlock());
    auto rowwise = kernel::RowwiseOp::create(body, loc, TypeRange(type), kernel.getArguments());
    kernel::buildIdentityRegion(body, loc, rowwise.getBody(), type);
    func::ReturnOp::create(body, loc, rowwise->getResults());
    symbols.insert(kernel);
    return kernel;
  }

  func::FuncOp function;
  SymbolTable &symbols;
  Storage &storage;
  SharedBuffers &shared;
  BufferizationCounts &counts;
  OpBuilder builder;
  DenseMap<Value, Place> places;
  DenseMap<Value, Value> aliases;
  SmallVector<func::CallOp> calls;
  SmallVector<Operation *> sums;
  SmallVector<train::AllGatherOp> gathers;
  SmallVector<Sink> sinks;
  SmallVector<NamedAttribute> inputs, outputs;
  unsigned nextWorkspace = 0, nextScratch = 0;
};

} // namespace

LogicalResult smelt::bufferizeProgram(func::FuncOp function, SymbolTable &symbols, Storage &storage, SharedBuffers &shared,
                                      BufferizationCounts &counts) {
  return ProgramBufferizer(function, symbols, storage, shared, counts).run();
}
