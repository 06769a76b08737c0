// Safetensors files: a strict reader and an atomic writer.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
//
// A file is an 8-byte little-endian length, a JSON object of that length, and
// the tensors' data. The header is read by a state machine behind RapidJSON's
// iterative parser: what is nested deeper than a tensor's shape is refused, and
// no input grows the C++ stack.
#include "weights/Safetensors.h"

#include "weights/Hash.h"
#include "weights/Json.h"

#include <rapidjson/error/en.h>
#include <rapidjson/memorystream.h>
#include <rapidjson/reader.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <set>
#include <tuple>
#include <utility>

namespace moec::weights {

namespace {

/// Receives the events of the JSON parser and keeps the first error.
class HeaderHandler {
public:
  std::vector<TensorRecord> tensors;
  std::map<std::string, std::string> metadata;
  /// Of the keys of the header, in their order.
  std::vector<uint64_t> hashes;
  std::string error;

  bool Null() { return scalar("null"); }
  bool Bool(bool) { return scalar("a boolean"); }
  bool Double(double) { return scalar("a fraction"); }
  bool Int(int value) { return Int64(value); }
  bool Uint(unsigned value) { return Uint64(value); }
  bool Int64(int64_t value) {
    return value < 0 ? scalar("a negative number") : Uint64(uint64_t(value));
  }
  bool RawNumber(const char *, rapidjson::SizeType, bool) {
    return scalar("a number");
  }

  bool Uint64(uint64_t value) {
    if (state == State::Shape) {
      if (value > uint64_t(std::numeric_limits<int64_t>::max()))
        return failTensor("expected extents below 2^63 in its shape, found " +
                          std::to_string(value));
      if (current.shape.size() == safetensorsMaxRank)
        return failTensor("expected at most " +
                          std::to_string(safetensorsMaxRank) +
                          " extents in its shape, found more");
      current.shape.push_back(int64_t(value));
      return true;
    }
    if (state == State::Offsets) {
      if (offsetCount == 2)
        return failTensor("expected two data_offsets, found more");
      (offsetCount++ == 0 ? current.begin : current.end) = value;
      return true;
    }
    return scalar("a number");
  }

  bool String(const char *text, rapidjson::SizeType length, bool) {
    std::string_view value(text, length);
    if (state == State::Metadata) {
      metadata[key] = std::string(value);
      return true;
    }
    if (state == State::Tensor && key == "dtype") {
      std::optional<ElementType> type = elementTypeFromName(value);
      if (!type)
        return failTensor("expected a known dtype, found " + quote(value));
      current.type = *type;
      return true;
    }
    return scalar("a string");
  }

  bool StartObject() {
    if (state == State::Start) {
      state = State::Top;
      return true;
    }
    if (state == State::Top) {
      state = key == "__metadata__" ? State::Metadata : State::Tensor;
      if (state == State::Tensor) {
        current = TensorRecord();
        current.name = key;
        offsetCount = 0;
        fields = 0;
      } else if (++metadataCount == 2)
        return fail("expected each tensor once, found " + quote(key) +
                    " twice");
      return true;
    }
    return scalar("an object");
  }

  bool EndObject(rapidjson::SizeType) {
    if (state == State::Tensor) {
      if (fields != AllFields)
        return failTensor(std::string("expected dtype, shape and "
                                      "data_offsets, found no ") +
                          (!(fields & DType)   ? "dtype"
                           : !(fields & Shape) ? "shape"
                                               : "data_offsets"));
      tensors.push_back(std::move(current));
    }
    state = state == State::Top ? State::Done : State::Top;
    return true;
  }

  bool StartArray() {
    if (state == State::Tensor && (key == "shape" || key == "data_offsets")) {
      state = key == "shape" ? State::Shape : State::Offsets;
      return true;
    }
    return scalar("an array");
  }

  bool EndArray(rapidjson::SizeType) {
    if (state == State::Offsets && offsetCount != 2)
      return failTensor("expected two data_offsets, found " +
                        std::to_string(offsetCount));
    state = State::Tensor;
    return true;
  }

