// A thread that regroups a running model when its traffic asks for it.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "regroup/RegroupThread.h"

#include "weights/TrafficDrift.h"

#include <algorithm>
#include <new>
#include <unistd.h>
#include <utility>

namespace moec::regroup {

using weights::Error;
using weights::Profile;
using weights::RegroupedLayer;
using weights::Result;
using weights::Status;
using weights::success;

/// Batches are counted at least that often.
static constexpr std::chrono::milliseconds countEvery(20);

static double secondsSince(std::chrono::steady_clock::time_point then) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - then)
      .count();
}

RegroupThread::RegroupThread(RunningModel model, RegroupPlan plan,
                             std::optional<weights::OriginalMatrices> originals,
                             weights::RegroupOptions options)
    : model(std::move(model)), plan(std::move(plan)),
      originals(std::move(originals)), options(std::move(options)),
      window(this->plan.model, this->plan.layers) {}

RegroupThread::~RegroupThread() {
  thread.request_stop();
  if (thread.joinable())
    thread.join();
}

Status RegroupThread::start() {
  // The thread's own token ends what it computes.
  std::stop_source source;
  options.stop = source.get_token();
  Result<weights::Regrouper> made =
      weights::Regrouper::create(std::move(originals), options);
  if (!made)
    return Error{made.error()};
  regrouper.emplace(*std::move(made));
  thread = std::jthread([this, source](std::stop_token stop) {
    std::stop_callback end(stop, [source]() mutable { source.request_stop(); });
    run(stop);
  });
  return success();
}

void RegroupThread::observe(int64_t layer, int64_t width,
                            const weights::ProfileBatch &batch) {
  window.observe(layer, width, batch);
  wakeUp();
}

/// Without the lock: who is not woken now looks soon.
void RegroupThread::wakeUp() {
  hasNews = true;
  wake.notify_one();
}

void RegroupThread::request() {
  {
    std::lock_guard lock(mutex);
    isRequested = true;
  }
  wakeUp();
}

RegroupCounts RegroupThread::counts() const {
  std::lock_guard lock(mutex);
  return counted;
}

std::string RegroupThread::report() const {
  std::lock_guard lock(mutex);
  return lastReport;
}

void RegroupThread::say(const std::string &text) {
  std::lock_guard lock(mutex);
  lastReport = text;
}

void RegroupThread::run(std::stop_token stop) {
  while (!stop.stop_requested()) {
    {
      std::unique_lock lock(mutex);
      wake.wait_for(lock, stop, countEvery, [this] { return hasNews.load(); });
    }
    hasNews = false;
    if (Status status = window.count(); !status)
      say("traffic: " + status.error() + "\n");
    if (!stop.stop_requested() && isDue())
      attempt();
    removeOldGenerations();
  }
  // Steps may have ended since.
  removeOldGenerations();
}

/// How far the layer that moved most is from what the clusters were made for;
/// true if that is unknown.
bool RegroupThread::hasDrifted() {
  if (!plan.then)
    return true;
  Profile now = window.profile();
  double largest = 0;
  for (const auto &[number, layer] : now.layers) {
    auto before = plan.then->layers.find(number);
    if (before == plan.then->layers.end())
      continue;
    Result<weights::TrafficDrift> drift =
        weights::driftBetween(before->second, layer);
    if (drift)
      largest = std::max(largest, drift->largest());
  }
  std::lock_guard lock(mutex);
  counted.drift = largest;
  return largest > plan.drift;
}

bool RegroupThread::isDue() {
  int64_t fewest = window.fewestTokens();
  {
    std::lock_guard lock(mutex);
    if (isRequested && fewest > 0) {
      isRequested = false;
      return true;
    }
  }
  if (fewest < plan.leastTokens)
    return false;
  if (plan.periodSeconds > 0 && secondsSince(last) >= plan.periodSeconds)
    return true;
  // Measured again once there is something new to see.
  uint64_t tokens = window.tokens();
  uint64_t step = uint64_t(plan.leastTokens) * plan.layers.size();
  if (plan.drift == 0 || tokens - measuredTokens < step)
    return false;
  measuredTokens = tokens;
  return hasDrifted();
}

Status RegroupThread::publish(const std::string &path) {
  Clock::time_point began = Clock::now();
  if (Status status = model.load(path); !status) {
    ::unlink(path.c_str());
    return status;
  }
  uint64_t epoch = model.today();
  generations.push_back({path, epoch});
  plan.archive = path;
  std::lock_guard lock(mutex);
  counted.epoch = epoch;
  counted.loadSeconds = secondsSince(began);
  return success();
}

/// What a regroup needs may not be there: the model runs on without it.
void RegroupThread::attempt() try {
  setWorking(true);
  regroupOnce();
  setWorking(false);
} catch (const std::bad_alloc &) {
  last = Clock::now();
  std::lock_guard lock(mutex);
  ++counted.attempts;
  ++counted.failures;
  counted.isWorking = false;
  lastReport = "out of memory\n";
}

void RegroupThread::setWorking(bool isWorking) {
  std::lock_guard lock(mutex);
  counted.isWorking = isWorking;
}

void RegroupThread::regroupOnce() {
  Clock::time_point began = Clock::now();
  Profile traffic = window.profile();
  std::string path = plan.directory + "/generation-" +
                     std::to_string(nextGeneration) + ".safetensors";
  Result<weights::RegroupReport> report =
      regrouper->regroup(plan.archive, traffic, path);
  Status status = report ? success() : Error{report.error()};
  std::string text;
  uint64_t regrouped = 0;
  if (report) {
    for (const RegroupedLayer &layer : report->layers) {
      text += describe(layer) + "\n";
      regrouped += layer.isRegrouped;
    }
    if (report->isWritten) {
      ++nextGeneration;
      status = publish(path);
    }
  }
  bool isAccepted = report && report->isWritten && status;
  // What was refused is refused until traffic moves again.
  plan.then = std::move(traffic);
  window.reset();
  measuredTokens = window.tokens();
  last = Clock::now();
  std::lock_guard lock(mutex);
  ++counted.attempts;
  counted.accepted += isAccepted;
  counted.failures += !status;
  counted.layersRegrouped += isAccepted ? regrouped : 0;
  counted.seconds = secondsSince(began);
  lastReport = status ? text : text + status.error() + "\n";
}

/// Removes what was written here, is not today's, and no step reads any more.
void RegroupThread::removeOldGenerations() {
  if (generations.size() < 2)
    return;
  uint64_t oldest = model.oldest();
  std::erase_if(generations, [&](const Generation &generation) {
    bool isOld = generation.epoch < oldest && generation.path != plan.archive;
    if (isOld)
      ::unlink(generation.path.c_str());
    return isOld;
  });
}

} // namespace moec::regroup
