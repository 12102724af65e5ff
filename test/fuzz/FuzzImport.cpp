//===- FuzzImport.cpp - The importer on hostile text ----------------------===//
//
// LLVMFuzzerTestOneInput is libFuzzer's entry point (link with -fsanitize=fuzzer). What must hold
// for every text: no crash, and a refusal comes with an error at a place inside the text.
//
//===----------------------------------------------------------------------===//
#include "compiler/Import/Import.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>

namespace {

/// A context keeps every type and location it has seen; a new one now and then keeps memory flat.
mlir::MLIRContext &getContext() {
  static std::unique_ptr<mlir::MLIRContext> context;
  static unsigned uses = 0;
  if (uses++ % 256 == 0)
    context = std::make_unique<mlir::MLIRContext>(mlir::MLIRContext::Threading::DISABLED);
  return *context;
}

[[noreturn]] void fail(const char *what) {
  std::fprintf(stderr, "FuzzImport: %s\n", what);
  std::abort();
}

} // namespace

/// LLVM's allocators poison memory by hand in code that ASan instruments (ours, through headers),
/// while Debian's libMLIR.so, which is not instrumented, does not take the poison away: a mixture
/// that reports errors where there are none.
extern "C" const char *__asan_default_options() { return "allow_user_poisoning=0"; }

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  mlir::MLIRContext &context = getContext();
  llvm::StringRef text(reinterpret_cast<const char *>(data), size);
  size_t lines = text.count('\n') + 1;
  unsigned errors = 0;
  mlir::ScopedDiagnosticHandler handler(&context, [&](mlir::Diagnostic &diagnostic) {
    if (diagnostic.getSeverity() == mlir::DiagnosticSeverity::Error)
      ++errors;
    auto check = [&](mlir::Location location) {
      auto place = mlir::dyn_cast<mlir::FileLineColLoc>(location);
      if (!place)
        fail("a diagnostic without a place");
      if (place.getLine() < 1 || place.getLine() > lines || place.getColumn() < 1 ||
          place.getColumn() > size + 1)
        fail("a diagnostic outside the text");
    };
    check(diagnostic.getLocation());
    return mlir::success();
  });
  // The importer verifies the module it returns.
  mlir::OwningOpRef<mlir::ModuleOp> module = smelt::importSpecText(context, text, "fuzz.json");
  if (!module && !errors)
    fail("a refusal without an error");
  if (module && errors)
    fail("an error without a refusal");
#ifdef SMELT_LIBFUZZER
  return 0; // -1 would keep refused texts out of its corpus, and with them the importer's errors.
#else
  return module ? 0 : -1; // The driver counts how many texts are still specs.
#endif
}
