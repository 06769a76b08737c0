// atom and red: reading, changing and writing memory in one step.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/PTXEmulator/Atomics.h"
#include "tools/PTXEmulator/Elements.h"

#include "tools/PTXEmulator/Clusters.h"
#include "tools/PTXEmulator/Elementwise.h"
#include "tools/PTXEmulator/MemoryAccess.h"

#include <cmath>

namespace moec::ptx {

namespace {

int64_t signExtended(Type type, uint64_t bits) {
  return bitsOf(type) == 64 ? static_cast<int64_t>(bits)
                            : static_cast<int32_t>(bits);
}

bool isLess(Type type, uint64_t a, uint64_t b) {
  return isSigned(type) ? signExtended(type, a) < signExtended(type, b) : a < b;
}

template <typename Element>
uint64_t changeFloat(Change change, uint16_t old, uint16_t value) {
  double a = Element::load(old), b = Element::load(value);
  if (change == Change::Add)
    return Element::store(addToOdd(a, b));
  bool takeValue = change == Change::Minimum ? b < a : b > a;
  return takeValue || a != a ? value : old;
}

/// Of a pair in 32 bits each half by itself.
template <typename Element>
uint64_t changePair(Change change, uint64_t old, uint64_t value) {
  return changeFloat<Element>(change, uint16_t(old), uint16_t(value)) |
         changeFloat<Element>(change, uint16_t(old >> 16),
                              uint16_t(value >> 16))
             << 16;
}

uint64_t changeInteger(Change change, Type type, uint64_t old, uint64_t value) {
  switch (change) {
  case Change::Add:
    return old + value;
  case Change::And:
    return old & value;
  case Change::Or:
    return old | value;
  case Change::Xor:
    return old ^ value;
  case Change::Minimum:
    return isLess(type, value, old) ? value : old;
  case Change::Maximum:
    return isLess(type, old, value) ? value : old;
  case Change::Increment:
    return old >= value ? 0 : old + 1;
  case Change::Decrement:
    return old == 0 || old > value ? value : old - 1;
  default:
    return value;
  }
}

} // namespace

uint64_t changed(Change change, Type type, uint64_t old, uint64_t value) {
  if (change == Change::Exchange)
    return value;
  switch (type) {
  case Type::F32:
    return std::bit_cast<uint32_t>(
        canonical(std::bit_cast<float>(uint32_t(old)) +
                  std::bit_cast<float>(uint32_t(value))));
  case Type::F64:
    return std::bit_cast<uint64_t>(std::bit_cast<double>(old) +
                                   std::bit_cast<double>(value));
  case Type::F16:
    return changeFloat<ElementF16>(change, uint16_t(old), uint16_t(value));
  case Type::BF16:
    return changeFloat<ElementBF16>(change, uint16_t(old), uint16_t(value));
  case Type::F16x2:
    return changePair<ElementF16>(change, old, value);
  case Type::BF16x2:
    return changePair<ElementBF16>(change, old, value);
  default:
    return changeInteger(change, type, old, value);
  }
}

namespace {

/// Changes the elements at an address; returns false after a fault.
bool changeLane(Warp &warp, const Operation &operation, unsigned lane) {
  unsigned bytes = operation.elementBytes;
  uint64_t address = addressOf(warp, operation, lane);
  // Memory that was never written must not be added to.
  if (!warp.access(operation, lane, operation.space, address,
                   bytes * operation.elementCount, false))
    return false;
  uint8_t *memory = warp.access(operation, lane, operation.space, address,
                                bytes * operation.elementCount, true);
  if (!memory)
    return false;
  Change change = static_cast<Change>(operation.mode);
  for (size_t i = 0; i < operation.elementCount; ++i) {
    uint64_t old = 0;
    std::memcpy(&old, memory + i * bytes, bytes);
    uint64_t value = readLane(warp, operation.list[i], lane);
    uint64_t result;
    if (change == Change::CompareAndSwap)
      result = old == value ? readLane(warp, operation.slots[3], lane) : old;
    else
      result = changed(change, operation.type, old, value);
    std::memcpy(memory + i * bytes, &result, bytes);
    warp.machine->effects += result != old;
    if (!operation.vectors.empty())
      writeLane(warp, operation.vectors[0][i], lane, old);
  }
  return true;
}

/// Lanes come in any order.
Mask runAtomic(Warp &warp, const Operation &operation, Mask mask) {
  unsigned first = static_cast<unsigned>(warp.machine->below(warpSize));
  for (unsigned i = 0; i < warpSize; ++i) {
    unsigned lane = (first + i) % warpSize;
    if ((mask >> lane & 1) && !changeLane(warp, operation, lane))
      return 0;
  }
  return mask;
}

void checkType(Decoder &decoder) {
  const Operation &operation = decoder.operation;
  Change change = static_cast<Change>(operation.mode);
  Type type = operation.type;
  bool isBitwise = change == Change::And || change == Change::Or ||
                   change == Change::Xor || change >= Change::Exchange;
  bool isOrder = change == Change::Minimum || change == Change::Maximum;
  bool isNarrowFloat = isFloat(type) && type != Type::F32 && type != Type::F64;
  if (bitsOf(type) > 64 || bitsOf(type) < 16 ||
      (isFloat(type) && change != Change::Add && !isBitwise &&
       !(isOrder && isNarrowFloat)) ||
      (kindOf(type) == Kind::Bits && !isBitwise))
    decoder.fail("expected a type that the operation has");
}

/// A vector of registers, or one; the values of an atomic.
std::vector<Slot> slotsOf(Decoder &decoder, const Operand &operand,
                          bool isDestination) {
  std::vector<Slot> slots;
  Type type = decoder.operation.type;
  auto add = [&](const Operand &element) {
    slots.push_back(isDestination ? decoder.destination(element, type)
                                  : decoder.source(element, type));
  };
  if (operand.kind == Operand::Kind::Vector)
    for (const Operand &element : operand.parts)
      add(element);
  else
    add(operand);
  if (slots.size() != decoder.operation.elementCount) {
    decoder.fail("expected " + std::to_string(decoder.operation.elementCount) +
                 " elements, found " + std::to_string(slots.size()));
    slots.resize(decoder.operation.elementCount);
  }
  return slots;
}

void buildAtomic(Decoder &decoder, bool returnsOld) {
  Operation &operation = decoder.operation;
  operation.space = takeSpace(decoder);
  decoder.takeMemoryHints();
  Change change = decoder.require<Change>({{"add", Change::Add},
                                           {"and", Change::And},
                                           {"or", Change::Or},
                                           {"xor", Change::Xor},
                                           {"min", Change::Minimum},
                                           {"max", Change::Maximum},
                                           {"inc", Change::Increment},
                                           {"dec", Change::Decrement},
                                           {"exch", Change::Exchange},
                                           {"cas", Change::CompareAndSwap}});
  operation.mode = static_cast<uint8_t>(change);
  decoder.take("noftz");
  operation.elementCount =
      decoder.takeOneOf<uint8_t>({{"v2", 2}, {"v4", 4}, {"v8", 8}}).value_or(1);
  operation.type = decoder.takeType();
  operation.elementBytes = static_cast<uint8_t>(bytesOf(operation.type));
  checkType(decoder);
  bool isSwap = change == Change::CompareAndSwap;
  size_t operands = 2u + returnsOld + isSwap + decoder.take("L2::cache_hint");
  decoder.expectOperands(operands, operands);
  operation.slots[1] = decoder.address(decoder.operand(returnsOld));
  operation.list = slotsOf(decoder, decoder.operand(1u + returnsOld), false);
  if (isSwap)
    operation.slots[3] = decoder.source(2u + returnsOld, operation.type);
  if (returnsOld)
    operation.vectors.push_back(slotsOf(decoder, decoder.operand(0), true));
  operation.handler = runAtomic;
}

void buildAtom(Decoder &decoder) { buildAtomic(decoder, true); }

void buildRed(Decoder &decoder) {
  if (decoder.take("async"))
    return buildRemoteStore(decoder, true);
  buildAtomic(decoder, false);
}

constexpr BuilderRow rows[] = {{"atom", buildAtom}, {"red", buildRed}};

} // namespace

std::span<const BuilderRow> atomicBuilders() { return rows; }

} // namespace moec::ptx
