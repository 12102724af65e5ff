//===- AddGPULaunches.cpp - Generated launches in the manifest ------------===//
#include "compiler/Target/Bundle/AddGPULaunches.h"

#include <numeric>

namespace smelt {
namespace {

runtime::DType getDType(GPUTensorMap::Element element) {
  switch (element) {
  case GPUTensorMap::Element::BF16:
    return runtime::DType::BF16;
  case GPUTensorMap::Element::F16:
    return runtime::DType::F16;
  case GPUTensorMap::Element::F32:
    return runtime::DType::F32;
  case GPUTensorMap::Element::F8:
    return runtime::DType::F8E4M3;
  case GPUTensorMap::Element::I32:
    return runtime::DType::I32;
  }
  llvm_unreachable("every element is listed");
}

runtime::GpuParameter convert(const GPUParameter &parameter) {
  runtime::GpuParameter result;
  result.arguments = parameter.arguments;
  result.byteOffset = static_cast<uint64_t>(parameter.byteOffset);
  switch (parameter.kind) {
  case GPUParameter::Kind::Pointer:
    result.kind = runtime::GpuParameter::Kind::Pointer;
    break;
  case GPUParameter::Kind::PointerTable:
    result.kind = runtime::GpuParameter::Kind::PointerTable;
    break;
  case GPUParameter::Kind::TensorMap: {
    result.kind = runtime::GpuParameter::Kind::TensorMap;
    const GPUTensorMap &map = parameter.map;
    result.map.dtype = getDType(map.element);
    result.map.sizes.assign(map.sizes.begin(), map.sizes.end());
    result.map.strides.assign(map.strides.begin(), map.strides.end());
    result.map.box.assign(map.box.begin(), map.box.end());
    result.map.swizzle = static_cast<uint32_t>(map.swizzle);
    result.map.fillNaN = map.fillNaN;
    break;
  }
  }
  return result;
}

runtime::GpuProduct convert(const GPUProduct &product) {
  auto factor = [](const GPUFactor &factor) {
    return runtime::GpuFactor{factor.value, factor.argument};
  };
  return {product.groups,
          product.m,
          product.n,
          product.k,
          product.transposeA,
          product.transposeB,
          product.isF32 ? runtime::DType::F32 : runtime::DType::BF16,
          product.a,
          product.b,
          product.output,
          factor(product.alpha),
          product.addend,
          factor(product.beta)};
}

} // namespace

GPUAlignments findAlignments(const runtime::Manifest &manifest) {
  GPUAlignments alignments;
  for (const runtime::Program &program : manifest.programs)
    for (const runtime::Launch &launch : program.launches) {
      auto &known = alignments[manifest.kernels[launch.kernel].name];
      known.resize(launch.arguments.size(), 0);
      for (auto [alignment, argument] : llvm::zip(known, launch.arguments))
        alignment =
            std::gcd(std::gcd(alignment, int64_t(1024)),
                     static_cast<int64_t>(manifest.buffers[argument].offset));
    }
  return alignments;
}

void addGPULaunches(runtime::Manifest &manifest, const GPUKernels &kernels,
                    const GPUTarget &target) {
  manifest.target = "cuda";
  manifest.gpu.architecture = target.chip;
  for (runtime::Kernel &kernel : manifest.kernels) {
    auto launches = kernels.launches.find(kernel.name);
    if (launches == kernels.launches.end())
      continue; // The manifest's validation names it.
    if (auto product = kernels.products.find(kernel.name); product != kernels.products.end())
      kernel.product = convert(product->second);
    for (const GPULaunch &launch : launches->second) {
      runtime::GpuLaunch &made = kernel.gpu.emplace_back();
      made.symbol = launch.symbol;
      made.role = launch.role;
      for (int axis = 0; axis < 3; ++axis)
        made.grid[axis] = static_cast<uint32_t>(launch.grid[axis]);
      made.threads = static_cast<uint32_t>(launch.threads);
      made.sharedBytes = static_cast<uint32_t>(launch.sharedBytes);
      made.cluster = static_cast<uint32_t>(launch.cluster);
      made.persistent = launch.persistent;
      for (const GPUParameter &parameter : launch.parameters)
        made.parameters.push_back(convert(parameter));
    }
  }
}

} // namespace smelt
