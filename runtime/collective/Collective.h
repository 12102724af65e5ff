//===- Collective.h - Communication between ranks ---------------*- C++ -*-===//
//
// What every rank of a job calls in the same order with the same sizes. Same number of ranks, same
// inputs: the same bits, on every rank and every day.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/base/DType.h"
#include "runtime/base/Status.h"

#include <cstddef>
#include <memory>
#include <span>
#include <string>

namespace smelt::runtime {

class Peers;

class Collective {
public:
  virtual ~Collective() = default;

  virtual int rank() const = 0;
  virtual int size() const = 0;
  /// "Gloo 0.5.0"; what ranks must agree about.
  virtual std::string version() const = 0;

  /// Replaces the elements (f32, bf16 or f64) by their sums over all ranks.
  virtual Status allReduce(std::span<std::byte> data, DType type) = 0;
  /// `from` is one part per rank, each as long as `to`, which becomes the sum of all ranks' part of
  /// this rank's number. bf16 is summed in f32 and rounded once.
  virtual Status reduceScatter(std::span<const std::byte> from, std::span<std::byte> to,
                               DType type) = 0;
  /// `to` becomes every rank's `from`, in order of ranks.
  virtual Status allGather(std::span<const std::byte> from, std::span<std::byte> to) = 0;
  /// `data` becomes that of `root`.
  virtual Status broadcast(std::span<std::byte> data, int root) = 0;
  /// Returns when every rank has come here.
  virtual Status barrier() = 0;
};

/// Gloo over TCP, for buffers in host memory. Connects all ranks. Gloo lies in a plugin
/// (GlooPlugin.cpp), so that machines without it start everything that does not ask for it.
StatusOr<std::unique_ptr<Collective>> makeGlooCollective(Peers &peers);

} // namespace smelt::runtime
