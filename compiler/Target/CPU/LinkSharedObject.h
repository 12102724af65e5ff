//===- LinkSharedObject.h - Objects to a shared object ----------*- C++ -*-===//
#ifndef SMELT_COMPILER_TARGET_CPU_LINKSHAREDOBJECT_H
#define SMELT_COMPILER_TARGET_CPU_LINKSHAREDOBJECT_H

#include "llvm/ADT/StringRef.h"
#include <string>
#include <vector>

namespace smelt {

/// Another name for a symbol of the objects.
struct SymbolAlias {
  std::string name, symbol;
};

/// Links `objects` with libomp and libm into the shared object `path`. On failure returns false and
/// says why in `error`.
bool linkSharedObject(const std::vector<std::string> &objects,
                      const std::vector<SymbolAlias> &aliases, llvm::StringRef path,
                      std::string &error);

} // namespace smelt
#endif
