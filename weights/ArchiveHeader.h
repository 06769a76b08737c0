// What is in a weight archive and where: as structures, and as text.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_WEIGHTS_ARCHIVEHEADER_H
#define MOEC_WEIGHTS_ARCHIVEHEADER_H

#include "weights/Hash.h"
#include "weights/Result.h"
#include "weights/StoredTensor.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace moec::weights {

/// The version of the format that is written. Another major is refused, a later
/// minor is read.
inline constexpr unsigned archiveMajor = 0;
inline constexpr unsigned archiveMinor = 1;

/// Records and the data begin at multiples of this, parts within a record at
/// multiples of the other.
inline constexpr uint64_t archivePageBytes = 4096;
inline constexpr uint64_t archivePartBytes = 64;

/// Limits on archives from outside.
inline constexpr uint64_t archiveMaxRecords = 1'048'576;
inline constexpr uint64_t archiveMaxTensors = 1'048'576;
inline constexpr size_t archiveMaxNameBytes = 1024;

/// What a record is used for: residency goes by it.
enum class RecordClass {
  Base,
  Residual,
  Router,
  Table,
  Prototype,
  Shared,
  Other
};

/// "residual", and the class of that name or nothing.
std::string_view recordClassName(RecordClass recordClass);
std::optional<RecordClass> recordClassFromName(std::string_view name);

/// What the archive was made from.
struct ArchiveSource {
  /// What people call it; not a path.
  std::string name;
  /// Of its content: hexadecimal digits, at most 128; may be empty.
  std::string hash;

  bool operator==(const ArchiveSource &) const = default;
};

/// Bytes from the start of the data.
struct ByteRange {
  uint64_t begin = 0;
  uint64_t end = 0;

  bool operator==(const ByteRange &) const = default;
};

/// A tensor of a record.
struct ArchiveTensor {
  std::string name;
  TensorForm form;
  /// The one value of a tensor that is not stored.
  std::optional<double> splat;

  /// Where the form's parts are, in their order; none of a splat.
  std::vector<ByteRange> parts;

  bool operator==(const ArchiveTensor &) const = default;
};

/// Consecutive tensors that are read together.
struct ArchiveRecord {
  std::string name;
  RecordClass recordClass = RecordClass::Other;
  std::vector<ArchiveTensor> tensors;

  /// From the start of the data, a multiple of 4096.
  uint64_t offset = 0;
  /// From the first byte of the first part to the last of the last one.
  uint64_t length = 0;
  /// XXH3 of these bytes.
  uint64_t hash = 0;

  bool operator==(const ArchiveRecord &) const = default;
};

/// The whole of it. A plan of an archive is one without places and hashes.
struct ArchiveHeader {
  unsigned minor = archiveMinor;
  /// What libraries and archives must agree on; see defaultLayoutHash.
  uint64_t layoutHash = 0;
  ArchiveSource source;
  std::vector<ArchiveRecord> records;

  /// Bytes of data, a multiple of 4096; and where they start in the file.
  uint64_t dataBytes = 0;
  uint64_t dataOffset = 0;

  bool operator==(const ArchiveHeader &) const = default;
};

/// The hash of the forms that occur and in which classes: it does not depend
/// on names, nor on how many there are, so regrouping experts keeps it.
uint64_t defaultLayoutHash(const ArchiveHeader &header);

/// Checks a plan and gives each record and part its place, one record behind
/// the other. Everything but the records' hashes is known then.
Status placeArchive(ArchiveHeader &header);

/// The text of __metadata__["moec.archive"].
std::string archiveMetadata(const ArchiveHeader &header);

/// The file before its data: a safetensors header padded with blanks. Its
/// length does not depend on hashes.
Result<std::string> archiveFileHeader(const ArchiveHeader &header);

/// Reads that text. `name` stands in messages. Parts are not placed yet: where
/// they are, the safetensors header says.
Result<ArchiveHeader> parseArchiveMetadata(const std::string &name,
                                           std::string_view text);

/// Reads and checks all but the data of a whole file's bytes.
Result<ArchiveHeader> parseArchive(const std::string &name,
                                   std::span<const uint8_t> file);

} // namespace moec::weights

#endif // MOEC_WEIGHTS_ARCHIVEHEADER_H
