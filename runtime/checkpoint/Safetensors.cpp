#include "runtime/checkpoint/Safetensors.h"
#include "runtime/base/JsonReader.h"

#include <algorithm>
#include <cstring>
#include <limits>

namespace smelt::runtime {

using nlohmann::json;

namespace {
constexpr uint64_t kMaxHeaderBytes = 100'000'000; // The limit of the reference implementation.
constexpr const char *kMetadata = "__metadata__";
} // namespace

Status writeSafetensors(const std::string &path, const std::map<std::string, TensorView> &tensors,
                        const std::map<std::string, std::string> &metadata) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty())
    header[kMetadata] = metadata;
  std::vector<std::span<const std::byte>> chunks(2);
  uint64_t offset = 0;
  for (const auto &[name, tensor] : tensors) {
    if (shapeBytes(tensor.shape, tensor.dtype) != tensor.data.size() || name == kMetadata)
      return internalError("tensor \"", name, "\" does not fit its shape or has a reserved name");
    header[name] = {{"dtype", safetensorsDTypeName(tensor.dtype)},
                    {"shape", tensor.shape},
                    {"data_offsets", {offset, offset + tensor.data.size()}}};
    offset += tensor.data.size();
    chunks.push_back(tensor.data);
  }
  std::string text = header.dump(-1, ' ', false, json::error_handler_t::replace);
  text.resize((text.size() + 7) / 8 * 8, ' '); // The data are aligned.
  uint64_t length = text.size();
  chunks[0] = std::as_bytes(std::span(&length, 1));
  chunks[1] = std::as_bytes(std::span(text.data(), text.size()));
  return writeFileSynced(path, chunks);
}

StatusOr<SafetensorsFile> SafetensorsFile::open(const std::string &path) {
  SMELT_ASSIGN_OR_RETURN(MappedFile mapped, MappedFile::open(path));
  SafetensorsFile file(std::move(mapped));
  SMELT_RETURN_IF_ERROR(file.parse().withContext("safetensors file " + path));
  return file;
}

Status SafetensorsFile::parse() {
  std::span<const std::byte> bytes = file_.bytes();
  uint64_t headerBytes = 0;
  if (bytes.size() < sizeof headerBytes)
    return corruptError("it has only ", bytes.size(), " bytes");
  std::memcpy(&headerBytes, bytes.data(), sizeof headerBytes);
  bytes = bytes.subspan(sizeof headerBytes);
  if (headerBytes > bytes.size() || headerBytes > kMaxHeaderBytes)
    return corruptError("the header of ", headerBytes, " bytes does not fit");
  auto *text = reinterpret_cast<const char *>(bytes.data());
  json header = json::parse(text, text + headerBytes, nullptr, /*allow_exceptions=*/false);
  if (!header.is_object())
    return corruptError("the header is not a JSON object");
  bytes = bytes.subspan(headerBytes);
  Status failure;
  for (const auto &[name, value] : header.items()) {
    JsonObject object(value, concat("\"", name, "\""), failure);
    if (name == kMetadata) {
      for (const auto &[key, entry] : value.items())
        if (value.is_object() && entry.is_string())
          metadata_[key] = entry.get<std::string>();
      continue;
    }
    TensorView tensor;
    auto dtype = parseSafetensorsDType(object.text("dtype"));
    tensor.shape = object.integers("shape", 0, std::numeric_limits<int64_t>::max());
    auto offsets = object.integers("data_offsets", 0, std::numeric_limits<int64_t>::max());
    object.finish();
    SMELT_RETURN_IF_ERROR(failure);
    if (!dtype)
      return corruptError("\"", name, "\" has a dtype that is not known");
    tensor.dtype = *dtype;
    if (offsets.size() != 2 || offsets[0] > offsets[1] ||
        static_cast<uint64_t>(offsets[1]) > bytes.size())
      return corruptError("\"", name, "\": the data offsets lie outside the file");
    auto size = static_cast<uint64_t>(offsets[1] - offsets[0]);
    if (shapeBytes(tensor.shape, tensor.dtype) != size)
      return corruptError("\"", name, "\": the shape does not need ", size, " bytes");
    tensor.data = bytes.subspan(static_cast<size_t>(offsets[0]), size);
    tensors_[name] = tensor;
  }
  SMELT_RETURN_IF_ERROR(failure);
  return checkCoverage(bytes.size());
}

/// The tensors fill the data exactly: no overlap, no hole, no rest.
Status SafetensorsFile::checkCoverage(uint64_t dataBytes) const {
  std::vector<const TensorView *> sorted;
  for (const auto &[name, tensor] : tensors_)
    sorted.push_back(&tensor);
  std::sort(sorted.begin(), sorted.end(), [](const TensorView *a, const TensorView *b) {
    return std::pair(a->data.data(), a->data.size()) < std::pair(b->data.data(), b->data.size());
  });
  const std::byte *end = file_.bytes().data() + file_.bytes().size();
  const std::byte *next = end - dataBytes;
  for (const TensorView *tensor : sorted) {
    if (tensor->data.data() != next)
      return corruptError("tensors overlap or leave a hole");
    next += tensor->data.size();
  }
  if (next != end)
    return corruptError("there are ", end - next, " bytes that belong to no tensor");
  return Status::ok();
}

} // namespace smelt::runtime
