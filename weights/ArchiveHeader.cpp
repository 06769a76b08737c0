// What is in a weight archive and where: as structures, and as text.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
//
// The text is read by a state machine behind RapidJSON's iterative parser, as
// safetensors headers are: no input grows the C++ stack, and a key is only
// understood where it belongs.
#include "weights/ArchiveHeader.h"

#include "weights/Json.h"
#include "weights/Safetensors.h"

#include <rapidjson/error/en.h>
#include <rapidjson/memorystream.h>
#include <rapidjson/reader.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <iterator>
#include <limits>
#include <set>
#include <unordered_set>

namespace moec::weights {

namespace {

constexpr std::string_view classNames[] = {
    "base", "residual", "router", "table", "prototype", "shared", "other"};

constexpr std::string_view metadataKey = "moec.archive";
constexpr std::string_view checkKey = "moec.archive.xxh3";
constexpr std::string_view padPrefix = "__pad__.";
constexpr unsigned maxDepth = 16;
/// Sums of sizes stay far from the end of 64 bits.
constexpr uint64_t maxDataBytes = uint64_t(1) << 62;

uint64_t alignUp(uint64_t offset, uint64_t alignment) {
  return (offset + alignment - 1) / alignment * alignment;
}

std::string partName(const ArchiveTensor &tensor, const PartForm &part) {
  return tensor.name + std::string(partSuffix(part.part));
}

/// Whether text is UTF-8: JSON can spell halves of surrogate pairs, which no
/// one can write again.
bool isUtf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    uint8_t first = uint8_t(text[i++]);
    if (first < 0x80)
      continue;
    size_t more = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : 1;
    if (first < 0xC2 || first > 0xF4 || more > text.size() - i)
      return false;
    uint32_t code = first & (0x3Fu >> more);
    for (size_t end = i + more; i < end; ++i) {
      if ((uint8_t(text[i]) & 0xC0) != 0x80)
        return false;
      code = code << 6 | (uint8_t(text[i]) & 0x3F);
    }
    constexpr uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    if (code < least[more] || code > 0x10FFFF ||
        (code >= 0xD800 && code <= 0xDFFF))
      return false;
  }
  return true;
}

/// What is wrong with a name that files and messages will hold, or nothing.
Status verifyName(std::string_view name) {
  if (name.empty() || name.size() > archiveMaxNameBytes)
    return Error{"expected a name of 1 to " +
                 std::to_string(archiveMaxNameBytes) + " bytes, found " +
                 std::to_string(name.size())};
  for (char c : name)
    if (uint8_t(c) < 0x20 || c == 0x7F)
      return Error{"expected a name without control characters, found " +
                   quote(name)};
  if (!isUtf8(name))
    return Error{"expected a name in UTF-8, found " + quote(name)};
  return success();
}

Status verifySource(const ArchiveSource &source) {
  if (!source.name.empty())
    if (Status status = verifyName(source.name); !status)
      return Error{"source: " + status.error()};
  // The place of a file on somebody's machine identifies nothing.
  if (source.name.starts_with("/") || source.name.starts_with("./") ||
      source.name.starts_with("../") || source.name.starts_with("~"))
    return Error{"source: expected a name and no path, found " +
                 quote(source.name)};
  bool isHex = std::all_of(source.hash.begin(), source.hash.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
  });
  if (source.hash.size() > 128 || !isHex)
    return Error{"source: expected a hash of at most 128 hexadecimal digits, "
                 "found " +
                 quote(source.hash)};
  return success();
}

