//===- JoinFunctions.h - Launches of independent kernels as one -*- C++ -*-===//
#ifndef SMELT_COMPILER_CONVERSION_KERNELTOGPU_JOINFUNCTIONS_H
#define SMELT_COMPILER_CONVERSION_KERNELTOGPU_JOINFUNCTIONS_H

#include "compiler/Conversion/KernelToGPU/GPULaunch.h"
#include "compiler/Transforms/Memory/LaunchShape.h"
#include "mlir/IR/BuiltinOps.h"

namespace smelt {

/// What a launch takes, for smelt-join-launches.
LaunchShape getShape(const GPULaunch &launch);

/// The launches of two kernels that do not wait for each other, as one list: where two launches can
/// stand beside each other (matchLaunches), their functions in `module` become one.
std::vector<GPULaunch> joinLaunches(mlir::ModuleOp module, std::vector<GPULaunch> first,
                                    std::vector<GPULaunch> second);

} // namespace smelt
#endif
