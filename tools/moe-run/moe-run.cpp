// Runs one entry of a compiled artifact and prints what comes out.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/Execution/Arguments.h"
#include "tools/Execution/Artifact.h"
#include "tools/Execution/Compare.h"
#include "tools/Program.h"
#include "tools/moe-run/Options.h"
#include "tools/moe-run/Profile.h"
#include "tools/moe-run/Ranks.h"
#include "tools/moe-run/Report.h"
#include "tools/moe-run/Routing.h"
#include "tools/moe-run/Steps.h"

#include <cstdio>
#include <filesystem>

using namespace moec::run;
using namespace moec::weights;

namespace {

Status reportOutputs(std::span<const Tensor> tensors, const Options &options) {
  std::error_code code;
  if (!options.output.empty() &&
      (std::filesystem::create_directories(options.output, code), code))
    return Error{options.output + ": cannot create: " + code.message()};
  for (const Tensor &tensor : tensors) {
    if (tensor.argument->role == MOERT_INPUT)
      continue;
    std::printf("%s\n", summarize(tensor).c_str());
    if (options.print)
      std::fputs(printValues(tensor).c_str(), stdout);
    if (options.output.empty())
      continue;
    if (Status status = writeTensor(options.output, tensor); !status)
      return status;
  }
  return success();
}

/// Prints how far outputs are from others; fails beyond options.maxError.
class Differences {
public:
  explicit Differences(const Options &options) : options(options) {}

  void add(const Tensor &tensor, const Tensor &other) {
    const char *name = tensor.argument->name;
    Difference difference = compare(tensor, other);
    std::printf("%s: %s\n", name, describe(difference).c_str());
    if (options.maxError && difference.relative > *options.maxError)
      tooFar += (tooFar.empty() ? "'" : ", '") + std::string(name) + "'";
  }

