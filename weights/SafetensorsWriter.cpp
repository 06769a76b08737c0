// Safetensors files larger than memory: tensors first, their bytes after.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/SafetensorsWriter.h"

#include "weights/Safetensors.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <optional>
#include <unistd.h>
#include <utility>

namespace moec::weights {

Result<SafetensorsWriter>
SafetensorsWriter::open(const std::string &path,
                        std::span<const TensorToStream> tensors,
                        const std::map<std::string, std::string> &metadata) {
  std::vector<TensorRecord> records;
  uint64_t offset = 0;
  for (const TensorToStream &tensor : tensors) {
    std::optional<uint64_t> bytes = tensorBytes(tensor.type, tensor.shape);
    if (!bytes || *bytes > (uint64_t(1) << 62) - offset)
      return Error{path + ": tensor '" + tensor.name +
                   "': expected whole bytes, below 2^62 with those before it, "
                   "found shape " +
                   shapeToString(tensor.shape) + " of " +
                   std::string(elementTypeName(tensor.type))};
    records.push_back(
        {tensor.name, tensor.type, tensor.shape, offset, offset + *bytes});
    offset += *bytes;
  }
  Result<std::string> header = safetensorsHeader(records, metadata, 8);
  if (!header)
    return Error{path + ": " + header.error()};

  SafetensorsWriter writer;
  writer.path = path;
  for (int attempt = 0; attempt < 100 && writer.descriptor < 0; ++attempt) {
    writer.temporary = path + ".tmp-" + std::to_string(::getpid()) + "-" +
                       std::to_string(attempt);
    writer.descriptor = ::open(writer.temporary.c_str(),
                               O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (writer.descriptor < 0 && errno != EEXIST)
      break;
  }
  if (writer.descriptor < 0)
    return Error{path + ": cannot create a temporary file beside it: " +
                 std::strerror(errno)};
  writer.expectedBytes = header->size() + offset;
  if (Status status = writer.append(
          {reinterpret_cast<const uint8_t *>(header->data()), header->size()});
      !status)
    return Error{status.error()};
  return writer;
}

SafetensorsWriter::SafetensorsWriter(SafetensorsWriter &&other) noexcept
    : path(std::move(other.path)), temporary(std::move(other.temporary)),
      descriptor(std::exchange(other.descriptor, -1)),
      expectedBytes(other.expectedBytes), writtenBytes(other.writtenBytes) {}

SafetensorsWriter::~SafetensorsWriter() {
  if (descriptor < 0)
    return;
  ::close(descriptor);
  ::unlink(temporary.c_str());
}

Status SafetensorsWriter::append(std::span<const uint8_t> bytes) {
  if (bytes.size() > expectedBytes - writtenBytes)
    return Error{
        path + ": expected " + std::to_string(expectedBytes - writtenBytes) +
        " more bytes of tensors, found " + std::to_string(bytes.size())};
  while (!bytes.empty()) {
    // One call writes at most 2 GiB; smaller pieces keep it interruptible.
    size_t piece = bytes.size() < (1u << 30) ? bytes.size() : (1u << 30);
    ssize_t written = ::write(descriptor, bytes.data(), piece);
    if (written < 0 && errno == EINTR)
      continue;
    if (written < 0)
      return Error{path + ": cannot write: " + std::strerror(errno)};
    bytes = bytes.subspan(size_t(written));
    writtenBytes += uint64_t(written);
  }
  return success();
}

Status SafetensorsWriter::finish() {
  if (writtenBytes != expectedBytes)
    return Error{path + ": expected " +
                 std::to_string(expectedBytes - writtenBytes) +
                 " more bytes of tensors, found the end"};
  if (::fsync(descriptor) != 0 ||
      ::rename(temporary.c_str(), path.c_str()) != 0)
    return Error{path + ": cannot write: " + std::strerror(errno)};
  ::close(std::exchange(descriptor, -1));
  return success();
}

} // namespace moec::weights