  bool Key(const char *text, rapidjson::SizeType length, bool) {
    key.assign(text, length);
    if (state == State::Top) {
      // Names that are equal are found among equal hashes, in the end: a set
      // of names would hold each of them twice.
      hashes.push_back(hash64(key));
      if (hashes.size() > safetensorsMaxTensors + 1)
        return fail("expected at most " +
                    std::to_string(safetensorsMaxTensors) +
                    " tensors, found more");
      return true;
    }
    if (state == State::Metadata) {
      if (!keysOfMetadata.insert(key).second)
        return fail("__metadata__: expected each key once, found " +
                    quote(key) + " twice");
      return true;
    }
    unsigned field = 0;
    if (key == "dtype")
      field = DType;
    else if (key == "shape")
      field = Shape;
    else if (key == "data_offsets")
      field = Offsets;
    if (field == 0)
      return failTensor("expected dtype, shape and data_offsets, found " +
                        quote(key));
    if (fields & field)
      return failTensor("expected " + key + " once, found it twice");
    fields |= field;
    return true;
  }

private:
  enum class State { Start, Top, Metadata, Tensor, Shape, Offsets, Done };
  enum : unsigned { DType = 1, Shape = 2, Offsets = 4, AllFields = 7 };

  bool fail(std::string message) {
    error = std::move(message);
    return false;
  }

  bool failTensor(const std::string &message) {
    return fail("tensor " + quote(current.name) + ": " + message);
  }

  /// A value where it does not belong.
  bool scalar(const char *found) {
    switch (state) {
    case State::Start:
    case State::Done:
      return fail(std::string("expected an object as header, found ") + found);
    case State::Top:
      return fail("tensor " + quote(key) + ": expected an object, found " +
                  found);
    case State::Metadata:
      return fail("__metadata__: expected a string for " + quote(key) +
                  ", found " + found);
    case State::Shape:
      return failTensor(std::string("expected non-negative integers in its "
                                    "shape, found ") +
                        found);
    case State::Offsets:
      return failTensor(std::string("expected non-negative integers in its "
                                    "data_offsets, found ") +
                        found);
    case State::Tensor:
      return failTensor(std::string("expected ") +
                        (key == "dtype" ? "a string" : "an array") + " for " +
                        key + ", found " + found);
    }
    return false;
  }

