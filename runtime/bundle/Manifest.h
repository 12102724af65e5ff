//===- Manifest.h - The bundle's manifest.json as C++ -----------*- C++ -*-===//
//
// A bundle is a folder `NAME.smelt/` with manifest.json, spec.json and the machine code. The
// compiler fills a Manifest and calls writeBundle (Bundle.h); the runtime calls openBundle. Nothing
// else crosses between them. parseManifest checks everything that can be checked without the other
// files; after it every index, offset and size in the Manifest is safe to use.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/base/DType.h"
#include "runtime/base/SealedFolder.h"
#include "runtime/base/Status.h"
#include "runtime/device/GpuLaunch.h"
#include "runtime/device/GpuProduct.h"
#include "runtime/device/ProgramEntry.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace smelt::runtime {

/// The version this runtime writes, and the newest that it reads.
inline constexpr int kBundleVersion = 1;
/// Every buffer offset is a multiple of this many bytes.
inline constexpr uint64_t kBufferAlignment = 64;
/// More rows than any tensor has.
inline constexpr int64_t kMaxRows = int64_t(1) << 40;

enum class BufferKind { Parameter, State, Gradient, Setting, Input, Output, Constant, Workspace };
const char *bufferKindName(BufferKind kind);
std::optional<BufferKind> parseBufferKind(std::string_view name);

const char *collectiveKindName(CollectiveKind kind);
std::optional<CollectiveKind> parseCollectiveKind(std::string_view name);

enum class InitKind { Zeros, Constant, Uniform, Normal, Values, Copy, Master };

/// Initial values: zeros; `value` everywhere; uniform in [-value, value); normal with standard
/// deviation `value`; `values` one by one; those of the parameter `source`; those of the parameters
/// that it is a part of (Buffer::partOf), before these round them to their own type: a master.
/// Random values depend on the run's seed, the buffer's name and the element index alone.
struct Init {
  InitKind kind = InitKind::Zeros;
  double value = 0;
  std::vector<double> values = {}; ///< Of kind Values: one per element (small constant tables).
  uint32_t source = 0; ///< Of kind Copy (states only): a parameter of the same type, or a master.
};

/// A tensor that a state is a part of.
struct PartOf {
  std::string name;
  int64_t rows = 0;
};

/// A named range of the arena. Parameter, state, setting and constant buffers own their bytes; the
/// others may share theirs (static memory planning).
struct Buffer {
  std::string name; ///< Unique among parameters and among states; used in checkpoints.
  BufferKind kind = BufferKind::Workspace;
  DType dtype = DType::F32;
  std::vector<int64_t> shape;   ///< Empty: one element.
  uint64_t offset = 0;          ///< In bytes, a multiple of kBufferAlignment.
  uint64_t bytes = 0;           ///< At least shape × element size.
  std::optional<uint32_t> base; ///< This buffer is a range of that one (rows of a parameter).
  std::optional<Init> init;     ///< Of parameters, states and constants; absent means zeros.
  /// Rank r's part of the base: at `offset` + r · this. The base is one stride per rank.
  std::optional<uint64_t> rankStride = {};
  /// Of states that each rank has a part of: the whole tensors, one below the other; rank r has
  /// `shape[0]` rows from r · shape[0] on (less at the end). Checkpoints keep them by these names.
  std::vector<PartOf> partOf = {};

  /// Has it the wider values of parameters?
  bool isMaster() const { return init && init->kind == InitKind::Master; }
};

/// A line over steps `first`..`last` (0-based, inclusive): value + slope * (step - first).
struct Segment {
  int64_t first = 0;
  int64_t last = 0;
  double value = 0;
  double slope = 0;
};

/// A vector's constant values over steps `first`..`last`.
struct VectorPiece {
  int64_t first = 0;
  int64_t last = 0;
  std::vector<double> values;
};

/// When an update happens: after the steps s (0-based) with s mod `every` = `offset`.
struct Period {
  int64_t every = 1;
  int64_t offset = 0;
  bool isDue(int64_t step) const { return step % every == offset; }
  /// The 1-based number of the first update at or after `step`.
  int64_t updateCount(int64_t step) const { return (step + every - 1 - offset) / every + 1; }
  /// Does `step` begin anew, at the start of training or after an update?
  bool isFresh(int64_t step) const { return step == 0 || isDue(step - 1); }
};

/// 1 − base^t, t the update count of `period`: Adam's bias corrections, computed in double.
struct OneMinusPower {
  double base = 0;
  Period period;
};

