//===- ReadBytePairs.cpp - vocab.bpe and encoder.json, tiktoken ranks -----===//

#include "runtime/base/Files.h"
#include "runtime/data/BytePairs.h"
#include "runtime/data/Unicode.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <limits>
#include <optional>

namespace smelt::runtime {

namespace {
constexpr const char *kEndOfText = "<|endoftext|>";
constexpr uint64_t kMaxFileBytes = uint64_t(1) << 28;
constexpr int64_t kMaxTokens = 1 << 24;

/// GPT-2 writes bytes as letters: those that print as themselves, the others as U+0100 and on.
class ByteLetters {
public:
  ByteLetters() {
    uint32_t next = 0x100;
    for (uint32_t byte = 0; byte < 256; ++byte) {
      bool prints = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte != 0xad);
      byteOf_[prints ? byte : next++] = static_cast<unsigned char>(byte);
    }
  }
  /// The bytes that the letters stand for; nothing if one stands for none.
  std::optional<std::string> decode(std::string_view letters) const {
    std::string bytes;
    for (size_t at = 0; at < letters.size();) {
      Character letter = readCharacter(letters, at);
      auto it = byteOf_.find(letter.codePoint);
      if (!letter.isValid || it == byteOf_.end())
        return std::nullopt;
      bytes += static_cast<char>(it->second);
      at += letter.bytes;
    }
    return bytes;
  }

private:
  std::map<uint32_t, unsigned char> byteOf_;
};

/// Calls `useLine(line, number)` for each line, numbered from 1, until one fails.
template <typename UseLine> Status forEachLine(std::string_view text, UseLine useLine) {
  for (size_t number = 1; !text.empty(); ++number) {
    size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    if (!line.empty() && line.back() == '\r')
      line.remove_suffix(1);
    if (!line.empty())
      SMELT_RETURN_IF_ERROR(useLine(line, number).withContext(concat("line ", number)));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return Status::ok();
}

std::optional<std::string> decodeBase64(std::string_view text) {
  constexpr std::string_view digits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  while (!text.empty() && text.back() == '=')
    text.remove_suffix(1);
  std::string bytes;
  uint32_t bits = 0, count = 0;
  for (char c : text) {
    size_t digit = digits.find(c);
    if (digit == std::string_view::npos)
      return std::nullopt;
    bits = bits << 6 | static_cast<uint32_t>(digit);
    count += 6;
    if (count >= 8)
      bytes += static_cast<char>(bits >> (count -= 8) & 0xff);
  }
  return bytes;
}
} // namespace

struct BytePairs::Reader {
  BytePairs result;
  std::unordered_map<std::string, int32_t> tokenOf;

  /// Gives `bytes` the number `token`.
  Status add(std::string bytes, int64_t token) {
    if (token < 0 || token >= kMaxTokens)
      return corruptError("the token's number ", token, " is out of range");
    if (static_cast<size_t>(token) >= result.bytes_.size())
      result.bytes_.resize(static_cast<size_t>(token) + 1);
    if (bytes.empty() || !result.bytes_[token].empty())
      return corruptError("token ", token, bytes.empty() ? " is empty" : " appears twice");
    result.bytes_[token] = bytes;
    if (!tokenOf.emplace(std::move(bytes), static_cast<int32_t>(token)).second)
      return corruptError("token ", token, " has the bytes of another one");
    return Status::ok();
  }

  /// The token of these bytes, −1 if there is none.
  int32_t find(const std::string &bytes) const {
    auto it = tokenOf.find(bytes);
    return it == tokenOf.end() ? -1 : it->second;
  }

  /// Numbers are without holes, and each byte is a token.
  Status checkWhole() {
    for (size_t token = 0; token < result.bytes_.size(); ++token)
      if (result.bytes_[token].empty())
        return corruptError("there is no token ", token);
    for (int byte = 0; byte < 256; ++byte) {
      result.ofByte_[byte] = find(std::string(1, static_cast<char>(byte)));
      if (result.ofByte_[byte] < 0)
        return corruptError("there is no token for byte ", byte);
    }
    return Status::ok();
  }

  Status readEncoder(const std::string &path) {
    SMELT_ASSIGN_OR_RETURN(std::string text, readFile(path, kMaxFileBytes));
    auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (!json.is_object())
      return corruptError("it is not a JSON object");
    ByteLetters letters;
    for (const auto &[name, number] : json.items()) {
      if (!number.is_number_integer())
        return corruptError("\"", name, "\" has no number");
      std::optional<std::string> bytes = letters.decode(name);
      if (name == kEndOfText)
        result.endOfText_ = number.get<int32_t>();
      SMELT_RETURN_IF_ERROR(add(bytes.value_or(name), number.get<int64_t>()));
    }
    if (result.endOfText_ < 0)
      return corruptError("it has no \"", kEndOfText, "\"");
    tokenOf.erase(kEndOfText); // Text never becomes it.
    return checkWhole();
  }

