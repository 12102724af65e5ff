//===- ObjectCache.cpp - Kernels compiled before --------------------------===//
#include "compiler/Target/ObjectCache.h"

#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/CachePruning.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/SHA256.h"
#include "llvm/Support/raw_ostream.h"

#include <cstdlib>
#include <fcntl.h>
#include <link.h>
#include <sys/stat.h>

using namespace llvm;

namespace smelt {
namespace {

constexpr size_t kDigestBytes = 32;

/// What a kept file ends with: half a file, or another one, is not taken for an object.
std::string digestOf(StringRef object) {
  auto digest = SHA256::hash(arrayRefFromStringRef(object));
  return std::string(digest.begin(), digest.end());
}

/// Appends the build ID of one loaded ELF file; the program itself comes first.
int addBuildID(dl_phdr_info *info, size_t, void *to) {
  auto &ids = *static_cast<std::string *>(to);
  bool program = ids.empty();
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const ElfW(Phdr) &header = info->dlpi_phdr[i];
    if (header.p_type != PT_NOTE)
      continue;
    const char *at = reinterpret_cast<const char *>(info->dlpi_addr + header.p_vaddr);
    const char *end = at + header.p_memsz;
    while (at + sizeof(ElfW(Nhdr)) <= end) {
      auto &note = *reinterpret_cast<const ElfW(Nhdr) *>(at);
      const char *name = at + sizeof note, *value = name + alignTo(note.n_namesz, 4);
      if (note.n_type == NT_GNU_BUILD_ID && StringRef(name, note.n_namesz) == StringRef("GNU", 4))
        ids += toHex(StringRef(value, note.n_descsz)) + " ";
      at = value + alignTo(note.n_descsz, 4);
    }
  }
  return program && ids.empty(); // Without an ID of the program the others say nothing.
}

} // namespace

std::string hashText(StringRef text) {
  return toHex(SHA256::hash(arrayRefFromStringRef(text)), /*LowerCase=*/true);
}

std::string identifyCompiler() {
  std::string ids;
  dl_iterate_phdr(addBuildID, &ids);
  return ids;
}

std::string ObjectCache::findFolder() {
  if (const char *folder = std::getenv("SMELT_CACHE_DIR"))
    return folder;
  SmallString<128> folder;
  if (!sys::path::cache_directory(folder))
    return "";
  sys::path::append(folder, "smelt");
  return folder.str().str();
}

std::string ObjectCache::pathOf(StringRef key) const {
  return folder + "/llvmcache-" + key.str(); // The names that LLVM's pruning looks for.
}

std::optional<std::string> ObjectCache::find(StringRef key) const {
  if (folder.empty())
    return std::nullopt;
  std::string path = pathOf(key);
  auto file = MemoryBuffer::getFile(path, /*IsText=*/false, /*RequiresNullTerminator=*/false);
  if (!file)
    return std::nullopt;
  StringRef bytes = (*file)->getBuffer();
  if (bytes.size() <= kDigestBytes ||
      bytes.take_back(kDigestBytes) != digestOf(bytes.drop_back(kDigestBytes))) {
    sys::fs::remove(path);
    return std::nullopt;
  }
  const timespec times[] = {{0, UTIME_NOW}, {0, UTIME_OMIT}}; // Used just now.
  utimensat(AT_FDCWD, path.c_str(), times, 0);
  return bytes.drop_back(kDigestBytes).str();
}

void ObjectCache::keep(StringRef key, StringRef object) const {
  if (folder.empty() || sys::fs::create_directories(folder))
    return;
  Expected<sys::fs::TempFile> file = sys::fs::TempFile::create(folder + "/kernel-%%%%%%%%.tmp");
  if (!file)
    return consumeError(file.takeError());
  raw_fd_ostream out(file->FD, /*shouldClose=*/false);
  out << object << digestOf(object);
  out.flush();
  bool written = !out.has_error();
  out.clear_error();
  consumeError(written ? file->keep(pathOf(key)) : file->discard());
}

void ObjectCache::prune() const {
  if (folder.empty())
    return;
  CachePruningPolicy policy;
  policy.MaxSizeBytes = uint64_t(1) << 30;
  pruneCache(folder, policy);
}

} // namespace smelt
