//===- SpecPath.cpp - Edits of a spec by path -----------------------------===//
#include "compiler/Import/SpecPath.h"
#include "compiler/Import/SpecDiagnostics.h"
#include "llvm/ADT/STLExtras.h"
#include <optional>

using namespace smelt;

namespace {

class Editor {
public:
  Editor(llvm::StringRef path, JsonValue value, Mark mark, SpecDiagnostics &diagnostics)
      : path(path), value(std::move(value)), mark(mark), diagnostics(diagnostics) {}

  bool edit(JsonValue &root) {
    if (path.empty())
      return fail("the path is empty");
    return follow(root, path);
  }

private:
  /// Goes on from `node` along `rest`, which is not empty.
  bool follow(JsonValue &node, llvm::StringRef rest) {
    if (rest.front() == '[')
      return followBracket(node, rest);
    if (node.isArray()) { // `stages.0` is `stages[0]`
      auto [index, after] = splitKey(rest);
      std::optional<size_t> element = findElement(node, index);
      return element && enterElement(node, *element, after);
    }
    if (!node.isObject())
      return failAt(node, "'" + printable(splitKey(rest).first) + "' leads into " +
                              describeKind(node.kind));
    // Keys may hold dots, so longer keys that exist are tried too.
    for (size_t end = rest.find_first_of(".[");; end = rest.find_first_of(".[", end + 1)) {
      llvm::StringRef key = rest.take_front(end);
      if (node.find(key))
        return enterMember(node, key, skipDot(rest.drop_front(key.size())));
      if (end == llvm::StringRef::npos)
        break;
    }
    auto [key, after] = splitKey(rest);
    return after.empty() ? addMember(node, key) : failKey(node, key);
  }

  bool followBracket(JsonValue &node, llvm::StringRef rest) {
    rest = rest.drop_front();
    if (rest.consume_front("\"")) {
      auto [key, after] = rest.split("\"]");
      if (after.empty() && !rest.ends_with("\"]"))
        return fail("'[\"' without '\"]'");
      if (!node.isObject())
        return failAt(node, "[\"" + printable(key) + "\"] needs an object, and this is " +
                                describeKind(node.kind));
      if (node.find(key))
        return enterMember(node, key, skipDot(after));
      return after.empty() ? addMember(node, key) : failKey(node, key);
    }
    size_t end = rest.find(']');
    if (end == llvm::StringRef::npos)
      return fail("'[' without ']'");
    llvm::StringRef inner = rest.take_front(end), after = skipDot(rest.drop_front(end + 1));
    if (!node.isArray())
      return failAt(node, "'[" + printable(inner) + "]' needs a list, and this is " +
                              describeKind(node.kind));
    if (inner.consume_front("+"))
      return insert(node, inner, after);
    std::optional<size_t> element = findElement(node, inner);
    return element && enterElement(node, *element, after);
  }

  bool insert(JsonValue &list, llvm::StringRef where, llvm::StringRef after) {
    if (!after.empty())
      return fail("nothing can come after a new element");
    if (value.kind == JsonValue::Kind::Null)
      return fail("a new element cannot be null");
    size_t index = list.elements.size();
    if (!where.empty()) {
      std::optional<size_t> element = findElement(list, where);
      if (!element)
        return false;
      index = *element;
    }
    list.elements.insert(list.elements.begin() + index, std::move(value));
    return true;
  }

  /// "2", "-1", "attention" or "mix#2".
  std::optional<size_t> findElement(const JsonValue &list, llvm::StringRef name) {
    int64_t count = list.elements.size(), index;
    if (!name.getAsInteger(10, index)) {
      if (index < -count || index >= count) {
        failAt(list, "there is no element " + printable(name) + ": the list has " +
                         std::to_string(count));
        return std::nullopt;
      }
      return index < 0 ? index + count : index;
    }
    auto [key, number] = name.split('#');
    int64_t wanted = 1, seen = 0;
    bool counted = name.contains('#');
    if (counted && (number.getAsInteger(10, wanted) || wanted < 1)) {
      fail("'#' needs a number from 1 on");
      return std::nullopt;
    }
    std::optional<size_t> found;
    std::vector<llvm::StringRef> known;
    for (auto [i, element] : llvm::enumerate(list.elements)) {
      for (const JsonMember &member : element.members)
        known.push_back(member.key);
      if (element.find(key) && ++seen == wanted)
        found = i;
    }
    if (!found) {
      failAt(list, (seen ? "there are only " + std::to_string(seen) + " elements with the key '"
                         : std::string("no element has the key '")) +
                       printable(key) + "'" + (seen ? "" : didYouMean(key, known)));
      return std::nullopt;
    }
    if (!counted && seen > 1) {
      failAt(list, std::to_string(seen) + " elements have the key '" + printable(key) +
                       "': say which, as in '" + printable(key) + "#1'");
      return std::nullopt;
    }
    return found;
  }

  bool enterElement(JsonValue &list, size_t index, llvm::StringRef after) {
    if (!after.empty())
      return follow(list.elements[index], after);
    if (value.kind == JsonValue::Kind::Null)
      list.elements.erase(list.elements.begin() + index);
    else
      list.elements[index] = std::move(value);
    return true;
  }

  bool enterMember(JsonValue &object, llvm::StringRef key, llvm::StringRef after) {
    auto member = llvm::find_if(object.members, [&](JsonMember &one) { return one.key == key; });
    if (!after.empty())
      return follow(member->value, after);
    if (value.kind == JsonValue::Kind::Null) {
      object.members.erase(member);
    } else {
      member->value = std::move(value);
      member->keyMark = mark;
    }
    return true;
  }

  bool addMember(JsonValue &object, llvm::StringRef key) {
    if (value.kind == JsonValue::Kind::Null)
      return failKey(object, key);
    object.members.push_back({key.str(), mark, std::move(value)});
    return true;
  }

  static std::pair<llvm::StringRef, llvm::StringRef> splitKey(llvm::StringRef rest) {
    llvm::StringRef key = rest.take_front(rest.find_first_of(".["));
    return {key, skipDot(rest.drop_front(key.size()))};
  }
  static llvm::StringRef skipDot(llvm::StringRef rest) {
    rest.consume_front(".");
    return rest;
  }

  bool failKey(const JsonValue &object, llvm::StringRef key) {
    std::vector<llvm::StringRef> known;
    for (const JsonMember &member : object.members)
      known.push_back(member.key);
    return failAt(object, "the spec has no '" + printable(key) + "' on the way to '" +
                              printable(path) + "'" + didYouMean(key, known));
  }
  bool failAt(const JsonValue &place, const llvm::Twine &message) {
    diagnostics.error(mark, message).note(place.mark, "this is where the path leads");
    return false;
  }
  bool fail(const llvm::Twine &message) {
    diagnostics.error(mark, "wrong path '" + printable(path) + "': " + message);
    return false;
  }

  llvm::StringRef path;
  JsonValue value;
  Mark mark;
  SpecDiagnostics &diagnostics;
};

} // namespace

bool smelt::editSpec(JsonValue &tree, llvm::StringRef path, JsonValue value, Mark mark,
                     SpecDiagnostics &diagnostics) {
  return Editor(path, std::move(value), mark, diagnostics).edit(tree);
}
