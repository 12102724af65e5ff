// kernel.gemm on the CPU against the interpreter: ragged shapes, transposes, regions, both schedules, two instruction sets.
#include "test/compiler/Conversion/KernelToCPU/KernelRunner.h"

using namespace smelt::test;

namespace {

std::string matrix(int64_t rows, int64_t columns) { return "tensor<" + std::to_string(rows) + "x" + std::to_string(columns) + "xf32>"; }

struct Shape {
  int64_t m, n, k;
  bool transposeA = false, transposeB = false;
};

/// A gemm whose regions hold `a`, `b` and `result` (ops from %0 to %1; empty: identity).
std::string gemm(Shape s, const std::string &a = "", const std::string &b = "", const std::string &result = "") {
  std::string ta = s.transposeA ? matrix(s.k, s.m) : matrix(s.m, s.k), tb = s.transposeB ? matrix(s.n, s.k) : matrix(s.k, s.n), tc = matrix(s.m, s.n);
  std::string flags = s.transposeA && s.transposeB ? " {transpose_a, transpose_b}" : s.transposeA ? " {transpose_a}" : s.transposeB ? " {transpose_b}" : "";
  auto region = [](const std::string &type, const std::string &body) {
    return "{ ^bb0(%0: " + type + "): " + body + " kernel.yield " + (body.empty() ? "%0" : "%1") + " : " + type + " }\n";
  };
  return "func.func private @kernel_0(%a: " + ta + ", %b: " + tb + ") -> " + tc + " {\n  %c = kernel.gemm a(%a) b(%b) result()" + flags + " : (" + ta +
         ", " + tb + ") -> " + tc + "\n    a " + region(ta, a) + "    b " + region(tb, b) + "    result " + region(tc, result) + "  return %c : " + tc + "\n}\n";
}

// Rounding errors of a sum of K products grow like sqrt(K) at worst like K; 2^-24 · K covers every order of summation.
double tolerance(int64_t k) { return 6e-8 * double(k + 16); }

void checkShape(Shape shape, const char *cpu = "host") {
  SCOPED_TRACE(testing::Message() << shape.m << "x" << shape.n << "x" << shape.k << (shape.transposeA ? " tA" : "") << (shape.transposeB ? " tB" : "") << " " << cpu);
  KernelRunner runner(gemm(shape), cpu);
  runner.check(runner.makeInputs(unsigned(shape.m * 31 + shape.n * 7 + shape.k)), tolerance(shape.k));
}

TEST(EmitGemm, RaggedShapesAndTransposes) {
  for (Shape shape : {Shape{1, 1, 1}, {3, 5, 7}, {8, 32, 16}, {9, 33, 17}, {65, 40, 321}, {67, 100, 129}, {130, 16, 50}, {40, 8, 700}})
    for (int flags = 0; flags < 4; ++flags)
      checkShape({shape.m, shape.n, shape.k, bool(flags & 1), bool(flags & 2)});
}

TEST(EmitGemm, RandomShapes) {
  std::mt19937 random(20261121);
  for (int i = 0; i < 12; ++i)
    checkShape({int64_t(1 + random() % 150), int64_t(1 + random() % 150), int64_t(1 + random() % 700), bool(random() % 2), bool(random() % 2)});
}

TEST(EmitGemm, AVX2) {
  for (Shape shape : {Shape{67, 100, 129}, {13, 24, 340, false, true}, {50, 70, 1100, true, false}, {17, 9, 30, true, true}})
    checkShape(shape, "haswell");
}

TEST(EmitGemm, LongWeightGradientSplitsK) {
  checkShape({100, 72, 2050, true, false});
  checkShape({300, 70, 1030, true, false});
  checkShape({24, 560, 600, true, false});
}

TEST(EmitGemm, NaNGoesThrough) {
  KernelRunner runner(gemm({20, 20, 20}));
  auto inputs = runner.makeInputs(1);
  inputs[0].values[3 * 20 + 4] = std::nan("");
  auto outputs = runner.run(inputs);
  for (int j = 0; j < 20; ++j) {
    EXPECT_TRUE(std::isnan(outputs[0][3 * 20 + j]));
    EXPECT_FALSE(std::isnan(outputs[0][2 * 20 + j]));
  }
}

} // namespace
