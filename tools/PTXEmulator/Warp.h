// The state of a running grid: warps, CTAs, clusters.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_PTXEMULATOR_WARP_H
#define MOEC_TOOLS_PTXEMULATOR_WARP_H

#include "tools/PTXEmulator/DeviceMemory.h"
#include "tools/PTXEmulator/Program.h"
#include "tools/PTXEmulator/SpecialRegisters.h"

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

namespace moec::ptx {

enum class FaultKind : uint8_t {
  IllegalAddress,
  MisalignedAddress,
  /// Anything else a kernel did wrong.
  LaunchFailed,
  /// The limit of steps.
  Timeout,
};

struct Fault {
  FaultKind kind;
  std::string message;
};

/// `value` as messages write it.
std::string inHex(uint64_t value);

/// What a run is like.
struct Settings {
  uint64_t seed = 1;
  /// CTAs that run at a time; a cluster is never split.
  unsigned residentCtas = 6;
  /// Thread instructions of a launch; beyond, the launch has failed.
  uint64_t stepLimit = uint64_t(4) << 30;
  /// Whether reads of shared or local memory that nothing wrote are faults.
  bool reportUninitialized = true;
};

/// What all warps of a machine share.
struct MachineState {
  DeviceMemory &memory;
  Settings settings;
  std::mt19937_64 random;
  std::optional<Fault> fault;
  /// Grows with everything that a waiting thread may wait for.
  uint64_t effects = 0;
  /// Thread instructions so far.
  uint64_t steps = 0;
  /// The allocation that was accessed last.
  DeviceMemory::Allocation recent;

  MachineState(DeviceMemory &memory, const Settings &settings)
      : memory(memory), settings(settings), random(settings.seed) {}

  /// A number below `bound`.
  uint64_t below(uint64_t bound) { return random() % bound; }
};

struct Grid {
  const Program *program = nullptr;
  Extent grid, block, cluster;
  uint32_t dynamicSharedBytes = 0;
  std::vector<uint8_t> parameters;
};

struct Cta;

/// What a dependent is told that does not wait.
inline constexpr char missingGridWait[] =
    "expected a griddepcontrol.wait before device memory is accessed";

/// What is known of a byte of shared or local memory.
enum class ByteState : uint8_t {
  Unwritten,
  Written,
  /// A copy that has begun will write it.
  InFlight,
  /// A thread wrote it, and no fence.proxy.async followed.
  Unfenced,
  /// It is of an mbarrier.
  Barrier,
};

/// An object in shared memory that threads and bulk copies arrive at.
struct Mbarrier {
  /// Arrivals of a phase, and those still missing in this one.
  uint32_t expected = 0, pending = 0;
  /// Bytes that are announced but have not come.
  int64_t transactions = 0;
  /// Phases that have ended.
  uint64_t phase = 0;
  /// Whether a fence followed its initialisation, and behind how many barriers of
  /// the cluster: copies see it then, other CTAs behind the next.
  bool isFenced = false;
  uint64_t fencedBehind = 0;
};

/// An mbarrier that a thread initialised and no fence followed.
struct UnfencedMbarrier {
  unsigned lane;
  Cta *cta;
  uint32_t offset;
};

/// Bytes that a thread wrote and no fence.proxy.async followed.
struct UnfencedWrite {
  unsigned lane;
  Cta *cta;
  uint32_t offset, bytes;
};

/// What a thread began: in no group yet, and in groups that were committed.
template <typename Begun> struct CopyGroups {
  std::vector<Begun> open;
  std::deque<std::vector<Begun>> groups;

  void commit() {
    groups.push_back(std::move(open));
    open.clear();
  }
};

/// A bulk copy from shared to global memory.
struct BulkStore {
  const Operation *operation;
  bool wasRead;
  std::vector<uint8_t> data;
  std::function<void(std::vector<uint8_t> &)> fetch;
  std::function<bool(const std::vector<uint8_t> &)> put;
};

/// Those of a thread: in groups, oldest first, and in none yet.
using ThreadStores = CopyGroups<BulkStore>;

/// A copy of a thread that has begun.
struct AsyncCopy {
  const Operation *operation = nullptr;
  uint64_t from = 0;
  Cta *cta = nullptr;
  uint32_t to = 0;
  uint8_t bytes = 0;
  /// The rest is zeros.
  uint8_t sourceBytes = 0;
};

/// The copies of a thread: those of groups, oldest first, and those that are in
/// none yet.
using ThreadCopies = CopyGroups<AsyncCopy>;

/// A warpgroup product, as far as a warp has to do with it.
struct WarpProduct {
  const Operation *operation;
  /// Descriptors; that of A is unused if A is in registers.
  uint64_t a, b;
  /// Whether the accumulators are added to.
  bool accumulates;
  bool isPerformed = false;
};

/// The products of a warp: in groups, oldest first, and in none yet.
struct ThreadProducts {
  std::vector<WarpProduct> open;
  std::deque<std::vector<WarpProduct>> groups;
  /// Groups so far, with those that were waited for.
  uint64_t committed = 0;
};

struct RegisterState {
  /// Products that were issued with it and not waited for.
  uint16_t inFlight = 0;
  /// Whether it was written since the last wgmma.fence.
  bool isUnfenced = false;
};

struct Warp {
  MachineState *machine = nullptr;
  Cta *cta = nullptr;
  const Program *program = nullptr;
  unsigned index = 0;
  /// Lanes that have not exited.
  Mask alive = 0;
  /// Lanes at a collective that others have not reached.
  Mask waiting = 0;
  /// Lanes that something outside the warp will wake.
  Mask blocked = 0;
  /// Lanes that came to the cluster's barrier, which is not complete.
  Mask clusterArrived = 0;
  /// The barrier that blocked lanes are at.
  unsigned barrier = 0;
  std::array<uint32_t, warpSize> pc = {};
  /// Registers, and constants.
  std::array<uint8_t *, 2> files = {};
  std::vector<uint8_t> registers;
  /// Local memory of lane 0, then of lane 1 ...
  std::vector<uint8_t> local;
  std::vector<ByteState> localStates;
  /// Of each lane; empty as long as there are none.
  std::vector<ThreadCopies> copies;
  std::vector<ThreadStores> bulkStores;
  std::vector<UnfencedWrite> unfenced;
  std::vector<UnfencedMbarrier> unfencedMbarriers;
  /// Warpgroup products that were issued.
  ThreadProducts products;
  /// Of each register, by its offset / 64; empty in programs without products.
  std::vector<RegisterState> registerStates;
  /// Where each lane returns to.
  std::vector<std::vector<uint32_t>> calls;
  /// Set by an operation that found nothing to do yet, such as a try_wait.
  bool yielded = false;
  /// MachineState::effects when it last yielded: as long as nothing had an
  /// effect since, it is taken to be waiting.
  uint64_t yieldedAt = ~uint64_t(0);

