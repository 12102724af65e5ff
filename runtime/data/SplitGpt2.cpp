#include "runtime/data/SplitGpt2.h"
#include "runtime/data/Unicode.h"

namespace smelt::runtime {

namespace {
/// The end of the characters of class `wanted` from `at` on; `last` becomes where the last one
/// begins.
size_t skipClass(std::string_view text, size_t at, CharacterClass wanted, size_t &last) {
  while (at < text.size()) {
    Character character = readCharacter(text, at);
    if (classAt(character) != wanted)
      break;
    last = at;
    at += character.bytes;
  }
  return at;
}

/// The length of an English contraction at the text's beginning, or 0.
size_t contraction(std::string_view text) {
  for (std::string_view ending : {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"})
    if (text.substr(0, ending.size()) == ending)
      return ending.size();
  return 0;
}
} // namespace

std::string_view firstGpt2Word(std::string_view text) {
  if (size_t length = contraction(text))
    return text.substr(0, length);
  // One space belongs to the word after it, of whatever class that is.
  size_t begin = text.size() > 1 && text[0] == ' ' ? 1 : 0, last = 0;
  CharacterClass first = classAt(readCharacter(text, begin));
  if (first != CharacterClass::Space)
    return text.substr(0, skipClass(text, begin, first, last));
  // Of several spaces the last one is left to the word that follows.
  size_t end = skipClass(text, 0, CharacterClass::Space, last);
  return text.substr(0, end < text.size() && last > 0 ? last : end);
}

} // namespace smelt::runtime
