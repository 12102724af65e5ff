//===- HostCpu.h - What this machine's processor can do ---------*- C++ -*-===//
#pragma once

#include "runtime/base/Status.h"

#include <set>
#include <string>
#include <vector>

namespace smelt::runtime {

/// "Intel(R) Xeon(R) Platinum 8481C"; "unknown" where the system does not say.
std::string hostCpuModel();

/// The flags of /proc/cpuinfo: what the processor has and the kernel lets programs use.
std::set<std::string> hostCpuFlags();

/// The features (LLVM's names) that code may use but `flags` lack. Names that do not matter to
/// generated code, and unknown ones, count as present.
std::vector<std::string> findMissingFeatures(const std::vector<std::string> &required,
                                             const std::set<std::string> &flags);

/// Refuses code that needs features which this machine lacks.
Status checkHostRuns(const std::string &cpuName, const std::vector<std::string> &features);

} // namespace smelt::runtime
