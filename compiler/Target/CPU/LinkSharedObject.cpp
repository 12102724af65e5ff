//===- LinkSharedObject.cpp - Runs the linker -------------------------------===//
// lld is run as a program (Debian's liblld is not a dependency); without lld, the system's C
// compiler links.
#include "compiler/Target/CPU/LinkSharedObject.h"

#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Program.h"
#include <optional>
#include <vector>

#ifndef SMELT_OMP_LIBRARY
#define SMELT_OMP_LIBRARY ""
#endif

using namespace llvm;

namespace smelt {
namespace {

/// libomp: where CMake found it, else where Debian's packages of LLVM put it.
std::optional<std::string> findLibOMP() {
  for (const char *path : {SMELT_OMP_LIBRARY, "/usr/lib/llvm-22/lib/libomp.so",
                           "/usr/lib/x86_64-linux-gnu/libomp.so.5"})
    if (*path && sys::fs::exists(path))
      return path;
  return std::nullopt;
}

std::optional<std::string> findLibM() {
  for (const char *path : {"/usr/lib/x86_64-linux-gnu/libm.so.6", "/lib/x86_64-linux-gnu/libm.so.6",
                           "/usr/lib64/libm.so.6"})
    if (sys::fs::exists(path))
      return path;
  return std::nullopt;
}

std::optional<std::string> findProgram(ArrayRef<const char *> names) {
  for (const char *name : names)
    if (ErrorOr<std::string> path = sys::findProgramByName(name);
        path && sys::fs::can_execute(*path))
      return *path;
  return std::nullopt;
}

} // namespace

bool linkSharedObject(const std::vector<std::string> &objects,
                      const std::vector<SymbolAlias> &aliases, StringRef path, std::string &error) {
  std::optional<std::string> omp = findLibOMP();
  if (!omp) {
    error = "libomp is not on this machine (Debian: libomp-22-dev)";
    return false;
  }
  std::string rpath = sys::path::parent_path(*omp).str();
  std::vector<std::string> command;
  if (auto lld = findProgram({"ld.lld-22", "/usr/lib/llvm-22/bin/ld.lld", "ld.lld"})) {
    command = {*lld,  "-shared", "--build-id=none", "-z", "now", "-z", "noexecstack", "-rpath",
               rpath, "-o",      path.str()};
    for (const SymbolAlias &alias : aliases)
      command.push_back("--defsym=" + alias.name + "=" + alias.symbol);
    command.insert(command.end(), objects.begin(), objects.end());
    command.push_back(*omp);
    if (auto libm = findLibM())
      command.push_back(*libm);
  } else if (auto cc = findProgram({"cc", "gcc", "clang-22", "clang"})) {
    command = {*cc,
               "-shared",
               "-nostartfiles",
               "-Wl,--build-id=none",
               "-Wl,-z,noexecstack",
               "-Wl,-rpath," + rpath,
               "-o",
               path.str()};
    for (const SymbolAlias &alias : aliases)
      command.push_back("-Wl,--defsym=" + alias.name + "=" + alias.symbol);
    command.insert(command.end(), objects.begin(), objects.end());
    command.insert(command.end(), {*omp, "-lm"});
  } else {
    error = "no linker: neither ld.lld-22 nor cc is in PATH";
    return false;
  }
  SmallVector<StringRef> arguments(command.begin(), command.end());
  SmallString<128> log;
  if (sys::fs::createTemporaryFile("smelt-link", "log", log)) {
    error = "cannot make a temporary file for the linker's output";
    return false;
  }
  std::string message;
  int status =
      sys::ExecuteAndWait(command[0], arguments, std::nullopt,
                          {std::nullopt, StringRef(log), StringRef(log)}, 120, 0, &message);
  if (status != 0) {
    error = "the linker failed: " + message;
    if (auto text = MemoryBuffer::getFile(log))
      error += (*text)->getBuffer().take_front(2000).str();
  }
  sys::fs::remove(log);
  return status == 0;
}

} // namespace smelt
