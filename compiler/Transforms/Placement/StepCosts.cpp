//===- StepCosts.cpp - How long launches and collectives take -------------===//
#include "compiler/Transforms/Placement/StepCosts.h"

using namespace mlir;
using namespace smelt;

StepCosts StepCosts::get(StringRef gpu, int64_t ranks) {
  if (gpu.empty())
    return {30e3, 8e3, 5, 0.8e3, 200, 0, 0, ranks};
  bool isHopper = gpu.starts_with("sm_90");
  // NVLink of two H200s, one way, by blocks: 4: 62 GB/s, 8: 117, 16: 179, 24: 230.
  constexpr int64_t blocks = 24;
  // H200s at their power limit (`nvidia-smi nvlink -gLowPwrInfo`; tools/bench/RESULTS.md).
  constexpr SleepingLinks links = {50e3, 0.018};
  return {550e6,  3.4e6, 3,
          240e3,  20,    isHopper ? 132 : 108,
          blocks, ranks, isHopper ? links : SleepingLinks{}};
}

double StepCosts::getLaunch(exec::LaunchOp op) const {
  return launch + std::max(double(op.getFlops()) / operationsPerMicrosecond, double(op.getBytes()) / bytesPerMicrosecond);
}

double StepCosts::getCollective(Operation *op, const ArenaAccess &access) const {
  double bytes = 0;
  for (Attribute name : exec::getCollectiveBuffers(op))
    bytes += double(access.getBytes(name));
  bool twice = op->getName().getStringRef() == "exec.all_reduce";
  return collective + (twice ? 2 : 1) * bytes * double(ranks - 1) / double(ranks) / linkBytesPerMicrosecond;
}
