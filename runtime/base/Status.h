//===- Status.h - How the runtime reports errors ----------------*- C++ -*-===//
//
// Every function that can fail returns a Status or a StatusOr. Nothing in the runtime throws across
// a library boundary and nothing but `main` exits; `main` turns the code into the exit code.
//
//===----------------------------------------------------------------------===//
#pragma once

#include <cassert>
#include <optional>
#include <sstream>
#include <string>
#include <utility>

namespace smelt::runtime {

/// The kinds of failure that a user can tell apart. The values are the exit codes of the tools.
enum class StatusCode {
  Ok = 0,
  Internal = 1,  ///< A broken invariant of Smelt itself.
  Usage = 2,     ///< Wrong command line.
  Spec = 3,      ///< The JSON spec is wrong.
  Corrupt = 4,   ///< An input file is missing, damaged, foreign or too new.
  NonFinite = 5, ///< The loss stopped being a finite number.
  RankLost = 6,  ///< Another rank of the job is gone.
  Storage = 7,   ///< The disk refused: full, read-only, input/output error.
};

/// The process exit code for `code`.
int exitCode(StatusCode code);
/// A short name, for messages and logs: "corrupt input", "storage".
const char *statusCodeName(StatusCode code);

/// Success, or a code with a message that a user can act on.
class [[nodiscard]] Status {
public:
  Status() = default;
  Status(StatusCode code, std::string message) : code_(code), message_(std::move(message)) {}

  static Status ok() { return Status(); }

  bool isOk() const { return code_ == StatusCode::Ok; }
  StatusCode code() const { return code_; }
  const std::string &message() const { return message_; }

  /// The same failure, with where it happened put in front: "CONTEXT: MESSAGE".
  Status withContext(const std::string &context) const {
    return isOk() ? *this : Status(code_, context + ": " + message_);
  }

private:
  StatusCode code_ = StatusCode::Ok;
  std::string message_;
};

/// Concatenates anything that can be streamed.
template <typename... Parts> std::string concat(const Parts &...parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

template <typename... Parts> Status internalError(const Parts &...parts) {
  return Status(StatusCode::Internal, concat(parts...));
}
template <typename... Parts> Status usageError(const Parts &...parts) {
  return Status(StatusCode::Usage, concat(parts...));
}
template <typename... Parts> Status corruptError(const Parts &...parts) {
  return Status(StatusCode::Corrupt, concat(parts...));
}
template <typename... Parts> Status storageError(const Parts &...parts) {
  return Status(StatusCode::Storage, concat(parts...));
}

/// A value, or the Status that says why there is none.
template <typename T> class [[nodiscard]] StatusOr {
public:
  StatusOr(Status status) : status_(std::move(status)) {
    assert(!status_.isOk() && "a StatusOr without a value needs a failure");
  }
  StatusOr(T value) : value_(std::move(value)) {}

  bool isOk() const { return value_.has_value(); }
  const Status &status() const { return status_; }

  T &operator*() & { return *value_; }
  const T &operator*() const & { return *value_; }
  T &&operator*() && { return *std::move(value_); }
  T *operator->() { return &*value_; }
  const T *operator->() const { return &*value_; }

private:
  Status status_;
  std::optional<T> value_;
};

} // namespace smelt::runtime

#define SMELT_STATUS_CONCAT_(a, b) a##b
#define SMELT_STATUS_NAME_(a, b) SMELT_STATUS_CONCAT_(a, b)

/// Returns from the enclosing function if `expr` failed.
#define SMELT_RETURN_IF_ERROR(expr)                                                                \
  do {                                                                                             \
    if (::smelt::runtime::Status smeltStatus_ = (expr); !smeltStatus_.isOk())                      \
      return smeltStatus_;                                                                         \
  } while (false)

/// `SMELT_ASSIGN_OR_RETURN(auto x, f());` defines x, or returns f's failure.
#define SMELT_ASSIGN_OR_RETURN(declaration, expr)                                                  \
  SMELT_ASSIGN_OR_RETURN_IMPL_(SMELT_STATUS_NAME_(smeltStatusOr_, __LINE__), declaration, expr)
#define SMELT_ASSIGN_OR_RETURN_IMPL_(temporary, declaration, expr)                                 \
  auto temporary = (expr);                                                                         \
  if (!temporary.isOk())                                                                           \
    return temporary.status();                                                                     \
  declaration = *std::move(temporary)
