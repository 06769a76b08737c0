// What layers of a running model do, counted beside it.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "regroup/TrafficWindow.h"

#include <algorithm>
#include <utility>

namespace moec::regroup {

using weights::Error;
using weights::LayerProfile;
using weights::Profile;
using weights::ProfileAccumulator;
using weights::ProfileBatch;
using weights::Result;
using weights::Status;
using weights::success;

TrafficWindow::TrafficWindow(std::string model, WatchedLayers layers)
    : model(std::move(model)), layers(std::move(layers)) {
  // Neither grows later.
  waiting.reserve(mostWaiting);
  idle.reserve(mostWaiting);
}

void TrafficWindow::observe(int64_t layer, int64_t width,
                            const ProfileBatch &batch) {
  Batch copy;
  {
    std::lock_guard lock(mutex);
    if (waiting.size() + 1 > mostWaiting) {
      droppedTokens += uint64_t(batch.tokens);
      return;
    }
    if (!idle.empty()) {
      copy = std::move(idle.back());
      idle.pop_back();
    }
  }
  copy.layer = layer;
  copy.width = width;
  copy.tokens = batch.tokens;
  copy.slots = batch.slots;
  copy.rows.assign(batch.inputs.begin(), batch.inputs.end());
  copy.ids.assign(batch.ids.begin(), batch.ids.end());
  copy.gates.assign(batch.gates.begin(), batch.gates.end());
  std::lock_guard lock(mutex);
  // Others may have come meanwhile.
  if (waiting.size() < mostWaiting)
    waiting.push_back(std::move(copy));
  else
    droppedTokens += uint64_t(batch.tokens);
}

Status TrafficWindow::add(const Batch &batch) {
  auto known = accumulators.find(batch.layer);
  if (known == accumulators.end()) {
    const WatchedLayer &layer = layers.at(batch.layer);
    weights::AccumulatorOptions options;
    options.experts = layer.experts;
    options.width = batch.width;
    options.fullInputMoments = layer.needsMoments;
    Result<ProfileAccumulator> made = ProfileAccumulator::create(options);
    if (!made)
      return Error{made.error()};
    known = accumulators.emplace(batch.layer, *std::move(made)).first;
  }
  ProfileBatch seen;
  seen.tokens = batch.tokens;
  seen.slots = batch.slots;
  seen.inputs = batch.rows;
  seen.ids = batch.ids;
  seen.gates = batch.gates;
  Status status = known->second.add(seen);
  if (status)
    seenTokens[batch.layer] += batch.tokens;
  return status;
}

Status TrafficWindow::count() {
  Status result = success();
  for (;;) {
    Batch batch;
    {
      std::lock_guard lock(mutex);
      if (waiting.empty())
        return result;
      batch = std::move(waiting.front());
      waiting.erase(waiting.begin());
    }
    Status added = add(batch);
    std::lock_guard lock(mutex);
    (added ? countedTokens : droppedTokens) += uint64_t(batch.tokens);
    if (!added)
      result =
          Error{"layer" + std::to_string(batch.layer) + ": " + added.error()};
    if (idle.size() < mostWaiting)
      idle.push_back(std::move(batch));
  }
}

Profile TrafficWindow::profile() const {
  Profile profile;
  profile.model = model;
  for (const auto &[layer, accumulator] : accumulators)
    profile.layers.emplace(layer, accumulator.profile());
  return profile;
}

int64_t TrafficWindow::fewestTokens() const {
  int64_t fewest = INT64_MAX;
  for (const auto &[number, layer] : layers) {
    auto known = seenTokens.find(number);
    fewest = std::min(fewest, known == seenTokens.end() ? 0 : known->second);
  }
  return fewest;
}

void TrafficWindow::reset() {
  accumulators.clear();
  seenTokens.clear();
}

uint64_t TrafficWindow::tokens() const {
  std::lock_guard lock(mutex);
  return countedTokens;
}

uint64_t TrafficWindow::dropped() const {
  std::lock_guard lock(mutex);
  return droppedTokens;
}

} // namespace moec::regroup
