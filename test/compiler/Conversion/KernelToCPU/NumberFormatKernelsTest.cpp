// Kernels on bf16, f16 and f8 buffers against the interpreter, which rounds at the same places.
#include "test/compiler/Conversion/KernelToCPU/KernelRunner.h"
#include "test/compiler/Conversion/KernelToCPU/RowwiseText.h"

using namespace smelt::test;

namespace {

const char *const cpus[] = {"host", "haswell"};

/// Native f32 sums and the interpreter's doubles may round to neighbouring numbers where the exact
/// value lies near a tie: an output may be one unit of its format off, 2^-bits relative, plus what
/// f32 sums lose of the largest element (`sumError` relative to it). Most outputs agree exactly.
void checkRounded(KernelRunner &runner, const std::vector<KernelRunner::Tensor> &inputs,
                  double sumError) {
  auto want = runner.interpret(inputs);
  for (int threads : {1, 2, 3}) {
    auto got = runner.run(inputs, threads);
    ASSERT_EQ(got.size(), want.size());
    for (size_t i = 0; i < want.size(); ++i) {
      mlir::Type element = mlir::getElementTypeOrSelf(runner.outputTypes[i]);
      double unit = 0;
      if (!element.isF32())
        unit = std::ldexp(1.0, 1 - int(mlir::cast<mlir::FloatType>(element).getFPMantissaWidth()));
      double largest = 1e-30;
      for (double value : want[i].values)
        largest = std::max(largest, std::fabs(value));
      size_t same = 0;
      for (size_t j = 0; j < got[i].size(); ++j) {
        double difference = std::fabs(got[i][j] - want[i].values[j]);
        same += difference == 0;
        if (!(difference <= unit * std::fabs(want[i].values[j]) + sumError * largest)) {
          ADD_FAILURE() << "result " << i << ", element " << j << ": " << got[i][j] << " for "
                        << want[i].values[j];
          break;
        }
      }
      if (unit > 0)
        EXPECT_GE(same, got[i].size() - got[i].size() / 50 - 1) << "result " << i;
    }
  }
}

//===- gemm -----------------------------------------------------------------===//

struct Product {
  int64_t m, n, k;
  bool transposeA, transposeB;
};

std::string matrix(int64_t rows, int64_t columns, const std::string &type) {
  return "tensor<" + std::to_string(rows) + "x" + std::to_string(columns) + "x" + type + ">";
}

/// A gemm on inputs of types `a` and `b` with the result type `c`. With `casts`, regions widen the
/// operands to f32 and round the result; else the types are those of the operands themselves.
std::string gemm(Product p, const std::string &a, const std::string &b, const std::string &c,
                 bool casts) {
  auto shapeA = [&](const std::string &type) {
    return p.transposeA ? matrix(p.k, p.m, type) : matrix(p.m, p.k, type);
  };
  auto shapeB = [&](const std::string &type) {
    return p.transposeB ? matrix(p.n, p.k, type) : matrix(p.k, p.n, type);
  };
  auto region = [&](const std::string &from, const std::string &to) {
    if (from == to)
      return "{ ^bb0(%0: " + from + "): kernel.yield %0 : " + to + " }\n";
    return "{ ^bb0(%0: " + from + "): %1 = lm.cast %0 : " + from + " -> " + to +
           " kernel.yield %1 : " + to + " }\n";
  };
  std::string flags = p.transposeA && p.transposeB ? " {transpose_a, transpose_b}"
                      : p.transposeA               ? " {transpose_a}"
                      : p.transposeB               ? " {transpose_b}"
                                                   : "";
  std::string result = matrix(p.m, p.n, c), sums = matrix(p.m, p.n, casts ? "f32" : c);
  return "func.func private @kernel_0(%a: " + shapeA(a) + ", %b: " + shapeB(b) + ") -> " + result +
         " {\n  %c = kernel.gemm a(%a) b(%b) result()" + flags + " : (" + shapeA(a) + ", " +
         shapeB(b) + ") -> " + result + "\n a " + region(shapeA(a), shapeA(casts ? "f32" : a)) +
         " b " + region(shapeB(b), shapeB(casts ? "f32" : b)) + " result " + region(sums, result) +
         "  return %c : " + result + "\n}\n";
}

TEST(NumberFormatKernels, Gemm) {
  unsigned count = 0;
  for (const char *cpu : cpus)
    for (Product shape : {Product{67, 100, 129, false, false},
                          {9, 33, 340, false, true},
                          {70, 40, 1100, true, false},
                          {21, 50, 96, true, true}}) {
      ++count;
      for (auto [a, b, c] : {std::tuple{"bf16", "bf16", "f32"},
                             {"bf16", "bf16", "bf16"},
                             {"f32", "bf16", "f32"},
                             {"f16", "f32", "f16"}}) {
        bool casts = ++count % 2; // Every pair of shape and types in one of the two forms.
        SCOPED_TRACE(testing::Message() << cpu << " " << shape.m << "x" << shape.n << "x" << shape.k
                                        << " " << a << " " << b << " " << c << casts);
        KernelRunner runner(gemm(shape, a, b, c, casts), cpu);
        checkRounded(runner, runner.makeInputs(21), 6e-8 * double(shape.k + 16));
      }
    }
}

/// f8 products of short sums are exact in f32: no element may differ at all.
TEST(NumberFormatKernels, GemmOfFloat8IsExact) {
  for (const char *cpu : cpus)
    for (Product shape : {Product{67, 100, 129, false, true},
                          {70, 40, 300, true, false},
                          {9, 33, 64, false, false}}) {
      KernelRunner runner(gemm(shape, "f8E5M2", "f8E4M3FN", "f32", false), cpu);
      auto inputs = runner.makeInputs(22);
      // Multiples of 2^-6 below 4: products are multiples of 2^-12 below 16, so sums of 300 fit.
      for (auto &input : inputs)
        for (double &value : input.values)
          if (std::fabs(value) < 0.125)
            value = value < 0 ? -0.125 : 0.125;
      checkRounded(runner, inputs, 0);
    }
}

/// Quantised in the loads; the scale in the result.
TEST(NumberFormatKernels, GemmThatQuantizes) {
  for (const char *cpu : cpus) {
    KernelRunner runner(R"(
func.func private @kernel_0(%x: tensor<40x96xf32>, %w: tensor<70x96xbf16>) -> tensor<40x70xbf16> {
  %c = kernel.gemm a(%x) b(%w) result() {transpose_b} : (tensor<40x96xf32>, tensor<70x96xbf16>) -> tensor<40x70xbf16>
    a { ^bb0(%0: tensor<40x96xf32>): %1 = lm.rms_norm %0 {eps = 1.0e-6} : tensor<40x96xf32>
        %2 = lm.quantize %1 {scale = 0.0625 : f64} : tensor<40x96xf32> -> tensor<40x96xf8E4M3FN>
        kernel.yield %2 : tensor<40x96xf8E4M3FN> }
    b { ^bb0(%0: tensor<70x96xbf16>): %1 = lm.quantize %0 {scale = 0.0078125 : f64} : tensor<70x96xbf16> -> tensor<70x96xf8E4M3FN>
        kernel.yield %1 : tensor<70x96xf8E4M3FN> }
    result { ^bb0(%0: tensor<40x70xf32>): %s = lm.constant dense<0.00048828125> : tensor<f32>
        %1 = lm.scale %0, %s : tensor<40x70xf32>, tensor<f32>
        %2 = lm.cast %1 : tensor<40x70xf32> -> tensor<40x70xbf16>
        kernel.yield %2 : tensor<40x70xbf16> }
  return %c : tensor<40x70xbf16>
})",
                        cpu);
    // A norm near a tie of f8 may round either way: 2^-4 of one term among 96.
    checkRounded(runner, runner.makeInputs(23), 2e-3);
  }
}

