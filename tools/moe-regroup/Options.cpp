// What moe-regroup's command line asks for.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/moe-regroup/Options.h"

#include "tools/OptionReader.h"

using namespace moec::weights;

namespace moec::regroup {

const char *const helpText =
    R"(Other clusters for the experts of an archive, by newer traffic; writes the
archive that follows from them (docs/regrouping.md).

usage: moe-regroup ARCHIVE --profile FILE -o FILE [options]

  ARCHIVE                  weights.safetensors of an artifact of moe-compile
                           DIR --compress; stays as it is
  --profile FILE           traffic of the same model
  --original DIR           the checkpoint that the archive was made from.
                           Without it clusters stay, and only prototypes of
                           clusters are learned anew
  -o, --output FILE        appears whole or not at all; not written if there is
                           nothing new

  --alpha A                similarity is A times that of weights and 1 - A times
                           that of inputs: 0.7
  --seed N                 of random starts: 0
  --threshold S            experts less similar than this are no neighbours: 0.1
  --slack S                the largest cluster, in units of an even one; 0 for
                           any size: 1.25
  --min-gain G             new clusters must gain more than this in the mean
                           similarity of an expert to its cluster: 0.01
  --max-error E            bound on the relative error of each matrix; 0: the
                           largest of the layer's matrices of its role: 0
  --since FILE             a profile of before: how far traffic moved since then
  --cache DIR              keep similarities of weights there
  --threads N              0 for all: 0
  --help, --version

examples:
  moe-regroup small/weights.safetensors --original examples/tiny-mixtral \
    --profile today.safetensors -o regrouped.safetensors

exit codes: 0 all well, also if there was nothing new; 1 something failed or
does not belong together; 2 a wrong command line
)";

namespace {

Status check(const Options &options) {
  struct {
    const char *name;
    const std::string &value;
  } const needed[] = {{"an archive", options.archive},
                      {"--profile FILE", options.profile},
                      {"-o FILE", options.output}};
  for (const auto &option : needed)
    if (option.value.empty())
      return Error{std::string("expected ") + option.name + ", found none"};
  return success();
}

} // namespace

Result<Options> parseOptions(std::span<char *const> arguments) {
  Options options;
  RegroupOptions &regrouping = options.regrouping;
  constexpr int64_t most = 1'000'000;
  const OptionReaders readers = {
      {"--profile", into(options.profile)},
      {"--original", into(options.original)},
      {"--output", into(options.output)},
      {"-o", into(options.output)},
      {"--since", into(options.since)},
      {"--cache", into(options.cache)},
      {"--alpha", into(regrouping.alpha, 0, 1)},
      {"--seed", into(regrouping.seed, 0, uint64_t(-1))},
      {"--threshold", into(regrouping.threshold, -1, 1)},
      {"--slack", into(regrouping.slack, 0, most)},
      {"--min-gain", into(regrouping.minGain, 0, 2)},
      {"--max-error", into(regrouping.maxError, 0, most)},
      {"--threads", into(regrouping.parallel.threads, 0, most)}};
  auto takeWord = [&](std::string_view word, size_t) -> Result<bool> {
    if (word == "--help" || word == "-h")
      return options.help = true;
    if (word == "--version")
      return options.version = true;
    if (word.starts_with("-"))
      return false;
    if (!options.archive.empty())
      return Error{"expected one archive, found '" + std::string(word) +
                   "' too"};
    options.archive = word;
    return true;
  };
  if (Status status = readOptions(arguments, readers,
                                  "an option of moe-regroup --help", takeWord);
      !status)
    return Error{status.error()};
  if (!options.help && !options.version)
    if (Status status = check(options); !status)
      return Error{status.error()};
  return options;
}

} // namespace moec::regroup
