// What moe-cost's command line asks for.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/moe-cost/Options.h"

#include "tools/OptionReader.h"

#include <map>

using namespace moec::weights;

namespace moec::cost {

const char *const helpText =
    R"(What encodings of bases and residuals cost an expert layer, by the cost model
(docs/precision.md). No weights are needed.

usage: moe-cost SHAPE [options]
       moe-cost --print-target NAME

shape: mixtral-8x7b, qwen3-30b-a3b, deepseek-v3, or layer, with options
  --width N                of inputs and outputs
  --inner N                of hidden activations
  --experts N              --choices N        of them for each token
  --clusters N             that share a base; 0: experts as they are
  --clusters-per-token N   that choices are limited to; 0: flat: 1
  --rank N                 of residuals: 16

  --tokens N,N...          of a call: 1,32,512,4096
  --target NAME            x86-64-core, a100, h200, mobile, or a file: h200
  --activations TYPE       that rows are rounded to: f32 (not at all), bf16, int8
  --stored ENCODING        of the checkpoint: bf16
  --group N                members of a group of encodings in few bits: 64
  --base-share S           of the weights' squared norm, that bases have: 0.8
  --added-error E          that rounding may add to the relative error: 0.1
  --print-target NAME      the text of a built-in target, to begin from
  --help, --version

Times are bounds: none is shorter. Errors are those of normally distributed
weights, with sqrt(s·b² + (1 - s)·2·r²) for bases that round by b, have the share
s of the squared norm, and residuals whose two factors round by r. What the rank
leaves out is the same for all, and is not in them; nor is what rounded rows
lose. The mix that is chosen is
the fastest whose error is allowed; of those as fast, the one with the least.

examples:
  moe-cost mixtral-8x7b --tokens 1,4096
  moe-cost layer --width 4096 --inner 1536 --experts 128 --choices 8 --clusters 8

exit codes: 0 all well; 1 a file is wrong; 2 a wrong command line
)";

namespace {

/// Clusters of 4, 16 and 16 experts, one for each token.
const std::map<std::string_view, ExpertLayerShape> shapes = {
    {"mixtral-8x7b", {4096, 14336, true, 8, 2, 2, 1, 16}},
    {"qwen3-30b-a3b", {2048, 768, true, 128, 8, 8, 1, 16}},
    {"deepseek-v3", {7168, 2048, true, 256, 8, 16, 1, 16}},
    {"layer", {0, 0, true, 0, 0, 0, 1, 16}}};

/// Largest extent: products of two stay exact.
constexpr int64_t mostOf = int64_t(1) << 24;

OptionReader intoExtent(int64_t &number) { return into(number, 0, mostOf); }

OptionReader into(std::optional<Format> &rows) {
  return [&rows](const std::string &name, std::string_view text) -> Status {
    if (text != "f32" && text != "bf16" && text != "int8")
      return unexpected(name, "f32, bf16 or int8", text);
    rows = text == "f32" ? std::nullopt : formatFromName(text);
    return success();
  };
}

OptionReader into(Encoding &encoding) {
  return [&encoding](const std::string &name, std::string_view text) -> Status {
    Result<Encoding> found = encodingFromText(text);
    if (!found)
      return Error{name + ": " + found.error()};
    encoding = *found;
    return success();
  };
}

Status check(const Options &options) {
  const ExpertLayerShape &shape = options.shape;
  if (shape.width == 0 || shape.inner == 0 || shape.experts == 0 ||
      shape.choices == 0)
    return Error{"expected a shape of --help, or --width, --inner, --experts "
                 "and --choices above 0"};
  if (shape.choices > shape.experts)
    return Error{"--choices: expected at most " +
                 std::to_string(shape.experts) + " experts, found " +
                 std::to_string(shape.choices)};
  if (options.group < 4 || 256 % options.group != 0)
    return Error{"--group: expected a divisor of 256 from 4 on, found " +
                 std::to_string(options.group)};
  if (shape.clusters > shape.experts)
    return Error{"--clusters: expected at most " +
                 std::to_string(shape.experts) + ", found " +
                 std::to_string(shape.clusters)};
  return success();
}

} // namespace

Result<Options> parseOptions(std::span<char *const> arguments) {
  Options options;
  options.stored.format = Format::BF16;
  ExpertLayerShape &shape = options.shape;
  const OptionReaders readers = {
      {"--width", intoExtent(shape.width)},
      {"--inner", intoExtent(shape.inner)},
      {"--experts", intoExtent(shape.experts)},
      {"--choices", intoExtent(shape.choices)},
      {"--clusters", intoExtent(shape.clusters)},
      {"--clusters-per-token", intoExtent(shape.clustersPerToken)},
      {"--rank", intoExtent(shape.rank)},
      {"--tokens", intoEach(options.tokens, intoExtent)},
      {"--target", moec::into(options.target)},
      {"--activations", into(options.activations)},
      {"--stored", into(options.stored)},
      {"--group", intoExtent(options.group)},
      {"--base-share", moec::into(options.baseShare, 0, 1)},
      {"--added-error", moec::into(options.addedError, 0, 1)},
      {"--print-target", moec::into(options.printTarget)}};
  auto takeWord = [&](std::string_view word, size_t place) -> Result<bool> {
    if (word == "--help" || word == "-h")
      return options.help = true;
    if (word == "--version")
      return options.version = true;
    auto known = shapes.find(word);
    if (known == shapes.end() || !options.name.empty())
      return false;
    // Options change what the name says, so it comes first.
    if (place != 0)
      return Error{"expected the shape in front of all options, found '" +
                   std::string(word) + "' behind them"};
    options.name = word;
    shape = known->second;
    return true;
  };
  if (Status status =
          readOptions(arguments, readers,
                      "a shape or an option of moe-cost --help", takeWord);
      !status)
    return Error{status.error()};
  if (options.name.empty())
    options.name = "layer";
  if (options.help || options.version || !options.printTarget.empty())
    return options;
  if (Status status = check(options); !status)
    return Error{status.error()};
  return options;
}

} // namespace moec::cost
