//===- SplitGpt2.h - GPT-2's cut of text into words -------------*- C++ -*-===//
//
// Byte-pair merges do not cross words. GPT-2 finds words with the regular expression
//
//   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
//
// which is done here by hand: the standard library's expressions know no Unicode.
//
//===----------------------------------------------------------------------===//
#pragma once

#include <string_view>

namespace smelt::runtime {

/// The first word of a text that is not empty, at least one byte. Calling it on what is left again
/// and again gives all words. Bytes that are not UTF-8 are symbols (neither letter, number nor
/// space), so nothing of the text is lost.
std::string_view firstGpt2Word(std::string_view text);

} // namespace smelt::runtime
