// moe-archive repack: another encoding or layout, and the error it makes.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/moe-archive/Commands.h"
#include "tools/moe-archive/Difference.h"
#include "tools/moe-archive/Progress.h"
#include "weights/Archive.h"
#include "weights/ArchiveWriter.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <list>

using namespace moec::weights;

namespace moec::archive {

namespace {

/// Writes one record, changed tensors anew; prints a line for each of these.
Status repackRecord(const Archive &archive, ArchiveWriter &writer, size_t index,
                    double &worst) {
  const ArchiveRecord &from = archive.records()[index];
  const ArchiveRecord &to = writer.header().records[index];
  // A list: views point into it.
  std::list<StoredTensor> changed;
  std::vector<StoredTensorView> views;
  for (size_t i = 0; i < from.tensors.size(); ++i) {
    const ArchiveTensor &tensor = from.tensors[i];
    const TensorForm &form = to.tensors[i].form;
    if (tensor.splat)
      continue;
    if (form == tensor.form) {
      views.push_back(archive.bytes(tensor));
      continue;
    }
    Result<std::vector<float>> before = archive.decode(tensor);
    if (!before)
      return Error{before.error()};
    Result<StoredTensor> stored = storeFloats(form, *before);
    if (!stored)
      return Error{archive.path() + ": tensor '" + tensor.name +
                   "': " + stored.error()};
    Result<std::vector<float>> after = loadFloats(form, *stored);
    if (!after)
      return Error{after.error()};
    Difference difference =
        compare(std::vector<double>(before->begin(), before->end()),
                std::vector<double>(after->begin(), after->end()));
    worst = std::max(worst, difference.relative);
    std::printf("%s: %s -> %s, %s\n", tensor.name.c_str(),
                toString(tensor.form).c_str(), toString(form).c_str(),
                describe(difference).c_str());
    changed.push_back(std::move(*stored));
    views.push_back(changed.back());
  }
  return writer.write(index, views);
}

} // namespace

Status repack(const Options &options) {
  Result<Archive> archive = Archive::open(options.files[0]);
  if (!archive)
    return Error{archive.error()};
  ArchiveHeader plan = archive->header();
  size_t matched = 0;
  for (ArchiveRecord &record : plan.records)
    for (ArchiveTensor &tensor : record.tensors) {
      if (!tensor.form.encoding() ||
          (!options.only.empty() && !matches(options.only, tensor.name)))
        continue;
      ++matched;
      if (options.encoding)
        tensor.form.values = *options.encoding;
      if (options.layout)
        tensor.form.layout = *options.layout;
    }
  if (matched == 0)
    return Error{archive->path() + ": expected " +
                 (options.only.empty() ? "tensors of floats"
                                       : "tensors of floats that --only "
                                         "matches") +
                 ", found none"};
  // Libraries made for the old forms shall not take the new archive.
  plan.layoutHash = defaultLayoutHash(plan);

  Result<ArchiveWriter> writer = ArchiveWriter::open(options.output, plan);
  if (!writer)
    return Error{writer.error()};
  Progress progress("records", plan.records.size());
  double worst = 0;
  for (size_t i = 0; i < plan.records.size(); ++i) {
    // Bytes that are not what was written would get a new, good hash.
    if (Status status = archive->verify(archive->records()[i]); !status)
      return status;
    progress.clear();
    if (Status status = repackRecord(*archive, *writer, i, worst); !status)
      return status;
    progress.show(i + 1);
  }
  if (Status status = writer->finish(); !status)
    return status;
  progress.clear();
  std::printf("%s: %" PRIu64 " bytes of data, before %" PRIu64
              "; largest max rel %.3g\n",
              options.output.c_str(), writer->header().dataBytes,
              archive->header().dataBytes, worst);
  return success();
}

} // namespace moec::archive
