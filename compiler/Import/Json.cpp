//===- Json.cpp - JSON values that know where they stand ------------------===//
//
// nlohmann's SAX events carry no positions. Every event is fired right after its token was read, in
// the order of the text, so a second cursor that walks the same text token by token always stands
// at the token of the current event.
//
//===----------------------------------------------------------------------===//
#define JSON_NOEXCEPTION 1
#include "compiler/Import/Json.h"
#include "compiler/Import/Rational.h"
#include "compiler/Import/SpecDiagnostics.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/raw_ostream.h"
#include <cmath>
#include <nlohmann/json.hpp>

using namespace smelt;

const JsonMember *JsonValue::find(llvm::StringRef key) const {
  for (const JsonMember &member : members)
    if (member.key == key)
      return &member;
  return nullptr;
}

const JsonValue *JsonValue::get(llvm::StringRef key) const {
  const JsonMember *member = find(key);
  return member ? &member->value : nullptr;
}

llvm::StringRef smelt::describeKind(JsonValue::Kind kind) {
  switch (kind) {
  case JsonValue::Kind::Null:
    return "null";
  case JsonValue::Kind::Boolean:
    return "a boolean";
  case JsonValue::Kind::Number:
    return "a number";
  case JsonValue::Kind::String:
    return "a string";
  case JsonValue::Kind::Array:
    return "an array";
  case JsonValue::Kind::Object:
    return "an object";
  }
  return "a value";
}

namespace {

/// Walks the text in step with the SAX events.
class Cursor {
public:
  Cursor(llvm::StringRef text, uint32_t source) : text(text), mark{source, 1, 1} {}

  /// Moves over white space and separators to the next token's first character.
  Mark nextToken() {
    while (offset < text.size() && llvm::StringRef(" \t\r\n,:").contains(text[offset]))
      advance();
    return mark;
  }
  void skipOne() {
    if (offset < text.size())
      advance();
  }
  void skipString() {
    skipOne();
    while (offset < text.size() && text[offset] != '"') {
      if (text[offset] == '\\')
        skipOne();
      skipOne();
    }
    skipOne();
  }
  /// A number or a literal; returns its text.
  llvm::StringRef skipWord() {
    size_t first = offset;
    while (offset < text.size() && !llvm::StringRef(" \t\r\n,:]}[{\"").contains(text[offset]))
      advance();
    return text.slice(first, offset);
  }
  Mark markAt(size_t target) {
    while (offset < text.size() && offset < target)
      advance();
    return mark;
  }

private:
  void advance() {
    if (text[offset++] == '\n') {
      ++mark.line;
      mark.column = 1;
    } else {
      ++mark.column;
    }
  }
  llvm::StringRef text;
  size_t offset = 0;
  Mark mark;
};

/// Builds the tree from the events. Each handler returns false after an error, which stops the
/// parser.
class TreeBuilder : public nlohmann::json_sax<nlohmann::json> {
public:
  TreeBuilder(llvm::StringRef text, uint32_t source, SpecDiagnostics &diagnostics, JsonValue &root)
      : text(text), source(source), diagnostics(diagnostics), root(root), cursor(text, source) {}

