// Safetensors files larger than memory: tensors first, their bytes after.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_WEIGHTS_SAFETENSORSWRITER_H
#define MOEC_WEIGHTS_SAFETENSORSWRITER_H

#include "weights/ElementType.h"
#include "weights/Result.h"

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace moec::weights {

/// A tensor of which the bytes are not there yet.
struct TensorToStream {
  std::string name;
  ElementType type = ElementType::F32;
  std::vector<int64_t> shape;
};

/// Writes one tensor after the other to a temporary file beside `path`, which
/// takes its name at the end. Without finish() nothing is left behind.
class SafetensorsWriter {
public:
  static Result<SafetensorsWriter>
  open(const std::string &path, std::span<const TensorToStream> tensors,
       const std::map<std::string, std::string> &metadata = {});

  SafetensorsWriter(SafetensorsWriter &&other) noexcept;
  SafetensorsWriter &operator=(SafetensorsWriter &&) = delete;
  ~SafetensorsWriter();

  /// The bytes of the next tensor, or some of them.
  Status append(std::span<const uint8_t> bytes);

  /// All bytes are there: to disk, and under the name.
  Status finish();

private:
  SafetensorsWriter() = default;

  std::string path;
  std::string temporary;
  int descriptor = -1;
  uint64_t expectedBytes = 0;
  uint64_t writtenBytes = 0;
};

} // namespace moec::weights

#endif // MOEC_WEIGHTS_SAFETENSORSWRITER_H
