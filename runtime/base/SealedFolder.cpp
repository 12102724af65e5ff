#include "runtime/base/SealedFolder.h"
#include "runtime/base/Files.h"
#include "runtime/base/Sha256.h"

namespace smelt::runtime {

namespace {
constexpr const char *kManifestName = "manifest.json";
constexpr const char *kHashName = "manifest.sha256";
constexpr uint64_t kMaxManifestBytes = uint64_t(1) << 28;

std::string hashLine(const std::string &digest) {
  return concat(digest, "  ", kManifestName, "\n");
}

bool isPlainFileName(const std::string &name) {
  return !name.empty() && name[0] != '.' && name.size() < 200 &&
         name.find_first_of(std::string("/\0", 2)) == std::string::npos;
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
} // namespace

StatusOr<SealedManifest> readSealedManifest(const std::string &directory) {
  SMELT_ASSIGN_OR_RETURN(std::string text,
                         readFile(directory + "/" + kManifestName, kMaxManifestBytes));
  std::string digest = sha256Hex(text);
  return SealedManifest{std::move(text), std::move(digest)};
}

Status checkSeal(const std::string &directory, const SealedManifest &manifest,
                 const std::map<std::string, FileRecord> &files) {
  SMELT_ASSIGN_OR_RETURN(std::string line, readFile(directory + "/" + kHashName, 4096));
  if (line != hashLine(manifest.sha256))
    return corruptError("manifest.json is damaged: its sha256 is ", manifest.sha256,
                        ", not what manifest.sha256 says");
  for (const auto &[name, record] : files)
    SMELT_RETURN_IF_ERROR(checkFile(directory + "/" + name, record));
  return Status::ok();
}

Status writeSealedManifest(const std::string &directory, std::string_view text) {
  SMELT_RETURN_IF_ERROR(writeFileSynced(directory + "/" + kManifestName, text));
  return writeFileSynced(directory + "/" + kHashName, hashLine(sha256Hex(text)));
}

Status checkFileRecords(const std::map<std::string, FileRecord> &files) {
  for (const auto &[name, record] : files) {
    if (!isPlainFileName(name))
      return corruptError("files: \"", name, "\" is not a plain file name");
    if (record.sha256.size() != 64 ||
        record.sha256.find_first_not_of("0123456789abcdef") != std::string::npos)
      return corruptError("files: the sha256 of \"", name, "\" is not 64 hexadecimal digits");
  }
  return Status::ok();
}

} // namespace smelt::runtime
