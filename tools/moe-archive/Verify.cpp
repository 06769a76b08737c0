// moe-archive verify: whether the data is what was written.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/moe-archive/Commands.h"
#include "tools/moe-archive/Progress.h"
#include "weights/Archive.h"

#include <cinttypes>
#include <cmath>
#include <cstdio>

using namespace moec::weights;

namespace moec::archive {

namespace {

/// Whether a record's floats are finite; the error names the first that is not.
Status verifyFinite(const Archive &archive, const ArchiveRecord &record) {
  for (const ArchiveTensor &tensor : record.tensors) {
    // A splat's value was checked when the archive was opened.
    if (tensor.splat || !tensor.form.encoding())
      continue;
    Result<std::vector<float>> values = archive.decode(tensor);
    if (!values)
      return Error{values.error()};
    size_t first = 0, count = 0;
    for (size_t i = values->size(); i-- > 0;)
      if (!std::isfinite((*values)[i])) {
        first = i;
        ++count;
      }
    if (count)
      return Error{archive.path() + ": tensor '" + tensor.name +
                   "': expected finite values, found " + std::to_string(count) +
                   " that are not, the first, " +
                   (std::isnan((*values)[first]) ? "NaN" : "an infinity") +
                   ", at " + std::to_string(first)};
  }
  return success();
}

} // namespace

Status verify(const Options &options) {
  Result<Archive> archive = Archive::open(options.files[0]);
  if (!archive)
    return Error{archive.error()};
  std::vector<const ArchiveRecord *> records;
  for (size_t i = 1; i < options.files.size(); ++i) {
    records.push_back(archive->findRecord(options.files[i]));
    if (!records.back())
      return Error{archive->path() + ": expected a record '" +
                   options.files[i] + "', found none of that name"};
  }
  if (records.empty())
    for (const ArchiveRecord &record : archive->records())
      records.push_back(&record);

  // All that is wrong is said, not the first alone.
  Progress progress("records", records.size());
  size_t bad = 0, done = 0;
  uint64_t bytes = 0;
  for (const ArchiveRecord *record : records) {
    Status status = archive->verify(*record);
    if (status && options.finite)
      status = verifyFinite(*archive, *record);
    if (!status) {
      ++bad;
      progress.clear();
      std::printf("%s\n", status.error().c_str());
    }
    bytes += record->length;
    progress.show(++done);
  }
  progress.clear();
  if (bad)
    return Error{archive->path() + ": expected good records, found " +
                 std::to_string(bad) + " bad of " +
                 std::to_string(records.size())};
  std::printf("%s: %zu records, %" PRIu64 " bytes: ok\n",
              archive->path().c_str(), records.size(), bytes);
  return success();
}

} // namespace moec::archive
