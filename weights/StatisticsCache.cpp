// Results about weights, kept on disk by what they were computed from.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
//
// An entry is a safetensors file of F64 and I32 tensors, named 00.name, 01.name
// ... in the order they were put. Its metadata says which format and key it
// has, and holds a hash of all tensors, so that no damage is taken for a
// result.
#include "weights/StatisticsCache.h"

#include "weights/ElementType.h"
#include "weights/Safetensors.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <map>
#include <set>
#include <tuple>

namespace moec::weights {

namespace {

namespace fs = std::filesystem;

/// What an entry's metadata must say; another version is a miss.
constexpr const char *formatKey = "moec.statistics";
constexpr const char *formatVersion = "0.1";
constexpr const char *keyKey = "key";
constexpr const char *checkKey = "check";

constexpr std::string_view suffix = ".safetensors";
constexpr size_t maxNameBytes = 200;
/// Of the file, beyond its values.
constexpr uint64_t maxHeaderBytes = uint64_t(1) << 20;
/// Values hashed at once.
constexpr int64_t pieceLength = int64_t(1) << 22;

template <typename T> std::span<const uint8_t> bytesOf(std::span<const T> v) {
  return {reinterpret_cast<const uint8_t *>(v.data()), v.size_bytes()};
}

std::span<const uint8_t> bytesOf(const NamedArray &array) {
  return std::visit(
      [](const auto &values) { return bytesOf(std::span(values)); },
      array.values);
}

ElementType typeOf(const NamedArray &array) {
  return array.values.index() == 0 ? ElementType::F64 : ElementType::I32;
}

/// "07.name".
std::string storedName(size_t place, const std::string &name) {
  return std::string{char('0' + place / 10), char('0' + place % 10), '.'} +
         name;
}

void updateNumber(StreamingHash &hash, uint64_t number) {
  hash.update(bytesOf(std::span<const uint64_t>(&number, 1)));
}

/// A hash of all that an entry holds.
std::string checkOf(std::span<const NamedArray> arrays) {
  StreamingHash hash;
  updateNumber(hash, arrays.size());
  for (const NamedArray &array : arrays) {
    updateNumber(hash, array.name.size());
    hash.update(array.name);
    updateNumber(hash, array.values.index());
    updateNumber(hash, array.shape.size());
    hash.update(bytesOf(std::span<const int64_t>(array.shape)));
    hash.update(bytesOf(array));
  }
  return hashText(hash.digest64());
}

Status checkArrays(std::span<const NamedArray> arrays) {
  if (arrays.size() > statisticsMaxArrays)
    return Error{"expected at most " + std::to_string(statisticsMaxArrays) +
                 " arrays, found " + std::to_string(arrays.size())};
  std::set<std::string_view> names;
  uint64_t total = 0;
  for (const NamedArray &array : arrays) {
    if (array.name.empty() || array.name.size() > maxNameBytes ||
        !names.insert(array.name).second ||
        std::any_of(array.name.begin(), array.name.end(),
                    [](char c) { return c < 0x20 || c > 0x7E; }))
      return Error{"expected names of 1 to " + std::to_string(maxNameBytes) +
                   " printable ASCII characters, each once, found another"};
    size_t count = std::visit([](const auto &values) { return values.size(); },
                              array.values);
    std::optional<int64_t> expected = elementCount(array.shape);
    if (!expected || uint64_t(*expected) != count)
      return Error{"array '" + array.name + "': expected values for shape " +
                   shapeToString(array.shape) + ", found " +
                   std::to_string(count)};
    total += bytesOf(array).size();
  }
  if (total > statisticsMaxEntryBytes)
    return Error{"expected at most " + std::to_string(statisticsMaxEntryBytes) +
                 " bytes of values, found " + std::to_string(total)};
  return success();
}

/// A tensor as the array it was; nothing unless it is one of ours.
std::optional<NamedArray> arrayOf(const TensorRecord &tensor,
                                  std::span<const uint8_t> bytes) {
  NamedArray array{tensor.name.substr(3), tensor.shape, {}};
  auto fill = [&]<typename T>(std::vector<T> values) {
    values.resize(bytes.size() / sizeof(T));
    if (!values.empty())
      std::memcpy(values.data(), bytes.data(), bytes.size());
    array.values = std::move(values);
    return array;
  };
  if (tensor.type == ElementType::F64)
    return fill(std::vector<double>());
  if (tensor.type == ElementType::I32)
    return fill(std::vector<int32_t>());
  return std::nullopt;
}

} // namespace

Result<Hash128>
contentHash(std::span<const std::shared_ptr<const MatrixSource>> sources,
            std::string_view options) {
  StreamingHash hash;
  // Lengths first, so that no two inputs are the same row of bytes.
  updateNumber(hash, options.size());
  hash.update(options);
  updateNumber(hash, sources.size());
  std::vector<float> values;
  for (const std::shared_ptr<const MatrixSource> &source : sources) {
    const MatrixShape &shape = source->shape();
    updateNumber(hash, uint64_t(shape.entries));
    updateNumber(hash, uint64_t(shape.rows));
    updateNumber(hash, uint64_t(shape.cols));
    int64_t count = shape.rows * shape.cols;
    for (int64_t entry = 0; entry < shape.entries; ++entry)
      for (int64_t begin = 0; begin < count; begin += pieceLength) {
        values.resize(size_t(std::min(pieceLength, count - begin)));
        if (Status status = source->readAnyOrder(entry, begin, values); !status)
          return Error{status.error()};
        hash.update(bytesOf(std::span<const float>(values)));
      }
  }
  return hash.digest128();
}

Result<StatisticsCache> StatisticsCache::open(const std::string &directory,
                                              uint64_t maxBytes) {
  std::error_code error;
  fs::create_directories(directory, error);
  if (error)
    return Error{directory + ": cannot make the directory: " + error.message()};
  return StatisticsCache(directory, maxBytes);
}

std::string StatisticsCache::pathOf(const Hash128 &key) const {
  return path + "/" + hashText(key) + std::string(suffix);
}

std::optional<std::vector<NamedArray>>
StatisticsCache::get(const Hash128 &key) const {
  std::string name = pathOf(key);
  std::error_code error;
  uint64_t size = fs::file_size(name, error);
  if (error || size > statisticsMaxEntryBytes + maxHeaderBytes)
    return std::nullopt;
  Result<SafetensorsFile> file = SafetensorsFile::open(name);
  if (!file || file->tensors().size() > statisticsMaxArrays)
    return std::nullopt;
  auto says = [&](const char *field, const std::string &expected) {
    auto entry = file->metadata().find(field);
    return entry != file->metadata().end() && entry->second == expected;
  };
  if (!says(formatKey, formatVersion) || !says(keyKey, hashText(key)))
    return std::nullopt;
  // Numbers in front of names give the order, whatever that of the data.
  std::map<std::string, const TensorRecord *> inOrder;
  for (const TensorRecord &tensor : file->tensors())
    inOrder[tensor.name] = &tensor;
  std::vector<NamedArray> arrays;
  for (const auto &[stored, tensor] : inOrder) {
    if (stored.size() < 3 ||
        stored != storedName(arrays.size(), stored.substr(3)))
      return std::nullopt;
    std::optional<NamedArray> array = arrayOf(*tensor, file->data(*tensor));
    if (!array)
      return std::nullopt;
    arrays.push_back(std::move(*array));
  }
  if (!says(checkKey, checkOf(arrays)))
    return std::nullopt;
  return arrays;
}

Status StatisticsCache::put(const Hash128 &key,
                            std::span<const NamedArray> arrays) const {
  std::string name = pathOf(key);
  if (Status status = checkArrays(arrays); !status)
    return Error{name + ": " + status.error()};
  std::vector<TensorToWrite> tensors;
  for (const NamedArray &array : arrays)
    tensors.push_back({storedName(tensors.size(), array.name), typeOf(array),
                       array.shape, bytesOf(array)});
  if (Status status = writeSafetensors(name, tensors,
                                       {{formatKey, formatVersion},
                                        {keyKey, hashText(key)},
                                        {checkKey, checkOf(arrays)}});
      !status)
    return status;
  evict(name);
  return success();
}

void StatisticsCache::evict(const std::string &kept) const {
  // Others may add and remove entries meanwhile: what fails is passed over.
  std::vector<std::tuple<fs::file_time_type, std::string, uint64_t>> entries;
  uint64_t total = 0;
  std::error_code error;
  for (fs::directory_iterator place(path, error), end; !error && place != end;
       place.increment(error)) {
    std::string name = place->path().filename().string();
    if (!name.ends_with(suffix) ||
        !hash128FromText(
            std::string_view(name).substr(0, name.size() - suffix.size())))
      continue;
    std::error_code failed;
    uint64_t size = place->file_size(failed);
    fs::file_time_type written = place->last_write_time(failed);
    if (failed)
      continue;
    total += size;
    if (name != fs::path(kept).filename())
      entries.emplace_back(written, place->path().string(), size);
  }
  std::sort(entries.begin(), entries.end());
  for (const auto &[written, name, size] : entries) {
    if (total <= maxBytes)
      return;
    std::error_code failed;
    if (fs::remove(name, failed))
      total -= size;
  }
}

} // namespace moec::weights
