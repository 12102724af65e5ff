// A small valid manifest that the tests break in one place each.
#pragma once

#include "runtime/bundle/Manifest.h"

#include <gtest/gtest.h>

namespace smelt::runtime::test {

inline Manifest exampleManifest() {
  Manifest m;
  m.compiler = "smelt test";
  m.name = "example";
  m.cpu = {"x86-64", {"sse2"}};
  m.files = {{"spec.json", {2, std::string(64, 'a')}}, {"cpu.so", {3, std::string(64, 'b')}}};
  auto add = [&](const char *name, BufferKind kind, DType dtype, std::vector<int64_t> shape) {
    uint64_t bytes = *shapeBytes(shape, dtype);
    Buffer buffer;
    buffer.name = name;
    buffer.kind = kind;
    buffer.dtype = dtype;
    buffer.shape = std::move(shape);
    buffer.offset = m.arenaBytes;
    buffer.bytes = bytes;
    m.buffers.push_back(std::move(buffer));
    m.arenaBytes += (bytes + 63) / 64 * 64;
    return static_cast<uint32_t>(m.buffers.size() - 1);
  };
  uint32_t weight = add("weight", BufferKind::Parameter, DType::F32, {4, 8});
  m.buffers[weight].init = Init{InitKind::Uniform, 0.5};
  uint32_t momentum = add("adam.m.weight", BufferKind::State, DType::F32, {4, 8});
  uint32_t gradient = add("gradient.weight", BufferKind::Gradient, DType::F32, {4, 8});
  uint32_t lr = add("lr", BufferKind::Setting, DType::F32, {});
  uint32_t accumulate = add("accumulate", BufferKind::Setting, DType::F32, {});
  uint32_t tokens = add("tokens", BufferKind::Input, DType::I32, {16});
  uint32_t targets = add("targets", BufferKind::Input, DType::I32, {16});
  uint32_t starts = add("document_start", BufferKind::Input, DType::I32, {16});
  uint32_t objective = add("objective", BufferKind::Output, DType::F32, {});
  uint32_t lossSum = add("loss_sum", BufferKind::Output, DType::F32, {});
  m.settings = {{"lr", lr, {{0, 4, 0.1, 0}, {5, 9, 0.1, -0.01}}}, {"accumulate", accumulate, {}}};
  m.kernels = {{"k0", "smelt_kernel_0", 4}, {"k1", "smelt_kernel_1", 2}};
  std::map<std::string, uint32_t> inputs = {
      {"tokens", tokens}, {"targets", targets}, {"document_start", starts}};
  std::map<std::string, uint32_t> outputs = {{"objective", objective}, {"loss_sum", lossSum}};
  Launch launch{0, {weight, tokens, gradient, objective}, "gemm", {"forward[0]"}, 100, 200};
  m.programs = {{"train.T16", "train", 16, inputs, outputs, {launch}},
                {"evaluate.T16", "evaluate", 16, inputs, outputs, {launch}},
                {"update", "update", 0, {}, {}, {{1, {weight, momentum}, "adamw", {}, 1, 2}}}};
  m.training.steps = 10;
  m.training.seed = 18446744073709551615u;
  m.training.stages = {{0, 5, "train.T16", 1}, {6, 9, "train.T16", 2}};
  m.training.validation = {5, 64, "evaluate.T16"};
  m.training.checkpointKeep = 5;
  m.training.updates = {{"update"}};
  m.data.sequence = 8;
  m.data.tokenizerFiles = {{"ranks", "gpt2.tiktoken"}};
  return m;
}

/// What is read of a manifest's text, which is written the same again.
inline void readBack(const Manifest &m, StatusOr<Manifest> &parsed) {
  std::string text = writeManifest(m);
  parsed = parseManifest(text);
  ASSERT_TRUE(parsed.isOk()) << parsed.status().message();
  EXPECT_EQ(writeManifest(*parsed), text);
}

inline uint32_t gradientOf(const Manifest &m) {
  for (uint32_t i = 0; i < m.buffers.size(); ++i)
    if (m.buffers[i].kind == BufferKind::Gradient)
      return i;
  return 0;
}

/// Refused, as corrupt, with `message` somewhere in the text.
inline void expectCorrupt(const Status &status, const std::string &message) {
  EXPECT_EQ(status.code(), StatusCode::Corrupt) << message;
  EXPECT_NE(status.message().find(message), std::string::npos)
      << status.message() << " lacks: " << message;
}

} // namespace smelt::runtime::test
