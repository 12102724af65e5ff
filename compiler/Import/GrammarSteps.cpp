//===- GrammarSteps.cpp - The keys of steps on the stream -----------------===//
#include "compiler/Import/RuleTable.h"

using namespace smelt;

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
