//===- Spec.h - A checked spec as plain structures --------------*- C++ -*-===//
//
// What a spec means, with names resolved and numbers checked; nothing here can fail to be emitted.
//
//===----------------------------------------------------------------------===//
#ifndef SMELT_COMPILER_IMPORT_SPEC_H
#define SMELT_COMPILER_IMPORT_SPEC_H

#include "compiler/Import/Json.h"
#include "compiler/Import/Rational.h"
#include "dialects/LM/LMOps.h"
#include <map>
#include <optional>
#include <variant>

namespace smelt {

/// Initial values of a parameter. `uniform_std` is already turned into a bound by the fan-in.
struct Init {
  enum class Kind { Constant, Uniform, Normal, UniformStd };
  Kind kind = Kind::Constant;
  double value = 0;
};

struct Dims {
  int64_t layers = 0, model = 0, heads = 0, head = 0, vocab = 0, vocabRows = 0;
};

struct Scalar {
  std::string name;
  bool perLayer = false;
  double init = 0;
  Mark mark;
};

struct Embedding {
  std::string name;
  /// 0: one table under the plain name; else tables `name.0` … `name.(n−1)`.
  int64_t tables = 0;
  int64_t rows = 0;
  Init init;
  Mark mark;
  std::string parameterName(int64_t index) const;
};

struct Rope {
  bool present = false;
  double base = 0;
  /// Frequency of each of the head/2 pairs; 0 for pairs that do not rotate.
  std::vector<float> frequencies;
  bool restartsAtDocuments = false;
  Mark mark;
};

/// A number or a learned scalar, under at most one function.
struct Coefficient {
  double constant = 1;
  std::string scalar; // empty: the constant
  bool perLayer = false;
  /// Explicit layer of a per-layer scalar; otherwise the layer that the step runs in.
  std::optional<int64_t> layer;
  std::optional<mlir::lm::UnaryKind> function;
  Mark mark;
  bool isConstantOne() const { return scalar.empty() && !function && constant == 1; }
};

struct Step;
using StepList = std::vector<Step>;

struct GateSpec {
  int64_t features = 0;
  Init init;
  Mark mark;
};

struct EmbedStep {
  std::string table;
};
struct RMSNormStep {
  double eps = 0;
};
struct ScaleStep {
  Coefficient coefficient;
};
struct MixStep {
  std::vector<std::pair<std::string, Coefficient>> terms;
};
struct SaveStep {
  std::string name;
  StepList steps;
};
struct TokenShiftStep {
  mlir::lm::ShiftMode mode;
  mlir::lm::DocumentRule documents;
  std::vector<int64_t> features, heads;
  int64_t distance = 1;
  std::optional<Coefficient> scale;
  std::optional<GateSpec> gate;
};
struct RopeStep {};
struct GateStep {
  GateSpec gate;
  bool perHead = false;
};
struct ActivationStep {
  mlir::lm::UnaryKind kind;
};
struct AddEmbeddingStep {
  std::string table;
  std::optional<Coefficient> scale;
  /// Table index of each layer that has an embedding; without a value for any layer: `index`
  /// everywhere.
  std::map<int64_t, int64_t> byLayer;
  int64_t index = 0;
};
struct LayersStep {
  StepList steps;
};
/// A window: a number of tokens or a setting of that name.
struct Window {
  std::string setting; // "window.long"
  int64_t tokens = 0;
};
struct AttentionStep {
  StepList input, q, k, v, output;
  std::vector<Window> windows; // one per layer
  std::optional<int64_t> blocks;
  double scale = 0;
  Mark scaleMark;
  std::optional<Coefficient> qkvScale, outScale;
  Init qkvInit, outInit;
};
struct MlpStep {
  StepList input, output;
  int64_t hidden = 0;
  mlir::lm::UnaryKind activation;
  Init upInit, downInit;
};
struct HeadStep {
  StepList input;
  Init init;
  std::optional<mlir::lm::SoftcapKind> softcap;
  double amplitude = 0, temperature = 0;
  bool sum = false;
  Mark softcapMark, lossMark;
};

struct Step {
  /// The step's own part of its path: "attention", "token_shift", or "mix#2" for the second mix of
  /// a list.
  std::string label;
  int64_t index = 0; // in its list
  Mark mark;
  /// Whether the step runs in each layer; empty: it always runs.
  std::vector<bool> layers;
  std::variant<EmbedStep, RMSNormStep, ScaleStep, MixStep, SaveStep, TokenShiftStep, RopeStep,
               GateStep, ActivationStep, AddEmbeddingStep, LayersStep, AttentionStep, MlpStep,
               HeadStep>
      op;
  bool runsIn(int64_t layer) const { return layers.empty() || layer < 0 || layers[layer]; }
};

/// The model half of a spec.
struct ModelSpec {
  std::string name;
  Dims dims;
  std::vector<Scalar> scalars;
  std::vector<Embedding> embeddings;
  Rope rope;
  StepList forward;
  /// Features of the widest activation row.
  int64_t widest = 0;
  const Scalar *findScalar(llvm::StringRef name) const;
  const Embedding *findEmbedding(llvm::StringRef name) const;
};

struct Stage {
  int64_t first = 0, last = 0; // steps, inclusive
  int64_t tokens = 0;
  std::map<std::string, int64_t> windows;
  double lr = 1;
  Mark mark, tokensMark;
};

/// (first step, last step, value at first, slope per step), as train.schedule holds them.
struct Segment {
  int64_t first, last;
  double value, slope;
};

struct Selection {
  std::string pattern;
  double lr = 1, weightDecay = 1;
  std::optional<int64_t> split;
  Mark mark;
};

struct Optimizer {
  bool isMuon = false;
  double lr = 0, weightDecay = 0;
  double beta1 = 0, beta2 = 0, eps = 0; // AdamW
  bool nesterov = true;                 // Muon
  std::vector<double> coefficients;
  std::vector<Segment> momentum;
  std::vector<Selection> selections;
  Mark mark;
};

struct TrainingSpec {
  int64_t scheduledSteps = 0, steps = 0, seed = 0;
  std::optional<int64_t> microBatch;
  std::vector<Stage> stages;
  std::vector<Segment> lr;
  std::vector<Optimizer> optimizers;
  int64_t checkpointEvery = 0;
  Mark mark, optimizersMark, lrMark;
  /// Tokens that a stage's program takes at once.
  int64_t microTokens(const Stage &stage) const { return microBatch ? *microBatch : stage.tokens; }
};

struct DataSpec {
  std::string train, tokenizer = "bytes";
  int64_t sequence = 0; // 0: documents are packed whole
  /// How samples are taken: "random", "contiguous" or "documents".
  std::string order = "random";
  int64_t startToken = -1;     // −1: none
  std::string validationFiles; // empty: a part of `train`
  int64_t validationTokens = 0, validationEvery = 0, validationMicroBatch = 0;
  bool hasValidation = false;
  int64_t sampleTokens = 0;
};

struct Spec {
  ModelSpec model;
  TrainingSpec training;
  DataSpec data;
  /// Names of windows that some attention uses, with the first use.
  std::map<std::string, Mark> usedWindows;
};

/// Turns a tree that passed checkGrammar into a Spec; reports every name, range or combination that
/// is wrong. Returns false when it reported something.
bool parseSpec(const JsonValue &tree, SpecDiagnostics &diagnostics, Spec &spec);

/// The parts of parseSpec, one file each.
bool parseTraining(const JsonValue &tree, SpecDiagnostics &diagnostics, Spec &spec);
bool parseForward(const JsonValue &tree, SpecDiagnostics &diagnostics, Spec &spec);

} // namespace smelt
#endif
