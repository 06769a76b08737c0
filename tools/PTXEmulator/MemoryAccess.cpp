// ld, st, and what is done with addresses: cvta, isspacep, prefetch.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/PTXEmulator/MemoryAccess.h"

#include "tools/PTXEmulator/Clusters.h"
#include "tools/PTXEmulator/Elementwise.h"

namespace moec::ptx {

namespace {

/// Checks each lane's access of `total` bytes, and gives `body` where they are.
template <typename Body>
Mask accessLanes(Warp &warp, const Operation &operation, Mask mask,
                 unsigned total, bool isWrite, Body body) {
  bool failed = false;
  forEachLane(mask, [&](unsigned lane) {
    if (failed)
      return;
    auto *bytes = warp.access(operation, lane, operation.space,
                              addressOf(warp, operation, lane), total, isWrite);
    failed = !bytes;
    if (!failed)
      body(lane, bytes);
  });
  return failed ? 0 : mask;
}

/// Loads sign-extend into wider registers.
template <bool isSigned>
Mask runLoad(Warp &warp, const Operation &operation, Mask mask) {
  unsigned bytes = operation.elementBytes;
  auto load = [&](unsigned lane, const uint8_t *from) {
    for (size_t i = 0; i < operation.list.size(); ++i) {
      const Slot &slot = operation.list[i];
      if (bytes == 16) {
        std::memcpy(slotBytes(warp, slot) + lane * 16, from + i * 16, 16);
        continue;
      }
      uint64_t value = 0;
      std::memcpy(&value, from + i * bytes, bytes);
      if constexpr (isSigned) {
        unsigned unused = 64 - 8 * bytes;
        value = static_cast<uint64_t>(static_cast<int64_t>(value << unused) >>
                                      unused);
        if (operation.registerBits < 64)
          value &= (uint64_t(1) << operation.registerBits) - 1;
      }
      writeLane(warp, slot, lane, value);
    }
  };
  return accessLanes(warp, operation, mask, bytes * operation.elementCount,
                     /*isWrite=*/false, load);
}

/// The commonest: whole elements of 4 bytes.
Mask runLoadWords(Warp &warp, const Operation &operation, Mask mask) {
  auto load = [&](unsigned lane, const uint8_t *from) {
    for (size_t i = 0; i < operation.list.size(); ++i)
      std::memcpy(slotBytes(warp, operation.list[i]) + 4 * lane, from + 4 * i,
                  4);
  };
  return accessLanes(warp, operation, mask, 4u * operation.elementCount,
                     /*isWrite=*/false, load);
}

Mask runStore(Warp &warp, const Operation &operation, Mask mask) {
  unsigned bytes = operation.elementBytes;
  auto store = [&](unsigned lane, uint8_t *to) {
    for (size_t i = 0; i < operation.list.size(); ++i) {
      const Slot &slot = operation.list[i];
      std::memcpy(to + i * bytes, slotBytes(warp, slot) + lane * slot.laneBytes,
                  bytes);
    }
  };
  ++warp.machine->effects;
  return accessLanes(warp, operation, mask, bytes * operation.elementCount,
                     /*isWrite=*/true, store);
}

void takeAccess(Decoder &decoder) {
  Operation &operation = decoder.operation;
  operation.space = takeSpace(decoder);
  decoder.takeMemoryHints();
  operation.elementCount =
      decoder.takeOneOf<uint8_t>({{"v2", 2}, {"v4", 4}, {"v8", 8}}).value_or(1);
  operation.type = decoder.takeType();
  operation.elementBytes = static_cast<uint8_t>(bytesOf(operation.type));
}

void setElements(Decoder &decoder, const Operand &operand, bool isLoad) {
  Operation &operation = decoder.operation;
  bool isVector = operand.kind == Operand::Kind::Vector;
  size_t found = isVector ? operand.parts.size() : 1;
  if (found != operation.elementCount)
    decoder.fail("expected " + std::to_string(operation.elementCount) +
                 " elements, found " + std::to_string(found));
  for (size_t i = 0; i < found; ++i) {
    const Operand &element = isVector ? operand.parts[i] : operand;
    operation.list.push_back(
        isLoad ? decoder.wideDestination(element, operation.type)
               : decoder.wideSource(element, operation.type));
    if (element.kind == Operand::Kind::Register)
      operation.registerBits = decoder.registerBits(element, operation.type);
  }
}

/// A cache policy may follow the operands; it changes nothing here.
void takeCachePolicy(Decoder &decoder, size_t operands) {
  bool hasPolicy = decoder.take("L2::cache_hint");
  decoder.expectOperands(operands + hasPolicy, operands + hasPolicy);
}

void buildLoad(Decoder &decoder) {
  Operation &operation = decoder.operation;
  takeAccess(decoder);
  takeCachePolicy(decoder, 2);
  setElements(decoder, decoder.operand(0), true);
  operation.slots[1] = decoder.address(decoder.operand(1));
  bool isWords = operation.elementBytes == 4 && operation.registerBits == 32;
  operation.handler = isWords                    ? runLoadWords
                      : isSigned(operation.type) ? runLoad<true>
                                                 : runLoad<false>;
}

void buildStore(Decoder &decoder) {
  if (decoder.take("async"))
    return buildRemoteStore(decoder, false);
  takeAccess(decoder);
  takeCachePolicy(decoder, 2);
  decoder.operation.slots[1] = decoder.address(decoder.operand(0));
  setElements(decoder, decoder.operand(1), false);
  decoder.operation.handler = runStore;
}

uint64_t windowOf(Space space) {
  switch (space) {
  case Space::Shared:
    return sharedWindow;
  case Space::Local:
    return localWindow;
  case Space::Param:
    return paramWindow;
  default:
    return 0;
  }
}

/// To and from generic addresses; number is added.
Mask runConvertAddress(Warp &warp, const Operation &operation, Mask mask) {
  forEachLane(mask, [&](unsigned lane) {
    uint64_t address = readLane(warp, operation.slots[1], lane) +
                       static_cast<uint64_t>(operation.number);
    writeLane(warp, operation.slots[0], lane, address);
  });
  return mask;
}

void buildConvertAddress(Decoder &decoder) {
  Operation &operation = decoder.operation;
  bool toSpace = decoder.take("to");
  operation.space = takeSpace(decoder);
  Type type = decoder.takeType();
  setSlots(decoder, type, 1);
  uint64_t window = windowOf(operation.space);
  operation.number = static_cast<int64_t>(toSpace ? -window : window);
  operation.handler = runConvertAddress;
}

Mask runIsSpace(Warp &warp, const Operation &operation, Mask mask) {
  Mask results = 0;
  uint64_t window = windowOf(operation.space);
  forEachLane(mask, [&](unsigned lane) {
    uint64_t address = readLane(warp, operation.slots[1], lane);
    bool isIn = window ? address - window < windowBytes
                       : warp.machine->memory.contains(address);
    results |= Mask(isIn) << lane;
  });
  writeMask(warp, operation.slots[0], results, mask);
  return mask;
}

void buildIsSpace(Decoder &decoder) {
  decoder.operation.space = takeSpace(decoder);
  decoder.expectOperands(2, 2);
  decoder.operation.slots[0] = decoder.destination(0, Type::Pred);
  decoder.operation.slots[1] = decoder.source(1, Type::U64);
  decoder.operation.handler = runIsSpace;
}

Mask runNothing(Warp &, const Operation &, Mask mask) { return mask; }

/// Caches are not modelled, and addresses of prefetches may be anything.
void buildPrefetch(Decoder &decoder) {
  takeSpace(decoder);
  decoder.takeMemoryHints();
  decoder.take("L1");
  decoder.take("L2");
  decoder.take("tensormap");
  decoder.address(decoder.operand(0));
  decoder.operation.handler = runNothing;
}

/// A cache policy is a number that nothing looks at.
Mask runCreatePolicy(Warp &warp, const Operation &operation, Mask mask) {
  forEachLane(mask, [&](unsigned lane) {
    writeLane(warp, operation.slots[0], lane, 0);
  });
  return mask;
}

void buildCreatePolicy(Decoder &decoder) {
  decoder.require<bool>({{"fractional", true}});
  decoder.takeMemoryHints();
  decoder.takeType();
  decoder.expectOperands(1, 2);
  decoder.operation.slots[0] = decoder.destination(0, Type::B64);
  decoder.operation.handler = runCreatePolicy;
}

constexpr BuilderRow rows[] = {
    {"ld", buildLoad},
    {"ldu", buildLoad},
    {"st", buildStore},
    {"cvta", buildConvertAddress},
    {"isspacep", buildIsSpace},
    {"prefetch", buildPrefetch},
    {"prefetchu", buildPrefetch},
    {"createpolicy", buildCreatePolicy},
};

} // namespace

uint64_t addressOf(const Warp &warp, const Operation &operation,
                   unsigned lane) {
  return readLane(warp, operation.slots[1], lane) +
         static_cast<uint64_t>(operation.offset);
}

Space takeSpace(Decoder &decoder) {
  return decoder
      .takeOneOf<Space>({{"global", Space::Global},
                         {"shared", Space::Shared},
                         {"shared::cta", Space::Shared},
                         {"shared::cluster", Space::Shared},
                         {"local", Space::Local},
                         {"param", Space::Param},
                         {"param::entry", Space::Param},
                         {"param::func", Space::Param},
                         {"const", Space::Const}})
      .value_or(Space::Generic);
}

std::span<const BuilderRow> memoryBuilders() { return rows; }

} // namespace moec::ptx
