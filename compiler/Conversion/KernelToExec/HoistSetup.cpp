//===- HoistSetup.cpp - Compute once what does not change -----------------===//
//
// Moves kernel calls that depend only on constants and steady settings into the setup program. IR before and after: Passes.td.
//
//===----------------------------------------------------------------------===//
#include "compiler/Conversion/KernelToExec/Passes.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/DenseSet.h"

using namespace mlir;

namespace smelt {
#define GEN_PASS_DEF_HOISTSETUPPASS
#include "compiler/Conversion/KernelToExec/Passes.h.inc"
} // namespace smelt

namespace {

/// A schedule of constant pieces changes between stages only; more pieces than this are a curve drawn in steps.
constexpr size_t kMaxSteadyPieces = 64;

bool isSteady(train::ScheduleOp schedule) {
  return schedule.isConstantInPieces() && schedule.getSegments().size() / schedule.getPieceSize() <= kMaxSteadyPieces;
}

/// Builds @setup; makes equal calls once.
class SetupBuilder {
public:
  explicit SetupBuilder(ModuleOp module) : module(module), builder(module.getContext()) {}

  /// The value of the setup program that `value`, a settled value of another program, is there.
  Value import(Value value) {
    if (Value known = mapping.lookupOrNull(value))
      return known;
    Operation *op = value.getDefiningOp();
    SmallVector<Value> operands = llvm::map_to_vector(op->getOperands(), [&](Value operand) { return import(operand); });
    Operation *here = findEqual(op, operands);
    if (!here) {
      createFunction(op->getLoc());
      here = builder.clone(*op, mapping);
    }
    mapping.map(op->getResults(), here->getResults());
    return mapping.lookup(value);
  }

  /// The symbol of the tensor that holds `value`, a value of the setup program.
  FlatSymbolRefAttr publish(Value value) {
    auto [it, isNew] = published.try_emplace(value);
    if (isNew) {
      std::string name;
      do
        name = "setup." + std::to_string(nextName++);
      while (module.lookupSymbol(name));
      OpBuilder atModule(function);
      train::StateOp::create(atModule, value.getLoc(), builder.getStringAttr(name), TypeAttr::get(value.getType()), builder.getUnitAttr());
      it->second = FlatSymbolRefAttr::get(builder.getContext(), name);
      train::WriteOp::create(builder, value.getLoc(), it->second, value);
    }
    return it->second;
  }

private:
  void createFunction(Location loc) {
    if (function)
      return;
    builder.setInsertionPointToEnd(module.getBody());
    function = func::FuncOp::create(builder, loc, "setup", builder.getFunctionType({}, {}));
    function->setAttr("smelt.role", builder.getStringAttr("setup"));
    Block *body = function.addEntryBlock();
    builder.setInsertionPointToStart(body);
    func::ReturnOp::create(builder, loc);
    builder.setInsertionPoint(body->getTerminator());
  }

  Operation *findEqual(Operation *op, ArrayRef<Value> operands) {
    if (!function)
      return nullptr;
    for (Operation &other : function.getOps()) {
      if (other.getName() != op->getName() || !llvm::equal(other.getOperands(), operands) || other.getResultTypes() != op->getResultTypes())
        continue;
      auto call = dyn_cast<func::CallOp>(op);
      if (call ? call.getCallee() == cast<func::CallOp>(other).getCallee() : other.getAttrDictionary() == op->getAttrDictionary())
        return &other;
    }
    return nullptr;
  }

  ModuleOp module;
  OpBuilder builder;
  func::FuncOp function;
  IRMapping mapping;
  llvm::DenseMap<Value, FlatSymbolRefAttr> published;
  unsigned nextName = 0;
};

struct HoistSetupPass : smelt::impl::HoistSetupPassBase<HoistSetupPass> {
  void runOnOperation() override {
    SymbolTable symbols(getOperation());
    SetupBuilder setup(getOperation());
    SmallVector<func::FuncOp> programs;
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (function->hasAttr("smelt.role") && !function.isDeclaration())
        programs.push_back(function);
    for (func::FuncOp program : programs)
      hoist(program, symbols, setup);
  }

  void hoist(func::FuncOp program, SymbolTable &symbols, SetupBuilder &setup) {
    DenseSet<Value> settled;
    SmallVector<func::CallOp> calls;
    for (Operation &op : program.getOps()) {
      if (!isSettled(&op, settled, symbols))
        continue;
      settled.insert(op.result_begin(), op.result_end());
      if (auto call = dyn_cast<func::CallOp>(op))
        calls.push_back(call);
    }
    DenseSet<Operation *> moved(calls.begin(), calls.end());
    for (func::CallOp call : calls) {
      OpBuilder builder(call);
      for (Value result : call.getResults()) {
        if (llvm::all_of(result.getUsers(), [&](Operation *user) { return moved.contains(user); }))
          continue;
        FlatSymbolRefAttr symbol = setup.publish(setup.import(result));
        Value read = lm::ReadOp::create(builder, call.getLoc(), result.getType(), symbol);
        result.replaceUsesWithIf(read, [&](OpOperand &use) { return !moved.contains(use.getOwner()); });
      }
    }
    for (func::CallOp call : llvm::reverse(calls))
      call.erase();
    hoisted += calls.size();
  }

  static bool isSettled(Operation *op, const DenseSet<Value> &settled, SymbolTable &symbols) {
    if (isa<lm::ConstantOp>(op))
      return true;
    if (auto setting = dyn_cast<lm::SettingOp>(op)) {
      auto schedule = symbols.lookup<train::ScheduleOp>(setting.getSymbol());
      return schedule && isSteady(schedule);
    }
    auto isFloat = [](Type type) { return isa<FloatType>(cast<RankedTensorType>(type).getElementType()); };
    return isa<func::CallOp>(op) && llvm::all_of(op->getResultTypes(), isFloat) && llvm::all_of(op->getOperands(), [&](Value operand) {
             return settled.contains(operand);
           });
  }
};

} // namespace
