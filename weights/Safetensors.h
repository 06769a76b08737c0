// Safetensors files: a strict reader and an atomic writer.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_WEIGHTS_SAFETENSORS_H
#define MOEC_WEIGHTS_SAFETENSORS_H

#include "weights/ElementType.h"
#include "weights/File.h"
#include "weights/Result.h"

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace moec::weights {

/// A tensor as the header describes it; begin and end count from the data.
struct TensorRecord {
  std::string name;
  ElementType type = ElementType::F32;
  std::vector<int64_t> shape;
  uint64_t begin = 0;
  uint64_t end = 0;
};

/// What a header says, checked: tensors in the order of their data, without
/// gaps or overlaps, each as long as its shape and type ask for.
struct SafetensorsHeader {
  std::vector<TensorRecord> tensors;
  std::map<std::string, std::string> metadata;
  /// Where the data starts in the file.
  uint64_t dataOffset = 0;
};

/// Limits on a header from outside.
inline constexpr uint64_t safetensorsMaxHeaderBytes = 100'000'000;
inline constexpr uint64_t safetensorsMaxTensors = 1'048'576;
inline constexpr unsigned safetensorsMaxRank = 64;

/// Reads the header of a whole file's bytes. `name` stands in messages.
Result<SafetensorsHeader> parseSafetensors(const std::string &name,
                                           std::span<const uint8_t> file);

/// An open file. Spans it gives out live as long as it does.
class SafetensorsFile {
public:
  static Result<SafetensorsFile> open(const std::string &path);

  const std::string &path() const { return filePath; }
  /// Of the whole file.
  uint64_t bytes() const { return file.bytes().size(); }
  std::span<const TensorRecord> tensors() const { return header.tensors; }
  const std::map<std::string, std::string> &metadata() const {
    return header.metadata;
  }

  /// The tensor of that name, or null.
  const TensorRecord *find(std::string_view name) const;

  /// The bytes of one of this file's tensors, little-endian and row-major.
  std::span<const uint8_t> data(const TensorRecord &tensor) const;

private:
  SafetensorsFile(std::string path, MappedFile file, SafetensorsHeader header);

  std::string filePath;
  MappedFile file;
  SafetensorsHeader header;
  /// In ascending order of hash, then name: an index of 16 bytes a tensor.
  struct HashedName {
    uint64_t hash;
    uint32_t tensor;
  };
  std::vector<HashedName> byName;
};

/// The bytes in front of the data of a file that holds these tensors where
/// `begin` and `end` say; blanks fill it up to a multiple of `alignment`.
Result<std::string>
safetensorsHeader(std::span<const TensorRecord> tensors,
                  const std::map<std::string, std::string> &metadata,
                  uint64_t alignment);

/// A tensor to be written; the bytes stay the caller's.
struct TensorToWrite {
  std::string name;
  ElementType type = ElementType::F32;
  std::vector<int64_t> shape;
  std::span<const uint8_t> data;
};

/// Writes tensors in the given order; the data starts at a multiple of 8. The
/// file appears whole or not at all.
Status
writeSafetensors(const std::string &path,
                 std::span<const TensorToWrite> tensors,
                 const std::map<std::string, std::string> &metadata = {});

} // namespace moec::weights

#endif // MOEC_WEIGHTS_SAFETENSORS_H
