#include "runtime/train/Sample.h"
#include "runtime/base/Interrupt.h"
#include "runtime/base/Random.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace smelt::runtime {

std::optional<int32_t> chooseToken(const std::vector<double> &logits, double temperature,
                                   int64_t topK, double uniform) {
  for (double logit : logits)
    if (!std::isfinite(logit))
      return std::nullopt;
  std::vector<int32_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
    return std::pair(-logits[a], a) < std::pair(-logits[b], b);
  });
  if (temperature <= 0)
    return order.front();
  if (topK > 0 && static_cast<size_t>(topK) < order.size())
    order.resize(static_cast<size_t>(topK));
  std::vector<double> weights;
  for (int32_t token : order)
    weights.push_back(std::exp((logits[token] - logits[order.front()]) / temperature));
  double left = uniform * std::accumulate(weights.begin(), weights.end(), 0.0);
  for (size_t i = 0; i < order.size(); ++i) {
    left -= weights[i];
    if (left < 0)
      return order[i];
  }
  return order.back(); // Rounding only.
}

namespace {
/// The logits of row `row`, without the padding of the vocabulary.
StatusOr<std::vector<double>> readLogits(Session &session, const Program &program, int64_t row) {
  const Buffer &buffer = session.manifest().buffers[program.outputs.at("logits")];
  uint64_t size = dtypeBytes(buffer.dtype);
  auto columns = static_cast<uint64_t>(buffer.shape[1]);
  std::vector<std::byte> data(static_cast<size_t>(session.manifest().data.vocabulary) * size);
  SMELT_RETURN_IF_ERROR(
      session.device().copyOut(buffer.offset + static_cast<uint64_t>(row) * columns * size, data));
  std::vector<double> logits;
  for (size_t at = 0; at < data.size(); at += size)
    logits.push_back(loadElement(buffer.dtype, data.data() + at));
  return logits;
}
} // namespace

Status sample(Session &session, const SampleOptions &options, const Tokenizer &tokenizer,
              const std::function<void(const std::string &)> &emit) {
  const Program *program = session.manifest().findProgramByRole("generate");
  if (!program)
    return usageError("the bundle has no program of role generate");
  std::vector<int32_t> text = tokenizer.encode(options.prompt);
  int64_t start = session.manifest().data.startToken;
  if (start >= 0)
    text.insert(text.begin(), static_cast<int32_t>(start));
  if (text.empty())
    text = tokenizer.encode("\n");
  auto window = static_cast<size_t>(program->tokens);
  RandomStream random(options.seed, "sample");
  SMELT_RETURN_IF_ERROR(
      session.writeInput(*program, "document_start", std::vector<int32_t>(window, 0)));
  for (int64_t i = 0; i < options.tokens && !InterruptScope::requested(); ++i) {
    size_t count = std::min(window, text.size());
    std::vector<int32_t> context(text.end() - static_cast<std::ptrdiff_t>(count), text.end());
    context.resize(window, 0); // Rows after the last token do not reach back to it.
    SMELT_RETURN_IF_ERROR(session.writeInput(*program, "tokens", context));
    SMELT_RETURN_IF_ERROR(session.run(*program));
    SMELT_ASSIGN_OR_RETURN(std::vector<double> logits,
                           readLogits(session, *program, static_cast<int64_t>(count) - 1));
    auto token = chooseToken(logits, options.temperature, options.topK,
                             random.uniform(static_cast<uint64_t>(i)));
    if (!token)
      return Status(StatusCode::NonFinite, "the model's logits are not finite");
    text.push_back(*token);
    emit(tokenizer.decode(*token));
  }
  return Status::ok();
}

} // namespace smelt::runtime