/// What a plan must hold and a file's metadata too: names once, forms that go
/// together, splats that their form can have.
Status verifyContent(const ArchiveHeader &header) {
  if (Status status = verifySource(header.source); !status)
    return status;
  if (header.records.size() > archiveMaxRecords)
    return Error{"expected at most " + std::to_string(archiveMaxRecords) +
                 " records, found " + std::to_string(header.records.size())};
  std::unordered_set<std::string_view> records;
  std::unordered_set<std::string> parts;
  for (const ArchiveRecord &record : header.records) {
    std::string where = "record " + quote(record.name) + ": ";
    if (Status status = verifyName(record.name); !status)
      return Error{where + status.error()};
    if (!records.insert(record.name).second)
      return Error{where + "expected each record once, found it twice"};
    for (const ArchiveTensor &tensor : record.tensors) {
      where = "tensor " + quote(tensor.name) + ": ";
      if (Status status = verifyName(tensor.name); !status)
        return Error{where + status.error()};
      if (tensor.name == "__metadata__" || tensor.name.starts_with(padPrefix))
        return Error{where + "expected a name that safetensors or padding does "
                             "not use"};
      Result<std::vector<PartForm>> forms = partsOf(tensor.form);
      if (!forms)
        return Error{where + forms.error()};
      // A splat reserves the names of what would be stored.
      for (const PartForm &form : *forms)
        if (!parts.insert(partName(tensor, form)).second)
          return Error{where + "expected each name once, found " +
                       quote(partName(tensor, form)) + " twice"};
      if (tensor.splat)
        if (Status status = verifySplat(tensor.form, *tensor.splat); !status)
          return Error{where + status.error()};
    }
  }
  return success();
}

/// The shortest text that reads back as the same double.
std::string numberText(double value) {
  char text[40];
  auto [end, code] = std::to_chars(text, text + sizeof text, value);
  return std::string(text, end);
}

/// Receives the events of the JSON parser and keeps the first error.
class MetadataHandler {
public:
  ArchiveHeader header;
  std::string error;

  bool Null() { return wrong("null"); }
  bool Bool(bool) { return wrong("a boolean"); }
  // Numbers come as text instead: RapidJSON's own conversion of long fractions
  // counts the leading zeros of zero.
  bool Int(int) { return false; }
  bool Uint(unsigned) { return false; }
  bool Int64(int64_t) { return false; }
  bool Uint64(uint64_t) { return false; }
  bool Double(double) { return false; }

  bool RawNumber(const char *text, rapidjson::SizeType length, bool) {
    const char *end = text + length;
    if (state == State::Tensor && key == "splat") {
      double value = 0;
      std::from_chars_result done = std::from_chars(text, end, value);
      if (done.ec != std::errc() || done.ptr != end)
        return failTensor("expected a splat within f64, found " +
                          quote({text, length}));
      tensor().splat = value;
      return true;
    }
    if (text[0] == '-')
      return wrong("a negative number");
    if (!std::all_of(text, end, [](char c) { return c >= '0' && c <= '9'; }))
      return wrong("a fraction");
    uint64_t value = 0;
    if (std::from_chars(text, end, value).ec != std::errc())
      return wrong("a number of more than 64 bits");
    return integer(value);
  }

  bool String(const char *text, rapidjson::SizeType length, bool) {
    std::string_view value(text, length);
    switch (state) {
    case State::Top:
      if (key == "moec_archive")
        return version(value);
      if (key == "layout_hash")
        return hash(value, header.layoutHash);
      break;
    case State::Source:
      if (key == "name" || key == "hash") {
        (key == "name" ? header.source.name : header.source.hash) = value;
        return true;
      }
      break;
    case State::Record:
      if (key == "name") {
        record().name = value;
        return true;
      }
      if (key == "class")
        return recordClass(value);
      if (key == "xxh3")
        return hash(value, record().hash);
      break;
    case State::Tensor:
      return tensorText(value);
    default:
      break;
    }
    return wrong("a string");
  }

  bool StartObject() {
    if (state == State::Start)
      return enter(State::Top);
    if (state == State::Top && key == "source")
      return enter(State::Source);
    if (state == State::Records) {
      if (header.records.size() == archiveMaxRecords)
        return fail("expected at most " + std::to_string(archiveMaxRecords) +
                    " records, found more");
      header.records.emplace_back();
      return enter(State::Record);
    }
    if (state == State::Tensors) {
      if (++tensorCount > archiveMaxTensors)
        return fail("expected at most " + std::to_string(archiveMaxTensors) +
                    " tensors, found more");
      record().tensors.emplace_back();
      return enter(State::Tensor);
    }
    return startOther("an object");
  }

