//===- MeaningsTest.cpp - The interpreter against values worked out by hand ===//
//
// The interpreter is the oracle of all other tests, so its meanings are pinned here by hand, op by
// op, without looking at its code.
//
//===----------------------------------------------------------------------===//
#include "RunText.h"
#include <cmath>
#include <gtest/gtest.h>
#include <random>

using namespace smelt::test;
using smelt::reference::Tensor;

namespace {

//===- token_shift ------------------------------------------------------------===//

const Tensor rows({4, 3}, {1, 2, 3, 10, 20, 30, 100, 200, 300, 1000, 2000, 3000});
const std::string empty = "{features = array<i64>, heads = array<i64>}";

TEST(TokenShift, ReplacesSomeFeatures) {
  auto y = runBody("%x: tensor<4x3xf64>", "tensor<4x3xf64>", R"(
    %y = lm.token_shift replace cross %x {features = array<i64: 0, 1, 2, 3>, heads = array<i64>} : (tensor<4x3xf64>) -> tensor<4x3xf64>
    return %y : tensor<4x3xf64>)",
                   {rows});
  expectNear(y[0], Tensor({4, 3}, {1, 2, 3, 1, 20, 3, 10, 200, 30, 100, 2000, 300}));
}

TEST(TokenShift, AddsAtADistance) {
  auto y = runBody("%x: tensor<4x3xf64>", "tensor<4x3xf64>", R"(
    %y = lm.token_shift add cross %x {features = array<i64>, heads = array<i64>, distance = 2 : i64} : (tensor<4x3xf64>) -> tensor<4x3xf64>
    return %y : tensor<4x3xf64>)",
                   {rows});
  expectNear(y[0], Tensor({4, 3}, {1, 2, 3, 10, 20, 30, 101, 202, 303, 1010, 2020, 3030}));
}

TEST(TokenShift, MasksDocuments) {
  auto y = runBody(
      "%x: tensor<4x3xf64>, %d: tensor<4xi32>", "tensor<4x3xf64>",
      "%y = lm.token_shift replace mask %x document_start %d " + empty +
          " : (tensor<4x3xf64>, tensor<4xi32>) -> tensor<4x3xf64>\nreturn %y : tensor<4x3xf64>",
      {rows, Tensor({4}, {0, 0, 2, 2})});
  expectNear(y[0], Tensor({4, 3}, {1, 2, 3, 1, 2, 3, 100, 200, 300, 100, 200, 300}));
}

TEST(TokenShift, ScalesAndGates) {
  auto y = runBody("%x: tensor<4x3xf64>, %s: tensor<f64>, %g: tensor<4xf64>",
                   "tensor<4x3xf64>, tensor<4x3xf64>",
                   "%y = lm.token_shift add cross %x scale %s gate %g " + empty +
                       " : (tensor<4x3xf64>, tensor<f64>, tensor<4xf64>) -> tensor<4x3xf64>\n"
                       "%z = lm.token_shift replace cross %x gate %g " +
                       empty +
                       " : (tensor<4x3xf64>, tensor<4xf64>) -> tensor<4x3xf64>\nreturn %y, %z : "
                       "tensor<4x3xf64>, tensor<4x3xf64>",
                   {rows, Tensor::scalar(2), Tensor({4}, {9, 0.5, 0, 1})});
  expectNear(y[0], Tensor({4, 3}, {1, 2, 3, 11, 22, 33, 100, 200, 300, 1200, 2400, 3600}));
  expectNear(y[1], Tensor({4, 3}, {1, 2, 3, 5.5, 11, 16.5, 100, 200, 300, 100, 200, 300}));
}

TEST(TokenShift, ShiftsSomeHeads) {
  auto y = runBody("%x: tensor<2x3x1xf64>", "tensor<2x3x1xf64>", R"(
    %y = lm.token_shift replace cross %x {features = array<i64>, heads = array<i64: 1>} : (tensor<2x3x1xf64>) -> tensor<2x3x1xf64>
    return %y : tensor<2x3x1xf64>)",
                   {Tensor({2, 3, 1}, {1, 2, 3, 4, 5, 6})});
  expectNear(y[0], Tensor({2, 3, 1}, {1, 2, 3, 4, 2, 6}));
}

//===- Attention ----------------------------------------------------------------===//

