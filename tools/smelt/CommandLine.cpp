//===- CommandLine.cpp - From argv to Options -----------------------------===//
#include "tools/smelt/CommandLine.h"
#include "tools/smelt-run/UsageError.h"
#include "tools/smelt/Completion.h"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <iostream>

namespace smelt::cli {
namespace {

constexpr int usageError = 2;
const std::vector<std::string> phases = {"spec", "lm", "train", "kernel", "exec", "bundle"};

constexpr const char *mainFooter = R"(Examples:
  smelt check models/tiny.json                            is the spec right? errors show file, line and caret
  smelt train models/tiny.json --data text.txt            compile and train into runs/tiny
  smelt sample --run-dir runs/tiny --prompt "In the "     text from the trained model
  smelt explain models/tiny.json                          the kernel that each step of the spec ended in
Each command has its own help: smelt train --help
Exit codes: 0 done, 2 usage, 3 spec, 4 corrupt input, 5 non-finite loss, 6 rank lost, 7 storage.)";

constexpr const char *checkFooter = R"(Examples:
  smelt check models/tiny.json
  smelt check models/tiny.json --set training.steps=100 --set training.seed=7
  smelt check models/short-partial-key-offset.json --ranks 8 --gpu h200    what a run costs)";

constexpr const char *compileFooter =
    R"(Phases: spec -> lm -> train -> kernel -> exec -> bundle. Every phase but the last is MLIR text.
Examples:
  smelt compile models/tiny.json                              writes tiny.smelt/
  smelt compile models/tiny.json --target cpu:haswell         for another machine: AVX2 only
  smelt compile models/tiny.json --target sm_90a              for a Hopper GPU
  smelt compile models/tiny.json --compile-to lm              the model's steps, to standard output
  smelt compile models/tiny.json --dump-dir ir/               ir/1-lm.mlir ... beside the bundle
  smelt compile kernel.mlir --compile-from kernel -o x.smelt  go on from an edited dump
Kernels that were compiled before come from SMELT_CACHE_DIR (~/.cache/smelt if it is not set, none if it is empty).)";

constexpr const char *trainFooter =
    R"(SPEC may also be a bundle made by `smelt compile`; then nothing is compiled. The run folder is runs/NAME if none is given.
Examples:
  smelt train models/tiny.json --data train.bin --validation-data validation.bin
  smelt train models/tiny.json --set training.steps=50 --run-dir runs/short
  smelt train models/tiny.json --set training.micro_batch=512 --ranks 4     four processes share each step
  torchrun --no-python --nproc-per-node 4 smelt train models/tiny.json      the same, under torchrun, srun or mpirun
  smelt train models/tiny.json --resume auto    go on after the newest checkpoint, bit for bit)";

constexpr const char *evalFooter = R"(Examples:
  smelt eval --run-dir runs/tiny                      validation loss of the newest checkpoint
  smelt eval --run-dir runs/tiny --data other.txt     on other text)";

constexpr const char *sampleFooter = R"(Examples:
  smelt sample --run-dir runs/tiny --prompt "And it came to pass"
  smelt sample --run-dir runs/tiny --tokens 500 --temperature 0.7 --top-k 40 --seed 3)";

constexpr const char *explainFooter = R"(Examples:
  smelt explain models/tiny.json --target cpu           one line per step: its kernels, or why it was not fused
  smelt explain models/tiny.json --target cpu --json    the same for programs; totals.launches, .buffers, .bytes, .flops
  smelt explain models/tiny.json --set training.micro_batch=512 --ranks 4    also the bytes of each collective)";

constexpr const char *packFooter = R"(Examples:
  smelt data pack book.txt -o train.bin --validation-output validation.bin
  smelt data pack 'texts/*.txt' -o train.bin --start-token 0     a document begins with token 0
  smelt data pack 'texts/*.txt' -o train.bin --tokenizer gpt2 --tokenizer-files gpt2/     each document begins with 50256)";

constexpr const char *exportFooter = R"(Examples:
  smelt export runs/tiny --out tiny.safetensors                                 parameters under Smelt's names
  smelt export runs/short --layout modded-nanogpt --out short.safetensors       a state_dict of the record's module
  smelt train models/short-partial-key-offset.json --init short.safetensors --layout modded-nanogpt)";

