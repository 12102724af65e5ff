#include "runtime/device/cpu/HostCpu.h"

#include <fstream>
#include <sstream>

namespace smelt::runtime {

namespace {
/// LLVM's feature name and the kernel's flag, for what code generation can use.
struct FeatureRow {
  const char *llvm;
  const char *flag;
};
constexpr FeatureRow kFeatures[] = {
    {"sse", "sse"},
    {"sse2", "sse2"},
    {"sse3", "pni"},
    {"ssse3", "ssse3"},
    {"sse4.1", "sse4_1"},
    {"sse4.2", "sse4_2"},
    {"sse4a", "sse4a"},
    {"popcnt", "popcnt"},
    {"lzcnt", "abm"},
    {"bmi", "bmi1"},
    {"bmi2", "bmi2"},
    {"movbe", "movbe"},
    {"adx", "adx"},
    {"f16c", "f16c"},
    {"fma", "fma"},
    {"fma4", "fma4"},
    {"xop", "xop"},
    {"avx", "avx"},
    {"avx2", "avx2"},
    {"avxvnni", "avx_vnni"},
    {"avx512f", "avx512f"},
    {"avx512cd", "avx512cd"},
    {"avx512bw", "avx512bw"},
    {"avx512dq", "avx512dq"},
    {"avx512vl", "avx512vl"},
    {"avx512vbmi", "avx512vbmi"},
    {"avx512vbmi2", "avx512_vbmi2"},
    {"avx512vnni", "avx512_vnni"},
    {"avx512bitalg", "avx512_bitalg"},
    {"avx512vpopcntdq", "avx512_vpopcntdq"},
    {"avx512ifma", "avx512ifma"},
    {"avx512bf16", "avx512_bf16"},
    {"avx512fp16", "avx512_fp16"},
    {"avx512vp2intersect", "avx512_vp2intersect"},
    {"amx-tile", "amx_tile"},
    {"amx-bf16", "amx_bf16"},
    {"amx-int8", "amx_int8"},
    {"amx-fp16", "amx_fp16"},
    {"gfni", "gfni"},
    {"vaes", "vaes"},
    {"aes", "aes"},
    {"pclmul", "pclmulqdq"},
    {"vpclmulqdq", "vpclmulqdq"},
    {"sha", "sha_ni"},
};

/// The text after ':' of the first line of /proc/cpuinfo that starts with `key`.
std::string cpuInfoLine(const std::string &key) {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    size_t colon = line.find(':');
    if (line.rfind(key, 0) == 0 && colon != std::string::npos)
      return colon + 2 <= line.size() ? line.substr(colon + 2) : "";
  }
  return "";
}
} // namespace

std::string hostCpuModel() {
  std::string model = cpuInfoLine("model name");
  return model.empty() ? "unknown" : model;
}

std::set<std::string> hostCpuFlags() {
  std::istringstream words(cpuInfoLine("flags"));
  std::set<std::string> flags;
  for (std::string word; words >> word;)
    flags.insert(word);
  return flags;
}

std::vector<std::string> findMissingFeatures(const std::vector<std::string> &required,
                                             const std::set<std::string> &flags) {
  std::vector<std::string> missing;
  for (std::string feature : required) {
    if (!feature.empty() && feature[0] == '+')
      feature.erase(0, 1);
    for (const FeatureRow &row : kFeatures)
      if (feature == row.llvm && !flags.count(row.flag))
        missing.push_back(feature);
  }
  return missing;
}

Status checkHostRuns(const std::string &cpuName, const std::vector<std::string> &features) {
  std::set<std::string> flags = hostCpuFlags();
  if (flags.empty()) // Not x86 or no /proc: nothing to compare with.
    return Status::ok();
  std::vector<std::string> missing = findMissingFeatures(features, flags);
  if (missing.empty())
    return Status::ok();
  std::string list;
  for (const std::string &feature : missing)
    list += (list.empty() ? "" : ", ") + feature;
  return corruptError("the bundle is compiled for ", cpuName, " and needs ", list,
                      ", which this machine (", hostCpuModel(),
                      ") does not have; compile it for this machine");
}

} // namespace smelt::runtime
