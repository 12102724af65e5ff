#include "runtime/collective/peer/PartSums.h"

#include <algorithm>

namespace smelt::runtime::peer {

namespace {
/// How the vector of 16 bytes at %d9 becomes numbers in %f8 and on, and one at %d8 is made of those
/// in %f0 and on.
struct VectorCode {
  const char *name;
  int numbers;
  const char *read, *write;
};

constexpr VectorCode kF32 = {"smelt_add_parts_f32", 4,
                             "  ld.global.v4.f32 {%f8, %f9, %f10, %f11}, [%d9];\n",
                             "  st.global.v4.f32 [%d8], {%f0, %f1, %f2, %f3};\n"};

constexpr VectorCode kBF16 = {"smelt_add_parts_bf16", 8, R"(
  ld.global.v4.b32 {%r5, %r6, %r7, %r8}, [%d9];
  shl.b32 %r12, %r5, 16;
  and.b32 %r13, %r5, 0xffff0000;
  shl.b32 %r14, %r6, 16;
  and.b32 %r15, %r6, 0xffff0000;
  shl.b32 %r16, %r7, 16;
  and.b32 %r17, %r7, 0xffff0000;
  shl.b32 %r18, %r8, 16;
  and.b32 %r19, %r8, 0xffff0000;
  mov.b32 %f8, %r12;
  mov.b32 %f9, %r13;
  mov.b32 %f10, %r14;
  mov.b32 %f11, %r15;
  mov.b32 %f12, %r16;
  mov.b32 %f13, %r17;
  mov.b32 %f14, %r18;
  mov.b32 %f15, %r19;
)",
                              R"(
  cvt.rn.bf16x2.f32 %r5, %f1, %f0;
  cvt.rn.bf16x2.f32 %r6, %f3, %f2;
  cvt.rn.bf16x2.f32 %r7, %f5, %f4;
  cvt.rn.bf16x2.f32 %r8, %f7, %f6;
  st.global.v4.b32 [%d8], {%r5, %r6, %r7, %r8};
)"};

/// Part %r4 is at %d9. Part `own` lies where the sum goes, the others one behind the other.
constexpr const char *kFindPart = R"(
  setp.eq.u32 %p1, %r4, %r20;
  selp.b64 %d9, %d8, %d7, %p1;
  @!%p1 add.u64 %d7, %d7, %d3;
)";

/// A thread adds the vectors that all parts have at one place before those at the next.
std::string makeKernel(const VectorCode &vector) {
  std::string begin, add;
  for (int i = 0; i < vector.numbers; ++i) {
    begin += concat("  mov.f32 %f", i, ", %f", 8 + i, ";\n");
    add += concat("  add.rn.f32 %f", i, ", %f", i, ", %f", 8 + i, ";\n");
  }
  return concat(".visible .entry ", vector.name, R"((.param .u64 parts_param_0,
  .param .u64 sum_param_1, .param .u64 vectors_param_2, .param .u32 count_param_3, .param .u32 own_param_4)
{
  .reg .pred %p<2>;
  .reg .b32 %r<24>;
  .reg .b64 %d<10>;
  .reg .f32 %f<16>;
  ld.param.u64 %d0, [parts_param_0];
  ld.param.u64 %d1, [sum_param_1];
  ld.param.u64 %d2, [vectors_param_2];
  ld.param.u32 %r0, [count_param_3];
  ld.param.u32 %r20, [own_param_4];
  cvta.to.global.u64 %d0, %d0;
  cvta.to.global.u64 %d1, %d1;
  shl.b64 %d3, %d2, 4; // Bytes of a part.
  mov.u32 %r1, %ctaid.x;
  mov.u32 %r2, %ntid.x;
  mov.u32 %r3, %tid.x;
  cvt.u64.u32 %d5, %r3;
  mad.wide.u32 %d4, %r1, %r2, %d5; // The thread's next vector.
  mov.u32 %r3, %nctaid.x;
  mul.wide.u32 %d5, %r3, %r2;
next:
  setp.ge.u64 %p0, %d4, %d2;
  @%p0 bra end;
  shl.b64 %d6, %d4, 4;
  add.u64 %d7, %d0, %d6; // Of the next part that is not our own,
  add.u64 %d8, %d1, %d6; // and of our own.
  mov.u32 %r4, 0;
)",
                kFindPart, vector.read, begin, R"(
  mov.u32 %r4, 1;
part:
  setp.ge.u32 %p0, %r4, %r0;
  @%p0 bra store;
)",
                kFindPart, vector.read, add, R"(
  add.u32 %r4, %r4, 1;
  bra part;
store:
)",
                vector.write, R"(
  add.u64 %d4, %d4, %d5;
  bra next;
end:
  ret;
}
)");
}

constexpr unsigned kThreads = 256;
constexpr uint64_t kMostBlocks = 1056; ///< Fill the 132 multiprocessors of a Hopper.
} // namespace

Status PartSums::load(const cuda::Driver &driver) {
  driver_ = &driver;
  std::string code = concat(".version 7.0\n.target sm_80\n.address_size 64\n", makeKernel(kF32),
                            makeKernel(kBF16));
  cuda::Module module = nullptr;
  SMELT_RETURN_IF_ERROR(
      driver.check(driver.moduleLoadDataEx(&module, code.c_str(), 0, nullptr, nullptr),
                   "cuModuleLoadDataEx(sums)"));
  module_ = {&driver, module};
  SMELT_RETURN_IF_ERROR(
      driver.check(driver.moduleGetFunction(&f32_, module, kF32.name), "cuModuleGetFunction"));
  return driver.check(driver.moduleGetFunction(&bf16_, module, kBF16.name), "cuModuleGetFunction");
}

Status PartSums::add(DType type, cuda::DevicePointer others, unsigned count, unsigned own,
                     cuda::DevicePointer sum, uint64_t bytes, cuda::Stream stream) const {
  if (!has(type) || bytes % kVector || others % kVector || sum % kVector || own >= count)
    return internalError("sums of ", count, " parts of ", bytes, " bytes of ", dtypeName(type));
  uint64_t vectors = bytes / kVector;
  if (!vectors)
    return Status::ok();
  auto blocks =
      static_cast<unsigned>(std::min<uint64_t>((vectors + kThreads - 1) / kThreads, kMostBlocks));
  void *arguments[] = {&others, &sum, &vectors, &count, &own};
  return driver_->check(driver_->launchKernel(type == DType::F32 ? f32_ : bf16_, blocks, 1, 1,
                                              kThreads, 1, 1, 0, stream, arguments, nullptr),
                        "cuLaunchKernel(sums)");
}

} // namespace smelt::runtime::peer
