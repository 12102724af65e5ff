//===- SmeltGemm.cpp - A fused gemm from the compiler -----------------------===//
#include "tools/bench/cpu_gemm/SmeltGemm.h"
#include "compiler/Conversion/KernelToCPU/LowerKernelsToCPU.h"
#include "compiler/Conversion/OutlinedKernel.h"
#include "compiler/Target/CPU/EmitCPUObject.h"
#include "dialects/Kernel/KernelOps.h"

#include <cstdio>
#include <cstdlib>
#include <dlfcn.h>
#include <unistd.h>

using namespace mlir;

namespace smelt::bench {
namespace {

[[noreturn]] void fail(const std::string &why) {
  std::fprintf(stderr, "cpu_gemm: %s\n", why.c_str());
  std::exit(1);
}

/// func.func private @gemm(a, b) -> c { kernel.gemm }
void buildKernel(ModuleOp module, GemmShape shape, bool identity) {
  ImplicitLocOpBuilder b(module.getLoc(), module.getContext());
  b.setInsertionPointToEnd(module.getBody());
  auto type = [&](int64_t rows, int64_t columns) {
    return RankedTensorType::get({rows, columns}, b.getF32Type());
  };
  Type a = shape.transposeA ? type(shape.k, shape.m) : type(shape.m, shape.k);
  Type w = shape.transposeB ? type(shape.n, shape.k) : type(shape.k, shape.n);
  Type c = type(shape.m, shape.n);
  auto function = func::FuncOp::create(b, "gemm", b.getFunctionType({a, w}, {c}));
  function.setPrivate();
  Block *body = function.addEntryBlock();
  b.setInsertionPointToStart(body);
  auto gemm = kernel::GemmOp::create(b, TypeRange{c}, ValueRange{body->getArgument(0)},
                                     ValueRange{body->getArgument(1)}, ValueRange{},
                                     shape.transposeA, shape.transposeB);
  kernel::buildIdentityRegion(b, b.getLoc(), gemm.getA(), a);
  kernel::buildIdentityRegion(b, b.getLoc(), gemm.getB(), w);
  kernel::buildIdentityRegion(b, b.getLoc(), gemm.getResult(), c);
  if (!identity) {
    Operation *yield = gemm.getResult().front().getTerminator();
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPoint(yield);
    yield->setOperand(0, lm::UnaryOp::create(b, c, lm::UnaryKind::relu, yield->getOperand(0)));
  }
  b.setInsertionPointToEnd(body);
  func::ReturnOp::create(b, gemm.getResults());
}

} // namespace

SmeltGemm::SmeltGemm(GemmShape shape, bool identity, const std::string &dumpPrefix) {
  DialectRegistry registry;
  registerCPUTargetDialects(registry);
  registry.insert<lm::LMDialect, kernel::KernelDialect>();
  MLIRContext context(registry);
  context.loadAllAvailableDialects();
  OwningOpRef<ModuleOp> module = ModuleOp::create(UnknownLoc::get(&context));
  buildKernel(*module, shape, identity);
  PassManager passes(&context);
  passes.addPass(createPlanCPUWorkspacePass());
  std::string why;
  std::optional<CPUTarget> target = CPUTarget::get("host", why);
  if (!target)
    fail(why);
  if (failed(passes.run(*module)))
    fail("cannot plan the workspace");
  int64_t bytes = getPlannedWorkspace(module->lookupSymbol<func::FuncOp>("gemm"));
  workspace = {static_cast<float *>(std::aligned_alloc(64, (bytes + 64) / 64 * 64)), std::free};
  OwningOpRef<ModuleOp> lowered = lowerKernelsToCPU(*module, *target);
  if (!lowered)
    fail("cannot lower the kernel");
  // A new name each time: dlopen takes a path that it knows for the object it already has.
  static int number = 0;
  std::string path =
      "/tmp/smelt-cpu-gemm-" + std::to_string(getpid()) + "-" + std::to_string(number++) + ".so";
  CPUEmissionTimes times;
  if (failed(emitCPUObject(*lowered, *target, path, {.dumpPrefix = dumpPrefix, .times = &times})))
    fail("cannot compile the kernel");
  compileSeconds = times.total();
  void *handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  unlink(path.c_str());
  if (!handle)
    fail(dlerror());
  kernel = reinterpret_cast<void (*)(void *const *)>(dlsym(handle, "smelt_gemm"));
  if (!kernel)
    fail("smelt_gemm is missing");
}

void SmeltGemm::run(const float *a, const float *b, float *c) {
  void *arguments[] = {const_cast<float *>(a), const_cast<float *>(b), c, workspace.get()};
  kernel(arguments);
}

} // namespace smelt::bench
