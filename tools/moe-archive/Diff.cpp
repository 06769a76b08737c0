// moe-archive diff: how far two archives' values are apart.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/moe-archive/Commands.h"
#include "tools/moe-archive/Difference.h"
#include "tools/moe-archive/Progress.h"
#include "weights/Archive.h"
#include "weights/FloatFormats.h"
#include "weights/Safetensors.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <map>
#include <optional>
#include <set>

using namespace moec::weights;

namespace moec::archive {

namespace {

using Shapes = std::map<std::string, std::vector<int64_t>>;

/// One side: an archive, or tensors of a safetensors file.
struct Side {
  std::string path;
  std::optional<Archive> archive;
  std::optional<SafetensorsFile> plain;
  Shapes shapes;
};

Result<Side> openSide(const std::string &path) {
  Side side{path, {}, {}, {}};
  Result<SafetensorsFile> file = SafetensorsFile::open(path);
  if (!file)
    return Error{file.error()};
  if (!file->metadata().contains("moec.archive")) {
    for (const TensorRecord &tensor : file->tensors())
      side.shapes[tensor.name] = tensor.shape;
    side.plain = std::move(*file);
    return side;
  }
  Result<Archive> archive = Archive::open(path);
  if (!archive)
    return Error{archive.error()};
  for (const ArchiveRecord &record : archive->records())
    for (const ArchiveTensor &tensor : record.tensors)
      side.shapes[tensor.name] = tensor.form.shape;
  side.archive = std::move(*archive);
  return side;
}

/// The values of one element type of little-endian bytes.
template <typename Value>
std::vector<double> convert(std::span<const uint8_t> bytes,
                            double (*toDouble)(Value)) {
  std::vector<double> values(bytes.size() / sizeof(Value));
  for (size_t i = 0; i < values.size(); ++i) {
    Value value;
    std::memcpy(&value, bytes.data() + i * sizeof(Value), sizeof(Value));
    values[i] = toDouble(value);
  }
  return values;
}

template <typename Value> double same(Value value) { return double(value); }

Result<std::vector<double>> valuesOf(const Side &side,
                                     const std::string &name) {
  if (side.archive) {
    const ArchiveTensor &tensor = *side.archive->findTensor(name);
    if (tensor.form.encoding()) {
      Result<std::vector<float>> values = side.archive->decode(tensor);
      if (!values)
        return Error{values.error()};
      return std::vector<double>(values->begin(), values->end());
    }
    Result<std::vector<int64_t>> values = side.archive->decodeIntegers(tensor);
    if (!values)
      return Error{values.error()};
    return std::vector<double>(values->begin(), values->end());
  }
  const TensorRecord &tensor = *side.plain->find(name);
  std::span<const uint8_t> bytes = side.plain->data(tensor);
  switch (tensor.type) {
  case ElementType::F64:
    return convert<double>(bytes, same);
  case ElementType::F32:
    return convert<float>(bytes, same);
  case ElementType::F16:
    return convert<uint16_t>(
        bytes, [](uint16_t bits) { return double(f16ToFloat(bits)); });
  case ElementType::BF16:
    return convert<uint16_t>(
        bytes, [](uint16_t bits) { return double(bf16ToFloat(bits)); });
  case ElementType::F8E4M3:
    return convert<uint8_t>(
        bytes, [](uint8_t bits) { return double(f8E4M3ToFloat(bits)); });
  case ElementType::I64:
    return convert<int64_t>(bytes, same);
  case ElementType::U64:
    return convert<uint64_t>(bytes, same);
  case ElementType::I32:
    return convert<int32_t>(bytes, same);
  case ElementType::U32:
    return convert<uint32_t>(bytes, same);
  case ElementType::I16:
    return convert<int16_t>(bytes, same);
  case ElementType::U16:
    return convert<uint16_t>(bytes, same);
  case ElementType::I8:
    return convert<int8_t>(bytes, same);
  case ElementType::U8:
  case ElementType::Bool:
    return convert<uint8_t>(bytes, same);
  default:
    return Error{side.path + ": tensor '" + name +
                 "': expected a type that diff compares, found " +
                 std::string(elementTypeName(tensor.type))};
  }
}

} // namespace

Status diff(const Options &options) {
  Result<Side> a = openSide(options.files[0]);
  if (!a)
    return Error{a.error()};
  if (!a->archive)
    return Error{a->path + ": expected a weight archive, found a safetensors "
                           "file without moec.archive in its __metadata__"};
  Result<Side> b = openSide(options.files[1]);
  if (!b)
    return Error{b.error()};

  // By name, so that the order of records does not matter.
  std::set<std::string> names;
  for (const Side *side : {&*a, &*b})
    for (const auto &[name, shape] : side->shapes)
      if (options.only.empty() || matches(options.only, name))
        names.insert(name);
  if (names.empty() && !options.only.empty())
    return Error{a->path + ": expected tensors that --only matches, found "
                           "none"};
  Progress progress("tensors", names.size());
  size_t done = 0, compared = 0, others = 0, tooFar = 0;
  double worst = 0;
  for (const std::string &name : names) {
    progress.show(done++);
    auto inA = a->shapes.find(name), inB = b->shapes.find(name);
    if (inA == a->shapes.end() || inB == b->shapes.end()) {
      ++others;
      progress.clear();
      std::printf("%s: only in %s\n", name.c_str(),
                  (inA == a->shapes.end() ? b : a)->path.c_str());
      continue;
    }
    if (inA->second != inB->second) {
      ++others;
      progress.clear();
      std::printf("%s: shape %s, other %s\n", name.c_str(),
                  shapeToString(inA->second).c_str(),
                  shapeToString(inB->second).c_str());
      continue;
    }
    Result<std::vector<double>> left = valuesOf(*a, name);
    if (!left)
      return Error{left.error()};
    Result<std::vector<double>> right = valuesOf(*b, name);
    if (!right)
      return Error{right.error()};
    Difference difference = compare(*left, *right);
    ++compared;
    tooFar += options.maxError && difference.relative > *options.maxError;
    worst = std::max(worst, difference.relative);
    progress.clear();
    std::printf("%s: %s\n", name.c_str(), describe(difference).c_str());
  }
  progress.clear();
  std::printf("%zu tensors compared, largest max rel %.3g\n", compared, worst);
  if (others)
    return Error{b->path + ": expected the tensors of " + a->path +
                 ", found other names or shapes of " + std::to_string(others)};
  if (tooFar) {
    char bound[32];
    std::snprintf(bound, sizeof bound, "%g", *options.maxError);
    return Error{b->path + ": expected max rel errors up to " + bound +
                 ", found larger ones in " + std::to_string(tooFar) +
                 " tensors"};
  }
  return success();
}

} // namespace moec::archive
