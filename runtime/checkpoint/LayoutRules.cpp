#include "runtime/checkpoint/LayoutRules.h"
#include "runtime/base/JsonReader.h"

#include <algorithm>
#include <set>

namespace smelt::runtime {

using nlohmann::json;
using Parameters = std::map<std::string, TensorView>;

namespace {
/// The number that `*` stands for when `name` fits `pattern`; −1 if it does not fit. Without `*`:
/// 0.
int64_t matchNumber(const std::string &pattern, const std::string &name) {
  size_t star = pattern.find('*');
  if (star == std::string::npos)
    return name == pattern ? 0 : -1;
  std::string_view before = std::string_view(pattern).substr(0, star);
  std::string_view after = std::string_view(pattern).substr(star + 1);
  std::string_view rest = name;
  if (rest.size() <= before.size() + after.size() || rest.substr(0, before.size()) != before ||
      rest.substr(rest.size() - after.size()) != after)
    return -1;
  rest = rest.substr(before.size(), rest.size() - before.size() - after.size());
  if (rest.size() > 9 || rest.find_first_not_of("0123456789") != rest.npos)
    return -1;
  return std::stol(std::string(rest));
}

std::string withNumber(std::string pattern, int64_t number) {
  if (size_t star = pattern.find('*'); star != std::string::npos)
    pattern.replace(star, 1, std::to_string(number));
  return pattern;
}

class VariantPlanner {
public:
  VariantPlanner(const Parameters &parameters) : parameters_(parameters) {
    for (const auto &[name, tensor] : parameters) {
      // The second number of "layers.3.mlp.up" is not the layer's.
      size_t end = name.find('.', 7);
      if (name.rfind("layers.", 0) == 0)
        layers_ = std::max(layers_, matchNumber("layers.*", name.substr(0, end)) + 1);
    }
  }

  StatusOr<std::vector<TensorPlan>> plan(const json &tensors) {
    for (const auto &[name, rule] : tensors.items())
      SMELT_RETURN_IF_ERROR(planRule(name, rule).withContext("\"" + name + "\""));
    for (const auto &[name, tensor] : parameters_)
      if (!placed_.count(name))
        return corruptError("it has no place for the parameter \"", name, "\"");
    return std::move(plans_);
  }

private:
  Status planRule(const std::string &name, const json &rule) {
    if (rule.is_string())
      return planRows(name, {rule.get<std::string>()}, 0);
    Status failure;
    JsonObject object(rule, "", failure);
    Status status;
    if (object.has("rows")) {
      std::vector<std::string> sources = object.texts("rows");
      int64_t split = object.integer("split", 1, 1 << 20, 0);
      status = planRows(name, sources, split);
    } else {
      status = planScalars(name, object.value("scalars"));
    }
    object.finish();
    return failure.isOk() ? status : failure;
  }

  /// One tensor for each number that the first source's `*` stands for.
  Status planRows(const std::string &name, const std::vector<std::string> &sources, int64_t split) {
    if (sources.empty())
      return corruptError("it has no parameters");
    std::set<int64_t> numbers;
    for (const auto &[parameter, tensor] : parameters_)
      if (int64_t number = matchNumber(sources.front(), parameter); number >= 0)
        numbers.insert(number);
    if (numbers.empty())
      return corruptError("the model has no parameter ", sources.front());
    for (int64_t number : numbers) {
      TensorPlan plan;
      plan.name = withNumber(name, number);
      for (const std::string &source : sources)
        SMELT_RETURN_IF_ERROR(addRows(plan, withNumber(source, number)));
      if (split) {
        if (plan.shape.empty() || plan.shape[0] % split)
          return corruptError("its rows do not split into ", split);
        plan.shape[0] /= split;
        plan.shape.insert(plan.shape.begin(), split);
      }
      plans_.push_back(std::move(plan));
    }
    return Status::ok();
  }