  bool EndObject(rapidjson::SizeType) {
    if (skipDepth)
      return endSkipped();
    const Fields &expected = fieldsOf(state);
    for (size_t i = 0; i < std::size(expected.names); ++i)
      if (i < expected.required && !(seen() & (1u << i)))
        return fail(place() + "expected " + std::string(expected.names[i]) +
                    ", found none");
    if (state == State::Tensor && !(seen() & (Encoding | DType)))
      return failTensor("expected encoding or dtype, found neither");
    if (state == State::Tensor && (seen() & Encoding) && (seen() & DType))
      return failTensor("expected encoding or dtype, found both");
    return leave();
  }

  bool StartArray() {
    if (state == State::Top && key == "records")
      return enter(State::Records);
    if (state == State::Record && key == "tensors")
      return enter(State::Tensors);
    if (state == State::Tensor && key == "shape")
      return enter(State::Shape);
    return startOther("an array");
  }

  bool EndArray(rapidjson::SizeType) {
    return skipDepth ? endSkipped() : leave();
  }

  bool Key(const char *text, rapidjson::SizeType length, bool) {
    if (skipDepth)
      return true;
    key.assign(text, length);
    skipping = false;
    const Fields &fields = fieldsOf(state);
    for (size_t i = 0; i < std::size(fields.names); ++i) {
      if (fields.names[i].empty() || fields.names[i] != key)
        continue;
      if (seen() & (1u << i))
        return fail(place() + "expected " + key + " once, found it twice");
      seen() |= 1u << i;
      // What follows can only be read by who knows the version.
      if (state == State::Top && i != 0 && !(seen() & 1u))
        return fail("expected moec_archive first, found " + key);
      return true;
    }
    if (state == State::Top && !(seen() & 1u))
      return fail("expected moec_archive first, found " + quote(key));
    // A later minor may say more; this one says all it has to.
    skipping = header.minor > archiveMinor;
    return skipping ||
           fail(place() + "expected no field " + quote(key) + ", found it");
  }

private:
  enum class State {
    Start,
    Top,
    Source,
    Records,
    Record,
    Tensors,
    Tensor,
    Shape
  };
  enum : unsigned { Encoding = 1u << 2, DType = 1u << 3 };

  /// The fields of an object; the first `required` of them must be there.
  struct Fields {
    std::string_view names[6];
    size_t required;
  };
  static const Fields &fieldsOf(State state) {
    static constexpr Fields top = {
        {"moec_archive", "layout_hash", "source", "records"}, 4};
    static constexpr Fields source = {{"name", "hash"}, 2};
    static constexpr Fields record = {
        {"name", "class", "offset", "length", "xxh3", "tensors"}, 6};
    static constexpr Fields tensor = {
        {"name", "shape", "encoding", "dtype", "layout", "splat"}, 2};
    return state == State::Top      ? top
           : state == State::Source ? source
           : state == State::Record ? record
                                    : tensor;
  }

  bool fail(std::string message) {
    error = std::move(message);
    return false;
  }
  bool failTensor(const std::string &message) {
    return fail(place() + message);
  }

  /// A value where it does not belong, or one of a field that is skipped.
  bool wrong(const char *found) {
    if (skipDepth || skipping)
      return true;
    if (stack.empty())
      return fail(std::string("expected an object, found ") + found);
    std::string what = state == State::Records   ? "objects in records"
                       : state == State::Tensors ? "objects in tensors"
                       : state == State::Shape   ? "integers in shape"
                                                 : expectedOf(key);
    return fail(place() + "expected " + what + ", found " + found);
  }

  static std::string expectedOf(const std::string &key) {
    const char *kind =
        key == "records" || key == "tensors" || key == "shape" ? "an array"
        : key == "source"                                      ? "an object"
        : key == "offset" || key == "length" ? "a number from 0 on"
        : key == "splat"                     ? "a number"
                                             : "a string";
    return std::string(kind) + " for " + key;
  }

  /// An object or array that is not one of the format: wrong, or of a field
  /// that a later minor added.
  bool startOther(const char *found) {
    if (!skipping && !skipDepth)
      return wrong(found);
    return ++skipDepth <= maxDepth ||
           fail("expected at most " + std::to_string(maxDepth) +
                " levels in a field of a later version, found more");
  }
  bool endSkipped() {
    --skipDepth;
    return true;
  }

