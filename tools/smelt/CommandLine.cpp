//===- CommandLine.cpp - From argv to Options -----------------------------===//
#include "tools/smelt/CommandLine.h"
#include "tools/smelt/Completion.h"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <iostream>

namespace smelt::cli {
namespace {

constexpr int usageError = 2;
const std::vector<std::string> phases = {"spec", "lm", "train", "kernel", "exec", "bundle"};

constexpr const char *mainFooter = R"(Examples:
  smelt check models/tiny.json                      is the spec right? errors show file, line and caret
  smelt train models/tiny.json --data kjv.bin       compile and train into runs/tiny
  smelt sample runs/tiny --prompt "In the "         text from the trained model
  smelt explain models/tiny.json                    the kernel that each step of the spec ended in
Each command has its own help: smelt train --help
Exit codes: 0 done, 2 usage, 3 spec, 4 corrupt input, 5 non-finite loss, 6 rank lost, 7 storage.)";

constexpr const char *checkFooter = R"(Examples:
  smelt check models/tiny.json
  smelt check models/tiny.json --set training.steps=100 --set training.seed=7)";

constexpr const char *compileFooter = R"(Phases: spec -> lm -> train -> kernel -> exec -> bundle. Every phase but the last is MLIR text.
Examples:
  smelt compile models/tiny.json                              writes tiny.smelt/
  smelt compile models/tiny.json --target cpu:haswell         for another machine: AVX2 only
  smelt compile models/tiny.json --compile-to lm              the model's steps, to standard output
  smelt compile models/tiny.json --dump-dir ir/               ir/1-lm.mlir ... beside the bundle
  smelt compile kernel.mlir --compile-from kernel -o x.smelt  go on from an edited dump)";

constexpr const char *trainFooter = R"(SPEC may also be a bundle made by `smelt compile`; then nothing is compiled.
Examples:
  smelt train models/tiny.json --data kjv.train.bin --validation kjv.validation.bin --run runs/kjv
  smelt train models/tiny.json --set training.steps=50 --run runs/short
  smelt train models/tiny.json --run runs/kjv --resume    go on after the newest checkpoint, bit for bit)";

constexpr const char *evalFooter = R"(Examples:
  smelt eval runs/tiny                           validation loss of the newest checkpoint
  smelt eval runs/tiny --data other.bin          on other text)";

constexpr const char *sampleFooter = R"(Examples:
  smelt sample runs/tiny --prompt "And it came to pass"
  smelt sample runs/tiny --tokens 500 --temperature 0.7 --top-k 40 --seed 3)";

constexpr const char *explainFooter = R"(Examples:
  smelt explain models/tiny.json --target cpu           one line per step: its kernels, or why it was not fused
  smelt explain models/tiny.json --target cpu --json    the same for programs; totals.launches, .buffers, .bytes, .flops)";

constexpr const char *packFooter = R"(Documents are separated by lines that hold nothing but the separator; each starts with the start token in the shard.
Examples:
  smelt data pack book.txt -o data/book            data/book.train.bin and data/book.validation.bin
  smelt data pack a.txt b.txt -o data/ab --separator % --start-token 0
  smelt data show data/book.train.bin              tokens, documents, the first words)";

void addOverrides(CLI::App &app, CompileOptions &options) {
  app.add_option("--set", options.overrides, "Change a value of the spec: key.path=value (repeatable)")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
}

void addTarget(CLI::App &app, CompileOptions &options) {
  app.add_option("--target", options.target, "What to compile for: cpu (this machine) or cpu:NAME, for example cpu:haswell")
      ->type_name("cpu[:NAME]")
      ->capture_default_str();
}

void addCompileOptions(CLI::App &app, CompileOptions &options) {
  addOverrides(app, options);
  addTarget(app, options);
  app.add_option("--dump-dir", options.dumpDirectory, "Write the IR after every phase into this folder")->type_name("DIR");
  app.add_flag("--remarks", options.remarks, "Print why steps were not fused, at their place in the spec");
}

void buildCheck(CLI::App &main, Options &options) {
  CLI::App *app = main.add_subcommand("check", "Check a spec: grammar, names, shapes, schedules");
  app->footer(checkFooter);
  app->add_option("spec", options.compile.input, "The model's JSON spec")->required()->type_name("SPEC");
  addOverrides(*app, options.compile);
  app->callback([&] { options.command = Command::Check; });
}

