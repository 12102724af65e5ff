//===- GPUCodeCache.cpp - PTX and cubins made before ----------------------===//
#include "compiler/Target/CUDA/GPUCodeCache.h"
#include "llvm/Support/raw_ostream.h"

using namespace smelt;

GPUCodeCache::GPUCodeCache(const std::string &folder, mlir::ModuleOp module,
                           const GPUTarget &target, const std::string &ptxas)
    : cache(folder) {
  if (folder.empty())
    return;
  std::string compiler = identifyCompiler(),
              assembler = ptxas.empty() ? "none" : identifyPtxas(ptxas);
  if (compiler.empty() || assembler.empty())
    return;
  std::string text;
  llvm::raw_string_ostream out(text);
  module.print(out, mlir::OpPrintingFlags().assumeVerified());
  key = hashText(hashText(text) + " " + compiler + target.chip + " " + assembler);
}

/// Kept are the lengths of PTX and log in decimal digits, each before a space, then PTX, log,
/// cubin.
bool GPUCodeCache::find(GPUCode &code) const {
  if (key.empty())
    return false;
  std::optional<std::string> kept = cache.find(key);
  if (!kept)
    return false;
  llvm::StringRef rest = *kept;
  uint64_t ptx = 0, log = 0;
  if (rest.consumeInteger(10, ptx) || !rest.consume_front(" ") || rest.consumeInteger(10, log) ||
      !rest.consume_front(" ") || ptx > rest.size() || log > rest.size() - ptx)
    return false;
  code.ptx = rest.take_front(ptx).str();
  code.log = rest.substr(ptx, log).str();
  code.cubin = rest.drop_front(ptx + log).str();
  parseLog(code);
  return true;
}

void GPUCodeCache::keep(const GPUCode &code) const {
  if (key.empty())
    return;
  cache.keep(key, std::to_string(code.ptx.size()) + " " + std::to_string(code.log.size()) + " " +
                      code.ptx + code.log + code.cubin);
  cache.prune();
}
