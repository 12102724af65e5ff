//===- ApplyOverrides.cpp - --set training.steps=100 ----------------------===//
#include "compiler/Import/ApplyOverrides.h"
#include "compiler/Import/SpecDiagnostics.h"
#include "compiler/Import/SpecPath.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/SourceMgr.h"

using namespace smelt;

/// Whether the text is meant as JSON; anything else is a plain string, so that `data.train=my.txt`
/// needs no quotes.
static bool looksLikeJson(llvm::StringRef text) {
  if (text == "true" || text == "false" || text == "null")
    return true;
  if (text.empty())
    return false;
  if (text.front() == '{' || text.front() == '[' || text.front() == '"')
    return true;
  double number;
  return !text.getAsDouble(number) &&
         text.find_first_not_of("+-0123456789.eE") == llvm::StringRef::npos;
}

bool smelt::applyOverrides(JsonValue &tree, const std::vector<std::string> &overrides,
                           SpecDiagnostics &diagnostics, llvm::SourceMgr *sourceMgr) {
  for (const std::string &text : overrides) {
    auto [path, value] = llvm::StringRef(text).split('=');
    std::string name = "--set:" + path.str();
    uint32_t source = diagnostics.addSource(name);
    if (sourceMgr)
      sourceMgr->AddNewSourceBuffer(llvm::MemoryBuffer::getMemBufferCopy(value, name),
                                    llvm::SMLoc());
    Mark mark{source, 1, 1};
    if (path.empty() || !llvm::StringRef(text).contains('=')) {
      diagnostics.error(mark, "an override has the form KEY.KEY=VALUE");
      return false;
    }
    JsonValue replacement;
    if (looksLikeJson(value)) {
      if (!readJson(value, source, diagnostics, replacement))
        return false;
    } else {
      replacement.kind = JsonValue::Kind::String;
      replacement.mark = mark;
      replacement.text = value.str();
    }
    if (!editSpec(tree, path, std::move(replacement), mark, diagnostics))
      return false;
  }
  return true;
}