  Status readMergeLine(std::string_view line, const ByteLetters &letters) {
    size_t space = line.find(' ');
    auto left = letters.decode(line.substr(0, space));
    auto right = space == line.npos ? std::nullopt : letters.decode(line.substr(space + 1));
    if (!left || !right || left->empty() || right->empty())
      return corruptError("it is not two tokens with a space between them");
    int32_t leftToken = find(*left), rightToken = find(*right), merged = find(*left + *right);
    if (leftToken < 0 || rightToken < 0 || merged < 0)
      return corruptError("the vocabulary lacks one of its tokens or what they become");
    // A token is made before it is used; so it does not matter whether one merge is done
    // everywhere before the next, or the best one anywhere first.
    if (!made[leftToken] || !made[rightToken])
      return corruptError("it uses a token that a later line makes");
    made[merged] = true;
    auto rank = static_cast<uint32_t>(result.merges_.size());
    if (!result.merges_.emplace(keyOf(leftToken, rightToken), Merge{rank, merged}).second)
      return corruptError("the merge appears twice");
    return Status::ok();
  }

  Status readMergeLines(const std::string &path) {
    SMELT_ASSIGN_OR_RETURN(std::string text, readFile(path, kMaxFileBytes));
    ByteLetters letters;
    made.assign(result.bytes_.size(), false);
    for (int32_t token : result.ofByte_)
      made[token] = true;
    return forEachLine(text, [&](std::string_view line, size_t number) {
      bool isComment = number == 1 && line.substr(0, 9) == "#version:";
      return isComment ? Status::ok() : readMergeLine(line, letters);
    });
  }

  Status readRankLine(std::string_view line) {
    size_t space = line.find(' ');
    auto bytes = decodeBase64(line.substr(0, space));
    std::string_view digits = space == line.npos ? "" : line.substr(space + 1);
    if (!bytes || digits.empty() || digits.size() > 9 ||
        digits.find_first_not_of("0123456789") != digits.npos)
      return corruptError("it is not a token in base64, a space and a rank");
    return add(*std::move(bytes), std::stol(std::string(digits)));
  }

  /// Every cut of a token into two tokens is a merge; so the table answers what tiktoken asks:
  /// whether two neighbours together are a token.
  void addMergesOfRanks() {
    for (size_t token = 0; token < result.bytes_.size(); ++token) {
      const std::string &bytes = result.bytes_[token];
      for (size_t cut = 1; cut < bytes.size(); ++cut) {
        int32_t left = find(bytes.substr(0, cut)), right = find(bytes.substr(cut));
        if (left >= 0 && right >= 0)
          result.merges_[keyOf(left, right)] = {static_cast<uint32_t>(token),
                                                static_cast<int32_t>(token)};
      }
    }
  }

  std::vector<bool> made; ///< By token: a byte, or the result of a merge that has been read.
};

StatusOr<BytePairs> BytePairs::readMerges(const std::string &vocabularyPath,
                                          const std::string &mergesPath) {
  Reader reader;
  SMELT_RETURN_IF_ERROR(reader.readEncoder(vocabularyPath).withContext(vocabularyPath));
  SMELT_RETURN_IF_ERROR(reader.readMergeLines(mergesPath).withContext(mergesPath));
  return std::move(reader.result);
}

StatusOr<BytePairs> BytePairs::readRanks(const std::string &path) {
  Reader reader;
  BytePairs &result = reader.result;
  StatusOr<std::string> text = readFile(path, kMaxFileBytes);
  if (!text.isOk())
    return text.status();
  Status status =
      forEachLine(*text, [&](std::string_view line, size_t) { return reader.readRankLine(line); });
  if (status.isOk())
    status = reader.checkWhole();
  SMELT_RETURN_IF_ERROR(status.withContext(path));
  reader.addMergesOfRanks();
  result.endOfText_ = static_cast<int32_t>(result.bytes_.size());
  result.bytes_.push_back(kEndOfText);
  for (int32_t token = 0; token < result.endOfText_; ++token)
    result.words_[result.bytes_[token]] = token;
  return std::move(result);
}

} // namespace smelt::runtime
