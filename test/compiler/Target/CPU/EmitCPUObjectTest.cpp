// The toolchain alone: vector math against libm in double, NaN and infinities, no contraction, the
// same bytes twice, from the cache or not.
#include "compiler/Target/ObjectCache.h"
#include "test/compiler/Target/CPU/NativeModule.h"

#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/MemoryBuffer.h"
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <vector>

using namespace mlir;
using namespace smelt;
using namespace smelt::test;

namespace {

constexpr int count = 1 << 16;

/// y = f(x) over 65536 floats, 16 lanes at a time, in an OpenMP loop.
std::string mathKernel(const std::string &expression) {
  return R"(
func.func @kernel(%arguments: !llvm.ptr) {
  %c0 = arith.constant 0 : index
  %c16 = arith.constant 16 : index
  %n = arith.constant 65536 : index
  %one = arith.constant dense<1.0> : vector<16xf32>
  %slot = llvm.getelementptr %arguments[1] : (!llvm.ptr) -> !llvm.ptr, !llvm.ptr
  %p = llvm.load %arguments : !llvm.ptr -> !llvm.ptr
  %q = llvm.load %slot : !llvm.ptr -> !llvm.ptr
  scf.parallel (%i) = (%c0) to (%n) step (%c16) {
    %i64 = arith.index_cast %i : index to i64
    %pi = llvm.getelementptr %p[%i64] : (!llvm.ptr, i64) -> !llvm.ptr, f32
    %qi = llvm.getelementptr %q[%i64] : (!llvm.ptr, i64) -> !llvm.ptr, f32
    %x = llvm.load %pi {alignment = 4 : i64} : !llvm.ptr -> vector<16xf32>
    %square = arith.mulf %x, %x : vector<16xf32>
    %y = )" +
         expression + R"(
    llvm.store %y, %qi {alignment = 4 : i64} : vector<16xf32>, !llvm.ptr
  }
  return
})";
}

struct Compiler {
  Compiler() {
    DialectRegistry registry;
    registerCPUTargetDialects(registry);
    context.appendDialectRegistry(registry);
    context.loadAllAvailableDialects();
  }
  OwningOpRef<ModuleOp> parse(const std::string &text) {
    return parseSourceString<ModuleOp>(text, &context);
  }
  MLIRContext context;
};

std::vector<float> evaluate(const std::string &expression, const std::vector<float> &x,
                            const char *cpu = "host") {
  Compiler compiler;
  OwningOpRef<ModuleOp> module = compiler.parse(mathKernel(expression));
  std::vector<float> y(count, std::nanf(""));
  if (!module) {
    ADD_FAILURE() << "the test's IR does not parse";
    return y;
  }
  NativeModule native(*module, cpu);
  if (auto kernel = native.find("kernel")) {
    void *arguments[] = {const_cast<float *>(x.data()), y.data()};
    kernel(arguments);
  }
  return y;
}

std::vector<float> sweep(float low, float high) {
  std::vector<float> x(count);
  for (int i = 0; i < count; ++i)
    x[i] = low + (high - low) * (float(i) / (count - 1));
  return x;
}

/// Largest error in units of the last place of the exact result.
double worstULP(const std::vector<float> &x, const std::vector<float> &y, double (*exact)(double)) {
  double worst = 0;
  for (int i = 0; i < count; ++i) {
    double want = exact(double(x[i]));
    float rounded = std::fabs(float(want));
    double ulp = double(std::nextafterf(rounded, std::numeric_limits<float>::infinity())) - rounded;
    double error = std::fabs(double(y[i]) - want) / ulp;
    if (!(error <= worst)) // NaN counts as the worst.
      worst = error;
  }
  return worst;
}

// The bounds are those that the polynomials are documented with; a wrong coefficient gives
// thousands.
TEST(EmitCPUObject, Exp) {
  for (auto [low, high] : {std::pair{-87.0f, 88.0f}, {-1.0f, 1.0f}, {-20.0f, 0.0f}}) {
    auto x = sweep(low, high);
    double worst = worstULP(x, evaluate("math.exp %x : vector<16xf32>", x), std::exp);
    EXPECT_TRUE(worst <= 2) << worst << " ulp in [" << low << ", " << high << "]";
  }
}

TEST(EmitCPUObject, Log) {
  for (auto [low, high] : {std::pair{1e-30f, 1e-20f}, {0.5f, 2.0f}, {1.0f, 1e6f}}) {
    auto x = sweep(low, high);
    double worst = worstULP(x, evaluate("math.log %x : vector<16xf32>", x), std::log);
    EXPECT_TRUE(worst <= 2) << worst << " ulp in [" << low << ", " << high << "]";
  }
}

TEST(EmitCPUObject, Tanh) {
  for (auto [low, high] : {std::pair{-10.0f, 10.0f}, {-0.5f, 0.5f}, {-1e-3f, 1e-3f}}) {
    auto x = sweep(low, high);
    double worst = worstULP(x, evaluate("math.tanh %x : vector<16xf32>", x), std::tanh);
    EXPECT_TRUE(worst <= 5) << worst << " ulp in [" << low << ", " << high << "]";
  }
}

