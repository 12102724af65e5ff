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
#include "dialects/Train/TrainOps.h"
#include <array>
#include <map>
#include <optional>
#include <variant>

namespace smelt {

/// Float types of parameters, tables and optimiser state.
enum class DType { F32, BF16 };

/// Initial values of a parameter. `uniform_std` is already turned into a bound by the fan-in.
struct Init {
  enum class Kind { Constant, Uniform, Normal, UniformStd };
  Kind kind = Kind::Constant;
  double value = 0;
};

/// How a parameter is stored, and in what precision its use sees it.
struct Storage {
  DType dtype = DType::F32;
  /// Set: the value is rounded to this type before it is used.
  std::optional<DType> compute;
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
  DType dtype = DType::F32;
  Mark mark;
  std::string parameterName(int64_t index) const;
};

/// YaRN: at each change of a window, old to new tokens, with r = old · f / 2π, s = old / new and
/// w = clamp((r − alpha) / (beta − alpha), 0, 1), each frequency f becomes f · (s + w (1 − s)).
struct Yarn {
  std::string window;
  double alpha = 0, beta = 0;
  Mark mark;
};

struct Rope {
  bool present = false;
  double base = 0;
  /// Frequency of each of the head/2 pairs; 0 for pairs that do not rotate.
  std::vector<double> frequencies;
  bool restartsAtDocuments = false;
  /// The type that cos and sin are rounded to.
  DType compute = DType::F32;
  std::optional<Yarn> yarn;
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
  DType dtype = DType::F32;
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
  /// Set: the scale is multiplied by growth · ln(new / old) + 1 where YaRN changes the frequencies.
  std::optional<double> scaleGrowth;
  Mark scaleMark;
  std::optional<Coefficient> qkvScale, outScale;
  Init qkvInit, outInit;
  Storage storage;
};
struct MlpStep {
  StepList input, output;
  int64_t hidden = 0;
  mlir::lm::UnaryKind activation;
  Init upInit, downInit;
  bool transposed = false; // the second projection is stored as [hidden, model]
  Storage storage;
};
/// The product on 8-bit floats: x / input and w / weight as e4m3, the gradient / gradient as e5m2.
struct Fp8Scales {
  double input = 1, weight = 1, gradient = 1;
  Mark mark;
};
struct HeadStep {
  StepList input;
  Init init;
  Storage storage;
  std::optional<Fp8Scales> fp8; // while training
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

/// A window of a stage.
struct WindowRule {
  enum class Kind { Tokens, Cubic, HalfOf };
  Kind kind = Kind::Tokens;
  int64_t tokens = 0; // Tokens
  /// Cubic: peak · (c0·x³ + c1·x² + c2·x), x = step / scheduled steps, rounded up to a multiple of
  /// roundUp that is at least roundUp.
  double peak = 0;
  std::array<double, 3> coefficients = {};
  int64_t roundUp = 1;
  /// HalfOf: half of that window of the same stage, rounded down to whole blocks.
  std::string window;
  int64_t blocks = 1;
  Mark mark;
};

struct Stage {
  int64_t first = 0, last = 0; // steps, inclusive
  int64_t tokens = 0;
  std::map<std::string, WindowRule> windows;
  double lr = 1;
  int64_t lrFirst = 0; // the step from which `lr` holds: `first` or the one after
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
  std::optional<bool> varianceOverColumns; // NorMuon; by the matrix's shape without it
  Mark mark;
};

/// A named iteration that orthogonalises a matrix.
struct Orthogonalization {
  std::vector<double> coefficients; // three per round
  /// X = u / (‖u‖ · normScale + normEps)
  double normScale = 1, normEps = 1e-7;
};

struct Optimizer {
  mlir::train::OptimizerKind kind;
  double lr = 0, weightDecay = 0;
  /// Updates after the steps s with s mod every = offset.
  int64_t every = 1, offset = 0;
  double beta1 = 0, beta2 = 0, eps = 0;   // Adam, AdamW; NorMuon: beta2
  DType state = DType::F32;               // Adam, AdamW
  bool nesterov = true, cautious = false; // Muon, NorMuon
  Orthogonalization orthogonalization;
  std::vector<Segment> momentum; // Muon, NorMuon
  double snooMomentum = 0;       // Snoo
  double updateSmoothing = 0;    // Muon
  std::string master = "parameter";
  std::vector<Selection> selections;
  Mark mark, masterMark;
  bool isMatrixOptimizer() const {
    return kind == mlir::train::OptimizerKind::muon || kind == mlir::train::OptimizerKind::normuon;
  }
};

struct TrainingSpec {
  int64_t scheduledSteps = 0, steps = 0, seed = 0;
  int64_t ranks = 1;
  std::optional<int64_t> microBatch;
  std::vector<Stage> stages;
  std::vector<Segment> lr;
  std::vector<Optimizer> optimizers;
  std::optional<Optimizer> outer; // over all parameters, after the others
  int64_t checkpointEvery = 0, checkpointKeep = 0;
  Mark mark, optimizersMark, lrMark;
  /// Tokens that a stage's program takes at once: a rank's share of the step without `micro_batch`.
  int64_t microTokens(const Stage &stage) const {
    return microBatch ? *microBatch : stage.tokens / ranks;
  }
};

struct DataSpec {
  std::string train, tokenizer = "bytes";
  /// Files of the tokenizer by role: vocab and merges, or ranks.
  std::vector<std::pair<std::string, std::string>> tokenizerFiles;
  int64_t sequence = 0; // 0: documents are packed whole
  /// How samples are taken: "random", "contiguous", "documents" or "aligned" (whole documents).
  std::string order = "random";
  int64_t startToken = -1; // −1: none
  int64_t maxTokens = 0;   // aligned: longer documents are cut; 0: none
  /// Ranks whose sequences lie side by side in one shard; 0: the files are one stream.
  int64_t ranks = 0;
  std::string validationFiles; // empty: a part of `train`
  int64_t validationTokens = 0, validationEvery = 0, validationMicroBatch = 0;
  bool hasValidation = false;
  std::map<std::string, int64_t> finalWindows; // windows of the last validation
  int64_t sampleTokens = 0;
};

struct Spec {
  /// Everything is 32-bit, whatever the spec says: parity tests compare programs, not roundings.
  bool fullPrecision = false;
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
void parseStages(const JsonValue &tree, SpecDiagnostics &diagnostics, Spec &spec);
void parseOptimizers(const JsonValue &tree, SpecDiagnostics &diagnostics, Spec &spec);
bool parseData(const JsonValue &tree, SpecDiagnostics &diagnostics, Spec &spec);

} // namespace smelt
#endif
