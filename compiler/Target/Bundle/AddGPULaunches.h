//===- AddGPULaunches.h - Generated launches in the manifest ----*- C++ -*-===//
#ifndef SMELT_COMPILER_TARGET_BUNDLE_ADDGPULAUNCHES_H
#define SMELT_COMPILER_TARGET_BUNDLE_ADDGPULAUNCHES_H

#include "compiler/Conversion/KernelToGPU/LowerKernelsToGPU.h"
#include "runtime/bundle/Manifest.h"

namespace smelt {

/// What divides the address of each buffer of each kernel, over all its launches: the arena is
/// aligned to more, so offsets decide.
GPUAlignments findAlignments(const runtime::Manifest &manifest);

/// Makes `manifest` one for a GPU: its kernels get their launches.
void addGPULaunches(runtime::Manifest &manifest, const GPUKernels &kernels,
                    const GPUTarget &target);

} // namespace smelt
#endif