TEST(Attention, AveragesEqualScores) {
  auto y = runBody("%q: tensor<4x1x2xf64>, %k: tensor<4x1x2xf64>, %v: tensor<4x1x2xf64>, %first: "
                   "tensor<4xi32>, %s: tensor<f64>",
                   "tensor<4x1x2xf64>, tensor<4x1xf64>", R"(
    %y, %lse = lm.attention %q, %k, %v first %first scale %s
        : tensor<4x1x2xf64>, tensor<4xi32>, tensor<f64> -> tensor<4x1x2xf64>, tensor<4x1xf64>
    return %y, %lse : tensor<4x1x2xf64>, tensor<4x1xf64>)",
                   {Tensor::filled({4, 1, 2}, 0.0), Tensor::filled({4, 1, 2}, 3.0),
                    Tensor({4, 1, 2}, {0, 8, 2, 6, 4, 4, 6, 2}), Tensor({4}, {0, 0, 1, 3}),
                    Tensor::scalar(5)});
  expectNear(y[0], Tensor({4, 1, 2}, {0, 8, 1, 7, 3, 5, 6, 2}));
  expectNear(y[1], Tensor({4, 1}, {0, std::log(2), std::log(2), 0}));
}

TEST(Attention, WeighsByScaledScores) {
  // Scores of row 1: 0.5·2·ln 3 = ln 3 for key 0 and 0 for key 1: weights 3/4 and 1/4.
  auto y = runBody("%q: tensor<2x1x1xf64>, %k: tensor<2x1x1xf64>, %v: tensor<2x1x1xf64>, %first: "
                   "tensor<2xi32>, %s: tensor<f64>",
                   "tensor<2x1x1xf64>, tensor<2x1xf64>", R"(
    %y, %lse = lm.attention %q, %k, %v first %first scale %s
        : tensor<2x1x1xf64>, tensor<2xi32>, tensor<f64> -> tensor<2x1x1xf64>, tensor<2x1xf64>
    return %y, %lse : tensor<2x1x1xf64>, tensor<2x1xf64>)",
                   {Tensor({2, 1, 1}, {1, 2}), Tensor({2, 1, 1}, {std::log(3), 0}),
                    Tensor({2, 1, 1}, {8, 4}), Tensor({2}, {0, 0}), Tensor::scalar(0.5)});
  expectNear(y[0], Tensor({2, 1, 1}, {8, 7}));
  expectNear(y[1], Tensor({2, 1}, {0.5 * std::log(3), std::log(4)}));
}

TEST(AttentionRange, IsTheWindowInsideTheDocument) {
  auto y = runBody("%d: tensor<6xi32>, %w: tensor<i32>", "tensor<6xi32>",
                   "%y = lm.attention_range %d, %w : tensor<6xi32>, tensor<i32> -> "
                   "tensor<6xi32>\nreturn %y : tensor<6xi32>",
                   {Tensor({6}, {0, 0, 0, 0, 4, 4}), Tensor::scalar(2)});
  expectNear(y[0], Tensor({6}, {0, 0, 0, 1, 4, 4}));
}

/// Which keys the medium record lets each query see: block lists of wholly and partly visible
/// blocks, each cut to a number, nearest first, and the causal document mask inside them.
std::vector<std::vector<bool>> maskByBlockLists(const std::vector<int> &documents, int size,
                                                int window) {
  int count = documents.size() / size;
  std::vector<std::vector<bool>> visible(documents.size(), std::vector<bool>(documents.size()));
  auto low = [&](int block) { return documents[block * size]; };
  auto high = [&](int block) { return documents[block * size + size - 1]; };
  for (int q = 0; q < count; ++q) {
    std::vector<int> whole, part; // Nearest first.
    for (int k = q; k >= 0; --k) {
      bool any = low(q) <= high(k) && high(q) >= low(k);
      bool all = k < q && low(q) == high(k) && high(q) == low(k);
      if (all)
        whole.push_back(k);
      else if (any)
        part.push_back(k);
    }
    int parts = std::min<int>(part.size(), std::max<int>(window - int(whole.size()), 1));
    int wholes = std::min<int>(whole.size(), window - 1);
    part.resize(parts);
    whole.resize(wholes);
    whole.insert(whole.end(), part.begin(), part.end());
    for (int k : whole)
      for (int i = q * size; i < (q + 1) * size; ++i)
        for (int j = k * size; j < (k + 1) * size; ++j)
          if (j <= i && documents[i] == documents[j])
            visible[i][j] = true;
  }
  return visible;
}

