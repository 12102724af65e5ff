//===- CompileModule.cpp - LLVM IR to an object file ------------------------===//
#include "compiler/Target/CPU/CompileModule.h"
#include "compiler/Target/Optimize.h"

#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/TargetParser/Triple.h"
#include "llvm/Transforms/Utils/Cloning.h"

using namespace mlir;

namespace smelt {
namespace {

std::unique_ptr<llvm::TargetMachine> createMachine(const CPUTarget &target, std::string &error) {
  static const bool initialized = [] {
    llvm::InitializeNativeTarget();
    llvm::InitializeNativeTargetAsmPrinter();
    llvm::InitializeNativeTargetAsmParser();
    return true;
  }();
  (void)initialized;
  llvm::Triple triple("x86_64-unknown-linux-gnu");
  const llvm::Target *backend = llvm::TargetRegistry::lookupTarget(triple, error);
  if (!backend)
    return nullptr;
  llvm::TargetOptions options;
  // Standard: only llvm.fmuladd, which vector.fma becomes, is contracted; a mulf and an addf stay
  // two roundings wherever they stand.
  options.AllowFPOpFusion = llvm::FPOpFusion::Standard;
  std::unique_ptr<llvm::TargetMachine> machine(
      backend->createTargetMachine(triple, target.level, "", options, llvm::Reloc::PIC_,
                                   std::nullopt, llvm::CodeGenOptLevel::Aggressive));
  return machine;
}

/// Gives every function, those outlined by OpenMP included, the target's attributes.
void setTargetAttributes(llvm::Module &module, const CPUTarget &target) {
  for (llvm::Function &function : module) {
    if (function.isDeclaration())
      continue;
    function.addFnAttr("target-cpu", target.level);
    function.addFnAttr("tune-cpu", target.name);
    // CPUs with AVX-512 ask for 256-bit vectors by default; the kernels are written for whole
    // registers.
    function.addFnAttr("target-features", target.lanes == 16 ? "-prefer-256-bit" : "");
    function.addFnAttr("prefer-vector-width", std::to_string(target.lanes * 32));
    function.addFnAttr(llvm::Attribute::NoUnwind);
  }
}

/// Runs the backend on `module` into `path`.
LogicalResult writeCode(llvm::Module &module, llvm::TargetMachine &machine,
                        llvm::CodeGenFileType type, llvm::StringRef path, std::string &error) {
  std::error_code code;
  llvm::raw_fd_ostream out(path, code, llvm::sys::fs::OF_None);
  if (code) {
    error = "cannot write '" + path.str() + "': " + code.message();
    return failure();
  }
  {
    // The passes hold streams on top of `out` until they are destroyed.
    llvm::legacy::PassManager passes;
    if (machine.addPassesToEmitFile(passes, out, nullptr, type)) {
      error = "the X86 backend cannot emit this kind of file";
      return failure();
    }
    passes.run(module);
  }
  out.close();
  if (out.has_error()) {
    error = "cannot write '" + path.str() + "': " + out.error().message();
    out.clear_error();
    return failure();
  }
  return success();
}

LogicalResult dump(llvm::Module &module, llvm::TargetMachine &machine, const std::string &prefix,
                   std::string &error) {
  std::error_code code;
  llvm::raw_fd_ostream out(prefix + ".ll", code);
  if (code) {
    error = "cannot write '" + prefix + ".ll': " + code.message();
    return failure();
  }
  module.print(out, nullptr);
  std::unique_ptr<llvm::Module> copy = llvm::CloneModule(module);
  return writeCode(*copy, machine, llvm::CodeGenFileType::AssemblyFile, prefix + ".s", error);
}

} // namespace

LogicalResult compileModule(llvm::Module &module, const CPUTarget &target,
                            const std::string &object, const std::string &dumpPrefix,
                            std::string &error) {
  std::unique_ptr<llvm::TargetMachine> machine = createMachine(target, error);
  if (!machine) {
    error = "no x86-64 backend in this LLVM: " + error;
    return failure();
  }
  module.setTargetTriple(machine->getTargetTriple());
  module.setDataLayout(machine->createDataLayout());
  setTargetAttributes(module, target);
  optimizeGenerated(module, *machine);
  if (!dumpPrefix.empty() && failed(dump(module, *machine, dumpPrefix, error)))
    return failure();
  return writeCode(module, *machine, llvm::CodeGenFileType::ObjectFile, object, error);
}

} // namespace smelt
