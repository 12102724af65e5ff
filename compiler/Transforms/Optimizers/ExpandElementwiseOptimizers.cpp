//===- ExpandElementwiseOptimizers.cpp - Adam, AdamW and Snoo as kernels --===//
//
// Replaces train.adamw, train.adam and train.snoo by kernel.foreach: one launch for all parameters
// whose tensors have the same element types. The equations stand at the ops (TrainOps.td). Everything
// is computed in f32 and rounded to a tensor's type when it is stored. IR before and after: Passes.td.
//
//===----------------------------------------------------------------------===//
#include "compiler/Transforms/Optimizers/Passes.h"
#include "dialects/Kernel/KernelOps.h"

using namespace mlir;

namespace smelt {
#define GEN_PASS_DEF_EXPANDELEMENTWISEOPTIMIZERSPASS
#include "compiler/Transforms/Optimizers/Passes.h.inc"
} // namespace smelt

namespace {

/// Elements of the chunk that a region is written for; targets take as many at a time as suits them.
constexpr int64_t kChunk = 1024;

/// An optimiser op as lanes: lane i is the i-th tensor of each position.
struct Lanes {
  StringRef what;
  SmallVector<OperandRange> inputs;  ///< One per position.
  SmallVector<ResultRange> outputs;  ///< One per position.
  SmallVector<SmallVector<double>> constants;
  SmallVector<Value> uniforms;
};

/// The body of a kernel.foreach while it is written. Chunks and scalars are f32.
class Body {
public:
  Body(OpBuilder &builder, Location loc) : builder(builder), loc(loc) {}

  SmallVector<Value> chunks, constants, uniforms;

  Value number(double value) { return lm::ConstantOp::create(builder, loc, scalarType(), value); }
  Value mix(ArrayRef<Value> values, ArrayRef<Value> coefficients) {
    return lm::MixOp::create(builder, loc, values[0].getType(), values, coefficients);
  }
  Value multiply(Value a, Value b) { return lm::MultiplyOp::create(builder, loc, a, b); }
  Value apply(lm::UnaryKind kind, Value x) { return lm::UnaryOp::create(builder, loc, kind, x); }
  /// x·a + b, element by element.
  Value scaleAndShift(Value x, Value a, Value b) {
    Value ones = lm::ConstantOp::create(builder, loc, cast<RankedTensorType>(x.getType()), 1.0);
    return mix({x, ones}, {a, b});
  }
  Value convert(Value x, Type element) {
    auto type = cast<RankedTensorType>(x.getType()).clone(element);
    return x.getType() == type ? x : lm::CastOp::create(builder, loc, type, x).getResult();
  }
  /// Rounded to the element type of position `position`, as if it had been stored there.
  Value roundAs(unsigned position, Value x) {
    return convert(convert(x, elementTypes[position]), builder.getF32Type());
  }

