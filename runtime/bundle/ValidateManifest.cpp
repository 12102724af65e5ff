//===- ValidateManifest.cpp - Every index, offset and size ----------------===//
//
// After validateManifest the runtime indexes and copies without further checks.
//
//===----------------------------------------------------------------------===//

#include "runtime/bundle/GpuJson.h"
#include "runtime/bundle/Manifest.h"
#include "runtime/bundle/ValidateLanes.h"
#include "runtime/bundle/ValidateParts.h"

#include <set>

namespace smelt::runtime {

namespace {
Status checkKernels(const Manifest &manifest) {
  for (const Kernel &kernel : manifest.kernels)
    if (kernel.symbol.empty() || kernel.symbol.find('\0') != std::string::npos)
      return corruptError("kernel \"", kernel.name, "\" has no symbol");
  return checkGpuKernels(manifest);
}

Status checkLaunch(const Manifest &manifest, const Launch &launch) {
  if (launch.kernel >= manifest.kernels.size())
    return corruptError("there is no kernel ", launch.kernel);
  const Kernel &kernel = manifest.kernels[launch.kernel];
  if (launch.arguments.size() != kernel.arguments)
    return corruptError("kernel \"", kernel.name, "\" takes ", kernel.arguments,
                        " arguments but gets ", launch.arguments.size());
  for (uint32_t argument : launch.arguments)
    if (argument >= manifest.buffers.size())
      return corruptError("there is no buffer ", argument);
  return checkGpuLaunch(manifest, kernel, launch);
}

/// An input of `tokens` i32 elements.
Status checkTokenInput(const Manifest &manifest, const Program &program, const char *name) {
  auto it = program.inputs.find(name);
  if (it == program.inputs.end())
    return corruptError("input \"", name, "\" is missing");
  const Buffer &buffer = manifest.buffers[it->second];
  if (buffer.dtype != DType::I32 || buffer.shape != std::vector<int64_t>{program.tokens})
    return corruptError("input \"", name, "\" must be i32 [", program.tokens, "]");
  return Status::ok();
}

Status checkScalarOutput(const Manifest &manifest, const Program &program, const char *name) {
  auto it = program.outputs.find(name);
  if (it == program.outputs.end())
    return corruptError("output \"", name, "\" is missing");
  const Buffer &buffer = manifest.buffers[it->second];
  if (!isFloat(buffer.dtype) || !buffer.shape.empty())
    return corruptError("output \"", name, "\" must be one floating-point number");
  return Status::ok();
}

Status checkLogits(const Manifest &manifest, const Program &program) {
  auto it = program.outputs.find("logits");
  if (it == program.outputs.end())
    return corruptError("output \"logits\" is missing");
  const Buffer &buffer = manifest.buffers[it->second];
  if (!isFloat(buffer.dtype) || buffer.shape.size() != 2 || buffer.shape[0] != program.tokens ||
      buffer.shape[1] < manifest.data.vocabulary)
    return corruptError("output \"logits\" must be floating-point [", program.tokens, ", at least ",
                        manifest.data.vocabulary, "]");
  return Status::ok();
}

Status checkRole(const Manifest &manifest, const Program &program) {
  if (program.role == "setup" || program.role == "update")
    return Status::ok();
  bool trains = program.role == "train" || program.role == "evaluate";
  if (!trains && program.role != "generate")
    return corruptError("unknown role \"", program.role, "\"");
  if (program.tokens < 1)
    return corruptError("tokens must be positive");
  SMELT_RETURN_IF_ERROR(checkTokenInput(manifest, program, "tokens"));
  SMELT_RETURN_IF_ERROR(checkTokenInput(manifest, program, "document_start"));
  if (!trains)
    return checkLogits(manifest, program);
  SMELT_RETURN_IF_ERROR(checkTokenInput(manifest, program, "targets"));
  SMELT_RETURN_IF_ERROR(checkScalarOutput(manifest, program, "objective"));
  return checkScalarOutput(manifest, program, "loss_sum");
}

/// A buffer of its own that is one part per rank.
Status checkParts(const Manifest &manifest, uint32_t index) {
  const Buffer &buffer = manifest.buffers[index];
  auto ranks = static_cast<uint64_t>(manifest.training.ranks);
  if (buffer.base || buffer.bytes % (ranks * kPartAlignment))
    return corruptError("collectives: buffer ", index, " of ", buffer.bytes,
                        " bytes is not one part for each of ", ranks, " ranks");
  return Status::ok();
}

Status checkCollectives(const Manifest &manifest, const Program &program) {
  if (!program.collectives.empty() && manifest.training.ranks < 2)
    return corruptError("there are collectives, but one rank");
  uint32_t last = 0;
  for (const CollectiveStep &step : program.collectives) {
    if (step.before < last || step.before > program.launches.size())
      return corruptError("collectives: there is no place before launch ", step.before);
    last = step.before;
    if (step.buffers.empty())
      return corruptError("collectives: one has no buffers");
    for (uint32_t index : step.buffers) {
      if (index >= manifest.buffers.size())
        return corruptError("collectives: there is no buffer ", index);
      DType type = manifest.buffers[index].dtype;
      bool isSum = step.kind != CollectiveKind::AllGather;
      if (step.kind != CollectiveKind::AllReduce)
        SMELT_RETURN_IF_ERROR(checkParts(manifest, index));
      if ((isSum && type != DType::F32 && type != DType::BF16) ||
          type != manifest.buffers[step.buffers[0]].dtype)
        return corruptError("collectives: buffer ", index, " is ", dtypeName(type));
    }
  }
  return Status::ok();
}

Status checkProgram(const Manifest &manifest, const Program &program) {
  for (const auto *named : {&program.inputs, &program.outputs})
    for (const auto &[name, buffer] : *named)
      if (buffer >= manifest.buffers.size())
        return corruptError("\"", name, "\": there is no buffer ", buffer);
  for (size_t i = 0; i < program.launches.size(); ++i)
    SMELT_RETURN_IF_ERROR(
        checkLaunch(manifest, program.launches[i]).withContext(concat("launch ", i)));
  SMELT_RETURN_IF_ERROR(checkCollectives(manifest, program));
  SMELT_RETURN_IF_ERROR(checkLanes(manifest, program));
  SMELT_RETURN_IF_ERROR(checkLastOfStep(manifest, program));
  return checkRole(manifest, program);
}

Status checkPrograms(const Manifest &manifest) {
  std::set<std::string> names;
  for (const Program &program : manifest.programs) {
    SMELT_RETURN_IF_ERROR(
        checkProgram(manifest, program).withContext(concat("program \"", program.name, "\"")));
    if (!names.insert(program.name).second)
      return corruptError("programs: \"", program.name, "\" appears twice");
  }
  return Status::ok();
}

Status checkData(const Data &data) {
  if (data.vocabulary < 1 || data.sequence < 0 || data.startToken >= data.vocabulary)
    return corruptError("data: vocabulary, sequence or start_token is out of range");
  bool byToken = data.order == SampleOrder::Documents || data.order == SampleOrder::Aligned;
  if (byToken && data.startToken < 0)
    return corruptError("data: order ", sampleOrderName(data.order), " needs a start_token");
  if (data.order == SampleOrder::Aligned && data.ranks < 1)
    return corruptError("data: order aligned needs ranks");
  if (data.maxTokens < 0 || data.ranks < 0 || (data.order == SampleOrder::Random && data.ranks))
    return corruptError("data: max_tokens or ranks is out of range");
  return Status::ok();
}
} // namespace

Status validateManifest(const Manifest &manifest) {
  SMELT_RETURN_IF_ERROR(checkFileRecords(manifest.files));
  SMELT_RETURN_IF_ERROR(checkBuffers(manifest));
  SMELT_RETURN_IF_ERROR(checkSettings(manifest));
  SMELT_RETURN_IF_ERROR(checkKernels(manifest));
  SMELT_RETURN_IF_ERROR(checkPrograms(manifest));
  SMELT_RETURN_IF_ERROR(checkTraining(manifest));
  return checkData(manifest.data);
}

} // namespace smelt::runtime
