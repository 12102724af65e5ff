//===- ParseModel.cpp - Dims, scalars, embeddings, rope -------------------===//
#include "compiler/Import/ParseValues.h"
#include <cmath>

using namespace smelt;

std::string Embedding::parameterName(int64_t index) const {
  return "embeddings." + name + (tables ? "." + std::to_string(index) : "");
}

const Scalar *ModelSpec::findScalar(llvm::StringRef wanted) const {
  for (const Scalar &scalar : scalars)
    if (scalar.name == wanted)
      return &scalar;
  return nullptr;
}

const Embedding *ModelSpec::findEmbedding(llvm::StringRef wanted) const {
  for (const Embedding &embedding : embeddings)
    if (embedding.name == wanted)
      return &embedding;
  return nullptr;
}

Init ValueParser::parseInit(const JsonValue *value, Init fallback) {
  if (!value)
    return fallback;
  if (value->isString())
    return {Init::Kind::Constant, value->text == "ones" ? 1.0 : 0.0};
  const JsonMember &member = value->members.front();
  Init::Kind kind = llvm::StringSwitch<Init::Kind>(member.key)
                        .Case("normal", Init::Kind::Normal)
                        .Case("uniform", Init::Kind::Uniform)
                        .Case("uniform_std", Init::Kind::UniformStd)
                        .Default(Init::Kind::Constant);
  return {kind, member.value.number};
}

DType ValueParser::parseDType(const JsonValue *value) {
  return value && value->text == "bf16" && !spec.fullPrecision ? DType::BF16 : DType::F32;
}

Storage ValueParser::parseStorage(const JsonValue &block) {
  Storage storage{parseDType(block.get("dtype")), std::nullopt};
  if (const JsonValue *compute = block.get("compute"); compute && !spec.fullPrecision)
    storage.compute = parseDType(compute);
  return storage;
}

std::optional<double> ValueParser::parseFraction(const JsonValue &value) {
  std::optional<Rational> exact = parseExact(value);
  return exact ? std::optional<double>(exact->toDouble()) : std::nullopt;
}

std::optional<Rational> ValueParser::parseExact(const JsonValue &value) {
  std::optional<Rational> exact = parseRational(value.text);
  if (!exact)
    diagnostics.error(value.mark, "'" + printable(value.text) +
                                      "' is no fraction that 64-bit numbers hold exactly");
  return exact;
}

double ValueParser::parseNumber(const JsonValue &value) {
  if (value.isNumber())
    return value.number;
  return parseFraction(value).value_or(0);
}

int64_t ValueParser::parseDimension(const JsonValue &value) {
  if (value.isNumber())
    return value.integer;
  const JsonValue &dims = *tree.get("dims");
  if (const JsonValue *dim = dims.get(value.text))
    return dim->integer;
  std::vector<llvm::StringRef> names;
  for (const JsonMember &member : dims.members)
    names.push_back(member.key);
  diagnostics
      .error(value.mark, "no dimension is named '" + printable(value.text) + "'" +
                             didYouMean(value.text, names))
      .note(tree.find("dims")->keyMark, "dimensions are declared here");
  return 1;
}

/// "resid", "skip[6]" or an exact fraction.
void ValueParser::parseScalarName(const JsonValue &value, bool inLayers, Coefficient &result) {
  llvm::StringRef text = value.text;
  if (std::optional<Rational> exact = parseRational(text)) {
    result.constant = exact->toDouble();
    return;
  }
  llvm::StringRef name = text;
  int64_t layer = -1;
  bool indexed = text.ends_with("]") && text.contains('[');
  if (indexed) {
    llvm::StringRef digits;
    std::tie(name, digits) = text.drop_back().split('[');
    if (digits.getAsInteger(10, layer) || layer < 0) {
      diagnostics.error(value.mark,
                        "'" + printable(text) + "' needs a layer number between the brackets");
      return;
    }
  }
  const Scalar *scalar = spec.model.findScalar(name);
  if (!scalar) {
    std::vector<llvm::StringRef> names;
    for (const Scalar &known : spec.model.scalars)
      names.push_back(known.name);
    auto report = diagnostics.error(value.mark, "no scalar is named '" + printable(name) + "'" +
                                                    didYouMean(name, names));
    if (const JsonMember *member = tree.find("scalars"))
      report.note(member->keyMark, "scalars are declared here");
    return;
  }
  if (indexed && !scalar->perLayer) {
    diagnostics
        .error(value.mark, "scalar '" + name + "' has one value, so '[" + std::to_string(layer) +
                               "]' selects nothing")
        .note(scalar->mark, "declared here without \"per\": \"layer\"");
    return;
  }
  if (indexed && layer >= spec.model.dims.layers) {
    diagnostics
        .error(value.mark, "layer " + std::to_string(layer) + " is out of range: there are " +
                               std::to_string(spec.model.dims.layers) + " layers, counted from 0")
        .note(tree.get("dims")->find("layers")->keyMark, "the number of layers is declared here");
    return;
  }
  if (scalar->perLayer && !indexed && !inLayers) {
    diagnostics
        .error(value.mark, "scalar '" + name +
                               "' has a value per layer; outside 'layers' say which, as in '" +
                               name + "[0]'")
        .note(scalar->mark, "declared here with \"per\": \"layer\"");
    return;
  }
  result.scalar = name.str();
  result.perLayer = scalar->perLayer;
  if (indexed)
    result.layer = layer;
}

