// Ranks that share the clusters of an artifact's layers.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/moe-run/Ranks.h"

#include "moert/comm.h"
#include "tools/moe-run/Steps.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

using namespace moec::weights;

namespace moec::run {

namespace {

struct DestroyCommunicator {
  void operator()(moert_communicator *communicator) const {
    moert_communicator_destroy(communicator);
  }
};
using Communicator = std::unique_ptr<moert_communicator, DestroyCommunicator>;

moert_communicator_options communicatorOptions(const Options &options) {
  moert_communicator_options made = {};
  made.size = sizeof made;
  made.deadline = uint32_t(options.deadline);
  return made;
}

/// All ranks of threads, or this process's of MPI.
Result<std::vector<Communicator>> join(const Options &options) {
  moert_communicator_options wanted = communicatorOptions(options);
  char text[1024] = "";
  moert_error_sink sink = {text, sizeof text};
  std::vector<moert_communicator *> made(
      size_t(std::max<int64_t>(options.ranks, 1)));
  moert_status_t status =
      options.ranks
          ? moert_local_communicators_create(&wanted, int32_t(options.ranks),
                                             &sink, made.data())
          : moert_mpi_communicator_create(&wanted, &sink, made.data());
  if (status != MOERT_OK)
    return Error{text};
  return std::vector<Communicator>(made.begin(), made.end());
}

/// What a rank sent to others, and what it would have sent without sharing rows
/// among the experts of a rank.
std::string describeSent(const Artifact &artifact) {
  moert_exchange_statistics counted = {};
  counted.size = sizeof counted;
  moert_model_exchange_statistics(artifact.get(), &counted);
  char text[256];
  std::snprintf(text, sizeof text,
                "sent %llu rows of %llu tokens, %llu would be one for each "
                "expert; rows and results %g MB, ids and headers %g MB\n",
                static_cast<unsigned long long>(counted.rows),
                static_cast<unsigned long long>(counted.tokens),
                static_cast<unsigned long long>(counted.expert_rows),
                double(counted.row_bytes) / 1e6,
                double(counted.other_bytes) / 1e6);
  return text;
}

/// Each rank has inputs of its own: seeds behind those of all steps of the
/// ranks before it.
Options optionsOf(const Options &options, const Artifact &artifact,
                  int32_t rank) {
  Options own = options;
  own.steps = std::max<int64_t>(options.steps, 1);
  int32_t layers = 0;
  moert_model_layer_count(artifact.get(), &layers);
  own.seed += rank * own.steps * layers * MOERT_MAX_ARGUMENTS;
  return own;
}

/// One rank from opening the artifact to its report.
Result<StepsReport> runRank(const Options &options,
                            moert_communicator &communicator) {
  Result<Artifact> artifact =
      openArtifact(options.artifact, options.device, options.paging,
                   {&communicator, options.placement});
  if (!artifact)
    return Error{artifact.error()};
  Result<Artifact> other = Artifact();
  if (!options.compareWith.empty())
    other = openOther(options.compareWith, options.device);
  if (!other)
    return Error{other.error()};
  Result<Pool> pool = makePool(options.threads);
  if (!pool)
    return Error{pool.error()};
  Result<StepsReport> report =
      runSteps(optionsOf(options, *artifact, communicator.rank), *artifact,
               *other ? &*other : nullptr, *std::move(pool));
  if (report)
    report->outputs += describeSent(*artifact);
  return report;
}

/// Prints lines with the rank's number in front.
void printOf(int32_t rank, const std::string &lines) {
  for (size_t first = 0; first < lines.size();) {
    size_t end = std::min(lines.find('\n', first), lines.size());
    std::printf("rank %d: %s\n", int(rank),
                lines.substr(first, end - first).c_str());
    first = end + 1;
  }
  // Launchers gather what several processes print.
  std::fflush(stdout);
}

} // namespace

bool isLaunched() {
  return std::getenv("OMPI_COMM_WORLD_SIZE") || std::getenv("PMI_SIZE");
}

Status runRanks(const Options &options) {
  Result<std::vector<Communicator>> ranks = join(options);
  if (!ranks)
    return Error{ranks.error()};
  std::vector<Result<StepsReport>> reports(ranks->size(),
                                           Result<StepsReport>(Error{}));
  std::vector<std::thread> threads;
  for (size_t i = 0; i < ranks->size(); ++i)
    threads.emplace_back([&, i] {
      moert_communicator &own = *(*ranks)[i];
      reports[i] = runRank(options, own);
      // Nobody waits for one that has failed.
      if (!reports[i])
        own.abort(own.context, reports[i].error().c_str());
    });
  for (std::thread &thread : threads)
    thread.join();
  Status first = success();
  for (size_t i = 0; i < reports.size(); ++i) {
    int32_t rank = (*ranks)[i]->rank;
    if (reports[i])
      printOf(rank, reports[i]->outputs + reports[i]->comparison);
    const Status verdict =
        reports[i] ? reports[i]->verdict : Status(Error{reports[i].error()});
    if (!verdict && first)
      first = Error{"rank " + std::to_string(rank) + ": " + verdict.error()};
  }
  return first;
}

} // namespace moec::run
