// Other clusters for the experts of an archive, by newer traffic.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "frontend/Originals.h"
#include "tools/Program.h"
#include "tools/moe-regroup/Options.h"
#include "weights/TrafficDrift.h"

#include <cinttypes>
#include <cstdio>

using namespace moec::regroup;
using namespace moec::weights;

namespace {

/// How far each layer's traffic moved since the profile in `path`.
Status printDrift(const std::string &path, const Profile &now) {
  Result<Profile> then = readProfile(path);
  if (!then)
    return Error{then.error()};
  for (const auto &[number, layer] : now.layers) {
    auto before = then->layers.find(number);
    if (before == then->layers.end())
      continue;
    Result<TrafficDrift> drift = driftBetween(before->second, layer);
    if (!drift)
      return Error{path + ": layer " + std::to_string(number) + ": " +
                   drift.error()};
    std::printf("layer%" PRId64
                ": since then drift %.3f of load, %.3f of pairs, %.3f of "
                "inputs\n",
                number, drift->load, drift->pairs, drift->inputs);
  }
  return success();
}

Status run(Options options) {
  Result<Profile> traffic = readProfile(options.profile);
  if (!traffic)
    return Error{traffic.error()};
  if (!options.since.empty())
    if (Status status = printDrift(options.since, *traffic); !status)
      return status;
  std::optional<StatisticsCache> cache;
  if (!options.cache.empty()) {
    Result<StatisticsCache> opened = StatisticsCache::open(options.cache);
    if (!opened)
      return Error{opened.error()};
    cache = *std::move(opened);
    options.regrouping.cache = &*cache;
  }
  std::optional<OriginalMatrices> originals;
  if (!options.original.empty()) {
    Result<OriginalMatrices> opened =
        moec::frontend::openOriginals(options.original);
    if (!opened)
      return Error{opened.error()};
    originals = *std::move(opened);
  }
  Result<Regrouper> regrouper =
      Regrouper::create(std::move(originals), options.regrouping);
  if (!regrouper)
    return Error{regrouper.error()};
  Result<RegroupReport> report =
      regrouper->regroup(options.archive, *traffic, options.output);
  if (!report)
    return Error{report.error()};
  for (const RegroupedLayer &layer : report->layers)
    std::printf("%s\n", describe(layer).c_str());
  if (report->isWritten)
    std::printf("%s: %" PRIu64 " records computed, %" PRIu64 " copied\n",
                options.output.c_str(), report->recordsComputed,
                report->recordsCopied);
  else
    std::printf("nothing new: %s is not written\n", options.output.c_str());
  return success();
}

} // namespace

int main(int argc, char **argv) {
  return moec::runProgram(
      "moe-regroup",
      parseOptions(std::span(argv + 1, argc > 0 ? size_t(argc - 1) : 0)),
      helpText, MOEC_VERSION, run);
}
