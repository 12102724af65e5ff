//===- ParseForward.cpp - The steps of 'forward' --------------------------===//
#include "compiler/Import/CheckForward.h"
#include "compiler/Import/ForwardParser.h"

using namespace smelt;
using mlir::lm::DocumentRule;

void ForwardParser::parse() {
  const JsonMember &forward = *tree.find("forward");
  spec.model.forward = parseList(forward.value, {.isForward = true, .allowsBlocks = true});
  const Step *head = nullptr;
  for (const Step &step : spec.model.forward)
    if (std::holds_alternative<HeadStep>(step.op)) {
      if (head)
        diagnostics.error(step.mark, "a second 'head'").note(head->mark, "the first one is here");
      else
        head = &step;
    }
  if (diagnostics.hasErrors()) // A step with an error is left out.
    return;
  const Step &last = spec.model.forward.back();
  if (!head)
    diagnostics.error(last.mark, "the last step of 'forward' must be 'head'");
  else if (head != &last)
    diagnostics.error(last.mark, "a step after 'head'")
        .note(head->mark, "'head' is the last step of 'forward'");
}

StepList ForwardParser::parseList(const JsonValue &list, Place place) {
  StepList steps;
  for (const JsonValue &element : list.elements)
    parseStep(element, place, steps);
  return steps;
}
StepList ForwardParser::parseOptionalList(const JsonValue &owner, llvm::StringRef key,
                                          Place place) {
  const JsonValue *list = owner.get(key);
  return list ? parseList(*list, place) : StepList();
}

void ForwardParser::parseStep(const JsonValue &object, Place place, StepList &steps) {
  static const llvm::StringRef modifiers[] = {"only", "except", "about"};
  const JsonMember *op = nullptr;
  for (const JsonMember &member : object.members)
    if (!llvm::is_contained(modifiers, member.key))
      op = &member;
  Step step;
  step.label = op->key;
  step.mark = op->keyMark;
  step.layers = parseLayers(object, place);
  step.index = steps.size();
  if (parseOp(*op, place, step))
    steps.push_back(std::move(step));
}

std::vector<bool> ForwardParser::parseLayers(const JsonValue &object, Place place) {
  const JsonMember *only = object.find("only"), *except = object.find("except");
  if (only && except)
    diagnostics.error(except->keyMark, "'only' and 'except' in one step")
        .note(only->keyMark, "'only' is here");
  const JsonMember *given = only ? only : except;
  if (!given)
    return {};
  if (!place.inLayers) {
    diagnostics.error(given->keyMark,
                      "'" + given->key + "' needs layers, and this step stands outside 'layers'");
    return {};
  }
  std::vector<bool> layers(spec.model.dims.layers, !only);
  for (const JsonValue &layer : given->value.elements) {
    if (!checkLayer(layer.mark, layer.integer))
      continue;
    if (layers[layer.integer] == (only != nullptr))
      diagnostics.error(layer.mark, "layer " + std::to_string(layer.integer) + " is listed twice");
    layers[layer.integer] = only != nullptr;
  }
  return layers;
}

bool ForwardParser::checkLayer(Mark mark, int64_t layer, llvm::StringRef text) {
  if (layer < spec.model.dims.layers)
    return true;
  diagnostics
      .error(mark, "layer " + (text.empty() ? std::to_string(layer) : text.str()) +
                       " is out of range: there are " + std::to_string(spec.model.dims.layers) +
                       " layers, counted from 0")
      .note(tree.get("dims")->find("layers")->keyMark, "the number of layers is declared here");
  return false;
}

std::optional<int64_t> ForwardParser::parseLayerKey(const JsonMember &entry) {
  int64_t layer;
  if (llvm::StringRef(entry.key).getAsInteger(10, layer))
    layer = INT64_MAX; // The grammar lets digits through, however many.
  if (!checkLayer(entry.keyMark, layer, entry.key))
    return std::nullopt;
  return layer;
}

bool ForwardParser::refuse(const JsonMember &op, llvm::StringRef why) {
  diagnostics.error(op.keyMark, "'" + op.key + "' cannot stand here: " + why);
  return false;
}

