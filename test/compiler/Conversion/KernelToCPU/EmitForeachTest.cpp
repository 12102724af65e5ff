// kernel.foreach and kernel.rope_table on the CPU against the interpreter.
#include "compiler/Transforms/Optimizers/Passes.h"
#include "test/compiler/Conversion/KernelToCPU/KernelRunner.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace smelt::test;

namespace {

/// `text`, whose kernel is an optimiser of the train dialect, with a kernel.foreach instead.
std::string expand(const std::string &text) {
  DialectRegistry registry;
  registry.insert<lm::LMDialect, kernel::KernelDialect, train::TrainDialect, func::FuncDialect>();
  MLIRContext context(registry);
  auto module = parseSourceString<ModuleOp>(text, &context);
  if (!module)
    return {};
  PassManager passes(&context);
  passes.addPass(smelt::createExpandElementwiseOptimizersPass());
  EXPECT_TRUE(succeeded(passes.run(*module)));
  std::string expanded;
  llvm::raw_string_ostream stream(expanded);
  module->print(stream);
  return expanded;
}

/// Three lanes: smaller than a vector, several shares of work, one element.
const std::string types = "tensor<3x7xf32>, tensor<90x100xf32>, tensor<f32>";

std::string adamText(const std::string &kind) {
  std::string four = types + ", " + types + ", " + types + ", " + types + ", tensor<f32>, tensor<f32>, tensor<f32>";
  return expand(
      R"(
func.func private @kernel_0(%p0: tensor<3x7xf32>, %p1: tensor<90x100xf32>, %p2: tensor<f32>, %g0: tensor<3x7xf32>, %g1: tensor<90x100xf32>, %g2: tensor<f32>,
    %m0: tensor<3x7xf32>, %m1: tensor<90x100xf32>, %m2: tensor<f32>, %v0: tensor<3x7xf32>, %v1: tensor<90x100xf32>, %v2: tensor<f32>,
    %lr: tensor<f32>, %c1: tensor<f32>, %c2: tensor<f32>) -> ()" +
      types + ", " + types + ", " + types + R"() {
  %p:3, %m:3, %v:3 = train.)" +
      kind +
      R"( (%p0, %p1, %p2) gradients(%g0, %g1, %g2) moments(%m0, %m1, %m2 : %v0, %v1, %v2) lr(%lr) corrections(%c1, %c2)
    {lr_scales = #lm.numbers<1.0, 0.5, 2.0>, weight_decays = #lm.numbers<0.0, 0.1, 0.01>, beta1 = 0.9, beta2 = 0.99, eps = 1.0e-8}
    : ()" +
      four + ") -> (" + types + ", " + types + ", " + types + R"()
  return %p#0, %p#1, %p#2, %m#0, %m#1, %m#2, %v#0, %v#1, %v#2 : )" +
      types + ", " + types + ", " + types + R"(
})");
}

void checkAdam(const std::string &kind) {
  KernelRunner runner(adamText(kind));
  for (double step : {1.0, 2.0, 1000.0}) {
    auto inputs = runner.makeInputs(unsigned(step));
    for (int i = 9; i < 12; ++i) // Second moments are not negative.
      for (double &value : inputs[i].values)
        value = value * value;
    inputs[12].values = {0.01};
    inputs[13].values = {double(float(1 - std::pow(0.9, step)))};
    inputs[14].values = {double(float(1 - std::pow(0.99, step)))};
    // A dozen roundings of numbers of the size of the result.
    runner.check(inputs, 1e-6);
  }
}

TEST(EmitForeach, AdamW) { checkAdam("adamw"); }
TEST(EmitForeach, Adam) { checkAdam("adam"); }

