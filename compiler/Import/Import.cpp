//===- Import.cpp - JSON spec → lm module ---------------------------------===//
#include "compiler/Import/Import.h"
#include "compiler/Import/ApplyOverrides.h"
#include "compiler/Import/EmitModule.h"
#include "compiler/Import/Grammar.h"
#include "compiler/Import/LoadSpec.h"
#include "dialects/LM/LMOps.h"
#include "dialects/Train/TrainOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Verifier.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/SourceMgr.h"

using namespace mlir;
using namespace smelt;

OwningOpRef<ModuleOp> smelt::importSpecText(MLIRContext &context, llvm::StringRef text,
                                            llvm::StringRef name, const ImportOptions &options) {
  context.loadDialect<func::FuncDialect, lm::LMDialect, train::TrainDialect>();
  SpecDiagnostics diagnostics(context);
  uint32_t source = diagnostics.addSource(name);
  if (options.sourceMgr)
    options.sourceMgr->AddNewSourceBuffer(
        llvm::MemoryBuffer::getMemBufferCopy(text.take_front(kMaxSpecBytes), name), llvm::SMLoc());
  if (text.size() > kMaxSpecBytes) {
    diagnostics.error({source, 1, 1}, "the file is larger than 16 MiB");
    return nullptr;
  }
  JsonValue tree;
  Spec spec;
  std::vector<std::string> overrides = options.overrides;
  if (!options.precision.empty())
    overrides.push_back("precision=" + options.precision);
  if (!loadSpec(text, name, source, diagnostics, options.sourceMgr, tree) ||
      !applyOverrides(tree, overrides, diagnostics, options.sourceMgr) ||
      !checkGrammar(tree, getSpecRule(), diagnostics) || !parseSpec(tree, diagnostics, spec))
    return nullptr;
  OwningOpRef<ModuleOp> module = ModuleOp::create(diagnostics.getLocation(Mark{source, 1, 1}));
  module->getOperation()->setAttr("smelt.spec", StringAttr::get(&context, printJson(tree)));
  ModuleEmitter(*module, spec, diagnostics).emit();
  if (diagnostics.hasErrors() || failed(verify(*module)))
    return nullptr;
  return module;
}

OwningOpRef<ModuleOp> smelt::importSpec(MLIRContext &context, llvm::StringRef path,
                                        const ImportOptions &options) {
  // The size is checked before anything is read; "-" is standard input.
  uint64_t size = 0;
  std::error_code error;
  if (path != "-")
    error = llvm::sys::fs::file_size(path, size);
  std::unique_ptr<llvm::MemoryBuffer> buffer;
  if (!error && size <= kMaxSpecBytes) {
    auto opened = llvm::MemoryBuffer::getFileOrSTDIN(path, /*IsText=*/true);
    if (opened)
      buffer = std::move(*opened);
    else
      error = opened.getError();
  }
  if (buffer)
    return importSpecText(context, buffer->getBuffer(), path, options);
  // An empty buffer of that name keeps a diagnostic handler from opening the file again.
  if (options.sourceMgr)
    options.sourceMgr->AddNewSourceBuffer(llvm::MemoryBuffer::getMemBufferCopy("", path),
                                          llvm::SMLoc());
  SpecDiagnostics diagnostics(context);
  Mark mark{diagnostics.addSource(path), 1, 1};
  if (error)
    diagnostics.error(mark, "cannot read the file: " + error.message());
  else
    diagnostics.error(mark, "the file is larger than 16 MiB");
  return nullptr;
}
