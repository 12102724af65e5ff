#include "runtime/collective/RankServer.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <poll.h>
#include <sys/socket.h>

namespace smelt::runtime {

using std::chrono::milliseconds;

RankServer::RankServer(Descriptor listener, int size, const RankGroupOptions &options)
    : listener_(std::move(listener)), size_(size), options_(options), thread_([this] { run(); }) {}

RankServer::~RankServer() {
  stop_ = true;
  thread_.join();
}

void RankServer::waitForLeave() {
  while (!done_)
    std::this_thread::sleep_for(milliseconds(10));
}

void RankServer::run() {
  while (!stop_) {
    std::vector<pollfd> sockets{{listener_.get(), POLLIN, 0}};
    std::vector<Client *> readers;
    for (const auto &client : clients_)
      if (!client->gone) {
        sockets.push_back({client->socket.get(), POLLIN, 0});
        readers.push_back(client.get());
      }
    ::poll(sockets.data(), sockets.size(), 50);
    for (size_t i = 0; i < readers.size(); ++i)
      if (sockets[i + 1].revents)
        read(*readers[i]);
    if (sockets[0].revents)
      accept();
    watch();
  }
}

void RankServer::accept() {
  Descriptor socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (socket.get() < 0)
    return;
  timeval patience = {5, 0}; // A rank that is stopped must not hold up the news for the others.
  setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  clients_.push_back(std::make_unique<Client>());
  clients_.back()->socket = std::move(socket);
}

void RankServer::read(Client &client) {
  bool open = client.reader.fill(client.socket.get()), damaged = false;
  client.heard = Clock::now();
  while (std::optional<Message> message = client.reader.next(damaged))
    handle(client, *message);
  if (open && !damaged)
    return;
  client.gone = true;
  if (client.rank >= 0 && !client.left)
    lose(client.rank, client.phase,
         damaged ? "it sent something that is no message" : "its process ended");
}

void RankServer::handle(Client &client, const Message &message) {
  switch (message.kind) {
  case MessageKind::Hello:
    return greet(client, message);
  case MessageKind::Beat:
    client.phase = message.key;
    if (uint64_t progress = std::strtoull(message.value.c_str(), nullptr, 10);
        progress != client.progress) {
      client.progress = progress;
      client.advanced = Clock::now();
    }
    return;
  case MessageKind::Add:
    return add(client, message);
  case MessageKind::Bye:
    client.left = true;
    return;
  case MessageKind::Get:
    if (auto word = words_.find(message.key); word != words_.end())
      sendMessage(client.socket.get(), {MessageKind::Value, word->first, word->second});
    else
      waiting_.emplace(message.key, &client);
    return;
  case MessageKind::Set: {
    words_[message.key] = message.value;
    auto [first, last] = waiting_.equal_range(message.key);
    for (auto waiter = first; waiter != last; ++waiter)
      sendMessage(waiter->second->socket.get(), {MessageKind::Value, message.key, message.value});
    waiting_.erase(first, last);
    return;
  }
  default:
    return;
  }
}

/// Once all terms are there they are added in order of ranks.
void RankServer::add(const Client &client, const Message &message) {
  std::map<int, std::string> &terms = sums_[message.key];
  terms[client.rank] = message.value;
  if (terms.size() < static_cast<size_t>(size_))
    return;
  std::vector<double> sum(message.value.size() / sizeof(double));
  for (const auto &[rank, bytes] : terms)
    for (size_t i = 0; i < sum.size() && (i + 1) * sizeof(double) <= bytes.size(); ++i) {
      double term = 0;
      std::memcpy(&term, bytes.data() + i * sizeof(double), sizeof(double));
      sum[i] += term;
    }
  broadcast({MessageKind::Value, message.key,
             std::string(reinterpret_cast<const char *>(sum.data()), sum.size() * sizeof(double))});
  sums_.erase(message.key);
}

void RankServer::greet(Client &client, const Message &message) {
  int rank = std::atoi(message.key.c_str()), size = std::atoi(message.value.c_str());
  bool taken = std::any_of(clients_.begin(), clients_.end(),
                           [&](const auto &other) { return other->rank == rank; });
  if (size != size_ || rank < 0 || rank >= size_ || taken) {
    std::string why = taken ? concat("rank ", rank, " is there already")
                            : concat("it says rank ", rank, " of ", size, ", rank 0 has ", size_);
    sendMessage(client.socket.get(), {MessageKind::Lost, std::to_string(rank), "start-up\n" + why});
    client.gone = true;
    return;
  }
  client.rank = rank;
  auto there = std::count_if(clients_.begin(), clients_.end(),
                             [](const auto &other) { return other->rank >= 0; });
  if (there < size_)
    return;
  ready_ = true;
  broadcast({MessageKind::Ready, "", ""});
}

void RankServer::watch() {
  Clock::time_point now = Clock::now();
  // This process was stopped itself: what others sent meanwhile has not been read yet.
  if (now - awake_ > options_.timeout / 2)
    for (const auto &client : clients_)
      client->heard = client->advanced = now;
  awake_ = now;
  if (now - beaten_ > std::min<milliseconds>(options_.timeout / 6, milliseconds(500))) {
    beaten_ = now;
    broadcast({MessageKind::Beat, phase_.load(), ""});
  }
  if (!ready_ && now - started_ > options_.startTimeout)
    for (int rank = 0; rank < size_; ++rank)
      if (std::none_of(clients_.begin(), clients_.end(),
                       [&](const auto &client) { return client->rank == rank; }))
        return lose(rank, "start-up", "it never came");
  for (const auto &client : clients_)
    if (client->rank >= 0 && !client->left && !client->gone &&
        now - client->heard > options_.timeout)
      return lose(client->rank, client->phase,
                  concat("no heartbeat for ", options_.timeout.count() / 1000.0, " s"));
  watchProgress(now);
  auto left = std::count_if(clients_.begin(), clients_.end(),
                            [](const auto &client) { return client->left; });
  if (left == size_)
    done_ = true;
}

/// A main thread that hangs while its process lives holds up all ranks: the one that is behind is
/// it.
void RankServer::watchProgress(Clock::time_point now) {
  if (!ready_ || options_.stallTimeout.count() == 0)
    return;
  const Client *last = nullptr;
  bool isStalled = false;
  for (const auto &client : clients_) {
    if (client->rank < 0 || client->left || client->gone)
      continue;
    if (!client->progress)
      return; // Not all have begun.
    if (now - client->heard > options_.timeout / 2)
      return; // It may be its process that is stopped; its heartbeat will tell.
    isStalled |= now - client->advanced > options_.stallTimeout;
    if (!last || client->progress < last->progress)
      last = client.get();
  }
  if (isStalled)
    lose(last->rank, last->phase,
         concat("it lives, but has made no progress for ", options_.stallTimeout.count() / 1000.0,
                " s"));
}

void RankServer::lose(int rank, const std::string &phase, const std::string &why) {
  if (std::exchange(lost_, true))
    return;
  broadcast({MessageKind::Lost, std::to_string(rank), phase + "\n" + why});
  done_ = true;
}

void RankServer::broadcast(const Message &message) {
  for (const auto &client : clients_)
    if (client->rank >= 0 && !client->left && !client->gone)
      sendMessage(client->socket.get(), message);
}

} // namespace smelt::runtime
