// Weight archives as they are read: docs/archive.md.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/Archive.h"

#include <cassert>

#include "weights/Hash.h"

#include <algorithm>

namespace moec::weights {

Archive::Archive(std::string path, MappedFile file, ArchiveHeader header)
    : filePath(std::move(path)), file(std::move(file)),
      contents(std::move(header)) {
  for (size_t r = 0; r < contents.records.size(); ++r) {
    const ArchiveRecord &record = contents.records[r];
    recordsByName.emplace(record.name, r);
    for (size_t t = 0; t < record.tensors.size(); ++t)
      tensorsByName.emplace(record.tensors[t].name, std::pair(r, t));
  }
}

Result<Archive> Archive::open(const std::string &path) {
  Result<MappedFile> file = MappedFile::open(path);
  if (!file)
    return Error{file.error()};
  Result<ArchiveHeader> header = parseArchive(path, file->bytes());
  if (!header)
    return Error{header.error()};
  return Archive(path, std::move(*file), std::move(*header));
}

const ArchiveRecord *Archive::findRecord(std::string_view name) const {
  auto place = recordsByName.find(name);
  return place == recordsByName.end() ? nullptr
                                      : &contents.records[place->second];
}

const ArchiveTensor *Archive::findTensor(std::string_view name) const {
  auto place = tensorsByName.find(name);
  if (place == tensorsByName.end())
    return nullptr;
  auto [record, tensor] = place->second;
  return &contents.records[record].tensors[tensor];
}

const ArchiveRecord *Archive::recordOf(const ArchiveTensor &tensor) const {
  auto place = tensorsByName.find(tensor.name);
  assert(place != tensorsByName.end() && "the tensor is of another archive");
  return &contents.records[place->second.first];
}

std::span<const uint8_t> Archive::bytes(const ArchiveRecord &record) const {
  return file.bytes().subspan(fileOffset(record), record.length);
}

StoredTensorView Archive::bytes(const ArchiveTensor &tensor) const {
  StoredTensorView view;
  if (tensor.splat)
    return view;
  // The form was checked when the archive was opened.
  Result<std::vector<PartForm>> forms = partsOf(tensor.form);
  for (size_t i = 0; i < tensor.parts.size(); ++i) {
    auto [begin, end] = tensor.parts[i];
    view[(*forms)[i].part] =
        file.bytes().subspan(contents.dataOffset + begin, end - begin);
  }
  return view;
}

Result<std::vector<float>> Archive::decode(const ArchiveTensor &tensor) const {
  auto refuse = [&](const std::string &message) {
    return Error{filePath + ": tensor '" + tensor.name + "': " + message};
  };
  if (tensor.splat) {
    Result<float> value = splatFloat(tensor.form, *tensor.splat);
    if (!value)
      return refuse(value.error());
    return std::vector<float>(size_t(*elementCount(tensor.form.shape)), *value);
  }
  Result<std::vector<float>> values = loadFloats(tensor.form, bytes(tensor));
  if (!values)
    return refuse(values.error());
  return values;
}

Result<std::vector<int64_t>>
Archive::decodeIntegers(const ArchiveTensor &tensor) const {
  if (tensor.splat && !tensor.form.encoding())
    return std::vector<int64_t>(size_t(*elementCount(tensor.form.shape)),
                                int64_t(*tensor.splat));
  Result<std::vector<int64_t>> values =
      loadIntegers(tensor.form, bytes(tensor));
  if (!values)
    return Error{filePath + ": tensor '" + tensor.name +
                 "': " + values.error()};
  return values;
}

Status Archive::verify(const ArchiveRecord &record) const {
  auto refuse = [&](const std::string &message) {
    return Error{filePath + ": record '" + record.name + "' at " +
                 std::to_string(fileOffset(record)) + " (" +
                 std::to_string(record.length) + " bytes): " + message};
  };
  if (uint64_t found = hash64(bytes(record)); found != record.hash)
    return refuse("expected XXH3 " + hashText(record.hash) + ", found " +
                  hashText(found));
  uint64_t end = fileOffset(record) + record.length;
  uint64_t padding = -end % archivePageBytes;
  std::span<const uint8_t> behind = file.bytes().subspan(end, padding);
  auto place = std::find_if(behind.begin(), behind.end(),
                            [](uint8_t byte) { return byte != 0; });
  if (place != behind.end())
    return refuse("expected zeros as padding, found " + std::to_string(*place) +
                  " at " +
                  std::to_string(end + uint64_t(place - behind.begin())));
  return success();
}

} // namespace moec::weights
