//===- SpecDiagnostics.h - Errors at places of a spec -----------*- C++ -*-===//
#ifndef SMELT_COMPILER_IMPORT_SPECDIAGNOSTICS_H
#define SMELT_COMPILER_IMPORT_SPECDIAGNOSTICS_H

#include "compiler/Import/Json.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Location.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/Twine.h"
#include <optional>

namespace smelt {

/// Reports through MLIR's diagnostic engine, at FileLineColLocs, so that a
/// SourceMgrDiagnosticHandler prints line and caret.
class SpecDiagnostics {
public:
  /// Adds notes to an error that was just reported; goes out when it is destroyed.
  class Report {
  public:
    Report(SpecDiagnostics &owner, std::optional<mlir::InFlightDiagnostic> diagnostic)
        : owner(&owner), diagnostic(std::move(diagnostic)) {}
    Report &note(Mark mark, const llvm::Twine &message);

  private:
    SpecDiagnostics *owner;
    std::optional<mlir::InFlightDiagnostic> diagnostic; // nothing: not shown
  };

  explicit SpecDiagnostics(mlir::MLIRContext &context) : context(context) {}

  /// Registers a file or an override; its index is the `source` of marks.
  uint32_t addSource(llvm::StringRef name);
  llvm::StringRef getSourceName(uint32_t source) const { return sources[source]; }

  Report error(Mark mark, const llvm::Twine &message);
  mlir::FileLineColLoc getLocation(Mark mark) const;
  /// The location of a step: its path in the spec, over the place of the key.
  mlir::Location getLocation(const llvm::Twine &path, Mark mark) const;
  unsigned getErrorCount() const { return errorCount; }
  /// After this many errors the rest is counted, but not shown.
  static constexpr unsigned kShownErrors = 20;
  bool isFull() const { return errorCount >= kShownErrors; }
  bool hasErrors() const { return errorCount != 0; }

private:
  mlir::MLIRContext &context;
  std::vector<std::string> sources;
  unsigned errorCount = 0;
};

/// The text with control characters written as \xNN and cut to a readable length.
std::string printable(llvm::StringRef text);

/// "; did you mean 'x'?" for the nearest of `candidates`, or nothing when none is near.
std::string didYouMean(llvm::StringRef name, llvm::ArrayRef<llvm::StringRef> candidates);

} // namespace smelt
#endif
