//===- Session.cpp - One module on its way through the phases -------------===//
#include "tools/smelt/Session.h"

#include "compiler/Import/Import.h"
#include "compiler/Pipelines/Pipelines.h"
#include "compiler/Target/CUDA/GPUTarget.h"
#include "compiler/Transforms/Distribution/Passes.h"
#include "tools/smelt-opt/RegisterEverything.h"

#include "mlir/IR/AsmState.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/ToolOutputFile.h"

using namespace mlir;

namespace smelt::cli {
namespace {
constexpr const char *names[] = {"spec", "lm", "train", "kernel", "exec", "bundle"};

DialectRegistry makeRegistry() {
  DialectRegistry registry;
  registerDialects(registry);
  return registry;
}
} // namespace

Phase phaseOf(const std::string &name) {
  for (int i = 0; i < 6; ++i)
    if (name == names[i])
      return static_cast<Phase>(i);
  llvm_unreachable("the command line checks phase names");
}

std::string cpuOf(const std::string &target) {
  size_t colon = target.find(':');
  return colon == std::string::npos ? "host" : target.substr(colon + 1);
}

std::string gpuOf(const std::string &target) {
  return GPUTarget::isName(target) ? target : std::string();
}

const char *nameOf(Phase phase) { return names[static_cast<int>(phase)]; }

Session::Session(const CompileOptions &options) : options_(options), context_(makeRegistry()) {
  handler_ = std::make_unique<SourceMgrDiagnosticHandler>(sourceManager_, &context_, llvm::errs());
}

Session::~Session() = default;

int Session::load() {
  std::string why;
  if (std::string gpu = gpuOf(options_.target); !gpu.empty() && !GPUTarget::get(gpu, why)) {
    llvm::errs() << "error: --target " << gpu << ": " << why << "\n";
    return 2;
  }
  phase_ = phaseOf(options_.from);
  if (phase_ == Phase::Spec) {
    ImportOptions import;
    import.overrides = options_.overrides;
    import.precision = options_.precision;
    import.sourceMgr = &sourceManager_;
    module_ = importSpec(context_, options_.input, import);
    if (!module_)
      return 3;
    phase_ = Phase::LM;
  } else {
    module_ = parseSourceFile<ModuleOp>(options_.input, sourceManager_, ParserConfig(&context_));
    if (!module_)
      return 4;
  }
  if (phase_ == Phase::LM)
    steps_ = collectSteps(*module_);
  return dump();
}

int Session::runTo(Phase last) {
  while (phase_ < last && phase_ < Phase::Exec) {
    Phase next = static_cast<Phase>(static_cast<int>(phase_) + 1);
    if (next == Phase::Train && options_.ranks > 1 &&
        failed(checkMicroBatches(*module_, options_.ranks)))
      return 3;
    PassManager passes(&context_);
    PipelineOptions pipeline;
    pipeline.cpu = cpuOf(options_.target);
    pipeline.gpu = gpuOf(options_.target);
    pipeline.ranks = options_.ranks;
    pipeline.remarks = options_.remarks;
    pipeline.activations = options_.activations;
    pipeline.normFactors = !options_.storedNorms;
    if (!buildPhasePipeline(passes, nameOf(next), pipeline) || failed(passes.run(*module_)))
      return 1;
    phase_ = next;
    if (int code = dump())
      return code;
  }
  return 0;
}

/// DIR/2-train.mlir and so on, with locations, so that --compile-from can go on from it.
int Session::dump() {
  if (options_.dumpDirectory.empty())
    return 0;
  llvm::SmallString<128> path(options_.dumpDirectory);
  std::error_code error = llvm::sys::fs::create_directories(path);
  llvm::sys::path::append(path, std::to_string(static_cast<int>(phase_)) + "-" + nameOf(phase_) +
                                    ".mlir");
  if (!error) {
    llvm::ToolOutputFile file(path, error, llvm::sys::fs::OF_Text);
    if (!error) {
      module_->print(file.os(), OpPrintingFlags().enableDebugInfo());
      file.os().close();
      if (!(error = file.os().error()))
        file.keep();
      file.os().clear_error();
    }
  }
  if (error) {
    llvm::errs() << "smelt: cannot write " << path << ": " << error.message() << "\n";
    return 7;
  }
  return 0;
}

} // namespace smelt::cli