  bool null() override { return addWord(JsonValue::Kind::Null) != nullptr; }
  bool boolean(bool value) override {
    JsonValue *node = addWord(JsonValue::Kind::Boolean);
    node->boolean = value;
    return true;
  }
  bool number_integer(number_integer_t value) override { return addInteger(value); }
  bool number_unsigned(number_unsigned_t value) override {
    if (value > static_cast<number_unsigned_t>(INT64_MAX))
      return addDouble(static_cast<double>(value));
    return addInteger(static_cast<int64_t>(value));
  }
  bool number_float(number_float_t value, const string_t &) override { return addDouble(value); }
  bool string(string_t &value) override {
    Mark mark = cursor.nextToken();
    cursor.skipString();
    add(JsonValue::Kind::String, mark).text = value;
    return true;
  }
  bool binary(binary_t &) override { return false; }
  bool start_object(std::size_t) override { return open(JsonValue::Kind::Object); }
  bool start_array(std::size_t) override { return open(JsonValue::Kind::Array); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool key(string_t &name) override {
    Mark mark = cursor.nextToken();
    cursor.skipString();
    Level &level = stack.back();
    auto [known, isNew] = level.keys.try_emplace(name, mark);
    if (!isNew) {
      diagnostics.error(mark, "duplicate key '" + printable(name) + "'")
          .note(known->second, "first given here");
      return false;
    }
    level.node->members.push_back({name, mark, JsonValue()});
    return true;
  }

  bool parse_error(std::size_t position, const std::string &token,
                   const nlohmann::detail::exception &error) override {
    // The exception's text is "[json.exception…] parse error at line 1, column 2: what; last read:
    // '…'".
    llvm::StringRef what(error.what());
    size_t colon = what.find(": ");
    if (what.contains("number overflow parsing")) {
      diagnostics.error(cursor.nextToken(), "number out of range: a double cannot hold it");
      return false;
    }
    if (colon != llvm::StringRef::npos)
      what = what.substr(colon + 2);
    what = what.split("; last read").first;
    bool unexpected = what.contains("unexpected");
    // "syntax error while parsing object key - unexpected …": the rest says enough.
    if (what.starts_with("syntax error while parsing "))
      what = what.split(" - ").second;
    size_t length = unexpected ? std::max<size_t>(token.size(), 1) : 1;
    size_t offset = position >= length ? position - length : 0;
    offset = std::min(offset, text.size());
    Cursor fresh(text, source);
    Mark mark = fresh.markAt(offset);
    // At the end of the file point behind the last visible character instead of at an empty line.
    if (what.contains("end of input")) {
      Cursor end(text, source);
      mark = end.markAt(text.rtrim().size());
    }
    diagnostics.error(mark,
                      (what.starts_with("invalid") ? "" : "invalid JSON: ") + printable(what));
    return false;
  }

private:
  struct Level {
    JsonValue *node;
    llvm::StringMap<Mark> keys;
  };

  /// Puts a new value where the parser stands: into the open array, behind the last key, or at the
  /// root.
  JsonValue &add(JsonValue::Kind kind, Mark mark) {
    JsonValue *node = &root;
    if (!stack.empty()) {
      JsonValue *parent = stack.back().node;
      if (parent->isArray())
        node = &parent->elements.emplace_back();
      else
        node = &parent->members.back().value;
    }
    node->kind = kind;
    node->mark = mark;
    return *node;
  }
  JsonValue *addWord(JsonValue::Kind kind) {
    Mark mark = cursor.nextToken();
    llvm::StringRef word = cursor.skipWord();
    JsonValue &node = add(kind, mark);
    if (kind == JsonValue::Kind::Number)
      node.text = word.str();
    return &node;
  }
  bool addInteger(int64_t value) {
    JsonValue *node = addWord(JsonValue::Kind::Number);
    node->isInteger = true;
    node->integer = value;
    node->number = static_cast<double>(value);
    return true;
  }
  bool addDouble(double value) {
    JsonValue *node = addWord(JsonValue::Kind::Number);
    node->number = value;
    // 4096.0 and 1e3 are integers too, as in JSON Schema.
    if (std::optional<Rational> exact = parseRational(node->text);
        exact && exact->denominator == 1) {
      node->isInteger = true;
      node->integer = exact->numerator;
    }
    if (!std::isfinite(value)) {
      diagnostics.error(node->mark, "number out of range: a double cannot hold it");
      return false;
    }
    return true;
  }
  bool open(JsonValue::Kind kind) {
    Mark mark = cursor.nextToken();
    cursor.skipOne();
    if (stack.size() >= kMaxSpecDepth) {
      diagnostics.error(mark, "nesting deeper than " + std::to_string(kMaxSpecDepth) + " levels");
      return false;
    }
    // A parent's array may grow only after this child is closed, so the pointer stays valid while
    // it is on the stack.
    stack.push_back({&add(kind, mark), {}});
    return true;
  }
  bool close() {
    cursor.nextToken();
    cursor.skipOne();
    stack.pop_back();
    return true;
  }

  llvm::StringRef text;
  uint32_t source;
  SpecDiagnostics &diagnostics;
  JsonValue &root;
  Cursor cursor;
  std::vector<Level> stack;
};

/// Prints values on one line where they fit into 100 columns, otherwise one member a line.
class Printer {
public:
  explicit Printer(llvm::raw_ostream &os) : os(os) {}

  void print(const JsonValue &value, unsigned indent, unsigned column) {
    std::string line;
    flatten(value, line);
    bool isObject = value.isObject();
    size_t count = isObject ? value.members.size() : value.elements.size();
    if (count == 0 || column + line.size() <= 100) {
      os << line;
      return;
    }
    os << (isObject ? "{" : "[");
    for (size_t i = 0; i < count; ++i) {
      os << (i ? ",\n" : "\n");
      os.indent(indent + 2);
      std::string key = isObject ? quote(value.members[i].key) + ": " : "";
      os << key;
      print(isObject ? value.members[i].value : value.elements[i], indent + 2,
            indent + 2 + key.size());
    }
    os << "\n";
    os.indent(indent) << (isObject ? "}" : "]");
  }

private:
  static std::string quote(const std::string &text) {
    return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  }

  /// The value on one line; stops soon after the line is too long anyway.
  static void flatten(const JsonValue &value, std::string &line) {
    if (line.size() > 100 && (value.isArray() || value.isObject()))
      return;
    switch (value.kind) {
    case JsonValue::Kind::Null:
      line += "null";
      return;
    case JsonValue::Kind::Boolean:
      line += value.boolean ? "true" : "false";
      return;
    case JsonValue::Kind::Number:
      line += value.text;
      return;
    case JsonValue::Kind::String:
      line += quote(value.text);
      return;
    case JsonValue::Kind::Array:
      line += "[";
      for (const JsonValue &element : value.elements) {
        if (line.size() > 100)
          return;
        line += &element == &value.elements.front() ? "" : ", ";
        flatten(element, line);
      }
      line += "]";
      return;
    case JsonValue::Kind::Object:
      line += "{";
      for (const JsonMember &member : value.members) {
        if (line.size() > 100)
          return;
        line += (&member == &value.members.front() ? "" : ", ") + quote(member.key) + ": ";
        flatten(member.value, line);
      }
      line += "}";
      return;
    }
  }

  llvm::raw_ostream &os;
};

} // namespace

bool smelt::readJson(llvm::StringRef text, uint32_t source, SpecDiagnostics &diagnostics,
                     JsonValue &result) {
  // nlohmann would skip a byte-order mark; the grammar of specs has none.
  if (text.starts_with("\xEF\xBB\xBF")) {
    diagnostics.error({source, 1, 1}, "invalid JSON: the file starts with a byte-order mark");
    return false;
  }
  TreeBuilder builder(text, source, diagnostics, result);
  return nlohmann::json::sax_parse(text.begin(), text.end(), &builder);
}

std::string smelt::printJson(const JsonValue &value) {
  std::string text;
  llvm::raw_string_ostream os(text);
  Printer(os).print(value, 0, 0);
  os << "\n";
  return text;
}
