// What steps of layers have met, one after the other.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "runtime/residency/Trace.h"

#include "weights/Json.h"
#include "weights/Safetensors.h"

#include <algorithm>
#include <cstring>

using namespace moec::weights;

namespace moec::residency {

/// docs/residency.md.
static constexpr const char *metadataKey = "moec.trace";
static constexpr std::string_view majorVersion = "1.";

uint32_t Trace::most() const {
  size_t most = 0;
  for (uint64_t turn = 0; turn < turns(); ++turn)
    most = std::max(most, used[turn].size());
  return uint32_t(most);
}

//===----------------------------------------------------------------------===//
// Reading
//===----------------------------------------------------------------------===//

namespace {

class TraceReader {
public:
  explicit TraceReader(const SafetensorsFile &file) : file(file) {}

  Result<Trace> read() {
    if (Status status = readMetadata(); !status)
      return Error{status.error()};
    if (Status status = readLists("trace.used", trace.used); !status)
      return Error{status.error()};
    int64_t layers = trace.extents.layers;
    if (file.find("trace.hints")) {
      if (Status status = readLists("trace.hints", trace.hints); !status)
        return Error{status.error()};
      if (file.find("trace.hints")->shape[1] != layers ||
          trace.hints.size() != trace.used.size())
        return fail("expected as many steps and layers in trace.hints as in "
                    "trace.used");
    }
    if (Status status = readRequests(); !status)
      return Error{status.error()};
    return std::move(trace);
  }

private:
  Error fail(const std::string &message) const {
    return Error{file.path() + ": " + message};
  }

  Status readMetadata() {
    auto found = file.metadata().find(metadataKey);
    if (found == file.metadata().end())
      return fail("expected a trace, found no metadata 'moec.trace'");
    Result<JsonValue> json = parseJson(file.path() + ": moec.trace",
                                       found->second, JsonLimits{4096, 64, 4});
    if (!json)
      return Error{json.error()};
    const JsonValue *version = json->member("version");
    if (!version || version->kind != JsonValue::Kind::String ||
        !version->string.starts_with(majorVersion))
      return fail("moec.trace: expected version 1, found " +
                  (version ? describe(*version) : "none"));
    const JsonValue *clusters = json->member("clusters");
    if (!clusters || clusters->kind != JsonValue::Kind::Integer ||
        clusters->integer < 1 || clusters->integer > traceMaxClusters)
      return fail("moec.trace: expected 1 to " +
                  std::to_string(traceMaxClusters) + " clusters, found " +
                  (clusters ? describe(*clusters) : "none"));
    trace.extents.clusters = uint32_t(clusters->integer);
    return success();
  }

  Result<const TensorRecord *> find(const std::string &name, ElementType type,
                                    size_t rank) const {
    const TensorRecord *tensor = file.find(name);
    if (!tensor || tensor->type != type || tensor->shape.size() != rank)
      return fail("expected " + name + ", " + std::to_string(rank) +
                  " extents of " + std::string(elementTypeName(type)));
    return tensor;
  }

  Status readLists(const std::string &name, ClusterLists &lists) {
    Result<const TensorRecord *> tensor = find(name, ElementType::I32, 3);
    if (!tensor)
      return Error{tensor.error()};
    const std::vector<int64_t> &shape = (*tensor)->shape;
    std::span<const uint8_t> bytes = file.data(**tensor);
    if (shape[1] < 1 || shape[1] > traceMaxLayers ||
        bytes.size() / 4 > traceMaxNumbers)
      return fail(name + ": expected 1 to " + std::to_string(traceMaxLayers) +
                  " layers and at most 2^32 numbers, found " +
                  std::to_string(shape[1]) + " and " +
                  std::to_string(bytes.size() / 4));
    trace.extents.layers = uint32_t(shape[1]);
    std::vector<uint32_t> clusters;
    for (int64_t turn = 0; turn < shape[0] * shape[1]; ++turn) {
      clusters.clear();
      for (int64_t i = 0; i < shape[2]; ++i) {
        int32_t number;
        std::memcpy(&number, bytes.data() + (turn * shape[2] + i) * 4, 4);
        if (number == -1)
          continue;
        if (number < 0 || uint32_t(number) >= trace.extents.clusters ||
            std::count(clusters.begin(), clusters.end(), uint32_t(number)))
          return fail(name + ": expected different clusters below " +
                      std::to_string(trace.extents.clusters) +
                      " in a step, found " + std::to_string(number) +
                      " in step " + std::to_string(turn / shape[1]) +
                      " of layer " + std::to_string(turn % shape[1]));
        clusters.push_back(uint32_t(number));
      }
      lists.append(clusters);
    }
    return success();
  }