/// A buffer that the runtime writes before each step; exactly one of `segments` (rank 0), `pieces`
/// (a vector) and `power` is there, with segments or pieces contiguous from step 0 to the last step
/// of training. Automatic settings have none (see automaticPeriod).
struct Setting {
  std::string name;
  uint32_t buffer = 0;
  std::vector<Segment> segments = {};
  std::vector<VectorPiece> pieces = {};
  std::optional<OneMinusPower> power = {};
};

/// "accumulate" (0 for the first micro-batch after an update, then 1) and "step" (the update count,
/// from 1) are set by the runtime itself: `stem` is one of the two. With ".P" they are those of
/// updates every P steps, at each period's last step; with ".P.O" at offset O. Nothing for other
/// names.
std::optional<Period> automaticPeriod(std::string_view name, std::string_view stem);

/// What ProductTable.h chose for a kernel: cuBLASLt's algorithm in place of the generated
/// functions, where the machine has that version of it.
struct KernelLibrary {
  LibraryAlgorithm algorithm;
  std::optional<uint32_t> workspace = {}; ///< A buffer; none if no bytes are needed.
  double generatedMicroseconds = 0, libraryMicroseconds = 0; ///< As measured.
};

struct Kernel {
  std::string name;
  std::string symbol;     ///< Target cpu: extern "C" void symbol(void *const *buffers)
  uint32_t arguments = 0; ///< How many buffers the kernel has.
  std::vector<GpuLaunch> gpu = {}; ///< Target cuda: what it is made of, in order.
  std::optional<GpuProduct> product =
      {}; ///< Target cuda: what it computes, if that is one product.
  std::optional<KernelLibrary> library = {};
};

struct Launch {
  uint32_t kernel = 0;
  std::vector<uint32_t> arguments; ///< Buffer indices.
  std::string label;               ///< What it computes, for people: "gemm qkv+rms_norm+rope".
  std::vector<std::string> steps;  ///< Paths of the spec steps that ended here.
  uint64_t flops = 0;
  uint64_t bytes = 0; ///< Read and written.
  /// Numbers of collectives of the communication lane that must have ended before.
  std::vector<uint32_t> wait = {};
};

/// In a reduce-scatter or all-gather a buffer's bytes are one part per rank, each a multiple of this.
inline constexpr uint64_t kPartAlignment = 256;

/// Communication between the ranks of a job, in place, before launch number `before` of its program.
struct CollectiveStep {
  CollectiveKind kind = CollectiveKind::AllReduce;
  uint32_t before = 0;
  /// All-reduce: each becomes its sum over all ranks. Reduce-scatter: rank r's part of it does; the
  /// rest is unspecified. All-gather: it becomes every rank's part. One element type; one message.
  std::vector<uint32_t> buffers = {};
  /// On the communication lane (ProgramEntry.h), beside the launches that follow, until one that
  /// waits for it or the end of the program.
  bool onLane = false;
  std::vector<uint32_t> wait = {}; ///< As a launch's; only of those on the main lane.
};

/// A program of role train that is one whole end of a step: what `program` does with the last
/// micro-batch, then what the programs `updates` do, with their collectives beside both.
struct LastOfStep {
  std::string program;
  std::vector<std::string> updates; ///< In the order in which they run.
  uint32_t updatesFrom = 0; ///< Launches up to the micro-batch's last; a GPU may begin updates before.
};

/// Roles: "setup", "train", "update", "evaluate", "generate".
/// Inputs by role: train and evaluate "tokens", "targets", "document_start" (i32 [tokens]);
/// generate "tokens", "document_start". Outputs: train and evaluate "objective", "loss_sum" (rank
/// 0); generate "logits" [tokens, vocabulary].
struct Program {
  std::string name;
  std::string role;
  int64_t tokens = 0; ///< 0 for setup and update.
  std::map<std::string, uint32_t> inputs;
  std::map<std::string, uint32_t> outputs;
  std::vector<Launch> launches;
  std::vector<CollectiveStep> collectives = {}; ///< In order of `before`.
  std::optional<LastOfStep> last = {};
};

/// Training steps `first`..`last` (0-based, inclusive) run `program` `microBatches` times each.
struct Stage {
  int64_t first = 0;
  int64_t last = 0;
  std::string program;
  int64_t microBatches = 1;
};

struct Validation {
  int64_t every = 0;   ///< Steps between validations; 0 = only at the end.
  int64_t tokens = 0;  ///< Tokens of one validation.
  std::string program; ///< Role "evaluate"; empty = no validation.
  /// Other values of some settings, for the validation at the end of training alone. The setup
  /// programs do not run for them.
  std::map<std::string, double> finalSettings = {};
};

