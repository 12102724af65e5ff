//===- ParseValues.h - Values that every part of a spec uses ----*- C++ -*-===//
#ifndef SMELT_COMPILER_IMPORT_PARSEVALUES_H
#define SMELT_COMPILER_IMPORT_PARSEVALUES_H

#include "compiler/Import/Spec.h"
#include "compiler/Import/SpecDiagnostics.h"
#include "llvm/ADT/StringSwitch.h"

namespace smelt {

/// Base of the parsers: reads single values of a tree that passed checkGrammar.
class ValueParser {
public:
  ValueParser(const JsonValue &tree, SpecDiagnostics &diagnostics, Spec &spec)
      : tree(tree), diagnostics(diagnostics), spec(spec) {}

protected:
  Init parseInit(const JsonValue *value, Init fallback);
  /// A coefficient; `inLayers` says whether per-layer scalars have a layer to take.
  Coefficient parseCoefficient(const JsonValue &value, bool inLayers);
  /// A number or the name of a dimension.
  int64_t parseDimension(const JsonValue &value);
  /// A number or an exact fraction, exactly or rounded; reports what int64 cannot hold.
  std::optional<Rational> parseExact(const JsonValue &value);
  std::optional<double> parseFraction(const JsonValue &value);
  double parseNumber(const JsonValue &value);
  DType parseDType(const JsonValue *value);
  /// The keys 'dtype' and 'compute' of a block.
  Storage parseStorage(const JsonValue &block);
  /// A number, or dimensions, numbers and square roots of them with * and /: "sqrt(model)/448".
  double parseQuotient(const JsonValue &value);
  /// The widest activation of a program must have a size that 64 bits hold.
  void checkActivations(Mark mark, int64_t tokens);

  const JsonValue &tree;
  SpecDiagnostics &diagnostics;
  Spec &spec;

private:
  void parseScalarName(const JsonValue &value, bool inLayers, Coefficient &result);
};

} // namespace smelt
#endif
