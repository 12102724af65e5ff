//===- DataSources.h - The training and validation streams ------*- C++ -*-===//
#pragma once

#include "runtime/bundle/Manifest.h"
#include "runtime/data/Batch.h"
#include "runtime/data/TokenStream.h"

namespace smelt::runtime {

struct DataSources {
  TokenStream train;
  TokenStream validation;
  std::string trainPaths, validationPaths;
  LoaderOptions options;
  bool isHeldOut = false; ///< The validation stream is the end of the training files.
};

/// Opens the files that the manifest names, or those given here instead (empty = the manifest's).
/// Without validation files the last 5 % of the training stream are held out.
StatusOr<DataSources> openDataSources(const Data &data, const std::string &trainPaths,
                                      const std::string &validationPaths, uint64_t seed);

} // namespace smelt::runtime