void buildCompile(CLI::App &main, Options &options) {
  CLI::App *app = main.add_subcommand("compile", "Compile a spec to a bundle, or to any phase on the way");
  app->footer(compileFooter);
  app->add_option("spec", options.compile.input, "The model's JSON spec; IR text with --compile-from")->required()->type_name("SPEC");
  app->add_option("-o,--output", options.compile.output, "Bundle folder (default: NAME.smelt), or IR file (default: standard output)");
  addCompileOptions(*app, options.compile);
  app->add_option("--compile-to", options.compile.to, "Stop after this phase")->check(CLI::IsMember(phases))->capture_default_str();
  app->add_option("--compile-from", options.compile.from, "The input is the IR after this phase")
      ->check(CLI::IsMember(phases))
      ->capture_default_str();
  app->callback([&] {
    options.command = Command::Compile;
    auto index = [](const std::string &phase) { return std::find(phases.begin(), phases.end(), phase) - phases.begin(); };
    if (index(options.compile.from) > index(options.compile.to))
      throw CLI::ValidationError("--compile-from " + options.compile.from, "is after --compile-to " + options.compile.to);
    if (options.compile.from == "bundle")
      throw CLI::ValidationError("--compile-from bundle", "nothing comes after the bundle");
  });
}

void buildTrain(CLI::App &main, Options &options) {
  TrainOptions &train = options.train;
  CLI::App *app = main.add_subcommand("train", "Compile a spec and train it into a run folder");
  app->footer(trainFooter);
  app->add_option("spec", train.compile.input, "The model's JSON spec, or a bundle")->required()->type_name("SPEC");
  app->add_option("--run", train.run, "Run folder (default: runs/NAME)")->type_name("DIR");
  app->add_option("--data", train.data, "Training shards or text, instead of the spec's")->type_name("FILES");
  app->add_option("--validation", train.validation, "Validation shards or text, instead of the spec's")->type_name("FILES");
  CLI::Option *resume = app->add_flag("--resume", train.resume, "Go on from the run folder's newest checkpoint");
  app->add_flag("--overwrite", train.overwrite, "Replace an earlier run in the same folder")->excludes(resume);
  app->add_option("--threads", train.threads, "CPU threads (default: all cores)")->check(CLI::Range(1, 4096));
  addCompileOptions(*app, train.compile);
  app->callback([&] { options.command = Command::Train; });
}

void buildEval(CLI::App &main, Options &options) {
  CLI::App *app = main.add_subcommand("eval", "Validation loss of a trained model");
  app->footer(evalFooter);
  app->add_option("run", options.eval.run, "Run folder")->required()->type_name("RUN");
  app->add_option("--data", options.eval.data, "Shards or text to evaluate on (default: the run's validation data)")->type_name("FILES");
  app->add_option("--checkpoint", options.eval.checkpoint, "Checkpoint folder (default: the newest)")->type_name("DIR");
  app->callback([&] { options.command = Command::Eval; });
}

void buildSample(CLI::App &main, Options &options) {
  SampleOptions &sample = options.sample;
  CLI::App *app = main.add_subcommand("sample", "Text from a trained model");
  app->footer(sampleFooter);
  app->add_option("run", sample.run, "Run folder")->required()->type_name("RUN");
  app->add_option("--prompt", sample.prompt, "Text to go on from")->type_name("TEXT");
  app->add_option("--tokens", sample.tokens, "How many tokens to make")->check(CLI::Range(1, 1 << 20))->capture_default_str();
  app->add_option("--temperature", sample.temperature, "0 takes the likeliest token each time")
      ->check(CLI::Range(0.0, 100.0))
      ->capture_default_str();
  app->add_option("--top-k", sample.topK, "Choose among the k likeliest tokens (0: all)")->check(CLI::Range(0, 1 << 20))->capture_default_str();
  app->add_option("--seed", sample.seed, "Same seed, same text")->capture_default_str();
  app->add_option("--checkpoint", sample.checkpoint, "Checkpoint folder (default: the newest)")->type_name("DIR");
  app->callback([&] { options.command = Command::Sample; });
}

void buildExplain(CLI::App &main, Options &options) {
  CLI::App *app = main.add_subcommand("explain", "Show the kernel that each step of a spec ended in, or why it was not fused");
  app->footer(explainFooter);
  app->add_option("spec", options.explain.compile.input, "The model's JSON spec")->required()->type_name("SPEC");
  addOverrides(*app, options.explain.compile);
  addTarget(*app, options.explain.compile);
  app->add_option("--compile-from", options.explain.compile.from, "SPEC is the IR after this phase")
      ->check(CLI::IsMember(std::vector<std::string>(phases.begin(), phases.end() - 1)))
      ->capture_default_str();
  app->add_flag("--json", options.explain.json, "One JSON object");
  app->add_flag("--launches", options.explain.launches, "Also list every launch of a training step");
  app->callback([&] { options.command = Command::Explain; });
}

