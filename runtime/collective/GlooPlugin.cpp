// Finds and opens libsmelt_gloo.so: beside the executable, in ../lib as in an installation, in
// ../../lib as in a build folder's tests, or where the system looks.
#include "runtime/collective/gloo/GlooPlugin.h"
#include "runtime/base/SharedLibrary.h"

#include <cstdlib>
#include <dlfcn.h>
#include <filesystem>
#include <vector>

namespace smelt::runtime {

namespace {

StatusOr<void *> openPlugin() {
  std::error_code error;
  std::filesystem::path folder =
      std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
  std::vector<std::string> places;
  if (const char *file = std::getenv("SMELT_GLOO")) {
    places = {file}; // For tests and unusual installations.
  } else {
    for (const char *below : {".", "../lib", "../../lib"})
      places.push_back((folder / below / kGlooPluginFile).lexically_normal());
    places.push_back(kGlooPluginFile);
  }
  for (const std::string &place : places) {
    bool isPath = place.find('/') != std::string::npos;
    if (isPath && !std::filesystem::exists(place, error))
      continue;
    if (void *plugin = ::dlopen(place.c_str(), RTLD_NOW | RTLD_LOCAL))
      return plugin;
    if (isPath) // It is there; something that it needs is not.
      return usageError("ranks without NCCL need Gloo, and ", place,
                        " does not open: ", ::dlerror());
  }
  return usageError("ranks without NCCL need Gloo: there is no ", kGlooPluginFile, " (looked for ",
                    joinPlaces(places), "); it is built where libgloo-dev is installed");
}

template <typename Function> StatusOr<Function *> findFunction(void *plugin, const char *name) {
  if (void *found = ::dlsym(plugin, name))
    return reinterpret_cast<Function *>(found);
  return usageError(kGlooPluginFile, " is none of Smelt's: it has no ", name);
}

StatusOr<GlooMake *> loadPlugin() {
  SMELT_ASSIGN_OR_RETURN(void *plugin, openPlugin());
  SMELT_ASSIGN_OR_RETURN(auto *interface,
                         findFunction<GlooInterface>(plugin, "smeltGlooInterface"));
  if (int theirs = interface(); theirs != kGlooPluginInterface)
    return usageError(kGlooPluginFile, " is of another version of Smelt: its interface is ", theirs,
                      ", this one's ", kGlooPluginInterface);
  return findFunction<GlooMake>(plugin, "smeltGlooMake");
}

} // namespace

StatusOr<std::unique_ptr<Collective>> makeGlooCollective(Peers &peers) {
  static const StatusOr<GlooMake *> make = loadPlugin();
  SMELT_RETURN_IF_ERROR(make.status());
  Status failure;
  std::unique_ptr<Collective> collective((*make)(peers, failure));
  SMELT_RETURN_IF_ERROR(failure);
  return collective;
}

} // namespace smelt::runtime
