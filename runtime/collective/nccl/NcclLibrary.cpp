#include "runtime/collective/nccl/NcclLibrary.h"
#include "runtime/base/SharedLibrary.h"

#include <cstdlib>
#include <dlfcn.h>
#include <filesystem>
#include <sstream>

namespace smelt::runtime::nccl {

namespace {
constexpr const char *kFile = "libnccl.so.2";

/// FOLDER/lib/python3.12/site-packages/nvidia/nccl/lib/libnccl.so.2, where FOLDER/bin has a
/// python3 (a virtual environment's too: its link is not followed).
void addWheels(const std::filesystem::path &folder, std::vector<std::string> &places) {
  std::error_code error;
  for (const char *packages : {"site-packages", "dist-packages"})
    for (const auto &python : std::filesystem::directory_iterator(folder / "lib", error)) {
      if (!python.path().filename().string().starts_with("python3"))
        continue;
      std::filesystem::path file = python.path() / packages / "nvidia/nccl/lib" / kFile;
      if (std::filesystem::exists(file, error))
        places.push_back(file);
    }
}

StatusOr<Library> load() {
  // Programs that use NVLink multicast can put a shared host's GPUs out of service.
  ::setenv("NCCL_NVLS_ENABLE", "0", /*overwrite=*/0);
  std::vector<std::string> places = findNcclPlaces();
  SharedLibrary opened = openFirst(places);
  if (!opened.handle)
    return usageError("several GPUs need NCCL, and there is no ", kFile, ": looked for ",
                      joinPlaces(places),
                      ", and in Python's packages nvidia-nccl beside each python3 "
                      "of PATH; SMELT_NCCL=FILE names one (",
                      opened.why, ")");
  Library library;
  library.path = opened.path;
  const char *missing = nullptr;
#define SMELT_NCCL_LOAD(result, name, symbol, parameters)                                          \
  library.name = reinterpret_cast<result(*) parameters>(::dlsym(opened.handle, symbol));           \
  if (!library.name)                                                                               \
    missing = symbol;
  SMELT_NCCL_FUNCTIONS(SMELT_NCCL_LOAD)
#undef SMELT_NCCL_LOAD
  int version = 0;
  if (library.getVersion && library.getVersion(&version) == kSuccess)
    library.version = concat(version / 10000, ".", version / 100 % 100, ".", version % 100);
  if (missing || version < static_cast<int>(kConfigVersion))
    return usageError("NCCL at ", library.path, " is too old: ",
                      missing ? concat("it has no ", missing) : concat("it is ", library.version),
                      "; 2.18 or newer is needed");
  return library;
}
} // namespace

std::vector<std::string> findNcclPlaces() {
  if (const char *file = std::getenv("SMELT_NCCL"))
    return {file};
  std::vector<std::string> places = {kFile};
  std::istringstream path(std::getenv("PATH") ? std::getenv("PATH") : "");
  std::error_code error;
  for (std::string folder; std::getline(path, folder, ':');)
    if (!folder.empty() && std::filesystem::exists(folder + "/python3", error))
      addWheels(std::filesystem::path(folder).parent_path(), places);
  if (const char *conda = std::getenv("CONDA_PREFIX"))
    places.push_back(concat(conda, "/lib/", kFile));
  return places;
}

StatusOr<const Library *> openNccl() {
  static const StatusOr<Library> library = load();
  if (!library.isOk())
    return library.status();
  return &*library;
}

} // namespace smelt::runtime::nccl
