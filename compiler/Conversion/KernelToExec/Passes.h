//===- Passes.h - From kernel calls to launches -----------------*- C++ -*-===//
#ifndef SMELT_COMPILER_CONVERSION_KERNELTOEXEC_PASSES_H
#define SMELT_COMPILER_CONVERSION_KERNELTOEXEC_PASSES_H

#include "dialects/Exec/ExecOps.h"
#include "dialects/Kernel/KernelOps.h"
#include "dialects/LM/LMOps.h"
#include "dialects/Train/TrainOps.h"
#include "mlir/Pass/Pass.h"

namespace smelt {
#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "compiler/Conversion/KernelToExec/Passes.h.inc"
} // namespace smelt

#endif
