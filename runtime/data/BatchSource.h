//===- BatchSource.h - From a position in the data to a batch ---*- C++ -*-===//
//
// Which tokens a batch has depends on the files, the options and the position alone, never on time
// or threads, so a run that is resumed at a position sees the same batches.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/data/Batch.h"
#include "runtime/data/TokenStream.h"

#include <memory>

namespace smelt::runtime {

class BatchSource {
public:
  virtual ~BatchSource() = default;
  /// Builds the batch of `tokens` tokens at `position` and moves the position past it.
  virtual StatusOr<Batch> load(int64_t tokens, DataPosition &position) = 0;
  /// Does now what the batches after `position` will need (the next shard's index). What is wrong
  /// is left to load().
  virtual void prepare(const DataPosition &position) {}
};

/// The source for the options' order:
///   ranks = 0: random samples, or the files as one stream that is cycled;
///   ranks > 0: runs from one shard at a time, see RunSource.h.
std::unique_ptr<BatchSource> makeBatchSource(TokenStream stream, const LoaderOptions &options);

/// Appends `count` stream tokens from `first` and their successors; first + count < stream.size().
Status appendTokens(const TokenStream &stream, uint64_t first, uint64_t count, Batch &batch);

/// Fills in documentStart. Documents begin at row 0, at each start token (if the order goes by it),
/// after `sequence` tokens of a document (if positive), and at row `padding`.
void markDocuments(const LoaderOptions &options, int64_t padding, Batch &batch);

} // namespace smelt::runtime
