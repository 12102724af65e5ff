#include "runtime/base/Files.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace smelt::runtime {

namespace fs = std::filesystem;

namespace {
Status errnoReadError(const std::string &what, const std::string &path) {
  return corruptError(what, " ", path, ": ", std::strerror(errno));
}

Status writeAll(int fd, const char *from, size_t bytes, const std::string &path) {
  while (bytes) {
    ssize_t written = ::write(fd, from, std::min<size_t>(bytes, size_t(1) << 30));
    if (written < 0 && errno == EINTR)
      continue;
    if (written < 0)
      return errnoStorageError("cannot write", path);
    from += written;
    bytes -= static_cast<size_t>(written);
  }
  return Status::ok();
}

StatusOr<FileDescriptor> openForReading(const std::string &path, uint64_t &bytes) {
  FileDescriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.isOpen())
    return errnoReadError("cannot open", path);
  struct stat info = {};
  if (::fstat(fd.get(), &info) != 0)
    return errnoReadError("cannot read", path);
  if (!S_ISREG(info.st_mode))
    return corruptError("cannot read ", path, ": not a regular file");
  bytes = static_cast<uint64_t>(info.st_size);
  return fd;
}

std::string withoutTrailingSlash(std::string path) {
  while (path.size() > 1 && path.back() == '/')
    path.pop_back();
  return path;
}

constexpr const char *kWriting = ".writing-";
constexpr const char *kRemoving = ".removing-";
} // namespace

Status errnoStorageError(const std::string &what, const std::string &path) {
  return storageError(what, " ", path, ": ", std::strerror(errno));
}

FileDescriptor &FileDescriptor::operator=(FileDescriptor &&other) noexcept {
  if (this != &other) {
    if (fd_ >= 0)
      ::close(fd_);
    fd_ = std::exchange(other.fd_, -1);
  }
  return *this;
}

FileDescriptor::~FileDescriptor() {
  if (fd_ >= 0)
    ::close(fd_);
}

Status FileDescriptor::close(const std::string &path) {
  int fd = std::exchange(fd_, -1);
  if (fd >= 0 && ::close(fd) != 0)
    return errnoStorageError("cannot write", path);
  return Status::ok();
}

StatusOr<MappedFile> MappedFile::open(const std::string &path) {
  uint64_t bytes = 0;
  SMELT_ASSIGN_OR_RETURN(FileDescriptor fd, openForReading(path, bytes));
  if (bytes == 0)
    return MappedFile(nullptr, 0);
  void *data = ::mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, fd.get(), 0);
  if (data == MAP_FAILED)
    return errnoReadError("cannot map", path);
  return MappedFile(data, bytes);
}

MappedFile &MappedFile::operator=(MappedFile &&other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

MappedFile::~MappedFile() {
  if (data_)
    ::munmap(data_, bytes_);
}

StatusOr<AppendFile> AppendFile::open(const std::string &path) {
  FileDescriptor fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666));
  if (!fd.isOpen())
    return errnoStorageError("cannot write", path);
  return AppendFile(std::move(fd), path);
}

Status AppendFile::append(std::string_view text) {
  return writeAll(fd_.get(), text.data(), text.size(), path_);
}

Status AppendFile::sync() {
  return ::fsync(fd_.get()) == 0 ? Status::ok() : errnoStorageError("cannot write", path_);
}

StatusOr<std::string> readFile(const std::string &path, uint64_t maxBytes) {
  uint64_t bytes = 0;
  SMELT_ASSIGN_OR_RETURN(FileDescriptor fd, openForReading(path, bytes));
  if (bytes > maxBytes)
    return corruptError(path, " has ", bytes, " bytes, more than the ", maxBytes, " allowed");
  std::string text(bytes, '\0');
  size_t done = 0;
  while (done < text.size()) {
    ssize_t got = ::read(fd.get(), text.data() + done, text.size() - done);
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      return errnoReadError("cannot read", path);
    if (got == 0)
      return corruptError(path, " became shorter while it was read");
    done += static_cast<size_t>(got);
  }
  return text;
}

Status writeFileSynced(const std::string &path,
                       const std::vector<std::span<const std::byte>> &chunks) {
  FileDescriptor fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (!fd.isOpen())
    return errnoStorageError("cannot write", path);
  for (std::span<const std::byte> chunk : chunks)
    SMELT_RETURN_IF_ERROR(
        writeAll(fd.get(), reinterpret_cast<const char *>(chunk.data()), chunk.size(), path));
  if (::fsync(fd.get()) != 0)
    return errnoStorageError("cannot write", path);
  return fd.close(path);
}

Status writeFileSynced(const std::string &path, std::string_view text) {
  return writeFileSynced(path, {std::as_bytes(std::span(text.data(), text.size()))});
}

