//===- RowwiseText.h - kernel.rowwise functions as text ---------*- C++ -*-===//
#ifndef SMELT_TEST_COMPILER_CONVERSION_KERNELTOCPU_ROWWISETEXT_H
#define SMELT_TEST_COMPILER_CONVERSION_KERNELTOCPU_ROWWISETEXT_H

#include <string>
#include <utility>
#include <vector>

namespace smelt::test {

/// "64x32" → tensor<64x32xf32>; "" → rank 0; "i64" → tensor<64xi32>; "i" → tensor<i32>; "8x4:bf16" →
/// tensor<8x4xbf16>.
inline std::string tensor(const std::string &shape) {
  if (size_t colon = shape.find(':'); colon != std::string::npos)
    return "tensor<" + shape.substr(0, colon) + (colon ? "x" : "") + shape.substr(colon + 1) + ">";
  bool integer = !shape.empty() && shape[0] == 'i';
  std::string dims = integer ? shape.substr(1) : shape;
  return "tensor<" + dims + (dims.empty() ? "" : "x") + (integer ? "i32>" : "f32>");
}

/// An outlined kernel.rowwise: inputs %a0, %a1 … of the given shapes; `body` is lm ops in which $0,
/// $1 … stand for the types of the inputs; yields are (value, shape).
inline std::string rowwise(const std::vector<std::string> &inputs, std::string body,
                           const std::vector<std::pair<std::string, std::string>> &yields) {
  std::string types, names, arguments, blockArguments, results, values;
  for (size_t i = 0; i < inputs.size(); ++i) {
    std::string comma = i ? ", " : "", type = tensor(inputs[i]), n = std::to_string(i);
    types += comma + type, names += comma + "%x" + n, arguments += comma + "%x" + n + ": " + type,
        blockArguments += comma + "%a" + n + ": " + type;
    for (size_t at; (at = body.find("$" + n)) != std::string::npos;)
      body.replace(at, 1 + n.size(), type);
  }
  for (size_t i = 0; i < yields.size(); ++i)
    results += (i ? ", " : "") + tensor(yields[i].second),
        values += (i ? ", " : "") + yields[i].first;
  std::string count = std::to_string(yields.size()), returned;
  for (size_t i = 0; i < yields.size(); ++i)
    returned += (i ? ", %r#" : "%r#") + std::to_string(i);
  return "func.func private @kernel_0(" + arguments + ") -> (" + results + ") {\n  %r:" + count +
         " = kernel.rowwise(" + names + ") : (" + types + ") -> (" + results + ") {\n  ^bb0(" +
         blockArguments + "):\n" + body + "\n  kernel.yield " + values + " : " + results +
         "\n  }\n  return " + returned + " : " + results + "\n}\n";
}

} // namespace smelt::test
#endif
