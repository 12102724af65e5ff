//===- EmitPTX.cpp - LLVM IR to PTX ---------------------------------------===//
//
// Kernels share nothing but the name of the launch's dynamic shared memory, so a module falls into
// parts: each goes through bitcode into a context of its own (LLVM's contexts are not shared
// between threads). The parts' texts are joined again, since one file is assembled and shipped.
//
//===----------------------------------------------------------------------===//
#include "compiler/Target/CUDA/EmitPTX.h"
#include "compiler/Target/Optimize.h"
#include "llvm/Bitcode/BitcodeReader.h"
#include "llvm/Bitcode/BitcodeWriter.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Support/ThreadPool.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/TargetParser/Triple.h"
#include "llvm/Transforms/Utils/SplitModule.h"

namespace smelt {
namespace {

std::unique_ptr<llvm::TargetMachine> createMachine(const GPUTarget &target, std::string &error) {
  static const bool initialized = [] {
    LLVMInitializeNVPTXTargetInfo();
    LLVMInitializeNVPTXTarget();
    LLVMInitializeNVPTXTargetMC();
    LLVMInitializeNVPTXAsmPrinter();
    return true;
  }();
  (void)initialized;
  llvm::Triple triple("nvptx64-nvidia-cuda");
  const llvm::Target *backend = llvm::TargetRegistry::lookupTarget(triple, error);
  if (!backend)
    return nullptr;
  llvm::TargetOptions options;
  // Only what is written as one operation is fused: the same sums on every target.
  options.AllowFPOpFusion = llvm::FPOpFusion::Standard;
  // PTX 8.1 has kernel parameters beyond 4 KB (tables of pointers); 8.3 is what CUDA 12.3 reads.
  return std::unique_ptr<llvm::TargetMachine>(
      backend->createTargetMachine(triple, target.chip, "+ptx83", options, llvm::Reloc::PIC_,
                                   std::nullopt, llvm::CodeGenOptLevel::Aggressive));
}

std::string compile(llvm::Module &module, const GPUTarget &target, std::string &error,
                    llvm::function_ref<void(llvm::Module &)> visit) {
  std::unique_ptr<llvm::TargetMachine> machine = createMachine(target, error);
  if (!machine) {
    error = "no NVPTX backend in this LLVM: " + error;
    return "";
  }
  module.setTargetTriple(machine->getTargetTriple());
  module.setDataLayout(machine->createDataLayout());
  optimizeGenerated(module, *machine);
  visit(module);
  llvm::SmallString<0> text;
  llvm::raw_svector_ostream out(text);
  llvm::legacy::PassManager passes;
  if (machine->addPassesToEmitFile(passes, out, nullptr, llvm::CodeGenFileType::AssemblyFile)) {
    error = "the NVPTX backend cannot emit PTX";
    return "";
  }
  passes.run(module);
  return text.str().str();
}

struct Part {
  llvm::SmallString<0> bitcode;
  std::string ptx, error;
};

void compilePart(Part &part, const GPUTarget &target) {
  llvm::LLVMContext context;
  auto module = llvm::parseBitcodeFile(llvm::MemoryBufferRef(part.bitcode, "part"), context);
  if (!module)
    part.error = "cannot read back a part of the kernels: " + llvm::toString(module.takeError());
  else
    part.ptx = compile(**module, target, part.error, [](llvm::Module &) {});
  part.bitcode.clear();
}

/// Appends a part's text without what is there already: the file's head, and the declaration of the
/// launch's dynamic shared memory.
void append(std::string &all, llvm::StringRef ptx) {
  if (all.empty()) {
    all = ptx.str();
    return;
  }
  llvm::StringRef end = ".address_size 64\n";
  ptx = ptx.drop_front(ptx.find(end) + end.size());
  while (!ptx.empty()) {
    auto [line, rest] = ptx.split('\n');
    if (!line.starts_with(".extern .shared") || all.find(line) == std::string::npos)
      all += (line + "\n").str();
    ptx = rest;
  }
}

} // namespace

std::string emitPTX(std::unique_ptr<llvm::Module> module, const GPUTarget &target, unsigned parts,
                    std::string &error, llvm::function_ref<void(llvm::Module &)> visit) {
  if (parts <= 1)
    return compile(*module, target, error, visit);
  std::vector<Part> texts;
  llvm::SplitModule(
      *module, parts,
      [&](std::unique_ptr<llvm::Module> part) {
        llvm::raw_svector_ostream out(texts.emplace_back().bitcode);
        llvm::WriteBitcodeToFile(*part, out);
      },
      /*PreserveLocals=*/true, /*RoundRobin=*/true);
  module.reset();
  {
    llvm::DefaultThreadPool threads(llvm::hardware_concurrency());
    for (Part &part : texts)
      threads.async([&] { compilePart(part, target); });
    threads.wait();
  }
  std::string all;
  for (const Part &part : texts) {
    if (!part.error.empty())
      error = part.error;
    append(all, part.ptx);
  }
  return all;
}

} // namespace smelt
