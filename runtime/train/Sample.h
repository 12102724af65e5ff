//===- Sample.h - Text from a trained model ---------------------*- C++ -*-===//
#pragma once

#include "runtime/data/Tokenizer.h"
#include "runtime/train/Session.h"

#include <functional>

namespace smelt::runtime {

struct SampleOptions {
  std::string prompt;
  int64_t tokens = 200;
  double temperature = 0.8; ///< 0 = always the likeliest token.
  int64_t topK = 0;         ///< Only the K likeliest tokens; 0 = all.
  uint64_t seed = 1;
};

/// Continues the prompt token by token; `emit` gets each new token's text. The context is the last
/// tokens that fit into the program.
Status sample(Session &session, const SampleOptions &options, const Tokenizer &tokenizer,
              const std::function<void(const std::string &)> &emit);

/// Chooses a token: `uniform` in [0, 1) picks from the tempered distribution of the topK likeliest.
/// Nothing if a logit is not finite.
std::optional<int32_t> chooseToken(const std::vector<double> &logits, double temperature,
                                   int64_t topK, double uniform);

} // namespace smelt::runtime
