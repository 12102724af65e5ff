#include "runtime/base/SharedLibrary.h"

#include <dlfcn.h>

namespace smelt::runtime {

SharedLibrary openFirst(const std::vector<std::string> &places) {
  SharedLibrary library;
  for (const std::string &place : places) {
    library.handle = ::dlopen(place.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library.handle) {
      library.path = place;
      break;
    }
    library.why = ::dlerror();
  }
  return library;
}

std::string joinPlaces(const std::vector<std::string> &places) {
  std::string text;
  for (const std::string &place : places)
    text += (text.empty() ? "" : ", ") + place;
  return text;
}

} // namespace smelt::runtime