bool ForwardParser::parseOp(const JsonMember &op, Place place, Step &step) {
  llvm::StringRef key = op.key;
  if (key == "embed") {
    if (!place.isForward)
      return refuse(op, "it starts the stream of 'forward'");
    if (checkTable(op.value) && spec.model.findEmbedding(op.value.text)->tables)
      diagnostics.error(op.value.mark,
                        "'" + op.value.text + "' is several tables; 'embed' needs a single one");
    step.op = EmbedStep{op.value.text};
  } else if (key == "rms_norm") {
    const JsonValue *eps = op.value.get("eps");
    // PyTorch's default: the epsilon of float32.
    step.op = RMSNormStep{eps ? eps->number : 1.1920928955078125e-07};
  } else if (key == "scale") {
    step.op = ScaleStep{parseCoefficient(op.value, place.inLayers)};
  } else if (key == "mix") {
    MixStep mix;
    for (const JsonMember &term : op.value.members) {
      mix.terms.push_back({term.key, parseCoefficient(term.value, place.inLayers)});
      mix.terms.back().second.mark = term.keyMark;
    }
    step.op = std::move(mix);
  } else if (key == "save") {
    parseSave(op, place, step);
  } else if (key == "token_shift") {
    step.op = parseTokenShift(op, place);
  } else if (key == "rope") {
    if (!place.heads)
      return refuse(op, "it rotates heads, in the lists 'q', 'k' and 'v' of attention");
    if (!spec.model.rope.present) {
      if (!reportedRope)
        diagnostics.error(op.keyMark, "this step needs the top-level key 'rope'");
      reportedRope = true;
      return false;
    }
    step.op = RopeStep();
  } else if (key == "gate") {
    GateStep gate;
    gate.gate = parseGate(op);
    const JsonValue *per = op.value.get("per");
    gate.perHead = place.heads && (!per || per->text == "head");
    if (per && per->text == "head" && !place.heads)
      diagnostics.error(per->mark, "the stream has no heads here; use \"per\": \"row\"");
    step.op = gate;
  } else if (key == "activation") {
    step.op = ActivationStep{*mlir::lm::symbolizeUnaryKind(op.value.text)};
  } else if (key == "add_embedding") {
    if (place.heads && !checkHeadsSpanModel(op))
      return false;
    step.op = parseAddEmbedding(op, place);
  } else if (key == "layers") {
    if (!place.isForward)
      return refuse(op, "it is a step of 'forward' itself");
    if (layersMark) {
      diagnostics.error(op.keyMark, "a second 'layers'").note(*layersMark, "the first one is here");
      return false;
    }
    layersMark = op.keyMark;
    step.op = LayersStep{parseList(op.value, {.inLayers = true, .allowsBlocks = true})};
  } else if (key == "attention") {
    if (!place.allowsBlocks)
      return refuse(op, "it is a step of 'forward' or of 'layers'");
    step.op = parseAttention(op, place);
  } else if (key == "mlp") {
    if (!place.allowsBlocks)
      return refuse(op, "it is a step of 'forward' or of 'layers'");
    step.op = parseMlp(op, place);
  } else {
    if (!place.isForward)
      return refuse(op, "it is the last step of 'forward'");
    step.op = parseHead(op);
  }
  return true;
}

bool ForwardParser::checkTable(const JsonValue &value) {
  if (spec.model.findEmbedding(value.text))
    return true;
  std::vector<llvm::StringRef> names;
  for (const Embedding &known : spec.model.embeddings)
    names.push_back(known.name);
  diagnostics
      .error(value.mark, "no embedding is named '" + printable(value.text) + "'" +
                             didYouMean(value.text, names))
      .note(tree.find("embeddings")->keyMark, "embeddings are declared here");
  return false;
}

bool ForwardParser::checkHeadsSpanModel(const JsonMember &op) {
  const Dims &d = spec.model.dims;
  if (d.heads * d.head == d.model)
    return true;
  diagnostics.error(op.keyMark, "a table's rows are " + std::to_string(d.model) + " wide, but " +
                                    std::to_string(d.heads) + " heads of " +
                                    std::to_string(d.head) + " are " +
                                    std::to_string(d.heads * d.head));
  return false;
}

void ForwardParser::parseSave(const JsonMember &op, Place place, Step &step) {
  SaveStep save;
  const JsonValue &name = op.value.isObject() ? *op.value.get("as") : op.value;
  save.name = name.text;
  if (save.name == "x")
    diagnostics.error(name.mark, "'x' is the stream itself; save under another name");
  if (op.value.isObject()) {
    place.isForward = place.allowsBlocks = false;
    save.steps = parseList(*op.value.get("steps"), place);
  }
  step.op = std::move(save);
}

GateSpec ForwardParser::parseGate(const JsonMember &member) {
  GateSpec gate;
  const JsonValue &features = *member.value.get("features");
  gate.features = features.integer;
  gate.init = parseInit(member.value.get("init"), {Init::Kind::Constant, 0});
  gate.mark = member.keyMark;
  gate.dtype = parseDType(member.value.get("dtype"));
  if (gate.features > spec.model.dims.model)
    diagnostics.error(features.mark, "a gate reads the stream, which has " +
                                         std::to_string(spec.model.dims.model) + " features, not " +
                                         std::to_string(gate.features));
  return gate;
}

