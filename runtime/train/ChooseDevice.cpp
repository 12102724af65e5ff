#include "runtime/train/ChooseDevice.h"
#include "runtime/device/cpu/CpuDevice.h"
#include "runtime/device/cpu/HostCpu.h"
#include "runtime/device/cuda/CudaDevice.h"

#include <cstdlib>

namespace smelt::runtime {

namespace {
StatusOr<int> chooseGpu(const DeviceChoice &choice) {
  if (size_t colon = choice.device.find(':'); colon != std::string::npos)
    return std::atoi(choice.device.c_str() + colon + 1);
  SMELT_ASSIGN_OR_RETURN(int count, countCudaDevices());
  if (choice.localSize <= count)
    return choice.localRank;
  if (count == 1) // srun shows each rank its own; if they share one, they find out together.
    return 0;
  return usageError("this machine has ", count, " GPUs for its ", choice.localSize,
                    " ranks; ranks share one with --device cuda:0 --collectives gloo");
}
} // namespace

StatusOr<ChosenDevice> chooseDevice(const Manifest &manifest, const DeviceChoice &choice) {
  bool wantsCuda = choice.device.starts_with("cuda"), isCuda = manifest.target == "cuda";
  if (choice.device != "auto" && wantsCuda != isCuda)
    return usageError("it was compiled for ", isCuda ? manifest.gpu.architecture : "the CPU",
                      "; --device ", choice.device, " needs one compiled with --target ",
                      wantsCuda ? "sm_90a" : "cpu");
  ChosenDevice chosen;
  if (!isCuda) {
    if (choice.collectives == "nccl")
      return usageError("it was compiled for the CPU; --collectives nccl is for GPUs");
    SMELT_RETURN_IF_ERROR(checkHostRuns(manifest.cpu.name, manifest.cpu.features));
    chosen.device = makeCpuDevice(choice.threads);
    return chosen;
  }
  SMELT_ASSIGN_OR_RETURN(int gpu, chooseGpu(choice));
  SMELT_ASSIGN_OR_RETURN(chosen.device, makeCudaDevice(gpu));
  chosen.gpu = gpu;
  return chosen;
}

} // namespace smelt::runtime
