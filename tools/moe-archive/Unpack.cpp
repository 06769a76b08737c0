// moe-archive unpack: an archive's values as a plain safetensors file.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/moe-archive/Commands.h"
#include "tools/moe-archive/Progress.h"
#include "weights/Archive.h"
#include "weights/SafetensorsWriter.h"

#include <cstdio>

using namespace moec::weights;

namespace moec::archive {

namespace {

/// How a tensor stands in the plain file: row-major, as integers or as floats
/// of a type that needs no scales.
TensorForm plainForm(const TensorForm &form, bool storedTypes) {
  TensorForm plain = form;
  plain.layout = Layout::RowMajor;
  if (const Encoding *encoding = form.encoding()) {
    bool isPlain = encoding->format == Format::BF16 ||
                   encoding->format == Format::F16 ||
                   (encoding->format == Format::F8E4M3 && !encoding->group);
    plain.values =
        Encoding{storedTypes && isPlain ? encoding->format : Format::F32};
  }
  return plain;
}

Result<StoredTensor> decodeAs(const Archive &archive,
                              const ArchiveTensor &tensor,
                              const TensorForm &plain) {
  if (!plain.encoding()) {
    Result<std::vector<int64_t>> values = archive.decodeIntegers(tensor);
    return values ? storeIntegers(plain, *values)
                  : Result<StoredTensor>(Error{values.error()});
  }
  Result<std::vector<float>> values = archive.decode(tensor);
  return values ? storeFloats(plain, *values)
                : Result<StoredTensor>(Error{values.error()});
}

} // namespace

Status unpack(const Options &options) {
  Result<Archive> archive = Archive::open(options.files[0]);
  if (!archive)
    return Error{archive.error()};
  std::vector<const ArchiveTensor *> tensors;
  std::vector<TensorToStream> plan;
  for (const ArchiveRecord &record : archive->records())
    for (const ArchiveTensor &tensor : record.tensors) {
      if (!options.only.empty() && !matches(options.only, tensor.name))
        continue;
      TensorForm plain = plainForm(tensor.form, options.storedTypes);
      Result<std::vector<PartForm>> parts = partsOf(plain);
      if (!parts)
        return Error{archive->path() + ": tensor '" + tensor.name +
                     "': " + parts.error()};
      tensors.push_back(&tensor);
      plan.push_back({tensor.name, parts->front().type, tensor.form.shape});
    }
  if (tensors.empty() && !options.only.empty())
    return Error{archive->path() +
                 ": expected tensors that --only matches, found none"};

  Result<SafetensorsWriter> writer =
      SafetensorsWriter::open(options.output, plan);
  if (!writer)
    return Error{writer.error()};
  Progress progress("tensors", tensors.size());
  for (size_t i = 0; i < tensors.size(); ++i) {
    Result<StoredTensor> stored =
        decodeAs(*archive, *tensors[i],
                 plainForm(tensors[i]->form, options.storedTypes));
    if (!stored)
      return Error{stored.error()};
    if (Status status = writer->append(stored->codes); !status)
      return status;
    progress.show(i + 1);
  }
  if (Status status = writer->finish(); !status)
    return status;
  progress.clear();
  std::printf("%s: %zu tensors\n", options.output.c_str(), tensors.size());
  return success();
}

} // namespace moec::archive
