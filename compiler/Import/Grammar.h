//===- Grammar.h - The keys and value types of a spec, as data --*- C++ -*-===//
//
// One table (GrammarRules.cpp) says which keys a spec may have and what their values are. It drives
// both the check of a spec (checkGrammar) and models/schema.json (printSchema), so the two cannot
// drift apart.
//
//===----------------------------------------------------------------------===//
#ifndef SMELT_COMPILER_IMPORT_GRAMMAR_H
#define SMELT_COMPILER_IMPORT_GRAMMAR_H

#include "compiler/Import/Json.h"
#include <cfloat>
#include <string>
#include <vector>

namespace smelt {

class SpecDiagnostics;
struct Rule;

struct KeyRule {
  llvm::StringRef name;
  const Rule *rule;
  llvm::StringRef about;
  bool required = false;
};

/// What a JSON value may be.
struct Rule {
  static constexpr size_t kAnyCount = SIZE_MAX;
  enum class Kind { Any, Boolean, Integer, Number, String, Choice, List, Map, Object, ByType };
  Kind kind;
  /// Name in the schema's $defs; empty: written in place.
  llvm::StringRef name = "";
  /// Integer and Number: inclusive bounds.
  double minimum = -DBL_MAX, maximum = DBL_MAX;
  /// Choice: the allowed strings.
  std::vector<llvm::StringRef> choices = {};
  /// String, and Map for its keys: an anchored pattern, and how to say it in an error.
  llvm::StringRef pattern = "", patternText = "";
  /// List and Map: what each element is; List: how many.
  const Rule *element = nullptr;
  size_t minCount = 0, maxCount = kAnyCount;
  /// Object: the keys, and the tags, of which exactly one must stand there. Map: keys that must
  /// stand there.
  std::vector<KeyRule> keys = {}, tags = {};
  /// ByType: alternatives with different JSON types.
  std::vector<const Rule *> alternatives = {};
  /// Object with tags: what it is called in errors ("a step").
  llvm::StringRef noun = "";
};

/// The rules of a whole spec, and of one that stands on another.
const Rule &getSpecRule();
const Rule &getOverlayRule();

/// Reports everything in `value` that the rule forbids; returns true when there was nothing.
bool checkGrammar(const JsonValue &value, const Rule &rule, SpecDiagnostics &diagnostics);

/// models/schema.json and models/overlay-schema.json: JSON Schema, draft 2020-12.
std::string printSchema();
std::string printOverlaySchema();

} // namespace smelt
#endif
