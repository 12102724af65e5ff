//===- Schedule.cpp - Reorder launches for less memory --------------------===//
#include "compiler/Transforms/Memory/LaunchDependences.h"
#include "compiler/Transforms/Memory/Passes.h"
#include "dialects/Exec/ExecCollectives.h"

using namespace mlir;
using namespace mlir::exec;

namespace smelt {
#define GEN_PASS_DEF_SCHEDULEPASS
#include "compiler/Transforms/Memory/Passes.h.inc"
} // namespace smelt

using namespace smelt;

namespace {
struct SchedulePass : smelt::impl::SchedulePassBase<SchedulePass> {
  using Base::Base;

  void runOnOperation() override {
    LaunchDependences dependences(getOperation());
    for (auto program : getOperation().getOps<ProgramOp>()) {
      LaunchGraph graph = dependences.buildGraph(program, ranks > 1);
      SmallVector<unsigned> order = orderLaunches(graph);
      if (llvm::is_sorted(order))
        continue;
      auto launches = llvm::to_vector(program.getOps<LaunchOp>());
      // What stands behind the launches are collectives, which stay there.
      auto after = std::next(launches.back()->getIterator());
      if (llvm::any_of(llvm::make_range(launches.front()->getIterator(), after),
                       [](Operation &op) { return isCollective(&op); }))
        continue;
      ++programs;
      bytesBefore += getPlannedBytes(graph, llvm::to_vector(llvm::seq<unsigned>(order.size())));
      bytesAfter += getPlannedBytes(graph, order);
      for (unsigned launch : order)
        launches[launch]->moveBefore(&program.getBody().front(), after);
    }
  }
};
} // namespace
