// bf16, f16, f8 and 16-bit integers in memory and registers: every code of every format, every tie,
// on two instruction sets, bit for bit.
#include "test/compiler/Conversion/KernelToCPU/KernelRunner.h"
#include "test/compiler/Conversion/KernelToCPU/RowwiseText.h"
#include "test/compiler/Reference/Float8Table.h"

#include "mlir/AsmParser/AsmParser.h"

using namespace smelt::test;

namespace {

const double infinity = std::numeric_limits<double>::infinity();
const char *const cpus[] = {"host", "haswell"};

/// One rowwise kernel on `x` given as rows of 37 (ragged on every CPU); what its first result
/// holds.
std::vector<float> runRows(const char *cpu, std::vector<double> x, const std::string &from,
                           const std::string &to, const std::string &op) {
  size_t count = x.size();
  x.resize((count + 36) / 37 * 37, 0.0);
  std::string shape = std::to_string(x.size() / 37) + "x37:";
  KernelRunner runner(rowwise({shape + from, shape + to},
                              "%0 = lm." + op + " : $0 -> " + tensor(shape + to),
                              {{"%0", shape + to}}),
                      cpu);
  KernelRunner::Tensor other = runner.makeInputs(1)[1];
  auto got = runner.run({KernelRunner::Tensor({int64_t(x.size() / 37), 37}, x), other})[0];
  got.resize(count);
  return got;
}

void expectSame(const std::vector<float> &got, const std::vector<double> &want,
                const std::vector<double> &x) {
  for (size_t i = 0; i < want.size(); ++i) {
    bool same = std::isnan(want[i])
                    ? std::isnan(got[i])
                    : got[i] == want[i] && std::signbit(got[i]) == std::signbit(want[i]);
    if (!same) {
      ADD_FAILURE() << x[i] << " became " << got[i] << ", not " << want[i];
      return;
    }
  }
}

/// The numbers of a format with `mantissaBits` around all powers of two of f32, the ties between
/// them, and a hair beside these.
std::vector<double> makeHardNumbers(int mantissaBits) {
  std::vector<double> numbers{0.0, -0.0, infinity, -infinity, std::nan(""), 3.4028234663852886e38};
  std::mt19937 random(5);
  for (int exponent = -149; exponent < 128; ++exponent)
    for (int i = 0; i < 24; ++i) {
      double half = std::ldexp(1.0, -mantissaBits - 1);
      double fraction = 1 + half * double(random() % (2u << mantissaBits));
      for (double hair : {0.0, 0x1p-23, -0x1p-23})
        numbers.push_back(float(std::ldexp(fraction * (1 + hair), exponent)) *
                          (random() % 2 ? 1.0 : -1.0));
    }
  return numbers;
}

TEST(NumberFormats, CastsRoundToNearestEven) {
  for (const char *cpu : cpus)
    for (auto [name, bits] : {std::pair{"bf16", 7}, {"f16", 10}, {"f8E4M3FN", 3}, {"f8E5M2", 2}}) {
      SCOPED_TRACE(testing::Message() << cpu << " " << name);
      std::vector<double> x = makeHardNumbers(bits), want;
      mlir::MLIRContext context;
      mlir::Type type = mlir::parseType(name, &context);
      for (double value : x)
        want.push_back(smelt::reference::roundTo(type, value));
      expectSame(runRows(cpu, x, "f32", name, "cast %a0"), want, x);
    }
}

/// The same against a table that shares no arithmetic with anything.
TEST(NumberFormats, Float8AgreesWithItsTable) {
  for (const char *cpu : cpus)
    for (bool isE4M3 : {true, false}) {
      Float8Table table = isE4M3 ? Float8Table::makeE4M3FN() : Float8Table::makeE5M2();
      std::vector<double> x = makeHardNumbers(isE4M3 ? 3 : 2), want;
      for (double value : x)
        want.push_back(table.round(value));
      expectSame(runRows(cpu, x, "f32", isE4M3 ? "f8E4M3FN" : "f8E5M2", "cast %a0"), want, x);
    }
}

TEST(NumberFormats, LoadsAll256CodesOfFloat8) {
  for (const char *cpu : cpus)
    for (bool isE4M3 : {true, false}) {
      std::vector<double> codes =
          isE4M3 ? Float8Table::makeE4M3FN().values : Float8Table::makeE5M2().values;
      const char *name = isE4M3 ? "f8E4M3FN" : "f8E5M2";
      expectSame(runRows(cpu, codes, name, "f32", "cast %a0"), codes, codes);
      expectSame(runRows(cpu, codes, name, name, "cast %a0"), codes, codes);
    }
}

TEST(NumberFormats, LoadsAllCodesOf16Bits) {
  for (const char *cpu : cpus)
    for (const char *name : {"bf16", "f16"}) {
      mlir::MLIRContext context;
      auto type = mlir::cast<mlir::FloatType>(mlir::parseType(name, &context));
      std::vector<double> codes;
      for (unsigned code = 0; code < 65536; ++code) {
        llvm::APFloat number(type.getFloatSemantics(), llvm::APInt(16, code));
        codes.push_back(number.convertToDouble());
      }
      expectSame(runRows(cpu, codes, name, "f32", "cast %a0"), codes, codes);
      expectSame(runRows(cpu, codes, name, name, "cast %a0"), codes, codes);
    }
}

TEST(NumberFormats, QuantizesAsTheInterpreterDoes) {
  for (const char *cpu : cpus)
    for (auto [type, scale] : {std::pair{"f8E4M3FN", std::sqrt(768.0) / 448},
                               {"f8E4M3FN", 0x1p-9},
                               {"f8E5M2", 1.0 / 448}}) {
      std::string shape = "40x50", q = shape + ":" + type;
      char text[40];
      std::snprintf(text, sizeof text, "%.17g", scale);
      KernelRunner runner(rowwise({shape},
                                  "%0 = lm.quantize %a0 {scale = " + std::string(text) +
                                      " : f64} : $0 -> " + tensor(q) + "  %1 = lm.cast %0 : " +
                                      tensor(q) + " -> $0  %2 = lm.add %1, %a0 : $0",
                                  {{"%0", q}, {"%2", shape}}),
                          cpu);
      auto inputs = runner.makeInputs(11);
      for (size_t i = 0; i < inputs[0].values.size(); ++i)
        inputs[0].values[i] = float(std::ldexp(inputs[0].values[i], int(i % 40) - 25));
      auto want = runner.interpret(inputs);
      expectSame(runner.run(inputs)[0], want[0].values, inputs[0].values);
      runner.check(inputs, 1e-7);
    }
}

TEST(NumberFormats, MastersKeepTheirBits) {
  for (const char *cpu : cpus)
    for (const char *shape : {"9x21", "4x64", "70"}) {
      std::string f32 = shape, high = f32 + ":bf16", low = f32 + ":i16";
      std::string th = tensor(high), tl = tensor(low), t = tensor(f32);
      KernelRunner runner(
          rowwise(
              {f32, high, low},
              "%h, %l = lm.split_master %a0 : " + t + " -> " + th + ", " + tl +
                  "  %m = lm.join_master %h, %l : " + th + ", " + tl + " -> " + t +
                  "  %n = lm.join_master %a1, %a2 : " + th + ", " + tl + " -> " + t +
                  "  %n2, %n3 = lm.split_master %n : " + t + " -> " + th + ", " + tl,
              {{"%h", high}, {"%l", low}, {"%m", f32}, {"%n", f32}, {"%n2", high}, {"%n3", low}}),
          cpu);
      auto inputs = runner.makeInputs(12);
      auto want = runner.interpret(inputs);
      auto got = runner.run(inputs);
      for (size_t i = 0; i < want.size(); ++i)
        expectSame(got[i], want[i].values, want[i].values);
      expectSame(got[2], inputs[0].values, inputs[0].values);
      expectSame(got[5], inputs[2].values, inputs[2].values);
    }
}

/// Every op rounds its result if its type is narrow; an accumulation of gradients rounds once.
TEST(NumberFormats, NarrowResultsAreRounded) {
  for (const char *cpu : cpus) {
    std::string t = "13x50:bf16";
    KernelRunner runner(rowwise({t, t, ""},
                                "%0 = lm.mix %a0, %a1 by %a2, %a2 : ($0, $0, $2, $2) -> $0  "
                                "%1 = lm.add %0, %a0 : $0  %2 = lm.unary negate %1 : $0",
                                {{"%0", t}, {"%2", t}}),
                        cpu);
    auto inputs = runner.makeInputs(13);
    inputs[2].values = {0.5}; // Sums of bf16 numbers are exact in f32, or nearly.
    auto want = runner.interpret(inputs);
    auto got = runner.run(inputs);
    for (size_t i = 0; i < want.size(); ++i)
      expectSame(got[i], want[i].values, want[i].values);
  }
}

} // namespace
