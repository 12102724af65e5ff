//===- LaunchOrder.cpp - An order of launches that needs little memory ----===//
//
// The best order is NP-hard to find (it is register allocation with values of different sizes), and
// program order is good already: the forward pass must keep what the backward pass reads. What list
// scheduling gains is at the turn and in the backward pass: a weight gradient that is the last
// reader of an activation runs before further activations' gradients are made.
//
//===----------------------------------------------------------------------===//
#include "compiler/Transforms/Memory/LaunchOrder.h"
#include "compiler/Transforms/Memory/MemoryPlan.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/Sequence.h"
#include <limits>
#include <set>

using namespace smelt;

int64_t smelt::getPlannedBytes(const LaunchGraph &graph, llvm::ArrayRef<unsigned> order) {
  llvm::SmallVector<Lifetime> lifetimes(graph.bytes.size(), Lifetime{0, -1, -1});
  for (auto [time, launch] : llvm::enumerate(order))
    for (unsigned buffer : graph.launches[launch].buffers) {
      Lifetime &lifetime = lifetimes[buffer];
      if (lifetime.first < 0)
        lifetime = {graph.bytes[buffer], static_cast<int64_t>(time)};
      lifetime.last = static_cast<int64_t>(time);
    }
  return planMemory(lifetimes);
}

llvm::SmallVector<unsigned> smelt::orderGreedily(const LaunchGraph &graph) {
  size_t count = graph.launches.size();
  llvm::SmallVector<llvm::SmallVector<unsigned>> followers(count);
  llvm::SmallVector<size_t> waitsFor(count), users(graph.bytes.size()), usersLeft;
  for (auto [index, launch] : llvm::enumerate(graph.launches)) {
    waitsFor[index] = launch.after.size();
    for (unsigned earlier : launch.after)
      followers[earlier].push_back(index);
    for (unsigned buffer : launch.buffers)
      ++users[buffer];
  }
  usersLeft = users;
  /// Bytes that come alive with the launch, less those whose last user it is.
  auto getGrowth = [&](unsigned launch) {
    int64_t growth = 0;
    for (unsigned buffer : graph.launches[launch].buffers) {
      int64_t bytes = alignMemory(graph.bytes[buffer]);
      growth += usersLeft[buffer] == users[buffer] ? bytes : 0;
      growth -= usersLeft[buffer] == 1 ? bytes : 0;
    }
    return growth;
  };
  std::set<unsigned> ready;
  for (unsigned index : llvm::seq<unsigned>(count))
    if (!waitsFor[index])
      ready.insert(index);
  llvm::SmallVector<unsigned> order;
  while (!ready.empty()) {
    unsigned best = 0;
    int64_t bestGrowth = std::numeric_limits<int64_t>::max();
    for (unsigned launch : ready)
      if (int64_t growth = getGrowth(launch); growth < bestGrowth) {
        bestGrowth = growth;
        best = launch;
      }
    ready.erase(best);
    order.push_back(best);
    for (unsigned buffer : graph.launches[best].buffers)
      --usersLeft[buffer];
    for (unsigned follower : followers[best])
      if (--waitsFor[follower] == 0)
        ready.insert(follower);
  }
  return order;
}

llvm::SmallVector<unsigned> smelt::orderGreedilyFromEnd(const LaunchGraph &graph) {
  // Seen from the end, the last launch is the first and every dependence points the other way.
  unsigned count = graph.launches.size();
  LaunchGraph reversed;
  reversed.bytes = graph.bytes;
  reversed.launches.resize(count);
  for (auto [index, launch] : llvm::enumerate(graph.launches)) {
    reversed.launches[count - 1 - index].buffers = launch.buffers;
    for (unsigned earlier : launch.after)
      reversed.launches[count - 1 - earlier].after.push_back(count - 1 - index);
  }
  llvm::SmallVector<unsigned> order = orderGreedily(reversed);
  std::reverse(order.begin(), order.end());
  for (unsigned &launch : order)
    launch = count - 1 - launch;
  return order;
}

/// The sum of the places of what is awaited.
static int64_t getDelay(const LaunchGraph &graph, llvm::ArrayRef<unsigned> order) {
  int64_t delay = 0;
  for (auto [place, launch] : llvm::enumerate(order))
    if (graph.launches[launch].awaited)
      delay += static_cast<int64_t>(place);
  return delay;
}

llvm::SmallVector<unsigned> smelt::orderLaunches(const LaunchGraph &graph) {
  auto best = llvm::to_vector(llvm::seq<unsigned>(graph.launches.size()));
  auto rate = [&](llvm::ArrayRef<unsigned> order) {
    return std::pair(getPlannedBytes(graph, order), getDelay(graph, order));
  };
  auto bestRating = rate(best);
  for (auto makeOrder : {orderGreedily, orderGreedilyFromEnd}) {
    llvm::SmallVector<unsigned> order = makeOrder(graph);
    if (auto rating = rate(order); rating < bestRating) {
      bestRating = rating;
      best = std::move(order);
    }
  }
  return best;
}