constexpr const char *infoFooter = R"(Examples:
  smelt info tiny.smelt
  smelt info train.bin --json)";

void addOverrides(CLI::App &app, CompileOptions &options) {
  app.add_option("--set", options.overrides,
                 "Change a value of the spec: key.path=value (repeatable)")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  app.add_option("--precision", options.precision,
                 "f32: every parameter and state is f32 and nothing is rounded; spec: as written")
      ->check(CLI::IsMember({"spec", "f32"}));
}

void addTarget(CLI::App &app, CompileOptions &options) {
  app.add_option("--target", options.target,
                 "What to compile for: cpu (this machine), cpu:NAME, for example cpu:haswell, or a "
                 "GPU: sm_90a (Hopper), sm_90, sm_80")
      ->type_name("cpu[:NAME]|sm_N")
      ->check([](const std::string &target) {
        bool known = !target.starts_with("sm_") || target == "sm_80" || target == "sm_90" ||
                     target == "sm_90a";
        return known
                   ? std::string()
                   : "no GPU target is called '" + target + "'; there are sm_80, sm_90 and sm_90a";
      })
      ->capture_default_str();
}

void addCompileOptions(CLI::App &app, CompileOptions &options) {
  addOverrides(app, options);
  addTarget(app, options);
  app.add_option(
         "--activations", options.activations,
         "How values are stored between kernels (default: f32 on the CPU, bf16 on GPUs); sums "
         "and what is inside a kernel are f32")
      ->check(CLI::IsMember({"f32", "bf16"}));
  app.add_flag(
      "--stored-norms", options.storedNorms,
      "On GPUs: store norms, instead of giving the products that read them a factor per row");
  app.add_option("--dump-dir", options.dumpDirectory,
                 "Write the IR after every phase into this folder")
      ->type_name("DIR");
  app.add_flag("--remarks", options.remarks,
               "Print why steps were not fused, at their place in the spec");
}

void buildCheck(CLI::App &main, Options &options) {
  CLI::App *app = main.add_subcommand(
      "check", "Check a spec: grammar, names, shapes, schedules; what a run costs");
  app->footer(checkFooter);
  app->add_option("spec", options.check.compile.input, "The model's JSON spec")
      ->required()
      ->type_name("SPEC");
  addOverrides(*app, options.check.compile);
  app->add_option("--ranks", options.check.ranks,
                  "Print parameters, FLOPs, memory, launches and tokens for so many ranks")
      ->check(CLI::Range(1, 65536))
      ->type_name("N");
  app->add_option("--gpu", options.check.gpu, "The same against a GPU: a100, h100 or h200")
      ->type_name("NAME");
  app->callback([&] { options.command = Command::Check; });
}

void buildCompile(CLI::App &main, Options &options) {
  CLI::App *app =
      main.add_subcommand("compile", "Compile a spec to a bundle, or to any phase on the way");
  app->footer(compileFooter);
  app->add_option("spec", options.compile.input,
                  "The model's JSON spec; IR text with --compile-from")
      ->required()
      ->type_name("SPEC");
  app->add_option("-o,--output", options.compile.output,
                  "Bundle folder (default: NAME.smelt), or IR file (default: standard output)");
  addCompileOptions(*app, options.compile);
  app->add_option("--compile-to", options.compile.to, "Stop after this phase")
      ->check(CLI::IsMember(phases))
      ->capture_default_str();
  app->add_option("--compile-from", options.compile.from, "The input is the IR after this phase")
      ->check(CLI::IsMember(phases))
      ->capture_default_str();
  app->add_option("--ranks", options.compile.ranks,
                  "Processes that will share each step (smelt train sets it itself)")
      ->check(CLI::Range(1, 65536))
      ->type_name("N");
  app->callback([&] {
    options.command = Command::Compile;
    auto index = [](const std::string &phase) {
      return std::find(phases.begin(), phases.end(), phase) - phases.begin();
    };
    if (index(options.compile.from) > index(options.compile.to))
      throw CLI::ValidationError("--compile-from " + options.compile.from,
                                 "is after --compile-to " + options.compile.to);
    if (options.compile.from == "bundle")
      throw CLI::ValidationError("--compile-from bundle", "nothing comes after the bundle");
  });
}