  State state = State::Start;
  unsigned fields = 0;
  unsigned offsetCount = 0;
  std::string key;
  TensorRecord current;
  unsigned metadataCount = 0;
  std::set<std::string> keysOfMetadata;
};

/// That no name is there twice; `hashes` are those of the header's keys.
Status checkNames(const std::vector<TensorRecord> &tensors,
                  std::vector<uint64_t> hashes) {
  std::sort(hashes.begin(), hashes.end());
  if (std::adjacent_find(hashes.begin(), hashes.end()) == hashes.end())
    return success();
  std::vector<std::string_view> names;
  for (const TensorRecord &tensor : tensors)
    names.push_back(tensor.name);
  std::sort(names.begin(), names.end());
  auto twice = std::adjacent_find(names.begin(), names.end());
  if (twice == names.end())
    return success();
  return Error{"expected each tensor once, found " + quote(*twice) + " twice"};
}

/// Sizes of single tensors, and that together they tile the data.
Status checkRecords(std::vector<TensorRecord> &tensors, uint64_t dataBytes) {
  for (const TensorRecord &tensor : tensors) {
    auto refuse = [&](const std::string &message) {
      return Error{"tensor " + quote(tensor.name) + ": " + message};
    };
    std::optional<uint64_t> bytes = tensorBytes(tensor.type, tensor.shape);
    if (!bytes)
      return refuse("expected whole bytes, below 2^60, found shape " +
                    shapeToString(tensor.shape) + " of " +
                    std::string(elementTypeName(tensor.type)));
    auto range = [&] {
      return std::to_string(tensor.begin) + " to " + std::to_string(tensor.end);
    };
    if (tensor.begin > tensor.end)
      return refuse("expected data_offsets in order, found " + range());
    if (tensor.end > dataBytes)
      return refuse("expected data_offsets within the " +
                    std::to_string(dataBytes) + " bytes of data, found " +
                    range());
    if (tensor.end - tensor.begin != *bytes)
      return refuse("expected " + std::to_string(*bytes) + " bytes for shape " +
                    shapeToString(tensor.shape) + " of " +
                    std::string(elementTypeName(tensor.type)) + ", found " +
                    std::to_string(tensor.end - tensor.begin));
  }
  // Empty tensors come before the one that starts where they lie.
  std::sort(tensors.begin(), tensors.end(),
            [](const TensorRecord &l, const TensorRecord &r) {
              return std::tie(l.begin, l.end, l.name) <
                     std::tie(r.begin, r.end, r.name);
            });
  uint64_t expected = 0;
  for (const TensorRecord &tensor : tensors) {
    if (tensor.begin != expected)
      return Error{"tensor " + quote(tensor.name) + ": expected its data at " +
                   std::to_string(expected) + ", found it at " +
                   std::to_string(tensor.begin) +
                   (tensor.begin < expected ? ", an overlap" : ", a gap")};
    expected = tensor.end;
  }
  if (expected != dataBytes)
    return Error{"expected the file to end behind the last tensor, at " +
                 std::to_string(expected) + " bytes of data, found " +
                 std::to_string(dataBytes)};
  return success();
}

} // namespace

Result<SafetensorsHeader> parseSafetensors(const std::string &name,
                                           std::span<const uint8_t> file) {
  auto refuse = [&](const std::string &message) {
    return Error{name + ": " + message};
  };
  if (file.size() < 8)
    return refuse("expected a safetensors file of at least 8 bytes, found " +
                  std::to_string(file.size()));
  uint64_t length = 0;
  for (int i = 7; i >= 0; --i)
    length = length << 8 | file[size_t(i)];
  if (length > safetensorsMaxHeaderBytes)
    return refuse("expected a header of at most " +
                  std::to_string(safetensorsMaxHeaderBytes) + " bytes, found " +
                  std::to_string(length));
  if (length > file.size() - 8)
    return refuse("expected a header within the " +
                  std::to_string(file.size()) + " bytes of the file, found " +
                  std::to_string(length) + " bytes of header");
  std::span<const uint8_t> text = file.subspan(8, length);
  if (text.empty() || text[0] != '{')
    return refuse("expected a header that starts with '{', found " +
                  (text.empty() ? std::string("an empty header")
                                : "byte " + std::to_string(text[0])));
  // RapidJSON takes a zero byte for the end of the text.
  if (std::memchr(text.data(), 0, text.size()))
    return refuse("expected JSON text as header, found a zero byte");

  HeaderHandler handler;
  rapidjson::Reader reader;
  rapidjson::MemoryStream stream(reinterpret_cast<const char *>(text.data()),
                                 text.size());
  constexpr unsigned flags =
      rapidjson::kParseIterativeFlag | rapidjson::kParseValidateEncodingFlag;
  if (!reader.Parse<flags>(stream, handler)) {
    if (!handler.error.empty())
      return refuse(handler.error);
    return refuse("expected JSON text as header, found at byte " +
                  std::to_string(reader.GetErrorOffset()) + ": " +
                  rapidjson::GetParseError_En(reader.GetParseErrorCode()));
  }
  if (Status status = checkNames(handler.tensors, std::move(handler.hashes));
      !status)
    return refuse(status.error());
  SafetensorsHeader header;
  header.tensors = std::move(handler.tensors);
  header.metadata = std::move(handler.metadata);
  header.dataOffset = 8 + length;
  if (Status status =
          checkRecords(header.tensors, file.size() - header.dataOffset);
      !status)
    return refuse(status.error());
  return header;
}

SafetensorsFile::SafetensorsFile(std::string path, MappedFile file,
                                 SafetensorsHeader header)
    : filePath(std::move(path)), file(std::move(file)),
      header(std::move(header)) {
  const std::vector<TensorRecord> &tensors = this->header.tensors;
  byName.reserve(tensors.size());
  for (size_t i = 0; i < tensors.size(); ++i)
    byName.push_back({hash64(tensors[i].name), uint32_t(i)});
  std::sort(byName.begin(), byName.end(),
            [&](const HashedName &l, const HashedName &r) {
              return l.hash != r.hash
                         ? l.hash < r.hash
                         : tensors[l.tensor].name < tensors[r.tensor].name;
            });
}

Result<SafetensorsFile> SafetensorsFile::open(const std::string &path) {
  Result<MappedFile> file = MappedFile::open(path);
  if (!file)
    return Error{file.error()};
  Result<SafetensorsHeader> header = parseSafetensors(path, file->bytes());
  if (!header)
    return Error{header.error()};
  return SafetensorsFile(path, std::move(*file), std::move(*header));
}

const TensorRecord *SafetensorsFile::find(std::string_view name) const {
  uint64_t hash = hash64(name);
  auto place =
      std::lower_bound(byName.begin(), byName.end(), hash,
                       [&](const HashedName &l, uint64_t hash) {
                         return l.hash != hash
                                    ? l.hash < hash
                                    : header.tensors[l.tensor].name < name;
                       });
  if (place == byName.end() || header.tensors[place->tensor].name != name)
    return nullptr;
  return &header.tensors[place->tensor];
}

std::span<const uint8_t>
SafetensorsFile::data(const TensorRecord &tensor) const {
  return file.bytes().subspan(header.dataOffset + tensor.begin,
                              tensor.end - tensor.begin);
}

Result<std::string>
safetensorsHeader(std::span<const TensorRecord> tensors,
                  const std::map<std::string, std::string> &metadata,
                  uint64_t alignment) {
  rapidjson::StringBuffer buffer;
  rapidjson::Writer<rapidjson::StringBuffer> json(buffer);
  auto string = [&](std::string_view text) {
    json.String(text.data(), rapidjson::SizeType(text.size()));
  };
  std::set<std::string_view> names;
  json.StartObject();
  if (!metadata.empty()) {
    string("__metadata__");
    json.StartObject();
    for (const auto &[key, value] : metadata) {
      string(key);
      string(value);
    }
    json.EndObject();
  }
  for (const TensorRecord &tensor : tensors) {
    std::string where = "tensor " + quote(tensor.name) + ": ";
    if (tensor.name == "__metadata__" || !names.insert(tensor.name).second)
      return Error{where + "expected each name once, and not __metadata__"};
    if (tensor.shape.size() > safetensorsMaxRank)
      return Error{where + "expected at most " +
                   std::to_string(safetensorsMaxRank) + " extents, found " +
                   std::to_string(tensor.shape.size())};
    string(tensor.name);
    json.StartObject();
    string("dtype");
    string(elementTypeName(tensor.type));
    string("shape");
    json.StartArray();
    for (int64_t extent : tensor.shape)
      json.Int64(extent);
    json.EndArray();
    string("data_offsets");
    json.StartArray();
    json.Uint64(tensor.begin);
    json.Uint64(tensor.end);
    json.EndArray();
    json.EndObject();
  }
  json.EndObject();

  uint64_t length = 8 + buffer.GetSize();
  length = (length + alignment - 1) / alignment * alignment;
  if (length - 8 > safetensorsMaxHeaderBytes ||
      tensors.size() > safetensorsMaxTensors)
    return Error{"expected a header of at most " +
                 std::to_string(safetensorsMaxHeaderBytes) + " bytes and " +
                 std::to_string(safetensorsMaxTensors) +
                 " tensors, found more"};
  std::string text(8, '\0');
  for (size_t i = 0; i < 8; ++i)
    text[i] = char((length - 8) >> (8 * i));
  text.append(buffer.GetString(), buffer.GetSize());
  text.resize(length, ' ');
  return text;
}

Status writeSafetensors(const std::string &path,
                        std::span<const TensorToWrite> tensors,
                        const std::map<std::string, std::string> &metadata) {
  std::vector<TensorRecord> records;
  std::vector<std::span<const uint8_t>> parts(1);
  uint64_t offset = 0;
  for (const TensorToWrite &tensor : tensors) {
    std::optional<uint64_t> bytes = tensorBytes(tensor.type, tensor.shape);
    if (!bytes || *bytes != tensor.data.size())
      return Error{path + ": tensor " + quote(tensor.name) + ": expected " +
                   (bytes ? std::to_string(*bytes) + " bytes"
                          : std::string("whole bytes")) +
                   " for shape " + shapeToString(tensor.shape) + " of " +
                   std::string(elementTypeName(tensor.type)) + ", found " +
                   std::to_string(tensor.data.size())};
    records.push_back(
        {tensor.name, tensor.type, tensor.shape, offset, offset + *bytes});
    offset += *bytes;
    parts.push_back(tensor.data);
  }
  Result<std::string> header = safetensorsHeader(records, metadata, 8);
  if (!header)
    return Error{path + ": " + header.error()};
  parts.front() = {reinterpret_cast<const uint8_t *>(header->data()),
                   header->size()};
  return writeFileAtomically(path, parts);
}

} // namespace moec::weights
