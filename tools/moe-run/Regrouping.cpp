// A run whose model is regrouped by the traffic that it sees.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/moe-run/Regrouping.h"

#include "tools/moe-run/Profile.h"
#include "tools/moe-run/Report.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <dlfcn.h>
#include <thread>

using namespace moec::weights;

namespace moec::run {

namespace {

template <typename Function>
bool find(void *library, const char *name, Function &function) {
  function = reinterpret_cast<Function>(::dlsym(library, name));
  return function != nullptr;
}

/// The library stays: it may have threads.
Result<RegroupFunctions> loadFunctions() {
  const char *name = "libmoert_regroup.so.0";
  void *library = ::dlopen(name, RTLD_NOW | RTLD_LOCAL);
  if (!library)
    return Error{std::string("--regroup: expected ") + name +
                 " beside libmoert.so, found none: " + ::dlerror()};
  RegroupFunctions functions;
  if (find(library, "moert_regrouper_start", functions.start) &&
      find(library, "moert_regrouper_observe", functions.observe) &&
      find(library, "moert_regrouper_statistics", functions.statistics) &&
      find(library, "moert_regrouper_report", functions.report) &&
      find(library, "moert_regrouper_stop", functions.stop))
    return functions;
  return Error{std::string("--regroup: expected the functions of "
                           "moert/regroup.h in ") +
               name + ", found one missing: " + ::dlerror()};
}

const char *orNull(const std::string &text) {
  return text.empty() ? nullptr : text.c_str();
}

std::string describeSteps(const char *which, std::vector<double> seconds) {
  if (seconds.empty())
    return "";
  char longest[64];
  std::snprintf(longest, sizeof longest, ", longest %.1f us\n",
                *std::max_element(seconds.begin(), seconds.end()) * 1e6);
  return std::string("regroup: steps ") + which + ": " +
         summarizeTimes(std::move(seconds)) + longest;
}

} // namespace

Result<Regrouping> Regrouping::start(const Options &options,
                                     const Artifact &artifact) {
  Result<RegroupFunctions> functions = loadFunctions();
  if (!functions)
    return Error{functions.error()};
  const RegroupRequest &asked = options.regroup;
  std::string archive = options.artifact + "/weights.safetensors";
  moert_regroup_options wanted = {};
  wanted.size = sizeof wanted;
  wanted.archive = archive.c_str();
  wanted.directory = asked.folder.c_str();
  wanted.original = orNull(asked.original);
  wanted.profile = orNull(asked.profile);
  wanted.period_seconds = asked.period;
  wanted.drift = asked.drift;
  wanted.least_tokens = asked.leastTokens;
  wanted.alpha = asked.alpha;
  wanted.max_error = asked.maxError;
  char text[1024] = "";
  moert_error_sink sink = {text, sizeof text};
  moert_regrouper *regrouper = nullptr;
  if (functions->start(artifact.get(), &wanted, &sink, &regrouper) != MOERT_OK)
    return Error{text};
  return Regrouping(Handle(regrouper, Stop{*functions}));
}

Status Regrouping::observe(const Callable &layer,
                           std::span<const Tensor> tensors) {
  Result<RoutedTensors> routed = findRouted("--regroup", tensors);
  if (!routed)
    return Error{routed.error()};
  auto floats = [](const Tensor &tensor) {
    return reinterpret_cast<const float *>(tensor.data.data());
  };
  const Tensor &x = *routed->x, &ids = *routed->ids;
  moert_status_t status = handle.get_deleter().functions.observe(
      handle.get(), layer.layer, x.shape[0], x.shape[1], ids.shape[1],
      floats(x), reinterpret_cast<const int32_t *>(ids.data.data()),
      floats(*routed->gates));
  // Layers without clusters are not watched.
  if (status != MOERT_OK && status != MOERT_NOT_FOUND)
    return Error{std::string("--regroup: ") + nameOf(layer) +
                 ": expected traffic to be counted, found status " +
                 std::to_string(status)};
  return success();
}

moert_regroup_statistics Regrouping::statistics() const {
  moert_regroup_statistics statistics = {};
  statistics.size = sizeof statistics;
  handle.get_deleter().functions.statistics(handle.get(), &statistics);
  return statistics;
}

void Regrouping::noteStep(double seconds) {
  bool isWorking = statistics().is_working;
  (wasWorking || isWorking ? beside : alone).push_back(seconds);
  wasWorking = isWorking;
}

std::string Regrouping::finish() {
  while (statistics().is_working)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  moert_regroup_statistics counted = statistics();
  auto number = [](uint64_t value) {
    return static_cast<unsigned long long>(value);
  };
  char text[512];
  std::snprintf(text, sizeof text,
                "regroup: %llu attempts, %llu accepted, %llu failed; %llu "
                "layers got other clusters; the last took %.3g s, %.3g s of "
                "them to load\n"
                "regroup: %llu tokens counted, %llu dropped; drift %.3g\n",
                number(counted.attempts), number(counted.accepted),
                number(counted.failures), number(counted.layers_regrouped),
                counted.seconds, counted.load_seconds, number(counted.tokens),
                number(counted.dropped), counted.drift);
  std::string report(1 << 16, '\0');
  size_t length = 0;
  handle.get_deleter().functions.report(handle.get(), report.data(),
                                        report.size(), &length);
  report.resize(std::min(length, report.size() - 1));
  return text + describeSteps("beside it", beside) +
         describeSteps("alone", alone) + report;
}

} // namespace moec::run
