// kernel.embedding_backward on the CPU against the interpreter.
#include "test/compiler/Conversion/KernelToCPU/KernelRunner.h"

using namespace smelt::test;

namespace {

std::string embedding(const std::string &tokens, const std::string &rows, const std::string &table,
                      const std::string &dy, const std::string &result,
                      const std::string &extra = "") {
  std::string t = "tensor<" + tokens + "xi32>", r = "tensor<" + rows + "xf32>",
              e = "tensor<" + table + "xf32>";
  std::string more = extra.empty() ? "" : ", %e: " + e, moreType = extra.empty() ? "" : ", " + e;
  return "func.func private @kernel_0(%t: " + t + ", %dy: " + r + more + ") -> " + e +
         " {\n  %o = kernel.embedding_backward tokens(%t) dy(%dy) result(" + extra + ") : (" + t +
         ", " + r + moreType + ") -> " + e + "\n    dy { ^bb0(%0: " + r + "): " + dy +
         " kernel.yield " + (dy.empty() ? "%0" : "%y") + " : " + r +
         " }\n    result { ^bb0(%0: " + e + (extra.empty() ? "" : ", %h: " + e) + "): " + result +
         " kernel.yield " + (result.empty() ? "%0" : "%y") + " : " + e + " }\n  return %o : " + e +
         "\n}\n";
}

TEST(EmbeddingBackward, SumsRowsOfEachToken) {
  for (auto [tokens, rows, table, bound] : {std::tuple{"50", "50x20", "11x20", 11},
                                            {"3", "3x64", "300x64", 300},
                                            {"200", "200x40", "1x40", 1},
                                            {"64", "64x33", "40x33", 5}})
    for (const char *cpu : {"host", "haswell"}) {
      KernelRunner runner(embedding(tokens, rows, table, "", ""), cpu);
      runner.check(runner.makeInputs(3, bound), 1e-5); // Sums of at most 200 values.
    }
}

TEST(EmbeddingBackward,
     Regions) { // The gradient passes a norm's backward; the other use of a tied table is added.
  KernelRunner runner(embedding("70", "70x48", "30x48",
                                "%y = lm.rms_norm %0 {eps = 1.0e-5} : tensor<70x48xf32>",
                                "%y = lm.add %0, %h : tensor<30x48xf32>", "%e"));
  runner.check(runner.makeInputs(3, 30), 1e-5);
}

} // namespace
