#include "runtime/data/TokenStream.h"

#include <algorithm>
#include <sstream>

#include <glob.h>

namespace smelt::runtime {

namespace {
bool endsWith(const std::string &text, const std::string &ending) {
  return text.size() >= ending.size() &&
         text.compare(text.size() - ending.size(), ending.size(), ending) == 0;
}

StatusOr<Shard> openFile(const std::string &path, const std::string &tokenizer,
                         int64_t vocabulary) {
  if (endsWith(path, ".bin"))
    return Shard::openBin(path, vocabulary);
  if (tokenizer != "bytes")
    return corruptError(path, " is text, but the tokenizer is \"", tokenizer,
                        "\"; make .bin shards of it first: smelt data pack --tokenizer ",
                        tokenizer);
  if (vocabulary < 256)
    return corruptError(path, " is text of 256 possible bytes, but the vocabulary is ", vocabulary);
  return Shard::openText(path);
}
} // namespace

StatusOr<std::vector<std::string>> expandPaths(const std::string &paths) {
  std::vector<std::string> result;
  std::istringstream patterns(paths);
  for (std::string pattern; std::getline(patterns, pattern, ',');) {
    glob_t found = {};
    int code = ::glob(pattern.c_str(), 0, nullptr, &found);
    std::vector<std::string> matches(found.gl_pathv, found.gl_pathv + found.gl_pathc);
    ::globfree(&found);
    if (code != 0 && code != GLOB_NOMATCH)
      return corruptError("cannot search for the data files ", pattern);
    if (matches.empty())
      return corruptError("no data file matches ", pattern);
    result.insert(result.end(), matches.begin(), matches.end());
  }
  if (result.empty())
    return corruptError("no data files are named");
  return result;
}

StatusOr<TokenStream> TokenStream::open(const std::string &paths, const std::string &tokenizer,
                                        int64_t vocabulary) {
  auto files = std::make_shared<Files>();
  SMELT_ASSIGN_OR_RETURN(files->paths, expandPaths(paths));
  uint64_t total = 0;
  for (const std::string &path : files->paths) {
    SMELT_ASSIGN_OR_RETURN(Shard shard, openFile(path, tokenizer, vocabulary));
    files->starts.push_back(total);
    total += shard.size();
    files->shards.push_back(std::move(shard));
  }
  if (total < 2)
    return corruptError("the data ", paths, " has ", total,
                        " tokens; at least 2 are needed: one and its successor");
  return TokenStream(std::move(files), 0, total);
}

TokenStream::TokenStream(std::shared_ptr<const Files> files, uint64_t begin, uint64_t end)
    : files_(std::move(files)), begin_(begin), end_(end) {
  for (size_t i = 0; i < files_->shards.size(); ++i) {
    uint64_t first = std::max(files_->starts[i], begin);
    uint64_t last = std::min(files_->starts[i] + files_->shards[i].size(), end);
    if (first < last)
      shards_.push_back({first - begin, last - begin});
  }
}

std::string TokenStream::describe() const {
  size_t more = files_->paths.size() - 1;
  return more ? concat(files_->paths.front(), " and ", more, " more") : files_->paths.front();
}

Status TokenStream::read(uint64_t first, std::span<int32_t> out) const {
  first += begin_;
  const std::vector<uint64_t> &starts = files_->starts;
  auto after = std::upper_bound(starts.begin(), starts.end(), first);
  for (size_t shard = static_cast<size_t>(after - starts.begin()) - 1; !out.empty(); ++shard) {
    uint64_t within = first - starts[shard];
    uint64_t count = std::min<uint64_t>(out.size(), files_->shards[shard].size() - within);
    SMELT_RETURN_IF_ERROR(files_->shards[shard].read(within, out.first(count)));
    out = out.subspan(count);
    first += count;
  }
  return Status::ok();
}

TokenStream TokenStream::slice(uint64_t first, uint64_t last) const {
  return TokenStream(files_, begin_ + first, begin_ + last);
}

} // namespace smelt::runtime