TEST(AttentionRange, InBlocksIsTheRecordsBlockLists) {
  std::mt19937 random(7);
  constexpr int size = 4, count = 8, tokens = size * count;
  for (int trial = 0; trial < 200; ++trial) {
    std::vector<int> documents(tokens);
    std::vector<double> start(tokens);
    int rarity = 1 + random() % 20;
    for (int t = 1; t < tokens; ++t) {
      bool isNew = random() % rarity == 0;
      documents[t] = documents[t - 1] + isNew;
      start[t] = isNew ? t : start[t - 1];
    }
    int window = 1 + random() % count;
    auto first = runBody("%d: tensor<32xi32>, %w: tensor<i32>", "tensor<32xi32>",
                         "%y = lm.attention_range %d, %w {blocks = 4 : i64} : tensor<32xi32>, "
                         "tensor<i32> -> tensor<32xi32>\n"
                         "return %y : tensor<32xi32>",
                         {Tensor({tokens}, start), Tensor::scalar(window * size)});
    auto visible = maskByBlockLists(documents, size, window);
    for (int i = 0; i < tokens; ++i)
      for (int j = 0; j < tokens; ++j)
        ASSERT_EQ(visible[i][j], j <= i && j >= first[0](i))
            << "query " << i << ", key " << j << ", window " << window;
  }
}

//===- Norm, rotary embedding, gate, soft cap -------------------------------------===//

TEST(RMSNorm, DividesByTheRootMeanSquare) {
  auto y = runBody("%x: tensor<2x2xf64>", "tensor<2x2xf64>",
                   "%y = lm.rms_norm %x {eps = 3.5} : tensor<2x2xf64>\nreturn %y : tensor<2x2xf64>",
                   {Tensor({2, 2}, {3, 4, 0, 0})}); // Mean square 12.5, with eps 16.
  expectNear(y[0], Tensor({2, 2}, {0.75, 1, 0, 0}));
}

TEST(Rope, RotatesByTheTable) {
  auto y = runBody("%x: tensor<2x1x2xf64>, %d: tensor<2xi32>",
                   "tensor<2x1x2xf64>, tensor<2x1x2xf64>, tensor<2x1x2xf64>", R"(
    %f = lm.constant dense<1.5707963267948966> : tensor<1xf64>
    %table = lm.rope_table %f : tensor<1xf64> -> tensor<2x2xf64>
    %y = lm.rope %x, %table : tensor<2x1x2xf64>, tensor<2x2xf64>
    %back = lm.rope %y, %table {inverse} : tensor<2x1x2xf64>, tensor<2x2xf64>
    %fresh = lm.rope %x, %table document_start %d : tensor<2x1x2xf64>, tensor<2x2xf64>, tensor<2xi32>
    return %y, %back, %fresh : tensor<2x1x2xf64>, tensor<2x1x2xf64>, tensor<2x1x2xf64>)",
                   {Tensor({2, 1, 2}, {1, 2, 3, 4}), Tensor({2}, {0, 1})});
  expectNear(y[0], Tensor({2, 1, 2}, {1, 2, 4, -3})); // A quarter turn in row 1.
  expectNear(y[1], Tensor({2, 1, 2}, {1, 2, 3, 4}));
  expectNear(y[2], Tensor({2, 1, 2}, {1, 2, 3, 4})); // Row 1 begins a document.
}

TEST(Gate, ReadsTheFirstFeatures) {
  auto y = runBody("%x: tensor<1x3xf64>, %w: tensor<2x2xf64>", "tensor<1x2xf64>",
                   "%y = lm.gate %x, %w : tensor<1x3xf64>, tensor<2x2xf64> -> "
                   "tensor<1x2xf64>\nreturn %y : tensor<1x2xf64>",
                   {Tensor({1, 3}, {1, 2, 99}), Tensor({2, 2}, {0, 0, std::log(3), 0})});
  expectNear(y[0], Tensor({1, 2}, {0.5, 0.75}));
}

