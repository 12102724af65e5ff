#include "runtime/data/ValidationBatches.h"
#include "runtime/data/BatchSource.h"

#include <algorithm>

namespace smelt::runtime {

ValidationBatches::ValidationBatches(TokenStream stream, const LoaderOptions &options,
                                     int64_t count)
    : stream_(std::move(stream)), options_(options) {
  uint64_t available = stream_.size() - 1; // The last token is a target only.
  count_ = count > 0 ? std::min<uint64_t>(count, available) : available;
}

StatusOr<std::optional<Batch>> ValidationBatches::load(uint64_t index, int64_t tokens) const {
  auto length = static_cast<uint64_t>(tokens);
  uint64_t ofAllRanks = index * static_cast<uint64_t>(options_.world) * length;
  if (ofAllRanks >= count_)
    return std::optional<Batch>();
  uint64_t first = ofAllRanks + static_cast<uint64_t>(options_.rank) * length;
  uint64_t count = first < count_ ? std::min(length, count_ - first) : 0;
  Batch batch;
  if (count)
    SMELT_RETURN_IF_ERROR(appendTokens(stream_, first, count, batch));
  // The padding is a document of its own and has no targets.
  batch.tokens.resize(length, 0);
  batch.targets.resize(length, -1);
  markDocuments(options_, static_cast<int64_t>(count), batch);
  return std::optional<Batch>(std::move(batch));
}

} // namespace smelt::runtime
