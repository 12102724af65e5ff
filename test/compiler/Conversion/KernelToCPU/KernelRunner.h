//===- KernelRunner.h - Native kernels against the interpreter --*- C++ -*-===//
#ifndef SMELT_TEST_COMPILER_CONVERSION_KERNELTOCPU_KERNELRUNNER_H
#define SMELT_TEST_COMPILER_CONVERSION_KERNELTOCPU_KERNELRUNNER_H

#include "compiler/Conversion/KernelToCPU/LowerKernelsToCPU.h"
#include "compiler/Conversion/OutlinedKernel.h"
#include "compiler/Reference/Interpreter.h"
#include "dialects/Kernel/KernelOps.h"
#include "test/compiler/Target/CPU/NativeModule.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include <cmath>
#include <cstring>
#include <random>

namespace smelt::test {

/// An outlined kernel `func.func private @kernel_0(…)`, given as text, compiled for a CPU and
/// callable beside its meaning.
class KernelRunner {
public:
  using Tensor = reference::Tensor;

  explicit KernelRunner(const std::string &text, const char *cpu = "host") {
    mlir::DialectRegistry registry;
    registerCPUTargetDialects(registry);
    registry.insert<mlir::lm::LMDialect, mlir::kernel::KernelDialect>();
    context.appendDialectRegistry(registry);
    context.loadAllAvailableDialects();
    module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
    if (!module) {
      ADD_FAILURE() << "the test's IR does not parse:\n" << text;
      return;
    }
    mlir::PassManager passes(&context);
    passes.addPass(createPlanCPUWorkspacePass(cpu));
    EXPECT_TRUE(mlir::succeeded(passes.run(*module)));
    auto function = module->lookupSymbol<mlir::func::FuncOp>("kernel_0");
    inputTypes.assign(function.getArgumentTypes().begin(), function.getArgumentTypes().end());
    outputTypes.assign(function.getResultTypes().begin(), function.getResultTypes().end());
    workspaceBytes = getPlannedWorkspace(function);
    std::string why;
    auto lowered = lowerKernelsToCPU(*module, *CPUTarget::get(cpu, why));
    if (!lowered) {
      ADD_FAILURE() << "cannot lower:\n" << text;
      return;
    }
    native = std::make_unique<NativeModule>(*lowered, cpu);
    kernel = native->find("smelt_kernel_0");
  }

  /// Inputs that suit the types: normal values for floats, rounded to the type; i32 in [0, bound),
  /// any 16 bits.
  std::vector<Tensor> makeInputs(unsigned seed, int bound = 1) const {
    std::mt19937 generator(seed);
    std::normal_distribution<float> normal;
    std::vector<Tensor> inputs;
    for (mlir::Type type : inputTypes) {
      Tensor tensor = Tensor::poisoned(mlir::cast<mlir::RankedTensorType>(type));
      mlir::Type element = mlir::getElementTypeOrSelf(type);
      for (double &value : tensor.values)
        value = element.isInteger(16) ? double(generator() % 65536)
                : element.isInteger() ? double(generator() % unsigned(bound))
                                      : reference::roundTo(element, normal(generator));
      inputs.push_back(std::move(tensor));
    }
    return inputs;
  }

  std::vector<Tensor> interpret(const std::vector<Tensor> &inputs) {
    auto results = reference::Interpreter(*module).run("kernel_0", inputs);
    EXPECT_TRUE(mlir::succeeded(results));
    return mlir::succeeded(results) ? *results : std::vector<Tensor>();
  }

