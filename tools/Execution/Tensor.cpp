// A tensor of a run: an argument of an entry with its memory.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/Execution/Tensor.h"

#include "weights/FloatFormats.h"

#include <cstring>

using namespace moec::weights;

namespace moec::run {

namespace {

struct TypeRow {
  const char *name;
  uint8_t code;
  uint8_t bits;
  ElementType type;
};

constexpr TypeRow types[] = {{"float64", kDLFloat, 64, ElementType::F64},
                             {"float32", kDLFloat, 32, ElementType::F32},
                             {"float16", kDLFloat, 16, ElementType::F16},
                             {"bfloat16", kDLBfloat, 16, ElementType::BF16},
                             {"int64", kDLInt, 64, ElementType::I64},
                             {"int32", kDLInt, 32, ElementType::I32},
                             {"int8", kDLInt, 8, ElementType::I8},
                             {"bool", kDLBool, 8, ElementType::Bool}};

template <typename T> T load(const uint8_t *place) {
  T value;
  std::memcpy(&value, place, sizeof value);
  return value;
}

} // namespace

size_t Tensor::count() const { return size_t(*elementCount(shape)); }

double Tensor::valueAt(size_t index) const {
  switch (type) {
  case ElementType::F64:
    return load<double>(&data[8 * index]);
  case ElementType::F32:
    return load<float>(&data[4 * index]);
  case ElementType::F16:
    return f16ToFloat(load<uint16_t>(&data[2 * index]));
  case ElementType::BF16:
    return bf16ToFloat(load<uint16_t>(&data[2 * index]));
  case ElementType::I64:
    return double(integerAt(index));
  case ElementType::I32:
    return load<int32_t>(&data[4 * index]);
  case ElementType::I8:
    return load<int8_t>(&data[index]);
  default:
    return data[index];
  }
}

int64_t Tensor::integerAt(size_t index) const {
  return load<int64_t>(&data[8 * index]);
}

std::optional<ElementType> typeOf(const moert_argument &argument) {
  for (const TypeRow &row : types)
    if (row.code == argument.code && row.bits == argument.bits)
      return row.type;
  return std::nullopt;
}

std::string typeName(ElementType type) {
  for (const TypeRow &row : types)
    if (row.type == type)
      return row.name;
  return std::string(elementTypeName(type));
}

std::string describe(const moert_argument &argument) {
  std::optional<ElementType> type = typeOf(argument);
  return (type ? typeName(*type) : "unknown type") + " " +
         shapeToString({argument.shape, argument.rank});
}

} // namespace moec::run
