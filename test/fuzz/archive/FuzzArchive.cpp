// Fuzz entry of archives: the text of moec.archive, and the file around it.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/ArchiveHeader.h"
#include "weights/Safetensors.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>

using namespace moec::weights;

namespace {

std::span<const uint8_t> bytesOf(const std::string &text) {
  return {reinterpret_cast<const uint8_t *>(text.data()), text.size()};
}

void require(bool condition) {
  if (!condition)
    std::abort();
}

/// What is accepted of a whole file lies within it, in order, aligned.
void checkFile(const std::string &file) {
  Result<ArchiveHeader> header = parseArchive("fuzz", bytesOf(file));
  if (!header) {
    require(!header.error().empty());
    return;
  }
  uint64_t cursor = 0;
  for (const ArchiveRecord &record : header->records) {
    require(record.offset % archivePageBytes == 0 && record.offset >= cursor);
    cursor = record.offset;
    for (const ArchiveTensor &tensor : record.tensors) {
      Result<std::vector<PartForm>> forms = partsOf(tensor.form);
      require(bool(forms));
      require(tensor.parts.size() == (tensor.splat ? 0 : forms->size()));
      for (size_t i = 0; i < tensor.parts.size(); ++i) {
        auto [begin, end] = tensor.parts[i];
        require(begin >= cursor && end - begin == (*forms)[i].bytes);
        cursor = end;
      }
    }
    require(cursor == record.offset + record.length);
  }
  require(header->dataOffset + header->dataBytes == file.size());
  require(cursor <= header->dataBytes);
}

/// A file with that text and what its records ask for; hashes included, so that
/// mutations reach the checks behind them.
std::string fileOf(const ArchiveHeader &header, const std::string &text) {
  ArchiveHeader placed = header;
  if (!placeArchive(placed) || placed.dataBytes > 65536)
    return "";
  Result<std::string> own = archiveFileHeader(placed);
  require(bool(own));
  Result<SafetensorsHeader> tensors = parseSafetensors(
      "fuzz", bytesOf(*own + std::string(placed.dataBytes, '\0')));
  require(bool(tensors));
  Result<std::string> front = safetensorsHeader(
      tensors->tensors,
      {{"moec.archive", text}, {"moec.archive.xxh3", hashText(hash64(text))}},
      archivePageBytes);
  return front ? *front + std::string(placed.dataBytes, '\0') : "";
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::string text(reinterpret_cast<const char *>(data), size);
  Result<ArchiveHeader> header = parseArchiveMetadata("fuzz", text);
  if (!header) {
    require(!header.error().empty());
    return 0;
  }
  // What was understood means the same when it is written.
  std::string written = archiveMetadata(*header);
  Result<ArchiveHeader> again = parseArchiveMetadata("fuzz", written);
  require(again && archiveMetadata(*again) == written);
  // With the places that the input says, and with those that are right.
  std::string file = fileOf(*header, text);
  if (file.empty())
    return 0;
  checkFile(file);
  ArchiveHeader placed = *header;
  require(bool(placeArchive(placed)));
  Result<std::string> right = archiveFileHeader(placed);
  std::string whole = *right + std::string(placed.dataBytes, '\0');
  require(bool(parseArchive("fuzz", bytesOf(whole))));
  checkFile(whole);
  return 0;
}
