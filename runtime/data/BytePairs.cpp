#include "runtime/data/BytePairs.h"

#include <queue>

namespace smelt::runtime {

std::string_view BytePairs::bytesOf(int32_t token) const {
  return token >= 0 && token < vocabulary() ? std::string_view(bytes_[token]) : std::string_view();
}

namespace {
/// A part of the word; a list by index, because parts only ever disappear.
struct Part {
  int32_t token; ///< −1: merged into the part before it.
  int32_t previous, next;
};

/// Two neighbours that can merge. It is stale when they are no longer these tokens.
struct Candidate {
  uint32_t rank;
  int32_t at; ///< The left part.
  int32_t left, right;
  int32_t merged;
};

struct IsLater {
  bool operator()(const Candidate &a, const Candidate &b) const {
    return std::pair(a.rank, a.at) > std::pair(b.rank, b.at);
  }
};
} // namespace

void BytePairs::encodeWord(std::string_view word, std::vector<int32_t> &tokens) const {
  if (auto it = words_.find(word); it != words_.end()) {
    tokens.push_back(it->second);
    return;
  }
  auto count = static_cast<int32_t>(word.size());
  std::vector<Part> parts(word.size());
  for (int32_t i = 0; i < count; ++i)
    parts[i] = {ofByte_[static_cast<unsigned char>(word[i])], i - 1, i + 1};
  std::priority_queue<Candidate, std::vector<Candidate>, IsLater> candidates;
  auto consider = [&](int32_t at) {
    int32_t next = parts[at].next;
    if (next >= count)
      return;
    if (const Merge *merge = findMerge(parts[at].token, parts[next].token))
      candidates.push({merge->rank, at, parts[at].token, parts[next].token, merge->token});
  };
  for (int32_t i = 0; i + 1 < count; ++i)
    consider(i);
  while (!candidates.empty()) {
    Candidate best = candidates.top();
    candidates.pop();
    Part &left = parts[best.at];
    if (left.token != best.left || left.next >= count || parts[left.next].token != best.right)
      continue;
    Part &right = parts[left.next];
    left = {best.merged, left.previous, right.next};
    right.token = -1;
    if (left.next < count)
      parts[left.next].previous = best.at;
    consider(best.at);
    if (left.previous >= 0)
      consider(left.previous);
  }
  for (int32_t i = 0; i < count; i = parts[i].next)
    tokens.push_back(parts[i].token);
}

} // namespace smelt::runtime
