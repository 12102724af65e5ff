//===- SmeltGemm.h - A fused gemm from the compiler -------------*- C++ -*-===//
#ifndef SMELT_TOOLS_BENCH_CPU_GEMM_SMELTGEMM_H
#define SMELT_TOOLS_BENCH_CPU_GEMM_SMELTGEMM_H

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace smelt::bench {

struct GemmShape {
  int64_t m, n, k;
  bool transposeA = false, transposeB = false;
};

/// relu(op(A)·op(B)), compiled by Smelt for the host from a kernel.gemm with relu in its result
/// region.
class SmeltGemm {
public:
  /// Ends the program with a message if it cannot be compiled. `identity`: no relu. A non-empty
  /// `dumpPrefix` keeps IR and assembly.
  explicit SmeltGemm(GemmShape shape, bool identity = false, const std::string &dumpPrefix = "");
  void run(const float *a, const float *b, float *c);
  double compileSeconds = 0;

private:
  std::unique_ptr<float, void (*)(void *)> workspace{nullptr, nullptr};
  void (*kernel)(void *const *) = nullptr;
};

} // namespace smelt::bench
#endif