TEST(EmitCPUObject, RsqrtAndSqrt) {
  auto x = sweep(1e-6f, 1e6f);
  double worst = worstULP(x, evaluate("math.rsqrt %x : vector<16xf32>", x),
                          [](double v) { return 1 / std::sqrt(v); });
  EXPECT_TRUE(worst <= 1.5) << worst; // Two rounded operations.
  worst = worstULP(x, evaluate("math.sqrt %x : vector<16xf32>", x), std::sqrt);
  EXPECT_TRUE(worst <= 0.5) << worst;
}

TEST(EmitCPUObject, SpecialValues) {
  std::vector<float> x(count, 0.0f);
  float infinity = std::numeric_limits<float>::infinity();
  x[0] = std::nanf("");
  x[1] = infinity;
  x[2] = -infinity;
  x[3] = 1e-40f; // Denormal: must not be flushed.
  x[4] = -200;
  x[5] = 200;
  auto exp = evaluate("math.exp %x : vector<16xf32>", x);
  EXPECT_TRUE(std::isnan(exp[0]));
  EXPECT_EQ(exp[1], infinity);
  EXPECT_EQ(exp[2], 0.0f);
  EXPECT_EQ(exp[4], 0.0f);
  EXPECT_EQ(exp[5], infinity);
  auto tanh = evaluate("math.tanh %x : vector<16xf32>", x);
  EXPECT_TRUE(std::isnan(tanh[0]));
  EXPECT_EQ(tanh[1], 1.0f);
  EXPECT_EQ(tanh[2], -1.0f);
  x[2] = -1;
  auto log = evaluate("math.log %x : vector<16xf32>", x);
  EXPECT_TRUE(std::isnan(log[0]));
  EXPECT_EQ(log[1], infinity);
  EXPECT_TRUE(std::isnan(log[2]));
  EXPECT_EQ(log[6], -infinity);
  auto same = evaluate("arith.mulf %x, %one : vector<16xf32>", x);
  EXPECT_EQ(same[3], 1e-40f);
}

TEST(EmitCPUObject, DoesNotContract) {
  // fma(x, x, −1) differs from the two rounded operations for most x.
  auto x = sweep(0.1f, 3.0f);
  auto y = evaluate("arith.subf %square, %one : vector<16xf32>", x);
  for (int i = 0; i < count; ++i) {
    volatile float square = x[i] * x[i];
    ASSERT_EQ(y[i], square - 1) << x[i];
  }
}

TEST(EmitCPUObject, NamedCPUsLimitTheInstructions) {
  // Runs on any machine that can run the tests at all: haswell is the oldest CPU that the generator
  // knows.
  auto x = sweep(-5, 5);
  auto host = evaluate("math.tanh %x : vector<16xf32>", x),
       haswell = evaluate("math.tanh %x : vector<16xf32>", x, "haswell");
  EXPECT_EQ(host, haswell);
  std::string why;
  auto avx512 = CPUTarget::get("sapphirerapids", why), avx2 = CPUTarget::get("haswell", why);
  ASSERT_TRUE(avx512 && avx2);
  EXPECT_EQ(avx512->lanes, 16u);
  EXPECT_EQ(avx2->lanes, 8u);
  EXPECT_EQ(avx2->features.size() + 5, avx512->features.size());
  EXPECT_FALSE(CPUTarget::get("pentium9", why));
  EXPECT_EQ(why, "unknown x86-64 CPU 'pentium9'");
  EXPECT_FALSE(CPUTarget::get("nehalem", why));
  EXPECT_EQ(why, "CPU 'nehalem' lacks AVX2 or FMA, which the code generator needs");
}

TEST(EmitCPUObject, SameBytesTwice) {
  std::string bytes[2];
  for (std::string &out : bytes) {
    Compiler compiler;
    OwningOpRef<ModuleOp> module = compiler.parse(mathKernel("math.exp %x : vector<16xf32>"));
    std::string why, path = "/tmp/smelt-same-bytes-" + std::to_string(getpid()) + ".so";
    ASSERT_TRUE(succeeded(emitCPUObject(*module, *CPUTarget::get("haswell", why), path)));
    out = (*llvm::MemoryBuffer::getFile(path))->getBuffer().str();
    unlink(path.c_str());
  }
  EXPECT_FALSE(bytes[0].empty());
  EXPECT_EQ(bytes[0], bytes[1]);
}

