// A thread that regroups a running model when its traffic asks for it.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_REGROUP_REGROUPTHREAD_H
#define MOEC_REGROUP_REGROUPTHREAD_H

#include "regroup/TrafficWindow.h"
#include "weights/Regrouping.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

namespace moec::regroup {

/// The model whose weights are replaced.
struct RunningModel {
  /// Loads an archive, whose epoch is then today's.
  std::function<weights::Status(const std::string &archive)> load;
  /// Numbers of the epoch of today, and of the oldest that a step still reads.
  std::function<uint64_t()> today, oldest;
};

struct RegroupPlan {
  /// What the model has loaded, and where later generations go.
  std::string archive, directory;
  WatchedLayers layers;
  /// Of the model, as profiles name it.
  std::string model;
  /// What drift is measured from at first; without it drift is not waited for.
  std::optional<weights::Profile> then;
  /// 0: neither.
  double periodSeconds = 0, drift = 0;
  /// That each layer must have seen since the last attempt.
  int64_t leastTokens = 1024;
};

struct RegroupCounts {
  uint64_t attempts = 0, accepted = 0, failures = 0, layersRegrouped = 0;
  /// Of the weights that were published last; 0 for none.
  uint64_t epoch = 0;
  double drift = 0, seconds = 0, loadSeconds = 0;
  bool isWorking = false;
};

/// Counts what steps hand in, and regroups in the background.
class RegroupThread {
public:
  RegroupThread(RunningModel model, RegroupPlan plan,
                std::optional<weights::OriginalMatrices> originals,
                weights::RegroupOptions options);
  /// Ends a regroup that is under way; the generation of today stays.
  ~RegroupThread();

  /// Fails for options that no regroup can have.
  weights::Status start();

  /// What a layer did; any thread may say so.
  void observe(int64_t layer, int64_t width,
               const weights::ProfileBatch &batch);
  bool watches(int64_t layer) const { return window.watches(layer); }
  /// Regroups as soon as each layer that is watched has seen a token.
  void request();

  RegroupCounts counts() const;
  /// Lines about the last attempt.
  std::string report() const;
  const TrafficWindow &traffic() const { return window; }

private:
  using Clock = std::chrono::steady_clock;
  struct Generation {
    std::string path;
    uint64_t epoch;
  };

  void wakeUp();
  void run(std::stop_token stop);
  bool isDue();
  bool hasDrifted();
  void attempt();
  void regroupOnce();
  weights::Status publish(const std::string &path);
  void removeOldGenerations();
  void say(const std::string &text);
  void setWorking(bool isWorking);

  RunningModel model;
  RegroupPlan plan;
  std::optional<weights::OriginalMatrices> originals;
  weights::RegroupOptions options;
  std::optional<weights::Regrouper> regrouper;
  TrafficWindow window;

  /// Of the thread.
  std::vector<Generation> generations;
  Clock::time_point last = Clock::now();
  uint64_t measuredTokens = 0;
  uint64_t nextGeneration = 1;

  /// Something was seen or asked for since the thread looked last.
  std::atomic<bool> hasNews = false;

  /// Guards what follows.
  mutable std::mutex mutex;
  std::condition_variable_any wake;
  bool isRequested = false;
  RegroupCounts counted;
  std::string lastReport;

  /// Ends first, before anything it uses.
  std::jthread thread;
};

} // namespace moec::regroup

#endif // MOEC_REGROUP_REGROUPTHREAD_H
