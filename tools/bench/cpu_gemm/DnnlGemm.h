//===- DnnlGemm.h - The same product by oneDNN ------------------*- C++ -*-===//
#ifndef SMELT_TOOLS_BENCH_CPU_GEMM_DNNLGEMM_H
#define SMELT_TOOLS_BENCH_CPU_GEMM_DNNLGEMM_H

#include "tools/bench/cpu_gemm/SmeltGemm.h"

namespace smelt::bench {

/// relu(op(A)·op(B)) by oneDNN's matmul with a relu post-op.
class DnnlGemm {
public:
  explicit DnnlGemm(GemmShape shape, bool identity = false);
  ~DnnlGemm();
  void run(const float *a, const float *b, float *c);
  /// The implementation that oneDNN chose, "brg:avx512_core" for example, and the library's
  /// version.
  std::string describe() const;

private:
  struct Impl;
  std::unique_ptr<Impl> impl;
};

} // namespace smelt::bench
#endif