  bool enter(State next) {
    stack.push_back({state, 0});
    state = next;
    skipping = false;
    return true;
  }
  bool leave() {
    state = stack.back().state;
    stack.pop_back();
    skipping = false;
    return true;
  }
  /// Fields seen of the innermost object: arrays are never asked.
  unsigned &seen() { return stack.back().seen; }

  ArchiveRecord &record() { return header.records.back(); }
  ArchiveTensor &tensor() { return record().tensors.back(); }

  /// "tensor 'x': " or as much as is known of where this is.
  std::string place() {
    bool inRecord = state == State::Record || state == State::Tensors;
    bool inTensor = state == State::Tensor || state == State::Shape;
    if (inTensor && !tensor().name.empty())
      return "tensor " + quote(tensor().name) + ": ";
    if ((inRecord || inTensor) && !record().name.empty())
      return "record " + quote(record().name) + ": ";
    if (inRecord || inTensor)
      return "record " + std::to_string(header.records.size() - 1) + ": ";
    return state == State::Source ? "source: " : "";
  }

  bool version(std::string_view value) {
    unsigned major = 0, minor = 0;
    const char *end = value.data() + value.size();
    auto [dot, majorCode] = std::from_chars(value.data(), end, major);
    if (majorCode != std::errc() || dot == end || *dot != '.')
      return fail("expected a version MAJOR.MINOR, found " + quote(value));
    auto [last, minorCode] = std::from_chars(dot + 1, end, minor);
    if (minorCode != std::errc() || last != end)
      return fail("expected a version MAJOR.MINOR, found " + quote(value));
    if (major != archiveMajor)
      return fail("expected an archive of version " +
                  std::to_string(archiveMajor) + ".x, found version " +
                  std::to_string(major) + "." + std::to_string(minor));
    header.minor = minor;
    return true;
  }

  bool hash(std::string_view value, uint64_t &result) {
    std::optional<uint64_t> parsed = hash64FromText(value);
    if (!parsed)
      return fail(place() + "expected 16 hexadecimal digits for " + key +
                  ", found " + quote(value));
    result = *parsed;
    return true;
  }

  bool recordClass(std::string_view value) {
    std::optional<RecordClass> parsed = recordClassFromName(value);
    // A later minor may have classes that this one has no use for.
    if (!parsed && header.minor <= archiveMinor)
      return fail(place() +
                  "expected a class of base, residual, router, "
                  "table, prototype, shared or other, found " +
                  quote(value));
    record().recordClass = parsed.value_or(RecordClass::Other);
    return true;
  }

  bool tensorText(std::string_view value) {
    if (key == "name") {
      tensor().name = value;
      return true;
    }
    if (key == "encoding") {
      Result<weights::Encoding> parsed = encodingFromText(value);
      if (!parsed)
        return failTensor(parsed.error());
      tensor().form.values = *parsed;
      return true;
    }
    if (key == "dtype") {
      std::optional<ElementType> type = elementTypeFromName(value);
      if (!type)
        return failTensor("expected a known dtype, found " + quote(value));
      tensor().form.values = *type;
      return true;
    }
    if (key == "layout") {
      std::optional<Layout> layout = layoutFromName(value);
      if (!layout)
        return failTensor("expected a known layout, found " + quote(value));
      tensor().form.layout = *layout;
      return true;
    }
    return wrong("a string");
  }

  bool integer(uint64_t value) {
    if (state == State::Shape) {
      if (value > uint64_t(std::numeric_limits<int64_t>::max()))
        return failTensor("expected extents below 2^63, found " +
                          std::to_string(value));
      if (tensor().form.shape.size() == storedTensorMaxRank)
        return failTensor("expected at most " +
                          std::to_string(storedTensorMaxRank) +
                          " extents, found more");
      tensor().form.shape.push_back(int64_t(value));
      return true;
    }
    if (state == State::Record && (key == "offset" || key == "length")) {
      (key == "offset" ? record().offset : record().length) = value;
      return true;
    }
    return wrong("a number");
  }

  struct Level {
    State state;
    unsigned seen;
  };
  std::vector<Level> stack;
  State state = State::Start;
  std::string key;
  uint64_t tensorCount = 0;
  /// The value of the current key is not understood, and how deep in it we are.
  bool skipping = false;
  unsigned skipDepth = 0;
};

