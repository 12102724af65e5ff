//===- SealedFolder.h - A folder whose files are hashed ---------*- C++ -*-===//
//
// Bundles and checkpoints are folders with a manifest.json that records every other file's size and
// SHA-256; manifest.sha256 records the manifest's own, in the format of sha256sum(1). So every
// damaged byte is found before anything is used.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/base/Status.h"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace smelt::runtime {

struct FileRecord {
  uint64_t bytes = 0;
  std::string sha256; ///< 64 lower-case hexadecimal digits.
};

/// The manifest as it was read.
struct SealedManifest {
  std::string text;
  std::string sha256;
};

/// Reads manifest.json. Whether it is whole is checkSeal's question: its format and version are
/// looked at first, so that a foreign or newer folder is called that and not damaged.
StatusOr<SealedManifest> readSealedManifest(const std::string &directory);

/// Checks the manifest against manifest.sha256, then each file against its record.
Status checkSeal(const std::string &directory, const SealedManifest &manifest,
                 const std::map<std::string, FileRecord> &files);

/// Writes manifest.json and manifest.sha256, synced.
Status writeSealedManifest(const std::string &directory, std::string_view text);

/// Checks names (plain, no folders) and the form of the hashes.
Status checkFileRecords(const std::map<std::string, FileRecord> &files);

} // namespace smelt::runtime
