#include "runtime/checkpoint/TensorLayout.h"
#include "runtime/base/JsonReader.h"
#include "runtime/checkpoint/LayoutRules.h"

#include <algorithm>
#include <cstring>

namespace smelt::runtime {

namespace {
struct BuiltInLayout {
  const char *name;
  const char *text;
};
#include "runtime/checkpoint/BuiltInLayouts.inc" // kBuiltInLayouts, made by CMake.

uint64_t elementsOf(const TensorView &tensor) {
  return tensor.data.size() / dtypeBytes(tensor.dtype);
}
} // namespace

std::span<std::byte> TensorSet::add(const std::string &name, DType dtype,
                                    std::vector<int64_t> shape) {
  std::vector<std::byte> &bytes = data_[name];
  bytes.assign(shapeBytes(shape, dtype).value_or(0), std::byte(0));
  views_[name] = {dtype, std::move(shape), bytes};
  return bytes;
}

StatusOr<std::string> findLayout(const std::string &nameOrPath) {
  constexpr std::string_view ending = ".json";
  if (nameOrPath.size() > ending.size() &&
      nameOrPath.substr(nameOrPath.size() - ending.size()) == ending)
    return readFile(nameOrPath, 1 << 20);
  std::string names;
  for (const BuiltInLayout &layout : kBuiltInLayouts) {
    if (nameOrPath == layout.name)
      return std::string(layout.text);
    names += concat(names.empty() ? "" : ", ", layout.name);
  }
  return usageError("there is no layout \"", nameOrPath, "\"; there is ", names,
                    ", or give a .json file");
}

Status convertElements(const TensorView &from, DType dtype, std::span<std::byte> to) {
  if (from.dtype == dtype) {
    std::memcpy(to.data(), from.data.data(), to.size());
    return Status::ok();
  }
  uint64_t fromSize = dtypeBytes(from.dtype), toSize = dtypeBytes(dtype);
  for (uint64_t i = 0; i < elementsOf(from); ++i) {
    double value = loadElement(from.dtype, from.data.data() + i * fromSize);
    std::byte *element = to.data() + i * toSize;
    storeElement(dtype, value, element);
    double stored = loadElement(dtype, element);
    if (stored != value && (stored == stored || value == value))
      return corruptError("element ", i, " is ", value, " in ", dtypeName(from.dtype),
                          ", which is no ", dtypeName(dtype));
  }
  return Status::ok();
}

StatusOr<TensorSet> applyLayout(const std::string &layout,
                                const std::map<std::string, TensorView> &parameters) {
  SMELT_ASSIGN_OR_RETURN(std::vector<TensorPlan> plans, planLayout(layout, parameters));
  TensorSet result;
  for (const TensorPlan &plan : plans) {
    std::span<std::byte> to = result.add(plan.name, plan.dtype, plan.shape);
    for (const TensorPiece &piece : plan.pieces) {
      if (piece.parameter.empty()) {
        storeElement(plan.dtype, piece.constant, to.data());
        to = to.subspan(dtypeBytes(plan.dtype));
        continue;
      }
      std::span<const std::byte> from = parameters.at(piece.parameter).data;
      std::memcpy(to.data(), from.data(), from.size());
      to = to.subspan(from.size());
    }
  }
  return result;
}

namespace {
/// The tensor of that name, as a module or as a compiled module names it.
const TensorView *findTensor(const std::map<std::string, TensorView> &tensors,
                             const std::string &name) {
  for (const std::string &candidate : {name, "_orig_mod." + name})
    if (auto it = tensors.find(candidate); it != tensors.end())
      return &it->second;
  return nullptr;
}

Status checkShape(const TensorPlan &plan, const TensorView &tensor) {
  if (tensor.shape == plan.shape)
    return Status::ok();
  // Of a padded vector, any padding.
  if (plan.padding >= 0 && tensor.shape.size() == 1 &&
      tensor.shape[0] >= static_cast<int64_t>(plan.pieces.size()) - plan.padding)
    return Status::ok();
  auto text = [](const std::vector<int64_t> &shape) { return nlohmann::json(shape).dump(); };
  return corruptError("it has the shape ", text(tensor.shape), ", the model needs ",
                      text(plan.shape));
}

Status undoPlan(const TensorPlan &plan, const TensorView &tensor, TensorSet &result,
                const std::map<std::string, TensorView> &like) {
  SMELT_RETURN_IF_ERROR(checkShape(plan, tensor));
  TensorView rest = tensor;
  auto values = static_cast<int64_t>(plan.pieces.size()) - std::max<int64_t>(plan.padding, 0);
  for (const TensorPiece &piece : std::span(plan.pieces).first(static_cast<size_t>(values))) {
    uint64_t elements = piece.parameter.empty() ? 1 : elementsOf(like.at(piece.parameter));
    TensorView part = rest;
    uint64_t bytes = elements * dtypeBytes(tensor.dtype);
    part.data = rest.data.first(bytes);
    rest.data = rest.data.subspan(bytes);
    if (piece.parameter.empty())
      continue; // This model does not have it.
    const TensorView &wanted = like.at(piece.parameter);
    SMELT_RETURN_IF_ERROR(
        convertElements(part, wanted.dtype, result.add(piece.parameter, wanted.dtype, wanted.shape))
            .withContext(piece.parameter));
  }
  return Status::ok();
}
} // namespace

StatusOr<TensorSet> undoLayout(const std::string &layout,
                               const std::map<std::string, TensorView> &tensors,
                               const std::map<std::string, TensorView> &like) {
  SMELT_ASSIGN_OR_RETURN(std::vector<TensorPlan> plans, planLayout(layout, like));
  if (tensors.size() > plans.size())
    for (const auto &[name, tensor] : tensors)
      if (std::none_of(plans.begin(), plans.end(), [&](const TensorPlan &plan) {
            return findTensor(tensors, plan.name) == &tensor;
          }))
        return corruptError("the model has no place for the tensor \"", name, "\"");
  TensorSet result;
  for (const TensorPlan &plan : plans) {
    const TensorView *tensor = findTensor(tensors, plan.name);
    if (!tensor)
      return corruptError("there is no tensor \"", plan.name, "\"");
    SMELT_RETURN_IF_ERROR(undoPlan(plan, *tensor, result, like).withContext(plan.name));
  }
  return result;
}

} // namespace smelt::runtime
