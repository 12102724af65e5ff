//===- ImportErrorsTest.cpp - What a user sees for each kind of mistake ---===//
//
// Each case changes one place of Inputs/base.json; the whole output (position, line, caret, notes)
// is compared with Inputs/errors.txt. SMELT_UPDATE_GOLDEN=1 writes that file anew: read the
// difference before committing it.
//
//===----------------------------------------------------------------------===//
#include "test/compiler/Import/SpecText.h"
#include <cstdlib>
#include <gtest/gtest.h>
#include <map>
#include <set>

namespace {

struct Case {
  const char *name;
  std::string from, to;
};

std::string nest(unsigned depth) { return std::string(depth, '[') + std::string(depth, ']'); }

const std::vector<Case> &getCases() {
  static const std::vector<Case> cases = {
      // JSON itself.
      {"trailing-comma", R"("name": "base",)", R"("name": "base",,)"},
      {"missing-colon", R"("smelt": 1)", R"("smelt" 1)"},
      {"unfinished", R"("every": 30}})", R"("every": 30)"},
      {"bad-literal", R"("smelt": 1)", R"("smelt": yes)"},
      {"control-character", R"("name": "base")", "\"name\": \"ba\tse\""},
      {"invalid-utf8", R"("name": "base")", "\"name\": \"b\xff\""},
      {"lone-surrogate", R"("name": "base")", R"("name": "\ud800")"},
      {"text-after-end", R"("every": 30}})", R"("every": 30}} })"},
      {"comment", R"("smelt": 1,)", "\"smelt\": 1, // one"},
      {"not-a-number", R"("warmup": 3)", R"("warmup": NaN)"},
      {"number-overflows", R"("amplitude": 15)", R"("amplitude": 1e999)"},
      {"number-form", R"("amplitude": 15)", R"("amplitude": 015)"},
      {"duplicate-key", R"("vocab": 256)", R"("vocab": 256, "mlp": 32)"},
      {"too-deep", R"("train": "t.txt")", R"("train": )" + nest(70)},
      // Keys and types.
      {"unknown-key", R"("tables": 2)", R"("tabels": 2)"},
      {"unknown-key-far", R"("tables": 2)", R"("zzz": 2)"},
      {"unknown-op", R"({"rms_norm": {}},
    {"save")",
       R"({"rmsnorm": {}},
    {"save")"},
      {"unknown-key-at-top", R"("training": {)", R"("trainings": {)"},
      {"missing-key", R"("final": {"init": 0.5})", R"("final": {})"},
      {"missing-dim", R"("heads": 2, )", ""},
      {"misspelt-dim", R"("heads": 2)", R"("haeds": 2)"},
      {"no-operation", R"({"rms_norm": {}},
    {"save")",
       R"({"about": "nothing"},
    {"save")"},
      {"two-operations", R"({"embed": "token"})", R"({"embed": "token", "rms_norm": {}})"},
      {"wrong-type", R"("layers": 2)", R"("layers": "two")"},
      {"wrong-type-of-several", R"("x0": 0.25)", R"("x0": [0.25])"},
      {"not-an-integer", R"("layers": 2)", R"("layers": 2.5)"},
      {"out-of-range", R"("layers": 2)", R"("layers": 0)"},
      {"above-range", R"("vocab": 256)", R"("vocab": 3000000000)"},
      {"bound-with-many-digits", R"("betas": [0.9, 0.95])", R"("betas": [0.9, 0.99999999])"},
      {"more-than-f32-holds", R"("init": 0.5)", R"("init": -1e39)"},
      {"negative-rate", R"("lr": 0.01)", R"("lr": -0.01)"},
      {"negative-rate-as-text", R"("lr": "1/50")", R"("lr": "-1/50")"},
      {"unknown-choice", R"("activation": "gelu")", R"("activation": "gleu")"},
      {"bad-fraction", R"("rotate": "1/2")", R"("rotate": "half")"},
      {"zero-denominator", R"("rotate": "1/2")", R"("rotate": "1/0")"},
      {"bad-name", R"("final": {"init": 0.5})", R"("final value": {"init": 0.5})"},
      {"empty-list", R"("only": [1])", R"("only": [])"},
      {"version", R"("smelt": 1)", R"("smelt": 2)"},
      // Names.
      {"unknown-embedding", R"({"embed": "token"})", R"({"embed": "tokens"})"},
      {"unknown-scalar", R"("x": "resid")", R"("x": "reside")"},
      {"unknown-saved", R"("x": "final", "first")", R"("x": "final", "frist")"},
      {"used-before-saved", R"("x": "resid", "x0": 0.25)", R"("x": "resid", "first": 0.25)"},
      {"unknown-dimension", R"("hidden": "mlp")", R"("hidden": "mpl")"},
      {"unknown-window", R"("default": "short")", R"("default": "shrot")"},
      {"scalar-without-layers", R"("x": "final")", R"("x": "resid")"},
      {"index-on-single-scalar", R"("x": "final")", R"("x": "final[0]")"},
      {"save-as-x", R"({"save": "x0"})", R"({"save": "x"})"},
      {"stream-on-heads", R"("k": [{"rope": {}},)", R"("k": [{"mix": {"x": 1, "x0": 1}},)"},
      // Layers.
      {"only-out-of-range", R"("only": [1])", R"("only": [2])"},
      {"only-twice", R"("only": [1])", R"("only": [1, 1])"},
      {"only-and-except", R"("only": [1])", R"("only": [1], "except": [0])"},
      {"only-outside-layers", R"({"save": "x0"})", R"({"save": "x0", "only": [0]})"},
      {"scalar-layer-out-of-range", R"("first": "resid[1]")", R"("first": "resid[2]")"},
      {"scalar-layer-not-a-number", R"("first": "resid[1]")", R"("first": "resid[one]")"},
      {"window-layer-out-of-range", R"("1": "long")", R"("5": "long")"},
      {"by-layer-out-of-range", R"("by_layer": {"0": 1, "1": 0})",
       R"("by_layer": {"0": 1, "2": 0})"},
      {"by-layer-over-64-bits", R"("by_layer": {"0": 1, "1": 0})",
       R"("by_layer": {"0": 1, "99999999999999999999": 0})"},
      {"by-layer-key", R"("by_layer": {"0": 1, "1": 0})", R"("by_layer": {"0": 1, "01": 0})"},
      {"no-such-table", R"("by_layer": {"0": 1, "1": 0})", R"("by_layer": {"0": 1, "1": 2})"},
      {"which-table", R"(, "by_layer": {"0": 1, "1": 0})", ""},
      // Steps.
      {"attention-scale", R"("window": {"default")", R"("scale": "eighth", "window": {"default")"},
      {"feature-range-empty", R"([[2, 4]])", R"([[4, 2]])"},
      {"feature-range-end", R"([[2, 4]])", R"([[2, 5]])"},
      {"feature-ranges-overlap", R"([[2, 4]])", R"([[0, 3], [2, 4]])"},
      {"heads-in-stream", R"({"save": "x0"})",
       R"({"token_shift": {"mode": "add", "heads": [0]}}, {"save": "x0"})"},
      {"head-out-of-range", R"("mode": "replace")", R"("mode": "replace", "heads": [2])"},
      {"gate-too-wide", R"("mode": "replace")", R"("mode": "replace", "gate": {"features": 9})"},
      {"distance", R"("mode": "replace")", R"("mode": "replace", "distance": 0)"},
      {"rope-in-stream", R"({"save": "x0"})", R"({"rope": {}})"},
      {"rope-missing", R"("rope": {"base": 1024, "rotate": "1/2"},)", ""},
      {"embed-inside-layers", R"({"mlp": {)", R"({"embed": "token"}, {"mlp": {)"},
      {"step-before-embed", R"({"embed": "token"},)", R"({"rms_norm": {}}, {"embed": "token"},)"},
      {"step-after-head", R"({"head": {"softcap": {"tanh": {"amplitude": 15}}}})",
       R"({"head": {}}, {"rms_norm": {}})"},
      {"no-head", R"(,
    {"head": {"softcap": {"tanh": {"amplitude": 15}}}})",
       ""},
      {"rotate-part", R"("rotate": "1/2")", R"("rotate": "1/3")"},
      {"odd-head", R"("head": 4,)", R"("head": 3,)"},
      {"tables-and-heads", R"("heads": 2)", R"("heads": 3)"},
      {"product-overflows", R"("model": 8, "heads": 2, "head": 4, "mlp": 16)",
       R"("model": 2147418112, "heads": 32767, "head": 65536, "mlp": 2147483647)"},
      // Training.
      {"stages-descend", R"("until": "1/3")", R"("until": "4/3")"},
      {"stages-do-not-end", R"("until": 1,)", R"("until": "2/3",)"},
      {"extension-without-steps", R"("until": 1, "tokens": 32, "windows": {"long": 12}})",
       R"("until": 1, "tokens": 32}, {"until": "extension", "tokens": 32})"},
      {"window-only-later", R"("long": 12)", R"("other": 12)"},
      {"micro-batch", R"("until": "1/3", "tokens": 32)", R"("until": "1/3", "tokens": 40)"},
      {"warmup-over-cooldown", R"("warmup": 3)", R"("warmup": 46)"},
      {"cooldown-over-one", R"("cooldown": "1/2")", R"("cooldown": "3/2")"},
      {"selected-by-none", R"(, "head": {}})", "}"},
      {"many-selected-by-none", R"("layers.*": {})", R"("layers.0.attention.*": {})"},
      {"selected-twice", R"("head": {}})", R"("head": {}, "h*": {}})"},
      {"selects-nothing", R"("head": {}})", R"("head": {}, "haed": {}})"},
      {"muon-on-scalars", R"("scalars.*": {}, "head": {}}},)", R"("head": {}}},
      {"muon": {"lr": 0.1, "momentum": 0.9}, "parameters": {"scalars.*": {}}},)"},
      {"split-does-not-divide", R"("layers.*": {})", R"("layers.*": {"split": 5})"},
      {"split-for-adam", R"("head": {}})", R"("head": {"split": 2}})"},
      // Data.
      {"sequence", R"("sequence": 8)", R"("sequence": 7)"},
      {"validation-tokens", R"("tokens": 64)", R"("tokens": 60)"},
      {"small-vocabulary", R"("vocab": 256)", R"("vocab": 255)"},
      {"start-token", R"("sequence": 8)", R"("documents": {"start_token": 256})"},
      {"order-without-sequence", R"("sequence": 8)", R"("order": "random")"},
      {"max-tokens-without-align", R"("sequence": 8)",
       R"("documents": {"start_token": 0, "max_tokens": 8})"},
      {"align-and-sequence", R"("sequence": 8)",
       R"("sequence": 8, "documents": {"start_token": 0, "align": true})"},
      {"validation-align", R"("every": 30)", R"("every": 30, "align": true)"},
      {"final-window", R"("every": 30)", R"("every": 30, "final_windows": {"lnog": 64})"},
      {"tokenizer-kind", R"("tokenizer": "bytes")", R"("tokenizer": {"gtp2": {}})"},
      {"tokenizer-file", R"("tokenizer": "bytes")",
       R"("tokenizer": {"gpt2": {"vocab": "encoder.json"}})"},
      // Types and precision.
      {"dtype", R"({"head": {)", R"({"head": {"dtype": "fp16", )"},
      {"compute", R"({"mlp": {)", R"({"mlp": {"compute": "bf8", )"},
      {"precision", R"("smelt": 1)", R"("smelt": 1, "precision": "f64")"},
      {"fp8-format", R"({"head": {)",
       R"({"head": {"fp8": {"input": {"e5m2": 1}, "weight": {"e4m3": 1}, "grad": {"e5m2": 1}}, )"},
      {"fp8-dimension", R"({"head": {)",
       R"({"head": {"fp8": {"input": {"e4m3": "sqrt(modle)/448"}, "weight": {"e4m3": 1}, "grad": {"e5m2": 1}}, )"},
      {"fp8-expression", R"({"head": {)",
       R"({"head": {"fp8": {"input": {"e4m3": 1}, "weight": {"e4m3": "1/512+1"}, "grad": {"e5m2": 1}}, )"},
      {"fp8-scale", R"({"head": {)",
       R"({"head": {"fp8": {"input": {"e4m3": 1}, "weight": {"e4m3": 1}, "grad": {"e5m2": "0/448"}}, )"},
      // YaRN and windows that change.
      {"yarn-window", R"("rotate": "1/2")",
       R"("yarn": {"window": "lnog", "alpha": 1, "beta": 32})"},
      {"yarn-order", R"("rotate": "1/2")", R"("yarn": {"window": "long", "alpha": 32, "beta": 1})"},
      {"yarn-growth-alone", R"("window": {"default")",
       R"("scale": {"init": 0.1, "yarn_growth": 0.2}, "window": {"default")"},
      {"window-rule", R"({"long": 12})", R"({"long": {"half": "short"}})"},
      {"half-of-unknown", R"({"long": 12})", R"({"long": {"half_of": "shrot"}})"},
      {"half-of-itself", R"({"long": 12})", R"({"long": {"half_of": "long"}})"},
      {"cubic-blocks", R"({"long": 12})",
       R"({"long": {"cubic": {"peak": 12, "coefficients": [4, -6, 3]}, "blocks": 4}})"},
      {"cubic-coefficients", R"({"long": 12})",
       R"({"long": {"cubic": {"peak": 12, "coefficients": [4, -6]}}})"},
      {"level-after-nothing", R"("until": "1/3",)", R"("until": "1/3", "lr": {"after": 2},)"},
      {"level-key", R"("until": "1/3",)", R"("until": "1/3", "lr": {"afetr": 2},)"},
      // Ranks and optimizers.
      {"ranks", R"("micro_batch": 16,)", R"("ranks": 3,)"},
      {"ranks-and-micro-batch", R"("micro_batch": 16,)", R"("ranks": 4, "micro_batch": 16,)"},
      {"offset", R"({"muon": {"lr": "1/50")", R"({"muon": {"every": 2, "offset": 2, "lr": "1/50")"},
      {"normuon-beta2", R"({"muon": {"lr": "1/50")", R"({"normuon": {"lr": "1/50")"},
      {"orthogonalize", R"({"muon": {"lr": "1/50")",
       R"({"muon": {"orthogonalize": "polar_expres_5", "lr": "1/50")"},
      {"master-of-f32", R"({"muon": {"lr": "1/50")",
       R"({"muon": {"master": "bf16_plus_16", "lr": "1/50")"},
      {"variance-of-muon", R"("layers.*": {})", R"("layers.*": {"variance_over": "rows"})"},
      {"cautious-key", R"({"muon": {"lr": "1/50")",
       R"({"normuon": {"beta2": 0.95, "weight_decay": {"cautions": 1.2}, "lr": "1/50")"},
      {"cautious-muon", R"({"muon": {"lr": "1/50")",
       R"({"muon": {"weight_decay": {"cautious": 1.2}, "lr": "1/50")"},
      {"smoothed-normuon", R"({"muon": {"lr": "1/50")",
       R"({"normuon": {"beta2": 0.95, "update_smoothing": 0.2, "lr": "1/50")"},
      {"outer-optimizer", R"("steps": 90)",
       R"("outer_optimizer": {"snooze": {"every": 28, "lr": 0.68, "momentum": 0.37}}, "steps": 90)"},
      {"outer-momentum", R"("steps": 90)",
       R"("outer_optimizer": {"snoo": {"every": 28, "lr": 0.68, "momentum": 1.37}}, "steps": 90)"},
  };
  return cases;
}

const char *const kGolden = "errors.txt";

/// "== name" lines followed by the expected output.
std::map<std::string, std::string> readGolden() {
  std::map<std::string, std::string> golden;
  std::istringstream text(readInput(kGolden));
  std::string line, name;
  while (std::getline(text, line)) {
    if (line.rfind("== ", 0) == 0)
      name = line.substr(3);
    else
      golden[name] += line + "\n";
  }
  return golden;
}

/// Lines of a spec can hold bytes that a text file should not; they are compared in this form.
std::string makeVisible(const std::string &text) {
  std::string result;
  for (unsigned char c : text) {
    char hex[8];
    std::snprintf(hex, sizeof hex, "<%02x>", c);
    // The replacement character and other UTF-8 stay as they are; a lone byte over 0xf7 never
    // starts a character.
    if ((c < 0x20 && c != '\n') || c > 0xf7)
      result += hex;
    else
      result += static_cast<char>(c);
  }
  return result;
}

TEST(ImportErrors, EveryCaseHasItsMessage) {
  bool update = std::getenv("SMELT_UPDATE_GOLDEN") != nullptr;
  std::map<std::string, std::string> golden = readGolden();
  std::string base = readInput("base.json"), written;
  ASSERT_FALSE(base.empty());
  std::set<std::string> names;
  for (const Case &one : getCases()) {
    SCOPED_TRACE(one.name);
    ASSERT_TRUE(names.insert(one.name).second);
    std::string text = replaceOnce(base, one.from, one.to);
    ASSERT_FALSE(text.empty()) << "the case's text is not in base.json exactly once";
    bool ok = true;
    std::string seen = makeVisible(importText(text, ok));
    EXPECT_FALSE(ok);
    written += std::string("== ") + one.name + "\n" + seen;
    if (!update)
      EXPECT_EQ(seen, golden[one.name]);
  }
  if (update) {
    std::ofstream(std::string(SMELT_TEST_INPUTS) + "/" + kGolden) << written;
    GTEST_SKIP() << "wrote " << kGolden;
  }
}

TEST(ImportErrors, FilesThatCannotBeRead) {
  mlir::MLIRContext context;
  std::string output;
  llvm::raw_string_ostream os(output);
  llvm::SourceMgr sourceMgr;
  mlir::SourceMgrDiagnosticHandler handler(sourceMgr, &context, os);
  smelt::ImportOptions options;
  options.sourceMgr = &sourceMgr;
  EXPECT_FALSE(smelt::importSpec(context, "/nonexistent/a.json", options));
  EXPECT_NE(output.find(
                "/nonexistent/a.json:1:1: error: cannot read the file: No such file or directory"),
            std::string::npos)
      << output;
  output.clear();
  EXPECT_FALSE(
      smelt::importSpecText(context, std::string((16u << 20) + 1, ' '), "big.json", options));
  EXPECT_EQ(output.substr(0, 63),
            "big.json:1:1: error: the file is larger than 16 MiB\n           ");
}

TEST(ImportErrors, DepthOf64IsTheLimit) {
  bool ok;
  // The nested value stands in an object in an object, so 62 more levels fit; then its type is what
  // is wrong.
  std::string base = readInput("base.json");
  std::string deepest =
      importText(replaceOnce(base, R"("train": "t.txt")", R"("train": )" + nest(62)), ok);
  EXPECT_NE(deepest.find("'train' must be a string, not an array"), std::string::npos) << deepest;
  std::string deeper =
      importText(replaceOnce(base, R"("train": "t.txt")", R"("train": )" + nest(63)), ok);
  EXPECT_NE(deeper.find("nesting deeper than 64 levels"), std::string::npos) << deeper;
}

TEST(ImportErrors, Overrides) {
  std::string base = readInput("base.json");
  auto run = [&](const std::string &text) {
    bool ok;
    return importText(base, ok, {text});
  };
  EXPECT_EQ(
      run("training.steps=none"),
      "--set:training.steps:1:1: error: 'steps' must be an integer or an object, not a string\n"
      "none\n^\n");
  EXPECT_EQ(
      run("training.stpes=3"),
      "--set:training.stpes:1:1: error: unknown key 'stpes' in 'training'; did you mean 'steps'?\n"
      "3\n^\n");
  EXPECT_EQ(
      run("trainig.steps=3"),
      "--set:trainig.steps:1:1: error: the spec has no 'trainig' on the way to 'trainig.steps'; "
      "did you mean 'training'?\n3\n^\na.json:1:1: note: this is where the path leads\n{\n^\n");
  EXPECT_EQ(run("training"),
            "--set:training:1:1: error: an override has the form KEY.KEY=VALUE\n\n^\n");
  EXPECT_EQ(run("dims.mlp=[1, 2"),
            "--set:dims.mlp:1:6: error: invalid JSON: unexpected end of input; expected ']'\n"
            "[1, 2\n     ^\n");
}

TEST(ImportErrors, ActivationSizesOverflow) {
  bool ok;
  std::string seen = importText(readInput("base.json"), ok,
                                {"dims.vocab=2147483647", "training.micro_batch=2147483640",
                                 "data.sequence=2147483640", "training.stages.0.tokens=2147483640",
                                 "training.stages.1.tokens=2147483640"});
  EXPECT_FALSE(ok);
  EXPECT_NE(seen.find("--set:training.stages.0.tokens:1:1: error: the sizes overflow: 2147483640 "
                      "tokens of 2147483647 features"),
            std::string::npos)
      << seen;
}

TEST(ImportErrors, UnusedNamesAreWarnings) {
  bool ok;
  std::string seen = importText(readInput("base.json"), ok, {"scalars.extra={\"init\": 1}"});
  EXPECT_TRUE(ok);
  EXPECT_EQ(seen,
            "--set:scalars.extra:1:1: warning: no step uses scalar 'extra'\n{\"init\": 1}\n^\n");
}

} // namespace
