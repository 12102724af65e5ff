#include "runtime/data/BatchLoader.h"
#include "runtime/base/Random.h"

#include <algorithm>

namespace smelt::runtime {

namespace {
/// Appends `count` stream tokens from `first` and their successors; first + count < stream.size().
void appendTokens(const TokenStream &stream, uint64_t first, uint64_t count, Batch &batch) {
  std::vector<int32_t> window(count + 1);
  stream.read(first, window);
  batch.tokens.insert(batch.tokens.end(), window.begin(), window.end() - 1);
  batch.targets.insert(batch.targets.end(), window.begin() + 1, window.end());
  batch.validTargets += static_cast<int64_t>(count);
}

/// Fills up to `tokens` with padding that is a document of its own and has no targets.
void appendPadding(int64_t tokens, Batch &batch) {
  batch.tokens.resize(static_cast<size_t>(tokens), 0);
  batch.targets.resize(static_cast<size_t>(tokens), -1);
}

/// Documents begin at row 0, at each start token (if any is defined), after `sequence` tokens of a
/// document (if positive), and at row `padding`.
void markDocuments(const LoaderOptions &options, int64_t padding, Batch &batch) {
  bool byToken = options.order == SampleOrder::Documents;
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

bool isRandom(const LoaderOptions &options) {
  return options.order == SampleOrder::Random && options.sequence > 0;
}

Batch loadRandom(const TokenStream &stream, const LoaderOptions &options, int64_t tokens,
                 DataPosition &position) {
  uint64_t length = std::min<uint64_t>(options.sequence, stream.size() - 1);
  auto total = static_cast<uint64_t>(tokens);
  uint64_t perBatch = (total + length - 1) / length;
  RandomStream random(options.seed, "data.samples");
  uint64_t first = position.samples + static_cast<uint64_t>(options.rank) * perBatch;
  Batch batch;
  for (uint64_t i = 0; i < perBatch; ++i) {
    uint64_t count = std::min(length, total - i * length);
    // Every position that has `length` successors is equally likely.
    uint64_t start = random.below(first + i, stream.size() - length);
    appendTokens(stream, start, count, batch);
    batch.documentStart.insert(batch.documentStart.end(), count, static_cast<int32_t>(i * length));
  }
  position.samples += perBatch * static_cast<uint64_t>(options.world);
  return batch;
}

Batch loadContiguous(const TokenStream &stream, const LoaderOptions &options, int64_t tokens,
                     DataPosition &position) {
  auto total = static_cast<uint64_t>(tokens);
  uint64_t targets = stream.size() - 1; // The last token is a target only.
  uint64_t first = position.tokens + static_cast<uint64_t>(options.rank) * total;
  Batch batch;
  for (uint64_t done = 0; done < total;) {
    uint64_t at = (first + done) % targets;
    uint64_t count = std::min(total - done, targets - at);
    appendTokens(stream, at, count, batch);
    done += count;
  }
  markDocuments(options, tokens, batch);
  position.tokens += total * static_cast<uint64_t>(options.world);
  return batch;
}
} // namespace

Batch loadBatch(const TokenStream &stream, const LoaderOptions &options, int64_t tokens,
                DataPosition &position) {
  return isRandom(options) ? loadRandom(stream, options, tokens, position)
                           : loadContiguous(stream, options, tokens, position);
}

ValidationBatches::ValidationBatches(TokenStream stream, const LoaderOptions &options,
                                     int64_t count)
    : stream_(std::move(stream)), options_(options) {
  uint64_t available = stream_.size() - 1;
  count_ = count > 0 ? std::min<uint64_t>(count, available) : available;
}

std::optional<Batch> ValidationBatches::load(uint64_t first, int64_t tokens) const {
  if (first >= count_)
    return std::nullopt;
  Batch batch;
  uint64_t count = std::min<uint64_t>(tokens, count_ - first);
  appendTokens(stream_, first, count, batch);
  appendPadding(tokens, batch);
  markDocuments(options_, static_cast<int64_t>(count), batch);
  return batch;
}

PrefetchingLoader::PrefetchingLoader(TokenStream stream, const LoaderOptions &options,
                                     DataPosition position)
    : stream_(std::move(stream)), options_(options), position_(position),
      thread_([this] { runThread(); }) {}

PrefetchingLoader::~PrefetchingLoader() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

Batch PrefetchingLoader::next(int64_t tokens) {
  std::unique_lock lock(mutex_);
  Batch batch;
  if (prefetch_.tokens == tokens && prefetch_.before == position_) {
    changed_.wait(lock, [&] { return prefetch_.ready; });
    batch = std::move(prefetch_.batch);
    position_ = prefetch_.after;
  } else {
    // The first batch, or one of another size: what the thread has is not needed.
    changed_.wait(lock, [&] { return prefetch_.tokens == 0 || prefetch_.ready; });
    batch = loadBatch(stream_, options_, tokens, position_);
  }
  prefetch_ = {tokens, position_, position_, {}, false};
  lock.unlock();
  changed_.notify_all();
  return batch;
}

void PrefetchingLoader::runThread() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return stop_ || (prefetch_.tokens > 0 && !prefetch_.ready); });
    if (stop_)
      return;
    // next() waits for `ready` before it touches the request again, so it can be read unlocked.
    int64_t tokens = prefetch_.tokens;
    DataPosition after = prefetch_.before;
    lock.unlock();
    Batch batch = loadBatch(stream_, options_, tokens, after);
    lock.lock();
    prefetch_.batch = std::move(batch);
    prefetch_.after = after;
    prefetch_.ready = true;
    changed_.notify_all();
  }
}

} // namespace smelt::runtime