void buildData(CLI::App &main, Options &options) {
  CLI::App *app = main.add_subcommand("data", "Make and look at token shards");
  app->require_subcommand(1);
  CLI::App *pack = app->add_subcommand("pack", "Text to .bin shards");
  pack->footer(packFooter);
  pack->add_option("text", options.data.inputs, "Text files")->required()->type_name("FILE");
  pack->add_option("-o,--output", options.data.output, "Path of the shards, without .train.bin")->required()->type_name("PATH");
  pack->add_option("--separator", options.data.separator, "The line between documents (default: a file is one document)")->type_name("TEXT");
  pack->add_option("--start-token", options.data.startToken, "Put this token before each document")->check(CLI::Range(0, 65535));
  pack->add_option("--tokenizer", options.data.tokenizer, "How text becomes tokens")->check(CLI::IsMember({"bytes"}))->capture_default_str();
  pack->add_option("--validation", options.data.validationFraction, "Part of the tokens, the last ones, that is held out")
      ->check(CLI::Range(0.0001, 0.9999))
      ->capture_default_str();
  pack->callback([&] { options.command = Command::DataPack; });
  CLI::App *show = app->add_subcommand("show", "What a shard holds");
  show->add_option("shard", options.data.inputs, ".bin files")->required()->type_name("FILE");
  show->callback([&] { options.command = Command::DataShow; });
}

/// Edit distance, for "did you mean".
size_t distance(const std::string &a, const std::string &b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j)
    row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      size_t best = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1])});
      diagonal = row[j];
      row[j] = best;
    }
  }
  return row[b.size()];
}

/// The known name closest to `word` when it is close enough to be a slip; else empty.
std::string closest(const std::string &word, const std::vector<std::string> &names) {
  std::string best;
  size_t bestDistance = std::max<size_t>(2, word.size() / 3) + 1;
  for (const std::string &name : names)
    if (size_t d = distance(word, name); d < bestDistance) {
      bestDistance = d;
      best = name;
    }
  return best;
}

/// The subcommand that the line got to, for messages.
const CLI::App &deepest(const CLI::App &app) {
  for (const CLI::App *child : app.get_subcommands())
    return deepest(*child);
  return app;
}

void printUsageError(const CLI::App &main, const CLI::ParseError &error) {
  const CLI::App &app = deepest(main);
  std::string path = app.get_name();
  for (const CLI::App *parent = app.get_parent(); parent; parent = parent->get_parent())
    path = parent->get_name() + " " + path;
  std::vector<std::string> names;
  for (const CLI::App *child : app.get_subcommands(nullptr))
    names.push_back(child->get_name());
  for (const CLI::Option *option : app.get_options())
    for (const std::string &name : option->get_lnames())
      names.push_back("--" + name);
  std::string unknown;
  for (const std::string &word : app.remaining())
    if (unknown.empty())
      unknown = word;
  bool wantsCommand = !app.get_subcommands(nullptr).empty();
  std::cerr << path << ": ";
  if (!unknown.empty()) {
    unknown = unknown.substr(0, unknown.find('='));
    std::cerr << (unknown[0] == '-' ? "unknown option '" : wantsCommand ? "unknown command '" : "unexpected argument '") << unknown << "'";
    if (std::string guess = closest(unknown, names); !guess.empty())
      std::cerr << "; did you mean '" << guess << "'?";
  } else {
    std::cerr << error.what();
  }
  std::cerr << "\nSee: " << path << " --help\n";
}

} // namespace

std::optional<Options> parseCommandLine(int argc, char **argv, int &exitCode) {
  Options options;
  CLI::App app("Smelt: from a JSON description of a language model to its trainer", "smelt");
  app.footer(mainFooter);
  app.set_version_flag("--version", "smelt " SMELT_VERSION);
  app.get_formatter()->column_width(34);
  app.require_subcommand(1);
  app.option_defaults()->always_capture_default(false);
  buildCheck(app, options);
  buildCompile(app, options);
  buildTrain(app, options);
  buildEval(app, options);
  buildSample(app, options);
  buildExplain(app, options);
  buildData(app, options);
  bool completion = false;
  CLI::App *completionApp = app.add_subcommand("completion", "Print a shell completion script: source <(smelt completion bash)");
  std::string shell = "bash";
  completionApp->add_option("shell", shell, "The shell")->check(CLI::IsMember({"bash"}))->required();
  completionApp->callback([&] { completion = true; });

  exitCode = 0;
  if (argc == 1) {
    std::cout << app.help();
    return std::nullopt;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success &wanted) { // --help, --version
    app.exit(wanted, std::cout, std::cerr);
    return std::nullopt;
  } catch (const CLI::ParseError &error) {
    printUsageError(app, error);
    exitCode = usageError;
    return std::nullopt;
  }
  if (completion) {
    std::cout << bashCompletion(app);
    return std::nullopt;
  }
  return options;
}

} // namespace smelt::cli
