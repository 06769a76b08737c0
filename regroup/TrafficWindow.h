// What layers of a running model do, counted beside it.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_REGROUP_TRAFFICWINDOW_H
#define MOEC_REGROUP_TRAFFICWINDOW_H

#include "weights/Profile.h"
#include "weights/Result.h"

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace moec::regroup {

/// A layer whose traffic is counted, by its number.
struct WatchedLayer {
  int64_t experts = 0;
  /// Whether second moments of its inputs are needed, for prototypes.
  bool needsMoments = false;
};
using WatchedLayers = std::map<int64_t, WatchedLayer>;

/// Steps hand in what layers did, and go on; one thread counts it. Once buffers
/// have grown to the size of a batch, handing in allocates nothing.
class TrafficWindow {
public:
  /// Batches that may wait to be counted.
  static constexpr size_t mostWaiting = 64;

  TrafficWindow(std::string model, WatchedLayers layers);

  bool watches(int64_t layer) const { return layers.contains(layer); }

  /// Copies a batch of a layer that is watched, with rows of that width; any
  /// thread may. Dropped where too many wait.
  void observe(int64_t layer, int64_t width,
               const weights::ProfileBatch &batch);

  /// Counts what waits. A batch that cannot be its layer's, with ids beyond its
  /// experts for instance, is dropped, and the error returned at the end.
  weights::Status count();

  /// What was counted since the last reset.
  weights::Profile profile() const;
  /// Tokens that each of the layers has seen since then, at least.
  int64_t fewestTokens() const;
  /// Begins anew.
  void reset();

  /// Tokens that were counted, and dropped, from the beginning; any thread may
  /// ask.
  uint64_t tokens() const;
  uint64_t dropped() const;

private:
  struct Batch {
    int64_t layer = 0, width = 0, tokens = 0, slots = 0;
    std::vector<float> rows, gates;
    std::vector<int32_t> ids;
  };

  weights::Status add(const Batch &batch);

  const std::string model;
  const WatchedLayers layers;

  /// Guards what waits, buffers that are free, and the two numbers.
  mutable std::mutex mutex;
  std::vector<Batch> waiting, idle;
  uint64_t countedTokens = 0, droppedTokens = 0;

  /// Of the thread that counts, by layer.
  std::map<int64_t, weights::ProfileAccumulator> accumulators;
  std::map<int64_t, int64_t> seenTokens;
};

} // namespace moec::regroup

#endif // MOEC_REGROUP_TRAFFICWINDOW_H
