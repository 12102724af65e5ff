//===- Interpreter.cpp - What programs mean, in double precision ----------===//
#include "compiler/Reference/Interpreter.h"
#include "compiler/Reference/Evaluate.h"
#include "dialects/Train/TrainOps.h"

using namespace mlir;
using namespace smelt::reference;

LogicalResult smelt::reference::defineRows(Operation *op, Value result, const Tensor &whole,
                                           int64_t firstRow, Frame &frame) {
  auto shape = cast<RankedTensorType>(result.getType()).getShape();
  ArrayRef<int64_t> wholeShape = whole.shape;
  if (wholeShape == shape && firstRow == 0) {
    frame.define(result, whole);
    return success();
  }
  if (shape.empty() || wholeShape.size() != shape.size() ||
      wholeShape.drop_front() != shape.drop_front() || firstRow < 0 ||
      firstRow + shape[0] > wholeShape[0])
    return op->emitOpError("reads rows that its tensor does not have");
  int64_t width = whole.getNumElements() / wholeShape[0];
  auto begin = whole.values.begin() + firstRow * width;
  frame.define(result, Tensor(shape, std::vector<double>(begin, begin + shape[0] * width)));
  return success();
}

/// lm.read, lm.setting: what the caller set; an optimiser state starts at zero.
static Evaluation evaluateNamed(Operation *op, Frame &frame) {
  FlatSymbolRefAttr symbol;
  if (auto read = dyn_cast<lm::ReadOp>(op))
    symbol = read.getSymbolAttr();
  else if (auto setting = dyn_cast<lm::SettingOp>(op))
    symbol = setting.getSymbolAttr();
  else
    return std::nullopt;
  if (auto read = dyn_cast<lm::ReadOp>(op); read && read.getRanks() != 1)
    return op->emitOpError("reads a rank's part; the interpreter is one rank");
  auto &tensors = frame.interpreter.tensors;
  Value result = op->getResult(0);
  auto shape = cast<RankedTensorType>(result.getType()).getShape();
  auto found = tensors.find(symbol.getValue().str());
  if (found == tensors.end()) {
    Operation *definition = SymbolTable::lookupNearestSymbolFrom(op, symbol);
    if (auto bank = dyn_cast_or_null<train::BankOp>(definition))
      if (std::optional<Tensor> whole = gatherBank(bank, tensors))
        return defineRows(op, result, *whole, cast<lm::ReadOp>(op).getFirstRow(), frame);
    if (!definition || definition->getName().getStringRef() != "train.state" ||
        definition->hasAttr("copy_of")) // Zero is not what it begins as.
      return op->emitOpError("reads @") << symbol.getValue() << ", which the caller did not set";
    frame.define(result, Tensor::filled(shape, 0.0));
    return success();
  }
  if (auto read = dyn_cast<lm::ReadOp>(op))
    return defineRows(op, result, found->second, read.getFirstRow(), frame);
  if (ArrayRef<int64_t>(found->second.shape) != shape)
    return op->emitOpError("reads @")
           << symbol.getValue() << ", which the caller set with another shape";
  frame.define(result, found->second);
  return success();
}

static Evaluation evaluateCall(Operation *op, Frame &frame) {
  auto call = dyn_cast<func::CallOp>(op);
  if (!call)
    return std::nullopt;
  std::vector<Tensor> inputs;
  for (Value operand : call.getOperands())
    inputs.push_back(frame[operand]);
  auto results = frame.interpreter.run(call.getCallee(), inputs);
  if (failed(results))
    return failure();
  for (auto [value, tensor] : llvm::zip_equal(call.getResults(), *results))
    frame.define(value, std::move(tensor));
  return success();
}

static LogicalResult evaluate(Operation *op, Frame &frame) {
  using Evaluator = Evaluation (*)(Operation *, Frame &);
  static constexpr Evaluator evaluators[] = {
      evaluateNamed,       evaluateElementwise, evaluateRows, evaluateTokenShift,
      evaluateContraction, evaluateAttention,   evaluateLoss, evaluateTrain,
      evaluateElementwiseOptimizers,
      evaluateKernel,      evaluateFormats,     evaluateCall};
  for (Evaluator evaluator : evaluators)
    if (Evaluation evaluation = evaluator(op, frame))
      return *evaluation;
  return op->emitOpError("has no reference meaning");
}

void Interpreter::round(Type type, Tensor &tensor) const {
  Type elementType = getElementTypeOrSelf(type);
  bool isNarrow = isa<FloatType>(elementType) && elementType.getIntOrFloatBitWidth() < 32;
  if (options.rounding == Rounding::all || (options.rounding == Rounding::narrow && isNarrow))
    roundTo(elementType, tensor);
}

FailureOr<std::vector<Tensor>> Interpreter::run(StringRef name, ArrayRef<Tensor> inputs) {
  auto function = module.lookupSymbol<func::FuncOp>(name);
  if (!function || function.isExternal())
    return module.emitError("the reference interpreter finds no function @") << name;
  for (auto [index, type, input] : llvm::enumerate(function.getArgumentTypes(), inputs))
    if (cast<RankedTensorType>(type).getShape() != ArrayRef<int64_t>(input.shape))
      return function.emitError("argument ")
             << index << " was given with another shape than " << type;
  if (function.getNumArguments() != inputs.size())
    return function.emitError("was run with ") << inputs.size() << " arguments";
  return run(function.getBody(), inputs);
}

FailureOr<std::vector<Tensor>> Interpreter::run(Region &region, ArrayRef<Tensor> inputs) {
  Block &block = region.front();
  Frame frame(*this);
  for (auto [argument, input] : llvm::zip_equal(block.getArguments(), inputs))
    frame.define(argument, input);
  for (Operation &op : block.without_terminator()) {
    if (failed(evaluate(&op, frame)))
      return failure();
    for (Value result : op.getResults())
      round(result.getType(), frame.edit(result));
  }
  std::vector<Tensor> results;
  for (Value operand : block.getTerminator()->getOperands())
    results.push_back(frame[operand]);
  return results;
}
