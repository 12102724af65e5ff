//===- RunSource.h - Ranks' sequences, one shard at a time ------*- C++ -*-===//
//
// The loaders of the two records. A *run* is the T + 1 tokens of one rank's sequence; the runs of
// `ranks` ranks, one after the other in the shard, are a *group*. A group lies in one shard: where
// the rest of a shard is too short for the group, the group comes from the beginning of the next
// shard (after the last comes the first again) and the rest is never seen. So what R ranks see is
// the same whether they are R processes, or micro-batches of one.
//
// Orders Contiguous and Documents (the medium record): the runs of a group of R are R·T + 1
// consecutive tokens, and a shard is left when it has less than two tokens more than R·T.
//
// Order Aligned (the short record): a run takes whole documents in order, each cut to `maxTokens`,
// until it has T + 1 tokens; the last document is cut to fit, and the next run begins at the
// document after it. What lies before a shard's first document is never seen. A shard is left when
// its documents run out before the group is full.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/data/BatchSource.h"

namespace smelt::runtime {

/// options.ranks > 0 and the order is not Random.
std::unique_ptr<BatchSource> makeRunSource(TokenStream stream, const LoaderOptions &options);

} // namespace smelt::runtime
