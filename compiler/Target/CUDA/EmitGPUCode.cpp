//===- EmitGPUCode.cpp - GPU functions to PTX, in process -----------------===//
#include "compiler/Target/CUDA/EmitGPUCode.h"
#include "compiler/Target/CUDA/EmitPTX.h"
#include "compiler/Target/CUDA/GPUCodeCache.h"

#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/NVVMToLLVM/NVVMToLLVM.h"
#include "mlir/Conversion/ReconcileUnrealizedCasts/ReconcileUnrealizedCasts.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/NVVM/NVVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;

namespace smelt {
namespace {

/// Modules of so many kernels are compiled in parts, side by side. The number of parts does not
/// depend on the machine, so neither does the code.
constexpr size_t kManyKernels = 64;
constexpr unsigned kParts = 8;

void write(const std::string &path, llvm::function_ref<void(llvm::raw_ostream &)> print) {
  std::error_code code;
  llvm::raw_fd_ostream out(path, code);
  if (!code)
    print(out);
}

LogicalResult lower(ModuleOp module) {
  PassManager passes(module.getContext());
  passes.addPass(createSCFToControlFlowPass());
  passes.addPass(createCanonicalizerPass());
  passes.addPass(createCSEPass());
  passes.addPass(createArithToLLVMConversionPass());
  passes.addPass(createConvertControlFlowToLLVMPass());
  passes.addPass(createConvertNVVMToLLVMPass());
  passes.addPass(createReconcileUnrealizedCastsPass());
  return passes.run(module);
}

} // namespace

void registerGPUTargetDialects(DialectRegistry &registry) {
  registry.insert<LLVM::LLVMDialect, NVVM::NVVMDialect, scf::SCFDialect, cf::ControlFlowDialect,
                  arith::ArithDialect>();
  registerBuiltinDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
  registerNVVMDialectTranslation(registry);
}

LogicalResult emitGPUCode(ModuleOp module, const GPUTarget &target, GPUCode &code,
                          const GPUEmissionOptions &options) {
  if (!options.dumpPrefix.empty())
    write(options.dumpPrefix + ".mlir", [&](auto &out) { module.print(out); });
  std::string ptxas = options.ptxas.empty() ? findPtxas() : options.ptxas;
  if (ptxas == "none")
    ptxas.clear();
  // A dump shows what is compiled, so it asks for all of it.
  GPUCodeCache cache(options.dumpPrefix.empty() ? options.cache : "", module, target, ptxas);
  if (cache.find(code))
    return success();
  if (failed(lower(module)))
    return module.emitError("cannot lower the kernels to the llvm dialect");
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> llvmModule =
      translateModuleToLLVMIR(module, context, "smelt-kernels");
  if (!llvmModule)
    return module.emitError("cannot translate the kernels to LLVM IR");
  std::string error;
  // A dump shows one module.
  size_t kernels = llvm::count_if(*llvmModule, [](auto &f) { return !f.isDeclaration(); });
  unsigned parts = options.dumpPrefix.empty() && kernels >= kManyKernels ? kParts : 1;
  code.ptx = emitPTX(std::move(llvmModule), target, parts, error, [&](llvm::Module &optimized) {
    if (!options.dumpPrefix.empty())
      write(options.dumpPrefix + ".ll", [&](auto &out) { optimized.print(out, nullptr); });
  });
  if (!error.empty())
    return module.emitError(error);
  if (!options.dumpPrefix.empty())
    write(options.dumpPrefix + ".ptx", [&](auto &out) { out << code.ptx; });
  if (!ptxas.empty() && !assemble(target, ptxas, code, error))
    return module.emitError(error);
  cache.keep(code);
  return success();
}

} // namespace smelt
