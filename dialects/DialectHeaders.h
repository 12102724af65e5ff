// What nearly every compiler source includes beside MLIR: the dialects; and the tests' GoogleTest.
// Precompiled once (SMELT_PCH).
#include "dialects/Headers.h"

#include "dialects/Kernel/KernelOps.h"
#include "dialects/LM/LMOps.h"
#include "dialects/Train/TrainOps.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Parser/Parser.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#if __has_include(<gtest/gtest.h>)
#include <gtest/gtest.h>
#endif
