// token_shift, its transpose and its coefficient on the CPU against the interpreter.
#include "test/compiler/Conversion/KernelToCPU/KernelRunner.h"
#include "test/compiler/Conversion/KernelToCPU/RowwiseText.h"

using namespace smelt::test;

namespace {

// A few products and one sum over at most 64 features per element.
constexpr double kTolerance = 1e-5;

struct Case {
  std::string x, gate, attributes;
};

void check(const std::string &text, int documents, bool onAVX2 = true) {
  for (const char *cpu : {"host", "haswell"}) {
    if (!onAVX2 && cpu != std::string("host"))
      continue;
    SCOPED_TRACE(testing::Message() << cpu << "\n" << text);
    KernelRunner runner(text, cpu);
    auto inputs = runner.makeInputs(11);
    if (documents)
      for (size_t t = 0; t < 13; ++t)
        inputs[documents].values[t] = t < 5 ? 0 : t < 6 ? 5 : t < 11 ? 6 : 11;
    runner.check(inputs, kTolerance);
  }
}

TEST(TokenShift, EveryMode) {
  for (const Case &c :
       {Case{"13x40", "13", "{features = array<i64>, heads = array<i64>}"},
        {"13x40", "13x1",
         "{features = array<i64: 3, 9, 20, 40>, heads = array<i64>, distance = 2 : i64}"},
        {"13x256", "13", "{features = array<i64: 64, 128>, heads = array<i64>}"},
        {"13x4x64", "13x4", "{features = array<i64: 16, 32, 48, 64>, heads = array<i64>}"},
        {"13x3x20", "13x3",
         "{features = array<i64: 5, 10, 15, 20>, heads = array<i64: 0, 2>, distance = 3 : i64}"},
        {"13x2x32", "13", "{features = array<i64>, heads = array<i64: 1>}"}})
    for (std::string mode : {"replace", "add"})
      for (int coefficient = 0; coefficient < 3; ++coefficient)
        for (std::string documents : {"cross", "mask"}) {
          bool masks = documents == "mask", scaled = coefficient > 0, gated = coefficient > 1;
          std::string operands = std::string(scaled ? " scale %a2" : "") +
                                 (gated ? " gate %a3" : "") + (masks ? " document_start %a4" : "");
          std::string types = std::string("($0") + (scaled ? ", $2" : "") + (gated ? ", $3" : "") +
                              (masks ? ", $4" : "") + ") -> $0";
          std::string dotTypes = std::string("($0, $0") + (masks ? ", $4" : "") + ") -> $3";
          check(rowwise({c.x, c.x, "", c.gate, "i13"},
                        "%0 = lm.token_shift " + mode + " " + documents + " %a0" + operands + " " +
                            c.attributes + " : " + types + "\n%1 = lm.token_shift_adjoint " + mode +
                            " " + documents + " %a1" + operands + " " + c.attributes + " : " +
                            types + "\n%2 = lm.token_shift_dot " + mode + " " + documents +
                            " %a0, %a1" + (masks ? " document_start %a4" : "") + " " +
                            c.attributes + " : " + dotTypes,
                        {{"%0", c.x}, {"%1", c.x}, {"%2", c.gate}}),
                4, gated);
        }
}

TEST(TokenShift, FirstRowsOnly) { // Fewer rows than the distance: nothing moves.
  check(rowwise({"2x20"},
                "%0 = lm.token_shift replace cross %a0 {features = array<i64>, heads = array<i64>, "
                "distance = 5 : i64} : ($0) -> $0 "
                "%1 = lm.token_shift_adjoint replace cross %a0 {features = array<i64>, heads = "
                "array<i64>, distance = 5 : i64} : ($0) -> $0",
                {{"%0", "2x20"}, {"%1", "2x20"}}),
        0);
}

TEST(TokenShift, OfNormedRopedKeys) { // The neighbour row is normed and rotated as its own row.
  for (auto [x, table] : {std::pair{"13x4x64", "13x64"}, {"13x2x20", "13x20"}})
    check(rowwise({x, table},
                  "%0 = lm.rms_norm %a0 {eps = 1.0e-5} : $0  %1 = lm.rope %0, %a1 : $0, $1 "
                  "%2 = lm.token_shift replace cross %1 {features = array<i64: 5, 10, 16, 20>, "
                  "heads = array<i64>} : ($0) -> $0 "
                  "%3 = lm.token_shift replace cross %2 {features = array<i64>, heads = "
                  "array<i64>, distance = 2 : i64} : ($0) -> $0",
                  {{"%3", x}}),
          0);
}

TEST(TokenShift,
     SmearOfEmbeddings) { // x = norm(embedding), gate from x's first features, smear, norm.
  check(rowwise({"30x48", "i13", "1x12", ""},
                "%0 = lm.embedding %a0, %a1 : $0, $1 -> tensor<13x48xf32>  %1 = lm.gate %0, %a2 : "
                "tensor<13x48xf32>, $2 -> tensor<13x1xf32> "
                "%2 = lm.token_shift add cross %0 scale %a3 gate %1 {features = array<i64>, heads "
                "= array<i64>} : (tensor<13x48xf32>, $3, tensor<13x1xf32>) -> tensor<13x48xf32> "
                "%3 = lm.rms_norm %2 {eps = 1.0e-5} : tensor<13x48xf32>",
                {{"%2", "13x48"}, {"%3", "13x48"}}),
        0);
}

// The gradients of q, k and v side by side, and their product with what a learned factor
// multiplied: the chunks of a row of twelve vectors and more come from a loop, whose place in the
// concat is known at run time alone.
TEST(TokenShift, ConcatOfHeadsIsSummed) {
  for (std::string heads : {"13x2x32", "13x2x64", "13x3x32", "13x6x128"}) {
    int count = heads[3] - '0', head = std::stoi(heads.substr(5)), width = count * head;
    std::string row = "13x" + std::to_string(width), whole = "13x" + std::to_string(3 * width);
    std::string quarters = std::to_string(head / 4) + ", " + std::to_string(head / 2) + ", " +
                           std::to_string(3 * head / 4) + ", " + std::to_string(head);
    std::string flat = tensor(row), all = tensor(whole);
    check(rowwise({heads, "13x" + std::to_string(head), heads, heads, heads, heads, whole},
                  "%1 = lm.rope %a0, %a1 {inverse} : $0, $1\n"
                  "%2 = lm.rms_norm_backward %a2, %1 {eps = 1.0e-7 : f64} : $0\n"
                  "%3 = lm.reshape %2 : $0 -> " +
                      flat + "\n" +
                      "%4 = lm.token_shift_adjoint replace cross %a3 {features = array<i64: " +
                      quarters +
                      ">, heads = array<i64>} : ($0) -> $0\n"
                      "%5 = lm.rope %4, %a1 {inverse} : $0, $1\n"
                      "%6 = lm.rms_norm_backward %a4, %5 {eps = 1.0e-7 : f64} : $0\n"
                      "%7 = lm.reshape %6 : $0 -> " +
                      flat + "\n%8 = lm.reshape %a5 : $0 -> " + flat +
                      "\n%9 = lm.concat %3, %7, %8 : (" + flat + ", " + flat + ", " + flat +
                      ") -> " + all + "\n%10 = lm.dot %a6, %9 : " + all + " -> tensor<f32>",
                  {{"%9", whole}, {"%10", ""}}),
          0);
  }
}

} // namespace
