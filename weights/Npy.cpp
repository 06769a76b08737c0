// NumPy's .npy files, little-endian and in C order.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/Npy.h"

#include "weights/File.h"

#include <charconv>
#include <cstring>
#include <optional>
#include <string_view>

namespace moec::weights {

namespace {

struct Description {
  std::string_view text;
  ElementType type;
};

constexpr Description descriptions[] = {
    {"<f2", ElementType::F16}, {"<f4", ElementType::F32},
    {"<f8", ElementType::F64}, {"|i1", ElementType::I8},
    {"<i4", ElementType::I32}, {"<i8", ElementType::I64},
    {"|u1", ElementType::U8},  {"|b1", ElementType::Bool}};

constexpr char magic[] = {'\x93', 'N', 'U', 'M', 'P', 'Y'};
constexpr size_t longestHeader = 65536;
constexpr size_t highestRank = 32; // NumPy's own

/// Reads the one Python dictionary that a header is. Each function takes its
/// piece off the text, or leaves the text and says no.
class HeaderText {
public:
  explicit HeaderText(std::string_view text) : text(text) {}

  void skipSpace() {
    while (!text.empty() && (text[0] == ' ' || text[0] == '\n'))
      text.remove_prefix(1);
  }

  bool take(std::string_view word) {
    skipSpace();
    if (!text.starts_with(word))
      return false;
    text.remove_prefix(word.size());
    return true;
  }

  std::optional<std::string_view> takeString() {
    skipSpace();
    if (text.empty() || (text[0] != '\'' && text[0] != '"'))
      return std::nullopt;
    size_t end = text.find(text[0], 1);
    if (end == std::string_view::npos)
      return std::nullopt;
    std::string_view string = text.substr(1, end - 1);
    text.remove_prefix(end + 1);
    return string;
  }

  std::optional<int64_t> takeInteger() {
    skipSpace();
    int64_t value = 0;
    auto [end, code] =
        std::from_chars(text.data(), text.data() + text.size(), value);
    if (code != std::errc())
      return std::nullopt;
    text.remove_prefix(size_t(end - text.data()));
    return value;
  }

  std::optional<std::vector<int64_t>> takeTuple() {
    std::vector<int64_t> extents;
    if (!take("("))
      return std::nullopt;
    while (!take(")")) {
      std::optional<int64_t> extent = takeInteger();
      if (!extent || extents.size() == highestRank)
        return std::nullopt;
      extents.push_back(*extent);
      if (take(","))
        continue;
      // (3) is a number in Python, not a tuple.
      if (extents.size() == 1 || !take(")"))
        return std::nullopt;
      break;
    }
    return extents;
  }

