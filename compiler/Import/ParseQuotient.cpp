//===- ParseQuotient.cpp - Numbers such as "sqrt(model)/448" --------------===//
#include "compiler/Import/ParseValues.h"
#include <cmath>

using namespace smelt;

namespace {

/// term { ("*" | "/") term }, where a term is a number, a dimension, or sqrt(a number or
/// dimension).
class QuotientReader {
public:
  QuotientReader(llvm::StringRef text, const JsonValue &dims) : rest(text), dims(dims) {}

  /// Nothing when the text is no such product; `unknown` is then the name that is no dimension.
  std::optional<double> read() {
    std::optional<double> value = readTerm();
    while (value && !rest.empty()) {
      bool divides = rest.front() == '/';
      if (!divides && rest.front() != '*')
        return std::nullopt;
      rest = rest.drop_front();
      std::optional<double> factor = readTerm();
      if (!factor)
        return std::nullopt;
      *value = divides ? *value / *factor : *value * *factor;
    }
    return value;
  }
  llvm::StringRef unknown;

private:
  std::optional<double> readTerm() {
    if (!rest.consume_front("sqrt("))
      return readAtom();
    std::optional<double> value = readAtom();
    if (!value || !rest.consume_front(")"))
      return std::nullopt;
    return std::sqrt(*value);
  }

  std::optional<double> readAtom() {
    llvm::StringRef atom = rest.take_until([](char c) { return c == '*' || c == '/' || c == ')'; });
    rest = rest.drop_front(atom.size());
    if (const JsonValue *dim = dims.get(atom))
      return dim->number;
    if (std::optional<Rational> exact = parseRational(atom))
      return exact->toDouble();
    unknown = atom;
    return std::nullopt;
  }

  llvm::StringRef rest;
  const JsonValue &dims;
};

} // namespace

double ValueParser::parseQuotient(const JsonValue &value) {
  const JsonMember &dims = *tree.find("dims");
  double result = value.number;
  if (value.isString()) {
    QuotientReader reader(value.text, dims.value);
    std::optional<double> read = reader.read();
    if (!read) {
      std::vector<llvm::StringRef> names;
      for (const JsonMember &member : dims.value.members)
        names.push_back(member.key);
      std::string guess = reader.unknown.empty() ? "" : didYouMean(reader.unknown, names);
      auto report =
          diagnostics.error(value.mark, "'" + printable(value.text) +
                                            "' is no product of numbers and dimensions" + guess);
      if (!reader.unknown.empty())
        report.note(dims.keyMark, "dimensions are declared here");
      return 1;
    }
    result = *read;
  }
  if (result > 0 && std::isfinite(result))
    return result;
  diagnostics.error(value.mark, "a scale must be a positive number");
  return 1;
}
