//===- ApplyOverrides.cpp - --set training.steps=100 ----------------------===//
#include "compiler/Import/ApplyOverrides.h"
#include "compiler/Import/SpecDiagnostics.h"
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

/// Finds the value at `path` below `node`, or a place for it: only the last part may be new. Keys
/// may hold dots, so longer keys that exist are tried too. Returns null when some part does not
/// exist; `failed` is that part.
static JsonValue *findPlace(JsonValue &node, llvm::StringRef path, Mark mark,
                            llvm::StringRef &failed) {
  if (path.empty())
    return &node;
  if (node.isArray()) {
    auto [index, rest] = path.split('.');
    size_t i;
    if (index.getAsInteger(10, i) || i >= node.elements.size()) {
      failed = index;
      return nullptr;
    }
    return findPlace(node.elements[i], rest, mark, failed);
  }
  if (!node.isObject()) {
    failed = path.split('.').first;
    return nullptr;
  }
  for (size_t end = path.find('.');; end = path.find('.', end + 1)) {
    llvm::StringRef key = path.take_front(end);
    for (JsonMember &member : node.members)
      if (member.key == key)
        return findPlace(member.value, path.drop_front(std::min(path.size(), key.size() + 1)), mark,
                         failed);
    if (end == llvm::StringRef::npos)
      break;
  }
  if (path.contains('.')) {
    failed = path.split('.').first;
    return nullptr;
  }
  node.members.push_back({path.str(), mark, JsonValue()});
  return &node.members.back().value;
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
    llvm::StringRef failed;
    JsonValue *place = findPlace(tree, path, mark, failed);
    if (!place) {
      diagnostics.error(mark, "the spec has no '" + printable(failed) + "' on the way to '" +
                                  printable(path) + "'");
      return false;
    }
    *place = std::move(replacement);
  }
  return true;
}