TEST(Softcap, HasItsThreeForms) {
  auto y = runBody("%x: tensor<2xf64>", "tensor<2xf64>, tensor<2xf64>, tensor<2xf64>", R"(
    %a = lm.softcap tanh %x {amplitude = 5.0, temperature = 2.0} : tensor<2xf64>
    %b = lm.softcap sigmoid %x {amplitude = 8.0, temperature = 4.0} : tensor<2xf64>
    %c = lm.softcap rsqrt %x {amplitude = 3.0, temperature = 1.0} : tensor<2xf64>
    return %a, %b, %c : tensor<2xf64>, tensor<2xf64>, tensor<2xf64>)",
                   {Tensor({2}, {0, 4})});
  expectNear(y[0], Tensor({2}, {0, 5 * std::tanh(2)}));
  expectNear(y[1], Tensor({2}, {4, 8 / (1 + std::exp(-1))}));
  expectNear(y[2], Tensor({2}, {0, 3 * 4 / 5.0}));
}

//===- Loss, sums, shapes -----------------------------------------------------------===//

TEST(CrossEntropy, IgnoresMissingTargets) {
  // Three classes, logits ln 1, ln 2, ln 5: probabilities 1/8, 2/8, 5/8. Large logits must not
  // overflow.
  auto y = runBody("%z: tensor<3x3xf64>, %t: tensor<3xi32>",
                   "tensor<3xf64>, tensor<3xf64>, tensor<f64>", R"(
    %loss, %lse = lm.cross_entropy %z, %t : tensor<3x3xf64>, tensor<3xi32> -> tensor<3xf64>, tensor<3xf64>
    %count = lm.count_targets %t : tensor<3xi32> -> tensor<f64>
    return %loss, %lse, %count : tensor<3xf64>, tensor<3xf64>, tensor<f64>)",
                   {Tensor({3, 3}, {0, std::log(2), std::log(5), 0, std::log(2), std::log(5), 1000,
                                    1000, -1000}),
                    Tensor({3}, {1, -1, 0})});
  expectNear(y[0], Tensor({3}, {std::log(4), 0, std::log(2)}));
  expectNear(y[1], Tensor({3}, {std::log(8), std::log(8), 1000 + std::log(2)}));
  expectNear(y[2], Tensor::scalar(2));
}

TEST(CountTargets, IsAtLeastOne) {
  auto y =
      runBody("%t: tensor<2xi32>", "tensor<f64>",
              "%y = lm.count_targets %t : tensor<2xi32> -> tensor<f64>\nreturn %y : tensor<f64>",
              {Tensor({2}, {-1, -1})});
  expectNear(y[0], Tensor::scalar(1));
}

TEST(Matmul, TransposesEitherSide) {
  auto y = runBody("%a: tensor<2x3xf64>, %b: tensor<3x2xf64>",
                   "tensor<2x2xf64>, tensor<3x3xf64>, tensor<2x2xf64>", R"(
    %0 = lm.matmul %a, %b : tensor<2x3xf64>, tensor<3x2xf64> -> tensor<2x2xf64>
    %1 = lm.matmul %a, %b {transpose_a, transpose_b} : tensor<2x3xf64>, tensor<3x2xf64> -> tensor<3x3xf64>
    %2 = lm.matmul %a, %a {transpose_b} : tensor<2x3xf64>, tensor<2x3xf64> -> tensor<2x2xf64>
    return %0, %1, %2 : tensor<2x2xf64>, tensor<3x3xf64>, tensor<2x2xf64>)",
                   {Tensor({2, 3}, {1, 2, 3, 4, 5, 6}), Tensor({3, 2}, {1, 0, 0, 1, 1, 1})});
  expectNear(y[0], Tensor({2, 2}, {4, 5, 10, 11}));
  expectNear(y[1], Tensor({3, 3}, {1, 4, 5, 2, 5, 7, 3, 6, 9}));
  expectNear(y[2], Tensor({2, 2}, {14, 32, 32, 77}));
}

TEST(Embedding, GathersAndScatters) {
  auto y =
      runBody("%table: tensor<3x2xf64>, %t: tensor<4xi32>", "tensor<4x2xf64>, tensor<3x2xf64>", R"(
    %x = lm.embedding %table, %t : tensor<3x2xf64>, tensor<4xi32> -> tensor<4x2xf64>
    %d = lm.embedding_backward %t, %x : tensor<4xi32>, tensor<4x2xf64> -> tensor<3x2xf64>
    return %x, %d : tensor<4x2xf64>, tensor<3x2xf64>)",
              {Tensor({3, 2}, {1, 2, 3, 4, 5, 6}), Tensor({4}, {2, 0, 2, 2})});
  expectNear(y[0], Tensor({4, 2}, {5, 6, 1, 2, 5, 6, 5, 6}));
  expectNear(y[1], Tensor({3, 2}, {1, 2, 0, 0, 15, 18}));
}

