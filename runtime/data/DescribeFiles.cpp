#include "runtime/data/DescribeFiles.h"
#include "runtime/base/Files.h"
#include "runtime/base/Sha256.h"

namespace smelt::runtime {

StatusOr<std::vector<FileDescription>> describeFiles(const std::vector<std::string> &paths,
                                                     uint64_t whollyHashed, uint64_t hashedEnd) {
  std::vector<FileDescription> files;
  for (const std::string &path : paths) {
    SMELT_ASSIGN_OR_RETURN(MappedFile file, MappedFile::open(path));
    std::span<const std::byte> bytes = file.bytes();
    bool isWhole = bytes.size() <= whollyHashed || bytes.size() <= 2 * hashedEnd;
    Sha256 hash;
    if (isWhole) {
      hash.update(bytes.data(), bytes.size());
    } else {
      hash.update(bytes.data(), hashedEnd);
      hash.update(bytes.last(hashedEnd).data(), hashedEnd);
    }
    files.push_back({path, bytes.size(), hash.finish(), isWhole});
  }
  return files;
}

} // namespace smelt::runtime
