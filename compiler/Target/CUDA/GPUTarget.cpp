//===- GPUTarget.cpp - The architectures that have a generator ------------===//
#include "compiler/Target/CUDA/GPUTarget.h"

namespace smelt {

std::optional<GPUTarget> GPUTarget::get(llvm::StringRef name, std::string &why) {
#ifndef SMELT_CUDA
  why = "this smelt was built without its GPU code generators: configure with "
        "-DSMELT_CUDA=ON to compile for '" +
        name.str() + "'";
  return std::nullopt;
#endif
  if (name == "sm_80")
    return GPUTarget{"sm_80", 80, false, 163 * 1024, 108};
  if (name == "sm_90")
    return GPUTarget{"sm_90", 90, false, 227 * 1024, 132};
  if (name == "sm_90a")
    return GPUTarget{"sm_90a", 90, true, 227 * 1024, 132};
  why = "no GPU target is called '" + name.str() + "'; there are sm_80, sm_90 and sm_90a";
  return std::nullopt;
}

} // namespace smelt
