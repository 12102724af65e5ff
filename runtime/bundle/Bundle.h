//===- Bundle.h - Reading and writing a bundle folder -----------*- C++ -*-===//
#pragma once

#include "runtime/bundle/Manifest.h"

namespace smelt::runtime {

/// An opened bundle: the manifest is valid and every file has the size and the hash it promises.
struct Bundle {
  std::string directory;
  Manifest manifest;
  std::string specText;       ///< spec.json
  std::string manifestSha256; ///< Identifies the bundle in checkpoints and run folders.

  std::string filePath(const std::string &name) const { return directory + "/" + name; }
};

/// Reads `directory` and checks everything before anything of it is used. A damaged, foreign or
/// newer bundle is refused with the code Corrupt.
StatusOr<Bundle> openBundle(const std::string &directory);

/// Writes a bundle: `files` are (name, contents), among them "spec.json" and, for target cpu,
/// "cpu.so"; for target cuda, "kernels.ptx" and, where it could be made, "kernels.cubin". Fills manifest.files. The folder appears, or replaces the old one, in one rename.
Status writeBundle(const std::string &directory, Manifest manifest,
                   const std::map<std::string, std::string> &files);

} // namespace smelt::runtime
