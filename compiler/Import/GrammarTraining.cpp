//===- GrammarTraining.cpp - The keys of training and its data ------------===//
#include "compiler/Import/RuleTable.h"

using namespace smelt;

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
        byType({nonNegative, share,
                object({{"after", rate,
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
  Rule *adam = object({{"lr", rate, "Learning rate", true},
                       {"betas", betas, "Decay of the two moments", true},
                       {"eps", nonNegative, "Added to the denominator", true},
                       {"state", dtype, "Storage of the moments; f32 by default"},
                       every,
                       offset});
  Rule *adamw = object(adam->keys);
  adamw->keys.push_back({"weight_decay", nonNegative, "Decoupled decay, times the learning rate"});
  Rule *orthogonalize = choice({"newton_schulz_5", "newton_schulz_medium_5", "polar_express_5"});
  std::vector<KeyRule> matrixKeys = {
      {"lr", rate, "Learning rate", true},
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
      map(object({{"lr", rate, "Times the group's learning rate"},
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
  Rule *duration = byType({integer(0), share});
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
