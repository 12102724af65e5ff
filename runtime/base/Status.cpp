#include "runtime/base/Status.h"

namespace smelt::runtime {

int exitCode(StatusCode code) { return static_cast<int>(code); }

const char *statusCodeName(StatusCode code) {
  switch (code) {
  case StatusCode::Ok:
    return "ok";
  case StatusCode::Internal:
    return "internal error";
  case StatusCode::Usage:
    return "usage";
  case StatusCode::Spec:
    return "spec";
  case StatusCode::Corrupt:
    return "corrupt input";
  case StatusCode::NonFinite:
    return "non-finite loss";
  case StatusCode::RankLost:
    return "rank lost";
  case StatusCode::Storage:
    return "storage";
  }
  return "unknown";
}

} // namespace smelt::runtime