  SmallVector<Type> elementTypes; ///< Of the positions.

private:
  RankedTensorType scalarType() { return RankedTensorType::get({}, builder.getF32Type()); }
  OpBuilder &builder;
  Location loc;
};

using BodyBuilder = llvm::function_ref<SmallVector<Value>(Body &)>;

/// Adam's moments and direction; `isW` puts eps where PyTorch's AdamW has it, after the correction.
/// Positions: parameter, gradient, moments. Constants: rate scale, decay. Uniforms: rate, 1 − β1ᵗ,
/// 1 − β2ᵗ.
SmallVector<Value> buildAdam(Body &body, double beta1, double beta2, double eps, bool isW) {
  Value p = body.chunks[0], g = body.chunks[1], one = body.number(1);
  Value m = body.mix({body.chunks[2], g}, {body.number(beta1), body.number(1 - beta1)});
  Value v = body.mix({body.chunks[3], body.multiply(g, g)},
                     {body.number(beta2), body.number(1 - beta2)});
  Value rate = body.multiply(body.uniforms[0], body.constants[0]);
  Value root2 = body.apply(lm::UnaryKind::sqrt, body.uniforms[2]);
  Value perRoot2 = body.apply(lm::UnaryKind::reciprocal, root2);
  Value perBias1 = body.apply(lm::UnaryKind::reciprocal, body.uniforms[1]);
  Value root = body.scaleAndShift(body.apply(lm::UnaryKind::sqrt, v), isW ? perRoot2 : one,
                                  body.number(eps));
  Value direction = body.multiply(m, body.apply(lm::UnaryKind::reciprocal, root));
  Value step = body.multiply(rate, perBias1);
  if (!isW)
    step = body.multiply(step, root2);
  Value keep = body.mix({one, body.multiply(rate, body.constants[1])}, {one, body.number(-1)});
  Value next = body.mix({p, direction}, {keep, body.multiply(step, body.number(-1))});
  return {next, m, v};
}

/// Positions: parameter, outer copy, momentum. Constant: rate.
SmallVector<Value> buildSnoo(Body &body, double momentum, bool nesterov) {
  Value p = body.chunks[0], outer = body.chunks[1], one = body.number(1), minus = body.number(-1);
  // PyTorch's gradient has the parameter's type.
  Value g = body.roundAs(0, body.mix({outer, p}, {one, minus}));
  Value buffer = body.mix({body.chunks[2], g}, {body.number(momentum), one});
  Value direction = nesterov ? body.mix({g, buffer}, {one, body.number(momentum)}) : buffer;
  Value next = body.mix({outer, direction}, {one, body.multiply(body.constants[0], minus)});
  return {next, next, buffer};
}

/// One kernel.foreach over the lanes `chosen`, whose tensors have the element types of the first.
void emitForeach(Operation *op, const Lanes &lanes, ArrayRef<int64_t> chosen, BodyBuilder build) {
  OpBuilder builder(op);
  Location loc = op->getLoc();
  auto elementType = [](Value value) { return getElementTypeOrSelf(value.getType()); };
  auto scalar = RankedTensorType::get({}, builder.getF32Type());
  SmallVector<Value> inputs;
  SmallVector<Type> outputs, arguments;
  Body body(builder, loc);
  for (OperandRange position : lanes.inputs) {
    for (int64_t lane : chosen)
      inputs.push_back(position[lane]);
    body.elementTypes.push_back(elementType(position[chosen[0]]));
    arguments.push_back(RankedTensorType::get({1, kChunk}, body.elementTypes.back()));
  }
  for (ResultRange position : lanes.outputs)
    for (int64_t lane : chosen)
      outputs.push_back(position[lane].getType());
  SmallVector<Attribute> constants;
  for (ArrayRef<double> row : lanes.constants) {
    SmallVector<double> numbers = llvm::map_to_vector(chosen, [&](int64_t lane) { return row[lane]; });
    constants.push_back(lm::NumbersAttr::get(builder.getContext(), numbers));
    arguments.push_back(scalar);
  }
  for (Value uniform : lanes.uniforms)
    arguments.push_back(uniform.getType());
  auto foreach = kernel::ForeachOp::create(builder, loc, outputs, lanes.what, chosen.size(), inputs,
                                           lanes.uniforms, builder.getArrayAttr(constants));
  for (auto [number, position] : llvm::enumerate(lanes.outputs))
    for (auto [i, lane] : llvm::enumerate(chosen))
      position[lane].replaceAllUsesWith(foreach.getResult(number * chosen.size() + i));

  SmallVector<Location> locations(arguments.size(), loc);
  Block *block = builder.createBlock(&foreach.getBody(), {}, arguments, locations);
  size_t next = 0;
  for (size_t i = 0; i < lanes.inputs.size(); ++i)
    body.chunks.push_back(body.convert(block->getArgument(next++), builder.getF32Type()));
  for (size_t i = 0; i < constants.size(); ++i)
    body.constants.push_back(block->getArgument(next++));
  for (size_t i = 0; i < lanes.uniforms.size(); ++i)
    body.uniforms.push_back(body.convert(block->getArgument(next++), builder.getF32Type()));
  SmallVector<Value> results = build(body);
  for (auto [result, position] : llvm::zip_equal(results, lanes.outputs))
    result = body.convert(result, elementType(position[chosen[0]]));
  kernel::YieldOp::create(builder, loc, results);
}

/// A rank's part of a tensor has a launch of its own: it need not wait for the sums of the others.
bool isPart(Value parameter) {
  auto read = parameter.getDefiningOp<lm::ReadOp>();
  if (!read)
    return false;
  auto master = SymbolTable::lookupNearestSymbolFrom<train::StateOp>(read, read.getSymbolAttr());
  return read.getRanks() > 1 || (master && master.getPartNames());
}

/// Lanes of the same element types together, in the order of their first.
void expand(Operation *op, const Lanes &lanes, BodyBuilder build) {
  std::vector<std::pair<SmallVector<Type>, SmallVector<int64_t>>> groups;
  for (int64_t lane = 0, count = lanes.inputs[0].size(); lane < count; ++lane) {
    SmallVector<Type> types;
    for (OperandRange position : lanes.inputs)
      types.push_back(getElementTypeOrSelf(position[lane].getType()));
    auto known = llvm::find_if(groups, [&](auto &group) { return group.first == types; });
    if (isPart(lanes.inputs[0][lane]))
      types.clear(); // Nothing joins it.
    if (known == groups.end() || types.empty())
      known = groups.insert(groups.end(), {types, {}});
    known->second.push_back(lane);
  }
  for (auto &[types, chosen] : groups)
    emitForeach(op, lanes, chosen, build);
  op->erase();
}

template <typename Op> void expandAdam(Op op, bool isW) {
  Lanes lanes{op->getName().stripDialect(),
              {op.getParameters(), op.getGradients(), op.getFirstMoments(), op.getSecondMoments()},
              {op.getNewParameters(), op.getNewFirstMoments(), op.getNewSecondMoments()},
              {SmallVector<double>(op.getLrScales()), SmallVector<double>(op.getWeightDecays())},
              {op.getLr(), op.getCorrection1(), op.getCorrection2()}};
  double beta1 = op.getBeta1().convertToDouble(), beta2 = op.getBeta2().convertToDouble(),
         eps = op.getEps().convertToDouble();
  expand(op, lanes, [=](Body &body) { return buildAdam(body, beta1, beta2, eps, isW); });
}

void expandSnoo(train::SnooOp op) {
  Lanes lanes{"snoo",
              {op.getParameters(), op.getOuterCopies(), op.getMomenta()},
              {op.getNewParameters(), op.getNewOuterCopies(), op.getNewMomenta()},
              {SmallVector<double>(op.getLrs())},
              {}};
  double momentum = op.getMomentum().convertToDouble();
  bool nesterov = op.getNesterov();
  expand(op, lanes, [=](Body &body) { return buildSnoo(body, momentum, nesterov); });
}

struct ExpandElementwiseOptimizersPass
    : smelt::impl::ExpandElementwiseOptimizersPassBase<ExpandElementwiseOptimizersPass> {
  void runOnOperation() override {
    SmallVector<Operation *> ops;
    getOperation().walk([&](Operation *op) {
      if (isa<train::AdamWOp, train::AdamOp, train::SnooOp>(op))
        ops.push_back(op);
    });
    for (Operation *op : ops) {
      if (auto adamw = dyn_cast<train::AdamWOp>(op))
        expandAdam(adamw, true);
      else if (auto adam = dyn_cast<train::AdamOp>(op))
        expandAdam(adam, false);
      else
        expandSnoo(cast<train::SnooOp>(op));
      ++expanded;
    }
  }
};

} // namespace
