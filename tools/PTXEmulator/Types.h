// The fundamental types of PTX.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_PTXEMULATOR_TYPES_H
#define MOEC_TOOLS_PTXEMULATOR_TYPES_H

#include <cstdint>
#include <optional>
#include <string_view>

namespace moec::ptx {

/// Threads of a warp.
inline constexpr unsigned warpSize = 32;

/// How the bits of a type are understood.
enum class Kind : uint8_t { Bits, Unsigned, Signed, Float, Predicate };

enum class Type : uint8_t {
  Pred,
  B8,
  B16,
  B32,
  B64,
  B128,
  U8,
  U16,
  U32,
  U64,
  S8,
  S16,
  S32,
  S64,
  F16,
  F16x2,
  BF16,
  BF16x2,
  TF32,
  F32,
  F32x2,
  F64,
  E4M3,
  E5M2,
  E4M3x2,
  E5M2x2,
};

/// The type a modifier names ("u32"), if it names one.
std::optional<Type> parseType(std::string_view name);

unsigned bitsOf(Type type);
Kind kindOf(Type type);

inline unsigned bytesOf(Type type) { return (bitsOf(type) + 7) / 8; }
inline bool isSigned(Type type) { return kindOf(type) == Kind::Signed; }
inline bool isFloat(Type type) { return kindOf(type) == Kind::Float; }
inline bool isInteger(Type type) {
  return kindOf(type) == Kind::Signed || kindOf(type) == Kind::Unsigned;
}

} // namespace moec::ptx

#endif // MOEC_TOOLS_PTXEMULATOR_TYPES_H
