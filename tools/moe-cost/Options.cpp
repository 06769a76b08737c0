// What moe-cost's command line asks for.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/moe-cost/Options.h"

#include <charconv>
#include <functional>
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
  --stored ENCODING        of the checkpoint: bf16
  --group N                members of a group of encodings in few bits: 64
  --base-share S           of the weights' squared norm, that bases have: 0.8
  --added-error E          that rounding may add to the relative error: 0.1
  --print-target NAME      the text of a built-in target, to begin from
  --help, --version

Times are bounds: none is shorter. Errors are those of normally distributed
weights, with sqrt(s·b² + (1 - s)·2·r²) for bases that round by b, have the share
s of the squared norm, and residuals whose two factors round by r. What the rank
leaves out is the same for all, and is not in them. The mix that is chosen is
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

using Reader = std::function<Status(const std::string &, std::string_view)>;

Reader into(int64_t &number) {
  return [&number](const std::string &name, std::string_view text) -> Status {
    auto [end, error] =
        std::from_chars(text.data(), text.data() + text.size(), number);
    if (error == std::errc() && end == text.data() + text.size() &&
        number >= 0 && number <= mostOf)
      return success();
    return Error{name + ": expected a number from 0 to 16777216, found '" +
                 std::string(text) + "'"};
  };
}

Reader into(double &number) {
  return [&number](const std::string &name, std::string_view text) -> Status {
    auto [end, error] =
        std::from_chars(text.data(), text.data() + text.size(), number);
    if (error == std::errc() && end == text.data() + text.size() &&
        number >= 0 && number <= 1)
      return success();
    return Error{name + ": expected a number from 0 to 1, found '" +
                 std::string(text) + "'"};
  };
}

Reader into(std::vector<int64_t> &numbers) {
  return [&numbers](const std::string &name, std::string_view text) -> Status {
    numbers.clear();
    do {
      std::string_view first = text.substr(0, text.find(','));
      numbers.push_back(0);
      if (Status status = into(numbers.back())(name, first); !status)
        return status;
      text.remove_prefix(first.size());
    } while (text.starts_with(',') && (text.remove_prefix(1), true));
    return success();
  };
}

Reader into(std::string &word) {
  return [&word](const std::string &, std::string_view text) {
    word = text;
    return success();
  };
}

Reader into(Encoding &encoding) {
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
  const std::map<std::string_view, Reader> readers = {
      {"--width", into(shape.width)},
      {"--inner", into(shape.inner)},
      {"--experts", into(shape.experts)},
      {"--choices", into(shape.choices)},
      {"--clusters", into(shape.clusters)},
      {"--clusters-per-token", into(shape.clustersPerToken)},
      {"--rank", into(shape.rank)},
      {"--tokens", into(options.tokens)},
      {"--target", into(options.target)},
      {"--stored", into(options.stored)},
      {"--group", into(options.group)},
      {"--base-share", into(options.baseShare)},
      {"--added-error", into(options.addedError)},
      {"--print-target", into(options.printTarget)}};
  bool isNamed = false;
  for (size_t i = 0; i < arguments.size(); ++i) {
    std::string_view word = arguments[i];
    std::string name(word.substr(0, word.find('=')));
    if (word == "--help" || word == "-h") {
      options.help = true;
      continue;
    }
    if (word == "--version") {
      options.version = true;
      continue;
    }
    if (auto known = shapes.find(word); known != shapes.end() && !isNamed) {
      // Options change what the name says, so it comes first.
      if (i != 0)
        return Error{"expected the shape in front of all options, found '" +
                     name + "' behind them"};
      options.name = word;
      shape = known->second;
      isNamed = true;
      continue;
    }
    auto reader = readers.find(name);
    if (reader == readers.end())
      return Error{"expected a shape or an option of moe-cost --help, found '" +
                   name + "'"};
    std::string_view value;
    if (name.size() < word.size())
      value = word.substr(name.size() + 1);
    else if (++i < arguments.size())
      value = arguments[i];
    else
      return Error{name + ": expected a value, found none"};
    if (Status status = reader->second(name, value); !status)
      return Error{status.error()};
  }
  if (options.help || options.version || !options.printTarget.empty())
    return options;
  if (Status status = check(options); !status)
    return Error{status.error()};
  return options;
}

} // namespace moec::cost
