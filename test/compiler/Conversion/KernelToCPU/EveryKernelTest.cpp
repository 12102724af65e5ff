// Every kernel of a spec with both records' tricks, fused as it ships, against the interpreter.
#include "test/compiler/Conversion/KernelToCPU/KernelRunner.h"

#include "compiler/Import/Import.h"
#include "compiler/Pipelines/Pipelines.h"
#include "dialects/Train/TrainOps.h"

using namespace mlir;
using namespace smelt;
using namespace smelt::test;

namespace {

/// What an i32 argument means to the ops that read it.
enum class Meaning { Tokens, Targets, Documents, Window };

Meaning getMeaning(func::FuncOp function, unsigned index) {
  if (cast<RankedTensorType>(function.getArgument(index).getType()).getRank() == 0)
    return Meaning::Window;
  auto kernel = cast<kernel::KernelOpInterface>(function.getBody().front().front());
  if (isa<kernel::EmbeddingBackwardOp>(kernel) &&
      kernel->getOperand(0) == function.getArgument(index))
    return Meaning::Tokens;
  for (Region &region : kernel->getRegions()) {
    unsigned number = region.getRegionNumber(), argument = kernel.getNumLeadingArguments(number);
    for (Value input : kernel.getRegionInputs(number)) {
      Value inside = region.getArgument(argument++);
      if (input != function.getArgument(index))
        continue;
      for (Operation *user : inside.getUsers()) {
        if (isa<lm::EmbeddingOp>(user))
          return Meaning::Tokens;
        if (isa<lm::CrossEntropyOp, lm::CrossEntropyBackwardOp, lm::CountOp>(user))
          return Meaning::Targets;
      }
    }
  }
  return Meaning::Documents;
}

void setIntegers(KernelRunner::Tensor &tensor, Meaning meaning) {
  for (size_t i = 0; i < tensor.values.size(); ++i)
    switch (meaning) {
    case Meaning::Tokens:
      tensor.values[i] = double((i * i * 7) % 97);
      break;
    case Meaning::Targets:
      tensor.values[i] = i % 9 == 4 ? -1 : double((i * 13) % 97);
      break;
    case Meaning::Documents:
      tensor.values[i] = double(i / 37 * 37);
      break;
    case Meaning::Window:
      tensor.values[i] = 20;
      break;
    }
}

void checkEveryKernel(const PipelineOptions &options, double tolerance) {
  DialectRegistry registry;
  registerCPUTargetDialects(registry);
  registry.insert<lm::LMDialect, train::TrainDialect, kernel::KernelDialect>();
  MLIRContext context(registry);
  context.loadAllAvailableDialects();
  OwningOpRef<ModuleOp> module = importSpec(context, TRICKS_SPEC);
  ASSERT_TRUE(module);
  PassManager passes(&context);
  buildToTrainPipeline(passes, options);
  buildToKernelPipeline(passes, options);
  ASSERT_TRUE(succeeded(passes.run(*module)));
  unsigned kernels = 0;
  for (auto function : module->getOps<func::FuncOp>()) {
    if (!function.isPrivate() || isa<kernel::ForeachOp>(function.getBody().front().front()))
      continue; // EmitForeachTest feeds AdamW second moments that are not negative.
    ++kernels;
    auto copy = cast<func::FuncOp>(function->clone());
    copy->setDiscardableAttrs(ArrayRef<NamedAttribute>{});
    copy.setName("kernel_0");
    copy.setPrivate();
    std::string text;
    llvm::raw_string_ostream(text) << *copy;
    copy->destroy();
    SCOPED_TRACE(text);
    KernelRunner runner(text);
    auto inputs = runner.makeInputs(3);
    bool takesRoot = text.find("from_output") != std::string::npos ||
                     text.find("lm.unary sqrt") != std::string::npos;
    for (size_t i = 0; i < inputs.size(); ++i)
      if (cast<RankedTensorType>(runner.inputTypes[i]).getElementType().isInteger())
        setIntegers(inputs[i], getMeaning(function, i));
      else if (takesRoot)
        for (double &value : inputs[i].values)
          value = std::fabs(value);
    runner.check(inputs, tolerance, 1e-3);
  }
  EXPECT_GT(kernels, 20u);
}

// Chains of norms, products of up to 258 terms and sums over 96 rows.
constexpr double sumError = 2e-4;

TEST(EveryKernel, FusedAgreesWithItsMeaning) { checkEveryKernel({}, sumError); }

/// The interpreter rounds what is stored at the same places. Beside a tie the two may round to
/// neighbours, which are 2^-7 of the value apart.
TEST(EveryKernel, WithBF16StorageAgreesWithItsMeaning) {
  PipelineOptions options;
  options.activations = "bf16";
  checkEveryKernel(options, sumError + 0x1p-7);
}

} // namespace