  bool atEnd() {
    skipSpace();
    return text.empty();
  }

private:
  std::string_view text;
};

struct Header {
  std::optional<std::string_view> description;
  std::optional<bool> fortranOrder;
  std::optional<std::vector<int64_t>> shape;
};

/// The dictionary with its three keys, each once; nothing when it is not that.
std::optional<Header> parseHeader(std::string_view text) {
  HeaderText rest(text);
  Header header;
  if (!rest.take("{"))
    return std::nullopt;
  while (!rest.take("}")) {
    std::optional<std::string_view> key = rest.takeString();
    if (!key || !rest.take(":"))
      return std::nullopt;
    if (*key == "descr" && !header.description) {
      header.description = rest.takeString();
      if (!header.description)
        return std::nullopt;
    } else if (*key == "fortran_order" && !header.fortranOrder) {
      if (rest.take("True"))
        header.fortranOrder = true;
      else if (rest.take("False"))
        header.fortranOrder = false;
      else
        return std::nullopt;
    } else if (*key == "shape" && !header.shape) {
      header.shape = rest.takeTuple();
      if (!header.shape)
        return std::nullopt;
    } else {
      return std::nullopt;
    }
    if (rest.take(","))
      continue;
    if (!rest.take("}"))
      return std::nullopt;
    break;
  }
  if (!rest.atEnd() || !header.description || !header.fortranOrder ||
      !header.shape)
    return std::nullopt;
  return header;
}

} // namespace

Result<NpyArray> parseNpy(const std::string &name,
                          std::span<const uint8_t> file) {
  auto refuse = [&](const std::string &message) {
    return Error{name + ": " + message};
  };
  if (file.size() < 10 || std::memcmp(file.data(), magic, sizeof magic) != 0)
    return refuse("expected a .npy file, found other bytes at its start");
  unsigned version = file[6];
  if ((version != 1 && version != 2) || file[7] != 0)
    return refuse("expected .npy version 1.0 or 2.0, found " +
                  std::to_string(version) + "." + std::to_string(file[7]));
  size_t start = version == 1 ? 10 : 12;
  if (file.size() < start)
    return refuse("expected a header length, found the end of the file");
  size_t length = size_t(file[8]) | size_t(file[9]) << 8;
  if (version == 2)
    length |= size_t(file[10]) << 16 | size_t(file[11]) << 24;
  if (length > longestHeader || length > file.size() - start)
    return refuse("expected a header within the file and of at most " +
                  std::to_string(longestHeader) + " bytes, found " +
                  std::to_string(length));
  std::optional<Header> header = parseHeader(std::string_view(
      reinterpret_cast<const char *>(file.data()) + start, length));
  if (!header)
    return refuse("expected a header {'descr': ..., 'fortran_order': ..., "
                  "'shape': (...)}, found other text");

  NpyArray array;
  bool known = false;
  for (const Description &description : descriptions)
    if (description.text == *header->description) {
      array.type = description.type;
      known = true;
    }
  if (!known)
    return refuse("expected descr <f2, <f4, <f8, |i1, <i4, <i8, |u1 or |b1, "
                  "found '" +
                  std::string(header->description->substr(0, 40)) + "'");
  if (*header->fortranOrder)
    return refuse("expected C order, found Fortran order");
  array.shape = std::move(*header->shape);
  std::optional<uint64_t> bytes = tensorBytes(array.type, array.shape);
  if (!bytes)
    return refuse("expected non-negative extents of less than 2^60 bytes, "
                  "found shape " +
                  shapeToString(array.shape));
  std::span<const uint8_t> data = file.subspan(start + length);
  if (data.size() != *bytes)
    return refuse("expected " + std::to_string(*bytes) +
                  " bytes of data for shape " + shapeToString(array.shape) +
                  ", found " + std::to_string(data.size()));
  array.data.assign(data.begin(), data.end());
  return array;
}

Result<NpyArray> readNpy(const std::string &path) {
  Result<MappedFile> file = MappedFile::open(path);
  if (!file)
    return Error{file.error()};
  return parseNpy(path, file->bytes());
}

Status writeNpy(const std::string &path, ElementType type,
                std::span<const int64_t> shape, std::span<const uint8_t> data) {
  std::string_view text;
  for (const Description &description : descriptions)
    if (description.type == type)
      text = description.text;
  if (text.empty())
    return Error{path + ": expected a type that .npy has, found " +
                 std::string(elementTypeName(type))};
  std::optional<uint64_t> bytes = tensorBytes(type, shape);
  if (!bytes || *bytes != data.size() || shape.size() > highestRank)
    return Error{path + ": expected data that fills shape " +
                 shapeToString(shape) + ", found " +
                 std::to_string(data.size()) + " bytes"};
  std::string header = "{'descr': '" + std::string(text) +
                       "', 'fortran_order': False, 'shape': (";
  for (size_t i = 0; i < shape.size(); ++i)
    header += (i ? ", " : "") + std::to_string(shape[i]);
  header += shape.size() == 1 ? ",), }" : "), }";
  // The data starts at a multiple of 64, behind a newline.
  header.resize((10 + header.size() + 1 + 63) / 64 * 64 - 11, ' ');
  header += '\n';
  std::string start(magic, sizeof magic);
  start += '\1';
  start += '\0';
  start += char(header.size() & 0xFF);
  start += char(header.size() >> 8);
  start += header;
  std::span<const uint8_t> parts[] = {
      {reinterpret_cast<const uint8_t *>(start.data()), start.size()}, data};
  return writeFileAtomically(path, parts);
}

} // namespace moec::weights
