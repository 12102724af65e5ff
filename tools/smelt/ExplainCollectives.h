//===- ExplainCollectives.h - What ranks say to each other in a step -----===//
//
// Read off the update programs of an exec module: kind, bytes, which parameters, when.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/JSON.h"

#include <string>
#include <vector>

namespace smelt::cli {

struct ExplainedCollective {
  std::string program, kind;
  int64_t every = 1;  ///< The program runs once in so many steps.
  int64_t before = 0; ///< The launch of the program before which it stands.
  int64_t launches = 0; ///< Of the program.
  std::vector<std::string> parameters;
  int64_t bytes = 0; ///< The message: with padding.
  int64_t sent = 0;  ///< By each rank, in a ring.
};

struct CommunicationCost {
  int64_t ranks = 1;
  std::vector<ExplainedCollective> collectives;
  double bytesPerStep = 0, sentPerStep = 0; ///< On average.
};

CommunicationCost explainCommunication(mlir::ModuleOp exec, int64_t ranks);
void printCommunication(const CommunicationCost &cost, llvm::raw_ostream &out);
llvm::json::Object communicationToJson(const CommunicationCost &cost);

} // namespace smelt::cli
