//===- GrammarRules.cpp - The table of all keys of a spec -----------------===//
#include "compiler/Import/RuleTable.h"

using namespace smelt;

void RuleTable::addValues() {
  text = add({.kind = Rule::Kind::String});
  boolean = add({.kind = Rule::Kind::Boolean});
  positive = integer(1);
  nonNegative = named("non_negative", number(0, kMaxNumber));
  anyNumber = named("number", number(-kMaxNumber, kMaxNumber));
  empty = object({});
  dtype = named("dtype", choice({"f32", "bf16"}));
  windowName = text;
  name = named("name",
               add({.kind = Rule::Kind::String,
                    .pattern = "^[A-Za-z_][A-Za-z0-9_]*$",
                    .patternText = "a name: letters, digits and '_', not starting with a digit"}));
  fraction = named(
      "fraction", byType({anyNumber, add({.kind = Rule::Kind::String,
                                          .pattern = "^-?[0-9]+([.][0-9]+)?(/[0-9]+([.][0-9]+)?)?$",
                                          .patternText = "an exact fraction such as \"1/3\""})}));
  share = add({.kind = Rule::Kind::String,
               .pattern = "^[0-9]+([.][0-9]+)?(/[0-9]+([.][0-9]+)?)?$",
               .patternText = "an exact fraction such as \"1/3\", without a sign"});
  rate = named("rate", byType({nonNegative, share}));
  Rule *value = byType({anyNumber, text});
  coefficient =
      named("coefficient", byType({anyNumber, text,
                                   tagged("a coefficient", {{"sigmoid", value, "1 / (1 + exp(-c))"},
                                                            {"negate", value, "-c"},
                                                            {"tanh", value, "tanh(c)"},
                                                            {"exp", value, "exp(c)"}})}));
  dimension = named("dimension", byType({positive, text}));
  init = named(
      "init", byType({choice({"zeros", "ones"}),
                      tagged("an initial value",
                             {{"normal", nonNegative, "Normal values with this standard deviation"},
                              {"uniform", nonNegative, "Uniform values in [-b, b)"},
                              {"uniform_std", nonNegative,
                               "Uniform values whose standard deviation is c / sqrt(inputs)"},
                              {"constant", anyNumber, "Every element alike"}})}));
}

void RuleTable::addModel() {
  dims = map(positive, "^[A-Za-z_][A-Za-z0-9_]*$", "a name");
  dims->keys = {{"layers", integer(1, 1024), "Number of layers", true},
                {"model", positive, "Width of the residual stream", true},
                {"heads", integer(1, 65536), "Attention heads", true},
                {"head", integer(2, 65536), "Width of a head", true},
                {"vocab", positive, "Tokens of the tokenizer", true},
                {"vocab_padded", positive, "Rows of the tables and of the head", false}};
  scalars = map(object({{"per", choice({"layer"}), "One value for each layer"},
                        {"init", anyNumber, "Initial value", true}}),
                "^[A-Za-z_][A-Za-z0-9_]*$", "a name");
  embeddings = map(object({{"tables", integer(1, 1024), "Several tables under one name"},
                           {"init", init, "Initial rows; normal 1 by default"},
                           {"dtype", dtype, "Storage of the table"},
                           {"rows", dimension,
                            "Rows of the table; vocab_padded by default, where it is given"}}),
                   "^[A-Za-z_][A-Za-z0-9_]*$", "a name");
  rope =
      object({{"base", number(1, kMaxNumber), "Slowest rotation: 1/base per token", true},
              {"rotate", fraction, "Part of a head's features that rotates; 1 by default"},
              {"positions", choice({"packed", "document"}),
               "Count from the sequence's start or the document's"},
              {"compute", dtype, "The type that cos and sin are rounded to; f32 by default"},
              {"yarn",
               object({{"window", windowName, "The window of 'stages' that it follows", true},
                       {"alpha", anyNumber,
                        "Pairs that turn less often than this in a window "
                        "slow down with it",
                        true},
                       {"beta", anyNumber,
                        "Pairs that turn more often than this keep their "
                        "frequency",
                        true}}),
               "YaRN: frequencies follow a window. At each change from old to new tokens, with r "
               "= old * f / 2pi, s = old / new, w = clamp((r - alpha) / (beta - alpha), 0, 1): f "
               "*= s + w * (1 - s)"}});
}

RuleTable::RuleTable() {
  addValues();
  addSteps();
  addModel();
  addTraining();
  Rule *title = add({.kind = Rule::Kind::String,
                     .pattern = "^[A-Za-z0-9][A-Za-z0-9._-]*$",
                     .patternText = "letters, digits, '.', '_' and '-'"});
  overlay = object(
      {{"$schema", text, "Lets editors find models/overlay-schema.json"},
       {"smelt", integer(1, 1), "Version of the grammar", true},
       {"base", text, "The spec or overlay that this one changes, from this file's folder", true},
       {"name", title, "Name of the model; the file's by default"},
       {"about", text, "One sentence for readers"},
       {"set", map(add({.kind = Rule::Kind::Any}), "^.+$", "a path"),
        "Edits in order: a path and the new value; null removes. forward[layers].layers[mlp] is "
        "the "
        "step with that key, k[2] an element, k[+] a new last one, k[+2] a new one before that"}});
  spec = object({{"$schema", text, "Lets editors find models/schema.json"},
                 {"smelt", integer(1, 1), "Version of the grammar", true},
                 {"name", title, "Name of the model", true},
                 {"about", text, "One sentence for readers"},
                 {"precision", choice({"spec", "f32"}),
                  "f32: every parameter and state is f32 and nothing is rounded, whatever the rest "
                  "says; for parity tests"},
                 {"dims", dims, "Sizes by name", true},
                 {"scalars", scalars, "Learned numbers by name"},
                 {"embeddings", embeddings, "Tables by name", true},
                 {"rope", rope, "Rotary position embedding"},
                 {"forward", list(steps->element, 1), "The model: steps on the stream x", true},
                 {"training", training, "How it is trained", true},
                 {"data", data, "What it is trained on", true}});
}

static const RuleTable &getTable() {
  static const RuleTable table;
  return table;
}

const Rule &smelt::getSpecRule() { return *getTable().spec; }
const Rule &smelt::getOverlayRule() { return *getTable().overlay; }
