// Bulk copies between global and shared memory, plain and of tensors. Loads are
// performed some time after their issue, often as late as nothing else can go
// on; stores are performed as late as the waits allow.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/PTXEmulator/BulkCopies.h"

#include "tools/PTXEmulator/Atomics.h"
#include "tools/PTXEmulator/Lanes.h"
#include "tools/PTXEmulator/Mbarriers.h"
#include "tools/PTXEmulator/MemoryAccess.h"
#include "tools/PTXEmulator/TensorMap.h"

#include <algorithm>

namespace moec::ptx {

namespace {

/// What a copy does, in Operation::mode.
enum class Bulk : uint8_t {
  GlobalToShared,
  SharedToShared,
  SharedToGlobal,
  PrefetchGlobal,
  TensorToShared,
  SharedToTensor,
  PrefetchTensor
};

using Coordinates = std::array<int32_t, 5>;

/// A copy of a lane: what all later steps need to know.
struct Issue {
  Warp &warp;
  const Operation &operation;
  unsigned lane;

  bool fail(const std::string &message,
            FaultKind kind = FaultKind::LaunchFailed) const {
    return warp.fault(kind, operation, lane, message);
  }

  /// The address of an operand.
  uint64_t address(size_t slot) const {
    return readLane(warp, operation.slots[slot], lane) +
           static_cast<uint64_t>(static_cast<int64_t>(operation.offsets[slot]));
  }
};

// Tensors.

/// Calls `visit(byte within the box, device address, bytes)` with each run of
/// elements that the tensor has.
template <typename F>
void forEachRun(const TensorMap &map, const Coordinates &first, F visit) {
  uint64_t rows = map.boxBytes() / (map.extent(0) * map.elementBytes);
  for (uint64_t row = 0; row < rows; ++row) {
    uint64_t address = map.base, index = row;
    bool isInside = true;
    for (unsigned i = 1; i < map.rank; ++i) {
      int64_t at =
          first[i] + int64_t(index % map.extent(i)) * map.elementStrides[i];
      index /= map.extent(i);
      isInside &= at >= 0 && at < int64_t(map.dimensions[i]);
      address += static_cast<uint64_t>(at) * map.strides[i - 1];
    }
    if (!isInside)
      continue;
    uint64_t begin = row * map.extent(0) * map.elementBytes;
    unsigned step = map.elementStrides[0];
    // Runs are as long as elements lie next to each other.
    unsigned runLength = step == 1 ? map.extent(0) : 1;
    for (unsigned i = 0; i < map.extent(0); i += runLength) {
      int64_t from =
          std::max<int64_t>(0, -int64_t(first[0] + int64_t(i) * step));
      int64_t at = first[0] + int64_t(i) * step + from;
      int64_t count =
          std::min<int64_t>(runLength - from, int64_t(map.dimensions[0]) - at);
      if (count > 0)
        visit(begin + (i + uint64_t(from)) * map.elementBytes,
              address + uint64_t(at) * map.elementBytes,
              uint64_t(count) * map.elementBytes);
    }
  }
}

/// The box as it lies in shared memory before swizzling; what the tensor does
/// not have is zero.
bool gatherBox(const Issue &issue, const TensorMap &map,
               const Coordinates &first, std::vector<uint8_t> &box) {
  box.assign(map.boxBytes(), 0);
  bool failed = false;
  forEachRun(map, first, [&](uint64_t place, uint64_t address, uint64_t bytes) {
    const DeviceMemory &memory = issue.warp.machine->memory;
    const uint8_t *from = failed ? nullptr : memory.translate(address, bytes);
    if (from)
      std::memcpy(&box[place], from, bytes);
    else if (!failed)
      failed = !issue.fail("read of the tensor: " + memory.describe(address),
                           FaultKind::IllegalAddress);
  });
  return !failed;
}

/// Writes, or adds, elements to global memory.
void putElements(const Operation &operation, Type type, uint8_t *to,
                 const uint8_t *from, uint64_t bytes) {
  if (!operation.reduces) {
    std::memcpy(to, from, bytes);
    return;
  }
  unsigned width = bytesOf(type);
  for (uint64_t i = 0; i < bytes; i += width) {
    uint64_t old = 0, value = 0;
    std::memcpy(&old, to + i, width);
    std::memcpy(&value, from + i, width);
    uint64_t result =
        changed(static_cast<Change>(operation.number), type, old, value);
    std::memcpy(to + i, &result, width);
  }
}

/// The type of the elements of a map, by its CUtensorMapDataType.
Type typeOf(const TensorMap &map) {
  static constexpr Type types[] = {Type::U8,  Type::U16, Type::U32, Type::S32,
                                   Type::U64, Type::S64, Type::F16, Type::F32,
                                   Type::F64, Type::BF16};
  return map.type < std::size(types) ? types[map.type] : Type::F32;
}

bool scatterBox(const Issue &issue, const TensorMap &map,
                const Coordinates &first, const std::vector<uint8_t> &box) {
  bool failed = false;
  forEachRun(map, first, [&](uint64_t place, uint64_t address, uint64_t bytes) {
    const DeviceMemory &memory = issue.warp.machine->memory;
    uint8_t *to = failed ? nullptr : memory.translate(address, bytes);
    if (to)
      putElements(issue.operation, typeOf(map), to, &box[place], bytes);
    else if (!failed)
      failed = !issue.fail("write of the tensor: " + memory.describe(address),
                           FaultKind::IllegalAddress);
  });
  return !failed;
}

/// Copies between a box and swizzled shared memory in units of 16 bytes.
template <typename F>
void forEachUnit(SharedPlace place, Swizzle swizzle, size_t bytes, F visit) {
  for (uint32_t unit = 0; unit < bytes; unit += 16)
    visit(&place.cta->shared[swizzled(place.offset + unit, swizzle)], unit);
}

/// The map and the coordinates of a tensor operand: slot 3 has the address of
/// the map, list the coordinates.
bool readTensor(const Issue &issue, TensorMap &map, Coordinates &first) {
  const Operation &operation = issue.operation;
  const uint8_t *bytes =
      issue.warp.access(operation, issue.lane, Space::Generic, issue.address(3),
                        64, false, sizeof map);
  if (!bytes)
    return false;
  std::memcpy(&map, bytes, sizeof map);
  if (map.mark != TensorMap::validMark)
    return issue.fail("expected a tensor map made by cuTensorMapEncodeTiled");
  if (map.rank != operation.list.size())
    return issue.fail("expected a tensor of " +
                      std::to_string(operation.list.size()) +
                      " dimensions, found " + std::to_string(map.rank));
  for (size_t i = 0; i < operation.list.size(); ++i)
    first[i] = static_cast<int32_t>(
        readLane(issue.warp, operation.list[i], issue.lane));
  return true;
}

// Loads into shared memory.

/// Where a load writes, and the mbarrier that learns of it, in each CTA.
struct LoadTarget {
  SharedPlace place;
  uint64_t mbarrier;
};

/// The address of an offset in the shared memory of a CTA of the cluster.
uint64_t clusterAddress(const Cta &cta, uint32_t offset) {
  return uint64_t(cta.rank + 1) << sharedRankShift | offset;
}

/// slots: destination, -, mbarrier; slot 4 is the mask of a multicast, if
/// multicasts is set.
bool findTargets(const Issue &issue, uint32_t bytes, unsigned alignment,
                 std::vector<LoadTarget> &targets) {
  const Operation &operation = issue.operation;
  uint64_t to = issue.address(0), mbarrier = issue.address(2);
  if (to % alignment != 0)
    return issue.fail("expected a destination that is a multiple of " +
                          std::to_string(alignment) + ", found " +
                          std::to_string(to),
                      FaultKind::MisalignedAddress);
  SharedPlace place =
      findShared(issue.warp, operation, issue.lane, Space::Shared, to, bytes);
  SharedPlace barrier = place ? findShared(issue.warp, operation, issue.lane,
                                           Space::Shared, mbarrier, 8)
                              : SharedPlace();
  if (!barrier)
    return false;
  if (!operation.multicasts) {
    targets.push_back({place, clusterAddress(*barrier.cta, barrier.offset)});
    return true;
  }
  uint64_t ctas = readLane(issue.warp, operation.slots[4], issue.lane) & 0xFFFF;
  const Cluster &cluster = *issue.warp.cta->cluster;
  if (ctas == 0 || ctas >> cluster.ctas.size())
    return issue.fail("expected a mask of CTAs that the cluster has, found " +
                      std::to_string(ctas));
  for (size_t rank = 0; rank < cluster.ctas.size(); ++rank) {
    if (!(ctas >> rank & 1))
      continue;
    Cta &cta = *cluster.ctas[rank];
    if (cta.liveWarps == 0)
      return issue.fail("expected a CTA that has not exited, found rank " +
                        std::to_string(rank));
    targets.push_back(
        {{&cta, place.offset}, clusterAddress(cta, barrier.offset)});
  }
  return true;
}

/// Tells the mbarrier that bytes have come.
bool complete(const Issue &issue, uint64_t mbarrier, uint32_t bytes) {
  Mbarrier *barrier = findMbarrier(issue.warp, issue.operation, issue.lane,
                                   Space::Shared, mbarrier);
  return barrier &&
         checkFenced(issue.warp, issue.operation, issue.lane, *barrier) &&
         addTransactions(issue.warp, issue.operation, issue.lane, *barrier,
                         -int64_t(bytes));
}

/// Queues a load; `fetch` fills the bytes when it is performed. CTAs that it is
/// multicast to get theirs one by one.
template <typename F>
bool queueLoad(const Issue &issue, uint32_t bytes, unsigned alignment,
               Swizzle swizzle, F fetch) {
  std::vector<LoadTarget> targets;
  if (!findTargets(issue, bytes, alignment, targets))
    return false;
  for (const LoadTarget &target : targets)
    if (!touchShared(issue.warp, issue.operation, issue.lane, target.place,
                     bytes, Touch::BeginAsyncWrite) ||
        !checkRemote(issue.warp, issue.operation, issue.lane, Space::Shared,
                     target.mbarrier))
      return false;
  for (const LoadTarget &target : targets)
    issue.warp.cta->cluster->pending.push_back([=] {
      std::vector<uint8_t> data;
      if (!fetch(data))
        return;
      forEachUnit(target.place, swizzle, bytes,
                  [&](uint8_t *to, uint32_t unit) {
                    std::memcpy(to, &data[unit], 16);
                  });
      landShared(issue.warp, issue.lane, target.place, bytes, true);
      complete(issue, target.mbarrier, bytes);
    });
  ++issue.warp.machine->effects;
  return true;
}

bool loadTensor(const Issue &issue) {
  TensorMap map;
  Coordinates first = {};
  if (!readTensor(issue, map, first))
    return false;
  return queueLoad(issue, map.boxBytes(), 128, map.swizzle,
                   [=](std::vector<uint8_t> &data) {
                     return gatherBox(issue, map, first, data);
                   });
}

/// The size of a plain copy: slot 3.
bool readSize(const Issue &issue, uint32_t &bytes) {
  bytes = static_cast<uint32_t>(
      readLane(issue.warp, issue.operation.slots[3], issue.lane));
  if (bytes % 16 != 0)
    return issue.fail("expected a multiple of 16 bytes, found " +
                          std::to_string(bytes),
                      FaultKind::MisalignedAddress);
  return true;
}

bool checkAligned(const Issue &issue, uint64_t address) {
  return address % 16 == 0 ||
         issue.fail("expected addresses that are multiples of 16, found " +
                        std::to_string(address),
                    FaultKind::MisalignedAddress);
}

bool loadPlain(const Issue &issue) {
  uint32_t bytes = 0;
  uint64_t from = issue.address(1);
  if (!readSize(issue, bytes) || !checkAligned(issue, from))
    return false;
  return queueLoad(issue, bytes, 16, Swizzle::None,
                   [=](std::vector<uint8_t> &data) {
                     const DeviceMemory &memory = issue.warp.machine->memory;
                     const uint8_t *source = memory.translate(from, bytes);
                     if (!source)
                       return issue.fail("read of " + std::to_string(bytes) +
                                             " bytes: " + memory.describe(from),
                                         FaultKind::IllegalAddress);
                     data.assign(source, source + bytes);
                     return true;
                   });
}

/// From the own CTA to another; the source is read when it is performed.
bool copyShared(const Issue &issue) {
  uint32_t bytes = 0;
  if (!readSize(issue, bytes) || !checkAligned(issue, issue.address(1)))
    return false;
  SharedPlace from = findShared(issue.warp, issue.operation, issue.lane,
                                Space::Shared, issue.address(1), bytes);
  if (!from || !touchShared(issue.warp, issue.operation, issue.lane, from,
                            bytes, Touch::AsyncRead))
    return false;
  countAsyncReader(from, bytes, 1);
  return queueLoad(issue, bytes, 16, Swizzle::None,
                   [=](std::vector<uint8_t> &data) {
                     data.assign(from.bytes(), from.bytes() + bytes);
                     countAsyncReader(from, bytes, -1);
                     return true;
                   });
}

// Stores from shared memory.

bool queueStore(const Issue &issue, uint32_t bytes, unsigned alignment,
                Swizzle swizzle,
                std::function<bool(const std::vector<uint8_t> &)> put) {
  uint64_t from = issue.address(1);
  if (from % alignment != 0)
    return issue.fail("expected a source that is a multiple of " +
                          std::to_string(alignment) + ", found " +
                          std::to_string(from),
                      FaultKind::MisalignedAddress);
  SharedPlace place = findShared(issue.warp, issue.operation, issue.lane,
                                 Space::Shared, from, bytes);
  if (!place || !touchShared(issue.warp, issue.operation, issue.lane, place,
                             bytes, Touch::AsyncRead))
    return false;
  countAsyncReader(place, bytes, 1);
  auto fetch = [=](std::vector<uint8_t> &data) {
    data.resize(bytes);
    forEachUnit(place, swizzle, bytes, [&](const uint8_t *unit, uint32_t at) {
      std::memcpy(&data[at], unit, 16);
    });
    countAsyncReader(place, bytes, -1);
  };
  issue.warp.bulkStores.resize(warpSize);
  issue.warp.bulkStores[issue.lane].open.push_back(
      {&issue.operation, false, {}, fetch, std::move(put)});
  return true;
}

bool storeTensor(const Issue &issue) {
  TensorMap map;
  Coordinates first = {};
  if (!readTensor(issue, map, first))
    return false;
  return queueStore(issue, map.boxBytes(), 128, map.swizzle,
                    [=](const std::vector<uint8_t> &data) {
                      return scatterBox(issue, map, first, data);
                    });
}

bool storePlain(const Issue &issue) {
  uint32_t bytes = 0;
  uint64_t to = issue.address(0);
  if (!readSize(issue, bytes) || !checkAligned(issue, to))
    return false;
  return queueStore(issue, bytes, 16, Swizzle::None,
                    [=](const std::vector<uint8_t> &data) {
                      const DeviceMemory &memory = issue.warp.machine->memory;
                      uint8_t *target = memory.translate(to, bytes);
                      if (!target)
                        return issue.fail("write of " + std::to_string(bytes) +
                                              " bytes: " + memory.describe(to),
                                          FaultKind::IllegalAddress);
                      putElements(issue.operation, issue.operation.type, target,
                                  data.data(), bytes);
                      return true;
                    });
}

/// Reads the source of a store, if that was not done.
void fetchStore(BulkStore &store) {
  if (store.wasRead)
    return;
  store.fetch(store.data);
  store.wasRead = true;
}

bool performStore(Warp &warp, BulkStore &store) {
  fetchStore(store);
  ++warp.machine->effects;
  return store.put(store.data);
}

bool issueLane(const Issue &issue) {
  Bulk bulk = static_cast<Bulk>(issue.operation.mode);
  if (bulk != Bulk::SharedToShared && !issue.warp.cta->seesDevice())
    return issue.fail(missingGridWait);
  switch (bulk) {
  case Bulk::GlobalToShared:
    return loadPlain(issue);
  case Bulk::SharedToShared:
    return copyShared(issue);
  case Bulk::SharedToGlobal:
    return storePlain(issue);
  case Bulk::TensorToShared:
    return loadTensor(issue);
  case Bulk::SharedToTensor:
    return storeTensor(issue);
  case Bulk::PrefetchGlobal:
  case Bulk::PrefetchTensor:
    return true;
  }
  return true;
}

Mask runBulkCopy(Warp &warp, const Operation &operation, Mask mask) {
  bool failed = false;
  forEachLane(mask, [&](unsigned lane) {
    failed = failed || !issueLane({warp, operation, lane});
  });
  return failed ? 0 : mask;
}

Mask runCommit(Warp &warp, const Operation &, Mask mask) {
  warp.bulkStores.resize(warpSize);
  forEachLane(mask, [&](unsigned lane) { warp.bulkStores[lane].commit(); });
  return mask;
}

/// number: groups that may be left; mode: whether only their sources must have
/// been read.
Mask runWait(Warp &warp, const Operation &operation, Mask mask) {
  warp.bulkStores.resize(warpSize);
  bool failed = false;
  forEachLane(mask, [&](unsigned lane) {
    auto &groups = warp.bulkStores[lane].groups;
    size_t keep = static_cast<size_t>(operation.number);
    for (size_t i = 0; i + keep < groups.size(); ++i)
      for (BulkStore &store : groups[i])
        if (operation.mode)
          fetchStore(store);
        else
          failed = failed || !performStore(warp, store);
    while (!operation.mode && groups.size() > keep)
      groups.pop_front();
  });
  return failed ? 0 : mask;
}

// Decoding.

void takeAddress(Decoder &decoder, size_t operand, size_t slot) {
  Operation &operation = decoder.operation;
  operation.slots[slot] = decoder.address(decoder.operand(operand));
  operation.offsets[slot] = static_cast<int32_t>(operation.offset);
}

/// [map, {coordinates}]
void takeTensor(Decoder &decoder, size_t index, unsigned rank) {
  const Operand &tensor = decoder.operand(index);
  takeAddress(decoder, index, 3);
  if (tensor.parts.size() != 2 || tensor.parts[1].parts.size() != rank)
    return decoder.fail("expected " + std::to_string(rank) + " coordinates");
  for (const Operand &coordinate : tensor.parts[1].parts)
    decoder.operation.list.push_back(decoder.source(coordinate, Type::B32));
}

/// Which way a copy goes, from its two state spaces.
Bulk takeDirection(Decoder &decoder, bool isTensor) {
  const std::vector<std::string> &opcode = decoder.operation.statement->opcode;
  bool toGlobal = false;
  for (const std::string &part : opcode) {
    if (part == "global") {
      toGlobal = true;
      break;
    }
    if (part.starts_with("shared"))
      break;
  }
  bool hasGlobal = decoder.take("global");
  unsigned shared = decoder.take("shared::cluster");
  shared += decoder.take("shared::cta");
  if (shared + hasGlobal != 2)
    decoder.fail("expected two state spaces");
  if (isTensor)
    return toGlobal ? Bulk::SharedToTensor : Bulk::TensorToShared;
  return toGlobal    ? Bulk::SharedToGlobal
         : hasGlobal ? Bulk::GlobalToShared
                     : Bulk::SharedToShared;
}

void takeReduction(Decoder &decoder) {
  Operation &operation = decoder.operation;
  operation.number =
      static_cast<int64_t>(decoder.require<Change>({{"add", Change::Add},
                                                    {"min", Change::Minimum},
                                                    {"max", Change::Maximum},
                                                    {"inc", Change::Increment},
                                                    {"dec", Change::Decrement},
                                                    {"and", Change::And},
                                                    {"or", Change::Or},
                                                    {"xor", Change::Xor}}));
  decoder.take("noftz");
}

std::optional<unsigned> takeRank(Decoder &decoder) {
  return decoder.takeOneOf<unsigned>(
      {{"1d", 1}, {"2d", 2}, {"3d", 3}, {"4d", 4}, {"5d", 5}});
}

void buildPrefetch(Decoder &decoder, std::optional<unsigned> rank) {
  decoder.require<bool>({{"L2", true}});
  decoder.take("tile");
  decoder.take("global");
  bool hasPolicy = decoder.take("L2::cache_hint");
  size_t count = rank ? 1u : 2u;
  decoder.expectOperands(count + hasPolicy, count + hasPolicy);
  decoder.operation.mode =
      static_cast<uint8_t>(rank ? Bulk::PrefetchTensor : Bulk::PrefetchGlobal);
  if (rank)
    takeTensor(decoder, 0, *rank);
  else
    takeAddress(decoder, 0, 0);
}

void buildGroupWait(Decoder &decoder) {
  decoder.operation.mode = decoder.take("read");
  decoder.expectOperands(1, 1);
  decoder.operation.number = decoder.constant(0);
  decoder.operation.handler = runWait;
}

/// Operands: destination, source, bytes unless a tensor, the mbarrier of loads,
/// the mask of a multicast, a cache policy.
void takeOperands(Decoder &decoder, Bulk direction,
                  std::optional<unsigned> rank) {
  Operation &operation = decoder.operation;
  bool isStore =
      direction == Bulk::SharedToGlobal || direction == Bulk::SharedToTensor;
  operation.multicasts = decoder.take("multicast::cluster");
  size_t count = (isStore ? 2u : 3u) + !rank + operation.multicasts +
                 decoder.take("L2::cache_hint");
  decoder.expectOperands(count, count);
  bool tensorFirst = direction == Bulk::SharedToTensor;
  if (rank)
    takeTensor(decoder, tensorFirst ? 0 : 1, *rank);
  if (!tensorFirst)
    takeAddress(decoder, 0, 0);
  if (direction != Bulk::TensorToShared)
    takeAddress(decoder, 1, 1);
  size_t next = 2;
  if (!rank)
    operation.slots[3] = decoder.source(next++, Type::B32);
  if (!isStore)
    takeAddress(decoder, next++, 2);
  if (operation.multicasts)
    operation.slots[4] = decoder.source(next++, Type::B16);
}

} // namespace

void buildBulkCopy(Decoder &decoder, bool reduces) {
  Operation &operation = decoder.operation;
  operation.handler = runBulkCopy;
  if (decoder.take("commit_group")) {
    decoder.expectOperands(0, 0);
    operation.handler = runCommit;
    return;
  }
  if (decoder.take("wait_group"))
    return buildGroupWait(decoder);
  bool prefetches = decoder.take("prefetch");
  bool isTensor = decoder.take("tensor");
  std::optional<unsigned> rank =
      isTensor ? takeRank(decoder) : std::optional<unsigned>();
  if (isTensor && !rank)
    return decoder.fail("expected .1d to .5d");
  if (prefetches)
    return buildPrefetch(decoder, rank);
  Bulk direction = takeDirection(decoder, isTensor);
  operation.mode = static_cast<uint8_t>(direction);
  decoder.take("tile");
  bool isStore =
      direction == Bulk::SharedToGlobal || direction == Bulk::SharedToTensor;
  if (isStore)
    decoder.require<bool>({{"bulk_group", true}});
  else
    decoder.require<bool>({{"mbarrier::complete_tx::bytes", true}});
  operation.reduces = reduces;
  if (reduces) {
    takeReduction(decoder);
    // Elements of tensors have the type that their map says.
    if (!isTensor)
      operation.type = decoder.takeType();
  }
  takeOperands(decoder, direction, rank);
}

void finishBulkStores(Warp &warp, Mask lanes) {
  if (warp.bulkStores.empty())
    return;
  forEachLane(lanes, [&](unsigned lane) {
    ThreadStores &stores = warp.bulkStores[lane];
    stores.groups.push_back(std::move(stores.open));
    stores.open.clear();
    for (std::vector<BulkStore> &group : stores.groups)
      for (BulkStore &store : group) {
        if (!store.wasRead)
          warp.fault(FaultKind::LaunchFailed, *store.operation, lane,
                     "expected a wait before the thread exits: the store may "
                     "not have read its source");
        else
          performStore(warp, store);
      }
    stores.groups.clear();
  });
}

} // namespace moec::ptx
