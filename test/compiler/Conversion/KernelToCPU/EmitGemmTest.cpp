// kernel.gemm on the CPU against the interpreter: ragged shapes, transposes, regions, both
// schedules, two instruction sets.
#include "test/compiler/Conversion/KernelToCPU/KernelRunner.h"

using namespace smelt::test;

namespace {

std::string matrix(int64_t rows, int64_t columns) {
  return "tensor<" + std::to_string(rows) + "x" + std::to_string(columns) + "xf32>";
}

struct Shape {
  int64_t m, n, k;
  bool transposeA = false, transposeB = false;
  int64_t groups = 1;
};

/// A gemm whose regions hold `a`, `b` and `result` (ops from %0 to %1; empty: identity).
std::string gemm(Shape s, const std::string &a = "", const std::string &b = "",
                 const std::string &result = "") {
  std::string ta = s.transposeA ? matrix(s.groups * s.k, s.m) : matrix(s.groups * s.m, s.k),
              tb = s.transposeB ? matrix(s.groups * s.n, s.k) : matrix(s.groups * s.k, s.n),
              tc = matrix(s.groups * s.m, s.n);
  std::string flags = " {groups = " + std::to_string(s.groups) + " : i64" +
                      (s.transposeA ? ", transpose_a" : "") +
                      (s.transposeB ? ", transpose_b" : "") + "}";
  auto region = [](const std::string &type, const std::string &body) {
    return "{ ^bb0(%0: " + type + "): " + body + " kernel.yield " + (body.empty() ? "%0" : "%1") +
           " : " + type + " }\n";
  };
  return "func.func private @kernel_0(%a: " + ta + ", %b: " + tb + ") -> " + tc +
         " {\n  %c = kernel.gemm a(%a) b(%b) result()" + flags + " : (" + ta + ", " + tb + ") -> " +
         tc + "\n    a " + region(ta, a) + "    b " + region(tb, b) + "    result " +
         region(tc, result) + "  return %c : " + tc + "\n}\n";
}

// Rounding errors of a sum of K products grow like sqrt(K) at worst like K; 2^-24 · K covers every
// order of summation.
double tolerance(int64_t k) { return 6e-8 * double(k + 16); }

void checkShape(Shape shape, const char *cpu = "host") {
  SCOPED_TRACE(testing::Message() << shape.m << "x" << shape.n << "x" << shape.k
                                  << " of " << shape.groups << (shape.transposeA ? " tA" : "")
                                  << (shape.transposeB ? " tB" : "") << " " << cpu);
  KernelRunner runner(gemm(shape), cpu);
  runner.check(runner.makeInputs(unsigned(shape.m * 31 + shape.n * 7 + shape.k)),
               tolerance(shape.k));
}

TEST(EmitGemm, RaggedShapesAndTransposes) {
  for (Shape shape : {Shape{1, 1, 1},
                      {3, 5, 7},
                      {8, 32, 16},
                      {9, 33, 17},
                      {65, 40, 321},
                      {67, 100, 129},
                      {130, 16, 50},
                      {40, 8, 700}})
    for (int flags = 0; flags < 4; ++flags)
      checkShape({shape.m, shape.n, shape.k, bool(flags & 1), bool(flags & 2)});
}

TEST(EmitGemm, RandomShapes) {
  std::mt19937 random(20261121);
  for (int i = 0; i < 12; ++i)
    checkShape({int64_t(1 + random() % 150), int64_t(1 + random() % 150),
                int64_t(1 + random() % 700), bool(random() % 2), bool(random() % 2)});
}

TEST(EmitGemm, Groups) {
  for (Shape shape : {Shape{1, 12, 5},
                      {6, 12, 12},
                      {33, 20, 65},
                      {64, 64, 40},
                      {70, 36, 333},
                      {130, 16, 50}})
    for (int flags = 0; flags < 4; ++flags)
      for (int64_t groups : {2, 5})
        checkShape({shape.m, shape.n, shape.k, bool(flags & 1), bool(flags & 2), groups},
                   flags == 3 ? "haswell" : "host");
  checkShape({100, 72, 1030, true, false, 3}); // Splits K within each group.
}

TEST(EmitGemm, GroupsWithRegions) {
  // Rows of A, of B and of the result are counted through all groups.
  for (bool transposeA : {false, true})
    for (const char *body :
         {"%1 = lm.unary relu_squared %0 : tensor<210x44xf32>",
          "%1 = lm.rms_norm %0 {eps = 1.0e-6} : tensor<210x44xf32>"}) {
      SCOPED_TRACE(testing::Message() << body << " transpose_a " << transposeA);
      Shape shape{70, 44, 333, transposeA, false, 3};
      std::string a = transposeA ? "tensor<999x70xf32>" : "tensor<210x333xf32>";
      KernelRunner runner(gemm(shape, "%1 = lm.unary tanh %0 : " + a,
                               "%1 = lm.unary tanh %0 : tensor<999x44xf32>", body));
      runner.check(runner.makeInputs(7), 1e-4); // Squares of sums of 333 products below 1.
    }
}

TEST(EmitGemm, GroupsWithSumsAndFactors) {
  // One factor per group in the load of A; a mix, squares per row and their sum per group in the
  // result. 70 rows a group are more than one block.
  for (auto [m, transposeA] : {std::pair{70, false}, {9, false}, {70, true}}) {
    SCOPED_TRACE(testing::Message() << m << transposeA);
    std::string a = transposeA ? matrix(3 * 40, m) : matrix(3 * m, 40),
                c = matrix(3 * m, 36), rows = "tensor<" + std::to_string(3 * m) + "xf32>",
                ofA = "tensor<" + std::to_string(transposeA ? 120 : 3 * m) + "xf32>";
    KernelRunner runner(
        "func.func private @kernel_0(%a: " + a + ", %b: tensor<120x36xf32>, %f: tensor<3xf32>, %p: " +
        c + ") -> (" + c + ", " + rows + ", tensor<3xf32>) {\n  %c:3 = kernel.gemm a(%a, %f) b(%b) " +
        "result(%p) {groups = 3 : i64" + (transposeA ? ", transpose_a" : "") + "} : (" + a +
        ", tensor<3xf32>, tensor<120x36xf32>, " + c + ") -> (" + c + ", " + rows +
        ", tensor<3xf32>)\n a { ^bb0(%0: " + a + ", %1: tensor<3xf32>): " +
        "%2 = lm.expand_groups %1 : tensor<3xf32> -> " + ofA + " %3 = lm.row_scale %0, %2 : " + a +
        ", " + ofA + " kernel.yield %3 : " + a + " }\n b { ^bb0(%0: tensor<120x36xf32>): " +
        "kernel.yield %0 : tensor<120x36xf32> }\n result { ^bb0(%0: " + c + ", %1: " + c + "):\n" +
        "%k = lm.constant dense<[0.5, -1.0, 2.0]> : tensor<3xf32> %e = lm.expand_groups %k : " +
        "tensor<3xf32> -> " + rows + " %2 = lm.row_scale %0, %e : " + c + ", " + rows +
        " %3 = lm.add %2, %1 : " + c + " %4 = lm.row_dot %3, %3 : " + c + " -> " + rows +
        " %5 = lm.group_sum %4 : " + rows + " -> tensor<3xf32> kernel.yield %3, %4, %5 : " + c +
        ", " + rows + ", tensor<3xf32> }\n  return %c#0, %c#1, %c#2 : " + c + ", " + rows +
        ", tensor<3xf32>\n}\n");
    runner.check(runner.makeInputs(11), 2e-5);
  }
}

TEST(EmitGemm, AVX2) {
  for (Shape shape : {Shape{67, 100, 129},
                      {13, 24, 340, false, true},
                      {50, 70, 1100, true, false},
                      {17, 9, 30, true, true}})
    checkShape(shape, "haswell");
}

TEST(EmitGemm, LongWeightGradientSplitsK) {
  checkShape({100, 72, 2050, true, false});
  checkShape({300, 70, 1030, true, false});
  checkShape({24, 560, 600, true, false});
}

TEST(EmitGemm, RegionA) {
  Shape shape{67, 50, 40, false, true};
  for (const char *body :
       {"%1 = lm.rms_norm %0 {eps = 1.0e-6} : tensor<67x40xf32>",
        "%1 = lm.unary relu_squared %0 : tensor<67x40xf32>",
        "%1 = lm.token_shift add cross %0 {features = array<i64: 4, 21>, heads = array<i64>, "
        "distance = 2} : (tensor<67x40xf32>) -> tensor<67x40xf32>"}) {
    SCOPED_TRACE(body);
    KernelRunner runner(gemm(shape, body));
    runner.check(runner.makeInputs(3), 1e-5);
  }
}

TEST(EmitGemm, RegionsOfAWeightGradient) {
  // dW = dyᵀ·norm(x), both operands evaluated row by row first.
  Shape shape{50, 36, 530, true};
  KernelRunner runner(gemm(shape, "%1 = lm.unary tanh %0 : tensor<530x50xf32>",
                           "%1 = lm.rms_norm %0 {eps = 1.0e-6} : tensor<530x36xf32>"));
  runner.check(runner.makeInputs(4), 5e-5);
}

TEST(EmitGemm, RegionB) {
  KernelRunner runner(gemm({30, 36, 45}, "", "%1 = lm.unary sigmoid %0 : tensor<45x36xf32>"));
  runner.check(runner.makeInputs(5), 1e-5);
  KernelRunner transposed(
      gemm({30, 36, 45, false, true}, "", "%1 = lm.unary sigmoid %0 : tensor<36x45xf32>"));
  transposed.check(transposed.makeInputs(6), 1e-5);
}

TEST(EmitGemm, ResultRegions) {
  for (bool transposeA : {false, true})
    for (const char *body :
         {"%1 = lm.unary relu %0 : tensor<70x44xf32>",
          "%1 = lm.rms_norm %0 {eps = 1.0e-6} : tensor<70x44xf32>",
          "%1 = lm.token_shift replace cross %0 {features = array<i64: 3, 20>, heads = array<i64>, "
          "distance = 1} : (tensor<70x44xf32>) -> tensor<70x44xf32>"}) {
      SCOPED_TRACE(testing::Message() << body << " transpose_a " << transposeA);
      KernelRunner runner(gemm({70, 44, 333, transposeA, false}, "", "", body));
      runner.check(runner.makeInputs(7), 5e-5);
    }
}

TEST(EmitGemm, ElementwiseResultOfRaggedColumns) { // 60 columns are nearly four vectors: the last
                                                   // must be stored in part.
  for (const char *cpu : {"host", "haswell"})
    for (Shape shape : {Shape{96, 60, 60, false, true}, {35, 28, 20}, {50, 125, 70}}) {
      KernelRunner runner(
          gemm(shape, "", "", "%1 = lm.unary relu_squared %0 : " + matrix(shape.m, shape.n)), cpu);
      runner.check(runner.makeInputs(5), tolerance(shape.k));
    }
}

TEST(EmitGemm, WideResultsAreCutIntoGroupsOfColumns) {
  // At least as wide as high, at least 256 columns, an even number of panels: 508 columns are one
  // less than 16 or 32 whole panels. K in one pass and in several.
  for (const char *cpu : {"host", "haswell"})
    for (Shape shape : {Shape{40, 256, 20}, {67, 508, 333, false, true}, {9, 508, 50}}) {
      SCOPED_TRACE(testing::Message() << shape.m << "x" << shape.n << "x" << shape.k << " " << cpu);
      checkShape(shape, cpu);
      KernelRunner relu(gemm(shape, "", "", "%1 = lm.unary relu %0 : " + matrix(shape.m, shape.n)),
                        cpu);
      relu.check(relu.makeInputs(6), tolerance(shape.k));
    }
  // A residual mix, on whole tiles and on what is left.
  KernelRunner mix(R"(
func.func private @kernel_0(%a: tensor<75x400xf32>, %b: tensor<256x400xf32>, %r: tensor<75x256xf32>, %s: tensor<f32>) -> tensor<75x256xf32> {
  %c = kernel.gemm a(%a) b(%b) result(%r, %s) {transpose_b}
      : (tensor<75x400xf32>, tensor<256x400xf32>, tensor<75x256xf32>, tensor<f32>) -> tensor<75x256xf32>
    a { ^bb0(%0: tensor<75x400xf32>): kernel.yield %0 : tensor<75x400xf32> }
    b { ^bb0(%0: tensor<256x400xf32>): kernel.yield %0 : tensor<256x400xf32> }
    result { ^bb0(%0: tensor<75x256xf32>, %1: tensor<75x256xf32>, %2: tensor<f32>):
      %3 = lm.scale %1, %2 : tensor<75x256xf32>, tensor<f32>
      %4 = lm.add %0, %3 : tensor<75x256xf32>
      kernel.yield %4 : tensor<75x256xf32> }
  return %c : tensor<75x256xf32>
})");
  mix.check(mix.makeInputs(9), tolerance(400));
}

TEST(EmitGemm, ResultWithInputsAndSeveralOutputs) {
  // A QKV projection: split, heads, norm; and a residual mix of the product itself.
  KernelRunner runner(R"(
func.func private @kernel_0(%a: tensor<75x20xf32>, %b: tensor<48x20xf32>, %r: tensor<75x48xf32>, %s: tensor<f32>)
    -> (tensor<75x2x16xf32>, tensor<75x16xf32>, tensor<75x48xf32>) {
  %c:3 = kernel.gemm a(%a) b(%b) result(%r, %s) {transpose_b}
      : (tensor<75x20xf32>, tensor<48x20xf32>, tensor<75x48xf32>, tensor<f32>) -> (tensor<75x2x16xf32>, tensor<75x16xf32>, tensor<75x48xf32>)
    a { ^bb0(%0: tensor<75x20xf32>): kernel.yield %0 : tensor<75x20xf32> }
    b { ^bb0(%0: tensor<48x20xf32>): kernel.yield %0 : tensor<48x20xf32> }
    result { ^bb0(%0: tensor<75x48xf32>, %1: tensor<75x48xf32>, %2: tensor<f32>):
      %3:2 = lm.split %0 : (tensor<75x48xf32>) -> (tensor<75x32xf32>, tensor<75x16xf32>)
      %4 = lm.reshape %3#0 : tensor<75x32xf32> -> tensor<75x2x16xf32>
      %5 = lm.rms_norm %4 {eps = 1.0e-6} : tensor<75x2x16xf32>
      %6 = lm.mix %0, %1 by %2, %2 : (tensor<75x48xf32>, tensor<75x48xf32>, tensor<f32>, tensor<f32>) -> tensor<75x48xf32>
      kernel.yield %5, %3#1, %6 : tensor<75x2x16xf32>, tensor<75x16xf32>, tensor<75x48xf32> }
  return %c#0, %c#1, %c#2 : tensor<75x2x16xf32>, tensor<75x16xf32>, tensor<75x48xf32>
})");
  runner.check(runner.makeInputs(8), 1e-5);
}

TEST(EmitGemm, AccumulatesAGradient) {
  // g = accumulate·g + xᵀ·y, with K whole (one tile pass), in blocks, and split among items.
  for (int k : {100, 600, 2100}) {
    SCOPED_TRACE(k);
    std::string rows = std::to_string(k);
    KernelRunner runner("func.func private @kernel_0(%a: tensor<" + rows + "x42xf32>, %b: tensor<" +
                        rows +
                        R"(x36xf32>, %g: tensor<42x36xf32>, %s: tensor<f32>) -> tensor<42x36xf32> {
  %c = kernel.gemm a(%a) b(%b) result(%g, %s) {transpose_a} : (tensor<)" +
                        rows + "x42xf32>, tensor<" + rows +
                        R"(x36xf32>, tensor<42x36xf32>, tensor<f32>) -> tensor<42x36xf32>
    a { ^bb0(%0: tensor<)" +
                        rows + "x42xf32>): kernel.yield %0 : tensor<" + rows + R"(x42xf32> }
    b { ^bb0(%0: tensor<)" +
                        rows + "x36xf32>): kernel.yield %0 : tensor<" + rows + R"(x36xf32> }
    result { ^bb0(%0: tensor<42x36xf32>, %1: tensor<42x36xf32>, %2: tensor<f32>):
      %3 = lm.scale %1, %2 : tensor<42x36xf32>, tensor<f32>
      %4 = lm.add %0, %3 : tensor<42x36xf32>
      kernel.yield %4 : tensor<42x36xf32> }
  return %c : tensor<42x36xf32>
})");
    runner.check(runner.makeInputs(unsigned(k)), tolerance(k));
  }
}

TEST(EmitGemm, LossHeadWithTotals) {
  // Softcap and cross-entropy on the logits, and the sum over all rows.
  KernelRunner runner(R"(
func.func private @kernel_0(%a: tensor<83x24xf32>, %b: tensor<50x24xf32>, %t: tensor<83xi32>) -> (tensor<83xf32>, tensor<83xf32>, tensor<f32>) {
  %c:3 = kernel.gemm a(%a) b(%b) result(%t) {transpose_b} : (tensor<83x24xf32>, tensor<50x24xf32>, tensor<83xi32>) -> (tensor<83xf32>, tensor<83xf32>, tensor<f32>)
    a { ^bb0(%0: tensor<83x24xf32>): kernel.yield %0 : tensor<83x24xf32> }
    b { ^bb0(%0: tensor<50x24xf32>): kernel.yield %0 : tensor<50x24xf32> }
    result { ^bb0(%0: tensor<83x50xf32>, %1: tensor<83xi32>):
      %2 = lm.softcap tanh %0 {amplitude = 15.0, temperature = 15.0} : tensor<83x50xf32>
      %3, %4 = lm.cross_entropy %2, %1 : tensor<83x50xf32>, tensor<83xi32> -> tensor<83xf32>, tensor<83xf32>
      %5 = lm.sum %3 : tensor<83xf32> -> tensor<f32>
      kernel.yield %3, %4, %5 : tensor<83xf32>, tensor<83xf32>, tensor<f32> }
  return %c#0, %c#1, %c#2 : tensor<83xf32>, tensor<83xf32>, tensor<f32>
})");
  runner.check(runner.makeInputs(9, 50), 2e-5);
}

TEST(EmitGemm, ProductWithItselfComputesOneTriangle) {
  for (auto [m, k, body, groups] : {std::tuple{64, 20, "", 1},
                                    {160, 700, "", 1},
                                    {272, 65, "%1 = lm.unary tanh %0 : tensor<272x65xf32>", 1},
                                    {70, 33, "", 1},
                                    {544, 40, "", 1},
                                    {96, 33, "", 3},
                                    {160, 48, "%1 = lm.unary tanh %0 : tensor<640x48xf32>", 4}}) {
    SCOPED_TRACE(testing::Message() << m << "x" << k << body << " of " << groups);
    std::string x = matrix(groups * m, k), c = matrix(groups * m, m),
                region = std::string("{ ^bb0(%0: ") + x + "): " + body + " kernel.yield " +
                         (*body ? "%1" : "%0") + " : " + x + " }\n";
    KernelRunner runner("func.func private @kernel_0(%x: " + x + ") -> " + c +
                        " {\n  %c = kernel.gemm a(%x) b(%x) result() {transpose_b, groups = " +
                        std::to_string(groups) + " : i64} : (" + x + ", " + x + ") -> " + c + "\n a " + region + " b " + region +
                        " result { ^bb0(%0: " + c + "): kernel.yield %0 : " + c +
                        " }\n  return %c : " + c + "\n}\n");
    runner.check(runner.makeInputs(unsigned(m)), tolerance(k));
    auto got = runner.run(runner.makeInputs(3))[0];
    for (int group = 0; group < groups; ++group)
      for (int i = 0; i < m; ++i)
        for (int j = 0; j < i; ++j)
          ASSERT_EQ(got[(group * m + i) * m + j], got[(group * m + j) * m + i]);
  }
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
