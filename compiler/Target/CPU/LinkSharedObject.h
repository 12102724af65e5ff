//===- LinkSharedObject.h - Objects to a shared object ----------*- C++ -*-===//
#ifndef SMELT_COMPILER_TARGET_CPU_LINKSHAREDOBJECT_H
#define SMELT_COMPILER_TARGET_CPU_LINKSHAREDOBJECT_H

#include "llvm/ADT/StringRef.h"
#include <string>

namespace smelt {

/// Links `object` with libomp and libm into the shared object `path`. On failure returns false and says why in `error`.
bool linkSharedObject(llvm::StringRef object, llvm::StringRef path, std::string &error);

} // namespace smelt
#endif
