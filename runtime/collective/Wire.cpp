#include "runtime/collective/Wire.h"

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

namespace smelt::runtime {

Descriptor &Descriptor::operator=(Descriptor &&other) noexcept {
  std::swap(value_, other.value_);
  return *this;
}
Descriptor::~Descriptor() {
  if (value_ >= 0)
    ::close(value_);
}
int Descriptor::release() { return std::exchange(value_, -1); }

namespace {
constexpr size_t kHeader = 9; // Kind, length of the key, length of the value.
constexpr uint32_t kLongest = 1 << 20;

void putLength(std::string &bytes, size_t length) {
  for (int shift = 0; shift < 32; shift += 8)
    bytes.push_back(static_cast<char>(length >> shift));
}
uint32_t getLength(const char *bytes) {
  uint32_t length = 0;
  for (int i = 0; i < 4; ++i)
    length |= static_cast<uint32_t>(static_cast<unsigned char>(bytes[i])) << (8 * i);
  return length;
}
} // namespace

bool MessageReader::fill(int socket) {
  char buffer[4096];
  for (;;) {
    ssize_t got = ::recv(socket, buffer, sizeof buffer, MSG_DONTWAIT);
    if (got > 0) {
      bytes_.append(buffer, static_cast<size_t>(got));
      continue;
    }
    if (got < 0 && errno == EINTR)
      continue;
    return got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
  }
}

std::optional<Message> MessageReader::next(bool &damaged) {
  if (bytes_.size() < kHeader)
    return std::nullopt;
  uint32_t key = getLength(bytes_.data() + 1), value = getLength(bytes_.data() + 5);
  if (key > kLongest || value > kLongest || !std::strchr("HRSGVABLE", bytes_[0])) {
    damaged = true;
    return std::nullopt;
  }
  if (bytes_.size() < kHeader + key + value)
    return std::nullopt;
  Message message{static_cast<MessageKind>(bytes_[0]), bytes_.substr(kHeader, key),
                  bytes_.substr(kHeader + key, value)};
  bytes_.erase(0, kHeader + key + value);
  return message;
}

bool sendMessage(int socket, const Message &message) {
  std::string bytes(1, static_cast<char>(message.kind));
  putLength(bytes, message.key.size());
  putLength(bytes, message.value.size());
  bytes += message.key + message.value;
  for (size_t sent = 0; sent < bytes.size();) {
    ssize_t count = ::send(socket, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR)
      continue;
    if (count <= 0)
      return false;
    sent += static_cast<size_t>(count);
  }
  return true;
}

StatusOr<Descriptor> listenAt(int port) {
  Descriptor socket(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  bool isV6 = socket.get() >= 0;
  if (!isV6)
    socket = Descriptor(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  int on = 1, off = 0;
  setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in6 six = {};
  sockaddr_in four = {};
  six.sin6_family = AF_INET6;
  six.sin6_port = four.sin_port = htons(static_cast<uint16_t>(port));
  four.sin_family = AF_INET;
  if (isV6)
    setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  auto *address = isV6 ? reinterpret_cast<sockaddr *>(&six) : reinterpret_cast<sockaddr *>(&four);
  if (::bind(socket.get(), address, isV6 ? sizeof six : sizeof four) || ::listen(socket.get(), 128))
    return Status(StatusCode::RankLost,
                  concat("rank 0 cannot listen at port ", port, ": ", std::strerror(errno),
                         "; set MASTER_PORT to a free one"));
  return socket;
}

int portOf(int socket) {
  sockaddr_storage address = {};
  socklen_t length = sizeof address;
  getsockname(socket, reinterpret_cast<sockaddr *>(&address), &length);
  return ntohs(address.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6 *>(&address)->sin6_port
                                             : reinterpret_cast<sockaddr_in *>(&address)->sin_port);
}

StatusOr<Descriptor> connectTo(const std::string &host, int port,
                               std::chrono::steady_clock::time_point deadline) {
  std::string why;
  do {
    addrinfo hints = {}, *found = nullptr;
    hints.ai_socktype = SOCK_STREAM;
    if (int error = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found))
      why = gai_strerror(error);
    for (addrinfo *one = found; one; one = one->ai_next) {
      Descriptor socket(::socket(one->ai_family, one->ai_socktype | SOCK_CLOEXEC, 0));
      if (::connect(socket.get(), one->ai_addr, one->ai_addrlen) == 0) {
        int on = 1;
        setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        freeaddrinfo(found);
        return socket;
      }
      why = std::strerror(errno);
    }
    if (found)
      freeaddrinfo(found);
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  } while (std::chrono::steady_clock::now() < deadline);
  return Status(StatusCode::RankLost, concat("rank 0 cannot be reached at ", host, ":", port,
                                             " in phase start-up: ", why));
}

std::string localAddressOf(int socket) {
  sockaddr_storage address = {};
  socklen_t length = sizeof address;
  char host[NI_MAXHOST] = "";
  if (getsockname(socket, reinterpret_cast<sockaddr *>(&address), &length) ||
      getnameinfo(reinterpret_cast<sockaddr *>(&address), length, host, sizeof host, nullptr, 0,
                  NI_NUMERICHOST))
    return "127.0.0.1";
  std::string text = host;
  constexpr std::string_view mapped = "::ffff:";
  return text.starts_with(mapped) ? text.substr(mapped.size()) : text;
}

} // namespace smelt::runtime
