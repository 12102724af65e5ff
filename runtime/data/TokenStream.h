//===- TokenStream.h - Many files as one sequence of tokens -----*- C++ -*-===//
#pragma once

#include "runtime/data/Shard.h"

#include <memory>
#include <vector>

namespace smelt::runtime {

/// Tokens [first, last) of a stream.
struct TokenRange {
  uint64_t first = 0;
  uint64_t last = 0;
  uint64_t size() const { return last - first; }
};

/// A range of the tokens of a list of files, in the order of their names. Cheap to copy.
class TokenStream {
public:
  /// `paths` is a path, a glob pattern or a comma-separated list of them. Files that end in .bin
  /// are shards; others are text, which needs the byte tokenizer. At least two tokens are required:
  /// a token and its successor.
  static StatusOr<TokenStream> open(const std::string &paths, const std::string &tokenizer,
                                    int64_t vocabulary);

  uint64_t size() const { return end_ - begin_; }
  /// Copies tokens [first, first + out.size()), which must exist; fails at a damaged one.
  Status read(uint64_t first, std::span<int32_t> out) const;
  /// What each file has of this stream, in order; files that have nothing are left out.
  const std::vector<TokenRange> &shards() const { return shards_; }
  /// For messages: the first path, and how many there are.
  std::string describe() const;
  /// The tokens [first, last) of this stream.
  TokenStream slice(uint64_t first, uint64_t last) const;
  const std::vector<std::string> &paths() const { return files_->paths; }

private:
  struct Files {
    std::vector<std::string> paths;
    std::vector<Shard> shards;
    std::vector<uint64_t> starts; ///< First token of each shard in the whole.
  };
  TokenStream(std::shared_ptr<const Files> files, uint64_t begin, uint64_t end);

  std::shared_ptr<const Files> files_;
  uint64_t begin_, end_;
  std::vector<TokenRange> shards_;
};

/// The files that a path, pattern or comma-separated list names, sorted within each pattern.
StatusOr<std::vector<std::string>> expandPaths(const std::string &paths);

} // namespace smelt::runtime
