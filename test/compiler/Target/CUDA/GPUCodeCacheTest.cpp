// PTX and cubins made before: the same bytes without ptxas, and never another module's, target's or
// ptxas'. A script is ptxas: its cubin is what it read, and it counts its runs.
#include "compiler/Target/CUDA/EmitGPUCode.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/FileSystem.h"
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <unistd.h>

using namespace mlir;
using namespace smelt;

namespace {

struct GPUCodeCache : testing::Test {
  GPUCodeCache() {
    std::filesystem::create_directories(folder);
    setPtxas("first version", 0);
  }
  ~GPUCodeCache() override { std::filesystem::remove_all(folder); }

  void setPtxas(const std::string &version, int exitCode) {
    std::ofstream(ptxas) << "#!/bin/sh\n"
                         << "[ \"$1\" = --version ] && { echo '" << version << "'; exit 0; }\n"
                         << "echo >> " << folder << "/runs\n"
                         << "echo \"ptxas info : Compiling entry function 'k' for 'sm_80'\"\n"
                         << "echo 'ptxas info : Used 7 registers, 48 bytes smem'\n"
                         << "echo 'ptxas warning : something'\n"
                         << "cp $4 $6\n"
                         << "exit " << exitCode << "\n";
    std::filesystem::permissions(ptxas, std::filesystem::perms::owner_all);
  }

  int countRuns() const {
    std::ifstream file(folder + "/runs");
    return static_cast<int>(std::count(std::istreambuf_iterator<char>(file), {}, '\n'));
  }

  /// A kernel that stores `number`.
  GPUCode emit(int number, const char *chip = "sm_80", bool succeeds = true) {
    DialectRegistry registry;
    registerGPUTargetDialects(registry);
    MLIRContext context(registry);
    OwningOpRef<ModuleOp> module =
        parseSourceString<ModuleOp>("llvm.func @k(%to: !llvm.ptr) attributes {nvvm.kernel} {\n"
                                    "  %number = llvm.mlir.constant(" +
                                        std::to_string(number) +
                                        " : i32) : i32\n"
                                        "  llvm.store %number, %to : i32, !llvm.ptr\n"
                                        "  llvm.return\n"
                                        "}\n",
                                    &context);
    ScopedDiagnosticHandler handler(&context, [](Diagnostic &) { return success(); });
    std::string why;
    GPUEmissionOptions options;
    options.ptxas = ptxas;
    options.cache = cache;
    GPUCode code;
    EXPECT_EQ(succeeded(emitGPUCode(*module, *GPUTarget::get(chip, why), code, options)), succeeds);
    return code;
  }

  std::string folder = "/tmp/smelt-gpu-cache-" + std::to_string(getpid());
  std::string ptxas = folder + "/ptxas", cache = folder + "/cache";
};

TEST_F(GPUCodeCache, GivesAllThatWasMade) {
  GPUCode made = emit(42);
  EXPECT_NE(made.ptx.find("42"), std::string::npos);
  EXPECT_EQ(made.cubin, made.ptx);
  EXPECT_EQ(countRuns(), 1);
  GPUCode found = emit(42);
  EXPECT_EQ(countRuns(), 1);
  EXPECT_EQ(found.ptx, made.ptx);
  EXPECT_EQ(found.cubin, made.cubin);
  ASSERT_EQ(found.resources.size(), 1u);
  EXPECT_EQ(found.resources[0].symbol, "k");
  EXPECT_EQ(found.resources[0].registers, 7);
  EXPECT_EQ(found.resources[0].sharedBytes, 48);
  EXPECT_EQ(found.notes, made.notes);
  EXPECT_EQ(found.notes.size(), 1u);
}

TEST_F(GPUCodeCache, TellsModulesTargetsAndVersionsApart) {
  GPUCode first = emit(42);
  EXPECT_NE(emit(43).cubin, first.cubin);
  EXPECT_NE(emit(42, "sm_90a").cubin, first.cubin);
  EXPECT_EQ(countRuns(), 3);
  setPtxas("second version", 0);
  EXPECT_EQ(emit(42).cubin, first.cubin);
  EXPECT_EQ(countRuns(), 4);
  ptxas = "none";
  EXPECT_EQ(emit(42).cubin, "");
  EXPECT_EQ(emit(42).ptx, first.ptx);
}

TEST_F(GPUCodeCache, KeepsNoFailure) {
  setPtxas("a version", 1);
  emit(42, "sm_80", false);
  EXPECT_EQ(countRuns(), 1);
  setPtxas("a version", 0);
  EXPECT_NE(emit(42).cubin, "");
  EXPECT_EQ(countRuns(), 2);
}

TEST_F(GPUCodeCache, DamageAndMissingRightsOnlyCostTime) {
  GPUCode made = emit(42);
  for (const auto &file : std::filesystem::directory_iterator(cache))
    if (std::filesystem::file_size(file))
      std::fstream(file.path(), std::ios::in | std::ios::out).seekp(90).put('!');
  EXPECT_EQ(emit(42).ptx, made.ptx);
  EXPECT_EQ(countRuns(), 2);
  EXPECT_EQ(emit(42).cubin, made.cubin);
  EXPECT_EQ(countRuns(), 2);
  cache = "/proc/none";
  EXPECT_EQ(emit(42).cubin, made.cubin);
  cache = "";
  EXPECT_EQ(emit(42).cubin, made.cubin);
  EXPECT_EQ(countRuns(), 4);
}

} // namespace