//===- attention ------------------------------------------------------------===//

std::string attentionRegion(const std::string &t) {
  return "{ ^bb0(%0: tensor<" + t + "xbf16>): %1 = lm.cast %0 : tensor<" + t + "xbf16> -> tensor<" +
         t + "xf32> kernel.yield %1 : tensor<" + t + "xf32> }\n";
}

void setDocuments(KernelRunner::Tensor &first) {
  for (size_t i = 0; i < first.values.size(); ++i)
    first.values[i] = double(i / 25 * 25);
}

TEST(NumberFormatKernels, Attention) {
  for (const char *cpu : cpus)
    for (const char *t : {"70x2x32", "33x3x20"}) {
      std::string shape = t, tokens = shape.substr(0, 2);
      std::string bf = tensor(shape + ":bf16"), f32 = tensor(shape), first = tensor("i" + tokens),
                  lse = tensor(shape.substr(0, 4)), region = attentionRegion(shape);
      KernelRunner runner(
          "func.func private @kernel_0(%q: " + bf + ", %k: " + bf + ", %v: " + bf +
              ", %f: " + first + ", %s: tensor<f32>) -> (" + bf + ", " + lse +
              ") {\n %o, %l = kernel.attention q(%q) k(%k) v(%v) result() first(%f) "
              "scale(%s) : (" +
              bf + ", " + bf + ", " + bf + ", " + first + ", tensor<f32>) -> (" + bf + ", " + lse +
              ")\n q " + region + " k " + region + " v " + region + " result { ^bb0(%0: " + f32 +
              "): %1 = lm.cast %0 : " + f32 + " -> " + bf + " kernel.yield %1 : " + bf +
              " }\n return %o, %l : " + bf + ", " + lse + "\n}\n",
          cpu);
      auto inputs = runner.makeInputs(31);
      setDocuments(inputs[3]);
      inputs[4].values = {0.2};
      checkRounded(runner, inputs, 1e-5);
    }
}

