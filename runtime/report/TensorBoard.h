//===- TensorBoard.h - Scalars as a tfevents file ---------------*- C++ -*-===//
//
// TFRecord framing (length, masked CRC-32C, data, masked CRC-32C) around hand-encoded Event
// messages; no protobuf library.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/base/Files.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace smelt::runtime {

/// CRC-32C (Castagnoli), as TFRecord uses it.
uint32_t crc32c(std::string_view data);

/// One record in TFRecord framing.
std::string frameRecord(std::string_view data);

/// An Event message with one scalar per (tag, value).
std::string encodeScalarEvent(double wallTime, int64_t step,
                              const std::vector<std::pair<std::string, double>> &scalars);

class TensorBoardWriter {
public:
  /// Creates `directory`/events.out.tfevents.TIME.HOST.PID.
  static StatusOr<TensorBoardWriter> create(const std::string &directory);
  Status addScalars(int64_t step, const std::vector<std::pair<std::string, double>> &scalars);

private:
  explicit TensorBoardWriter(AppendFile file) : file_(std::move(file)) {}
  AppendFile file_;
};

} // namespace smelt::runtime
