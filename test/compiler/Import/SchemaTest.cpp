//===- SchemaTest.cpp - models/schema.json says what the importer does ----===//
//
// Both come from one table; this test checks that the published file is the printed one, and that a
// plain JSON Schema validator and checkGrammar agree on thousands of damaged specs, in both
// directions.
//
//===----------------------------------------------------------------------===//
#include "compiler/Import/Grammar.h"
#include "compiler/Import/SpecDiagnostics.h"
#include "test/compiler/Import/SpecText.h"
#include "llvm/Support/Regex.h"
#include <gtest/gtest.h>

using smelt::JsonValue;

namespace {

/// The part of JSON Schema 2020-12 that printSchema uses. An unknown keyword fails the test.
class SchemaValidator {
public:
  explicit SchemaValidator(const JsonValue &root) : root(root) {}

  bool accepts(const JsonValue &schema, const JsonValue &value) {
    for (const smelt::JsonMember &member : schema.members)
      if (!acceptsKeyword(schema, member.key, member.value, value))
        return false;
    return true;
  }

private:
  bool acceptsKeyword(const JsonValue &schema, llvm::StringRef keyword, const JsonValue &argument,
                      const JsonValue &value) {
    if (keyword == "$schema" || keyword == "title" || keyword == "description" ||
        keyword == "$defs")
      return true;
    if (keyword == "$ref")
      return accepts(*root.get("$defs")->get(llvm::StringRef(argument.text).drop_front(8)), value);
    if (keyword == "type")
      return hasType(argument.text, value);
    if (keyword == "enum")
      return llvm::any_of(argument.elements, [&](const JsonValue &one) {
        return value.isString() && one.text == value.text;
      });
    if (keyword == "minimum")
      return !value.isNumber() || value.number >= argument.number;
    if (keyword == "maximum")
      return !value.isNumber() || value.number <= argument.number;
    if (keyword == "pattern")
      return !value.isString() || matches(argument.text, value.text);
    if (keyword == "minItems")
      return !value.isArray() || value.elements.size() >= argument.number;
    if (keyword == "maxItems")
      return !value.isArray() || value.elements.size() <= argument.number;
    if (keyword == "minProperties")
      return !value.isObject() || value.members.size() >= argument.number;
    if (keyword == "required")
      return !value.isObject() || llvm::all_of(argument.elements, [&](const JsonValue &key) {
        return value.find(key.text) != nullptr;
      });
    if (keyword == "items")
      return !value.isArray() || llvm::all_of(value.elements, [&](const JsonValue &one) {
        return accepts(argument, one);
      });
    if (keyword == "anyOf")
      return llvm::any_of(argument.elements,
                          [&](const JsonValue &one) { return accepts(one, value); });
    if (keyword == "oneOf")
      return llvm::count_if(argument.elements,
                            [&](const JsonValue &one) { return accepts(one, value); }) == 1;
    if (keyword == "properties" || keyword == "patternProperties" ||
        keyword == "additionalProperties")
      return !value.isObject() || acceptsMembers(schema, keyword, value);
    ADD_FAILURE() << "the schema uses the keyword " << keyword.str();
    return false;
  }

  bool acceptsMembers(const JsonValue &schema, llvm::StringRef keyword, const JsonValue &value) {
    const JsonValue *properties = schema.get("properties"),
                    *patterns = schema.get("patternProperties");
    for (const smelt::JsonMember &member : value.members) {
      const JsonValue *own = properties ? properties->get(member.key) : nullptr;
      bool matched = own != nullptr;
      if (keyword == "properties" && own && !accepts(*own, member.value))
        return false;
      if (patterns)
        for (const smelt::JsonMember &pattern : patterns->members)
          if (matches(pattern.key, member.key)) {
            matched = true;
            if (keyword == "patternProperties" && !accepts(pattern.value, member.value))
              return false;
          }
      if (keyword == "additionalProperties" && !matched)
        return false;
    }
    return true;
  }

  bool matches(const std::string &pattern, llvm::StringRef text) {
    return patterns.try_emplace(pattern, pattern).first->second.match(text);
  }

  static bool hasType(llvm::StringRef type, const JsonValue &value) {
    if (type == "object")
      return value.isObject();
    if (type == "array")
      return value.isArray();
    if (type == "string")
      return value.isString();
    if (type == "boolean")
      return value.kind == JsonValue::Kind::Boolean;
    return value.isNumber() && (type == "number" || value.isInteger);
  }

