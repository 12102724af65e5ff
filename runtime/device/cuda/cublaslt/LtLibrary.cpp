#include "runtime/device/cuda/cublaslt/LtLibrary.h"
#include "runtime/base/SharedLibrary.h"

#include <cstdlib>

#include <dlfcn.h>

namespace smelt::runtime::cublaslt {

Status Library::check(Result result, const std::string &call) const {
  return result == kSuccess ? Status::ok() : internalError(call, ": ", getStatusName(result));
}

namespace {
std::vector<std::string> places() {
  if (const char *file = std::getenv("SMELT_CUBLASLT"))
    return {file};
  return {"libcublasLt.so.13", "libcublasLt.so.12", "/usr/local/cuda/lib64/libcublasLt.so.13",
          "/usr/local/cuda/lib64/libcublasLt.so.12"};
}

StatusOr<Library> load() {
  SharedLibrary opened = openFirst(places());
  if (!opened.handle)
    return usageError("there is no cuBLASLt: looked for ", joinPlaces(places()),
                      "; SMELT_CUBLASLT=FILE names one (", opened.why, ")");
  Library library;
  library.path = opened.path;
  const char *missing = nullptr;
#define SMELT_CUBLASLT_LOAD(result, name, symbol, parameters)                                      \
  library.name = reinterpret_cast<result(*) parameters>(::dlsym(opened.handle, symbol));           \
  if (!library.name)                                                                               \
    missing = symbol;
  SMELT_CUBLASLT_FUNCTIONS(SMELT_CUBLASLT_LOAD)
#undef SMELT_CUBLASLT_LOAD
  if (missing)
    return usageError("cuBLASLt at ", library.path, " is too old: it has no ", missing);
  library.version = library.getVersion();
  return library;
}
} // namespace

StatusOr<const Library *> openCublasLt() {
  static const StatusOr<Library> library = load();
  if (!library.isOk())
    return library.status();
  return &*library;
}

} // namespace smelt::runtime::cublaslt
