//===- gpu_kernels.cpp - Kernels of a .mlir file as a folder for the device ===//
//
//   gpu_kernels IN.mlir OUT [CHIP]
// IN holds private functions of one kernel op each (what smelt-outline-kernels makes). Writes
// OUT/kernels.cubin, kernels.ptx and kernels.json: per function the shapes of its buffers and how
// to launch it. run_kernels.py launches them from there, alone.
//
//===----------------------------------------------------------------------===//
#include "compiler/Conversion/KernelToGPU/LowerKernelsToGPU.h"
#include "compiler/Target/CUDA/EmitGPUCode.h"
#include "dialects/Kernel/KernelOps.h"
#include "dialects/LM/LMOps.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace smelt;

static llvm::json::Value describe(const GPUParameter &parameter) {
  llvm::json::Array arguments;
  for (uint32_t argument : parameter.arguments)
    arguments.push_back(int64_t(argument));
  llvm::json::Object object{{"arguments", std::move(arguments)}, {"offset", parameter.byteOffset}};
  if (parameter.kind == GPUParameter::Kind::PointerTable)
    object["kind"] = "table";
  else if (parameter.kind == GPUParameter::Kind::Pointer)
    object["kind"] = "pointer";
  else {
    const GPUTensorMap &map = parameter.map;
    static constexpr const char *elements[] = {"bf16", "f16", "f32", "f8", "i32"};
    object["kind"] = "map";
    object["element"] = elements[int(map.element)];
    object["sizes"] = llvm::json::Array(map.sizes);
    object["strides"] = llvm::json::Array(map.strides);
    object["box"] = llvm::json::Array(map.box);
    object["swizzle"] = map.swizzle;
  }
  return object;
}

static llvm::json::Value describe(Type type) {
  auto tensor = cast<RankedTensorType>(type);
  std::string element;
  llvm::raw_string_ostream(element) << tensor.getElementType();
  return llvm::json::Object{{"element", element}, {"shape", llvm::json::Array(tensor.getShape())}};
}

static bool write(const Twine &path, StringRef text) {
  std::error_code error;
  llvm::raw_fd_ostream out(path.str(), error);
  if (!error)
    out << text;
  if (error)
    llvm::errs() << path << ": " << error.message() << "\n";
  return !error;
}

int main(int argc, char **argv) {
  if (argc < 3 || argc > 4) {
    llvm::errs() << "usage: gpu_kernels IN.mlir OUT [CHIP]\n";
    return 2;
  }
  DialectRegistry registry;
  registry.insert<func::FuncDialect, lm::LMDialect, kernel::KernelDialect>();
  registerGPUTargetDialects(registry);
  MLIRContext context(registry);
  context.loadAllAvailableDialects();
  OwningOpRef<ModuleOp> module = parseSourceFile<ModuleOp>(argv[1], &context);
  std::string why;
  auto target = GPUTarget::get(argc == 4 ? argv[3] : "sm_90a", why);
  if (!module || !target) {
    llvm::errs() << why << "\n";
    return 3;
  }
  // Workspaces are taken as the emitters want them; run_kernels.py allocates the largest.
  PassManager passes(&context);
  passes.addPass(createPlanGPUWorkspacePass(target->chip));
  if (failed(passes.run(*module)))
    return 3;
  auto kernels = lowerKernelsToGPU(*module, *target);
  GPUCode code;
  if (!kernels || failed(emitGPUCode(*kernels->module, *target, code)))
    return 3;
  llvm::json::Object functions;
  for (auto function : module->getOps<func::FuncOp>()) {
    auto launches = kernels->launches.find(function.getSymName());
    if (launches == kernels->launches.end())
      continue;
    llvm::json::Array list, buffers;
    for (const GPULaunch &launch : launches->second) {
      llvm::json::Array parameters;
      for (const GPUParameter &parameter : launch.parameters)
        parameters.push_back(describe(parameter));
      list.push_back(llvm::json::Object{{"symbol", launch.symbol},
                                        {"role", launch.role},
                                        {"grid", llvm::json::Array(launch.grid)},
                                        {"threads", launch.threads},
                                        {"shared", launch.sharedBytes},
                                        {"persistent", launch.persistent},
                                        {"parameters", std::move(parameters)}});
    }
    for (Type type : function.getArgumentTypes())
      buffers.push_back(describe(type));
    for (Type type : function.getResultTypes())
      buffers.push_back(describe(type));
    auto workspace = function->getAttrOfType<IntegerAttr>("kernel.workspace");
    functions[function.getSymName()] =
        llvm::json::Object{{"launches", std::move(list)},
                           {"buffers", std::move(buffers)},
                           {"inputs", int64_t(function.getNumArguments())},
                           {"workspace", workspace ? workspace.getInt() : 0}};
  }
  if (llvm::sys::fs::create_directories(argv[2]))
    return 7;
  std::string json;
  llvm::raw_string_ostream(json) << llvm::formatv("{0:2}", llvm::json::Value(std::move(functions)));
  if (!write(Twine(argv[2]) + "/kernels.json", json) ||
      !write(Twine(argv[2]) + "/kernels.ptx", code.ptx) ||
      !write(Twine(argv[2]) + "/kernels.cubin", code.cubin))
    return 7;
  for (const GPUKernelResources &resources : code.resources)
    llvm::outs() << resources.symbol << ": " << resources.registers << " registers, "
                 << resources.stackBytes << " bytes of stack, " << resources.spillBytes
                 << " spilled\n";
  for (const std::string &note : code.notes)
    llvm::outs() << "ptxas: " << note << "\n";
  return 0;
}
