//===- JoinLaunches.cpp - Independent launches side by side ---------------===//
//
// Two kernels of which neither reads what the other writes become one function with both kernel
// ops, which a GPU runs as one launch: the blocks of the first, then those of the second. What a
// launch costs by itself is paid once, and the second kernel's blocks begin while the first one's
// last ones still run. The kernels' code stays what it was, so do the bits. IR before and after:
// Passes.td.
//
//===----------------------------------------------------------------------===//
#include "compiler/Transforms/Memory/LaunchDependences.h"
#include "compiler/Transforms/Memory/MergeLaunches.h"
#include "compiler/Transforms/Memory/Passes.h"
#include "dialects/Exec/ExecCollectives.h"

using namespace mlir;
using namespace mlir::exec;

namespace smelt {
#define GEN_PASS_DEF_JOINLAUNCHESPASS
#include "compiler/Transforms/Memory/Passes.h.inc"
} // namespace smelt

using namespace smelt;

namespace {

/// The launches of one program in groups: which run together, and in what order.
class Groups {
public:
  struct Group {
    LaunchGroup launches;
    std::vector<LaunchShape> shapes;
  };

  Groups(const LaunchGraph &graph, ArrayRef<std::vector<LaunchShape>> shapes) : graph(graph) {
    for (unsigned i = 0; i < graph.launches.size(); ++i)
      groups.push_back({{i}, shapes[i]});
  }

  ArrayRef<Group> get() const { return groups; }

  /// Joins, from the first group on, every later one that may stand beside it, the nearest first,
  /// in the place of either. No join may let the program need more than `mostBytes` of workspace.
  void join(unsigned mostParts, int64_t mostBytes) {
    for (size_t i = 0; i < groups.size(); ++i)
      for (size_t j = i + 1; j < groups.size();) {
        bool fits = groups[i].launches.size() + groups[j].launches.size() <= mostParts;
        // The group at i may be another one then.
        j = fits && tryJoin(i, j, mostBytes) ? i + 1 : j + 1;
      }
  }

  /// Bytes of the plan of the program's shared buffers.
  int64_t getBytes() const {
    return getPlannedBytes(
        graph, llvm::map_to_vector(groups, [](const Group &group) { return group.launches; }));
  }

private:
  bool tryJoin(size_t i, size_t j, int64_t mostBytes) {
    const Group &host = groups[i], &guest = groups[j];
    // All of the shorter one's launches must find a place, or little is saved.
    std::vector<JoinedLaunch> list = matchLaunches(host.shapes, guest.shapes);
    if (host.shapes.empty() || guest.shapes.empty() ||
        list.size() > std::max(host.shapes.size(), guest.shapes.size()) || waitsFor(j, i))
      return false;
    Group both = host;
    both.launches.append(guest.launches);
    both.shapes = joinShapes(host.shapes, guest.shapes);
    auto between = llvm::seq(i + 1, j);
    return (llvm::none_of(between, [&](size_t k) { return waitsFor(j, k); }) &&
            tryReplace(i, j, both, mostBytes)) ||
           (llvm::none_of(between, [&](size_t k) { return waitsFor(k, i); }) &&
            tryReplace(j, i, both, mostBytes));
  }

  /// `both` instead of the group at `kept`, and none at `dropped`, unless that needs too much.
  bool tryReplace(size_t kept, size_t dropped, const Group &both, int64_t mostBytes) {
    Group before = std::exchange(groups[kept], both), gone = std::move(groups[dropped]);
    groups.erase(groups.begin() + dropped);
    if (getBytes() <= mostBytes)
      return true;
    groups.insert(groups.begin() + dropped, std::move(gone));
    groups[kept] = std::move(before);
    return false;
  }

  /// Whether a launch of group `later` must run after one of group `earlier`.
  bool waitsFor(size_t later, size_t earlier) const {
    return llvm::any_of(groups[later].launches, [&](unsigned launch) {
      return llvm::any_of(groups[earlier].launches, [&](unsigned other) {
        return llvm::is_contained(graph.launches[launch].after, other);
      });
    });
  }

  const LaunchGraph &graph;
  std::vector<Group> groups;
};

struct JoinLaunchesPass : smelt::impl::JoinLaunchesPassBase<JoinLaunchesPass> {
  using JoinLaunchesPassBase::JoinLaunchesPassBase;

  void runOnOperation() override {
    LaunchDependences dependences(getOperation());
    SymbolTable symbols(getOperation());
    // Programs share the bytes of their workspaces: there is room for the one that needs most.
    int64_t mostBytes = 0;
    for (auto program : getOperation().getOps<ProgramOp>())
      mostBytes = std::max(mostBytes, getPlannedBytes(dependences.buildGraph(program)));
    for (auto program : getOperation().getOps<ProgramOp>())
      if (updates || program.getRole() != "update")
        joinProgram(program, dependences.buildGraph(program), mostBytes, symbols);
  }

  void joinProgram(ProgramOp program, const LaunchGraph &graph, int64_t mostBytes,
                   SymbolTable &symbols) {
    auto launches = llvm::to_vector(program.getOps<LaunchOp>());
    if (launches.empty())
      return;
    // Collectives keep their place: they stand before all launches or behind them.
    auto after = std::next(launches.back()->getIterator());
    if (llvm::any_of(llvm::make_range(launches.front()->getIterator(), after),
                     [](Operation &op) { return isCollective(&op); }))
      return;
    std::vector<std::vector<LaunchShape>> shapes;
    for (LaunchOp launch : launches)
      shapes.push_back(getLaunchShapes(symbols.lookup<func::FuncOp>(launch.getKernel())));
    Groups groups(graph, shapes);
    groups.join(parts, mostBytes);
    for (const Groups::Group &group : groups.get()) {
      LaunchOp first = launches[group.launches.front()];
      first->moveBefore(&program.getBody().front(), after);
      std::vector<LaunchShape> known = shapes[group.launches.front()];
      for (unsigned other : ArrayRef(group.launches).drop_front()) {
        known = joinShapes(known, shapes[other]);
        first = mergeLaunches(first, launches[other], known, symbols);
        ++joined;
      }
    }
  }
};

} // namespace
