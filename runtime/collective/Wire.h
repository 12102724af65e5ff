//===- Wire.h - Messages between ranks over TCP -----------------*- C++ -*-===//
#pragma once

#include "runtime/base/Status.h"

#include <chrono>
#include <optional>
#include <string>

namespace smelt::runtime {

/// A closed-on-destruction file descriptor.
class Descriptor {
public:
  explicit Descriptor(int value = -1) : value_(value) {}
  Descriptor(Descriptor &&other) noexcept : value_(other.release()) {}
  Descriptor &operator=(Descriptor &&other) noexcept;
  ~Descriptor();
  int get() const { return value_; }
  int release();

private:
  int value_;
};

enum class MessageKind : char {
  Hello = 'H', ///< rank, size
  Ready = 'R', ///< All ranks are there.
  Set = 'S',   ///< key, value
  Get = 'G',   ///< key
  Value = 'V', ///< key, value
  Add = 'A',   ///< number of the sum, this rank's terms
  Beat = 'B',  ///< phase, progress
  Lost = 'L',  ///< rank, phase and why, as key and value
  Bye = 'E',   ///< This rank ends in order.
};

struct Message {
  MessageKind kind = MessageKind::Beat;
  std::string key, value;
};

/// Bytes that came in, cut into messages.
class MessageReader {
public:
  /// Takes what the socket has without waiting; false at its end.
  bool fill(int socket);
  /// The next whole message. `damaged` becomes true if what came is no message.
  std::optional<Message> next(bool &damaged);

private:
  std::string bytes_;
};

/// Sends the whole message; false if the other side is gone.
bool sendMessage(int socket, const Message &message);

/// A socket that listens at `port` (0: any free one) of all addresses.
StatusOr<Descriptor> listenAt(int port);
int portOf(int socket);
/// Tries until `deadline`.
StatusOr<Descriptor> connectTo(const std::string &host, int port,
                               std::chrono::steady_clock::time_point deadline);
/// The numeric address of this end.
std::string localAddressOf(int socket);

} // namespace smelt::runtime