/// Safetensors' tensors by name, as a file has them.
using TensorsByName = std::map<std::string_view, const TensorRecord *>;

/// Places a record's parts where the safetensors header has them, and checks
/// that they are what the forms ask for. `cursor` is where the data is read.
Status matchRecord(ArchiveRecord &record, const TensorsByName &tensors,
                   uint64_t &cursor, uint64_t dataBytes) {
  std::string where = "record " + quote(record.name) + ": ";
  if (record.offset % archivePageBytes != 0)
    return Error{where + "expected an offset that is a multiple of " +
                 std::to_string(archivePageBytes) + ", found " +
                 std::to_string(record.offset)};
  if (record.offset < cursor)
    return Error{where + "expected to begin behind what is before it, at " +
                 std::to_string(cursor) + " or later, found " +
                 std::to_string(record.offset)};
  if (record.offset > dataBytes || record.length > dataBytes - record.offset)
    return Error{where + "expected to lie within the " +
                 std::to_string(dataBytes) + " bytes of data, found " +
                 std::to_string(record.length) + " bytes at " +
                 std::to_string(record.offset)};
  uint64_t end = record.offset;
  bool isFirst = true;
  for (ArchiveTensor &tensor : record.tensors) {
    if (tensor.splat)
      continue;
    // verifyContent has seen that they exist.
    Result<std::vector<PartForm>> forms = partsOf(tensor.form);
    for (const PartForm &form : *forms) {
      std::string name = partName(tensor, form);
      std::string what = "tensor " + quote(name) + ": ";
      auto found = tensors.find(name);
      if (found == tensors.end())
        return Error{what + "expected it among the file's tensors, as " +
                     quote(record.name) + " has it, found none"};
      const TensorRecord &stored = *found->second;
      if (stored.type != form.type || stored.shape != form.shape)
        return Error{
            what + "expected " + std::string(elementTypeName(form.type)) + " " +
            shapeToString(form.shape) + " for " + toString(tensor.form) +
            ", found " + std::string(elementTypeName(stored.type)) + " " +
            shapeToString(stored.shape)};
      if (stored.begin % archivePartBytes != 0)
        return Error{what + "expected to begin at a multiple of " +
                     std::to_string(archivePartBytes) + ", found " +
                     std::to_string(stored.begin)};
      if (isFirst ? stored.begin != end : stored.begin < end)
        return Error{what + "expected to follow in record " +
                     quote(record.name) + (isFirst ? " at " : " from ") +
                     std::to_string(end) + (isFirst ? "" : " on") +
                     ", found it at " + std::to_string(stored.begin)};
      isFirst = false;
      tensor.parts.push_back({stored.begin, stored.end});
      end = stored.end;
    }
  }
  if (end - record.offset != record.length)
    return Error{where + "expected a length of " +
                 std::to_string(end - record.offset) + " bytes, found " +
                 std::to_string(record.length)};
  cursor = end;
  return success();
}

} // namespace

std::string_view recordClassName(RecordClass recordClass) {
  return classNames[size_t(recordClass)];
}

std::optional<RecordClass> recordClassFromName(std::string_view name) {
  for (size_t i = 0; i < std::size(classNames); ++i)
    if (classNames[i] == name)
      return RecordClass(i);
  return std::nullopt;
}

uint64_t defaultLayoutHash(const ArchiveHeader &header) {
  std::set<std::string> forms;
  for (const ArchiveRecord &record : header.records)
    for (const ArchiveTensor &tensor : record.tensors)
      forms.insert(std::string(recordClassName(record.recordClass)) + " " +
                   toString(tensor.form) + "\n");
  StreamingHash hash;
  for (const std::string &form : forms)
    hash.update(form);
  return hash.digest64();
}