TEST(EmitCPUObject, ManyKernelsAndCallsBetweenFunctions) {
  // Twenty kernels are compiled in groups; each stores its own number.
  std::string text;
  for (int i = 0; i < 20; ++i)
    text +=
        "func.func @kernel_" + std::to_string(i) +
        "(%a: !llvm.ptr) {\n  %p = llvm.load %a : !llvm.ptr -> !llvm.ptr\n  %c = arith.constant " +
        std::to_string(i) + " : i32\n  llvm.store %c, %p : i32, !llvm.ptr\n  return\n}\n";
  Compiler compiler;
  OwningOpRef<ModuleOp> module = compiler.parse(text);
  ASSERT_TRUE(module);
  NativeModule native(*module);
  for (int i = 0; i < 20; ++i) {
    int stored = -1;
    void *arguments[] = {&stored};
    if (auto kernel = native.find(("kernel_" + std::to_string(i)).c_str()))
      kernel(arguments);
    EXPECT_EQ(stored, i);
  }
  // Functions that call each other stay together.
  OwningOpRef<ModuleOp> calling = compiler.parse(R"(
func.func private @square(%x: i32) -> i32 { %y = arith.muli %x, %x : i32  return %y : i32 }
func.func @kernel(%a: !llvm.ptr) {
  %p = llvm.load %a : !llvm.ptr -> !llvm.ptr
  %x = llvm.load %p : !llvm.ptr -> i32
  %y = call @square(%x) : (i32) -> i32
  llvm.store %y, %p : i32, !llvm.ptr
  return
})");
  ASSERT_TRUE(calling);
  NativeModule both(*calling);
  int value = 7;
  void *arguments[] = {&value};
  if (auto kernel = both.find("kernel"))
    kernel(arguments);
  EXPECT_EQ(value, 49);
}

/// Compilations of exp, tanh and exp under another name, with a cache.
struct EmitCPUObjectCache : testing::Test {
  ~EmitCPUObjectCache() override { std::filesystem::remove_all(folder); }

  /// The shared object's bytes; `times` tells how much was compiled.
  std::string compile(const std::string &cache, const char *cpu = "haswell") {
    std::string text, path = folder + ".so", why;
    for (auto [name, function] :
         {std::pair("a", "exp"), std::pair("b", "tanh"), std::pair("c", "exp")}) {
      text += mathKernel(std::string("math.") + function + " %x : vector<16xf32>") + "\n";
      text.replace(text.rfind("@kernel"), 7, std::string("@") + name);
    }
    Compiler compiler;
    OwningOpRef<ModuleOp> module = compiler.parse(text);
    CPUEmissionOptions options;
    options.cache = cache;
    options.times = &times;
    EXPECT_TRUE(succeeded(emitCPUObject(*module, *CPUTarget::get(cpu, why), path, options)));
    std::string bytes = (*llvm::MemoryBuffer::getFile(path))->getBuffer().str();
    unlink(path.c_str());
    return bytes;
  }

  std::string folder = "/tmp/smelt-cache-" + std::to_string(getpid());
  CPUEmissionTimes times;
};

TEST_F(EmitCPUObjectCache, CompilesOnceAndGivesTheSameBytes) {
  std::string plain = compile("");
  EXPECT_EQ(times.kernels, 2u) << "kernels that differ in name are compiled once";
  EXPECT_EQ(times.compiled, 2u);
  EXPECT_EQ(compile(folder), plain);
  EXPECT_EQ(times.compiled, 2u);
  EXPECT_EQ(compile(folder), plain);
  EXPECT_EQ(times.compiled, 0u);
  // Another CPU's kernels are other kernels.
  EXPECT_NE(compile(folder, "skylake"), "");
  EXPECT_EQ(times.compiled, 2u);
}

TEST_F(EmitCPUObjectCache, DamageAndMissingRightsOnlyCostTime) {
  std::string plain = compile(folder);
  bool odd = false;
  for (const auto &file : std::filesystem::directory_iterator(folder)) {
    if ((odd = !odd)) // One is cut short, one has another byte.
      std::filesystem::resize_file(file, 100);
    else
      std::fstream(file.path(), std::ios::in | std::ios::out).seekp(200).put('!');
  }
  EXPECT_EQ(compile(folder), plain);
  EXPECT_EQ(times.compiled, 2u);
  EXPECT_EQ(compile(folder), plain);
  EXPECT_EQ(times.compiled, 0u);
  EXPECT_EQ(compile("/proc/none"), plain);
  EXPECT_EQ(times.compiled, 2u);
}

TEST(ObjectCache, BelongsToOneCompiler) {
  std::string id = identifyCompiler();
  EXPECT_GE(id.size(), 2 * 40u) << "the program and at least libLLVM: " << id;
  EXPECT_EQ(id, identifyCompiler());
}

TEST(EmitCPUObject, ReportsAnUnwritablePath) {
  Compiler compiler;
  OwningOpRef<ModuleOp> module = compiler.parse(mathKernel("math.exp %x : vector<16xf32>"));
  std::string why, message;
  ScopedDiagnosticHandler handler(&compiler.context, [&](Diagnostic &diagnostic) {
    message += diagnostic.str();
    return success();
  });
  EXPECT_TRUE(failed(emitCPUObject(*module, *CPUTarget::get("host", why), "/nonexistent/x.so")));
  EXPECT_NE(message.find("cannot write '/nonexistent/x.so.0.o': No such file or directory"),
            std::string::npos)
      << message;
}

} // namespace
