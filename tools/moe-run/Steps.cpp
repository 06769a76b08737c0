// Several steps of tokens through all layers of an artifact.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/moe-run/Steps.h"

#include "tools/Execution/Compare.h"
#include "tools/moe-run/Regrouping.h"
#include "tools/moe-run/Report.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <optional>

using namespace moec::weights;

namespace moec::run {

namespace {

/// What flows from layer to layer in place of a seeded input: that of the layer
/// before plus its output, each row divided by its root mean square, as blocks
/// with norms have it. Nothing where these are not floats of one shape.
void flowOn(const std::vector<Tensor> &before, std::vector<Tensor> &tensors) {
  auto isAlike = [](const Tensor &a, const Tensor &b) {
    return a.type == ElementType::F32 && b.type == a.type && a.shape == b.shape;
  };
  if (before.empty() || tensors.empty() || tensors[0].shape.empty() ||
      !isAlike(before[0], tensors[0]))
    return;
  auto output =
      std::find_if(before.begin(), before.end(), [&](const Tensor &t) {
        return t.argument->role == MOERT_OUTPUT && isAlike(t, tensors[0]);
      });
  if (output == before.end())
    return;
  std::span<float> to(reinterpret_cast<float *>(tensors[0].data.data()),
                      tensors[0].count());
  size_t row = size_t(tensors[0].shape.back());
  for (size_t first = 0; first < to.size(); first += row) {
    double squares = 0;
    for (size_t i = first; i < first + row; ++i) {
      to[i] = float(before[0].valueAt(i) + output->valueAt(i));
      squares += double(to[i]) * to[i];
    }
    double scale = squares > 0 ? std::sqrt(double(row) / squares) : 1;
    for (size_t i = first; i < first + row; ++i)
      to[i] = float(to[i] * scale);
  }
}

/// Layers of one artifact and those of the same names of another, if there is
/// one.
class Stepper {
public:
  Stepper(const Options &options, const Artifact &artifact,
          const Artifact *other, Pool pool)
      : options(options), artifact(artifact), other(other),
        manner{std::move(pool), options.isa} {}

  Result<StepsReport> run() {
    int32_t count = 0;
    moert_model_layer_count(artifact.get(), &count);
    for (int32_t i = 0; i < count; ++i) {
      Callable layer;
      moert_model_layer_at(artifact.get(), i, &layer.layer);
      moert_layer_entry(layer.layer, &layer.entry);
      layers.push_back(layer);
      if (!other)
        continue;
      Result<Callable> twin = findNamed(*other, nameOf(layer));
      if (!twin)
        return Error{options.compareWith + ": " + twin.error()};
      twins.push_back(*twin);
    }
    if (layers.empty())
      return Error{"--steps: expected an artifact with layers, found none"};
    if (!options.regroup.folder.empty()) {
      Result<Regrouping> started = Regrouping::start(options, artifact);
      if (!started)
        return Error{started.error()};
      regrouping.emplace(*std::move(started));
    }
    moert_model_begin_request(artifact.get());
    for (int64_t step = 0; step < options.steps; ++step)
      if (Status status = takeStep(step); !status)
        return Error{status.error()};
    return report();
  }

private:
  Status takeStep(int64_t step) {
    // All layers read the weights of one moment.
    Epoch epoch = acquireEpoch(artifact);
    double seconds = 0;
    std::vector<Tensor> before;
    for (size_t i = 0; i < layers.size(); ++i) {
      // Input number n of a call has seed + n.
      ValueOptions values = options;
      values.seed +=
          (step * int64_t(layers.size()) + int64_t(i)) * MOERT_MAX_ARGUMENTS;
      Result<std::vector<Tensor>> tensors =
          makeTensors(layers[i].entry, values);
      if (!tensors)
        return Error{tensors.error()};
      flowOn(before, *tensors);
      layers[i].epoch = epoch.get();
      Result<std::vector<double>> taken =
          call(deviceOf(artifact), layers[i], *tensors, manner, 1);
      if (!taken)
        return Error{"step " + std::to_string(step) + ": " + taken.error()};
      seconds += taken->front();
      for (const Tensor &tensor : *tensors)
        if (tensor.argument->role == MOERT_OUTPUT)
          sum = checksum(tensor.data, sum);
      if (regrouping)
        if (Status status = regrouping->observe(layers[i], *tensors); !status)
          return status;
      if (Status status = other ? compareWithTwin(i, *tensors) : success();
          !status)
        return status;
      before = *std::move(tensors);
    }
    times.push_back(seconds);
    if (regrouping)
      regrouping->noteStep(seconds);
    return success();
  }

  Status compareWithTwin(size_t layer, std::span<const Tensor> tensors) {
    Result<std::vector<Tensor>> others =
        tensorsOfOther(tensors, twins[layer].entry, options.compareWith);
    if (!others)
      return Error{others.error()};
    Result<std::vector<double>> taken =
        call(deviceOf(*other), twins[layer], *others, manner, 1);
    if (!taken)
      return Error{options.compareWith + ": " + taken.error()};
    for (size_t i = 0; i < tensors.size(); ++i) {
      if (tensors[i].argument->role != MOERT_OUTPUT)
        continue;
      Difference found = compare(tensors[i], (*others)[i]);
      if (found.relative >= worst.relative)
        worst = found;
    }
    return success();
  }

  StepsReport report() {
    StepsReport made;
    char text[96];
    std::snprintf(text, sizeof text,
                  "%lld steps of %zu layers: outputs fnv1a %016llx\n",
                  static_cast<long long>(options.steps), layers.size(),
                  static_cast<unsigned long long>(sum));
    made.outputs = text + summarizeTimes(times) + "\n";
    if (regrouping)
      made.regrouping = regrouping->finish();
    if (!other)
      return made;
    made.comparison = "compared with " + options.compareWith + ": at most " +
                      describe(worst) + "\n";
    if (options.maxError && worst.relative > *options.maxError) {
      std::snprintf(text, sizeof text, "%g", *options.maxError);
      made.verdict =
          Error{options.compareWith + ": expected max rel errors up to " +
                text + ", found larger ones"};
    }
    return made;
  }

  const Options &options;
  const Artifact &artifact;
  const Artifact *other;
  Manner manner;
  std::optional<Regrouping> regrouping;
  std::vector<Callable> layers, twins;
  std::vector<double> times;
  uint64_t sum = noChecksum;
  Difference worst;
};

} // namespace

Result<StepsReport> runSteps(const Options &options, const Artifact &artifact,
                             const Artifact *other, Pool pool) {
  return Stepper(options, artifact, other, std::move(pool)).run();
}

} // namespace moec::run
