//===- EmitBlocks.cpp - attention, mlp and head as lm ops -----------------===//
#include "compiler/Import/FunctionEmitter.h"
#include "compiler/Import/Schedules.h"

using namespace mlir;
using namespace smelt;

Value FunctionEmitter::emitWindow(const Window &window, std::optional<int64_t> blocks, Location loc,
                                  Mark mark, const std::string &path) {
  std::string key = window.setting + "|" + std::to_string(window.tokens) + "|" +
                    std::to_string(blocks.value_or(0));
  Value &range = ranges[key];
  if (range)
    return range;
  Value width;
  if (window.setting.empty()) {
    width = makeIndexScalar(window.tokens, loc);
  } else {
    llvm::StringRef name = llvm::StringRef(window.setting).drop_front(7);
    module.getSchedule(window.setting, builder.getI32Type(),
                       makeWindowSchedule(module.spec.training, name), loc);
    width = readSetting(window.setting, RankedTensorType::get({}, builder.getI32Type()), loc);
  }
  range = lm::AttentionRangeOp::create(builder, loc, documentStart.getType(), documentStart, width,
                                       blocks ? builder.getI64IntegerAttr(*blocks) : IntegerAttr());
  return range;
}

/// "layers.3.attention", with a number behind a second one in the same layer; outside layers by the
/// step's place.
static std::string nameBlock(const Site &site, const Step &step, llvm::StringMap<int> &names) {
  if (site.layer < 0)
    return site.prefix + "." + std::to_string(step.index) + "." + step.label;
  std::string name = site.prefix + "." + step.label;
  int count = ++names[name];
  return count > 1 ? name + "_" + std::to_string(count) : name;
}

Value FunctionEmitter::emitOp(const AttentionStep &op, const Step &step, Value x,
                              const Site &site) {
  const Dims &d = model.dims;
  int64_t width = d.heads * d.head;
  std::string own = path, name = nameBlock(site, step, blockNames);
  Location loc = locate(own, step.mark);
  Value u = runList(op.input, x, {own + ".input", name + ".input", site.layer, Value()});

  Value weight = readParameter(name + ".qkv", {3 * width, d.model}, op.qkvInit, d.model, op.storage,
                               loc, step.mark);
  Value qkv = lm::MatmulOp::create(builder, loc, getType({tokens, 3 * width}), u, weight,
                                   /*transpose_a=*/false,
                                   /*transpose_b=*/true);
  // A factor on the weight is a factor on the product.
  if (op.qkvScale)
    qkv = lm::ScaleOp::create(builder, loc, qkv,
                              emitCoefficient(*op.qkvScale, site.layer, own + ".weight_scale.qkv"));
  Type part = getType({tokens, width}), headsType = getType({tokens, d.heads, d.head});
  auto split = lm::SplitOp::create(builder, loc, TypeRange{part, part, part}, qkv);
  auto runHeads = [&](unsigned i, const StepList &steps, llvm::StringRef list) -> Value {
    Value heads = lm::ReshapeOp::create(builder, loc, headsType, split.getResult(i));
    return runList(steps, heads, {own + "." + list.str(), name + "." + list.str(), site.layer, u});
  };
  Value q = runHeads(0, op.q, "q"), k = runHeads(1, op.k, "k"), v = runHeads(2, op.v, "v");

  const Window &window = op.windows[site.layer < 0 ? 0 : site.layer];
  Value first = emitWindow(window, op.blocks, loc, step.mark, own);
  Value scale = emitScale(op, locate(own + ".scale", op.scaleMark));
  auto attention = lm::AttentionOp::create(builder, loc, headsType, getType({tokens, d.heads}), q,
                                           k, v, first, scale);
  Value heads =
      runList(op.output, attention.getResult(), {own + ".output", name + ".output", site.layer, u});
  Value joined = lm::ReshapeOp::create(builder, loc, part, heads);
  Value outWeight =
      readParameter(name + ".out", {d.model, width}, op.outInit, width, op.storage, loc, step.mark);
  Value y = lm::MatmulOp::create(builder, loc, x.getType(), joined, outWeight, false, true);
  if (op.outScale)
    y = lm::ScaleOp::create(builder, loc, y,
                            emitCoefficient(*op.outScale, site.layer, own + ".weight_scale.out"));
  return lm::AddOp::create(builder, loc, x.getType(), x, y);
}

