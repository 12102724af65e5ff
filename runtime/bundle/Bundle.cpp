#include "runtime/bundle/Bundle.h"
#include "runtime/base/Files.h"
#include "runtime/base/Sha256.h"

namespace smelt::runtime {

namespace {
constexpr const char *kManifestName = "manifest.json";
/// In the format of sha256sum(1): `sha256sum -c manifest.sha256` checks it too.
constexpr const char *kManifestHashName = "manifest.sha256";
constexpr uint64_t kMaxManifestBytes = uint64_t(1) << 28;

std::string manifestHashLine(const std::string &digest) {
  return concat(digest, "  ", kManifestName, "\n");
}

Status checkRequiredFiles(const Manifest &manifest) {
  if (!manifest.files.count("spec.json"))
    return corruptError("files: \"spec.json\" is missing");
  if (manifest.target == "cpu" && !manifest.files.count("cpu.so"))
    return corruptError("files: target cpu needs \"cpu.so\"");
  return Status::ok();
}

Status checkFile(const std::string &path, const FileRecord &record) {
  SMELT_ASSIGN_OR_RETURN(MappedFile file, MappedFile::open(path));
  if (file.bytes().size() != record.bytes)
    return corruptError(path, " has ", file.bytes().size(), " bytes, the manifest says ",
                        record.bytes);
  Sha256 hash;
  hash.update(file.bytes().data(), file.bytes().size());
  if (std::string digest = hash.finish(); digest != record.sha256)
    return corruptError(path, " is damaged: its sha256 is ", digest, ", the manifest says ",
                        record.sha256);
  return Status::ok();
}

StatusOr<Bundle> readBundle(const std::string &directory) {
  Bundle bundle;
  bundle.directory = directory;
  SMELT_ASSIGN_OR_RETURN(std::string text,
                         readFile(bundle.filePath(kManifestName), kMaxManifestBytes));
  // The manifest first says whose it is and how new; then it must be whole.
  bundle.manifestSha256 = sha256Hex(text);
  StatusOr<Manifest> manifest = parseManifest(text);
  if (!manifest.isOk())
    return manifest.status().withContext(kManifestName);
  SMELT_ASSIGN_OR_RETURN(std::string hashLine, readFile(bundle.filePath(kManifestHashName), 4096));
  if (hashLine != manifestHashLine(bundle.manifestSha256))
    return corruptError("manifest.json is damaged: its sha256 is ", bundle.manifestSha256,
                        ", not what manifest.sha256 says");
  bundle.manifest = *std::move(manifest);
  SMELT_RETURN_IF_ERROR(checkRequiredFiles(bundle.manifest));
  for (const auto &[name, record] : bundle.manifest.files)
    SMELT_RETURN_IF_ERROR(checkFile(bundle.filePath(name), record));
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
  SMELT_RETURN_IF_ERROR(writeFileSynced(pending.path() + "/" + kManifestName, text));
  SMELT_RETURN_IF_ERROR(
      writeFileSynced(pending.path() + "/" + kManifestHashName, manifestHashLine(sha256Hex(text))));
  return pending.publish();
}

} // namespace smelt::runtime
