//===- SharedLibrary.h - Libraries that are opened at run time --*- C++ -*-===//
#pragma once

#include <string>
#include <vector>

namespace smelt::runtime {

/// A library that stays open as long as the process runs.
struct SharedLibrary {
  void *handle = nullptr; ///< Null: nothing opened.
  std::string path;       ///< What opened.
  std::string why;        ///< The last place's error, if nothing opened.
};

/// The first of `places` (files, or names that the system looks for) that opens.
SharedLibrary openFirst(const std::vector<std::string> &places);

/// "a, b, c".
std::string joinPlaces(const std::vector<std::string> &places);

} // namespace smelt::runtime
