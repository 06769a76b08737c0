// What an artifact loses: its layers on stored samples of the model.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/Execution/Loss.h"

#include "tools/Execution/Arguments.h"
#include "tools/Execution/Artifact.h"
#include "tools/Execution/Compare.h"
#include "weights/Safetensors.h"

#include <algorithm>
#include <cstdio>

using namespace moec::weights;

namespace moec::run {

static std::string keyOf(int64_t layer, const char *what) {
  return "layers." + std::to_string(layer) + "." + what;
}

Status checkSamples(const std::string &samples,
                    std::span<const int64_t> layers) {
  Result<SafetensorsFile> file = SafetensorsFile::open(samples);
  if (!file)
    return Error{file.error()};
  for (int64_t layer : layers)
    for (const char *what : {"input", "output"})
      if (!file->find(keyOf(layer, what)))
        return Error{samples + ": expected a tensor '" + keyOf(layer, what) +
                     "', found none"};
  return success();
}

static Result<Difference> measure(const Artifact &artifact,
                                  const std::string &samples, int64_t layer) {
  Result<Callable> callable =
      findCallable(artifact, "", "layer" + std::to_string(layer));
  if (!callable)
    return Error{callable.error()};
  ValueOptions options;
  options.inputs["x"] = samples + ":" + keyOf(layer, "input");
  options.expected["y"] = samples + ":" + keyOf(layer, "output");
  Result<std::vector<Tensor>> tensors = makeTensors(callable->entry, options);
  if (!tensors)
    return Error{tensors.error()};
  auto expected = readExpected(*tensors, options);
  if (!expected)
    return Error{expected.error()};
  if (auto seconds = call(deviceOf(artifact), *callable, *tensors, Manner(),
                          /*repeat=*/1);
      !seconds)
    return Error{seconds.error()};
  const auto &[place, values] = expected->front();
  return compare(values, (*tensors)[place]);
}

Result<std::string> describeLoss(const std::string &path,
                                 const std::string &samples,
                                 std::span<const int64_t> layers) {
  Result<Artifact> artifact = openArtifact(path);
  if (!artifact)
    return Error{artifact.error()};
  std::string text;
  Difference largest;
  for (int64_t layer : layers) {
    Result<Difference> found = measure(*artifact, samples, layer);
    std::string name = "layer" + std::to_string(layer);
    if (!found)
      return Error{name + ": " + found.error()};
    text += "  " + name + ": " + describe(*found) + "\n";
    largest.relative = std::max(largest.relative, found->relative);
    largest.rms = std::max(largest.rms, found->rms);
  }
  char all[128];
  std::snprintf(all, sizeof all, "  largest: max rel %.3g rms rel %.3g\n",
                largest.relative, largest.rms);
  return text + all;
}

} // namespace moec::run
