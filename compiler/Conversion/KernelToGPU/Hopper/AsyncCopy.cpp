//===- AsyncCopy.cpp - Barriers in shared memory and bulk copies ----------===//
#include "compiler/Conversion/KernelToGPU/Hopper/AsyncCopy.h"

using namespace mlir;
using namespace smelt::gpu;

void smelt::gpu::initialiseBarrier(CodeBuilder &code, Value barrier, int64_t arrivals) {
  NVVM::MBarrierInitOp::create(code.builder, code.loc, barrier, code.i32(arrivals), Value());
}

void smelt::gpu::fenceBarriers(CodeBuilder &code) {
  NVVM::FenceMbarrierInitOp::create(code.builder, code.loc);
}

void smelt::gpu::waitBarrier(CodeBuilder &code, Value barrier, Value parity) {
  constexpr int64_t suspendNanoseconds = 10000000;
  NVVM::MBarrierTryWaitParityOp::create(code.builder, code.loc, barrier, parity,
                                        code.i32(suspendNanoseconds));
}

void smelt::gpu::arriveBarrier(CodeBuilder &code, Value barrier) {
  NVVM::MBarrierArriveOp::create(code.builder, code.loc, code.builder.getI64Type(), barrier,
                                 Value());
}

void smelt::gpu::expectBytes(CodeBuilder &code, Value barrier, Value bytes) {
  NVVM::MBarrierArriveExpectTxOp::create(code.builder, code.loc, Type(), barrier, bytes,
                                         NVVM::MemScopeKind::CTA, false, Value());
}

static Value toCluster(CodeBuilder &code, Value shared) {
  return LLVM::AddrSpaceCastOp::create(code.builder, code.loc, code.pointerType(clusterSpace),
                                       shared);
}

void smelt::gpu::loadTile(CodeBuilder &code, Value map, Value shared, Value barrier,
                          ValueRange coordinates) {
  NVVM::CpAsyncBulkTensorGlobalToSharedClusterOp::create(
      code.builder, code.loc, toCluster(code, shared), map, coordinates, barrier, ValueRange(),
      Value(), Value(), NVVM::TMALoadMode::TILE, false, NVVM::CTAGroupKindAttr(), Value());
}

void smelt::gpu::storeTile(CodeBuilder &code, Value map, Value shared, ValueRange coordinates) {
  NVVM::CpAsyncBulkTensorSharedCTAToGlobalOp::create(
      code.builder, code.loc, map, shared, coordinates, Value(), NVVM::TMAStoreMode::TILE, Value());
}

void smelt::gpu::commitStores(CodeBuilder &code) {
  NVVM::CpAsyncBulkCommitGroupOp::create(code.builder, code.loc);
}

void smelt::gpu::waitStores(CodeBuilder &code, unsigned pending, bool read) {
  NVVM::CpAsyncBulkWaitGroupOp::create(code.builder, code.loc, pending,
                                       read ? code.builder.getUnitAttr() : UnitAttr());
}

void smelt::gpu::fenceSharedWrites(CodeBuilder &code) {
  NVVM::FenceProxyOp::create(
      code.builder, code.loc, NVVM::ProxyKind::async_shared,
      NVVM::SharedSpaceAttr::get(code.builder.getContext(), NVVM::SharedSpace::shared_cta));
}

void Ring::initialise() {
  for (int64_t i = 0; i < 2 * stages; ++i)
    initialiseBarrier(code, barriers.get(i), i < stages ? 1 : releases);
}

RingPosition Ring::advance(RingPosition from, int64_t count) const {
  Value next = code.add(from.stage, count % stages);
  Value wraps = code.atLeast(next, stages);
  Value parity = code.bitXor(from.parity, (count / stages) & 1);
  return {code.select(wraps, code.sub(next, stages), next),
          code.select(wraps, code.bitXor(parity, 1), parity)};
}
