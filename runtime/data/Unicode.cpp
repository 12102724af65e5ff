#include "runtime/data/Unicode.h"

#include <algorithm>
#include <iterator>

namespace smelt::runtime {

namespace {
struct CodePointRange {
  uint32_t first;
  uint32_t last;
};
#include "runtime/data/UnicodeTable.inc"

constexpr CodePointRange kSpaces[] = {
    {0x9, 0xd},       {0x20, 0x20},     {0x85, 0x85},     {0xa0, 0xa0},     {0x1680, 0x1680},
    {0x2000, 0x200a}, {0x2028, 0x2029}, {0x202f, 0x202f}, {0x205f, 0x205f}, {0x3000, 0x3000}};

template <size_t N> bool isIn(const CodePointRange (&ranges)[N], uint32_t codePoint) {
  auto after =
      std::upper_bound(std::begin(ranges), std::end(ranges), codePoint,
                       [](uint32_t point, const CodePointRange &r) { return point < r.first; });
  return after != std::begin(ranges) && codePoint <= std::prev(after)->last;
}
} // namespace

CharacterClass classOf(uint32_t codePoint) {
  if (isIn(kLetters, codePoint))
    return CharacterClass::Letter;
  if (isIn(kSpaces, codePoint))
    return CharacterClass::Space;
  return isIn(kNumbers, codePoint) ? CharacterClass::Number : CharacterClass::Other;
}

CharacterClass classAt(const Character &character) {
  return character.isValid ? classOf(character.codePoint) : CharacterClass::Other;
}

Character readCharacter(std::string_view text, size_t at) {
  auto byte = [&](size_t i) { return static_cast<uint32_t>(static_cast<unsigned char>(text[i])); };
  uint32_t lead = byte(at);
  Character lone = {lead, 1, false};
  if (lead < 0x80)
    return {lead, 1, true};
  uint32_t bytes = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() - at < bytes)
    return lone;
  uint32_t codePoint = lead & (0x7f >> bytes);
  for (uint32_t i = 1; i < bytes; ++i) {
    uint32_t next = byte(at + i);
    if ((next & 0xc0) != 0x80)
      return lone;
    codePoint = codePoint << 6 | (next & 0x3f);
  }
  bool isOverlong = (bytes == 3 && codePoint < 0x800) || (bytes == 4 && codePoint < 0x10000);
  bool isSurrogate = codePoint >= 0xd800 && codePoint < 0xe000;
  if (isOverlong || isSurrogate || codePoint > 0x10ffff)
    return lone;
  return {codePoint, bytes, true};
}

void appendUtf8(uint32_t codePoint, std::string &to) {
  auto add = [&](uint32_t byte) { to += static_cast<char>(byte); };
  if (codePoint < 0x80)
    return add(codePoint);
  if (codePoint < 0x800) {
    add(0xc0 | codePoint >> 6);
  } else if (codePoint < 0x10000) {
    add(0xe0 | codePoint >> 12);
    add(0x80 | (codePoint >> 6 & 0x3f));
  } else {
    add(0xf0 | codePoint >> 18);
    add(0x80 | (codePoint >> 12 & 0x3f));
    add(0x80 | (codePoint >> 6 & 0x3f));
  }
  add(0x80 | (codePoint & 0x3f));
}

} // namespace smelt::runtime
