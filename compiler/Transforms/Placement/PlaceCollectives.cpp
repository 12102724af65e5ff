//===- PlaceCollectives.cpp - Collectives beside launches -----------------===//
//
// For each training program and each set of updates that are due together: concatenate, find what
// must come before what (ArenaAccess), arrange both lanes (ArrangeStep), write the program. IR before
// and after: Passes.td.
//
//===----------------------------------------------------------------------===//
#include "compiler/Transforms/Placement/ArrangeStep.h"
#include "compiler/Transforms/Placement/FormBuckets.h"
#include "compiler/Transforms/Placement/Passes.h"
#include "compiler/Transforms/Placement/StepCosts.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include <numeric>

using namespace mlir;
using namespace mlir::exec;
using namespace smelt;

namespace smelt {
#define GEN_PASS_DEF_PLACECOLLECTIVESPASS
#include "compiler/Transforms/Placement/Passes.h.inc"
} // namespace smelt

namespace {

using Updates = SmallVector<ProgramOp>;

bool hasCollectives(ProgramOp program) {
  return llvm::any_of(program.getBody().front(), [](Operation &op) { return isCollective(&op); });
}

/// The sets of updates that are due after a step, the most frequent first; none that says nothing
/// to the other ranks.
SmallVector<Updates> findKinds(const Updates &updates) {
  constexpr int64_t mostSteps = 4096, mostKinds = 8;
  int64_t period = 1;
  for (ProgramOp update : updates)
    period = std::min(std::lcm(period, static_cast<int64_t>(update.getEvery())), mostSteps);
  SmallVector<std::pair<Updates, int64_t>> kinds;
  for (int64_t step = 0; step < period; ++step) {
    Updates due = llvm::filter_to_vector(updates, [&](ProgramOp update) {
      return step % static_cast<int64_t>(update.getEvery()) == static_cast<int64_t>(update.getOffset());
    });
    if (llvm::none_of(due, hasCollectives))
      continue;
    auto known = llvm::find_if(kinds, [&](auto &kind) { return kind.first == due; });
    if (known == kinds.end())
      kinds.push_back({due, 1});
    else
      ++known->second;
  }
  llvm::stable_sort(kinds, [](auto &a, auto &b) { return a.second > b.second; });
  if (kinds.size() > mostKinds)
    kinds.resize(mostKinds);
  return llvm::map_to_vector(kinds, [](auto &kind) { return kind.first; });
}

/// The end of a step: its entries one after the other, and how they are arranged.
struct EndOfStep {
  SmallVector<Operation *> ops;
  SmallVector<StepEntry> entries;
  unsigned fixed = 0; ///< So many entries are the micro-batch's.
  Arrangement arrangement;
};

EndOfStep arrange(ProgramOp train, const Updates &updates, const ArenaAccess &access, const StepCosts &costs) {
  EndOfStep step;
  auto append = [&](ProgramOp program) {
    for (Operation &op : program.getBody().front()) {
      StepEntry &entry = step.entries.emplace_back();
      entry.isCollective = isCollective(&op);
      entry.microseconds = entry.isCollective ? costs.getCollective(&op, access) : costs.getLaunch(cast<LaunchOp>(op));
      for (auto [index, earlier] : llvm::enumerate(step.ops))
        if (access.conflict(earlier, &op))
          entry.after.push_back(index);
      step.ops.push_back(&op);
    }
  };
  append(train);
  step.fixed = step.ops.size();
  for (ProgramOp update : updates)
    append(update);
  // On a GPU a step is one graph; elsewhere a non-finite loss must stop before the first update.
  step.arrangement = arrangeStep(step.entries, step.fixed, costs.multiprocessors > 0, costs.links);
  return step;
}

/// May `later` run before `earlier`?
bool mayPass(ProgramOp earlier, ProgramOp later, const ArenaAccess &access) {
  for (Operation &a : earlier.getBody().front())
    for (Operation &b : later.getBody().front())
      if (access.conflictOverPrograms(&a, &b))
        return false;
  return true;
}

/// The updates in the order whose step is shortest; of equals, the module's.
EndOfStep arrangeBest(ProgramOp train, const Updates &updates, const ArenaAccess &access, const StepCosts &costs) {
  EndOfStep best = arrange(train, updates, access, costs);
  for (size_t first = 1; first < updates.size(); ++first) {
    ArrayRef<ProgramOp> before = ArrayRef(updates).take_front(first);
    if (!llvm::all_of(before, [&](ProgramOp earlier) { return mayPass(earlier, updates[first], access); }))
      continue;
    Updates order{updates[first]};
    for (ProgramOp update : updates)
      if (update != updates[first])
        order.push_back(update);
    if (EndOfStep other = arrange(train, order, access, costs); other.arrangement.microseconds < best.arrangement.microseconds - 1)
      best = std::move(other);
  }
  return best;
}

/// The launches up to the micro-batch's last; updates of a GPU may be among them.
int64_t countBeforeUpdates(const EndOfStep &step) {
  int64_t launches = 0, last = 0;
  for (unsigned entry : step.arrangement.order)
    if (!step.entries[entry].isCollective) {
      ++launches;
      if (entry < step.fixed)
        last = launches;
    }
  return last;
}

struct PlaceCollectivesPass : smelt::impl::PlaceCollectivesPassBase<PlaceCollectivesPass> {
  using Base::Base;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    Updates trains, updates;
    for (auto program : module.getOps<ProgramOp>())
      if (program.getRole() == "train")
        trains.push_back(program);
      else if (program.getRole() == "update")
        updates.push_back(program);
    SmallVector<Updates> kinds = findKinds(updates);
    if (trains.empty() || kinds.empty())
      return;
    {
      ArenaAccess access(module);
      for (ProgramOp update : updates)
        formBuckets(update, trains.front(), access, bucketBytes);
    }
    ArenaAccess access(module);
    StepCosts costs = StepCosts::get(gpu, ranks);
    if (costs.collectiveBlocks)
      module->setAttr("exec.collective_blocks",
                      Builder(module).getI64IntegerAttr(costs.collectiveBlocks));
    for (ProgramOp train : trains)
      for (const Updates &kind : kinds)
        write(train, kind, arrangeBest(train, kind, access, costs), costs);
  }

