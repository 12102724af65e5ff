//===- LoadSpec.cpp - Spec files and overlays as one tree -----------------===//
#include "compiler/Import/LoadSpec.h"
#include "compiler/Import/Grammar.h"
#include "compiler/Import/SpecDiagnostics.h"
#include "compiler/Import/SpecPath.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/SourceMgr.h"

using namespace smelt;

namespace {

class Loader {
public:
  Loader(SpecDiagnostics &diagnostics, llvm::SourceMgr *sourceMgr)
      : diagnostics(diagnostics), sourceMgr(sourceMgr) {}

  bool load(llvm::StringRef text, llvm::StringRef name, uint32_t source, JsonValue &tree) {
    if (!readJson(text, source, diagnostics, tree))
      return false;
    const JsonMember *base = tree.find("base");
    if (!base)
      return true;
    JsonValue overlay = std::move(tree);
    base = overlay.find("base");
    tree = JsonValue();
    if (!checkGrammar(overlay, getOverlayRule(), diagnostics) || !loadBase(*base, name, tree))
      return false;
    if (!tree.isObject()) {
      diagnostics.error(tree.mark, "a spec must be an object")
          .note(base->value.mark, "it is a base here");
      return false;
    }
    return apply(overlay, name, tree);
  }

private:
  struct Opened {
    llvm::sys::fs::UniqueID id;
    Mark mark; // of the 'base' that led there
  };

  bool loadBase(const JsonMember &base, llvm::StringRef name, JsonValue &tree) {
    const JsonValue &value = base.value;
    llvm::SmallString<128> path(value.text);
    if (llvm::sys::path::is_relative(path)) {
      path = llvm::sys::path::parent_path(name);
      llvm::sys::path::append(path, value.text);
    }
    llvm::sys::path::remove_dots(path, /*remove_dot_dot=*/true);
    llvm::sys::fs::file_status status;
    std::error_code error = llvm::sys::fs::status(path, status);
    if (error) {
      diagnostics.error(value.mark,
                        "cannot read the base '" + printable(path) + "': " + error.message());
      return false;
    }
    if (!llvm::sys::fs::is_regular_file(status) || status.getSize() > kMaxSpecBytes) {
      diagnostics.error(value.mark,
                        "the base '" + printable(path) + "' is no file of at most 16 MiB");
      return false;
    }
    if (!checkChain(status.getUniqueID(), path, name, value.mark))
      return false;
    auto buffer = llvm::MemoryBuffer::getFile(path, /*IsText=*/true);
    if (!buffer) {
      diagnostics.error(value.mark, "cannot read the base '" + printable(path) +
                                        "': " + buffer.getError().message());
      return false;
    }
    uint32_t source = diagnostics.addSource(path);
    std::string text = (*buffer)->getBuffer().str();
    if (sourceMgr)
      sourceMgr->AddNewSourceBuffer(llvm::MemoryBuffer::getMemBufferCopy(text, path),
                                    llvm::SMLoc());
    return load(text, path, source, tree);
  }

  /// No file twice, and not too many.
  bool checkChain(llvm::sys::fs::UniqueID id, llvm::StringRef path, llvm::StringRef from,
                  Mark mark) {
    llvm::sys::fs::UniqueID own;
    if (chain.empty() && !llvm::sys::fs::getUniqueID(from, own))
      chain.push_back({own, mark});
    for (const Opened &opened : chain)
      if (opened.id == id) {
        auto report = diagnostics.error(mark, "'" + printable(path) + "' stands on itself");
        for (const Opened &link : llvm::ArrayRef(chain).drop_front())
          report.note(link.mark, "by this base");
        return false;
      }
    if (chain.size() >= kMaxOverlays) {
      diagnostics.error(mark,
                        "more than " + std::to_string(kMaxOverlays) + " specs stand on each other");
      return false;
    }
    chain.push_back({id, mark});
    return true;
  }

  /// The overlay's edits, in order, and its name: the file's when it gives none.
  bool apply(const JsonValue &overlay, llvm::StringRef name, JsonValue &tree) {
    JsonValue title;
    title.kind = JsonValue::Kind::String;
    title.mark = overlay.mark;
    title.text = llvm::sys::path::stem(name).str();
    const JsonMember *given = overlay.find("name"), *about = overlay.find("about");
    replace(tree, "name", given ? given->value : title, given ? given->keyMark : overlay.mark);
    if (about)
      replace(tree, "about", about->value, about->keyMark);
    else
      llvm::erase_if(tree.members, [](const JsonMember &member) { return member.key == "about"; });
    if (const JsonValue *set = overlay.get("set"))
      for (const JsonMember &edit : set->members)
        if (!editSpec(tree, edit.key, edit.value, edit.keyMark, diagnostics))
          return false;
    return true;
  }

  static void replace(JsonValue &tree, llvm::StringRef key, const JsonValue &value, Mark mark) {
    for (JsonMember &member : tree.members)
      if (member.key == key) {
        member.value = value;
        return;
      }
    tree.members.push_back({key.str(), mark, value});
  }

  SpecDiagnostics &diagnostics;
  llvm::SourceMgr *sourceMgr;
  std::vector<Opened> chain;
};

} // namespace

bool smelt::loadSpec(llvm::StringRef text, llvm::StringRef name, uint32_t source,
                     SpecDiagnostics &diagnostics, llvm::SourceMgr *sourceMgr, JsonValue &tree) {
  return Loader(diagnostics, sourceMgr).load(text, name, source, tree);
}
