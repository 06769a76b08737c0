// moe-archive splat: an archive's structure without its data.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/moe-archive/Commands.h"
#include "weights/Archive.h"
#include "weights/ArchiveWriter.h"

#include <cstdio>

using namespace moec::weights;

namespace moec::archive {

Status splat(const Options &options) {
  Result<Archive> archive = Archive::open(options.files[0]);
  if (!archive)
    return Error{archive.error()};
  // Forms stay, and so does the layout hash: libraries take it as the original.
  ArchiveHeader plan = archive->header();
  size_t splats = 0, kept = 0;
  for (ArchiveRecord &record : plan.records)
    for (ArchiveTensor &tensor : record.tensors) {
      if (matches(options.keep, tensor.name)) {
        ++kept;
        continue;
      }
      tensor.splat = tensor.form.encoding() ? options.value : 0;
      ++splats;
    }
  Result<ArchiveWriter> writer = ArchiveWriter::open(options.output, plan);
  if (!writer)
    return Error{writer.error()};
  for (size_t i = 0; i < plan.records.size(); ++i) {
    std::vector<StoredTensorView> views;
    const ArchiveRecord &from = archive->records()[i];
    for (size_t t = 0; t < from.tensors.size(); ++t)
      if (!writer->header().records[i].tensors[t].splat)
        views.push_back(archive->bytes(from.tensors[t]));
    // As in repack: damage shall not get a good hash.
    if (!views.empty())
      if (Status status = archive->verify(from); !status)
        return status;
    if (Status status = writer->write(i, views); !status)
      return status;
  }
  if (Status status = writer->finish(); !status)
    return status;
  std::printf("%s: %zu splats, %zu tensors with data\n", options.output.c_str(),
              splats, kept);
  return success();
}

} // namespace moec::archive
