//===- RankServer.h - Rank 0's side of the control plane --------*- C++ -*-===//
#pragma once

#include "runtime/collective/RankGroup.h"
#include "runtime/collective/Wire.h"

#include <atomic>
#include <map>
#include <thread>
#include <vector>

namespace smelt::runtime {

/// Keeps the words that ranks set, passes heartbeats on, and finds out who is lost. One thread.
class RankServer {
public:
  RankServer(Descriptor listener, int size, const RankGroupOptions &options);
  /// Ends without waiting for anybody.
  ~RankServer();

  /// The phase of rank 0 that its heartbeats tell of.
  void setPhase(const char *phase) { phase_ = phase; }
  /// Returns when all ranks have left or one is lost.
  void waitForLeave();

private:
  using Clock = std::chrono::steady_clock;
  struct Client {
    uint64_t progress = 0; ///< 0: it has not begun.
    Clock::time_point advanced = Clock::now();
    Descriptor socket;
    MessageReader reader;
    int rank = -1; ///< Before its Hello: -1.
    std::string phase = "start-up";
    Clock::time_point heard = Clock::now();
    bool left = false, gone = false;
  };

  void run();
  void accept();
  void read(Client &client);
  void handle(Client &client, const Message &message);
  void greet(Client &client, const Message &message);
  void watch();
  void add(const Client &client, const Message &message);
  void watchProgress(Clock::time_point now);
  void lose(int rank, const std::string &phase, const std::string &why);
  void broadcast(const Message &message);

  Descriptor listener_;
  int size_;
  RankGroupOptions options_;
  Clock::time_point started_ = Clock::now(), beaten_ = Clock::now(), awake_ = Clock::now();
  std::vector<std::unique_ptr<Client>> clients_;
  std::map<std::string, std::string> words_;
  std::multimap<std::string, Client *> waiting_;
  std::map<std::string, std::map<int, std::string>> sums_; ///< Terms by rank.
  std::atomic<const char *> phase_ = "start-up";
  std::atomic<bool> stop_ = false, done_ = false;
  bool ready_ = false, lost_ = false;
  std::thread thread_;
};

} // namespace smelt::runtime