  /// "train.T8.last", and ".every2" for an update that is not called "update" alone.
  std::string makeName(ProgramOp train, const Updates &updates) {
    std::string name = (train.getSymName() + ".last").str();
    for (ProgramOp update : updates) {
      StringRef own = update.getSymName();
      own.consume_front("update");
      own.consume_front(".");
      name += own.empty() ? "" : ("." + own).str();
    }
    return name;
  }

  void write(ProgramOp train, const Updates &updates, const EndOfStep &step, const StepCosts &costs) {
    OpBuilder builder = OpBuilder::atBlockEnd(getOperation().getBody());
    auto program = ProgramOp::create(
        builder, train.getLoc(), builder.getStringAttr(makeName(train, updates)),
        train.getRoleAttr(), train.getTokensAttr(), train.getInputsAttr(), train.getOutputsAttr(),
        builder.getI64IntegerAttr(1), builder.getI64IntegerAttr(0));
    double exposed = std::accumulate(step.arrangement.exposed.begin(), step.arrangement.exposed.end(), 0.0);
    program->setAttr("exec.last_of", FlatSymbolRefAttr::get(train.getSymNameAttr()));
    program->setAttr("exec.updates", builder.getArrayAttr(llvm::map_to_vector(updates, [](ProgramOp update) -> Attribute {
                       return update.getSymNameAttr();
                     })));
    program->setAttr("exec.updates_from", builder.getI64IntegerAttr(countBeforeUpdates(step)));
    program->setAttr("exec.predicted_us", builder.getI64IntegerAttr(std::llround(step.arrangement.microseconds)));
    program->setAttr("exec.predicted_exposed_us", builder.getI64IntegerAttr(std::llround(exposed)));
    ++programs;

    builder.createBlock(&program.getBody());
    llvm::DenseMap<unsigned, int64_t> numbers;
    int64_t waitedFor = -1; // On the lane they end in order: who waits for one has waited for those before it.
    for (unsigned entry : step.arrangement.order) {
      Operation *op = builder.clone(*step.ops[entry]);
      if (step.entries[entry].isCollective) {
        op->setAttr("exec.lane", builder.getStringAttr("communication"));
        numbers.try_emplace(entry, static_cast<int64_t>(numbers.size()));
        ++collectives;
        continue;
      }
      int64_t wait = -1;
      for (unsigned earlier : step.entries[entry].after)
        if (step.entries[earlier].isCollective)
          wait = std::max(wait, numbers.lookup(earlier));
      if (wait > waitedFor)
        op->setAttr("exec.wait", builder.getDenseI64ArrayAttr(waitedFor = wait));
    }
  }
};

} // namespace
