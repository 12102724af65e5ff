//===- Console.h - Progress of a run on standard output ---------*- C++ -*-===//
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace smelt::runtime {

/// A live bar with the newest step on a terminal; elsewhere plain lines, about one a second.
class Console {
public:
  enum class Mode { Automatic, Bar, Lines, Quiet };
  explicit Console(Mode mode);
  ~Console();
  Console(const Console &) = delete;
  Console &operator=(const Console &) = delete;

  /// A step: `line` is the familiar text line.
  void showStep(int64_t step, int64_t steps, double loss, double tokensPerSecond,
                double remainingSeconds, const std::string &line);
  /// A line that is always printed, above the bar.
  void printLine(const std::string &line);

private:
  using Clock = std::chrono::steady_clock;
  void eraseBar();

  bool bar_ = false;
  bool quiet_ = false;
  bool barVisible_ = false;
  Clock::time_point lastShown_{};
};

/// "[=====>    ] 10/600  train_loss 2.1234  12.3k tokens/s  0:42 left", at most `columns` wide.
std::string renderBar(int64_t step, int64_t steps, double loss, double tokensPerSecond,
                      double remainingSeconds, int columns);

} // namespace smelt::runtime
