//===- TrainingSupport.h - What the tests share that train a compiled spec against the interpreter ------===//
#ifndef SMELT_TEST_COMPILER_PIPELINES_TRAININGSUPPORT_H
#define SMELT_TEST_COMPILER_PIPELINES_TRAININGSUPPORT_H

#include "compiler/Reference/Interpreter.h"
#include "runtime/train/Session.h"
#include <cmath>
#include <gtest/gtest.h>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace smelt::testing_support {

using reference::Tensor;
using Tensors = std::map<std::string, Tensor>;

/// Text-like tokens that differ from micro-batch to micro-batch; documents of 16 tokens; the last target of each is ignored.
inline runtime::Batch makeBatch(int64_t number, int64_t tokens) {
  static constexpr std::string_view text = "the quick brown fox jumps over the lazy dog and the dog sleeps while the fox runs away ";
  runtime::Batch batch;
  for (int64_t t = 0; t < tokens; ++t) {
    size_t at = number * 13 + t;
    bool isLast = t % 16 == 15;
    batch.tokens.push_back(text[at % text.size()]);
    batch.targets.push_back(isLast ? -1 : text[(at + 1) % text.size()]);
    batch.documentStart.push_back(t / 16 * 16);
    batch.validTargets += !isLast;
  }
  return batch;
}

inline Tensor toTensor(const std::vector<int32_t> &values) { return Tensor({static_cast<int64_t>(values.size())}, {values.begin(), values.end()}); }

/// A tensor of the run and how it is stored.
struct Reading {
  Tensor tensor;
  runtime::DType dtype;
};

inline std::map<std::string, Reading> readTyped(runtime::Session &session, const std::vector<runtime::BufferKind> &kinds) {
  auto snapshot = session.snapshot(kinds);
  EXPECT_TRUE(snapshot.isOk());
  std::map<std::string, Reading> readings;
  for (auto &[name, view] : snapshot->tensors()) {
    std::vector<double> values;
    for (size_t i = 0; i < view.data.size(); i += runtime::dtypeBytes(view.dtype))
      values.push_back(runtime::loadElement(view.dtype, view.data.data() + i));
    readings[name] = {Tensor(view.shape, std::move(values)), view.dtype};
  }
  return readings;
}

inline Tensors read(runtime::Session &session, const std::vector<runtime::BufferKind> &kinds) {
  Tensors tensors;
  for (auto &[name, reading] : readTyped(session, kinds))
    tensors[name] = std::move(reading.tensor);
  return tensors;
}

/// Largest difference over the largest element, or over `floor` if all are smaller. Not a number: a difference that is none.
inline double getError(const Tensor &actual, const Tensor &expected, double floor) {
  double difference = 0, size = floor;
  for (int64_t i = 0; i < expected.getNumElements(); ++i) {
    double d = std::abs(actual(i) - expected(i));
    difference = !(d <= difference) ? d : difference;
    size = std::max(size, std::abs(expected(i)));
  }
  return difference / size;
}

} // namespace smelt::testing_support
#endif