TEST(Shapes, SplitConcatReshapeBroadcast) {
  auto y = runBody("%x: tensor<2x4xf64>, %g: tensor<2xf64>",
                   "tensor<2x4xf64>, tensor<2x2x2xf64>, tensor<2x3xf64>", R"(
    %a, %b = lm.split %x : (tensor<2x4xf64>) -> (tensor<2x1xf64>, tensor<2x3xf64>)
    %c = lm.concat %b, %a : (tensor<2x3xf64>, tensor<2x1xf64>) -> tensor<2x4xf64>
    %d = lm.reshape %x : tensor<2x4xf64> -> tensor<2x2x2xf64>
    %e = lm.broadcast %g : tensor<2xf64> -> tensor<2x3xf64>
    return %c, %d, %e : tensor<2x4xf64>, tensor<2x2x2xf64>, tensor<2x3xf64>)",
                   {Tensor({2, 4}, {1, 2, 3, 4, 5, 6, 7, 8}), Tensor({2}, {1, 2})});
  expectNear(y[0], Tensor({2, 4}, {2, 3, 4, 1, 6, 7, 8, 5}));
  expectNear(y[1], Tensor({2, 2, 2}, {1, 2, 3, 4, 5, 6, 7, 8}));
  expectNear(y[2], Tensor({2, 3}, {1, 1, 1, 2, 2, 2}));
}

TEST(RowFactors, ArePerRowOrPerHead) {
  auto y =
      runBody("%x: tensor<2x2x2xf64>, %g: tensor<2x2xf64>",
              "tensor<2x2x2xf64>, tensor<2x2xf64>, tensor<2x1xf64>", R"(
    %a = lm.row_scale %x, %g : tensor<2x2x2xf64>, tensor<2x2xf64>
    %b = lm.row_dot %x, %x : tensor<2x2x2xf64> -> tensor<2x2xf64>
    %c = lm.row_dot %x, %x : tensor<2x2x2xf64> -> tensor<2x1xf64>
    return %a, %b, %c : tensor<2x2x2xf64>, tensor<2x2xf64>, tensor<2x1xf64>)",
              {Tensor({2, 2, 2}, {1, 2, 3, 4, 5, 6, 7, 8}), Tensor({2, 2}, {1, 10, 100, 1000})});
  expectNear(y[0], Tensor({2, 2, 2}, {1, 2, 30, 40, 500, 600, 7000, 8000}));
  expectNear(y[1], Tensor({2, 2}, {5, 25, 61, 113}));
  expectNear(y[2], Tensor({2, 1}, {30, 174}));
}

TEST(Mix, WeighsValues) {
  auto y = runBody("%x: tensor<2xf64>, %a: tensor<f64>, %b: tensor<f64>",
                   "tensor<2xf64>, tensor<f64>, tensor<f64>", R"(
    %y = lm.mix %x, %x by %a, %b : (tensor<2xf64>, tensor<2xf64>, tensor<f64>, tensor<f64>) -> tensor<2xf64>
    %s = lm.sum %y : tensor<2xf64> -> tensor<f64>
    %d = lm.dot %x, %y : tensor<2xf64> -> tensor<f64>
    return %y, %s, %d : tensor<2xf64>, tensor<f64>, tensor<f64>)",
                   {Tensor({2}, {1, 2}), Tensor::scalar(3), Tensor::scalar(-1)});
  expectNear(y[0], Tensor({2}, {2, 4}));
  expectNear(y[1], Tensor::scalar(6));
  expectNear(y[2], Tensor::scalar(10));
}