  Status readRequests() {
    Result<const TensorRecord *> tensor =
        find("trace.requests", ElementType::I64, 1);
    if (!tensor)
      return Error{tensor.error()};
    std::span<const uint8_t> bytes = file.data(**tensor);
    trace.requests.clear();
    for (size_t at = 0; at < bytes.size(); at += 8) {
      int64_t first;
      std::memcpy(&first, bytes.data() + at, 8);
      bool isFirst = trace.requests.empty();
      if (isFirst ? first != 0
                  : first <= int64_t(trace.requests.back()) ||
                        first >= int64_t(trace.steps()))
        return fail("trace.requests: expected first steps from 0 on, each "
                    "larger than the one before and below " +
                    std::to_string(trace.steps()) + ", found " +
                    std::to_string(first));
      trace.requests.push_back(uint64_t(first));
    }
    if (trace.requests.empty())
      return fail("trace.requests: expected one or more, found none");
    return success();
  }

  const SafetensorsFile &file;
  Trace trace;
};

} // namespace

Result<Trace> readTrace(const std::string &path) {
  Result<SafetensorsFile> file = SafetensorsFile::open(path);
  if (!file)
    return Error{file.error()};
  return TraceReader(*file).read();
}

//===----------------------------------------------------------------------===//
// Writing
//===----------------------------------------------------------------------===//

static std::vector<int32_t> padded(const ClusterLists &lists, size_t &most) {
  most = 1;
  for (uint64_t turn = 0; turn < lists.size(); ++turn)
    most = std::max(most, lists[turn].size());
  std::vector<int32_t> numbers(lists.size() * most, -1);
  for (uint64_t turn = 0; turn < lists.size(); ++turn)
    std::copy(lists[turn].begin(), lists[turn].end(),
              numbers.begin() + int64_t(turn * most));
  return numbers;
}

template <typename T>
static std::span<const uint8_t> bytesOf(const std::vector<T> &values) {
  return {reinterpret_cast<const uint8_t *>(values.data()),
          values.size() * sizeof(T)};
}

Status writeTrace(const std::string &path, const Trace &trace) {
  size_t mostUsed, mostHinted;
  std::vector<int32_t> used = padded(trace.used, mostUsed);
  std::vector<int32_t> hints = padded(trace.hints, mostHinted);
  int64_t steps = int64_t(trace.steps()), layers = trace.extents.layers;
  std::vector<TensorToWrite> tensors = {{"trace.requests",
                                         ElementType::I64,
                                         {int64_t(trace.requests.size())},
                                         bytesOf(trace.requests)},
                                        {"trace.used",
                                         ElementType::I32,
                                         {steps, layers, int64_t(mostUsed)},
                                         bytesOf(used)}};
  if (trace.hints.size())
    tensors.push_back({"trace.hints",
                       ElementType::I32,
                       {steps, layers, int64_t(mostHinted)},
                       bytesOf(hints)});
  return writeSafetensors(
      path, tensors,
      {{metadataKey,
        "{\"clusters\": " + std::to_string(trace.extents.clusters) +
            ", \"version\": \"1.0\"}"}});
}

} // namespace moec::residency
