#include "runtime/base/JsonReader.h"

#include <cmath>
#include <limits>

namespace smelt::runtime {

using nlohmann::json;

namespace {
const json kNull;
const json::array_t kEmptyArray;
const json::object_t kEmptyObject;
} // namespace

bool isIntegerWithin(const json &value, int64_t low, int64_t high) {
  if (value.is_number_unsigned()) {
    uint64_t number = value.get<uint64_t>();
    return number <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max()) &&
           static_cast<int64_t>(number) >= low && static_cast<int64_t>(number) <= high;
  }
  return value.is_number_integer() && value.get<int64_t>() >= low && value.get<int64_t>() <= high;
}

JsonObject::JsonObject(const json &value, std::string path, Status &failure)
    : value_(&value), path_(std::move(path)), failure_(failure) {
  if (!value.is_object()) {
    fail("expected an object");
    value_ = nullptr;
  }
}

std::string JsonObject::pathOf(const char *key) const {
  return path_.empty() ? std::string(key) : path_ + "." + key;
}

void JsonObject::fail(const std::string &message) {
  if (failure_.isOk())
    failure_ = corruptError(path_.empty() ? std::string("top level") : path_, ": ", message);
}

const json *JsonObject::take(const char *key, bool required) {
  if (!value_)
    return nullptr;
  taken_.insert(key);
  auto it = value_->find(key);
  if (it != value_->end())
    return &*it;
  if (required)
    fail(concat("key \"", key, "\" is missing"));
  return nullptr;
}

bool JsonObject::has(const char *key) const { return value_ && value_->contains(key); }

std::string JsonObject::text(const char *key) {
  const json *value = take(key, true);
  if (!value)
    return "";
  if (!value->is_string()) {
    fail(concat("\"", key, "\" must be a string"));
    return "";
  }
  return value->get<std::string>();
}

std::string JsonObject::text(const char *key, const std::string &otherwise) {
  return has(key) ? text(key) : otherwise;
}

int64_t JsonObject::integer(const char *key, int64_t low, int64_t high) {
  const json *value = take(key, true);
  if (!value)
    return low;
  if (!isIntegerWithin(*value, low, high)) {
    fail(concat("\"", key, "\" must be an integer from ", low, " to ", high));
    return low;
  }
  return value->get<int64_t>();
}

int64_t JsonObject::integer(const char *key, int64_t low, int64_t high, int64_t otherwise) {
  return has(key) ? integer(key, low, high) : otherwise;
}

uint64_t JsonObject::unsignedInteger(const char *key, uint64_t high) {
  const json *value = take(key, true);
  if (!value)
    return 0;
  // Programmatic values may be stored as signed; text without a sign always parses as unsigned.
  bool valid =
      value->is_number_unsigned() || (value->is_number_integer() && value->get<int64_t>() >= 0);
  if (!valid || value->get<uint64_t>() > high) {
    fail(concat("\"", key, "\" must be an integer from 0 to ", high));
    return 0;
  }
  return value->get<uint64_t>();
}

double JsonObject::number(const char *key) {
  const json *value = take(key, true);
  if (!value)
    return 0;
  if (!value->is_number() || !std::isfinite(value->get<double>())) {
    fail(concat("\"", key, "\" must be a finite number"));
    return 0;
  }
  return value->get<double>();
}

bool JsonObject::boolean(const char *key) {
  const json *value = take(key, true);
  if (value && !value->is_boolean())
    fail(concat("\"", key, "\" must be true or false"));
  return value && value->is_boolean() && value->get<bool>();
}

std::vector<std::string> JsonObject::texts(const char *key) {
  std::vector<std::string> result;
  for (const json &element : array(key)) {
    if (!element.is_string()) {
      fail(concat("\"", key, "\" must hold strings only"));
      return {};
    }
    result.push_back(element.get<std::string>());
  }
  return result;
}

std::vector<double> JsonObject::numbers(const char *key) {
  std::vector<double> result;
  for (const json &element : array(key)) {
    if (!element.is_number() || !std::isfinite(element.get<double>())) {
      fail(concat("\"", key, "\" must hold finite numbers only"));
      return {};
    }
    result.push_back(element.get<double>());
  }
  return result;
}

std::vector<int64_t> JsonObject::integers(const char *key, int64_t low, int64_t high) {
  std::vector<int64_t> result;
  for (const json &element : array(key)) {
    if (!isIntegerWithin(element, low, high)) {
      fail(concat("\"", key, "\" must hold integers from ", low, " to ", high));
      return {};
    }
    result.push_back(element.get<int64_t>());
  }
  return result;
}

const json::array_t &JsonObject::array(const char *key) {
  const json *value = take(key, true);
  if (!value)
    return kEmptyArray;
  if (!value->is_array()) {
    fail(concat("\"", key, "\" must be an array"));
    return kEmptyArray;
  }
  return value->get_ref<const json::array_t &>();
}

const json::object_t &JsonObject::object(const char *key) {
  const json *value = take(key, true);
  if (!value)
    return kEmptyObject;
  if (!value->is_object()) {
    fail(concat("\"", key, "\" must be an object"));
    return kEmptyObject;
  }
  return value->get_ref<const json::object_t &>();
}

const json &JsonObject::value(const char *key) {
  const json *value = take(key, true);
  return value ? *value : kNull;
}

void JsonObject::finish() {
  if (!value_)
    return;
  for (const auto &[key, value] : value_->get_ref<const json::object_t &>())
    if (!taken_.count(key))
      return fail(concat("unknown key \"", key, "\""));
}

} // namespace smelt::runtime
