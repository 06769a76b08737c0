// Lanes of a warp that do something together: shfl, vote, match, redux, elect.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/PTXEmulator/Collectives.h"

#include "tools/PTXEmulator/Elementwise.h"

namespace moec::ptx {

namespace {

enum class Shuffle : uint8_t { Up, Down, Butterfly, Index };

/// The lane whose value a lane gets, and whether it is within its segment.
std::pair<unsigned, bool> sourceLane(Shuffle mode, unsigned lane, uint32_t b,
                                     uint32_t c) {
  unsigned segments = c >> 8 & 31, clamp = c & 31;
  unsigned last = (lane & segments) | (clamp & ~segments);
  unsigned first = lane & segments;
  b &= 31;
  switch (mode) {
  case Shuffle::Up: {
    int from = int(lane) - int(b);
    return {unsigned(from), from >= int(last)};
  }
  case Shuffle::Down:
    return {lane + b, lane + b <= last};
  case Shuffle::Butterfly:
    return {lane ^ b, (lane ^ b) <= last};
  case Shuffle::Index: {
    unsigned from = first | (b & ~segments);
    return {from, from <= last};
  }
  }
  return {lane, false};
}

/// Slots: result, whether in range, value, b, c, members.
void shuffle(Warp &warp, const Operation &operation, Mask group) {
  Lanes<uint32_t> values = read<uint32_t>(warp, operation.slots[2]);
  Lanes<uint32_t> b = read<uint32_t>(warp, operation.slots[3]);
  Lanes<uint32_t> c = read<uint32_t>(warp, operation.slots[4]);
  Mask inRange = 0;
  forEachLane(group, [&](unsigned lane) {
    auto [from, isInRange] = sourceLane(static_cast<Shuffle>(operation.mode),
                                        lane, b[lane], c[lane]);
    if (isInRange && !(group >> from & 1))
      warp.fault(FaultKind::LaunchFailed, operation, lane,
                 "expected the value of a lane that takes part, found lane " +
                     std::to_string(from));
    inRange |= Mask(isInRange) << lane;
    writeLane(warp, operation.slots[0], lane, values[isInRange ? from : lane]);
  });
  writeMask(warp, operation.slots[1], inRange, group);
}

Mask runShuffle(Warp &warp, const Operation &operation, Mask mask) {
  return forEachGroup(warp, operation, operation.slots[5], mask,
                      [&](Mask group) { shuffle(warp, operation, group); });
}

/// The first of a|b, and the second or nowhere.
std::pair<const Operand *, const Operand *> halves(const Operand &operand) {
  static const Operand sink;
  if (operand.kind == Operand::Kind::Pair)
    return {&operand.parts[0], &operand.parts[1]};
  return {&operand, &sink};
}

void buildShuffle(Decoder &decoder) {
  Operation &operation = decoder.operation;
  decoder.require<bool>({{"sync", true}});
  operation.mode = static_cast<uint8_t>(
      decoder.require<Shuffle>({{"up", Shuffle::Up},
                                {"down", Shuffle::Down},
                                {"bfly", Shuffle::Butterfly},
                                {"idx", Shuffle::Index}}));
  Type type = decoder.takeType();
  if (bitsOf(type) != 32)
    decoder.fail("expected .b32");
  decoder.expectOperands(5, 5);
  auto [result, inRange] = halves(decoder.operand(0));
  operation.slots[0] = decoder.destination(*result, type);
  operation.slots[1] = decoder.destination(*inRange, Type::Pred);
  operation.slots[2] = decoder.source(1, type);
  operation.slots[3] = decoder.source(2, Type::U32);
  operation.slots[4] = decoder.source(3, Type::U32);
  operation.slots[5] = decoder.source(4, Type::B32);
  operation.handler = runShuffle;
}

enum class Vote : uint8_t { All, Any, Uniform, Ballot };

Mask runVote(Warp &warp, const Operation &operation, Mask mask) {
  auto vote = [&](Mask group) {
    Mask values = readMask(warp, operation.slots[1]) & group;
    bool result = false;
    switch (static_cast<Vote>(operation.mode)) {
    case Vote::All:
      result = values == group;
      break;
    case Vote::Any:
      result = values != 0;
      break;
    case Vote::Uniform:
      result = values == group || values == 0;
      break;
    case Vote::Ballot:
      forEachLane(group, [&](unsigned lane) {
        writeLane(warp, operation.slots[0], lane, values);
      });
      return;
    }
    writeMask(warp, operation.slots[0], result ? allLanes : 0, group);
  };
  return forEachGroup(warp, operation, operation.slots[2], mask, vote);
}

void buildVote(Decoder &decoder) {
  Operation &operation = decoder.operation;
  decoder.require<bool>({{"sync", true}});
  Vote vote = decoder.require<Vote>({{"all", Vote::All},
                                     {"any", Vote::Any},
                                     {"uni", Vote::Uniform},
                                     {"ballot", Vote::Ballot}});
  operation.mode = static_cast<uint8_t>(vote);
  Type expected = vote == Vote::Ballot ? Type::B32 : Type::Pred;
  if (decoder.takeType() != expected)
    decoder.fail("expected .b32 for ballots, .pred otherwise");
  decoder.expectOperands(3, 3);
  operation.slots[0] = decoder.destination(0, expected);
  operation.slots[1] = decoder.source(1, Type::Pred);
  operation.slots[2] = decoder.source(2, Type::B32);
  operation.handler = runVote;
}

/// Lanes that happen to be here together; any subset would be right.
Mask runActiveMask(Warp &warp, const Operation &operation, Mask mask) {
  forEachLane(mask, [&](unsigned lane) {
    writeLane(warp, operation.slots[0], lane, mask);
  });
  return mask;
}

void buildActiveMask(Decoder &decoder) {
  decoder.takeType();
  decoder.expectOperands(1, 1);
  decoder.operation.slots[0] = decoder.destination(0, Type::B32);
  decoder.operation.handler = runActiveMask;
}

/// Slots: result, whether all match, value, members.
Mask runMatch(Warp &warp, const Operation &operation, Mask mask) {
  auto match = [&](Mask group) {
    bool all = true;
    forEachLane(group, [&](unsigned lane) {
      Mask same = 0;
      uint64_t value = readLane(warp, operation.slots[2], lane);
      forEachLane(group, [&](unsigned other) {
        same |= Mask(readLane(warp, operation.slots[2], other) == value)
                << other;
      });
      all &= same == group;
      writeLane(warp, operation.slots[0], lane, same);
    });
    if (!operation.mode)
      return;
    writeMask(warp, operation.slots[1], all ? allLanes : 0, group);
    forEachLane(group, [&](unsigned lane) {
      writeLane(warp, operation.slots[0], lane, all ? group : 0);
    });
  };
  return forEachGroup(warp, operation, operation.slots[3], mask, match);
}

void buildMatch(Decoder &decoder) {
  Operation &operation = decoder.operation;
  operation.mode = decoder.require<uint8_t>({{"any", 0}, {"all", 1}});
  decoder.require<bool>({{"sync", true}});
  Type type = decoder.takeType();
  decoder.expectOperands(3, 3);
  auto [result, all] = halves(decoder.operand(0));
  operation.slots[0] = decoder.destination(*result, Type::B32);
  operation.slots[1] = decoder.destination(*all, Type::Pred);
  operation.slots[2] = decoder.source(1, type);
  operation.slots[3] = decoder.source(2, Type::B32);
  operation.handler = runMatch;
}

enum class Reduction : uint8_t { Add, Minimum, Maximum, And, Or, Xor };

uint32_t reduce(Reduction reduction, bool isSigned, uint32_t a, uint32_t b) {
  bool less = isSigned ? int32_t(a) < int32_t(b) : a < b;
  switch (reduction) {
  case Reduction::Add:
    return a + b;
  case Reduction::Minimum:
    return less ? a : b;
  case Reduction::Maximum:
    return less ? b : a;
  case Reduction::And:
    return a & b;
  case Reduction::Or:
    return a | b;
  case Reduction::Xor:
    return a ^ b;
  }
  return a;
}

Mask runReduction(Warp &warp, const Operation &operation, Mask mask) {
  auto run = [&](Mask group) {
    Lanes<uint32_t> values = read<uint32_t>(warp, operation.slots[1]);
    uint32_t result = values[static_cast<size_t>(std::countr_zero(group))];
    forEachLane(group & (group - 1), [&](unsigned lane) {
      result = reduce(static_cast<Reduction>(operation.mode),
                      isSigned(operation.type), result, values[lane]);
    });
    forEachLane(group, [&](unsigned lane) {
      writeLane(warp, operation.slots[0], lane, result);
    });
  };
  return forEachGroup(warp, operation, operation.slots[2], mask, run);
}

void buildReduction(Decoder &decoder) {
  Operation &operation = decoder.operation;
  decoder.require<bool>({{"sync", true}});
  operation.mode = static_cast<uint8_t>(
      decoder.require<Reduction>({{"add", Reduction::Add},
                                  {"min", Reduction::Minimum},
                                  {"max", Reduction::Maximum},
                                  {"and", Reduction::And},
                                  {"or", Reduction::Or},
                                  {"xor", Reduction::Xor}}));
  operation.type = decoder.takeType();
  if (bitsOf(operation.type) != 32 || isFloat(operation.type))
    decoder.fail("expected .u32, .s32 or .b32");
  decoder.expectOperands(3, 3);
  operation.slots[0] = decoder.destination(0, operation.type);
  operation.slots[1] = decoder.source(1, operation.type);
  operation.slots[2] = decoder.source(2, Type::B32);
  operation.handler = runReduction;
}

/// Which lane is elected is not said; here any.
Mask runElect(Warp &warp, const Operation &operation, Mask mask) {
  auto elect = [&](Mask group) {
    Mask left = group;
    for (uint64_t skip =
             warp.machine->below(static_cast<uint64_t>(std::popcount(group)));
         skip; --skip)
      left &= left - 1;
    unsigned chosen = static_cast<unsigned>(std::countr_zero(left));
    forEachLane(group, [&](unsigned lane) {
      writeLane(warp, operation.slots[0], lane, chosen);
    });
    writeMask(warp, operation.slots[1], Mask(1) << chosen, group);
  };
  return forEachGroup(warp, operation, operation.slots[2], mask, elect);
}

void buildElect(Decoder &decoder) {
  Operation &operation = decoder.operation;
  decoder.require<bool>({{"sync", true}});
  decoder.expectOperands(2, 2);
  auto [lane, isElected] = halves(decoder.operand(0));
  operation.slots[0] = decoder.destination(*lane, Type::B32);
  operation.slots[1] = decoder.destination(*isElected, Type::Pred);
  operation.slots[2] = decoder.source(1, Type::B32);
  operation.handler = runElect;
}

constexpr BuilderRow rows[] = {
    {"shfl", buildShuffle},          {"vote", buildVote},
    {"activemask", buildActiveMask}, {"match", buildMatch},
    {"redux", buildReduction},       {"elect", buildElect},
};

} // namespace

std::span<const BuilderRow> collectiveBuilders() { return rows; }

} // namespace moec::ptx
