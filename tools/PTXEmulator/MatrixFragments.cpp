// Matrices in the registers of a warp.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/PTXEmulator/MatrixFragments.h"

#include "tools/PTXEmulator/Collectives.h"
#include "tools/PTXEmulator/Rounding.h"
#include "weights/FloatFormats.h"

namespace moec::ptx {

static float loadElement(Type type, uint32_t bits) {
  switch (type) {
  case Type::F16:
    return weights::f16ToFloat(uint16_t(bits));
  case Type::BF16:
    return weights::bf16ToFloat(uint16_t(bits));
  case Type::TF32:
    // The lower bits do not take part.
    return std::bit_cast<float>(bits & 0xFFFFE000);
  case Type::E5M2:
    return static_cast<float>(decode(formatE5M2, bits & 0xFF));
  default:
    return static_cast<float>(decode(formatE4M3, bits & 0xFF));
  }
}

float elementOf(uint32_t value, Type type, unsigned index) {
  return loadElement(type, value >> (index * bitsOf(type)));
}

void loadA(const Warp &warp, const std::vector<Slot> &slots, Type type,
           unsigned depth, float *a) {
  unsigned count = 32 / bitsOf(type);
  for (unsigned i = 0; i < slots.size(); ++i) {
    Lanes<uint32_t> values = read<uint32_t>(warp, slots[i]);
    for (unsigned lane = 0; lane < warpSize; ++lane) {
      unsigned row = lane / 4 + 8 * (i % 2);
      unsigned column = count * (lane % 4) + 4 * count * (i / 2);
      for (unsigned j = 0; j < count; ++j)
        a[row * depth + column + j] = elementOf(values[lane], type, j);
    }
  }
}

bool isReady(Warp &warp, const Operation &operation, Mask mask) {
  if (!isWholeWarp(warp, mask))
    return false;
  if (mask != allLanes)
    warp.fault(FaultKind::LaunchFailed, operation,
               static_cast<unsigned>(std::countr_zero(~mask)),
               "expected all 32 lanes of the warp, found " +
                   std::to_string(std::popcount(mask)));
  return mask == allLanes;
}

bool isFactorType(Type type) {
  return type == Type::F16 || type == Type::BF16 || type == Type::TF32 ||
         type == Type::E4M3 || type == Type::E5M2;
}

std::vector<Slot> vectorOf(Decoder &decoder, size_t index, size_t count,
                           bool isDestination) {
  const Operand &operand = decoder.operand(index);
  std::vector<Slot> slots;
  if (operand.kind != Operand::Kind::Vector || operand.parts.size() != count)
    decoder.fail("expected operand " + std::to_string(index + 1) + " to have " +
                 std::to_string(count) + " registers");
  for (const Operand &part : operand.parts)
    slots.push_back(isDestination ? decoder.destination(part, Type::B32)
                                  : decoder.source(part, Type::B32));
  slots.resize(count);
  return slots;
}

} // namespace moec::ptx
