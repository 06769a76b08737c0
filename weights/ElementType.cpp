// Element types of stored tensors: their names in files, and their sizes.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/ElementType.h"

#include <iterator>

namespace moec::weights {

namespace {
struct TypeRow {
  std::string_view name;
  unsigned bits;
};

// In the order of ElementType.
constexpr TypeRow rows[] = {
    {"BOOL", 8},    {"U8", 8},      {"I8", 8},      {"F8_E5M2", 8},
    {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F6_E2M3", 6}, {"F6_E3M2", 6},
    {"F4", 4},      {"I16", 16},    {"U16", 16},    {"F16", 16},
    {"BF16", 16},   {"I32", 32},    {"U32", 32},    {"F32", 32},
    {"C64", 64},    {"I64", 64},    {"U64", 64},    {"F64", 64}};
static_assert(std::size(rows) == size_t(ElementType::F64) + 1);
} // namespace

std::string_view elementTypeName(ElementType type) {
  return rows[size_t(type)].name;
}

std::optional<ElementType> elementTypeFromName(std::string_view name) {
  for (size_t i = 0; i < std::size(rows); ++i)
    if (rows[i].name == name)
      return ElementType(i);
  return std::nullopt;
}

unsigned elementTypeBits(ElementType type) { return rows[size_t(type)].bits; }

std::optional<int64_t> elementCount(std::span<const int64_t> shape) {
  bool empty = false;
  for (int64_t extent : shape) {
    if (extent < 0)
      return std::nullopt;
    empty |= extent == 0;
  }
  // An extent of zero empties the tensor whatever the others are.
  if (empty)
    return 0;
  int64_t count = 1;
  for (int64_t extent : shape)
    if (__builtin_mul_overflow(count, extent, &count))
      return std::nullopt;
  return count;
}

std::optional<uint64_t> tensorBytes(ElementType type,
                                    std::span<const int64_t> shape) {
  std::optional<int64_t> count = elementCount(shape);
  int64_t bits = 0;
  if (!count ||
      __builtin_mul_overflow(*count, int64_t(elementTypeBits(type)), &bits) ||
      bits % 8 != 0)
    return std::nullopt;
  return uint64_t(bits / 8);
}

std::string shapeToString(std::span<const int64_t> shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) {
    if (i != 0)
      text += ", ";
    text += std::to_string(shape[i]);
  }
  return text + "]";
}

} // namespace moec::weights