void buildTrain(CLI::App &main, Options &options) {
  TrainOptions &train = options.train;
  train.run.runFolder.clear(); // The default is named after the model.
  CLI::App *app = main.add_subcommand("train", "Compile a spec and train it into a run folder");
  app->footer(trainFooter);
  app->add_option("spec", train.compile.input, "The model's JSON spec, or a bundle")
      ->required()
      ->type_name("SPEC");
  addCompileOptions(*app, train.compile);
  runtime::addTrainOptions(*app, train.run);
  app->get_option("--run-dir")
      ->description("Folder for logs, checkpoints, the bundle and the report [runs/NAME]");
  app->get_option("--overwrite")->excludes(app->get_option("--resume"));
  app->callback([&] { options.command = Command::Train; });
}

void buildEval(CLI::App &main, Options &options) {
  CLI::App *app = main.add_subcommand("eval", "Validation loss of a trained model");
  app->footer(evalFooter);
  runtime::addEvalOptions(*app, options.eval);
  app->callback([&] { options.command = Command::Eval; });
}

void buildSample(CLI::App &main, Options &options) {
  CLI::App *app = main.add_subcommand("sample", "Text from a trained model");
  app->footer(sampleFooter);
  runtime::addSampleOptions(*app, options.sample);
  app->callback([&] { options.command = Command::Sample; });
}

void buildExplain(CLI::App &main, Options &options) {
  CLI::App *app = main.add_subcommand(
      "explain", "Show the kernel that each step of a spec ended in, or why it was not fused");
  app->footer(explainFooter);
  app->add_option("spec", options.explain.compile.input, "The model's JSON spec")
      ->required()
      ->type_name("SPEC");
  addOverrides(*app, options.explain.compile);
  addTarget(*app, options.explain.compile);
  app->add_option("--compile-from", options.explain.compile.from, "SPEC is the IR after this phase")
      ->check(CLI::IsMember(std::vector<std::string>(phases.begin(), phases.end() - 1)))
      ->capture_default_str();
  app->add_option("--ranks", options.explain.compile.ranks,
                  "Processes that share each step: also list what they say to each other, in bytes")
      ->check(CLI::Range(1, 65536))
      ->type_name("N");
  app->add_flag("--json", options.explain.json, "One JSON object");
  app->add_flag("--launches", options.explain.launches,
                "Also list every launch of a training step");
  app->callback([&] { options.command = Command::Explain; });
}

void buildData(CLI::App &main, Options &options) {
  CLI::App *app = main.add_subcommand("data", "Make token shards");
  app->require_subcommand(1);
  CLI::App *pack = app->add_subcommand("pack", "Text to .bin shards");
  pack->footer(packFooter);
  runtime::addPackOptions(*pack, options.pack);
  pack->callback([&] { options.command = Command::DataPack; });
}

void buildExport(CLI::App &main, Options &options) {
  CLI::App *app =
      main.add_subcommand("export", "Write a checkpoint's parameters to one safetensors file");
  app->footer(exportFooter);
  runtime::addExportOptions(*app, options.exporting);
  app->callback([&] { options.command = Command::Export; });
}

void buildInfo(CLI::App &main, Options &options) {
  CLI::App *app =
      main.add_subcommand("info", "Check and describe a bundle, a checkpoint or a shard");
  app->footer(infoFooter);
  runtime::addInfoOptions(*app, options.info);
  app->callback([&] { options.command = Command::Info; });
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
  buildExport(app, options);
  buildData(app, options);
  buildInfo(app, options);
  bool completion = false;
  CLI::App *completionApp = app.add_subcommand(
      "completion", "Print a shell completion script: source <(smelt completion bash)");
  std::string shell = "bash";
  completionApp->add_option("shell", shell, "The shell")
      ->check(CLI::IsMember({"bash"}))
      ->required();
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
    runtime::printUsageError(app, error);
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
