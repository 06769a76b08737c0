// moe-archive list: what is in an archive, and where.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/moe-archive/Commands.h"
#include "weights/Archive.h"

#include <cinttypes>
#include <cstdio>

using namespace moec::weights;

namespace moec::archive {

namespace {

void printTensor(const ArchiveTensor &tensor) {
  std::printf("  %s: %s", tensor.name.c_str(), toString(tensor.form).c_str());
  if (tensor.splat) {
    std::printf(", splat of %.9g\n", *tensor.splat);
    return;
  }
  uint64_t bytes = 0;
  for (auto [begin, end] : tensor.parts)
    bytes += end - begin;
  std::printf(", %" PRIu64 " bytes at %" PRIu64 "\n", bytes,
              tensor.parts.front().begin);
}

} // namespace

Status list(const Options &options) {
  Result<Archive> archive = Archive::open(options.files[0]);
  if (!archive)
    return Error{archive.error()};
  const ArchiveHeader &header = archive->header();
  if (options.json) {
    std::printf("%s\n", archiveMetadata(header).c_str());
    return success();
  }
  size_t tensors = 0;
  for (const ArchiveRecord &record : header.records)
    tensors += record.tensors.size();
  std::printf("archive: version %u.%u, layout %s, %zu records, %zu tensors, "
              "%" PRIu64 " bytes of data from %" PRIu64 "\n",
              archiveMajor, header.minor, hashText(header.layoutHash).c_str(),
              header.records.size(), tensors, header.dataBytes,
              header.dataOffset);
  std::printf("source: '%s' %s\n", header.source.name.c_str(),
              header.source.hash.empty() ? "without hash"
                                         : header.source.hash.c_str());
  for (const ArchiveRecord &record : header.records) {
    std::printf("%s: %s, %" PRIu64 " bytes at %" PRIu64 ", xxh3 %s\n",
                record.name.c_str(),
                std::string(recordClassName(record.recordClass)).c_str(),
                record.length, record.offset, hashText(record.hash).c_str());
    if (!options.records)
      for (const ArchiveTensor &tensor : record.tensors)
        printTensor(tensor);
  }
  return success();
}

} // namespace moec::archive
