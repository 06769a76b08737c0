// The C functions of regrouping, and what they take from a model.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "moert/regroup.h"

#include "frontend/Originals.h"
#include "regroup/RegroupThread.h"
#include "weights/StatisticsCache.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <new>

using namespace moec::regroup;
using moec::weights::Error;
using moec::weights::Result;
using moec::weights::Status;
using moec::weights::success;

struct moert_regrouper {
  /// Outlives the thread.
  std::optional<moec::weights::StatisticsCache> cache;
  /// Numbers of the model's layers, as profiles have them.
  std::map<const moert_layer *, int64_t> numbers;
  std::unique_ptr<RegroupThread> thread;
};

static moert_status_t say(const moert_error_sink *error, moert_status_t status,
                          const std::string &message) {
  if (error && error->text && error->capacity > 0)
    std::snprintf(error->text, error->capacity, "%s", message.c_str());
  return status;
}

static std::string textOf(const char *text) { return text ? text : ""; }

//===----------------------------------------------------------------------===//
// The model
//===----------------------------------------------------------------------===//

static Status loadInto(moert_model *model, const std::string &archive) {
  char text[1024] = "";
  moert_error_sink sink = {text, sizeof text};
  if (moert_model_load_weights(model, archive.c_str(), &sink) != MOERT_OK)
    return Error{text};
  return success();
}

static uint64_t todayOf(moert_model *model) {
  moert_epoch *epoch = nullptr;
  uint64_t number = 0;
  if (moert_model_acquire_epoch(model, &epoch) == MOERT_OK)
    moert_epoch_number(epoch, &number);
  moert_epoch_release(epoch);
  return number;
}

static uint64_t oldestOf(moert_model *model) {
  uint64_t number = 0;
  moert_model_oldest_epoch(model, &number);
  return number;
}

//===----------------------------------------------------------------------===//
// Options
//===----------------------------------------------------------------------===//

static Status checkOptions(const moert_regroup_options &options) {
  if (options.size < sizeof options)
    return Error{"got options of " + std::to_string(options.size) +
                 " bytes, expected at least " + std::to_string(sizeof options)};
  if (!options.archive || !options.directory)
    return Error{"expected an archive and a directory, found null"};
  std::error_code code;
  if (!std::filesystem::is_directory(options.directory, code))
    return Error{textOf(options.directory) +
                 ": expected a directory for later generations, found " +
                 (std::filesystem::exists(options.directory, code)
                      ? "a file"
                      : "nothing")};
  auto isWrong = [](double number) { return !(number >= 0); };
  if (isWrong(options.period_seconds) || isWrong(options.drift) ||
      isWrong(options.alpha) || isWrong(options.min_gain) ||
      isWrong(options.max_error) || options.threads < 0 ||
      options.least_tokens < 0)
    return Error{"expected options of 0 or more, found one below"};
  return success();
}

static moec::weights::RegroupOptions
regroupOptions(const moert_regroup_options &options) {
  moec::weights::RegroupOptions result;
  if (options.alpha > 0)
    result.alpha = options.alpha;
  if (options.min_gain > 0)
    result.minGain = options.min_gain;
  result.maxError = options.max_error;
  result.parallel.threads = std::max(options.threads, 1);
  return result;
}

/// Reads what the archive says of its layers.
static Status watchLayers(moert_model *model, RegroupPlan &plan,
                          moert_regrouper &regrouper) {
  auto archive = moec::weights::Archive::open(plan.archive);
  if (!archive)
    return Error{archive.error()};
  auto layers = moec::weights::findClusteredLayers(*archive);
  if (!layers)
    return Error{layers.error()};
  plan.model = archive->header().source.hash;
  for (const moec::weights::ClusteredLayer &layer : *layers) {
    plan.layers[layer.number] = {layer.experts, !layer.prototypes.empty()};
    moert_layer *handle = nullptr;
    if (moert_model_find_layer(model, layer.name.c_str(), nullptr, &handle) !=
        MOERT_OK)
      return Error{plan.archive + ": expected weights of the model, found " +
                   layer.name + ", which it does not have"};
    regrouper.numbers[handle] = layer.number;
  }
  return success();
}

