//===- GrammarRules.cpp - The table of all keys of a spec -----------------===//
#include "compiler/Import/Grammar.h"
#include <deque>

using namespace smelt;

namespace {

constexpr double kMaxDim = 2147483647;

/// Owns the rules; pointers to them stay valid.
class RuleTable {
public:
  RuleTable();
  const Rule *spec, *overlay;

private:
  Rule *add(Rule rule) { return &rules.emplace_back(std::move(rule)); }
  Rule *integer(double minimum, double maximum = kMaxDim) {
    return add({.kind = Rule::Kind::Integer, .minimum = minimum, .maximum = maximum});
  }
  Rule *number(double minimum, double maximum) {
    return add({.kind = Rule::Kind::Number, .minimum = minimum, .maximum = maximum});
  }
  Rule *choice(std::vector<llvm::StringRef> choices) {
    return add({.kind = Rule::Kind::Choice, .choices = std::move(choices)});
  }
  Rule *list(const Rule *element, size_t minCount = 0, size_t maxCount = Rule::kAnyCount) {
    return add(
        {.kind = Rule::Kind::List, .element = element, .minCount = minCount, .maxCount = maxCount});
  }
  Rule *map(const Rule *element, llvm::StringRef pattern, llvm::StringRef patternText,
            size_t minCount = 0) {
    return add({.kind = Rule::Kind::Map,
                .pattern = pattern,
                .patternText = patternText,
                .element = element,
                .minCount = minCount});
  }
  Rule *object(std::vector<KeyRule> keys) {
    return add({.kind = Rule::Kind::Object, .keys = std::move(keys)});
  }
  Rule *tagged(llvm::StringRef noun, std::vector<KeyRule> tags, std::vector<KeyRule> keys = {}) {
    return add({.kind = Rule::Kind::Object,
                .keys = std::move(keys),
                .tags = std::move(tags),
                .noun = noun});
  }
  Rule *byType(std::vector<const Rule *> alternatives) {
    return add({.kind = Rule::Kind::ByType, .alternatives = std::move(alternatives)});
  }
  Rule *named(llvm::StringRef name, Rule *rule) {
    rule->name = name;
    return rule;
  }

  void addValues();
  void addSteps();
  void addModel();
  void addTraining();

