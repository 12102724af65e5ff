//===- JsonReader.h - Checked reading of machine-written JSON ---*- C++ -*-===//
//
// For manifests: every key is taken once with its type checked, and keys that nobody took are an
// error. The first failure sticks; the values read after it are defaults, so a reader can read a
// whole object and look at the status once. (Specs written by people go through the compiler's own
// positioned reader instead.)
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/base/Status.h"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace smelt::runtime {

class JsonObject {
public:
  /// `path` names the object in messages ("buffers[3]"). `failure` outlives the reader.
  JsonObject(const nlohmann::json &value, std::string path, Status &failure);

  bool has(const char *key) const;
  std::string text(const char *key);
  std::string text(const char *key, const std::string &otherwise);
  /// An integer in [low, high].
  int64_t integer(const char *key, int64_t low, int64_t high);
  int64_t integer(const char *key, int64_t low, int64_t high, int64_t otherwise);
  uint64_t unsignedInteger(const char *key, uint64_t high);
  double number(const char *key);
  bool boolean(const char *key);
  std::vector<std::string> texts(const char *key);
  std::vector<double> numbers(const char *key);
  std::vector<int64_t> integers(const char *key, int64_t low, int64_t high);
  /// The elements of an array; empty after a failure.
  const nlohmann::json::array_t &array(const char *key);
  /// The members of an object; empty after a failure.
  const nlohmann::json::object_t &object(const char *key);
  /// The value as it is; null if it is missing.
  const nlohmann::json &value(const char *key);
  /// Accepts a key that this version does not use.
  void ignore(const char *key) { taken_.insert(key); }

  /// Reports the keys that nobody took.
  void finish();
  void fail(const std::string &message);
  const std::string &path() const { return path_; }
  std::string pathOf(const char *key) const;

private:
  const nlohmann::json *take(const char *key, bool required);

  const nlohmann::json *value_;
  std::string path_;
  Status &failure_;
  std::set<std::string> taken_;
};

/// Checks that `value` is an integer in [low, high].
bool isIntegerWithin(const nlohmann::json &value, int64_t low, int64_t high);

} // namespace smelt::runtime
