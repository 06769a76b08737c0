// Runs one entry of a compiled artifact and prints what comes out.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/moe-run/Arguments.h"
#include "tools/moe-run/Artifact.h"
#include "tools/moe-run/Compare.h"
#include "tools/moe-run/Options.h"
#include "tools/moe-run/Report.h"

#include <cstdio>
#include <filesystem>
#include <new>

using namespace moec::run;
using namespace moec::weights;

namespace {

enum ExitCode { Succeeded = 0, Failed = 1, WrongUsage = 2 };

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

/// Prints how far apart the outputs are; fails beyond options.maxError.
Status reportDifferences(std::span<const Tensor> tensors,
                         std::span<const Tensor> others,
                         const Options &options) {
  std::string tooFar;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const moert_argument &argument = *tensors[i].argument;
    if (argument.role == MOERT_INPUT)
      continue;
    Difference difference = compare(tensors[i], others[i]);
    std::printf("%s: %s\n", argument.name, describe(difference).c_str());
    if (options.maxError && difference.relative > *options.maxError)
      tooFar +=
          (tooFar.empty() ? "'" : ", '") + std::string(argument.name) + "'";
  }
  if (tooFar.empty())
    return success();
  char bound[32];
  std::snprintf(bound, sizeof bound, "%g", *options.maxError);
  return Error{options.compareWith + ": expected max rel errors up to " +
               bound + ", found larger ones in " + tooFar};
}

Status run(const Options &options) {
  Result<Artifact> artifact = openArtifact(options.artifact);
  if (!artifact)
    return Error{artifact.error()};
  if (options.list) {
    listEntries(artifact->get());
    return success();
  }
  Result<const moert_library_entry *> entry =
      findEntry(artifact->get(), options.entry);
  if (!entry)
    return Error{entry.error()};
  Result<std::vector<Tensor>> tensors = makeTensors(*entry, options);
  if (!tensors)
    return Error{tensors.error()};

  // All that can be wrong with the other artifact is said before anything runs.
  Result<Artifact> other = Artifact();
  Result<const moert_library_entry *> otherEntry = nullptr;
  Result<std::vector<Tensor>> others = std::vector<Tensor>();
  if (!options.compareWith.empty()) {
    other = openArtifact(options.compareWith);
    if (!other)
      return Error{other.error()};
    const char *name = nullptr;
    moert_library_entry_name(*entry, &name);
    otherEntry = findEntry(other->get(), name);
    if (!otherEntry)
      return Error{options.compareWith + ": " + otherEntry.error()};
    others = tensorsOfOther(*tensors, *otherEntry, options.compareWith);
    if (!others)
      return Error{others.error()};
  }

  Result<std::vector<double>> seconds =
      callEntry(*entry, *tensors, options.repeat);
  if (!seconds)
    return Error{seconds.error()};
  if (Status status = reportOutputs(*tensors, options); !status)
    return status;
  if (options.repeat > 1)
    std::printf("%s\n", summarizeTimes(*std::move(seconds)).c_str());
  if (options.compareWith.empty())
    return success();

  std::printf("compared with %s:\n", options.compareWith.c_str());
  seconds = callEntry(*otherEntry, *others, options.repeat);
  if (!seconds)
    return Error{options.compareWith + ": " + seconds.error()};
  if (options.repeat > 1)
    std::printf("%s\n", summarizeTimes(*std::move(seconds)).c_str());
  return reportDifferences(*tensors, *others, options);
}

} // namespace

int main(int argc, char **argv) {
  Result<Options> options =
      parseOptions(std::span(argv + 1, argc > 0 ? size_t(argc - 1) : 0));
  if (!options) {
    std::fprintf(stderr, "moe-run: %s\nSee moe-run --help.\n",
                 options.error().c_str());
    return WrongUsage;
  }
  if (options->help) {
    std::fputs(helpText, stdout);
    return Succeeded;
  }
  if (options->version) {
    uint32_t abi = 0;
    moert_runtime_abi_version(&abi);
    std::printf("moe-run %s, ABI %u.%u\n", MOEC_VERSION, abi >> 16,
                abi & 0xFFFF);
    return Succeeded;
  }
  // Extents are the user's, so memory may end; vectors say so by an exception.
  try {
    Status status = run(*options);
    if ((std::fflush(stdout) != 0 || std::ferror(stdout)) && status)
      status = Error{"cannot write to standard output"};
    if (status)
      return Succeeded;
    std::fprintf(stderr, "moe-run: %s\n", status.error().c_str());
  } catch (const std::bad_alloc &) {
    std::fprintf(stderr, "moe-run: out of memory\n");
  }
  return Failed;
}