void ForwardParser::parseShiftedHeads(const JsonMember &heads, Place place, TokenShiftStep &shift) {
  if (!place.heads) {
    diagnostics.error(
        heads.keyMark,
        "the stream has no heads here; 'heads' belongs to 'q', 'k', 'v' and 'output' lists");
    return;
  }
  int64_t count = spec.model.dims.heads;
  for (const JsonValue &head : heads.value.elements) {
    if (head.integer >= count)
      diagnostics.error(head.mark, "head " + std::to_string(head.integer) +
                                       " is out of range: there are " + std::to_string(count) +
                                       " heads, counted from 0");
    else if (llvm::is_contained(shift.heads, head.integer))
      diagnostics.error(head.mark, "head " + std::to_string(head.integer) + " is listed twice");
    shift.heads.push_back(head.integer);
  }
  llvm::sort(shift.heads);
}

TokenShiftStep ForwardParser::parseTokenShift(const JsonMember &op, Place place) {
  TokenShiftStep shift;
  const JsonValue &value = op.value;
  shift.mode = *mlir::lm::symbolizeShiftMode(value.get("mode")->text);
  const JsonValue *documents = value.get("documents");
  shift.documents =
      documents ? *mlir::lm::symbolizeDocumentRule(documents->text) : DocumentRule::cross;
  int64_t width = place.heads ? spec.model.dims.head : spec.model.dims.model;
  if (const JsonValue *features = value.get("features"))
    for (const JsonValue &range : features->elements) {
      int64_t begin = range.elements[0].integer, end = range.elements[1].integer;
      if (begin >= end)
        diagnostics.error(range.mark, "a feature range [begin, end) needs begin < end");
      else if (end > width)
        diagnostics.error(range.elements[1].mark, "feature range ends at " + std::to_string(end) +
                                                      ", but there are " + std::to_string(width) +
                                                      " features here");
      else if (!shift.features.empty() && begin < shift.features.back())
        diagnostics.error(range.mark, "feature ranges must ascend and not overlap");
      shift.features.push_back(begin);
      shift.features.push_back(end);
    }
  if (const JsonMember *heads = value.find("heads"))
    parseShiftedHeads(*heads, place, shift);
  if (const JsonValue *distance = value.get("distance"))
    shift.distance = distance->integer;
  if (const JsonValue *scale = value.get("scale"))
    shift.scale = parseCoefficient(*scale, place.inLayers);
  if (const JsonMember *gate = value.find("gate"))
    shift.gate = parseGate(*gate);
  return shift;
}

AddEmbeddingStep ForwardParser::parseAddEmbedding(const JsonMember &op, Place place) {
  AddEmbeddingStep add;
  const JsonValue &table = *op.value.get("table");
  add.table = table.text;
  if (const JsonValue *scale = op.value.get("scale"))
    add.scale = parseCoefficient(*scale, place.inLayers);
  if (!checkTable(table))
    return add;
  const Embedding &embedding = *spec.model.findEmbedding(table.text);
  const JsonMember *index = op.value.find("index"), *byLayer = op.value.find("by_layer");
  auto checkIndex = [&](const JsonValue &value) {
    if (value.integer >= std::max<int64_t>(embedding.tables, 1))
      diagnostics
          .error(value.mark,
                 "embedding '" + add.table + "' has no table " + std::to_string(value.integer))
          .note(embedding.mark, "declared here with " +
                                    std::to_string(std::max<int64_t>(embedding.tables, 1)) +
                                    (embedding.tables > 1 ? " tables" : " table"));
  };
  if (index && byLayer)
    diagnostics.error(byLayer->keyMark, "'index' and 'by_layer' in one step")
        .note(index->keyMark, "'index' is here");
  if (index) {
    checkIndex(index->value);
    add.index = index->value.integer;
  }
  if (byLayer) {
    if (!place.inLayers)
      diagnostics.error(byLayer->keyMark,
                        "'by_layer' needs layers, and this step stands outside 'layers'");
    for (const JsonMember &entry : byLayer->value.members) {
      std::optional<int64_t> layer = parseLayerKey(entry);
      checkIndex(entry.value);
      if (layer)
        add.byLayer[*layer] = entry.value.integer;
    }
  } else if (!index && embedding.tables) {
    diagnostics
        .error(table.mark,
               "'" + add.table + "' is several tables; say which with 'index' or 'by_layer'")
        .note(embedding.mark, "declared here");
  }
  return add;
}

bool smelt::parseForward(const JsonValue &tree, SpecDiagnostics &diagnostics, Spec &spec) {
  unsigned before = diagnostics.getErrorCount();
  ForwardParser(tree, diagnostics, spec).parse();
  if (!diagnostics.hasErrors())
    checkForward(tree, spec, diagnostics);
  return diagnostics.getErrorCount() == before;
}