  /// Runs the native kernel on `threads` threads. Buffers are misaligned by 4 bytes; outputs,
  /// workspace and the bytes around every buffer start as NaN, and the bytes around must stay so.
  std::vector<std::vector<float>> run(const std::vector<Tensor> &inputs, int threads = 2) {
    std::vector<Buffer> buffers;
    for (size_t i = 0; i < inputs.size(); ++i) {
      Buffer &buffer = addBuffer(buffers, getBytes(inputTypes[i]));
      Format format(inputTypes[i]);
      for (size_t j = 0; j < inputs[i].values.size(); ++j) {
        uint64_t bits = format.encode(inputs[i].values[j]);
        std::memcpy(&buffer[front + j * format.bytes], &bits, format.bytes);
      }
    }
    for (mlir::Type type : outputTypes)
      addBuffer(buffers, getBytes(type));
    if (workspaceBytes)
      addBuffer(buffers, workspaceBytes);
    std::vector<void *> arguments;
    for (auto &buffer : buffers)
      arguments.push_back(buffer.data() + front);
    native->setThreads(threads);
    if (kernel)
      kernel(arguments.data());
    for (size_t i = 0; i < buffers.size(); ++i)
      for (size_t j = 0; j < front; ++j) {
        EXPECT_EQ(buffers[i][j], poison) << "argument " << i << ": written before its start";
        EXPECT_EQ(buffers[i][buffers[i].size() - 1 - j], poison)
            << "argument " << i << ": written after its end";
      }
    std::vector<std::vector<float>> outputs;
    for (auto [type, buffer] :
         llvm::zip(outputTypes, llvm::ArrayRef(buffers).drop_front(inputs.size()))) {
      Format format(type);
      std::vector<float> &output = outputs.emplace_back(getBytes(type) / format.bytes);
      for (size_t j = 0; j < output.size(); ++j) {
        uint64_t bits = 0;
        std::memcpy(&bits, &buffer[front + j * format.bytes], format.bytes);
        output[j] = format.decode(bits);
      }
    }
    return outputs;
  }

  /// Runs on 1, 2 and 3 threads: all bits agree, and each output is within `tolerance` times the
  /// largest magnitude in it (at least `leastMagnitude`) of what the interpreter says.
  void check(const std::vector<Tensor> &inputs, double tolerance, double leastMagnitude = 1e-30) {
    auto want = interpret(inputs);
    auto got = run(inputs, 1);
    ASSERT_EQ(want.size(), got.size());
    for (size_t i = 0; i < want.size(); ++i) {
      double scale = leastMagnitude;
      for (double value : want[i].values)
        scale = std::max(scale, std::fabs(value));
      for (size_t j = 0; j < got[i].size(); ++j) {
        double difference = std::fabs(got[i][j] - want[i].values[j]);
        if (!(difference <= tolerance * scale)) {
          ADD_FAILURE() << "result " << i << ", element " << j << " of " << got[i].size() << ": "
                        << got[i][j] << " for " << want[i].values[j];
          break;
        }
      }
    }
    for (int threads : {2, 3}) {
      auto other = run(inputs, threads);
      for (size_t i = 0; i < got.size(); ++i)
        EXPECT_EQ(std::memcmp(other[i].data(), got[i].data(), got[i].size() * 4), 0)
            << "result " << i << " differs with " << threads << " threads";
    }
  }

  int64_t workspaceBytes = 0;
  std::vector<mlir::Type> inputTypes, outputTypes;

private:
  using Buffer = std::vector<uint8_t>;
  static constexpr uint8_t poison = 0xff; // NaN in every float format.
  static constexpr size_t front = 68;     // Buffers are not aligned to vectors.

  static size_t getBytes(mlir::Type type) {
    auto tensor = mlir::cast<mlir::RankedTensorType>(type);
    return tensor.getNumElements() * tensor.getElementTypeBitWidth() / 8;
  }
  Buffer &addBuffer(std::vector<Buffer> &buffers, size_t bytes) {
    return buffers.emplace_back(bytes + 2 * front, poison);
  }

  /// The bits of a tensor's elements. What the type is, is asked once, not for every element.
  struct Format {
    explicit Format(mlir::Type tensorType) {
      mlir::Type element = mlir::getElementTypeOrSelf(tensorType);
      bytes = element.getIntOrFloatBitWidth() / 8;
      if (auto type = mlir::dyn_cast<mlir::FloatType>(element))
        semantics = &type.getFloatSemantics();
    }
    uint64_t encode(double value) const {
      if (!semantics)
        return uint64_t(int64_t(value));
      llvm::APFloat number(value);
      bool losesInfo;
      number.convert(*semantics, llvm::APFloat::rmNearestTiesToEven, &losesInfo);
      return number.bitcastToAPInt().getZExtValue();
    }
    /// i16 is 0 … 65535.
    float decode(uint64_t bits) const {
      if (semantics)
        return float(llvm::APFloat(*semantics, llvm::APInt(8 * bytes, bits)).convertToDouble());
      return bytes == 2 ? float(bits) : float(int32_t(bits));
    }

    size_t bytes;
    const llvm::fltSemantics *semantics = nullptr; ///< Null: integers.
  };

  mlir::MLIRContext context;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  std::unique_ptr<NativeModule> native;
  NativeModule::Kernel kernel = nullptr;
};

} // namespace smelt::test
#endif
