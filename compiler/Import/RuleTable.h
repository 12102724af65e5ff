//===- RuleTable.h - The table of all keys of a spec ------------*- C++ -*-===//
#ifndef SMELT_COMPILER_IMPORT_RULETABLE_H
#define SMELT_COMPILER_IMPORT_RULETABLE_H

#include "compiler/Import/Grammar.h"
#include <deque>

namespace smelt {

/// Owns the rules; pointers to them stay valid.
class RuleTable {
public:
  RuleTable();
  const Rule *spec, *overlay;

private:
  static constexpr double kMaxDim = 2147483647;
  /// Runs compute in f32: what it cannot hold would be an infinity there.
  static constexpr double kMaxNumber = FLT_MAX;

  Rule *add(Rule rule) { return &rules.emplace_back(std::move(rule)); }
  Rule *integer(double minimum, double maximum = kMaxDim) {
    return add({.kind = Rule::Kind::Integer, .minimum = minimum, .maximum = maximum});
  }
  Rule *number(double minimum, double maximum) {
    return add({.kind = Rule::Kind::Number, .minimum = minimum, .maximum = maximum});
  }
  Rule *choice(std::vector<llvm::StringRef> choices) {
    return add({.kind = Rule::Kind::Choice, .choices = std::move(choices)});
  }
  Rule *list(const Rule *element, size_t minCount = 0, size_t maxCount = Rule::kAnyCount) {
    return add(
        {.kind = Rule::Kind::List, .element = element, .minCount = minCount, .maxCount = maxCount});
  }
  Rule *map(const Rule *element, llvm::StringRef pattern, llvm::StringRef patternText,
            size_t minCount = 0) {
    return add({.kind = Rule::Kind::Map,
                .pattern = pattern,
                .patternText = patternText,
                .element = element,
                .minCount = minCount});
  }
  Rule *object(std::vector<KeyRule> keys) {
    return add({.kind = Rule::Kind::Object, .keys = std::move(keys)});
  }
  Rule *tagged(llvm::StringRef noun, std::vector<KeyRule> tags, std::vector<KeyRule> keys = {}) {
    return add({.kind = Rule::Kind::Object,
                .keys = std::move(keys),
                .tags = std::move(tags),
                .noun = noun});
  }
  Rule *byType(std::vector<const Rule *> alternatives) {
    return add({.kind = Rule::Kind::ByType, .alternatives = std::move(alternatives)});
  }
  Rule *named(llvm::StringRef name, Rule *rule) {
    rule->name = name;
    return rule;
  }

  void addValues();
  void addSteps();
  void addModel();
  void addTraining();

  std::deque<Rule> rules;
  Rule *text, *boolean, *positive, *dtype, *name, *dimension, *nonNegative, *anyNumber;
  Rule *fraction, *share, *rate, *coefficient, *init, *steps, *empty, *windowName;
  Rule *dims, *scalars, *embeddings, *rope, *training, *data;
};

} // namespace smelt
#endif