  /// Ends the turn of a warp that has nothing to do until something has an
  /// effect.
  void yield() {
    yielded = true;
    yieldedAt = machine->effects;
  }

  /// Ends the launch. `message` says what was expected and what was found; the
  /// place is put before it. Returns no lanes, for handlers.
  Mask fault(FaultKind kind, const Operation &operation, unsigned lane,
             const std::string &message);

  /// The bytes of a lane's access, or null after a fault. Space Param is the
  /// kernel's parameters. The address must be a multiple of `bytes`, of which
  /// the first `used` are accessed, if that is given.
  uint8_t *access(const Operation &operation, unsigned lane, Space space,
                  uint64_t address, unsigned bytes, bool isWrite,
                  unsigned used = 0);
};

/// One of the 16 barriers of a CTA.
struct NamedBarrier {
  unsigned arrived = 0;
  /// Threads it is for; 0 while nobody waits.
  unsigned expected = 0;
  /// For barrier.red.
  bool allTrue = true, anyTrue = false;
  unsigned trueCount = 0;
};

struct Cluster;

/// How far a grid is: the grid after it may begin when all its CTAs have let
/// dependents go, and waits for their ends by griddepcontrol.wait.
struct GridProgress {
  const GridProgress *previous = nullptr;
  uint64_t ctasNotDone = 0, ctasNotTriggered = 0;
};

struct Cta {
  const Grid *grid = nullptr;
  GridProgress *progress = nullptr;
  bool hasTriggered = false;
  /// Whether a thread came past griddepcontrol.wait.
  bool hasWaited = false;
  Cluster *cluster = nullptr;
  /// In the cluster.
  unsigned rank = 0;
  Extent place = {};
  std::vector<uint8_t> shared;
  std::vector<ByteState> sharedStates;
  std::vector<Warp> warps;
  std::array<NamedBarrier, 16> barriers;
  /// By their offset.
  std::map<uint32_t, Mbarrier> mbarriers;
  /// Asynchronous readers of each 16 bytes; empty if there were none.
  std::vector<uint16_t> asyncReaders;
  unsigned liveWarps = 0;

  /// Lets dependents of the grid go, as far as this CTA is concerned.
  void trigger() {
    progress->ctasNotTriggered -= !hasTriggered;
    hasTriggered = true;
  }

  /// Whether what grids before this one do to device memory is done.
  bool seesDevice() const { return hasWaited || !progress->previous; }

  /// "CTA (1, 0, 0)"
  std::string describe() const;
};

struct Cluster {
  std::vector<std::unique_ptr<Cta>> ctas;
  unsigned liveCtas = 0;
  /// Barriers of the cluster that all threads have come to.
  uint64_t barriers = 0;
  /// Writes that barriers made known to others.
  std::vector<UnfencedWrite> published;
  /// Bulk loads that were issued, to be performed in any order.
  std::vector<std::function<void()>> pending;
};

} // namespace moec::ptx

#endif // MOEC_TOOLS_PTXEMULATOR_WARP_H
