//===- ParseBlocks.cpp - attention, mlp and head --------------------------===//
#include "compiler/Import/ForwardParser.h"
#include <cmath>

using namespace smelt;

Window ForwardParser::parseWindow(const JsonValue &value) {
  if (value.isNumber())
    return {"", value.integer};
  if (value.text == "full")
    return {"", INT32_MAX};
  spec.usedWindows.try_emplace(value.text, value.mark);
  return {"window." + value.text, 0};
}

void ForwardParser::parseWindows(const JsonValue &value, Place place, AttentionStep &attention) {
  if (!value.isObject()) {
    llvm::fill(attention.windows, parseWindow(value));
    return;
  }
  if (!place.inLayers) {
    diagnostics.error(value.mark,
                      "windows by layer need layers, and this step stands outside 'layers'");
    return;
  }
  if (const JsonValue *fallback = value.get("default"))
    llvm::fill(attention.windows, parseWindow(*fallback));
  for (const JsonMember &entry : value.members) {
    if (entry.key == "default")
      continue;
    Window one = parseWindow(entry.value);
    if (std::optional<int64_t> layer = parseLayerKey(entry))
      attention.windows[*layer] = one;
  }
}

AttentionStep ForwardParser::parseAttention(const JsonMember &op, Place place) {
  const JsonValue &value = op.value;
  const Dims &dims = spec.model.dims;
  AttentionStep attention;
  Place stream{.inLayers = place.inLayers}, heads{.heads = true, .inLayers = place.inLayers};
  attention.input = parseOptionalList(value, "input", stream);
  attention.q = parseOptionalList(value, "q", heads);
  attention.k = parseOptionalList(value, "k", heads);
  attention.v = parseOptionalList(value, "v", heads);
  attention.output = parseOptionalList(value, "output", heads);
  attention.windows.assign(place.inLayers ? dims.layers : 1, Window{"", INT32_MAX});
  if (const JsonValue *window = value.get("window"))
    parseWindows(*window, place, attention);
  if (const JsonValue *granularity = value.get("window_granularity"))
    attention.blocks = granularity->get("blocks")->integer;
  attention.scale = 1.0 / std::sqrt(static_cast<double>(dims.head));
  attention.scaleMark = op.keyMark;
  if (const JsonMember *scale = value.find("scale")) {
    attention.scaleMark = scale->keyMark;
    if (!scale->value.isObject()) {
      attention.scale = parseNumber(scale->value);
    } else {
      attention.scale = scale->value.get("init")->number;
      if (const JsonMember *growth = scale->value.find("yarn_growth")) {
        attention.scaleGrowth = growth->value.number;
        if (!spec.model.rope.yarn) {
          auto report = diagnostics.error(
              growth->keyMark,
              "'yarn_growth' follows the window of 'yarn' in 'rope', and there is none");
          if (const JsonMember *rope = tree.find("rope"))
            report.note(rope->keyMark, "'rope' is here");
        }
      }
    }
  }
  if (const JsonValue *scales = value.get("weight_scale")) {
    if (const JsonValue *qkv = scales->get("qkv"))
      attention.qkvScale = parseCoefficient(*qkv, place.inLayers);
    if (const JsonValue *out = scales->get("out"))
      attention.outScale = parseCoefficient(*out, place.inLayers);
  }
  const JsonValue *init = value.get("init");
  attention.qkvInit = parseInit(init ? init->get("qkv") : nullptr, {Init::Kind::UniformStd, 0.5});
  attention.outInit = parseInit(init ? init->get("out") : nullptr, {Init::Kind::Constant, 0});
  attention.storage = parseStorage(value);
  return attention;
}

MlpStep ForwardParser::parseMlp(const JsonMember &op, Place place) {
  const JsonValue &value = op.value;
  MlpStep mlp;
  Place stream{.inLayers = place.inLayers};
  mlp.input = parseOptionalList(value, "input", stream);
  mlp.output = parseOptionalList(value, "output", stream);
  mlp.hidden = parseDimension(*value.get("hidden"));
  mlp.activation = *mlir::lm::symbolizeUnaryKind(value.get("activation")->text);
  const JsonValue *init = value.get("init");
  mlp.upInit = parseInit(init ? init->get("up") : nullptr, {Init::Kind::UniformStd, 0.5});
  mlp.downInit = parseInit(init ? init->get("down") : nullptr, {Init::Kind::Constant, 0});
  const JsonValue *layout = value.get("layout");
  mlp.transposed = layout && layout->text == "transposed";
  mlp.storage = parseStorage(value);
  return mlp;
}

HeadStep ForwardParser::parseHead(const JsonMember &op) {
  const JsonValue &value = op.value;
  HeadStep head;
  head.input = parseOptionalList(value, "input", Place());
  head.init = parseInit(value.get("init"), {Init::Kind::Constant, 0});
  head.storage = parseStorage(value);
  if (const JsonMember *fp8 = value.find("fp8")) {
    Fp8Scales scales{parseQuotient(fp8->value.get("input")->members.front().value),
                     parseQuotient(fp8->value.get("weight")->members.front().value),
                     parseQuotient(fp8->value.get("grad")->members.front().value), fp8->keyMark};
    if (!spec.fullPrecision)
      head.fp8 = scales;
  }
  head.softcapMark = head.lossMark = op.keyMark;
  if (const JsonMember *softcap = value.find("softcap")) {
    const JsonMember &kind = softcap->value.members.front();
    head.softcap = mlir::lm::symbolizeSoftcapKind(kind.key);
    head.amplitude = kind.value.get("amplitude")->number;
    const JsonValue *temperature = kind.value.get("temperature");
    head.temperature = temperature ? temperature->number : head.amplitude;
    head.softcapMark = softcap->keyMark;
  }
  if (const JsonMember *loss = value.find("loss")) {
    head.lossMark = loss->keyMark;
    const JsonValue *reduction = loss->value.members.front().value.get("reduction");
    head.sum = reduction && reduction->text == "sum";
  }
  return head;
}
