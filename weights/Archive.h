// Weight archives as they are read: docs/archive.md.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_WEIGHTS_ARCHIVE_H
#define MOEC_WEIGHTS_ARCHIVE_H

#include "weights/ArchiveHeader.h"
#include "weights/File.h"
#include "weights/Result.h"
#include "weights/StoredTensor.h"

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace moec::weights {

/// An open archive: mapped, and checked but for its data, which verify() does.
/// Spans it gives out live as long as it does; threads may share it.
class Archive {
public:
  static Result<Archive> open(const std::string &path);

  const std::string &path() const { return filePath; }
  const ArchiveHeader &header() const { return contents; }
  std::span<const ArchiveRecord> records() const { return contents.records; }

  /// The record or tensor of that name, or null.
  const ArchiveRecord *findRecord(std::string_view name) const;
  const ArchiveTensor *findTensor(std::string_view name) const;

  /// The record that one of this archive's tensors is in.
  const ArchiveRecord *recordOf(const ArchiveTensor &tensor) const;

  /// Where in the file one of this archive's records begins.
  uint64_t fileOffset(const ArchiveRecord &record) const {
    return contents.dataOffset + record.offset;
  }

  /// The bytes of a record, without the padding behind it.
  std::span<const uint8_t> bytes(const ArchiveRecord &record) const;

  /// The bytes of a tensor's parts, as kernels read them; none of a splat.
  StoredTensorView bytes(const ArchiveTensor &tensor) const;

  /// The values of floats, splats too, row-major.
  Result<std::vector<float>> decode(const ArchiveTensor &tensor) const;

  /// The values of a table of integers.
  Result<std::vector<int64_t>>
  decodeIntegers(const ArchiveTensor &tensor) const;

  /// Whether the record's bytes have the hash that the header says, and the
  /// padding behind it is zero.
  Status verify(const ArchiveRecord &record) const;

private:
  Archive(std::string path, MappedFile file, ArchiveHeader header);

  std::string filePath;
  MappedFile file;
  ArchiveHeader contents;
  std::map<std::string, size_t, std::less<>> recordsByName;
  /// Record and place in it.
  std::map<std::string, std::pair<size_t, size_t>, std::less<>> tensorsByName;
};

} // namespace moec::weights

#endif // MOEC_WEIGHTS_ARCHIVE_H
