//===- CPUTarget.cpp - Known CPUs -------------------------------------------===//
#include "compiler/Target/CPU/CPUTarget.h"

#include "llvm/ADT/StringMap.h"
#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/Triple.h"
#include "llvm/TargetParser/X86TargetParser.h"
#include <memory>

using namespace llvm;

namespace smelt {
namespace {

/// One x86-64 level: LLVM's features that make it up, and the names under which Linux reports them.
struct Level {
  const char *name;
  unsigned lanes;
  std::vector<std::pair<const char *, const char *>> features;
};

const std::vector<Level> &levels() {
  static const std::vector<std::pair<const char *, const char *>> v3 = {
      {"avx", "avx"},   {"avx2", "avx2"}, {"bmi", "bmi1"},  {"bmi2", "bmi2"},
      {"f16c", "f16c"}, {"fma", "fma"},   {"lzcnt", "abm"}, {"movbe", "movbe"}};
  static const std::vector<Level> all = [] {
    std::vector<std::pair<const char *, const char *>> v4 = v3;
    for (const char *name : {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"})
      v4.push_back({name, name});
    return std::vector<Level>{{"x86-64-v4", 16, v4}, {"x86-64-v3", 8, v3}};
  }();
  return all;
}

} // namespace

std::optional<CPUTarget> CPUTarget::get(StringRef name, std::string &why) {
  StringMap<bool> available;
  std::string cpu = name.str();
  if (name == "host") {
    cpu = sys::getHostCPUName().str();
    available = sys::getHostCPUFeatures();
  } else {
    if (X86::parseArchX86(name, /*Only64Bit=*/true) == X86::CK_None) {
      why = "unknown x86-64 CPU '" + cpu + "'";
      return std::nullopt;
    }
    SmallVector<StringRef> features;
    X86::getFeaturesForCPU(name, features);
    for (StringRef feature : features)
      available[feature] = true;
  }
  for (const Level &level : levels()) {
    bool all = true;
    for (auto [llvmName, linuxName] : level.features)
      all &= available.lookup(llvmName);
    if (!all)
      continue;
    CPUTarget target{cpu, level.name, level.lanes, {}};
    for (auto [llvmName, linuxName] : level.features)
      target.features.push_back(linuxName);
    return target;
  }
  why = "CPU '" + cpu + "' lacks AVX2 or FMA, which the code generator needs";
  return std::nullopt;
}

} // namespace smelt