static Status start(moert_model *model, const moert_regroup_options &options,
                    moert_regrouper &regrouper) {
  RegroupPlan plan;
  plan.archive = options.archive;
  plan.directory = options.directory;
  plan.periodSeconds = options.period_seconds;
  plan.drift = options.drift;
  if (options.least_tokens)
    plan.leastTokens = options.least_tokens;
  if (Status status = watchLayers(model, plan, regrouper); !status)
    return status;
  if (options.profile) {
    auto profile = moec::weights::readProfile(options.profile);
    if (!profile)
      return Error{profile.error()};
    plan.then = *std::move(profile);
  }
  moec::weights::RegroupOptions regrouping = regroupOptions(options);
  if (options.cache) {
    auto cache = moec::weights::StatisticsCache::open(options.cache);
    if (!cache)
      return Error{cache.error()};
    regrouper.cache = *std::move(cache);
    regrouping.cache = &*regrouper.cache;
  }
  std::optional<moec::weights::OriginalMatrices> originals;
  if (options.original) {
    moec::frontend::CheckpointOptions reading;
    reading.families = textOf(options.families);
    auto opened = moec::frontend::openOriginals(options.original, reading);
    if (!opened)
      return Error{opened.error()};
    if (opened->hash != plan.model)
      return Error{textOf(options.original) +
                   ": expected the checkpoint that " + plan.archive +
                   " was made from, '" + plan.model + "', found '" +
                   opened->hash + "'"};
    originals = *std::move(opened);
  }
  RunningModel running = {
      [model](const std::string &archive) { return loadInto(model, archive); },
      [model] { return todayOf(model); }, [model] { return oldestOf(model); }};
  regrouper.thread = std::make_unique<RegroupThread>(
      std::move(running), std::move(plan), std::move(originals),
      std::move(regrouping));
  return regrouper.thread->start();
}

//===----------------------------------------------------------------------===//
// The functions
//===----------------------------------------------------------------------===//

moert_status_t moert_regrouper_start(moert_model *model,
                                     const moert_regroup_options *options,
                                     const moert_error_sink *error,
                                     moert_regrouper **regrouper) try {
  if (!model || !options || !regrouper)
    return say(error, MOERT_INVALID_ARGUMENT,
               "moert_regrouper_start: expected a model, options and a place "
               "for the regrouper, found null");
  *regrouper = nullptr;
  if (Status status = checkOptions(*options); !status)
    return say(error, MOERT_INVALID_ARGUMENT,
               "moert_regrouper_start: " + status.error());
  auto made = std::make_unique<moert_regrouper>();
  if (Status status = start(model, *options, *made); !status)
    return say(error, MOERT_IO_ERROR,
               "moert_regrouper_start: " + status.error());
  *regrouper = made.release();
  return MOERT_OK;
} catch (const std::bad_alloc &) {
  return say(error, MOERT_OUT_OF_MEMORY, "out of memory");
}

moert_status_t moert_regrouper_observe(moert_regrouper *regrouper,
                                       const moert_layer *layer, int64_t tokens,
                                       int64_t width, int64_t slots,
                                       const float *rows, const int32_t *ids,
                                       const float *gates) try {
  if (!regrouper || !layer || tokens < 0 || width < 0 || slots < 0)
    return MOERT_INVALID_ARGUMENT;
  auto known = regrouper->numbers.find(layer);
  if (known == regrouper->numbers.end())
    return MOERT_NOT_FOUND;
  if (tokens == 0)
    return MOERT_OK;
  if (!rows || !ids || !gates)
    return MOERT_INVALID_ARGUMENT;
  moec::weights::ProfileBatch batch;
  batch.tokens = tokens;
  batch.slots = slots;
  batch.inputs = {rows, size_t(tokens * width)};
  batch.ids = {ids, size_t(tokens * slots)};
  batch.gates = {gates, size_t(tokens * slots)};
  regrouper->thread->observe(known->second, width, batch);
  return MOERT_OK;
} catch (const std::bad_alloc &) {
  return MOERT_OUT_OF_MEMORY;
}

moert_status_t moert_regrouper_request(moert_regrouper *regrouper) {
  if (!regrouper)
    return MOERT_INVALID_ARGUMENT;
  regrouper->thread->request();
  return MOERT_OK;
}

moert_status_t
moert_regrouper_statistics(moert_regrouper *regrouper,
                           moert_regroup_statistics *statistics) {
  if (!regrouper || !statistics || statistics->size < sizeof statistics->size)
    return MOERT_INVALID_ARGUMENT;
  RegroupCounts counts = regrouper->thread->counts();
  const TrafficWindow &traffic = regrouper->thread->traffic();
  moert_regroup_statistics filled = {
      statistics->size,       counts.attempts,    counts.accepted,
      counts.failures,        traffic.tokens(),   traffic.dropped(),
      counts.layersRegrouped, counts.epoch,       counts.drift,
      counts.seconds,         counts.loadSeconds, counts.isWorking};
  std::memcpy(statistics, &filled,
              std::min<size_t>(statistics->size, sizeof filled));
  return MOERT_OK;
}

moert_status_t moert_regrouper_report(moert_regrouper *regrouper, char *text,
                                      size_t capacity, size_t *length) try {
  if (!regrouper || (!text && capacity))
    return MOERT_INVALID_ARGUMENT;
  std::string report = regrouper->thread->report();
  if (capacity)
    std::snprintf(text, capacity, "%s", report.c_str());
  if (length)
    *length = report.size();
  return MOERT_OK;
} catch (const std::bad_alloc &) {
  return MOERT_OUT_OF_MEMORY;
}

moert_status_t moert_regrouper_stop(moert_regrouper *regrouper) {
  delete regrouper;
  return MOERT_OK;
}
