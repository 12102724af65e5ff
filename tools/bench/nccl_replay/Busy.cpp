#include "tools/bench/nccl_replay/Busy.h"
#include "runtime/base/Files.h"

#include <cstdio>
#include <unistd.h>

namespace smelt::runtime::bench {

namespace {
/// 16 dependent steps of 4 chains for each turn; a thread writes only what never is the result.
constexpr const char *kTurn = R"(
  fma.rn.f32 %f1, %f1, %f5, %f6;
  fma.rn.f32 %f2, %f2, %f5, %f6;
  fma.rn.f32 %f3, %f3, %f5, %f6;
  fma.rn.f32 %f4, %f4, %f5, %f6;)";

std::string makePtx() {
  std::string turns;
  for (int i = 0; i < 16; ++i)
    turns += kTurn;
  return concat(R"(.version 7.0
.target sm_70
.address_size 64
.visible .entry busy(.param .u64 to)
{
  .reg .b64 %p<3>;
  .reg .b32 %r<3>;
  .reg .f32 %f<8>;
  .reg .pred %q<3>;
  ld.param.u64 %p1, [to];
  cvta.to.global.u64 %p2, %p1;
  mov.u32 %r1, %tid.x;
  cvt.rn.f32.u32 %f1, %r1;
  mov.f32 %f2, %f1;
  mov.f32 %f3, %f1;
  mov.f32 %f4, %f1;
  mov.f32 %f5, 0f3F000000;
  mov.f32 %f6, 0f3F800000;
  mov.u32 %r2, 0;
TURN:)",
                turns, R"(
  add.u32 %r2, %r2, 1;
  setp.lt.u32 %q1, %r2, 4000;
  @%q1 bra TURN;
  add.f32 %f1, %f1, %f2;
  add.f32 %f1, %f1, %f3;
  add.f32 %f1, %f1, %f4;
  setp.lt.f32 %q2, %f1, 0f00000000;
  @%q2 st.global.f32 [%p2], %f1;
  ret;
}
)");
}
} // namespace

Status loadBusyKernel(Device &device) {
  std::string path = concat("/tmp/smelt-busy-", ::getpid(), ".ptx");
  SMELT_RETURN_IF_ERROR(writeFileAtomically(path, makePtx()));
  GpuParameter to;
  to.arguments = {0};
  GpuLaunch launch;
  launch.symbol = "busy";
  launch.grid = {132 * 16, 1, 1};
  launch.threads = 256;
  launch.sharedBytes = 200 << 10;
  launch.parameters = {to};
  DeviceKernel kernel;
  kernel.symbol = "busy";
  kernel.gpu = {launch};
  Status loaded = device.loadModule(path, {kernel});
  std::remove(path.c_str());
  return loaded;
}

} // namespace smelt::runtime::bench