Coefficient ValueParser::parseCoefficient(const JsonValue &value, bool inLayers) {
  Coefficient result;
  result.mark = value.mark;
  const JsonValue *inner = &value;
  if (value.isObject()) {
    const JsonMember &member = value.members.front();
    result.function = mlir::lm::symbolizeUnaryKind(member.key);
    inner = &member.value;
  }
  if (inner->isNumber())
    result.constant = inner->number;
  else
    parseScalarName(*inner, inLayers, result);
  return result;
}

namespace {

class ModelParser : public ValueParser {
public:
  using ValueParser::ValueParser;

  void parse() {
    spec.model.name = tree.get("name")->text;
    parseDims(*tree.get("dims"));
    if (const JsonValue *scalars = tree.get("scalars"))
      for (const JsonMember &member : scalars->members)
        spec.model.scalars.push_back({member.key, member.value.get("per") != nullptr,
                                      member.value.get("init")->number, member.keyMark});
    for (const JsonMember &member : tree.get("embeddings")->members)
      parseEmbedding(member);
    if (const JsonMember *rope = tree.find("rope"); rope && spec.model.dims.head % 2 == 0)
      parseRope(*rope);
  }

private:
  void parseDims(const JsonValue &dims) {
    Dims &d = spec.model.dims;
    d.layers = dims.get("layers")->integer;
    d.model = dims.get("model")->integer;
    d.heads = dims.get("heads")->integer;
    d.head = dims.get("head")->integer;
    d.vocab = dims.get("vocab")->integer;
    d.vocabRows = d.vocab;
    if (const JsonMember *padded = dims.find("vocab_padded")) {
      d.vocabRows = padded->value.integer;
      if (d.vocabRows < d.vocab)
        diagnostics.error(padded->value.mark, "'vocab_padded' is less than 'vocab'")
            .note(dims.find("vocab")->keyMark, "'vocab' is declared here");
    }
    if (d.head % 2)
      diagnostics.error(dims.get("head")->mark, "'head' must be even");
  }

  void parseEmbedding(const JsonMember &member) {
    Embedding embedding;
    embedding.name = member.key;
    embedding.mark = member.keyMark;
    if (const JsonValue *tables = member.value.get("tables"))
      embedding.tables = tables->integer;
    embedding.rows = spec.model.dims.vocabRows;
    if (const JsonValue *rows = member.value.get("rows")) {
      embedding.rows = parseDimension(*rows);
      if (embedding.rows < spec.model.dims.vocab)
        diagnostics
            .error(rows->mark,
                   "table '" + member.key + "' has fewer rows than the vocabulary has tokens")
            .note(tree.get("dims")->find("vocab")->keyMark, "'vocab' is declared here");
    }
    embedding.init = parseInit(member.value.get("init"), {Init::Kind::Normal, 1.0});
    embedding.dtype = parseDType(member.value.get("dtype"));
    spec.model.embeddings.push_back(embedding);
  }

  /// Frequencies base^-(j/(r−1)) for the r rotating pairs, as the records have them; the other
  /// pairs stand still.
  void parseRope(const JsonMember &member) {
    Rope &rope = spec.model.rope;
    rope.present = true;
    rope.mark = member.keyMark;
    rope.base = member.value.get("base")->number;
    int64_t pairs = spec.model.dims.head / 2, rotating = pairs;
    if (const JsonValue *rotate = member.value.get("rotate")) {
      std::optional<Rational> part = parseExact(*rotate);
      if (!part)
        return;
      __int128 product = static_cast<__int128>(part->numerator) * pairs;
      if (part->numerator < 0 || part->numerator > part->denominator ||
          product % part->denominator) {
        diagnostics
            .error(rotate->mark, "'rotate' must be a part (0 to 1) of the " +
                                     std::to_string(pairs) +
                                     " pairs of a head that makes a whole number of them")
            .note(tree.get("dims")->find("head")->keyMark, "a head's width is declared here");
        return;
      }
      rotating = static_cast<int64_t>(product / part->denominator);
    }
    for (int64_t j = 0; j < pairs; ++j) {
      double exponent =
          rotating > 1 ? static_cast<double>(j) / static_cast<double>(rotating - 1) : 0;
      rope.frequencies.push_back(j < rotating ? std::pow(rope.base, -exponent) : 0.0);
    }
    if (const JsonValue *positions = member.value.get("positions"))
      rope.restartsAtDocuments = positions->text == "document";
    rope.compute = parseDType(member.value.get("compute"));
    if (const JsonMember *yarn = member.value.find("yarn"))
      parseYarn(*yarn);
  }

  void parseYarn(const JsonMember &member) {
    const JsonValue &window = *member.value.get("window");
    Yarn yarn{window.text, member.value.get("alpha")->number, member.value.get("beta")->number,
              member.keyMark};
    if (!(yarn.alpha < yarn.beta))
      diagnostics.error(member.value.find("beta")->keyMark, "'beta' must be greater than 'alpha'")
          .note(member.value.find("alpha")->keyMark, "'alpha' is here");
    spec.usedWindows.try_emplace(yarn.window, window.mark);
    spec.model.rope.yarn = yarn;
  }
};

} // namespace

bool smelt::parseSpec(const JsonValue &tree, SpecDiagnostics &diagnostics, Spec &spec) {
  const JsonValue *precision = tree.get("precision");
  spec.fullPrecision = precision && precision->text == "f32";
  ModelParser(tree, diagnostics, spec).parse();
  // A wrong head width or table would only cause more errors below.
  if (diagnostics.hasErrors())
    return false;
  bool forward = parseForward(tree, diagnostics, spec);
  bool training = parseTraining(tree, diagnostics, spec);
  return parseData(tree, diagnostics, spec) && forward && training && !diagnostics.hasErrors();
}
