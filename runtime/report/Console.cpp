#include "runtime/report/Console.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include <sys/ioctl.h>
#include <unistd.h>

namespace smelt::runtime {

namespace {
int terminalColumns() {
  winsize size = {};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
    return size.ws_col;
  return 80;
}
} // namespace

std::string renderBar(int64_t step, int64_t steps, double loss, double tokensPerSecond,
                      double remainingSeconds, int columns) {
  char numbers[160];
  auto seconds = static_cast<long>(std::clamp(remainingSeconds, 0.0, 1e8));
  std::snprintf(numbers, sizeof numbers,
                " %lld/%lld  train_loss %.4f  %.1fk tokens/s  %ld:%02ld left",
                static_cast<long long>(step), static_cast<long long>(steps), loss,
                tokensPerSecond / 1000, seconds / 60, seconds % 60);
  std::string text = numbers;
  // The last column stays free, so that the terminal does not wrap the line.
  int width = std::min(40, columns - 3 - static_cast<int>(text.size()));
  if (width < 5)
    return text.substr(text.empty() ? 0 : 1, static_cast<size_t>(std::max(columns - 1, 0)));
  int filled = steps > 0 ? static_cast<int>(width * std::min(step, steps) / steps) : 0;
  std::string bar(static_cast<size_t>(filled), '=');
  if (filled < width)
    bar += '>';
  bar.resize(static_cast<size_t>(width), ' ');
  return "[" + bar + "]" + text;
}

Console::Console(Mode mode) {
  bar_ = mode == Mode::Bar || (mode == Mode::Automatic && ::isatty(STDOUT_FILENO));
  quiet_ = mode == Mode::Quiet;
}

Console::~Console() { eraseBar(); }

void Console::eraseBar() {
  if (barVisible_)
    std::fputs("\r\033[K", stdout);
  barVisible_ = false;
  std::fflush(stdout);
}

void Console::showStep(int64_t step, int64_t steps, double loss, double tokensPerSecond,
                       double remainingSeconds, const std::string &line) {
  if (quiet_)
    return;
  auto now = Clock::now();
  auto pause = std::chrono::milliseconds(bar_ ? 100 : 1000);
  if (now - lastShown_ < pause && step != steps && step != 1)
    return;
  lastShown_ = now;
  if (!bar_)
    return printLine(line);
  std::string bar =
      renderBar(step, steps, loss, tokensPerSecond, remainingSeconds, terminalColumns());
  std::fputs(("\r" + bar + "\033[K").c_str(), stdout);
  std::fflush(stdout);
  barVisible_ = true;
}

void Console::printLine(const std::string &line) {
  if (quiet_)
    return;
  eraseBar();
  std::fputs((line + "\n").c_str(), stdout);
  std::fflush(stdout);
}

} // namespace smelt::runtime
