// mov, with packing and unpacking, and reading clocks.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/PTXEmulator/Elementwise.h"

namespace moec::ptx {

namespace {

template <unsigned laneBytes>
Mask runMove(Warp &warp, const Operation &operation, Mask mask) {
  uint8_t *to = slotBytes(warp, operation.slots[0]);
  const uint8_t *from = slotBytes(warp, operation.slots[1]);
  if (mask == allLanes) {
    std::memmove(to, from, laneBytes * warpSize);
    return mask;
  }
  forEachLane(mask, [&](unsigned lane) {
    std::memcpy(to + lane * laneBytes, from + lane * laneBytes, laneBytes);
  });
  return mask;
}

Mask runMovePredicate(Warp &warp, const Operation &operation, Mask mask) {
  writeMask(warp, operation.slots[0], readMask(warp, operation.slots[1]), mask);
  return mask;
}

/// The elements of the list become parts of one register, the first the lowest.
Mask runPack(Warp &warp, const Operation &operation, Mask mask) {
  unsigned bytes = operation.elementBytes;
  forEachLane(mask, [&](unsigned lane) {
    uint8_t packed[16] = {};
    for (size_t i = 0; i < operation.list.size(); ++i) {
      uint64_t value = readLane(warp, operation.list[i], lane);
      std::memcpy(packed + i * bytes, &value, bytes);
    }
    const Slot &slot = operation.slots[0];
    std::memcpy(slotBytes(warp, slot) + lane * slot.laneBytes, packed,
                slot.laneBytes);
  });
  return mask;
}

Mask runUnpack(Warp &warp, const Operation &operation, Mask mask) {
  unsigned bytes = operation.elementBytes;
  forEachLane(mask, [&](unsigned lane) {
    const Slot &slot = operation.slots[1];
    uint8_t packed[16];
    std::memcpy(packed, slotBytes(warp, slot) + lane * slot.laneBytes,
                slot.laneBytes);
    for (size_t i = 0; i < operation.list.size(); ++i) {
      uint64_t value = 0;
      std::memcpy(&value, packed + i * bytes, bytes);
      writeLane(warp, operation.list[i], lane, value);
    }
  });
  return mask;
}

/// A step is taken for a nanosecond and a cycle.
Mask runClock(Warp &warp, const Operation &operation, Mask mask) {
  uint64_t now = warp.machine->steps;
  forEachLane(mask, [&](unsigned lane) {
    writeLane(warp, operation.slots[0], lane,
              operation.slots[0].laneBytes == 4 ? uint32_t(now) : now);
  });
  return mask;
}

/// The type of `count` equal parts of a type.
Type partOf(Decoder &decoder, Type type, size_t count) {
  switch (count ? bitsOf(type) / count : 0) {
  case 8:
    return Type::B8;
  case 16:
    return Type::B16;
  case 32:
    return Type::B32;
  case 64:
    return Type::B64;
  default:
    decoder.fail("expected 2 or 4 elements that fill the register");
    return Type::B32;
  }
}

void buildVectorMove(Decoder &decoder, Type type, bool isPack) {
  Operation &operation = decoder.operation;
  const Operand &vector = decoder.operand(isPack ? 1 : 0);
  Type part = partOf(decoder, type, vector.parts.size());
  operation.elementBytes = static_cast<uint8_t>(bytesOf(part));
  for (const Operand &element : vector.parts)
    operation.list.push_back(isPack ? decoder.source(element, part)
                                    : decoder.destination(element, part));
  operation.slots[isPack ? 0 : 1] =
      isPack ? decoder.destination(0, type) : decoder.source(1, type);
  operation.handler = isPack ? runPack : runUnpack;
}

void buildMove(Decoder &decoder) {
  Operation &operation = decoder.operation;
  Type type = decoder.takeType();
  decoder.expectOperands(2, 2);
  for (size_t i : {0, 1})
    if (decoder.operand(i).kind == Operand::Kind::Vector)
      return buildVectorMove(decoder, type, i == 1);
  operation.slots[0] = decoder.destination(0, type);
  if (decoder.isClock(decoder.operand(1))) {
    operation.handler = runClock;
    return;
  }
  operation.slots[1] = decoder.source(1, type);
  switch (laneBytesOf(type)) {
  case 0:
    operation.handler = runMovePredicate;
    break;
  case 4:
    operation.handler = runMove<4>;
    break;
  case 8:
    operation.handler = runMove<8>;
    break;
  default:
    operation.handler = runMove<16>;
  }
}

constexpr BuilderRow rows[] = {{"mov", buildMove}};

} // namespace

std::span<const BuilderRow> movementBuilders() { return rows; }

} // namespace moec::ptx
