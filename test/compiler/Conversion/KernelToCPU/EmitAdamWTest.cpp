// kernel.adamw and kernel.rope_table on the CPU against the interpreter.
#include "test/compiler/Conversion/KernelToCPU/KernelRunner.h"

using namespace smelt::test;

namespace {

TEST(EmitAdamW, ManyParameters) {
  const std::string types = "tensor<3x7xf32>, tensor<90x100xf32>, tensor<f32>";
  auto four = types + ", " + types + ", " + types + ", " + types + ", tensor<f32>, tensor<f32>";
  KernelRunner runner(R"(
func.func private @kernel_0(%p0: tensor<3x7xf32>, %p1: tensor<90x100xf32>, %p2: tensor<f32>, %g0: tensor<3x7xf32>, %g1: tensor<90x100xf32>, %g2: tensor<f32>,
    %m0: tensor<3x7xf32>, %m1: tensor<90x100xf32>, %m2: tensor<f32>, %v0: tensor<3x7xf32>, %v1: tensor<90x100xf32>, %v2: tensor<f32>,
    %lr: tensor<f32>, %step: tensor<f32>) -> ()" +
                      types + ", " + types + ", " + types + R"() {
  %r:9 = kernel.adamw(%p0, %p1, %p2) gradients(%g0, %g1, %g2) moments(%m0, %m1, %m2 : %v0, %v1, %v2) lr(%lr) step(%step)
    {lr_scales = array<f64: 1.0, 0.5, 2.0>, weight_decays = array<f64: 0.0, 0.1, 0.01>, beta1 = 0.9, beta2 = 0.99, eps = 1.0e-8}
    : ()" + four + ") -> (" +
                      types + ", " + types + ", " + types + R"()
  return %r#0, %r#1, %r#2, %r#3, %r#4, %r#5, %r#6, %r#7, %r#8 : )" +
                      types + ", " + types + ", " + types + R"(
})");
  for (double step : {1.0, 2.0, 1000.0}) {
    auto inputs = runner.makeInputs(unsigned(step));
    for (int i = 9; i < 12; ++i) // Second moments are not negative.
      for (double &value : inputs[i].values)
        value = value * value;
    inputs[12].values = {0.01};
    inputs[13].values = {step};
    runner.check(inputs, 1e-6);
  }
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