TEST(Unary, HasTheUsualFunctions) {
  for (auto [kind, at2] :
       std::initializer_list<std::pair<std::string, double>>{{"identity", 2},
                                                             {"negate", -2},
                                                             {"sigmoid", 1 / (1 + std::exp(-2))},
                                                             {"tanh", std::tanh(2)},
                                                             {"relu", 2},
                                                             {"relu_squared", 4},
                                                             {"gelu", 2 * 0.97724986805182079},
                                                             {"silu", 2 / (1 + std::exp(-2))},
                                                             {"exp", std::exp(2)},
                                                             {"sqrt", std::sqrt(2)},
                                                             {"reciprocal", 0.5}}) {
    auto y = runBody("%x: tensor<f64>", "tensor<f64>",
                     "%y = lm.unary " + kind + " %x : tensor<f64>\nreturn %y : tensor<f64>",
                     {Tensor::scalar(2)});
    SCOPED_TRACE(kind);
    expectNear(y[0], Tensor::scalar(at2));
  }
  auto y = runBody("%x: tensor<2xf64>", "tensor<2xf64>",
                   "%y = lm.unary relu_squared %x : tensor<2xf64>\nreturn %y : tensor<2xf64>",
                   {Tensor({2}, {-3, 0})});
  expectNear(y[0], Tensor({2}, {0, 0}));
}

//===- Rounding, errors ---------------------------------------------------------------===//

TEST(Rounding, FollowsTheElementType) {
  Program program(R"(func.func @f(%x: tensor<3xf64>) -> (tensor<3xbf16>, tensor<3xf32>) {
    %a = lm.cast %x : tensor<3xf64> -> tensor<3xbf16>
    %b = lm.cast %x : tensor<3xf64> -> tensor<3xf32>
    return %a, %b : tensor<3xbf16>, tensor<3xf32>
  })");
  Tensor x({3}, {1 + 0x1p-8, 1 + 3 * 0x1p-8, 1 + 0x1p-25}); // bf16 has 8 bits: ties go to even.
  auto run = [&](smelt::reference::Rounding rounding) {
    smelt::reference::Interpreter interpreter(program.getInterpreter().getModule(), {rounding});
    auto results = interpreter.run("f", {x});
    EXPECT_TRUE(mlir::succeeded(results));
    return *results;
  };
  auto none = run(smelt::reference::Rounding::none);
  expectNear(none[0], x, 0);
  expectNear(none[1], x, 0);
  Tensor bf16({3}, {1, 1 + 0x1p-6, 1});
  auto narrow = run(smelt::reference::Rounding::narrow);
  expectNear(narrow[0], bf16, 0);
  expectNear(narrow[1], x, 0);
  auto all = run(smelt::reference::Rounding::all);
  expectNear(all[0], bf16, 0);
  expectNear(all[1], Tensor({3}, {1 + 0x1p-8, 1 + 3 * 0x1p-8, 1}), 0);
}

TEST(Errors, AreDiagnostics) {
  Program program(R"(
    lm.parameter @p : tensor<2xf64> constant 0.0
    func.func @token(%table: tensor<3x2xf64>, %t: tensor<1xi32>) -> tensor<1x2xf64> {
      %x = lm.embedding %table, %t : tensor<3x2xf64>, tensor<1xi32> -> tensor<1x2xf64>
      return %x : tensor<1x2xf64>
    }
    func.func @unset() -> tensor<2xf64> {
      %p = lm.read @p : tensor<2xf64>
      return %p : tensor<2xf64>
    }
    func.func @target(%z: tensor<1x2xf64>, %t: tensor<1xi32>) -> tensor<1xf64> {
      %loss, %lse = lm.cross_entropy %z, %t : tensor<1x2xf64>, tensor<1xi32> -> tensor<1xf64>, tensor<1xf64>
      return %loss : tensor<1xf64>
    })");
  EXPECT_TRUE(program.run("token", {Tensor::filled({3, 2}, 0.0), Tensor({1}, {3})}).empty());
  EXPECT_NE(program.messages.find("token 0 is 3, but the table has 3 rows"), std::string::npos)
      << program.messages;
  EXPECT_TRUE(program.run("unset").empty());
  EXPECT_NE(program.messages.find("reads @p, which the caller did not set"), std::string::npos)
      << program.messages;
  EXPECT_TRUE(program.run("target", {Tensor::filled({1, 2}, 0.0), Tensor({1}, {2})}).empty());
  EXPECT_NE(program.messages.find("target 0 is 2, but there are 2 classes"), std::string::npos)
      << program.messages;
  EXPECT_TRUE(program.run("missing").empty());
  EXPECT_NE(program.messages.find("finds no function @missing"), std::string::npos)
      << program.messages;
  EXPECT_TRUE(program.run("token", {Tensor::filled({3, 3}, 0.0), Tensor({1}, {0})}).empty());
  EXPECT_NE(program.messages.find("argument 0 was given with another shape"), std::string::npos)
      << program.messages;
}

} // namespace