Status placeArchive(ArchiveHeader &header) {
  if (Status status = verifyContent(header); !status)
    return status;
  uint64_t cursor = 0, tensorCount = 0;
  for (ArchiveRecord &record : header.records) {
    cursor = alignUp(cursor, archivePageBytes);
    record.offset = cursor;
    for (ArchiveTensor &tensor : record.tensors) {
      tensor.parts.clear();
      if (++tensorCount > archiveMaxTensors)
        return Error{"expected at most " + std::to_string(archiveMaxTensors) +
                     " tensors, found more"};
      if (tensor.splat)
        continue;
      Result<std::vector<PartForm>> forms = partsOf(tensor.form);
      for (const PartForm &form : *forms) {
        uint64_t begin = alignUp(cursor, archivePartBytes);
        if (form.bytes > maxDataBytes - begin)
          return Error{"tensor " + quote(tensor.name) +
                       ": expected at most 2^62 bytes in an archive, found "
                       "more"};
        tensor.parts.push_back({begin, begin + form.bytes});
        cursor = begin + form.bytes;
      }
    }
    record.length = cursor - record.offset;
  }
  header.dataBytes = alignUp(cursor, archivePageBytes);
  Result<std::string> text = archiveFileHeader(header);
  if (!text)
    return Error{text.error()};
  header.dataOffset = text->size();
  return success();
}

std::string archiveMetadata(const ArchiveHeader &header) {
  rapidjson::StringBuffer buffer;
  rapidjson::Writer<rapidjson::StringBuffer> json(buffer);
  auto string = [&](std::string_view text) {
    json.String(text.data(), rapidjson::SizeType(text.size()));
  };
  json.StartObject();
  string("moec_archive");
  string(std::to_string(archiveMajor) + "." + std::to_string(header.minor));
  string("layout_hash");
  string(hashText(header.layoutHash));
  string("source");
  json.StartObject();
  string("name");
  string(header.source.name);
  string("hash");
  string(header.source.hash);
  json.EndObject();
  string("records");
  json.StartArray();
  for (const ArchiveRecord &record : header.records) {
    json.StartObject();
    string("name");
    string(record.name);
    string("class");
    string(recordClassName(record.recordClass));
    string("offset");
    json.Uint64(record.offset);
    string("length");
    json.Uint64(record.length);
    string("xxh3");
    string(hashText(record.hash));
    string("tensors");
    json.StartArray();
    for (const ArchiveTensor &tensor : record.tensors) {
      json.StartObject();
      string("name");
      string(tensor.name);
      if (const Encoding *encoding = tensor.form.encoding()) {
        string("encoding");
        string(toString(*encoding));
        string("layout");
        string(layoutName(tensor.form.layout));
      } else {
        string("dtype");
        string(elementTypeName(std::get<ElementType>(tensor.form.values)));
      }
      string("shape");
      json.StartArray();
      for (int64_t extent : tensor.form.shape)
        json.Int64(extent);
      json.EndArray();
      if (tensor.splat) {
        string("splat");
        std::string value = numberText(*tensor.splat);
        json.RawValue(value.data(), value.size(), rapidjson::kNumberType);
      }
      json.EndObject();
    }
    json.EndArray();
    json.EndObject();
  }
  json.EndArray();
  json.EndObject();
  return std::string(buffer.GetString(), buffer.GetSize());
}

Result<std::string> archiveFileHeader(const ArchiveHeader &header) {
  std::vector<TensorRecord> tensors;
  uint64_t cursor = 0, pads = 0;
  auto padTo = [&](uint64_t offset) {
    if (offset == cursor)
      return;
    tensors.push_back({std::string(padPrefix) + std::to_string(pads++),
                       ElementType::U8,
                       {int64_t(offset - cursor)},
                       cursor,
                       offset});
    cursor = offset;
  };
  for (const ArchiveRecord &record : header.records)
    for (const ArchiveTensor &tensor : record.tensors) {
      if (tensor.splat)
        continue;
      Result<std::vector<PartForm>> forms = partsOf(tensor.form);
      if (!forms)
        return Error{forms.error()};
      for (size_t i = 0; i < forms->size(); ++i) {
        const PartForm &form = (*forms)[i];
        padTo(tensor.parts[i].begin);
        cursor = tensor.parts[i].end;
        tensors.push_back({partName(tensor, form), form.type, form.shape,
                           tensor.parts[i].begin, cursor});
      }
    }
  padTo(header.dataBytes);
  std::string metadata = archiveMetadata(header);
  return safetensorsHeader(
      tensors,
      {{std::string(metadataKey), metadata},
       {std::string(checkKey), hashText(hash64(metadata))}},
      archivePageBytes);
}

