#include "runtime/data/BatchSource.h"
#include "runtime/base/Random.h"
#include "runtime/data/RunSource.h"

#include <algorithm>

namespace smelt::runtime {

Status appendTokens(const TokenStream &stream, uint64_t first, uint64_t count, Batch &batch) {
  std::vector<int32_t> window(count + 1);
  SMELT_RETURN_IF_ERROR(stream.read(first, window));
  batch.tokens.insert(batch.tokens.end(), window.begin(), window.end() - 1);
  batch.targets.insert(batch.targets.end(), window.begin() + 1, window.end());
  batch.validTargets += static_cast<int64_t>(count);
  return Status::ok();
}

void markDocuments(const LoaderOptions &options, int64_t padding, Batch &batch) {
  bool byToken = options.order == SampleOrder::Documents || options.order == SampleOrder::Aligned;
  int32_t start = 0;
  batch.documentStart.resize(batch.tokens.size());
  for (int32_t t = 0; t < static_cast<int32_t>(batch.tokens.size()); ++t) {
    bool begins = (byToken && t < padding && batch.tokens[t] == options.startToken) ||
                  (options.sequence > 0 && t - start >= options.sequence) || t == padding;
    if (begins)
      start = t;
    batch.documentStart[t] = start;
  }
}

namespace {
/// Samples of `sequence` tokens at counter-based positions, each its own document.
class RandomSource final : public BatchSource {
public:
  RandomSource(TokenStream stream, const LoaderOptions &options)
      : stream_(std::move(stream)), options_(options) {}

  StatusOr<Batch> load(int64_t tokens, DataPosition &position) override {
    uint64_t length = std::min<uint64_t>(options_.sequence, stream_.size() - 1);
    auto total = static_cast<uint64_t>(tokens);
    uint64_t perBatch = (total + length - 1) / length;
    RandomStream random(options_.seed, "data.samples");
    uint64_t first = position.samples + static_cast<uint64_t>(options_.rank) * perBatch;
    Batch batch;
    for (uint64_t i = 0; i < perBatch; ++i) {
      uint64_t count = std::min(length, total - i * length);
      // Every position that has `length` successors is equally likely.
      uint64_t start = random.below(first + i, stream_.size() - length);
      SMELT_RETURN_IF_ERROR(appendTokens(stream_, start, count, batch));
      batch.documentStart.insert(batch.documentStart.end(), count,
                                 static_cast<int32_t>(i * length));
    }
    position.samples += perBatch * static_cast<uint64_t>(options_.world);
    return batch;
  }

private:
  TokenStream stream_;
  LoaderOptions options_;
};

/// The stream from its beginning, again and again; the last token is a target only.
class StreamSource final : public BatchSource {
public:
  StreamSource(TokenStream stream, const LoaderOptions &options)
      : stream_(std::move(stream)), options_(options) {}

  StatusOr<Batch> load(int64_t tokens, DataPosition &position) override {
    auto total = static_cast<uint64_t>(tokens);
    uint64_t targets = stream_.size() - 1;
    uint64_t first = position.tokens + static_cast<uint64_t>(options_.rank) * total;
    Batch batch;
    for (uint64_t done = 0; done < total;) {
      uint64_t at = (first + done) % targets;
      uint64_t count = std::min(total - done, targets - at);
      SMELT_RETURN_IF_ERROR(appendTokens(stream_, at, count, batch));
      done += count;
    }
    markDocuments(options_, tokens, batch);
    position.tokens += total * static_cast<uint64_t>(options_.world);
    return batch;
  }

private:
  TokenStream stream_;
  LoaderOptions options_;
};
} // namespace

std::unique_ptr<BatchSource> makeBatchSource(TokenStream stream, const LoaderOptions &options) {
  if (options.order == SampleOrder::Random && options.sequence > 0)
    return std::make_unique<RandomSource>(std::move(stream), options);
  if (options.ranks > 0)
    return makeRunSource(std::move(stream), options);
  return std::make_unique<StreamSource>(std::move(stream), options);
}

} // namespace smelt::runtime