TEST(NumberFormatKernels, AttentionBackward) {
  for (const char *cpu : cpus)
    for (const char *t : {"70x2x32", "33x3x20"}) {
      std::string shape = t, tokens = shape.substr(0, 2);
      std::string bf = tensor(shape + ":bf16"), first = tensor("i" + tokens),
                  lse = tensor(shape.substr(0, 4)), region = attentionRegion(shape);
      std::string types = bf + ", " + bf + ", " + bf;
      KernelRunner runner("func.func private @kernel_0(%q: " + bf + ", %k: " + bf + ", %v: " + bf +
                              ", %f: " + first + ", %s: tensor<f32>, %o: " + bf + ", %l: " + lse +
                              ", %d: " + bf + ") -> (" + types +
                              ") {\n %r:3 = kernel.attention_backward q(%q) k(%k) v(%v) first(%f) "
                              "scale(%s) out(%o, "
                              "%l, %d) : (" +
                              types + ", " + first + ", tensor<f32>, " + bf + ", " + lse + ", " +
                              bf + ") -> (" + types + ")\n q " + region + " k " + region + " v " +
                              region + " return %r#0, %r#1, %r#2 : " + types + "\n}\n",
                          cpu);
      auto inputs = runner.makeInputs(32);
      setDocuments(inputs[3]);
      inputs[4].values = {0.2};
      for (double &value : inputs[6].values) // lse above every score: probabilities below 1.
        value = std::fabs(value) + 6;
      checkRounded(runner, inputs, 1e-5);
    }
}

//===- embedding, gates, tables, adamw ----------------------------------------===//

TEST(NumberFormatKernels, EmbeddingOfBF16) {
  for (const char *cpu : cpus)
    for (const char *width : {"64", "19"}) {
      std::string w = width, rows = "11x" + w, bf = rows + ":bf16";
      KernelRunner runner(rowwise({"7x" + w + ":bf16", "i11", rows},
                                  "%0 = lm.embedding %a0, %a1 : $0, $1 -> " + tensor(bf) +
                                      "  %1 = lm.cast %0 : " + tensor(bf) +
                                      " -> $2  %2 = lm.add %1, %a2 : $2  %3 = lm.cast %2 : $2 -> " +
                                      tensor(bf),
                                  {{"%0", bf}, {"%3", bf}}),
                          cpu);
      // A bf16 and an f32 number: the sum is exact in f32 but for its last place.
      checkRounded(runner, runner.makeInputs(40, 7), 0);
    }
}

TEST(NumberFormatKernels, EmbeddingBackwardRoundsItsSums) {
  for (const char *cpu : cpus)
    for (const char *width : {"64", "19"}) {
      std::string w = width, dy = tensor("40x" + w + ":bf16"), table = tensor("16x" + w + ":bf16");
      for (bool accumulates : {false, true}) {
        std::string result = accumulates
                                 ? "{ ^bb0(%0: " + table + ", %1: " + table +
                                       ", %2: tensor<f32>): %3 = lm.constant "
                                       "dense<1.0> : tensor<f32> %4 = lm.mix %1, %0 by %2, %3 : (" +
                                       table + ", " + table + ", tensor<f32>, tensor<f32>) -> " +
                                       table + " kernel.yield %4 : " + table + " }\n"
                                 : "{ ^bb0(%0: " + table + "): kernel.yield %0 : " + table + " }\n";
        std::string inputs = accumulates ? "%o, %s" : "",
                    types = accumulates ? ", " + table + ", tensor<f32>" : "";
        KernelRunner runner("func.func private @kernel_0(%t: tensor<40xi32>, %d: " + dy +
                                (accumulates ? ", %o: " + table + ", %s: tensor<f32>" : "") +
                                ") -> " + table +
                                " {\n %r = kernel.embedding_backward tokens(%t) dy(%d) result(" +
                                inputs + ") : (tensor<40xi32>, " + dy + types + ") -> " + table +
                                "\n dy { ^bb0(%0: " + dy + "): kernel.yield %0 : " + dy +
                                " }\n result " + result + " return %r : " + table + "\n}\n",
                            cpu);
        auto values = runner.makeInputs(41, 9);
        if (accumulates)
          values[3].values = {1.0};
        // Sums of a few bf16 numbers of like size are exact in f32.
        checkRounded(runner, values, 0);
      }
    }
}

TEST(NumberFormatKernels, GateOfBF16Weights) {
  for (const char *cpu : cpus) {
    std::string t = tensor("23x40"), w = tensor("3x12:bf16"), g = tensor("23x3");
    KernelRunner runner(
        rowwise({"23x40", "3x12:bf16", "23x3"},
                "%0 = lm.gate %a0, %a1 : $0, $1 -> $2  %dx, %dw = lm.gate_backward %a0, %a1, %0, "
                "%a2 : $0, $1, $2",
                {{"%0", "23x3"}, {"%dx", "23x40"}, {"%dw", "3x12:bf16"}}),
        cpu);
    checkRounded(runner, runner.makeInputs(42), 1e-5);
  }
}

TEST(NumberFormatKernels, RopeTableOfBF16) {
  for (const char *cpu : cpus) {
    KernelRunner runner(R"(
func.func private @kernel_0(%f: tensor<7xf32>) -> tensor<50x14xbf16> {
  %t = kernel.rope_table %f : tensor<7xf32> -> tensor<50x14xbf16>
  return %t : tensor<50x14xbf16>
})",
                        cpu);
    checkRounded(runner, runner.makeInputs(43), 0);
  }
}

} // namespace