TEST(EmitForeach, Snoo) {
  KernelRunner runner(expand(R"(
func.func private @kernel_0(%p0: tensor<3x7xf32>, %p1: tensor<90x100xf32>, %o0: tensor<3x7xf32>, %o1: tensor<90x100xf32>, %b0: tensor<3x7xf32>, %b1: tensor<90x100xf32>)
    -> (tensor<3x7xf32>, tensor<90x100xf32>, tensor<3x7xf32>, tensor<90x100xf32>, tensor<3x7xf32>, tensor<90x100xf32>) {
  %p:2, %o:2, %b:2 = train.snoo (%p0, %p1) outer (%o0, %o1) momenta (%b0, %b1) {lrs = #lm.numbers<0.68, 0.5>, momentum = 0.37 : f64, nesterov = true}
    : (tensor<3x7xf32>, tensor<90x100xf32>, tensor<3x7xf32>, tensor<90x100xf32>, tensor<3x7xf32>, tensor<90x100xf32>)
    -> (tensor<3x7xf32>, tensor<90x100xf32>, tensor<3x7xf32>, tensor<90x100xf32>, tensor<3x7xf32>, tensor<90x100xf32>)
  return %p#0, %p#1, %o#0, %o#1, %b#0, %b#1 : tensor<3x7xf32>, tensor<90x100xf32>, tensor<3x7xf32>, tensor<90x100xf32>, tensor<3x7xf32>, tensor<90x100xf32>
})"));
  runner.check(runner.makeInputs(1), 1e-6);
}

/// Sizes at and around a vector, a share of work and the region's chunk, each a lane of its own; constants and a uniform.
std::string manyLanes(llvm::ArrayRef<int64_t> sizes) {
  std::string arguments, inputs, types, scales;
  for (auto [i, size] : llvm::enumerate(sizes)) {
    std::string separator = i ? ", " : "", number = std::to_string(i),
                type = "tensor<" + std::to_string(size) + "xf32>";
    arguments += separator + "%a" + number + ": " + type;
    inputs += separator + "%a" + number;
    types += separator + type;
    scales += separator + std::to_string(i % 7) + ".5";
  }
  return "func.func private @kernel_0(" + arguments + ", %u: tensor<f32>) -> (" + types + R"() {
  %r:)" + std::to_string(sizes.size()) +
         " = kernel.foreach \"scale\" lanes " + std::to_string(sizes.size()) + " (" + inputs +
         ") uniforms (%u) constants [#lm.numbers<" + scales + ">] : (" + types +
         ", tensor<f32>) -> (" + types + R"() {
  ^bb0(%x: tensor<1x16xf32>, %c: tensor<f32>, %s: tensor<f32>):
    %y = lm.mix %x, %x by %c, %s : (tensor<1x16xf32>, tensor<1x16xf32>, tensor<f32>, tensor<f32>) -> tensor<1x16xf32>
    kernel.yield %y : tensor<1x16xf32>
  }
  return )" +
         [&] {
           std::string results;
           for (size_t i = 0; i < sizes.size(); ++i)
             results += (i ? ", %r#" : "%r#") + std::to_string(i);
           return results;
         }() +
         " : " + types + "\n}";
}

TEST(EmitForeach, LanesOfAllSizes) {
  KernelRunner runner(manyLanes({1, 7, 8, 15, 16, 17, 4095, 4096, 4097, 8192, 3, 12345, 1}));
  runner.check(runner.makeInputs(4), 1e-6);
}

/// The text of the native module of `lanes` lanes.
std::string lower(int lanes) {
  DialectRegistry registry;
  smelt::registerCPUTargetDialects(registry);
  registry.insert<lm::LMDialect, kernel::KernelDialect>();
  MLIRContext context(registry);
  context.loadAllAvailableDialects();
  auto module = parseSourceString<ModuleOp>(manyLanes(std::vector<int64_t>(lanes, 33)), &context);
  std::string why, text;
  auto native = smelt::lowerKernelsToCPU(*module, *smelt::CPUTarget::get("x86-64-v3", why));
  EXPECT_TRUE(native);
  llvm::raw_string_ostream stream(text);
  (*native)->walk([&](func::FuncOp function) { function.print(stream); });
  return text;
}

TEST(EmitForeach, CodeDoesNotGrowWithTheLanes) {
  auto countLines = [](const std::string &text) { return llvm::StringRef(text).count('\n'); };
  // 16 and 512 lanes: the search for a share's lane has five steps more, of five lines each.
  size_t few = countLines(lower(16)), many = countLines(lower(512));
  EXPECT_GT(few, 50u);
  EXPECT_LE(many, few + 5 * 8);
}

TEST(EmitRopeTable, AnglesInDouble) {
  KernelRunner runner(R"(
func.func private @kernel_0(%f: tensor<6xf32>) -> tensor<5000x12xf32> {
  %t = kernel.rope_table %f : tensor<6xf32> -> tensor<5000x12xf32>
  return %t : tensor<5000x12xf32>
})");
  // Rounded once: at row 4999 an angle in float would be off by 1e-4.
  runner.check(runner.makeInputs(3), 6e-8);
}

} // namespace
