#include "runtime/base/Interrupt.h"

#include <csignal>

namespace smelt::runtime {

namespace {
volatile std::sig_atomic_t interruptSignal = 0;

extern "C" void noteInterrupt(int signal) {
  interruptSignal = signal;
  std::signal(signal, SIG_DFL); // A second one is not waited for.
}
} // namespace

InterruptScope::InterruptScope() {
  interruptSignal = 0;
  struct sigaction action = {};
  action.sa_handler = noteInterrupt;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  std::signal(SIGXFSZ, SIG_IGN);
  std::signal(SIGPIPE, SIG_IGN);
}

InterruptScope::~InterruptScope() {
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
}

int InterruptScope::requested() { return interruptSignal; }

} // namespace smelt::runtime
