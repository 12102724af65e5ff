//===- PrintSchema.cpp - The table of keys as JSON Schema -----------------===//
#include "compiler/Import/Grammar.h"
#include <cfloat>
#include <set>

using namespace smelt;

namespace {

JsonValue makeText(llvm::StringRef text) {
  JsonValue value;
  value.kind = JsonValue::Kind::String;
  value.text = text.str();
  return value;
}

JsonValue makeNumber(double number) {
  JsonValue value;
  value.kind = JsonValue::Kind::Number;
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%.17g", number);
  char shorter[32];
  std::snprintf(shorter, sizeof shorter, "%.12g", number);
  value.text = std::strtod(shorter, nullptr) == number ? shorter : buffer;
  value.number = number;
  return value;
}

JsonValue makeBoolean(bool truth) {
  JsonValue value;
  value.kind = JsonValue::Kind::Boolean;
  value.boolean = truth;
  return value;
}

JsonValue makeList(std::vector<JsonValue> elements) {
  JsonValue value;
  value.kind = JsonValue::Kind::Array;
  value.elements = std::move(elements);
  return value;
}

JsonValue makeObject() {
  JsonValue value;
  value.kind = JsonValue::Kind::Object;
  return value;
}

class SchemaPrinter {
public:
  JsonValue print(const Rule &spec, llvm::StringRef title) {
    JsonValue schema = makeObject();
    add(schema, "$schema", makeText("https://json-schema.org/draft/2020-12/schema"));
    add(schema, "title", makeText(title));
    add(schema, "description",
        makeText("Printed from compiler/Import/GrammarRules.cpp by the importer; a test keeps the "
                 "two alike."));
    for (JsonMember &member : inPlace(spec).members)
      schema.members.push_back(std::move(member));
    add(schema, "$defs", std::move(definitions));
    return schema;
  }

private:
  static void add(JsonValue &object, llvm::StringRef key, JsonValue value) {
    object.members.push_back({key.str(), Mark(), std::move(value)});
  }

  /// A reference to a named rule, or the rule itself.
  JsonValue use(const Rule &rule) {
    if (rule.name.empty())
      return inPlace(rule);
    if (defined.insert(rule.name.str()).second) {
      // The place is taken first: rules refer to themselves.
      add(definitions, rule.name, makeObject());
      size_t index = definitions.members.size() - 1;
      JsonValue body = inPlace(rule);
      definitions.members[index].value = std::move(body);
    }
    JsonValue reference = makeObject();
    add(reference, "$ref", makeText("#/$defs/" + rule.name.str()));
    return reference;
  }

  JsonValue describe(const KeyRule &key) {
    JsonValue value = use(*key.rule);
    if (!key.about.empty())
      value.members.insert(value.members.begin(), {"description", Mark(), makeText(key.about)});
    return value;
  }

  JsonValue inPlace(const Rule &rule) {
    JsonValue schema = makeObject();
    switch (rule.kind) {
    case Rule::Kind::Any:
      break;
    case Rule::Kind::Boolean:
      add(schema, "type", makeText("boolean"));
      break;
    case Rule::Kind::Integer:
    case Rule::Kind::Number:
      add(schema, "type", makeText(rule.kind == Rule::Kind::Integer ? "integer" : "number"));
      if (rule.minimum != -DBL_MAX)
        add(schema, "minimum", makeNumber(rule.minimum));
      if (rule.maximum != DBL_MAX)
        add(schema, "maximum", makeNumber(rule.maximum));
      break;
    case Rule::Kind::String:
      add(schema, "type", makeText("string"));
      if (!rule.pattern.empty())
        add(schema, "pattern", makeText(rule.pattern));
      break;
    case Rule::Kind::Choice: {
      std::vector<JsonValue> choices;
      for (llvm::StringRef choice : rule.choices)
        choices.push_back(makeText(choice));
      add(schema, "enum", makeList(std::move(choices)));
      break;
    }
    case Rule::Kind::List:
      add(schema, "type", makeText("array"));
      add(schema, "items", use(*rule.element));
      addCounts(schema, rule, "minItems", "maxItems");
      break;
    case Rule::Kind::Map: {
      add(schema, "type", makeText("object"));
      addKeys(schema, rule);
      JsonValue patterns = makeObject();
      add(patterns, rule.pattern, use(*rule.element));
      add(schema, "patternProperties", std::move(patterns));
      add(schema, "additionalProperties", makeBoolean(false));
      addCounts(schema, rule, "minProperties", "maxProperties");
      break;
    }
    case Rule::Kind::Object:
      add(schema, "type", makeText("object"));
      addKeys(schema, rule);
      add(schema, "additionalProperties", makeBoolean(false));
      break;
    case Rule::Kind::ByType: {
      std::vector<JsonValue> alternatives;
      for (const Rule *alternative : rule.alternatives)
        alternatives.push_back(use(*alternative));
      add(schema, "anyOf", makeList(std::move(alternatives)));
      break;
    }
    }
    return schema;
  }

  void addCounts(JsonValue &schema, const Rule &rule, llvm::StringRef least, llvm::StringRef most) {
    if (rule.minCount)
      add(schema, least, makeNumber(rule.minCount));
    if (rule.maxCount != Rule::kAnyCount)
      add(schema, most, makeNumber(rule.maxCount));
  }

  void addKeys(JsonValue &schema, const Rule &rule) {
    JsonValue properties = makeObject();
    std::vector<JsonValue> required, one;
    for (const KeyRule &key : rule.tags) {
      add(properties, key.name, describe(key));
      JsonValue alternative = makeObject();
      add(alternative, "required", makeList({makeText(key.name)}));
      one.push_back(std::move(alternative));
    }
    for (const KeyRule &key : rule.keys) {
      add(properties, key.name, describe(key));
      if (key.required)
        required.push_back(makeText(key.name));
    }
    if (!properties.members.empty())
      add(schema, "properties", std::move(properties));
    if (!required.empty())
      add(schema, "required", makeList(std::move(required)));
    if (!one.empty())
      add(schema, "oneOf", makeList(std::move(one)));
  }

  JsonValue definitions = makeObject();
  std::set<std::string> defined;
};

} // namespace

std::string smelt::printSchema() {
  return printJson(SchemaPrinter().print(getSpecRule(), "A Smelt spec"));
}

std::string smelt::printOverlaySchema() {
  return printJson(
      SchemaPrinter().print(getOverlayRule(), "A Smelt spec that stands on another one"));
}