  std::deque<Rule> rules;
  Rule *text, *boolean, *positive, *dtype, *name, *dimension, *nonNegative, *anyNumber;
  Rule *fraction, *coefficient, *init, *steps, *empty, *windowName;
  Rule *dims, *scalars, *embeddings, *rope, *training, *data;
};

void RuleTable::addValues() {
  text = add({.kind = Rule::Kind::String});
  boolean = add({.kind = Rule::Kind::Boolean});
  positive = integer(1);
  nonNegative = number(0, DBL_MAX);
  anyNumber = number(-DBL_MAX, DBL_MAX);
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

void RuleTable::addSteps() {
  Rule *step = named("step", tagged("a step", {}));
  steps = named("steps", list(step));
  Rule *layerList = named("layer_list", list(integer(0), 1));
  step->keys = {{"only", layerList, "Only in these layers"},
                {"except", layerList, "In every layer but these"},
                {"about", text, "A remark for readers"}};

  Rule *gate =
      object({{"features", positive, "The gate reads the first n features of its input", true},
              {"init", init, "Initial weights; zeros by default"},
              {"dtype", dtype, "Storage of the gate's weights"}});
  Rule *outputGate =
      object({{"features", positive, "The gate reads the first n features of its input", true},
              {"per", choice({"head", "row"}), "One factor per head or per row"},
              {"init", init, "Initial weights; zeros by default"},
              {"dtype", dtype, "Storage of the gate's weights"}});
  Rule *range = list(integer(0), 2, 2);
  Rule *tokenShift = object(
      {{"mode", choice({"replace", "add"}), "Take the earlier row's features, or add them", true},
       {"features", list(range, 1), "Half-open feature ranges; all by default"},
       {"heads", list(integer(0), 1), "Heads that are shifted; all by default"},
       {"distance", positive, "How many rows back; 1 by default"},
       {"scale", coefficient, "A learned or constant factor"},
       {"gate", gate, "A learned factor per row"},
       {"documents", choice({"cross", "mask"}),
        "At a document's first tokens: take the earlier document's row (cross), or nothing "
        "(mask)"}});
  Rule *tableName = text;
  Rule *addEmbedding =
      object({{"table", tableName, "A table of 'embeddings'", true},
              {"scale", coefficient, "A factor on the embedding"},
              {"index", integer(0), "Which of the tables, when there are several"},
              {"by_layer", map(integer(0), "^(0|[1-9][0-9]*)$", "a layer number", 1),
               "Layer to table; layers that are not named have no embedding"}});
  Rule *windowValue = byType({positive, text});
  Rule *window =
      byType({positive, text,
              map(windowValue, "^(default|0|[1-9][0-9]*)$", "'default' or a layer number", 1)});
  Rule *attention =
      object({{"input", steps, "Steps between the stream and the projection"},
              {"q", steps, "Steps on the queries"},
              {"k", steps, "Steps on the keys"},
              {"v", steps, "Steps on the values"},
              {"output", steps, "Steps on each head's output, before the output projection"},
              {"window", window,
               "Earlier tokens that a query sees: a number, a name from 'stages', or one of them "
               "by layer"},
              {"window_granularity", object({{"blocks", positive, "Tokens in a block", true}}),
               "Windows count in blocks: a query sees its own block and the window / blocks - 1 "
               "before it"},
              {"scale",
               byType({anyNumber, fraction->alternatives[1],
                       object({{"init", anyNumber, "Scale at the first step", true},
                               {"yarn_growth", anyNumber,
                                "Times yarn_growth * ln(new / old) + 1 at each change of YaRN's "
                                "window"}})}),
               "Factor on the scores; 1/sqrt(head) by default"},
              {"weight_scale",
               object({{"qkv", coefficient, "Factor on the projection's weight"},
                       {"out", coefficient, "Factor on the output projection's weight"}}),
               "Learned factors on the weights"},
              {"init",
               object({{"qkv", init, "Of the projection to q, k and v; uniform_std 0.5 by default"},
                       {"out", init, "Of the output projection; zeros by default"}}),
               "Initial weights"},
              {"dtype", dtype, "Storage of the weights; f32 by default"},
              {"compute", dtype, "Weights are rounded to this type in use; dtype by default"}});
  Rule *activation =
      named("activation", choice({"relu", "relu_squared", "gelu", "silu", "sigmoid", "tanh"}));
  Rule *mlp =
      object({{"input", steps, "Steps between the stream and the first projection"},
              {"hidden", dimension, "Width of the hidden layer", true},
              {"activation", activation, "Function of the hidden layer", true},
              {"output", steps, "Steps on the result, before it joins the stream"},
              {"layout", choice({"plain", "transposed"}),
               "transposed: the second projection is stored as [hidden, model], like the first"},
              {"init",
               object({{"up", init, "Of the first projection; uniform_std 0.5 by default"},
                       {"down", init, "Of the second projection; zeros by default"}}),
               "Initial weights"},
              {"dtype", dtype, "Storage of the weights; f32 by default"},
              {"compute", dtype, "Weights are rounded to this type in use; dtype by default"}});
  Rule *cap =
      object({{"amplitude", number(1e-6, 1e6), "The bound", true},
              {"temperature", number(1e-6, 1e6), "Divides the logits; the amplitude by default"}});
  Rule *rsqrtCap = object({{"amplitude", number(1e-6, 1e6), "The bound", true}});
  Rule *quotient = byType({anyNumber, text});
  auto fp8Scale = [&](llvm::StringRef format, llvm::StringRef about) {
    return object({{format, quotient, about, true}});
  };
  llvm::StringRef divided =
      "Divided by this before it is rounded: a number, or numbers, dimensions "
      "and square roots of them with * and /, as \"sqrt(model)/448\"";
  Rule *head = object(
      {{"input", steps, "Steps between the stream and the projection"},
       {"init", init, "Initial weights"},
       {"dtype", dtype, "Storage of the weights; f32 by default"},
       {"compute", dtype, "Weights are rounded to this type in use; dtype by default"},
       {"fp8",
        object({{"input", fp8Scale("e4m3", divided), "The head's input", true},
                {"weight", fp8Scale("e4m3", divided), "The head's weights", true},
                {"grad", fp8Scale("e5m2", divided), "The gradient of the logits", true}}),
        "While training the product takes 8-bit floats"},
       {"softcap",
        tagged("a softcap", {{"tanh", cap, "A·tanh(z/t)"},
                             {"sigmoid", cap, "A·sigmoid(z/t)"},
                             {"rsqrt", rsqrtCap, "A·z/sqrt(z² + A²)"}}),
        "Bounds the logits"},
       {"loss",
        tagged(
            "a loss",
            {{"cross_entropy",
              object({{"reduction", choice({"mean", "sum"}),
                       "Over the tokens of a step, or of each rank and then the mean over ranks; "
                       "mean by default"}}),
              "-log softmax(logits)[target]"}}),
        "Mean cross-entropy by default"}});

  step->tags = {
      {"embed", tableName, "Start the stream from a table"},
      {"rms_norm", object({{"eps", number(0, 1), "Added to the mean square"}}), "x / rms(x)"},
      {"scale", coefficient, "x · c"},
      {"mix", map(coefficient, "^[A-Za-z_][A-Za-z0-9_]*$", "'x' or a saved name", 1),
       "Weighted sum of the stream (x) and saved values"},
      {"save",
       byType({text, object({{"as", name, "The saved value's name", true},
                             {"steps", steps, "Steps on the saved copy alone", true}})}),
       "Keep the stream under a name"},
      {"token_shift", tokenShift, "Each row takes from an earlier row"},
      {"rope", empty, "Rotary position embedding"},
      {"gate", outputGate, "Multiply by a learned gate"},
      {"activation", activation, "A function of every element"},
      {"add_embedding", addEmbedding, "Add a row of a table"},
      {"layers", list(step, 1), "These steps once for each layer"},
      {"attention", attention, "x + attention(x)"},
      {"mlp", mlp, "x + mlp(x)"},
      {"head", head, "Logits and loss; the last step of 'forward'"}};
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
      object({{"base", number(1, DBL_MAX), "Slowest rotation: 1/base per token", true},
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

void RuleTable::addTraining() {
  Rule *tokens = positive;
  Rule *windowSchedule =
      byType({positive,
              tagged("a window schedule",
                     {{"cubic",
                       object({{"peak", positive, "Tokens where the cubic is 1", true},
                               {"coefficients", list(anyNumber, 3, 3), "Of x^3, x^2 and x", true},
                               {"round_up", positive,
                                "To a multiple of this, at least this; 1 by "
                                "default"}}),
                       "A cubic of the progress x = step / scheduled steps"},
                      {"half_of", windowName, "Half of another window"}},
                     {{"blocks", positive,
                       "half_of: rounded down to a multiple of this; 1 by default"}})});
  Rule *stage = object(
      {{"until", byType({anyNumber, fraction->alternatives[1]}),
        "Ends at this part of the scheduled steps"},
       {"tokens", tokens, "Tokens of one step", true},
       {"windows", map(windowSchedule, "^[A-Za-z_][A-Za-z0-9_]*$", "a name"),
        "Attention windows by name; a stage keeps those that it does not give"},
       {"lr",
        byType({anyNumber, fraction->alternatives[1],
                object({{"after", fraction,
                         "The level at steps s with s / scheduled steps > the earlier stage's end: "
                         "one step late where that end falls on a step",
                         true}})}),
        "Level of the learning rate; the earlier stage's by default, 1 at first"}});
  stage->keys[0].rule = byType(
      {anyNumber, add({.kind = Rule::Kind::String,
                       .pattern = "^([0-9]+([.][0-9]+)?(/[0-9]+([.][0-9]+)?)?|extension)$",
                       .patternText = "an exact fraction such as \"1/3\", or \"extension\""})});
  stage->keys[0].required = true;
  Rule *momentum = byType(
      {number(0, 1), object({{"from", number(0, 1), "At the first step", true},
                             {"to", number(0, 1), "After the warm-up", true},
                             {"warmup", positive, "Steps from the first value to the second", true},
                             {"cooldown", positive, "Steps back at the end"}})});
  Rule *betas = list(number(0, 0.9999999), 2, 2);
  KeyRule every = {"every", positive,
                   "Update only every n-th step; gradients add up between; 1 by default"};
  KeyRule offset = {"offset", integer(0),
                    "Update after steps s with s mod every = offset, counted from 0"};
  Rule *adam = object({{"lr", fraction, "Learning rate", true},
                       {"betas", betas, "Decay of the two moments", true},
                       {"eps", nonNegative, "Added to the denominator", true},
                       {"state", dtype, "Storage of the moments; f32 by default"},
                       every,
                       offset});
  Rule *adamw = object(adam->keys);
  adamw->keys.push_back({"weight_decay", nonNegative, "Decoupled decay, times the learning rate"});
  Rule *orthogonalize = choice({"newton_schulz_5", "newton_schulz_medium_5", "polar_express_5"});
  std::vector<KeyRule> matrixKeys = {
      {"lr", fraction, "Learning rate", true},
      {"momentum", momentum, "Of the gradient", true},
      {"nesterov", boolean, "Look ahead by one momentum step; true by default"},
      {"orthogonalize", orthogonalize, "The iteration; newton_schulz_5 by default"},
      {"master", choice({"parameter", "bf16_plus_16"}),
       "What the update adds to: the parameter itself, or a bf16 parameter with 16 more bits "
       "beside "
       "it; parameter by default"},
      every,
      offset};
  Rule *muon = object(matrixKeys), *normuon = object(std::move(matrixKeys));
  muon->keys.push_back({"weight_decay", nonNegative, "Decoupled decay, times the learning rate"});
  muon->keys.push_back(
      {"update_smoothing", number(0, 1),
       "The step is a running mean b of the updates, b = c * b + (1 - c) * update"});
  normuon->keys.push_back({"beta2", number(0, 1), "Decay of the second moment", true});
  normuon->keys.push_back(
      {"weight_decay",
       byType({nonNegative,
               object({{"cautious", nonNegative,
                        "Only where the update and the parameter agree in sign", true}})}),
       "Decoupled decay, times the learning rate and the matrix's own"});
  Rule *selection =
      map(object({{"lr", fraction, "Times the group's learning rate"},
                  {"weight_decay", nonNegative, "Times the group's decay"},
                  {"split", integer(1, 64),
                   "The matrix is this many matrices below each other; 3 for attention's qkv"},
                  {"variance_over", choice({"columns", "rows"}),
                   "NorMuon's second moment is a mean over these; by default over the columns of "
                   "matrices with at least as many rows, else over the rows"}}),
          "^.+$", "a pattern of parameter names", 1);
  Rule *optimizer = tagged(
      "an optimizer",
      {{"adam", adam, "Adam; its step is lr * sqrt(1 - b2^t) / (1 - b1^t) * m / (sqrt(v) + eps)"},
       {"adamw", adamw, "AdamW; its step is lr / (1 - b1^t) * m / (sqrt(v / (1 - b2^t)) + eps)"},
       {"muon", muon, "Muon: momentum, then the nearest orthogonal matrix"},
       {"normuon", normuon, "Muon, scaled by a second moment of the update"}},
      {{"parameters", selection, "Which parameters: names with * and ?", true}});
  Rule *duration = byType({integer(0), add({.kind = Rule::Kind::String,
                                            .pattern = "^[0-9]+([.][0-9]+)?(/[0-9]+([.][0-9]+)?)?$",
                                            .patternText = "an exact fraction such as \"1/3\""})});
  training = object(
      {{"steps",
        byType({integer(1), object({{"scheduled", integer(1), "Steps of the schedule", true},
                                    {"extension", integer(0), "Steps after it, at the floor"}})}),
        "Number of updates", true},
       {"seed", integer(0), "Of the initial values and the order of the data"},
       {"ranks", integer(1, 65536),
        "Data-parallel ranks that the numbers are meant for; fewer run several micro-batches each"},
       {"micro_batch", positive,
        "Tokens that run at once; a rank's share of the step by default, which is a multiple of "
        "it"},
       {"stages", list(stage, 1), "Batch size, windows and learning-rate level over time", true},
       {"lr",
        object({{"warmup", duration, "Linear rise: steps, or a part of the schedule as a string"},
                {"cooldown", fraction, "Linear fall over this last part of the schedule"},
                {"floor", number(0, 1), "Level at the end of the fall"}}),
        "Shape of the learning rate"},
       {"optimizers", list(optimizer, 1), "Each parameter belongs to exactly one", true},
       {"outer_optimizer",
        tagged("an outer optimizer",
               {{"snoo",
                 object({{"every", positive, "Steps between its steps", true},
                         {"offset", integer(0),
                          "It runs after steps s with s mod every = offset; "
                          "0 by default: after the first step too"},
                         {"lr", number(0, 1e6), "Learning rate", true},
                         {"momentum", number(0, 1), "Nesterov momentum", true}}),
                 "Nesterov SGD on copy - parameters, from the copy of its last "
                 "step"}}),
        "An optimizer over all parameters, after the others"},
       {"checkpoint",
        object({{"every", positive, "Steps between checkpoints", true},
                {"keep", positive, "How many stay; 3 by default"}}),
        "When to save"}});
  data = object(
      {{"train", text, "A text file, or .bin shards (a pattern)", true},
       {"tokenizer",
        byType({choice({"bytes", "gpt2"}),
                tagged("a tokenizer",
                       {{"gpt2",
                         object({{"vocab", text, "encoder.json", true},
                                 {"merges", text, "vocab.bpe", true}}),
                         "GPT-2's byte-pair encoding from its two files"},
                        {"tiktoken", object({{"ranks", text, "A .tiktoken file", true}}),
                         "GPT-2's byte-pair encoding from tiktoken's ranks"}})}),
        "How text becomes tokens; .bin shards hold tokens already"},
       {"sequence", positive,
        "Fixed-length samples packed side by side; without it documents are packed whole"},
       {"documents",
        object({{"start_token", integer(0), "The token that starts a document", true},
                {"align", boolean,
                 "Each micro-batch is whole documents from the start of one; false by default"},
                {"max_tokens", positive, "Longer documents are cut, with align"}}),
        "Where documents start in .bin shards"},
       {"order", choice({"random", "contiguous"}),
        "Of the samples: at random places of the data, or one after the other"},
       {"validation",
        object({{"files", text, "As 'train'; without it the last part of 'train' is held out"},
                {"tokens", positive, "Tokens of one validation", true},
                {"every", positive, "Steps between validations; only at the end without it"},
                {"micro_batch", positive, "Tokens that run at once; training's by default"},
                {"align", boolean, "Validation takes every token in order: false"},
                {"final_windows", map(positive, "^[A-Za-z_][A-Za-z0-9_]*$", "a name"),
                 "Windows of the last validation, where they are not the last stage's"}}),
        "The held-out data"}});
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

} // namespace

static const RuleTable &getTable() {
  static const RuleTable table;
  return table;
}

const Rule &smelt::getSpecRule() { return *getTable().spec; }
const Rule &smelt::getOverlayRule() { return *getTable().overlay; }