  Status addRows(TensorPlan &plan, const std::string &parameter) {
    SMELT_ASSIGN_OR_RETURN(const TensorView *tensor, place(parameter));
    if (plan.pieces.empty()) {
      plan.dtype = tensor->dtype;
      plan.shape = tensor->shape;
    } else {
      bool fits = plan.shape.size() == tensor->shape.size() && !plan.shape.empty() &&
                  plan.dtype == tensor->dtype &&
                  std::equal(plan.shape.begin() + 1, plan.shape.end(), tensor->shape.begin() + 1);
      if (!fits)
        return corruptError(parameter, " has another type or width");
      plan.shape[0] += tensor->shape[0];
    }
    plan.pieces.push_back({parameter});
    return Status::ok();
  }

  Status planScalars(const std::string &name, const json &elements) {
    if (!elements.is_array())
      return corruptError("\"scalars\" must be a list");
    TensorPlan plan;
    plan.name = name;
    for (const json &element : elements)
      SMELT_RETURN_IF_ERROR(addScalars(plan, element));
    plan.shape = {static_cast<int64_t>(plan.pieces.size())};
    plans_.push_back(std::move(plan));
    return Status::ok();
  }

  Status addScalars(TensorPlan &plan, const json &element) {
    if (plan.padding >= 0)
      return corruptError("\"pad_to\" must be the last");
    if (element.is_string())
      return addScalar(plan, element.get<std::string>());
    Status failure;
    JsonObject object(element, "", failure);
    if (object.has("pad_to")) {
      int64_t multiple = object.integer("pad_to", 1, 1 << 20);
      double with = object.number("with");
      plan.padding = 0;
      for (; plan.pieces.size() % static_cast<size_t>(multiple); ++plan.padding)
        plan.pieces.push_back({"", with});
    } else {
      const json::array_t &columns = object.array("per_layer");
      for (int64_t layer = 0; layer < layers_; ++layer)
        for (const json &column : columns)
          SMELT_RETURN_IF_ERROR(addOfLayer(plan, column, layer));
    }
    object.finish();
    return failure;
  }

  Status addOfLayer(TensorPlan &plan, const json &column, int64_t layer) {
    if (!column.is_array() || column.size() != 2 || !column[0].is_string() ||
        !column[1].is_number())
      return corruptError("\"per_layer\" must be a list of [name, value]");
    std::string parameter = concat(column[0].get<std::string>(), ".", layer);
    if (parameters_.count(parameter))
      return addScalar(plan, parameter);
    plan.pieces.push_back({"", column[1].get<double>()});
    return Status::ok();
  }

  Status addScalar(TensorPlan &plan, const std::string &parameter) {
    SMELT_ASSIGN_OR_RETURN(const TensorView *tensor, place(parameter));
    if (!tensor->shape.empty())
      return corruptError(parameter, " is no scalar");
    if (tensor->dtype != plan.dtype && !plan.pieces.empty())
      return corruptError(parameter, " has another type");
    plan.dtype = tensor->dtype;
    plan.pieces.push_back({parameter});
    return Status::ok();
  }

  /// Takes the parameter's one place.
  StatusOr<const TensorView *> place(const std::string &parameter) {
    auto it = parameters_.find(parameter);
    if (it == parameters_.end())
      return corruptError("the model has no parameter ", parameter);
    if (!placed_.insert(parameter).second)
      return corruptError(parameter, " has two places");
    return &it->second;
  }

  const Parameters &parameters_;
  int64_t layers_ = 0;
  std::set<std::string> placed_;
  std::vector<TensorPlan> plans_;
};
} // namespace

StatusOr<std::vector<TensorPlan>> planLayout(const std::string &layout,
                                             const Parameters &parameters) {
  json document = json::parse(layout, nullptr, /*allow_exceptions=*/false);
  Status failure;
  JsonObject object(document, "", failure);
  object.integer("smelt_layout", 1, 1);
  object.text("about", "");
  std::string reasons;
  for (const json &variant : object.array("variants")) {
    JsonObject fields(variant, "variants[]", failure);
    std::string name = fields.text("name");
    const json &tensors = fields.value("tensors");
    fields.finish();
    SMELT_RETURN_IF_ERROR(failure.withContext("layout"));
    auto plans = VariantPlanner(parameters).plan(tensors);
    if (plans.isOk())
      return plans;
    reasons += concat("\n  ", name, ": ", plans.status().message());
  }
  object.finish();
  SMELT_RETURN_IF_ERROR(failure.withContext("layout"));
  return corruptError("the layout does not fit this model:", reasons);
}

} // namespace smelt::runtime