  const JsonValue &root;
  std::map<std::string, llvm::Regex> patterns; ///< Compiled once, then matched a million times.
};

std::string readModel(const std::string &name) {
  std::ifstream file(std::string(SMELT_MODELS) + "/" + name, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

class Schema : public ::testing::Test {
protected:
  Schema() : handler(&context, [](mlir::Diagnostic &) { return mlir::success(); }) {
    smelt::SpecDiagnostics diagnostics(context);
    diagnostics.addSource("schema.json");
    EXPECT_TRUE(smelt::readJson(readModel("schema.json"), 0, diagnostics, schema));
  }

  JsonValue parse(const std::string &text) {
    smelt::SpecDiagnostics diagnostics(context);
    diagnostics.addSource("a.json");
    JsonValue value;
    EXPECT_TRUE(smelt::readJson(text, 0, diagnostics, value));
    return value;
  }

  bool importerAccepts(const JsonValue &value) {
    smelt::SpecDiagnostics diagnostics(context);
    diagnostics.addSource("a.json");
    return smelt::checkGrammar(value, smelt::getSpecRule(), diagnostics);
  }
  bool schemaAccepts(const JsonValue &value) { return validator.accepts(schema, value); }

  /// Changes one place of `node` after the other and compares both verdicts; `root` is the whole
  /// spec.
  void damage(JsonValue &node, const JsonValue &root) {
    JsonValue original = node;
    for (const char *replacement :
         {"null", "true", "0", "-1", "0.5", "1e308", "4.0", "\"\"", "\"1/3\"", "\"zeros\"", "[]",
          "[[1, 2]]", "{}", "{\"normal\": 1}", "3000000000"}) {
      node = parse(replacement);
      compare(root);
    }
    node = original;
    for (size_t i = 0; i < node.members.size(); ++i) {
      node.members.erase(node.members.begin() + i);
      compare(root);
      node = original;
      for (const char *key : {"unknown", "only", "01", "tanh", "", "every"}) {
        if (!node.find(key)) {
          node.members[i].key = key;
          compare(root);
          node = original;
          node.members.push_back({key, smelt::Mark(), original.members[i].value});
          compare(root);
          node = original;
        }
      }
      damage(node.members[i].value, root);
    }
    for (size_t i = 0; i < node.elements.size(); ++i) {
      node.elements.erase(node.elements.begin() + i);
      compare(root);
      node = original;
      damage(node.elements[i], root);
    }
  }

  void compare(const JsonValue &root) {
    bool byImporter = importerAccepts(root), bySchema = schemaAccepts(root);
    ++(byImporter ? accepted : refused);
    if (byImporter != bySchema)
      ADD_FAILURE() << "importer " << (byImporter ? "accepts" : "refuses") << " and schema "
                    << (bySchema ? "accepts" : "refuses") << ":\n"
                    << smelt::printJson(root);
  }

  mlir::MLIRContext context;
  mlir::ScopedDiagnosticHandler handler;
  JsonValue schema;
  SchemaValidator validator{schema};
  size_t accepted = 0, refused = 0;
};

TEST_F(Schema, PublishedFileIsThePrintedOne) {
  EXPECT_EQ(readModel("schema.json"), smelt::printSchema())
      << "write it anew: build/test/bin/smelt-import --schema > models/schema.json";
}

TEST_F(Schema, AcceptsTheModelsAndRecords) {
  for (const std::string &text :
       {readModel("tiny.json"), readInput("base.json"), readInput("accept/every-step.json"),
        readModel("short-partial-key-offset.json"), readModel("medium-smear-mtp.json")}) {
    JsonValue value = parse(text);
    EXPECT_TRUE(importerAccepts(value)) << text;
    EXPECT_TRUE(schemaAccepts(value)) << text;
  }
}

TEST_F(Schema, AgreesWithTheImporterOnDamagedSpecs) {
  for (const std::string &text : {readInput("base.json"), readInput("accept/every-step.json"),
                                  readModel("short-partial-key-offset.json")}) {
    JsonValue value = parse(text);
    damage(value, value);
  }
  // Both verdicts occur, many times: the comparison is about something.
  EXPECT_GT(accepted, 1000u);
  EXPECT_GT(refused, 10000u);
}

TEST_F(Schema, EveryKeyOfTheTableIsInTheSchema) {
  std::string text = readModel("schema.json");
  for (const smelt::KeyRule &key : smelt::getSpecRule().keys)
    EXPECT_NE(text.find("\"" + key.name.str() + "\""), std::string::npos) << key.name.str();
}

} // namespace
