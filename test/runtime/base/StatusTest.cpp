#include "runtime/base/Status.h"

#include <gtest/gtest.h>

#include <memory>

using namespace smelt::runtime;

TEST(StatusTest, ExitCodesAreTheDocumentedOnes) {
  const std::pair<StatusCode, int> table[] = {
      {StatusCode::Ok, 0},       {StatusCode::Internal, 1}, {StatusCode::Usage, 2},
      {StatusCode::Spec, 3},     {StatusCode::Corrupt, 4},  {StatusCode::NonFinite, 5},
      {StatusCode::RankLost, 6}, {StatusCode::Storage, 7},
  };
  for (auto [code, exit] : table)
    EXPECT_EQ(exitCode(code), exit) << statusCodeName(code);
}

static StatusOr<int> half(int value) {
  if (value % 2)
    return usageError(value, " is odd");
  return value / 2;
}

static StatusOr<int> quarter(int value) {
  SMELT_ASSIGN_OR_RETURN(int first, half(value));
  SMELT_RETURN_IF_ERROR(half(first).status().withContext("second"));
  return half(first);
}

TEST(StatusTest, MacrosPassFailuresOn) {
  EXPECT_EQ(*quarter(12), 3);
  EXPECT_EQ(quarter(3).status().message(), "3 is odd");
  EXPECT_EQ(quarter(6).status().message(), "second: 3 is odd");
  EXPECT_EQ(quarter(6).status().code(), StatusCode::Usage);
}

TEST(StatusTest, HoldsMoveOnlyValues) {
  StatusOr<std::unique_ptr<int>> value(std::make_unique<int>(7));
  std::unique_ptr<int> taken = *std::move(value);
  EXPECT_EQ(*taken, 7);
}
