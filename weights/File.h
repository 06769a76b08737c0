// Files as they are read and written: mapped, and replaced as a whole.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_WEIGHTS_FILE_H
#define MOEC_WEIGHTS_FILE_H

#include "weights/Result.h"

#include <cstdint>
#include <span>
#include <string>

namespace moec::weights {

/// A regular file mapped read-only. Who shortens a mapped file on disk breaks
/// its reader, as with every mapping: replace files, do not rewrite them.
class MappedFile {
public:
  static Result<MappedFile> open(const std::string &path);

  MappedFile(MappedFile &&other) noexcept;
  MappedFile &operator=(MappedFile &&other) noexcept;
  MappedFile(const MappedFile &) = delete;
  MappedFile &operator=(const MappedFile &) = delete;
  ~MappedFile();

  std::span<const uint8_t> bytes() const { return {data, size}; }

private:
  MappedFile() = default;

  const uint8_t *data = nullptr;
  size_t size = 0;
};

/// Writes the parts one behind the other to a temporary file beside `path`,
/// flushes it to disk and renames it: readers see the old file or the new one.
Status writeFileAtomically(const std::string &path,
                           std::span<const std::span<const uint8_t>> parts);

} // namespace moec::weights

#endif // MOEC_WEIGHTS_FILE_H
