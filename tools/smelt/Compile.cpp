//===- Compile.cpp - smelt check, compile and explain ---------------------===//
#include "tools/smelt/Compile.h"
#include "tools/smelt/Estimate.h"
#include "tools/smelt/Session.h"

#include "compiler/Target/Bundle/EmitBundle.h"
#include "compiler/Target/ObjectCache.h"
#include "dialects/LM/LMOps.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/ToolOutputFile.h"

using namespace mlir;

namespace smelt::cli {

std::string modelName(const std::string &input) { return llvm::sys::path::stem(input).str(); }

int checkSpec(const CheckOptions &options) {
  Session session(options.compile);
  const GpuModel *gpu = findGpu(options.gpu);
  if (!options.gpu.empty() && !gpu) {
    llvm::errs() << "smelt check: no GPU is known as '" << options.gpu << "'; there are "
                 << listGpus() << "\n";
    return 2;
  }
  if (int code = session.load())
    return code;
  int64_t parameters = 0, tensors = 0;
  for (auto parameter : session.module().getOps<lm::ParameterOp>()) {
    parameters += cast<ShapedType>(parameter.getType()).getNumElements();
    ++tensors;
  }
  llvm::outs() << options.compile.input << ": ok, " << parameters << " parameters in " << tensors
               << " tensors, " << session.steps().size() << " steps\n";
  if (!options.ranks && !gpu)
    return 0;
  int64_t ranks = std::max<int64_t>(options.ranks, 1);
  ModelCost cost = countModel(session.module());
  if (std::string why = checkRanks(cost, ranks); !why.empty()) {
    llvm::errs() << "smelt check: " << why << "\n";
    return 3;
  }
  // What has no plan is counted all the same; the diagnostics say why.
  int code = session.runTo(Phase::Exec);
  std::optional<PlannedCost> plan;
  if (!code)
    plan = countPlan(session.module());
  printEstimate(cost, plan, ranks, gpu, llvm::outs());
  return code;
}

/// IR text, to a file or to standard output.
static int writeText(ModuleOp module, const std::string &output) {
  std::error_code error;
  llvm::ToolOutputFile file(output.empty() ? "-" : output, error, llvm::sys::fs::OF_Text);
  if (!error) {
    module.print(file.os(), OpPrintingFlags().enableDebugInfo());
    file.os().flush();
    error = file.os().error();
    file.os().clear_error();
  }
  if (error) {
    llvm::errs() << "smelt: cannot write " << output << ": " << error.message() << "\n";
    return 7;
  }
  file.keep();
  return 0;
}

int compileSpec(const CompileOptions &options) {
  Session session(options);
  Phase last = phaseOf(options.to);
  if (int code = session.load())
    return code;
  if (last == Phase::Spec) // The resolved spec: overrides applied.
    if (auto text = session.module()->getAttrOfType<StringAttr>("smelt.spec")) {
      llvm::outs() << text.getValue();
      return 0;
    }
  if (int code = session.runTo(last))
    return code;
  if (last != Phase::Bundle)
    return writeText(session.module(), options.output);
  std::string directory =
      options.output.empty() ? modelName(options.input) + ".smelt" : options.output;
  BundleOptions bundle;
  bundle.cpu = cpuOf(options.target);
  bundle.gpu = gpuOf(options.target);
  bundle.cache = ObjectCache::findFolder();
  runtime::Status status = emitBundle(session.module(), directory, bundle);
  if (!status.isOk())
    llvm::errs() << "smelt: " << status.message() << "\n";
  return runtime::exitCode(status.code());
}

int explainSpec(const ExplainOptions &options) {
  Session session(options.compile);
  if (int code = session.load())
    return code;
  if (int code = session.runTo(Phase::Exec))
    return code;
  Explanation explanation = explain(session.module(), session.steps());
  std::optional<CommunicationCost> communication;
  if (options.compile.ranks > 1)
    communication = explainCommunication(session.module(), options.compile.ranks);
  if (options.json)
    printJson(explanation, options.compile.input, options.compile.target, communication,
              llvm::outs());
  else
    printText(explanation, options.compile.input + " for " + options.compile.target,
              options.launches, llvm::outs());
  if (communication && !options.json)
    printCommunication(*communication, llvm::outs());
  return 0;
}

} // namespace smelt::cli
