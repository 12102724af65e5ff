//===- Files.h - Files, folders and atomic replacement ----------*- C++ -*-===//
//
// Reading failures have the code Corrupt (an input is missing or unreadable), writing failures the
// code Storage. "Synced" means that the bytes survive a power failure once the call has returned.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/base/Status.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace smelt::runtime {

/// Move-only owner of a file descriptor.
class FileDescriptor {
public:
  FileDescriptor() = default;
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(FileDescriptor &&other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileDescriptor &operator=(FileDescriptor &&other) noexcept;
  ~FileDescriptor();

  int get() const { return fd_; }
  bool isOpen() const { return fd_ >= 0; }
  /// Closes now and reports what close(2) says (late write errors).
  Status close(const std::string &path);

private:
  int fd_ = -1;
};

/// A read-only mapping of a whole file.
class MappedFile {
public:
  static StatusOr<MappedFile> open(const std::string &path);
  MappedFile(MappedFile &&other) noexcept
      : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  MappedFile &operator=(MappedFile &&other) noexcept;
  ~MappedFile();

  std::span<const std::byte> bytes() const {
    return {static_cast<const std::byte *>(data_), bytes_};
  }

private:
  MappedFile(void *data, size_t bytes) : data_(data), bytes_(bytes) {}
  void *data_ = nullptr;
  size_t bytes_ = 0;
};

/// An append-only text file (logs). Each append is one write(2).
class AppendFile {
public:
  static StatusOr<AppendFile> open(const std::string &path);
  Status append(std::string_view text);
  Status sync();

private:
  AppendFile(FileDescriptor fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}
  FileDescriptor fd_;
  std::string path_;
};

/// The whole file; refuses one larger than `maxBytes`.
StatusOr<std::string> readFile(const std::string &path, uint64_t maxBytes = uint64_t(1) << 34);

/// Creates or truncates `path`, writes the chunks one after another and syncs the file.
Status writeFileSynced(const std::string &path,
                       const std::vector<std::span<const std::byte>> &chunks);
Status writeFileSynced(const std::string &path, std::string_view text);

/// Replaces `path` in one step: a temporary file beside it, synced, renamed, the folder synced.
Status writeFileAtomically(const std::string &path,
                           const std::vector<std::span<const std::byte>> &chunks);
Status writeFileAtomically(const std::string &path, std::string_view text);

Status syncDirectory(const std::string &path);
Status makeDirectories(const std::string &path);
/// Names (not paths) in a folder, sorted; empty if there is no such folder.
std::vector<std::string> listDirectory(const std::string &path);
bool isDirectory(const std::string &path);
bool isFile(const std::string &path);
/// Removes a folder and what is in it. Its name changes first, so that nobody sees half of it.
Status removeDirectory(const std::string &path);

/// A folder being written beside its final place. Publishing syncs and renames it; otherwise it is
/// removed. A crash leaves a name that starts with ".writing-".
class PendingDirectory {
public:
  static StatusOr<PendingDirectory> create(const std::string &finalPath);
  PendingDirectory(PendingDirectory &&other) noexcept
      : path_(std::exchange(other.path_, {})), finalPath_(std::move(other.finalPath_)) {}
  PendingDirectory &operator=(PendingDirectory &&) = delete;
  ~PendingDirectory();

  const std::string &path() const { return path_; }
  /// Moves the folder to its final place; an older folder there is replaced in the same step.
  Status publish();

private:
  PendingDirectory(std::string path, std::string finalPath)
      : path_(std::move(path)), finalPath_(std::move(finalPath)) {}
  std::string path_, finalPath_;
};

/// Removes what crashed writers and removers left in `parent`.
void removeLeftovers(const std::string &parent);

/// "a/b" of "a/b/c"; "." of "c". Trailing slashes do not count.
std::string parentDirectory(const std::string &path);
std::string fileName(const std::string &path);

/// The message of errno, as a Storage failure: "cannot write PATH: No space left on device".
Status errnoStorageError(const std::string &what, const std::string &path);

} // namespace smelt::runtime
