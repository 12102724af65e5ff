//===- LMNumbers.cpp - The text of lists of numbers -------------------------===//
#include "dialects/LM/LMOps.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/StringExtras.h"
#include <charconv>
#include <cmath>

using namespace mlir;
using namespace mlir::lm;

/// As few digits as bring `number` back, with the point that MLIR's lexer wants: 1.0, 2.5e-10. It
/// has no word for what is not finite; that is its bits, as in MLIR's own attributes.
static std::string toText(double number) {
  if (!std::isfinite(number))
    return "0x" +
           llvm::utohexstr(llvm::bit_cast<uint64_t>(number), /*LowerCase=*/false, /*Width=*/16);
  char buffer[32]; // -2.2250738585072014e-308 has 24.
  std::string text(buffer, std::to_chars(buffer, buffer + sizeof(buffer), number).ptr);
  if (text.find('.') == std::string::npos)
    text.insert(std::min(text.find('e'), text.size()), ".0");
  return text;
}

static void printList(AsmPrinter &printer, ArrayRef<double> numbers) {
  llvm::interleaveComma(numbers, printer.getStream(),
                        [&](double number) { printer.getStream() << toText(number); });
}

static ParseResult parseList(AsmParser &parser, AsmParser::Delimiter delimiter,
                             NumbersAttr &numbers) {
  SmallVector<double> list;
  if (parser.parseCommaSeparatedList(
          delimiter, [&] { return parser.parseFloat(list.emplace_back()); }, " in list of numbers"))
    return failure();
  numbers = NumbersAttr::get(parser.getContext(), list);
  return success();
}

void NumbersAttr::print(AsmPrinter &printer) const {
  printer << '<';
  printList(printer, asArrayRef());
  printer << '>';
}

Attribute NumbersAttr::parse(AsmParser &parser, Type) {
  NumbersAttr numbers;
  if (parseList(parser, AsmParser::Delimiter::LessGreater, numbers))
    return {};
  return numbers;
}

void lm::printNumbers(OpAsmPrinter &printer, Operation *, NumbersAttr numbers) {
  printer << '[';
  printList(printer, numbers.asArrayRef());
  printer << ']';
}

ParseResult lm::parseNumbers(OpAsmParser &parser, NumbersAttr &numbers) {
  return parseList(parser, AsmParser::Delimiter::Square, numbers);
}
