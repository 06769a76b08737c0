// Element types of stored tensors: their names in files, and their sizes.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_WEIGHTS_ELEMENTTYPE_H
#define MOEC_WEIGHTS_ELEMENTTYPE_H

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace moec::weights {

/// An element type as safetensors names it.
enum class ElementType {
  Bool,
  U8,
  I8,
  F8E5M2,
  F8E4M3,
  F8E8M0,
  F6E2M3,
  F6E3M2,
  F4,
  I16,
  U16,
  F16,
  BF16,
  I32,
  U32,
  F32,
  C64,
  I64,
  U64,
  F64
};

/// The name safetensors uses, for example "BF16".
std::string_view elementTypeName(ElementType type);

/// The type of that name, or nothing.
std::optional<ElementType> elementTypeFromName(std::string_view name);

/// Bits of one element; 4 and 6 occur.
unsigned elementTypeBits(ElementType type);

/// Bytes of a tensor, or nothing when an extent is negative, the count does
/// not fit in 63 bits, or the elements do not fill whole bytes.
std::optional<uint64_t> tensorBytes(ElementType type,
                                    std::span<const int64_t> shape);

/// Elements of a shape, or nothing when an extent is negative or the count
/// does not fit in 63 bits.
std::optional<int64_t> elementCount(std::span<const int64_t> shape);

/// "[2, 64, 32]", for messages.
std::string shapeToString(std::span<const int64_t> shape);

} // namespace moec::weights

#endif // MOEC_WEIGHTS_ELEMENTTYPE_H