Status writeFileAtomically(const std::string &path, std::string_view text) {
  return writeFileAtomically(path, {std::as_bytes(std::span(text.data(), text.size()))});
}

Status writeFileAtomically(const std::string &path,
                           const std::vector<std::span<const std::byte>> &chunks) {
  std::string temporary =
      concat(parentDirectory(path), "/", kWriting, ::getpid(), "-", fileName(path));
  Status written = writeFileSynced(temporary, chunks);
  if (written.isOk() && ::rename(temporary.c_str(), path.c_str()) != 0)
    written = errnoStorageError("cannot replace", path);
  if (!written.isOk()) {
    ::unlink(temporary.c_str());
    return written;
  }
  return syncDirectory(parentDirectory(path));
}

Status syncDirectory(const std::string &path) {
  FileDescriptor fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.isOpen() || ::fsync(fd.get()) != 0)
    return errnoStorageError("cannot sync", path);
  return Status::ok();
}

Status makeDirectories(const std::string &path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error || !isDirectory(path))
    return storageError("cannot create the folder ", path, ": ",
                        error ? error.message() : std::string("something else has this name"));
  return Status::ok();
}

std::vector<std::string> listDirectory(const std::string &path) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(path, error), end; !error && it != end; it.increment(error))
    names.push_back(it->path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

bool isDirectory(const std::string &path) {
  struct stat info = {};
  return ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

bool isFile(const std::string &path) {
  struct stat info = {};
  return ::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode);
}

Status removeDirectory(const std::string &path) {
  std::string doomed =
      concat(parentDirectory(path), "/", kRemoving, ::getpid(), "-", fileName(path));
  if (::rename(path.c_str(), doomed.c_str()) != 0) {
    if (errno == ENOENT)
      return Status::ok();
    return errnoStorageError("cannot remove", path);
  }
  std::error_code error;
  fs::remove_all(doomed, error);
  if (error)
    return storageError("cannot remove ", doomed, ": ", error.message());
  return Status::ok();
}

StatusOr<PendingDirectory> PendingDirectory::create(const std::string &finalPath) {
  std::string target = withoutTrailingSlash(finalPath);
  std::string parent = parentDirectory(target);
  SMELT_RETURN_IF_ERROR(makeDirectories(parent));
  std::string path = concat(parent, "/", kWriting, ::getpid(), "-", fileName(target));
  std::error_code error;
  fs::remove_all(path, error);
  if (::mkdir(path.c_str(), 0777) != 0)
    return errnoStorageError("cannot create", path);
  return PendingDirectory(path, target);
}

PendingDirectory::~PendingDirectory() {
  if (path_.empty())
    return;
  std::error_code error;
  fs::remove_all(path_, error);
}

Status PendingDirectory::publish() {
  SMELT_RETURN_IF_ERROR(syncDirectory(path_));
  if (::rename(path_.c_str(), finalPath_.c_str()) != 0) {
    if (errno != ENOTEMPTY && errno != EEXIST)
      return errnoStorageError("cannot create", finalPath_);
    // Swap with the old folder; the destructor then removes the old one under the temporary name.
    if (::renameat2(AT_FDCWD, path_.c_str(), AT_FDCWD, finalPath_.c_str(), RENAME_EXCHANGE) == 0)
      return syncDirectory(parentDirectory(finalPath_));
    // A filesystem without the swap: two steps.
    SMELT_RETURN_IF_ERROR(removeDirectory(finalPath_));
    if (::rename(path_.c_str(), finalPath_.c_str()) != 0)
      return errnoStorageError("cannot create", finalPath_);
  }
  path_.clear();
  return syncDirectory(parentDirectory(finalPath_));
}

void removeLeftovers(const std::string &parent) {
  for (const std::string &name : listDirectory(parent)) {
    if (name.rfind(kWriting, 0) != 0 && name.rfind(kRemoving, 0) != 0)
      continue;
    // The writer's process id follows the prefix; one that still runs keeps its folder.
    size_t digits = name.find('-') + 1;
    long pid = std::strtol(name.c_str() + digits, nullptr, 10);
    if (pid > 0 && pid != ::getpid() && isDirectory(concat("/proc/", pid)))
      continue;
    std::error_code error;
    fs::remove_all(parent + "/" + name, error);
  }
}

std::string parentDirectory(const std::string &path) {
  std::string parent = fs::path(withoutTrailingSlash(path)).parent_path().string();
  return parent.empty() ? "." : parent;
}

std::string fileName(const std::string &path) {
  return fs::path(withoutTrailingSlash(path)).filename().string();
}

} // namespace smelt::runtime
