//===- Json.h - JSON values that know where they stand ----------*- C++ -*-===//
//
// A strict JSON reader for specs. nlohmann/json's SAX parser decides what JSON is; this layer adds
// line and column of every key and value, refuses duplicate keys, depth over 64, files over 16 MiB
// and numbers that a double cannot hold.
//
//===----------------------------------------------------------------------===//
#ifndef SMELT_COMPILER_IMPORT_JSON_H
#define SMELT_COMPILER_IMPORT_JSON_H

#include "llvm/ADT/StringRef.h"
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace smelt {

/// Where a key or a value starts. `source` is an index into SpecDiagnostics' sources; line and
/// column count from 1, columns in bytes.
struct Mark {
  uint32_t source = 0;
  uint32_t line = 1;
  uint32_t column = 1;
};

struct JsonMember;

/// One value of the tree. Members keep the order of the file.
struct JsonValue {
  enum class Kind { Null, Boolean, Number, String, Array, Object };
  Kind kind = Kind::Null;
  Mark mark;
  bool boolean = false;
  /// Numbers: the value as a double, and whether the text is a plain integer that int64 holds.
  double number = 0;
  bool isInteger = false;
  int64_t integer = 0;
  /// Strings: the contents. Numbers: the text as written, from which exact fractions are read.
  std::string text;
  std::vector<JsonValue> elements;
  std::vector<JsonMember> members;

  bool isString() const { return kind == Kind::String; }
  bool isNumber() const { return kind == Kind::Number; }
  bool isObject() const { return kind == Kind::Object; }
  bool isArray() const { return kind == Kind::Array; }
  const JsonMember *find(llvm::StringRef key) const;
  /// The value of a member, or null.
  const JsonValue *get(llvm::StringRef key) const;
};

struct JsonMember {
  std::string key;
  Mark keyMark;
  JsonValue value;
};

class SpecDiagnostics;

constexpr size_t kMaxSpecBytes = 16u << 20;
constexpr unsigned kMaxSpecDepth = 64;

/// Parses `text`, which is the contents of `source`. Reports at most one error and returns false
/// then.
bool readJson(llvm::StringRef text, uint32_t source, SpecDiagnostics &diagnostics,
              JsonValue &result);

/// The tree as indented JSON text.
std::string printJson(const JsonValue &value);

/// "an object", "a string" …
llvm::StringRef describeKind(JsonValue::Kind kind);

} // namespace smelt
#endif
