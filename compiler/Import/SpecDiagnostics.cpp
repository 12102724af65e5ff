//===- SpecDiagnostics.cpp - Errors at places of a spec -------------------===//
#include "compiler/Import/SpecDiagnostics.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace smelt;

uint32_t SpecDiagnostics::addSource(llvm::StringRef name) {
  sources.push_back(name.str());
  return sources.size() - 1;
}

FileLineColLoc SpecDiagnostics::getLocation(Mark mark) const {
  return FileLineColLoc::get(&context, sources[mark.source], mark.line, mark.column);
}

Location SpecDiagnostics::getLocation(const llvm::Twine &path, Mark mark) const {
  return NameLoc::get(StringAttr::get(&context, path), getLocation(mark));
}

SpecDiagnostics::Report SpecDiagnostics::error(Mark mark, const llvm::Twine &message) {
  if (++errorCount > kShownErrors)
    return Report(*this, std::nullopt);
  InFlightDiagnostic diagnostic = emitError(getLocation(mark)) << message;
  if (errorCount == kShownErrors)
    diagnostic.attachNote() << "further errors are not shown";
  return Report(*this, std::move(diagnostic));
}

SpecDiagnostics::Report &SpecDiagnostics::Report::note(Mark mark, const llvm::Twine &message) {
  if (diagnostic)
    diagnostic->attachNote(owner->getLocation(mark)) << message;
  return *this;
}

std::string smelt::printable(llvm::StringRef text) {
  std::string result;
  for (char c : text.take_front(200)) {
    unsigned char byte = c;
    if (byte < 0x20 || byte == 0x7f)
      result += "\\x" + llvm::toHex(llvm::StringRef(&c, 1));
    else
      result += c;
  }
  if (text.size() > 200)
    result += "…";
  return result;
}

std::string smelt::didYouMean(llvm::StringRef name, llvm::ArrayRef<llvm::StringRef> candidates) {
  if (name.size() > 64)
    return "";
  // Near: at most a third of the letters differ, and never the whole word.
  unsigned best = std::max<unsigned>(1, (name.size() + 2) / 3) + 1;
  llvm::StringRef nearest;
  for (llvm::StringRef candidate : candidates) {
    unsigned distance = name.edit_distance(candidate, /*AllowReplacements=*/true, best);
    if (distance < best && distance < candidate.size()) {
      best = distance;
      nearest = candidate;
    }
  }
  return nearest.empty() ? "" : "; did you mean '" + nearest.str() + "'?";
}
