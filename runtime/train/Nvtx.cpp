#include "runtime/train/Nvtx.h"

#include <dlfcn.h>

namespace smelt::runtime {

namespace {
struct Library {
  int (*push)(const char *) = nullptr;
  int (*pop)() = nullptr;
};

Library open() {
  for (const char *name : {"libnvtx3interop.so.1", "libnvToolsExt.so.1"})
    if (void *handle = ::dlopen(name, RTLD_NOW | RTLD_LOCAL)) {
      Library library = {reinterpret_cast<int (*)(const char *)>(::dlsym(handle, "nvtxRangePushA")),
                         reinterpret_cast<int (*)()>(::dlsym(handle, "nvtxRangePop"))};
      if (library.push && library.pop)
        return library;
    }
  return {};
}

const Library &library() {
  static const Library opened = open();
  return opened;
}
} // namespace

NvtxRange::NvtxRange(const std::string &name) {
  if (library().push)
    library().push(name.c_str());
}

NvtxRange::~NvtxRange() {
  if (library().pop)
    library().pop();
}

} // namespace smelt::runtime
