// Comparing and choosing: setp, set, selp, slct.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/PTXEmulator/Elements.h"
#include "tools/PTXEmulator/Elementwise.h"

namespace moec::ptx {

namespace {

/// Three ways values may be ordered, and a fourth: one is NaN.
enum Order : uint8_t { Less = 1, Equal = 2, Greater = 4, Unordered = 8 };

constexpr std::pair<std::string_view, uint8_t> comparisons[] = {
    {"eq", Equal},
    {"ne", Less | Greater},
    {"lt", Less},
    {"le", Less | Equal},
    {"gt", Greater},
    {"ge", Greater | Equal},
    {"lo", Less},
    {"ls", Less | Equal},
    {"hi", Greater},
    {"hs", Greater | Equal},
    {"equ", Equal | Unordered},
    {"neu", Less | Greater | Unordered},
    {"ltu", Less | Unordered},
    {"leu", Less | Equal | Unordered},
    {"gtu", Greater | Unordered},
    {"geu", Greater | Equal | Unordered},
    {"num", Less | Equal | Greater},
    {"nan", Unordered},
};

enum class Combination : uint8_t { None, And, Or, Xor };

/// Lanes whose values are in one of the orders.
template <typename T>
Mask compareValues(const Lanes<T> &a, const Lanes<T> &b, uint8_t orders) {
  Mask less = 0, equal = 0, greater = 0;
  for (unsigned lane = 0; lane < warpSize; ++lane) {
    less |= Mask(a[lane] < b[lane]) << lane;
    equal |= Mask(a[lane] == b[lane]) << lane;
    greater |= Mask(a[lane] > b[lane]) << lane;
  }
  return (orders & Less ? less : 0) | (orders & Equal ? equal : 0) |
         (orders & Greater ? greater : 0) |
         (orders & Unordered ? ~(less | equal | greater) : 0);
}

template <typename T> Mask compareAs(Warp &warp, const Operation &operation) {
  return compareValues(read<T>(warp, operation.slots[2]),
                       read<T>(warp, operation.slots[3]), operation.mode);
}

Mask compareF32(Warp &warp, const Operation &operation) {
  Lanes<float> a = read<float>(warp, operation.slots[2]);
  Lanes<float> b = read<float>(warp, operation.slots[3]);
  if (operation.ftz)
    for (unsigned lane = 0; lane < warpSize; ++lane) {
      a[lane] = flushSubnormal(a[lane]);
      b[lane] = flushSubnormal(b[lane]);
    }
  return compareValues(a, b, operation.mode);
}

/// Half `half` of two registers of 16-bit floats.
template <typename Element>
Mask compareNarrow(Warp &warp, const Operation &operation, unsigned half) {
  Lanes<double> values[2];
  for (unsigned i = 0; i < 2; ++i)
    for (unsigned lane = 0; lane < warpSize; ++lane)
      values[i][lane] = Element::load(uint16_t(
          readLane(warp, operation.slots[2 + i], lane) >> (16 * half)));
  return compareValues(values[0], values[1], operation.mode);
}

Mask compare(Warp &warp, const Operation &operation, unsigned half) {
  switch (operation.type) {
  case Type::S16:
    return compareAs<int16_t>(warp, operation);
  case Type::U16:
  case Type::B16:
    return compareAs<uint16_t>(warp, operation);
  case Type::S32:
    return compareAs<int32_t>(warp, operation);
  case Type::S64:
    return compareAs<int64_t>(warp, operation);
  case Type::U64:
  case Type::B64:
    return compareAs<uint64_t>(warp, operation);
  case Type::F32:
    return compareF32(warp, operation);
  case Type::F64:
    return compareAs<double>(warp, operation);
  case Type::F16:
  case Type::F16x2:
    return compareNarrow<ElementF16>(warp, operation, half);
  case Type::BF16:
  case Type::BF16x2:
    return compareNarrow<ElementBF16>(warp, operation, half);
  default:
    return compareAs<uint32_t>(warp, operation);
  }
}

/// With the predicate of slots[4], if there is one.
Mask combine(Warp &warp, const Operation &operation, Mask values) {
  switch (static_cast<Combination>(operation.number)) {
  case Combination::None:
    return values;
  case Combination::And:
    return values & readMask(warp, operation.slots[4]);
  case Combination::Or:
    return values | readMask(warp, operation.slots[4]);
  case Combination::Xor:
    return values ^ readMask(warp, operation.slots[4]);
  }
  return values;
}

bool isPair(Type type) { return type == Type::F16x2 || type == Type::BF16x2; }

/// p|q of a pair are its halves; of a single value q is the opposite.
Mask runSetPredicate(Warp &warp, const Operation &operation, Mask mask) {
  Mask values = compare(warp, operation, 0);
  Mask others = isPair(operation.type) ? compare(warp, operation, 1) : ~values;
  Mask first = combine(warp, operation, values);
  Mask second = combine(warp, operation, others);
  writeMask(warp, operation.slots[0], first, mask);
  writeMask(warp, operation.slots[1], second, mask);
  return mask;
}

Mask runSet(Warp &warp, const Operation &operation, Mask mask) {
  Mask values = combine(warp, operation, compare(warp, operation, 0));
  uint32_t whenTrue = operation.elementBytes ? ~0u : 0x3F800000u;
  Lanes<uint32_t> results;
  for (unsigned lane = 0; lane < warpSize; ++lane)
    results[lane] = values >> lane & 1 ? whenTrue : 0;
  write(warp, operation.slots[0], results, mask);
  return mask;
}

/// What setp and set have in common: the sources and what combines them.
void setComparison(Decoder &decoder) {
  Operation &operation = decoder.operation;
  operation.mode = decoder.require<uint8_t>(comparisons);
  Combination combination =
      decoder
          .takeOneOf<Combination>({{"and", Combination::And},
                                   {"or", Combination::Or},
                                   {"xor", Combination::Xor}})
          .value_or(Combination::None);
  operation.number = static_cast<int64_t>(combination);
  operation.ftz = decoder.take("ftz");
}

void setComparedSources(Decoder &decoder) {
  Operation &operation = decoder.operation;
  size_t count = operation.number ? 4 : 3;
  decoder.expectOperands(count, count);
  operation.slots[2] = decoder.source(1, operation.type);
  operation.slots[3] = decoder.source(2, operation.type);
  if (operation.number)
    operation.slots[4] = decoder.source(3, Type::Pred);
}

void buildSetPredicate(Decoder &decoder) {
  Operation &operation = decoder.operation;
  setComparison(decoder);
  operation.type = decoder.takeType();
  const Operand &results = decoder.operand(0);
  bool both = results.kind == Operand::Kind::Pair;
  operation.slots[0] =
      decoder.destination(both ? results.parts[0] : results, Type::Pred);
  operation.slots[1] = both ? decoder.destination(results.parts[1], Type::Pred)
                            : decoder.layout.sinkSlot(0);
  setComparedSources(decoder);
  operation.handler = runSetPredicate;
}

void buildSet(Decoder &decoder) {
  Operation &operation = decoder.operation;
  setComparison(decoder);
  Type result = decoder.takeType();
  operation.type = decoder.takeType();
  if (bitsOf(result) != 32 || isPair(result))
    decoder.fail("the emulator knows results of .u32, .s32 and .f32 only");
  operation.elementBytes = result != Type::F32;
  operation.slots[0] = decoder.destination(0, result);
  setComparedSources(decoder);
  operation.handler = runSet;
}

template <typename T>
Mask runSelect(Warp &warp, const Operation &operation, Mask mask) {
  Lanes<T> a = read<T>(warp, operation.slots[1]);
  Lanes<T> b = read<T>(warp, operation.slots[2]);
  Mask condition = readMask(warp, operation.slots[3]);
  Lanes<T> results;
  for (unsigned lane = 0; lane < warpSize; ++lane)
    results[lane] = condition >> lane & 1 ? a[lane] : b[lane];
  write(warp, operation.slots[0], results, mask);
  return mask;
}

void buildSelect(Decoder &decoder) {
  Type type = decoder.takeType();
  decoder.expectOperands(4, 4);
  Operation &operation = decoder.operation;
  operation.slots[0] = decoder.destination(0, type);
  operation.slots[1] = decoder.source(1, type);
  operation.slots[2] = decoder.source(2, type);
  operation.slots[3] = decoder.source(3, Type::Pred);
  operation.handler =
      bitsOf(type) == 64 ? runSelect<uint64_t> : runSelect<uint32_t>;
}

/// slct: a if c is not negative, else b.
Mask runSelectBySign(Warp &warp, const Operation &operation, Mask mask) {
  forEachLane(mask, [&](unsigned lane) {
    uint32_t bits =
        static_cast<uint32_t>(readLane(warp, operation.slots[3], lane));
    bool first = operation.type == Type::F32 ? std::bit_cast<float>(bits) >= 0
                                             : static_cast<int32_t>(bits) >= 0;
    writeLane(warp, operation.slots[0], lane,
              readLane(warp, operation.slots[first ? 1 : 2], lane));
  });
  return mask;
}

void buildSelectBySign(Decoder &decoder) {
  Operation &operation = decoder.operation;
  operation.ftz = decoder.take("ftz");
  Type type = decoder.takeType();
  operation.type = decoder.takeType();
  decoder.expectOperands(4, 4);
  operation.slots[0] = decoder.destination(0, type);
  operation.slots[1] = decoder.source(1, type);
  operation.slots[2] = decoder.source(2, type);
  operation.slots[3] = decoder.source(3, operation.type);
  operation.handler = runSelectBySign;
}

constexpr BuilderRow rows[] = {{"setp", buildSetPredicate},
                               {"set", buildSet},
                               {"selp", buildSelect},
                               {"slct", buildSelectBySign}};

} // namespace

std::span<const BuilderRow> comparisonBuilders() { return rows; }

} // namespace moec::ptx