/// The program of role update that runs after the steps of `period`.
struct Update {
  std::string program;
  Period period = {};
};

struct Training {
  int64_t steps = 0;
  uint64_t seed = 0;
  /// How many ranks deal out the micro-batches of a step among themselves.
  int64_t ranks = 1;
  /// Blocks, so multiprocessors, that a collective takes on a GPU, as its launches beside it were
  /// compiled to expect; 0: as many as the library wants.
  int64_t collectiveBlocks = 0;
  std::vector<Stage> stages; ///< Contiguous from step 0 to steps-1.
  Validation validation;
  int64_t checkpointEvery = 0; ///< 0 = only at the end.
  int64_t checkpointKeep = 0;  ///< How many checkpoints stay; 0 = what the runtime thinks best.
  /// In the order in which they run after a step; each program of role update once.
  std::vector<Update> updates;
};

/// How the token stream becomes samples.
enum class SampleOrder {
  Random,     ///< Samples of `sequence` tokens at random positions, each its own document;
              ///< with `sequence` = 0, as Contiguous.
  Contiguous, ///< In stream order; `sequence` > 0 cuts it into documents of that many tokens.
  Documents,  ///< In stream order; a document begins at each `startToken`.
  Aligned,    ///< Runs of whole documents, each cut to `maxTokens`; the last one is cut to fit.
};
const char *sampleOrderName(SampleOrder order);
std::optional<SampleOrder> parseSampleOrder(std::string_view name);

struct Data {
  std::string train;      ///< Path or glob of .bin shards or text files; may be empty.
  std::string validation; ///< Likewise; empty = the last part of `train` is held out.
  std::string tokenizer = "bytes";
  /// Paths by role: "vocab" and "merges", or "ranks"; see runtime/data/Tokenizer.h.
  std::map<std::string, std::string> tokenizerFiles;
  int64_t vocabulary = 256; ///< Token values are below this.
  int64_t sequence = 0;     ///< 0 = not cut.
  SampleOrder order = SampleOrder::Random;
  int64_t startToken = -1; ///< First token of each document; -1 = none.
  int64_t maxTokens = 0;   ///< Order Aligned: longer documents are cut; 0 = none is.
  /// The runs (a rank's sequences) of one step of the loader, which lie in one shard: a shard that
  /// has no more than a part of them left is followed by the next. 0: the files are one stream that
  /// is cycled. See runtime/data/README.md.
  int64_t ranks = 0;
};

struct CpuTarget {
  std::string name;                  ///< LLVM's name: "sapphirerapids".
  std::vector<std::string> features; ///< LLVM's names, those the code needs: "avx2", "avx512f".
};

struct GpuTarget {
  std::string architecture; ///< "sm_90a": what kernels.cubin is for and kernels.ptx needs.
};

struct Manifest {
  int version = kBundleVersion;
  std::string compiler; ///< "smelt 0.1.0"
  std::string name;     ///< The model's name.
  std::string target = "cpu"; ///< "cpu" or "cuda".
  CpuTarget cpu;              ///< Of target cpu.
  GpuTarget gpu;              ///< Of target cuda.
  std::map<std::string, FileRecord> files; ///< By file name; writeBundle fills it.
  uint64_t arenaBytes = 0;
  std::vector<Buffer> buffers;
  std::vector<Setting> settings;
  std::vector<Kernel> kernels;
  std::vector<Program> programs;
  Training training;
  Data data;

  /// The program of that name; null if there is none.
  const Program *findProgram(std::string_view name) const;
  /// The program that is `program` on a step's last micro-batch and exactly the updates that are
  /// due after `step`; null if there is none: then they run one after the other.
  const Program *findLastOfStep(const Program &program, int64_t step) const;
  /// The first program of that role; null if there is none.
  const Program *findProgramByRole(std::string_view role) const;
  const Setting *findSetting(std::string_view name) const;
  /// By name: the parameters whose wider values are in masters, and these. What checkpoints and
  /// people know of such a parameter has the master's type.
  std::map<std::string, const Buffer *> findMasters() const;
};

/// Reads and validates manifest.json's text. Failures have the code Corrupt.
StatusOr<Manifest> parseManifest(std::string_view text);

/// The text of manifest.json: one buffer, kernel, launch … a line.
std::string writeManifest(const Manifest &manifest);

/// Every check that does not need the text: called by parseManifest and writeBundle.
Status validateManifest(const Manifest &manifest);

} // namespace smelt::runtime
