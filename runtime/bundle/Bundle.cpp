#include "runtime/bundle/Bundle.h"
#include "runtime/base/Files.h"
#include "runtime/base/Sha256.h"

namespace smelt::runtime {

namespace {
Status checkRequiredFiles(const Manifest &manifest) {
  if (!manifest.files.count("spec.json"))
    return corruptError("files: \"spec.json\" is missing");
  if (manifest.target == "cpu" && !manifest.files.count("cpu.so"))
    return corruptError("files: target cpu needs \"cpu.so\"");
  if (manifest.target == "cuda" && !manifest.files.count("kernels.ptx"))
    return corruptError("files: target cuda needs \"kernels.ptx\"");
  return Status::ok();
}

StatusOr<Bundle> readBundle(const std::string &directory) {
  Bundle bundle;
  bundle.directory = directory;
  SMELT_ASSIGN_OR_RETURN(SealedManifest sealed, readSealedManifest(directory));
  StatusOr<Manifest> manifest = parseManifest(sealed.text);
  if (!manifest.isOk())
    return manifest.status().withContext("manifest.json");
  bundle.manifest = *std::move(manifest);
  SMELT_RETURN_IF_ERROR(checkRequiredFiles(bundle.manifest));
  SMELT_RETURN_IF_ERROR(checkSeal(directory, sealed, bundle.manifest.files));
  bundle.manifestSha256 = sealed.sha256;
  SMELT_ASSIGN_OR_RETURN(bundle.specText, readFile(bundle.filePath("spec.json")));
  return bundle;
}
} // namespace

StatusOr<Bundle> openBundle(const std::string &directory) {
  if (!isDirectory(directory))
    return corruptError("bundle ", directory, ": there is no such folder");
  StatusOr<Bundle> bundle = readBundle(directory);
  if (!bundle.isOk())
    return bundle.status().withContext("bundle " + directory);
  return bundle;
}

Status writeBundle(const std::string &directory, Manifest manifest,
                   const std::map<std::string, std::string> &files) {
  manifest.files.clear();
  for (const auto &[name, contents] : files)
    manifest.files[name] = {contents.size(), sha256Hex(contents)};
  // What the reader would refuse is a mistake of the compiler, found here.
  Status valid = checkRequiredFiles(manifest);
  if (valid.isOk())
    valid = validateManifest(manifest);
  std::string text = writeManifest(manifest);
  if (valid.isOk())
    valid = parseManifest(text).status();
  if (!valid.isOk())
    return internalError("the compiler made a bundle that is not valid: ", valid.message());
  SMELT_ASSIGN_OR_RETURN(PendingDirectory pending, PendingDirectory::create(directory));
  for (const auto &[name, contents] : files)
    SMELT_RETURN_IF_ERROR(writeFileSynced(pending.path() + "/" + name, contents));
  SMELT_RETURN_IF_ERROR(writeSealedManifest(pending.path(), text));
  return pending.publish();
}

} // namespace smelt::runtime
