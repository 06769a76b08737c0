// A kernel in the form that is run: operations on slots of a warp's registers.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_PTXEMULATOR_PROGRAM_H
#define MOEC_TOOLS_PTXEMULATOR_PROGRAM_H

#include "tools/PTXEmulator/Syntax.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace moec::ptx {

struct Warp;
struct Operation;

/// One bit for each lane of a warp.
using Mask = uint32_t;
inline constexpr Mask allLanes = ~Mask(0);

/// Runs an operation for lanes of a warp that stand at it. Returns those that
/// are done with it; the others wait there until a lane joins them or
/// something wakes them.
using Handler = Mask (*)(Warp &, const Operation &, Mask);

/// Where the 32 values of a register, or of a constant, are.
struct Slot {
  /// Bytes from the start of its file.
  uint32_t offset = 0;
  /// 0: registers of the warp, 1: constants of the program.
  uint8_t file = 0;
  /// Bytes of a lane: 4, 8 or 16; 0 for a predicate, which is one Mask.
  uint8_t laneBytes = 0;
  /// A predicate to be negated.
  bool negated = false;
};

/// What the interpreter itself does with an operation.
enum class Flow : uint8_t {
  Straight,
  Branch,
  IndexedBranch,
  Call,
  Return,
  Exit
};

/// A decoded instruction. What the fields beyond the slots mean is the
/// handler's business.
struct Operation {
  Handler handler = nullptr;
  Flow flow = Flow::Straight;
  bool guarded = false;
  Slot guard;
  /// Destinations first.
  std::array<Slot, 6> slots;
  /// Elements of vectors.
  std::vector<Slot> list;
  /// Further elements, where an instruction has several vectors.
  std::vector<std::vector<Slot>> vectors;
  Type type = Type::B32;
  /// Where it differs from the type of the result.
  Type sourceType = Type::B32;
  /// Of a destination that may be wider than its type.
  uint8_t registerBits = 32;
  Space space = Space::Generic;
  uint8_t mode = 0;
  uint8_t elementCount = 1;
  uint8_t elementBytes = 4;
  bool ftz = false, saturate = false;
  /// Whether all lanes of the warp must come together.
  bool aligned = false;
  /// Of a barrier: whether it waits, or only arrives.
  bool waits = false;
  /// Of a bulk copy: whether it reduces into its destination, and whether it
  /// writes to several CTAs.
  bool reduces = false, multicasts = false;
  /// Byte offsets of addresses, by slot, where there are several.
  std::array<int32_t, 6> offsets = {};
  /// Registers that are accessed, and those of them that are written: offsets
  /// into the warp's registers.
  std::vector<uint32_t> accessed, written;
  /// Byte offset of an address, and further numbers.
  int64_t offset = 0;
  int64_t number = 0;
  std::vector<uint32_t> targets;
  /// Of a call: bytes to be copied within the local memory of a thread.
  struct Copy {
    uint32_t from, to, bytes;
  };
  std::vector<Copy> copies;
  const Statement *statement = nullptr;
};

/// Address windows of the generic space. Device memory lies below all of them.
inline constexpr uint64_t sharedWindow = uint64_t(1) << 56;
inline constexpr uint64_t localWindow = uint64_t(2) << 56;
inline constexpr uint64_t paramWindow = uint64_t(3) << 56;
inline constexpr uint64_t windowBytes = uint64_t(1) << 32;

/// The first byte of shared memory that programs may use: 0 is no address.
inline constexpr uint32_t sharedBase = 1024;
/// Likewise of local memory.
inline constexpr uint32_t localBase = 64;
/// Bits of an address within a CTA's shared memory; those above hold one more
/// than the rank of the CTA in its cluster, or zero for the own CTA.
inline constexpr unsigned sharedRankShift = 24;

struct Program {
  std::string name;
  /// The entry's own code is first.
  std::vector<Operation> code;
  uint32_t registerBytes = 0;
  std::vector<uint8_t> constants;
  std::vector<std::pair<std::string, Slot>> specialRegisters;
  struct Parameter {
    uint32_t offset, bytes;
  };
  std::vector<Parameter> parameters;
  uint32_t parameterBytes = 0;
  /// Shared memory: [sharedBase, sharedBytes) is static, dynamic is behind.
  uint32_t sharedBytes = sharedBase;
  uint32_t dynamicSharedOffset = sharedBase;
  /// Of a thread, with localBase.
  uint32_t localBytes = localBase;
  /// Whether it has instructions of the asynchronous proxy.
  bool usesAsyncProxy = false;
  /// Whether it has warpgroup products.
  bool usesWarpgroups = false;
  std::array<unsigned, 3> threads = {0, 0, 0};
  bool threadsRequired = false;
  std::array<unsigned, 3> cluster = {0, 0, 0};
  /// Keeps the statements alive.
  std::shared_ptr<const Module> module;
};

} // namespace moec::ptx

#endif // MOEC_TOOLS_PTXEMULATOR_PROGRAM_H