Value FunctionEmitter::emitOp(const MlpStep &op, const Step &step, Value x, const Site &site) {
  std::string own = path, name = nameBlock(site, step, blockNames);
  Location loc = locate(own, step.mark);
  int64_t width = model.dims.model;
  Value u = runList(op.input, x, {own + ".input", name + ".input", site.layer, Value()});
  Value up =
      readParameter(name + ".up", {op.hidden, width}, op.upInit, width, op.storage, loc, step.mark);
  Value hidden =
      lm::MatmulOp::create(builder, loc, getType({tokens, op.hidden}), u, up, false, true);
  hidden = lm::UnaryOp::create(builder, loc, op.activation, hidden);
  llvm::SmallVector<int64_t> shape = {width, op.hidden};
  if (op.transposed)
    std::swap(shape[0], shape[1]);
  Value down =
      readParameter(name + ".down", shape, op.downInit, op.hidden, op.storage, loc, step.mark);
  Value y = lm::MatmulOp::create(builder, loc, x.getType(), hidden, down, /*transpose_a=*/false,
                                 /*transpose_b=*/!op.transposed);
  y = runList(op.output, y, {own + ".output", name + ".output", site.layer, Value()});
  return lm::AddOp::create(builder, loc, x.getType(), x, y);
}

Value FunctionEmitter::emitOp(const HeadStep &op, const Step &step, Value x, const Site &) {
  std::string own = path;
  Location loc = locate(own, step.mark);
  const Dims &d = model.dims;
  Value u = runList(op.input, x, {own + ".input", "head.input", -1, Value()});
  Value weight =
      readParameter("head", {d.vocabRows, d.model}, op.init, d.model, op.storage, loc, step.mark);
  RankedTensorType type = getType({tokens, d.vocabRows});
  Value logits;
  if (op.fp8 && role == "train")
    logits = lm::QuantizedMatmulOp::create(builder, locate(own + ".fp8", op.fp8->mark), type, u,
                                           weight, builder.getF64FloatAttr(op.fp8->input),
                                           builder.getF64FloatAttr(op.fp8->weight),
                                           builder.getF64FloatAttr(op.fp8->gradient));
  else
    logits = lm::MatmulOp::create(builder, loc, type, u, weight, false, true);
  if (op.softcap)
    logits = lm::SoftcapOp::create(builder, locate(own + ".softcap", op.softcapMark),
                                   lm::SoftcapKindAttr::get(builder.getContext(), *op.softcap),
                                   logits, builder.getF64FloatAttr(op.amplitude),
                                   builder.getF64FloatAttr(op.temperature));
  if (role == "generate")
    results = {logits};
  else
    emitLoss(op, logits, own, step.mark);
  return x;
}

/// The scale of the scores: a constant, or a setting that grows with YaRN's window.
Value FunctionEmitter::emitScale(const AttentionStep &op, Location loc) {
  if (!op.scaleGrowth)
    return makeScalar(op.scale, loc);
  std::vector<Segment> pieces =
      makeYarnScale(module.spec.training, *model.rope.yarn, op.scale, *op.scaleGrowth);
  if (pieces.size() == 1)
    return makeScalar(op.scale, loc);
  std::string name = module.nameScale(op.scale, *op.scaleGrowth);
  module.getSchedule(name, builder.getF32Type(), pieces, loc);
  return readSetting(name, getType({}), loc);
}

/// The objective of a micro-batch is its share of the step's: a mean over the step's tokens, or
/// the sum over a rank's, of which the mean over ranks is taken.
Value FunctionEmitter::emitLoss(const HeadStep &head, Value logits, const std::string &path,
                                Mark mark) {
  Location loc = locate(path + ".loss", head.lossMark);
  auto perToken = RankedTensorType::get({tokens}, builder.getF32Type());
  auto loss = lm::CrossEntropyOp::create(builder, loc, perToken, perToken, logits, targets);
  Value sum = lm::SumOp::create(builder, loc, getType({}), loss.getLoss());
  Value objective = sum;
  int64_t ranks = module.spec.training.ranks;
  if (head.sum && role == "train" && ranks > 1)
    objective = lm::ScaleOp::create(builder, loc, sum, makeScalar(1.0 / ranks, loc));
  if (!head.sum) {
    Value count = lm::CountOp::create(builder, loc, getType({}), targets);
    objective = lm::ScaleOp::create(
        builder, loc, sum, lm::UnaryOp::create(builder, loc, lm::UnaryKind::reciprocal, count));
    // With several micro-batches their means are averaged.
    const TrainingSpec &training = module.spec.training;
    auto share = [&](const Stage &stage) {
      return double(training.microTokens(stage)) / double(stage.tokens);
    };
    std::vector<Segment> shares = makeStageSchedule(training.stages, share);
    if (role == "train" && shares.size() > 1) {
      module.getSchedule("micro_batch_share", builder.getF32Type(), shares, loc);
      objective = lm::ScaleOp::create(builder, loc, objective,
                                      readSetting("micro_batch_share", getType({}), loc));
    } else if (role == "train" && shares.front().value != 1) {
      objective =
          lm::ScaleOp::create(builder, loc, objective, makeScalar(shares.front().value, loc));
    }
  }
  results = {objective, sum};
  return objective;
}