  Status result(const std::string &other) const {
    if (tooFar.empty())
      return success();
    char bound[32];
    std::snprintf(bound, sizeof bound, "%g", *options.maxError);
    return Error{other + ": expected max rel errors up to " + bound +
                 ", found larger ones in " + tooFar};
  }

private:
  const Options &options;
  std::string tooFar;
};

Status reportDifferences(std::span<const Tensor> tensors,
                         std::span<const Tensor> others,
                         const Options &options) {
  Differences differences(options);
  for (size_t i = 0; i < tensors.size(); ++i)
    if (tensors[i].argument->role == MOERT_OUTPUT)
      differences.add(tensors[i], others[i]);
  return differences.result(options.compareWith);
}

Status reportExpected(std::span<const Tensor> tensors,
                      std::span<const std::pair<size_t, Tensor>> expected,
                      const Options &options) {
  Differences differences(options);
  if (!expected.empty())
    std::printf("compared with what is expected:\n");
  for (const auto &[place, values] : expected)
    differences.add(values, tensors[place]);
  return differences.result("--expect");
}

Status profileRun(const Artifact &artifact, const Callable &callable,
                  std::span<const Tensor> tensors, const Options &options) {
  const char *name = "", *hash = "";
  moert_model_source(artifact.get(), &name, &hash);
  if (!callable.layer || !*hash)
    return Error{"--profile: expected a layer of a checkpoint, found an entry "
                 "without one"};
  int64_t experts = 0;
  const moert_argument *argument = nullptr;
  for (int32_t i = 0;
       moert_library_argument(callable.entry, i, &argument) == MOERT_OK; ++i)
    if (argument->name == std::string_view("ids"))
      moert_library_argument_below(callable.entry, i, &experts);
  Result<std::string> load =
      addToProfile(options.profile, hash, nameOf(callable), experts, tensors);
  if (!load)
    return Error{load.error()};
  std::printf("%s\n", load->c_str());
  return success();
}

Status list(const Options &options) {
  Result<Library> library = openLibrary(options.artifact);
  if (!library)
    return Error{library.error()};
  if (Status status = listLayers(library->get()); !status)
    return status;
  listEntries(library->get());
  return success();
}

/// The type of the device that an artifact is on.
int32_t kindOf(const Artifact &artifact) {
  DLDevice identity = {};
  moert_device_identity(deviceOf(artifact), &identity);
  return identity.device_type;
}

void reportPaging(const Artifact &artifact) {
  moert_paging_statistics statistics = {};
  statistics.size = sizeof statistics;
  moert_model_paging_statistics(artifact.get(), &statistics);
  if (std::string text = describePaging(statistics); !text.empty())
    std::printf("%s\n", text.c_str());
}

Status runSteps(const Options &options, const Artifact &artifact,
                ResidentBytes atStart) {
  Result<Artifact> other = Artifact();
  if (!options.compareWith.empty())
    other = openOther(options.compareWith, options.device);
  if (!other)
    return Error{other.error()};
  Result<Pool> pool = makePool(options.threads);
  if (!pool)
    return Error{pool.error()};
  Result<StepsReport> report =
      runSteps(options, artifact, *other ? &*other : nullptr, *std::move(pool));
  if (!report)
    return Error{report.error()};
  std::printf("%smemory: at most %.2f MB, %.2f MB of them before weights\n%s%s",
              report->outputs.c_str(), double(residentBytes().most) / 1e6,
              double(atStart.now) / 1e6, report->regrouping.c_str(),
              report->comparison.c_str());
  if (report->verdict)
    reportPaging(artifact);
  return report->verdict;
}

Status run(const Options &options) {
  if (options.list)
    return list(options);
  bool hasRanks = options.ranks || isLaunched();
  if (hasRanks && !options.regroup.folder.empty())
    return Error{"--regroup: expected one process, found ranks, each of which "
                 "would see other traffic"};
  if (hasRanks)
    return runRanks(options);
  ResidentBytes atStart = residentBytes();
  Result<Artifact> artifact =
      openArtifact(options.artifact, options.device, options.paging);
  if (!artifact)
    return Error{artifact.error()};
  if (options.steps)
    return runSteps(options, *artifact, atStart);
  Result<Callable> callable =
      findCallable(*artifact, options.entry, options.layer);
  if (!callable)
    return Error{callable.error()};
  Result<std::vector<Tensor>> tensors = makeTensors(callable->entry, options);
  if (!tensors)
    return Error{tensors.error()};
  auto expected = readExpected(*tensors, options);
  if (!expected)
    return Error{"--expect: " + expected.error()};

  // All that can be wrong with the other artifact is said before anything runs.
  Result<Artifact> other = Artifact();
  Result<Callable> otherCallable = Callable();
  Result<std::vector<Tensor>> others = std::vector<Tensor>();
  if (!options.compareWith.empty()) {
    other = openOther(options.compareWith, options.device);
    if (!other)
      return Error{other.error()};
    otherCallable = findNamed(*other, nameOf(*callable));
    if (!otherCallable)
      return Error{options.compareWith + ": " + otherCallable.error()};
    others =
        tensorsOfOther(*tensors, otherCallable->entry, options.compareWith);
    if (!others)
      return Error{others.error()};
  }

  Result<Pool> pool = makePool(options.threads);
  if (!pool)
    return Error{pool.error()};
  Manner manner = {*std::move(pool), options.isa};
  Result<std::vector<double>> seconds =
      call(deviceOf(*artifact), *callable, *tensors, manner, options.repeat);
  if (!seconds)
    return Error{seconds.error()};
  if (Status status = reportOutputs(*tensors, options); !status)
    return status;
  reportPaging(*artifact);
  if (options.repeat > 1)
    std::printf("%s\n", summarizeTimes(*std::move(seconds)).c_str());
  if (std::string routing = describeRouting(*callable, *tensors);
      !routing.empty())
    std::printf("%s\n", routing.c_str());
  if (!options.profile.empty())
    if (Status status = profileRun(*artifact, *callable, *tensors, options);
        !status)
      return status;
  if (Status status = reportExpected(*tensors, *expected, options); !status)
    return status;
  if (options.compareWith.empty())
    return success();

  std::printf("compared with %s:\n", options.compareWith.c_str());
  // Another kind of device has variants of other names.
  if (kindOf(*other) != kindOf(*artifact))
    manner.isa.clear();
  seconds =
      call(deviceOf(*other), *otherCallable, *others, manner, options.repeat);
  if (!seconds)
    return Error{options.compareWith + ": " + seconds.error()};
  if (options.repeat > 1)
    std::printf("%s\n", summarizeTimes(*std::move(seconds)).c_str());
  if (std::string routing = compareRouting(*tensors, *others); !routing.empty())
    std::printf("%s\n", routing.c_str());
  return reportDifferences(*tensors, *others, options);
}

} // namespace

int main(int argc, char **argv) {
  uint32_t abi = 0;
  moert_runtime_abi_version(&abi);
  std::string version = MOEC_VERSION ", ABI " + std::to_string(abi >> 16) +
                        "." + std::to_string(abi & 0xFFFF);
  return moec::runProgram(
      "moe-run",
      parseOptions(std::span(argv + 1, argc > 0 ? size_t(argc - 1) : 0)),
      helpText, version, run);
}
