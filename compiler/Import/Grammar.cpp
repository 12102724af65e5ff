//===- Grammar.cpp - Checks a spec against the table of its keys ----------===//
#include "compiler/Import/Grammar.h"
#include "compiler/Import/SpecDiagnostics.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Regex.h"
#include <charconv>

using namespace smelt;

namespace {

bool fits(JsonValue::Kind kind, Rule::Kind rule) {
  switch (rule) {
  case Rule::Kind::Any:
    return true;
  case Rule::Kind::Boolean:
    return kind == JsonValue::Kind::Boolean;
  case Rule::Kind::Integer:
  case Rule::Kind::Number:
    return kind == JsonValue::Kind::Number;
  case Rule::Kind::String:
  case Rule::Kind::Choice:
    return kind == JsonValue::Kind::String;
  case Rule::Kind::List:
    return kind == JsonValue::Kind::Array;
  case Rule::Kind::Map:
  case Rule::Kind::Object:
    return kind == JsonValue::Kind::Object;
  case Rule::Kind::ByType:
    return false;
  }
  return false;
}

std::string describe(const Rule &rule) {
  switch (rule.kind) {
  case Rule::Kind::Any:
    return "anything";
  case Rule::Kind::Boolean:
    return "true or false";
  case Rule::Kind::Integer:
    return "an integer";
  case Rule::Kind::Number:
    return "a number";
  case Rule::Kind::String:
  case Rule::Kind::Choice:
    return "a string";
  case Rule::Kind::List:
    return "an array";
  case Rule::Kind::Map:
  case Rule::Kind::Object:
    return "an object";
  case Rule::Kind::ByType:
    break;
  }
  std::string text;
  for (const Rule *alternative : rule.alternatives) {
    if (!text.empty())
      text += alternative == rule.alternatives.back() ? " or " : ", ";
    text += describe(*alternative);
  }
  return text;
}

std::string formatNumber(double value) {
  if (value > -1e15 && value < 1e15 && value == static_cast<double>(static_cast<int64_t>(value)))
    return std::to_string(static_cast<int64_t>(value));
  char buffer[32];
  return std::string(buffer, std::to_chars(buffer, buffer + sizeof(buffer), value).ptr);
}

class Checker {
public:
  explicit Checker(SpecDiagnostics &diagnostics) : diagnostics(diagnostics) {}

  /// `what` names the value in messages: "'scale'", "an element of 'heads'".
  void check(const JsonValue &value, const Rule &rule, const std::string &what) {
    if (diagnostics.isFull())
      return;
    if (rule.kind == Rule::Kind::ByType) {
      for (const Rule *alternative : rule.alternatives)
        if (fits(value.kind, alternative->kind))
          return check(value, *alternative, what);
      return wrongType(value, rule, what);
    }
    if (!fits(value.kind, rule.kind))
      return wrongType(value, rule, what);
    switch (rule.kind) {
    case Rule::Kind::Any:
    case Rule::Kind::Boolean:
    case Rule::Kind::ByType:
      return;
    case Rule::Kind::Integer:
    case Rule::Kind::Number:
      return checkNumber(value, rule, what);
    case Rule::Kind::String:
      if (!matches(value.text, rule))
        diagnostics.error(value.mark, what + " must be " + rule.patternText);
      return;
    case Rule::Kind::Choice:
      if (!llvm::is_contained(rule.choices, value.text))
        diagnostics.error(value.mark, what + " cannot be '" + printable(value.text) +
                                          "'; it is one of " + llvm::join(rule.choices, ", ") +
                                          didYouMean(value.text, rule.choices));
      return;
    case Rule::Kind::List:
      return checkList(value, rule, what);
    case Rule::Kind::Map:
      return checkMap(value, rule, what);
    case Rule::Kind::Object:
      return checkObject(value, rule, what);
    }
  }

private:
  static bool matches(llvm::StringRef text, const Rule &rule) {
    return rule.pattern.empty() ||
           (text.find('\0') == llvm::StringRef::npos && text.find('\n') == llvm::StringRef::npos &&
            llvm::Regex(rule.pattern).match(text));
  }

  void wrongType(const JsonValue &value, const Rule &rule, const std::string &what) {
    diagnostics.error(value.mark,
                      what + " must be " + describe(rule) + ", not " + describeKind(value.kind));
  }

  void checkNumber(const JsonValue &value, const Rule &rule, const std::string &what) {
    if (rule.kind == Rule::Kind::Integer && !value.isInteger) {
      diagnostics.error(value.mark, what + " must be an integer, not " + printable(value.text));
      return;
    }
    if (value.number < rule.minimum)
      diagnostics.error(value.mark, what + " must be at least " + formatNumber(rule.minimum));
    else if (value.number > rule.maximum)
      diagnostics.error(value.mark, what + " must be at most " + formatNumber(rule.maximum));
  }

