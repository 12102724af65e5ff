#include "runtime/train/InitialParameters.h"
#include "runtime/checkpoint/TensorLayout.h"

namespace smelt::runtime {

std::map<std::string, TensorView> describeParameters(const Manifest &manifest) {
  std::map<std::string, TensorView> parameters;
  std::map<std::string, const Buffer *> masters = manifest.findMasters();
  for (const Buffer &buffer : manifest.buffers)
    if (buffer.kind == BufferKind::Parameter) {
      auto master = masters.find(buffer.name);
      DType dtype = master == masters.end() ? buffer.dtype : master->second->dtype;
      parameters[buffer.name] = {dtype, buffer.shape, {}};
    }
  return parameters;
}

namespace {
/// The file's tensors under Smelt's names, with the bundle's types.
StatusOr<TensorSet> readParameters(const SafetensorsFile &file, const std::string &layout,
                                   const std::map<std::string, TensorView> &like) {
  if (!layout.empty()) {
    SMELT_ASSIGN_OR_RETURN(std::string text, findLayout(layout));
    return undoLayout(text, file.tensors(), like);
  }
  TensorSet result;
  for (const auto &[name, tensor] : file.tensors()) {
    auto wanted = like.find(name);
    if (wanted == like.end())
      return corruptError("the model has no parameter \"", name,
                          "\"; if the file has other names, say which with --layout");
    if (tensor.shape != wanted->second.shape)
      return corruptError("\"", name, "\" has another shape than the model's");
    SMELT_RETURN_IF_ERROR(
        convertElements(tensor, wanted->second.dtype,
                        result.add(name, wanted->second.dtype, wanted->second.shape))
            .withContext(name));
  }
  for (const auto &[name, tensor] : like)
    if (!file.tensors().count(name))
      return corruptError("there is no tensor \"", name, "\"");
  return result;
}
} // namespace

Status loadParameters(Session &session, const std::string &path, const std::string &layout) {
  SMELT_ASSIGN_OR_RETURN(SafetensorsFile file, SafetensorsFile::open(path));
  const Manifest &manifest = session.manifest();
  StatusOr<TensorSet> parameters = readParameters(file, layout, describeParameters(manifest));
  if (!parameters.isOk())
    return parameters.status().withContext("parameters of " + path);
  for (const Buffer &buffer : manifest.buffers)
    if (buffer.kind == BufferKind::Parameter)
      SMELT_RETURN_IF_ERROR(session.writeParameter(buffer, parameters->views().at(buffer.name)));
  // A state that begins as a copy of a parameter (an outer optimiser's) begins as the new one.
  for (const Buffer &buffer : manifest.buffers)
    if (buffer.init && buffer.init->kind == InitKind::Copy) {
      SMELT_ASSIGN_OR_RETURN(std::vector<std::byte> source,
                             session.readBuffer(manifest.buffers[buffer.init->source]));
      SMELT_RETURN_IF_ERROR(session.device().copyIn(buffer.offset, source));
    }
  return Status::ok();
}

} // namespace smelt::runtime
