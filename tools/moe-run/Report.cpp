// What moe-run prints and writes of an artifact and its outputs.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/moe-run/Report.h"

#include "weights/Json.h"
#include "weights/Npy.h"
#include "weights/Safetensors.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>

using namespace moec::weights;

namespace moec::run {

/// Bytes of the pools and tables that a layer of the entry brings, and those of
/// each cluster of its paged pools.
static std::pair<uint64_t, uint64_t>
bindingBytes(const moert_library_entry *entry) {
  uint64_t bytes = 0, paged = 0;
  const moert_argument *argument = nullptr;
  for (int32_t i = 0; moert_library_argument(entry, i, &argument) == MOERT_OK;
       ++i) {
    if (argument->role != MOERT_BINDING)
      continue;
    bool isPaged = argument->rank > 0 && argument->shape[0] == MOERT_DYNAMIC;
    uint64_t size = (argument->bits + 7) / 8;
    for (unsigned d = isPaged ? 1 : 0; d < argument->rank; ++d)
      size *= uint64_t(argument->shape[d]);
    (isPaged ? paged : bytes) += size;
  }
  return {bytes, paged};
}

Status listLayers(const moert_library *library) {
  const char *text = "";
  moert_library_manifest(library, &text);
  Result<JsonValue> manifest =
      parseJson("manifest", text, {.values = std::strlen(text)});
  if (!manifest)
    return Error{manifest.error()};
  const JsonValue *layers = manifest->member("layers");
  if (!layers)
    return success();
  for (const JsonValue &layer : layers->items) {
    // The runtime has opened the library, so it has them.
    const std::string &name = layer.member("name")->string;
    const std::string &runs = layer.member("entry")->string;
    const moert_library_entry *entry = nullptr;
    moert_library_find_entry(library, runs.c_str(), nullptr, &entry);
    auto [bytes, paged] = bindingBytes(entry);
    std::printf("%s runs %s, %llu bytes of weights", name.c_str(), runs.c_str(),
                static_cast<unsigned long long>(bytes));
    if (paged)
      std::printf(", %llu of each paged cluster",
                  static_cast<unsigned long long>(paged));
    std::printf("\n");
  }
  return success();
}

void listEntries(const moert_library *library) {
  const moert_library_entry *entry = nullptr;
  for (int32_t i = 0; moert_library_entry_at(library, i, &entry) == MOERT_OK;
       ++i) {
    const char *name = nullptr;
    moert_library_entry_name(entry, &name);
    std::printf("%s\n", name);
    const moert_argument *argument = nullptr;
    for (int32_t a = 0; moert_library_argument(entry, a, &argument) == MOERT_OK;
         ++a)
      std::printf("  %-6s %s: %s\n",
                  argument->role == MOERT_OUTPUT    ? "output"
                  : argument->role == MOERT_BINDING ? "binding"
                                                    : "input",
                  argument->name, describe(*argument).c_str());
  }
}

uint64_t checksum(std::span<const uint8_t> bytes, uint64_t before) {
  for (uint8_t byte : bytes)
    before = (before ^ byte) * 1099511628211u;
  return before;
}

std::string describePaging(const moert_paging_statistics &statistics) {
  if (!statistics.slot_bytes)
    return "";
  auto number = [](uint64_t value) {
    return static_cast<unsigned long long>(value);
  };
  char text[512];
  std::snprintf(
      text, sizeof text,
      "paging: slots of %.6g MB for bases of %.6g MB, %.6g MB resident\n"
      "paging: %llu hits, %llu late, %llu misses\n"
      "paging: %llu reads of %.6g MB in %.4g s, %llu ahead of time (%llu in "
      "vain); steps waited %.4g s",
      double(statistics.slot_bytes) / 1e6, double(statistics.base_bytes) / 1e6,
      double(statistics.resident_bytes) / 1e6, number(statistics.hits),
      number(statistics.late), number(statistics.misses),
      number(statistics.reads), double(statistics.bytes_read) / 1e6,
      statistics.read_seconds, number(statistics.reads_ahead),
      number(statistics.wasted), statistics.stall_seconds);
  return text + (*statistics.notice
                     ? "\npaging: " + std::string(statistics.notice)
                     : std::string());
}

ResidentBytes residentBytes() {
  ResidentBytes bytes;
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);)
    for (auto [key, place] :
         {std::pair("VmRSS:", &bytes.now), std::pair("VmHWM:", &bytes.most)})
      if (line.starts_with(key))
        *place =
            std::strtoull(line.c_str() + std::strlen(key), nullptr, 10) * 1024;
  return bytes;
}

std::string summarize(const Tensor &tensor) {
  size_t count = tensor.count();
  double least = INFINITY, largest = -INFINITY, sum = 0, squares = 0;
  bool hasNaN = false;
  for (size_t i = 0; i < count; ++i) {
    double value = tensor.valueAt(i);
    hasNaN |= std::isnan(value);
    least = std::min(least, value);
    largest = std::max(largest, value);
    sum += value;
    squares += value * value;
  }
  // The sign of a NaN says nothing.
  double mean = std::isnan(sum) ? std::abs(sum) : sum / double(count);
  char numbers[256];
  if (count == 0)
    std::snprintf(numbers, sizeof numbers, "empty");
  else
    std::snprintf(numbers, sizeof numbers,
                  "min %.6g max %.6g mean %.6g l2 %.6g%s", least, largest, mean,
                  std::sqrt(squares), hasNaN ? " has NaN" : "");
  char hash[32];
  std::snprintf(hash, sizeof hash, " fnv1a %016llx",
                static_cast<unsigned long long>(checksum(tensor.data)));
  return std::string(tensor.argument->name) + ": " + typeName(tensor.type) +
         " " + shapeToString(tensor.shape) + " " + numbers + hash;
}

std::string printValues(const Tensor &tensor) {
  size_t count = tensor.count();
  size_t row = tensor.shape.empty() ? 1 : size_t(tensor.shape.back());
  std::string text;
  for (size_t i = 0; i < count; ++i) {
    char number[40];
    std::snprintf(number, sizeof number, "%.9g", tensor.valueAt(i));
    text += number;
    text += (i + 1) % row == 0 ? '\n' : ' ';
  }
  return text;
}

std::string summarizeTimes(std::vector<double> seconds) {
  std::sort(seconds.begin(), seconds.end());
  char text[128];
  std::snprintf(text, sizeof text, "%zu runs: min %.1f us, median %.1f us",
                seconds.size(), seconds.front() * 1e6,
                seconds[seconds.size() / 2] * 1e6);
  return text;
}

Status writeTensor(const std::string &folder, const Tensor &tensor) {
  // Names come from the artifact: none of them may leave the folder.
  std::string name = tensor.argument->name;
  std::replace(name.begin(), name.end(), '/', '_');
  std::string path = folder + "/" + name;
  if (tensor.type != ElementType::BF16)
    return writeNpy(path + ".npy", tensor.type, tensor.shape, tensor.data);
  std::vector<TensorToWrite> one = {
      {tensor.argument->name, tensor.type, tensor.shape, tensor.data}};
  return writeSafetensors(path + ".safetensors", one);
}

} // namespace moec::run
