//===- TokenShiftGradientsTest.cpp - token_shift's gradient in all modes --===//
//
// mode × scale × gate × features × heads × distance × documents × rows, the edges included: one
// row, and no more rows than the distance.
//
//===----------------------------------------------------------------------===//
#include "GradientCheck.h"
#include <gtest/gtest.h>

using namespace smelt::test;

namespace {

struct ShiftCase {
  std::string mode, documents, features, heads,
      gate; // gate: "", or its shape after T: "T", "Tx1", "Tx3".
  bool hasScale, hasHeads;
  int distance, rows;

  std::string getType(const std::string &shape) const { return "tensor<" + shape + "xf64>"; }

  std::string getText() const {
    std::string t = std::to_string(rows);
    std::string x = getType(t + (hasHeads ? "x3x4" : "x4")), indices = "tensor<" + t + "xi32>";
    std::string g = gate.empty() ? "" : getType(t + gate.substr(1));
    std::string arguments = "%x: " + x, operands = "%x", types = x;
    if (hasScale) {
      arguments += ", %s: tensor<f64>";
      operands += " scale %s";
      types += ", tensor<f64>";
    }
    if (!g.empty()) {
      arguments += ", %g: " + g;
      operands += " gate %g";
      types += ", " + g;
    }
    if (documents == "mask") {
      arguments += ", %d: " + indices + " {smelt.values = dense<[" + getDocumentStart() +
                   "]> : " + indices + "}";
      operands += " document_start %d";
      types += ", " + indices;
    }
    return "func.func @f(" + arguments + ") -> " + x + " {\n  %y = lm.token_shift " + mode + " " +
           documents + " " + operands + " {features = array<i64" + (features.empty() ? "" : ": ") +
           features + ">, heads = array<i64" + (heads.empty() ? "" : ": ") + heads +
           ">, distance = " + std::to_string(distance) + " : i64} : (" + types + ") -> " + x +
           "\n  return %y : " + x + "\n}";
  }

  /// Documents of 2, 1, and then all remaining tokens.
  std::string getDocumentStart() const {
    std::string text;
    for (int t = 0; t < rows; ++t)
      text += (t ? ", " : "") + std::to_string(t < 2 ? 0 : t < 3 ? 2 : 3);
    return text;
  }
};

class TokenShiftGradients
    : public testing::TestWithParam<std::tuple<std::string, std::string, int, int>> {};

TEST_P(TokenShiftGradients, MatchCentralDifferences) {
  auto [mode, documents, distance, rows] = GetParam();
  int count = 0;
  for (bool hasScale : {false, true})
    for (bool hasHeads : {false, true})
      for (std::string gate : {"", "T", "Tx1", "Tx3"})
        for (std::string features : {"", "1, 3", "0, 1, 2, 4"})
          for (std::string heads : {"", "0, 2"}) {
            if (!hasHeads && (gate == "Tx3" || !heads.empty()))
              continue;
            ShiftCase shift{mode,     documents, features, heads, gate,
                            hasScale, hasHeads,  distance, rows};
            // The gradient of x never vanishes, not even where nothing is shifted.
            EXPECT_GT(checkGradients(shift.getText()), 1e-2);
            ++count;
            if (HasFailure())
              return;
          }
  EXPECT_EQ(count, 2 * 3 * (3 + 4 * 2));
}

std::string makeName(const testing::TestParamInfo<TokenShiftGradients::ParamType> &info) {
  auto [mode, documents, distance, rows] = info.param;
  return mode + "_" + documents + "_distance" + std::to_string(distance) + "_rows" +
         std::to_string(rows);
}

INSTANTIATE_TEST_SUITE_P(All, TokenShiftGradients,
                         testing::Combine(testing::Values("replace", "add"),
                                          testing::Values("cross", "mask"), testing::Values(1, 3),
                                          testing::Values(1, 3, 6)),
                         makeName);

} // namespace
