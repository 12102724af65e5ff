//===- ObjectCache.h - Kernels compiled before ------------------*- C++ -*-===//
#ifndef SMELT_COMPILER_TARGET_OBJECTCACHE_H
#define SMELT_COMPILER_TARGET_OBJECTCACHE_H

#include "llvm/ADT/StringRef.h"
#include <optional>
#include <string>

namespace smelt {

/// Code of kernels, by a key, in a folder that all compilations of a user share. Any number of
/// processes and threads may use it at once. What cannot be read, written or is damaged is as if it
/// were not there: a cache never makes a compilation fail.
class ObjectCache {
public:
  /// An empty `folder` keeps nothing and finds nothing.
  explicit ObjectCache(std::string folder) : folder(std::move(folder)) {}

  /// SMELT_CACHE_DIR (empty: no cache), else smelt/ in XDG_CACHE_HOME, else in ~/.cache.
  static std::string findFolder();

  std::optional<std::string> find(llvm::StringRef key) const;
  void keep(llvm::StringRef key, llvm::StringRef object) const;
  /// Removes what was not used for a week, and the oldest beyond 1 GiB; looks every 20 minutes.
  void prune() const;

private:
  std::string pathOf(llvm::StringRef key) const;

  std::string folder;
};

/// The SHA-256 of `text`, in hexadecimal digits: a key.
std::string hashText(llvm::StringRef text);

/// What tells this compiler from any other: the build IDs of the program and of the libraries that
/// it has loaded. Empty if the program has none: then nothing that it makes may be kept.
std::string identifyCompiler();

} // namespace smelt
#endif
