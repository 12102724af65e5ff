#include "test/runtime/fake/FakeModel.h"
#include "runtime/base/Files.h"

namespace smelt::runtime::test {

namespace {
constexpr int64_t T = 32, V = 256;

class Builder {
public:
  explicit Builder(Manifest &manifest) : manifest_(manifest) {}

  uint32_t buffer(const char *name, BufferKind kind, DType dtype, std::vector<int64_t> shape) {
    Buffer buffer;
    buffer.name = name;
    buffer.kind = kind;
    buffer.dtype = dtype;
    buffer.bytes = *shapeBytes(shape, dtype);
    buffer.shape = std::move(shape);
    buffer.offset = manifest_.arenaBytes;
    manifest_.arenaBytes += (buffer.bytes + 63) / 64 * 64;
    manifest_.buffers.push_back(std::move(buffer));
    return static_cast<uint32_t>(manifest_.buffers.size() - 1);
  }

  Launch launch(const char *symbol, std::vector<uint32_t> arguments) {
    manifest_.kernels.push_back({symbol, symbol, static_cast<uint32_t>(arguments.size())});
    Launch launch;
    launch.kernel = static_cast<uint32_t>(manifest_.kernels.size() - 1);
    launch.arguments = std::move(arguments);
    launch.label = symbol;
    return launch;
  }

private:
  Manifest &manifest_;
};
} // namespace

Manifest makeFakeManifest(const FakeModelOptions &options) {
  Manifest m;
  m.compiler = "by hand";
  m.name = "bigram";
  m.cpu = {"test", options.features};
  Builder b(m);
  auto setting = [&](const char *name, DType dtype) {
    return b.buffer(name, BufferKind::Setting, dtype, {});
  };
  uint32_t w = b.buffer("w", BufferKind::Parameter, DType::F32, {V, V});
  m.buffers[w].init = Init{InitKind::Uniform, 0.1};
  uint32_t scale = b.buffer("scale", BufferKind::Parameter, DType::F32, {});
  m.buffers[scale].init = Init{InitKind::Constant, 1};
  uint32_t momentum = b.buffer("momentum.w", BufferKind::State, DType::F32, {V, V});
  uint32_t gw = b.buffer("gradient.w", BufferKind::Gradient, DType::F32, {V, V});
  uint32_t gs = b.buffer("gradient.scale", BufferKind::Gradient, DType::F32, {});
  uint32_t lr = setting("lr", DType::F32), step = setting("step", DType::F32);
  uint32_t accumulate = setting("accumulate", DType::F32), poison = setting("poison", DType::F32);
  uint32_t window = setting("window", DType::I32);
  uint32_t tokens = b.buffer("tokens", BufferKind::Input, DType::I32, {T});
  uint32_t targets = b.buffer("targets", BufferKind::Input, DType::I32, {T});
  uint32_t starts = b.buffer("document_start", BufferKind::Input, DType::I32, {T});
  uint32_t table = b.buffer("table", BufferKind::Workspace, DType::F32, {2});
  uint32_t objective = b.buffer("objective", BufferKind::Output, DType::F32, {});
  uint32_t lossSum = b.buffer("loss_sum", BufferKind::Output, DType::F32, {});
  uint32_t logits = b.buffer("logits", BufferKind::Output, DType::F32, {T, V});

  Period period{options.optimizerEvery,
                options.optimizerOffset < 0 ? options.optimizerEvery - 1 : options.optimizerOffset};
  // Of a period of 3: "step.3", or "step.3.0".
  auto named = [&](const char *name) {
    if (period.every == 1)
      return std::string(name);
    std::string suffixed = concat(name, ".", period.every);
    return period.offset == period.every - 1 ? suffixed : concat(suffixed, ".", period.offset);
  };
  int64_t last = options.steps - 1, half = options.steps / 2;
  m.settings = {{"lr", lr, {{0, last, 4.0, -2.0 / static_cast<double>(options.steps)}}},
                {"window", window, {{0, half - 1, 8, 0}, {half, last, 16, 0}}},
                {named("step"), step, {}},
                {named("accumulate"), accumulate, {}}};
  if (options.poisonStep > 0)
    m.settings.push_back(
        {"poison", poison, {{0, options.poisonStep - 1, 0, 0}, {options.poisonStep, last, 1, 0}}});
  else
    m.settings.push_back({"poison", poison, {{0, last, 0, 0}}});

  std::map<std::string, uint32_t> inputs = {
      {"tokens", tokens}, {"targets", targets}, {"document_start", starts}};
  std::map<std::string, uint32_t> outputs = {{"objective", objective}, {"loss_sum", lossSum}};
  m.programs = {{"setup", "setup", 0, {}, {}, {b.launch("fake_setup", {window, table})}},
                {"train.T32",
                 "train",
                 T,
                 inputs,
                 outputs,
                 {b.launch("fake_train", {tokens, targets, starts, w, scale, accumulate, poison,
                                          table, gw, gs, objective, lossSum})}},
                {"update",
                 "update",
                 0,
                 {},
                 {},
                 {b.launch("fake_update", {w, gw, momentum, scale, gs, lr, step})}},
                {"evaluate.T32",
                 "evaluate",
                 T,
                 inputs,
                 outputs,
                 {b.launch("fake_evaluate",
                           {tokens, targets, w, scale, window, objective, lossSum})}},
                {"generate.T32",
                 "generate",
                 T,
                 {{"tokens", tokens}, {"document_start", starts}},
                 {{"logits", logits}},
                 {b.launch("fake_generate", {tokens, w, scale, logits})}}};
  m.training.steps = options.steps;
  m.training.seed = options.seed;
  m.training.stages = {{0, half - 1, "train.T32", 1}, {half, last, "train.T32", 2}};
  m.training.validation = {options.validateEvery, 200, "evaluate.T32"};
  m.training.checkpointEvery = options.checkpointEvery;
  m.training.updates = {{"update", period}};
  if (options.finalWindow != 0)
    m.training.validation.finalSettings = {{"window", options.finalWindow}};
  if (options.outerEvery > 0) {
    uint32_t outer = b.buffer("outer.w", BufferKind::State, DType::F32, {V, V});
    m.buffers[outer].init = Init{InitKind::Copy};
    m.buffers[outer].init->source = w;
    uint32_t velocity = b.buffer("outer.m.w", BufferKind::State, DType::F32, {V, V});
    m.programs.push_back(
        {"outer", "update", 0, {}, {}, {b.launch("fake_outer", {w, outer, velocity})}});
    m.training.updates.push_back({"outer", {options.outerEvery, 0}});
  }
  m.data.sequence = 16;
  return m;
}

Status writeFakeBundle(const std::string &directory, const FakeModelOptions &options) {
  SMELT_ASSIGN_OR_RETURN(std::string code, readFile(SMELT_FAKE_KERNELS));
  return writeBundle(directory, makeFakeManifest(options),
                     {{"spec.json", "{\"name\":\"bigram\"}"}, {"cpu.so", code}});
}

std::string makeText(int words) {
  static const char *const dictionary[] = {"the ", "cat ", "sat ", "on ", "a ", "mat. ", "and\n"};
  std::string text;
  for (int i = 0; i < words; ++i)
    text += dictionary[(i * i + i / 3) % 7];
  return text;
}

} // namespace smelt::runtime::test
