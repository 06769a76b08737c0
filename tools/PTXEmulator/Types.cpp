// The fundamental types of PTX.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/PTXEmulator/Types.h"

namespace moec::ptx {

namespace {

struct TypeRow {
  std::string_view name;
  Type type;
  uint8_t bits;
  Kind kind;
};

// In the order of the enumeration.
constexpr TypeRow types[] = {
    {"pred", Type::Pred, 1, Kind::Predicate},
    {"b8", Type::B8, 8, Kind::Bits},
    {"b16", Type::B16, 16, Kind::Bits},
    {"b32", Type::B32, 32, Kind::Bits},
    {"b64", Type::B64, 64, Kind::Bits},
    {"b128", Type::B128, 128, Kind::Bits},
    {"u8", Type::U8, 8, Kind::Unsigned},
    {"u16", Type::U16, 16, Kind::Unsigned},
    {"u32", Type::U32, 32, Kind::Unsigned},
    {"u64", Type::U64, 64, Kind::Unsigned},
    {"s8", Type::S8, 8, Kind::Signed},
    {"s16", Type::S16, 16, Kind::Signed},
    {"s32", Type::S32, 32, Kind::Signed},
    {"s64", Type::S64, 64, Kind::Signed},
    {"f16", Type::F16, 16, Kind::Float},
    {"f16x2", Type::F16x2, 32, Kind::Float},
    {"bf16", Type::BF16, 16, Kind::Float},
    {"bf16x2", Type::BF16x2, 32, Kind::Float},
    {"tf32", Type::TF32, 32, Kind::Float},
    {"f32", Type::F32, 32, Kind::Float},
    {"f32x2", Type::F32x2, 64, Kind::Float},
    {"f64", Type::F64, 64, Kind::Float},
    {"e4m3", Type::E4M3, 8, Kind::Float},
    {"e5m2", Type::E5M2, 8, Kind::Float},
    {"e4m3x2", Type::E4M3x2, 16, Kind::Float},
    {"e5m2x2", Type::E5M2x2, 16, Kind::Float},
};

} // namespace

std::optional<Type> parseType(std::string_view name) {
  for (const TypeRow &row : types)
    if (row.name == name)
      return row.type;
  return std::nullopt;
}

unsigned bitsOf(Type type) { return types[static_cast<size_t>(type)].bits; }

Kind kindOf(Type type) { return types[static_cast<size_t>(type)].kind; }

} // namespace moec::ptx
