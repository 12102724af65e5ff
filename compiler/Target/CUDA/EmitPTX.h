//===- EmitPTX.h - LLVM IR to PTX -------------------------------*- C++ -*-===//
#ifndef SMELT_COMPILER_TARGET_CUDA_EMITPTX_H
#define SMELT_COMPILER_TARGET_CUDA_EMITPTX_H

#include "compiler/Target/CUDA/GPUTarget.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/IR/Module.h"
#include <memory>
#include <string>

namespace smelt {

/// Optimises `module` and returns its PTX; on failure sets `error`. With several `parts` its
/// functions are dealt out to so many modules, which are compiled on all threads of the machine and
/// follow each other in the text. `visit` sees the optimised module if there is one part.
std::string emitPTX(std::unique_ptr<llvm::Module> module, const GPUTarget &target, unsigned parts,
                    std::string &error, llvm::function_ref<void(llvm::Module &)> visit);

} // namespace smelt
#endif