  void checkCount(const JsonValue &value, size_t count, const Rule &rule, const std::string &what) {
    if (count < rule.minCount)
      diagnostics.error(value.mark, what + " must have at least " + llvm::Twine(rule.minCount) +
                                        (rule.minCount == 1 ? " element" : " elements"));
    else if (count > rule.maxCount)
      diagnostics.error(value.mark,
                        what + " must have at most " + llvm::Twine(rule.maxCount) + " elements");
  }

  void checkList(const JsonValue &value, const Rule &rule, const std::string &what) {
    checkCount(value, value.elements.size(), rule, what);
    for (const JsonValue &element : value.elements)
      check(element, *rule.element,
            rule.element->noun.empty() ? "an element of " + what : rule.element->noun.str());
  }

  void checkMap(const JsonValue &value, const Rule &rule, const std::string &what) {
    checkCount(value, value.members.size(), rule, what);
    std::vector<llvm::StringRef> known;
    for (const KeyRule &key : rule.keys)
      known.push_back(key.name);
    for (const JsonMember &member : value.members) {
      auto key =
          llvm::find_if(rule.keys, [&](const KeyRule &key) { return key.name == member.key; });
      if (key == rule.keys.end() && !matches(member.key, rule))
        diagnostics.error(member.keyMark, "a key of " + what + " must be " + rule.patternText +
                                              ", not '" + printable(member.key) + "'");
      else
        check(member.value, key == rule.keys.end() ? *rule.element : *key->rule,
              "'" + printable(member.key) + "'");
    }
    for (const KeyRule &key : rule.keys)
      if (key.required && !value.find(key.name))
        reportMissing(value, key, known, what);
  }

  /// A map takes any name, so a misspelt key shows only by the one that is missing.
  void reportMissing(const JsonValue &value, const KeyRule &key,
                     llvm::ArrayRef<llvm::StringRef> known, const std::string &what) {
    auto report = diagnostics.error(value.mark, "missing key '" + key.name + "' in " + what);
    for (const JsonMember &member : value.members)
      if (!llvm::is_contained(known, member.key) && !didYouMean(member.key, {key.name}).empty())
        report.note(member.keyMark, "is this meant to be '" + key.name + "'?");
  }

  void checkObject(const JsonValue &value, const Rule &rule, const std::string &what) {
    std::vector<llvm::StringRef> known;
    for (const KeyRule &key : rule.tags)
      known.push_back(key.name);
    for (const KeyRule &key : rule.keys)
      known.push_back(key.name);
    const JsonMember *tag = nullptr;
    bool unknown = false;
    std::vector<std::string> suggested;
    for (const JsonMember &member : value.members) {
      auto isThis = [&](const KeyRule &key) { return key.name == member.key; };
      if (auto it = llvm::find_if(rule.tags, isThis); it != rule.tags.end()) {
        if (tag)
          diagnostics
              .error(member.keyMark,
                     rule.noun + " has one operation; '" + member.key + "' is a second one")
              .note(tag->keyMark, "the first one is here");
        else
          tag = &member;
        check(member.value, *it->rule, "'" + member.key + "'");
      } else if (auto it = llvm::find_if(rule.keys, isThis); it != rule.keys.end()) {
        check(member.value, *it->rule, "'" + member.key + "'");
      } else {
        unknown = true;
        std::string hint = didYouMean(member.key, known);
        diagnostics.error(member.keyMark,
                          "unknown key '" + printable(member.key) + "' in " + what + hint);
        suggested.push_back(hint);
      }
    }
    if (!rule.tags.empty() && !tag && !unknown) {
      std::string names;
      for (const KeyRule &key : rule.tags)
        names += (names.empty() ? "" : ", ") + key.name.str();
      diagnostics.error(value.mark, rule.noun + " needs one of the keys " + names);
    }
    // A key that is only misspelt is not reported as missing too.
    for (const KeyRule &key : rule.keys) {
      bool misspelt = llvm::any_of(suggested, [&](const std::string &hint) {
        return llvm::StringRef(hint).contains("'" + key.name.str() + "'");
      });
      if (key.required && !value.find(key.name) && !misspelt)
        diagnostics.error(value.mark, "missing key '" + key.name + "' in " + what);
    }
  }

  SpecDiagnostics &diagnostics;
};

} // namespace

bool smelt::checkGrammar(const JsonValue &value, const Rule &rule, SpecDiagnostics &diagnostics) {
  unsigned before = diagnostics.getErrorCount();
  Checker(diagnostics).check(value, rule, "the spec");
  return diagnostics.getErrorCount() == before;
}
