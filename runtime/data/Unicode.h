//===- Unicode.h - UTF-8 and the classes that tokenizers need ---*- C++ -*-===//
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace smelt::runtime {

enum class CharacterClass { Letter, Number, Space, Other };

/// Letter: category L*; Number: N*; Space: property White_Space.
CharacterClass classOf(uint32_t codePoint);

/// One character of a text. A byte that does not begin well-formed UTF-8 (no overlong forms, no
/// surrogates, at most U+10FFFF) is a character of its own, of class Other.
struct Character {
  uint32_t codePoint = 0; ///< Of a lone byte: the byte.
  uint32_t bytes = 1;
  bool isValid = false;
};
/// The character at `at` < text.size().
Character readCharacter(std::string_view text, size_t at);
CharacterClass classAt(const Character &character);

void appendUtf8(uint32_t codePoint, std::string &to);

} // namespace smelt::runtime
