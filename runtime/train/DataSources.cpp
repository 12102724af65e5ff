#include "runtime/train/DataSources.h"

#include <algorithm>

namespace smelt::runtime {

namespace {
constexpr uint64_t kHeldOutFraction = 20; // One in so many tokens.

/// Where a stream is cut into training and validation; both need two tokens.
StatusOr<uint64_t> cutPoint(const TokenStream &stream) {
  if (stream.size() < 4)
    return corruptError("the data has ", stream.size(),
                        " tokens, too few to hold some out for validation");
  uint64_t held = std::max<uint64_t>(2, stream.size() / kHeldOutFraction);
  return stream.size() - held;
}
} // namespace

StatusOr<DataSources> openDataSources(const Data &data, const std::string &trainPaths,
                                      const std::string &validationPaths, uint64_t seed) {
  std::string train = trainPaths.empty() ? data.train : trainPaths;
  std::string validation = validationPaths;
  // Files given for training replace the spec's validation files too: they are other text.
  if (validation.empty() && trainPaths.empty())
    validation = data.validation;
  if (train.empty())
    return usageError("the spec names no training data; give it with --data");
  LoaderOptions options;
  options.order = data.order;
  options.sequence = data.sequence;
  options.startToken = static_cast<int32_t>(data.startToken);
  options.maxTokens = data.maxTokens;
  options.ranks = data.ranks;
  options.seed = seed;
  SMELT_ASSIGN_OR_RETURN(TokenStream stream,
                         TokenStream::open(train, data.tokenizer, data.vocabulary));
  if (validation.empty()) {
    SMELT_ASSIGN_OR_RETURN(uint64_t cut, cutPoint(stream));
    return DataSources{stream.slice(0, cut),
                       stream.slice(cut, stream.size()),
                       train,
                       "the last 5 % of " + train,
                       options,
                       /*isHeldOut=*/true};
  }
  SMELT_ASSIGN_OR_RETURN(TokenStream held,
                         TokenStream::open(validation, data.tokenizer, data.vocabulary));
  return DataSources{stream, held, train, validation, options};
}

} // namespace smelt::runtime