Result<ArchiveHeader> parseArchiveMetadata(const std::string &name,
                                           std::string_view text) {
  auto refuse = [&](const std::string &message) {
    return Error{name + ": moec.archive: " + message};
  };
  // RapidJSON takes a zero byte for the end of the text.
  if (text.find('\0') != std::string_view::npos)
    return refuse("expected JSON text, found a zero byte");
  MetadataHandler handler;
  rapidjson::Reader reader;
  rapidjson::MemoryStream stream(text.data(), text.size());
  constexpr unsigned flags = rapidjson::kParseIterativeFlag |
                             rapidjson::kParseValidateEncodingFlag |
                             rapidjson::kParseNumbersAsStringsFlag;
  if (!reader.Parse<flags>(stream, handler)) {
    if (!handler.error.empty())
      return refuse(handler.error);
    return refuse("expected JSON text, found at byte " +
                  std::to_string(reader.GetErrorOffset()) + ": " +
                  rapidjson::GetParseError_En(reader.GetParseErrorCode()));
  }
  if (Status status = verifyContent(handler.header); !status)
    return refuse(status.error());
  return std::move(handler.header);
}

Result<ArchiveHeader> parseArchive(const std::string &name,
                                   std::span<const uint8_t> file) {
  auto refuse = [&](const std::string &message) {
    return Error{name + ": " + message};
  };
  Result<SafetensorsHeader> safetensors = parseSafetensors(name, file);
  if (!safetensors)
    return Error{safetensors.error()};
  auto text = safetensors->metadata.find(std::string(metadataKey));
  if (text == safetensors->metadata.end())
    return refuse("expected a weight archive, found a safetensors file "
                  "without moec.archive in its __metadata__");
  // Before anything is believed: a flipped bit in a name is still a name.
  auto check = safetensors->metadata.find(std::string(checkKey));
  std::string expected =
      check == safetensors->metadata.end() ? "none" : check->second;
  if (std::string found = hashText(hash64(text->second)); found != expected)
    return refuse("moec.archive: expected XXH3 " + expected +
                  " of the text, found " + found + ": the header is damaged");
  Result<ArchiveHeader> header = parseArchiveMetadata(name, text->second);
  if (!header)
    return Error{header.error()};

  header->dataOffset = safetensors->dataOffset;
  header->dataBytes = file.size() - safetensors->dataOffset;
  if (header->dataOffset % archivePageBytes != 0)
    return refuse("expected data that starts at a multiple of " +
                  std::to_string(archivePageBytes) + ", found " +
                  std::to_string(header->dataOffset));
  if (header->dataBytes % archivePageBytes != 0)
    return refuse("expected data of a multiple of " +
                  std::to_string(archivePageBytes) + " bytes, found " +
                  std::to_string(header->dataBytes));
  TensorsByName tensors;
  for (const TensorRecord &tensor : safetensors->tensors) {
    if (!std::string_view(tensor.name).starts_with(padPrefix)) {
      tensors.emplace(tensor.name, &tensor);
      continue;
    }
    if (tensor.type != ElementType::U8 || tensor.shape.size() != 1)
      return refuse("tensor " + quote(tensor.name) +
                    ": expected padding as U8 of one extent, found " +
                    std::string(elementTypeName(tensor.type)) + " " +
                    shapeToString(tensor.shape));
  }
  uint64_t cursor = 0;
  size_t partCount = 0;
  for (ArchiveRecord &record : header->records) {
    if (Status status = matchRecord(record, tensors, cursor, header->dataBytes);
        !status)
      return refuse(status.error());
    for (const ArchiveTensor &tensor : record.tensors)
      partCount += tensor.parts.size();
  }
  // Each part is another tensor, so what is left is in no record.
  if (partCount != tensors.size()) {
    for (const ArchiveRecord &record : header->records)
      for (const ArchiveTensor &tensor : record.tensors) {
        if (tensor.splat)
          continue;
        Result<std::vector<PartForm>> forms = partsOf(tensor.form);
        for (const PartForm &form : *forms)
          tensors.erase(partName(tensor, form));
      }
    return refuse("tensor " + quote(tensors.begin()->first) +
                  ": expected each tensor in a record, found it in none");
  }
  return header;
}

} // namespace moec::weights
