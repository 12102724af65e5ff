#include "runtime/checkpoint/TensorIndex.h"

#include <algorithm>
#include <charconv>

namespace smelt::runtime {

std::string nameOfRows(const std::string &name, int64_t first, int64_t last) {
  return concat(name, "[", first, ":", last, "]");
}

namespace {
/// Reads "[FIRST:LAST]" at the end of a name, which loses it.
bool takeRows(std::string &name, int64_t &first, int64_t &last) {
  size_t open = name.rfind('[');
  if (open == std::string::npos || name.back() != ']')
    return false;
  const char *at = name.data() + open + 1, *end = name.data() + name.size() - 1;
  auto [colon, wrong] = std::from_chars(at, end, first);
  if (wrong != std::errc() || colon == end || *colon != ':')
    return false;
  auto [stop, alsoWrong] = std::from_chars(colon + 1, end, last);
  if (alsoWrong != std::errc() || stop != end || first < 0 || last <= first)
    return false;
  name.resize(open);
  return true;
}
} // namespace

TensorIndex::TensorIndex(const std::vector<const SafetensorsFile *> &files) {
  for (const SafetensorsFile *file : files)
    add(*file);
}

TensorIndex::TensorIndex(const std::vector<SafetensorsFile> &files) {
  for (const SafetensorsFile &file : files)
    add(file);
}

void TensorIndex::add(const SafetensorsFile &file) {
  for (const auto &[name, tensor] : file.tensors()) {
    tensors_[name] = &tensor;
    std::string whole = name;
    Rows rows{0, tensor.shape.empty() ? 1 : tensor.shape[0], &tensor};
    takeRows(whole, rows.first, rows.last);
    std::vector<Rows> &all = rows_[whole];
    auto isBefore = [](const Rows &a, const Rows &b) { return a.first < b.first; };
    all.insert(std::upper_bound(all.begin(), all.end(), rows, isBefore), rows);
  }
}

const TensorView *TensorIndex::find(const std::string &name) const {
  auto it = tensors_.find(name);
  return it == tensors_.end() ? nullptr : it->second;
}

const std::vector<TensorIndex::Rows> &TensorIndex::findRows(const std::string &name) const {
  static const std::vector<Rows> none;
  auto it = rows_.find(name);
  return it == rows_.end() ? none : it->second;
}

} // namespace smelt::runtime
