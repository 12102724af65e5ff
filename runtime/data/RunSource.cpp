#include "runtime/data/RunSource.h"
#include "runtime/data/DocumentIndex.h"

#include <algorithm>

namespace smelt::runtime {

namespace {
/// Tokens [first, last) of the stream.
struct Piece {
  uint64_t first;
  uint64_t last;
};

/// What both orders share: groups, shards, cycling.
class RunSource : public BatchSource {
public:
  RunSource(TokenStream stream, const LoaderOptions &options)
      : stream_(std::move(stream)), options_(options), shards_(stream_.shards()) {}

  StatusOr<Batch> load(int64_t tokens, DataPosition &position) override {
    std::vector<Piece> own;
    for (int64_t rank = 0; rank < options_.world; ++rank) {
      std::vector<Piece> pieces;
      SMELT_RETURN_IF_ERROR(nextRun(static_cast<uint64_t>(tokens), position, pieces));
      if (rank == options_.rank)
        own = std::move(pieces);
    }
    return makeBatch(own);
  }

protected:
  /// Takes one run of `tokens` + 1 tokens at the position in its shard, and moves the position past
  /// it. False (and no change) if the shard's rest does not have it and `more` runs after it.
  virtual StatusOr<bool> takeRun(uint64_t tokens, uint64_t more, DataPosition &position,
                                 std::vector<Piece> &pieces) = 0;
  virtual void markBatch(const std::vector<Piece> &pieces, Batch &batch) = 0;

  /// The present shard's range of the stream.
  const TokenRange &shardAt(const DataPosition &position) const {
    return shards_[position.shard % shards_.size()];
  }

  TokenStream stream_;
  LoaderOptions options_;
  std::vector<TokenRange> shards_;

private:
  Status nextRun(uint64_t tokens, DataPosition &position, std::vector<Piece> &pieces) {
    auto ranks = static_cast<uint64_t>(options_.ranks);
    // The present shard is tried twice: from the position, and, when all others are too small, from
    // its beginning.
    for (size_t attempt = 0; attempt <= shards_.size(); ++attempt) {
      SMELT_ASSIGN_OR_RETURN(bool taken,
                             takeRun(tokens, ranks - position.run - 1, position, pieces));
      if (taken) {
        position.run = (position.run + 1) % ranks;
        return Status::ok();
      }
      DataPosition next;
      next.shard = position.shard + 1;
      position = next;
    }
    return corruptError("no shard of ", stream_.describe(), " has ", ranks,
                        ranks == 1 ? " sequence" : " consecutive sequences", " of ", tokens,
                        " tokens", options_.order == SampleOrder::Aligned ? " in documents" : "");
  }

  StatusOr<Batch> makeBatch(const std::vector<Piece> &pieces) {
    std::vector<int32_t> tokens;
    for (const Piece &piece : pieces) {
      size_t size = tokens.size();
      tokens.resize(size + (piece.last - piece.first));
      SMELT_RETURN_IF_ERROR(stream_.read(piece.first, std::span(tokens).subspan(size)));
    }
    Batch batch;
    batch.tokens.assign(tokens.begin(), tokens.end() - 1);
    batch.targets.assign(tokens.begin() + 1, tokens.end());
    batch.validTargets = static_cast<int64_t>(batch.tokens.size());
    markBatch(pieces, batch);
    return batch;
  }
};

class ContiguousRuns final : public RunSource {
public:
  using RunSource::RunSource;

private:
  StatusOr<bool> takeRun(uint64_t tokens, uint64_t more, DataPosition &position,
                         std::vector<Piece> &pieces) override {
    const TokenRange &shard = shardAt(position);
    // The record asks for one token more than the group and its last target have.
    if (position.tokens + (more + 1) * tokens + 1 >= shard.size())
      return false;
    uint64_t first = shard.first + position.tokens;
    pieces.push_back({first, first + tokens + 1});
    position.tokens += tokens;
    return true;
  }

  void markBatch(const std::vector<Piece> &, Batch &batch) override {
    markDocuments(options_, static_cast<int64_t>(batch.tokens.size()), batch);
  }
};

class AlignedRuns final : public RunSource {
public:
  AlignedRuns(TokenStream stream, const LoaderOptions &options)
      : RunSource(std::move(stream), options), index_(stream_, options.startToken) {}

  void prepare(const DataPosition &position) override {
    for (uint64_t ahead : {0, 1})
      (void)index_.starts((position.shard + ahead) % shards_.size());
  }

private:
  StatusOr<bool> takeRun(uint64_t tokens, uint64_t more, DataPosition &position,
                         std::vector<Piece> &pieces) override {
    SMELT_ASSIGN_OR_RETURN(auto starts, index_.starts(position.shard % shards_.size()));
    uint64_t end = shardAt(position).last, document = position.document;
    std::vector<Piece> taken, unused;
    if (!walk(*starts, end, tokens, document, taken))
      return false;
    uint64_t after = document;
    for (uint64_t run = 0; run < more; ++run) {
      unused.clear();
      if (!walk(*starts, end, tokens, document, unused))
        return false;
    }
    position.document = after;
    pieces = std::move(taken);
    return true;
  }

  /// One run of documents from `document` on; false if they run out.
  bool walk(const std::vector<uint64_t> &starts, uint64_t shardEnd, uint64_t tokens,
            uint64_t &document, std::vector<Piece> &pieces) const {
    for (uint64_t length = 0; length <= tokens; ++document) {
      if (document >= starts.size())
        return false;
      uint64_t first = starts[document];
      uint64_t last = document + 1 < starts.size() ? starts[document + 1] : shardEnd;
      if (options_.maxTokens > 0)
        last = std::min(last, first + static_cast<uint64_t>(options_.maxTokens));
      last = std::min(last, first + (tokens + 1 - length));
      pieces.push_back({first, last});
      length += last - first;
    }
    return true;
  }

  /// The pieces are the documents; the last one's last token is a target only.
  void markBatch(const std::vector<Piece> &pieces, Batch &batch) override {
    batch.documentStart.reserve(batch.tokens.size());
    for (const Piece &piece : pieces) {
      auto start = static_cast<int32_t>(batch.documentStart.size());
      batch.documentStart.resize(batch.documentStart.size() + (piece.last - piece.first), start);
    }
    batch.documentStart.resize(batch.tokens.size());
  }

  DocumentIndex index_;
};
} // namespace

std::unique_ptr<BatchSource> makeRunSource(TokenStream stream, const LoaderOptions &options) {
  if (options.order == SampleOrder::Aligned)
    return std::make_unique<AlignedRuns>(std::move(stream), options);
  return std::make_unique<ContiguousRuns>(std::move(stream), options);
}

} // namespace smelt::runtime
