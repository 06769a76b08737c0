// Bases of clusters in slots of memory, read from an archive as steps need
// them. Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "runtime/pager/Pager.h"

#include "runtime/store/SignalsBlocked.h"

#include <algorithm>
#include <system_error>

using namespace moec::pager;
using namespace moec::residency;
using namespace moec::weights;

//===----------------------------------------------------------------------===//
// How many slots of each size
//===----------------------------------------------------------------------===//

namespace {

/// Records of one size: how many there are, and most of one layer.
struct SizeClass {
  uint64_t slotBytes = 0;
  uint32_t units = 0, most = 0;
};

/// By size; which one each layer has.
struct SizeClasses {
  std::vector<SizeClass> sizes;
  std::vector<size_t> ofLayer;
};

Result<SizeClasses> sizesOf(std::span<const PagedLayer> layers) {
  SizeClasses classes;
  for (const PagedLayer &layer : layers) {
    uint64_t length = layer.records.empty() ? 0 : layer.records.front().length;
    for (const moec::store::RecordPlace &record : layer.records)
      if (record.length != length || length == 0)
        return Error{"layer '" + layer.name +
                     "': expected bases of one length, found record '" +
                     record.name + "' of " + std::to_string(record.length) +
                     " bytes beside one of " + std::to_string(length)};
    uint64_t bytes = moec::store::bufferBytes(length);
    auto known = std::find_if(
        classes.sizes.begin(), classes.sizes.end(),
        [&](const SizeClass &size) { return size.slotBytes == bytes; });
    classes.ofLayer.push_back(size_t(known - classes.sizes.begin()));
    if (known == classes.sizes.end())
      known = classes.sizes.insert(known, {bytes, 0, 0});
    uint32_t clusters = uint32_t(layer.records.size());
    known->units += clusters;
    known->most = std::max(known->most, clusters);
  }
  return classes;
}

/// Slots of each size: what a layer needs, and of what is left a part that goes
/// by the bytes of the others.
Result<std::vector<uint32_t>> slotsWithin(uint64_t budget,
                                          std::span<const SizeClass> sizes) {
  uint64_t least = 0, others = 0;
  for (const SizeClass &size : sizes) {
    least += size.most * size.slotBytes;
    others += (size.units - size.most) * size.slotBytes;
  }
  if (budget < least)
    return Error{"expected a memory budget of at least " +
                 std::to_string(least) +
                 " bytes, which all bases of one layer" +
                 (sizes.size() > 1 ? " of each size" : "") + " take, found " +
                 std::to_string(budget)};
  double part = others ? double(budget - least) / double(others) : 1;
  std::vector<uint32_t> slots;
  for (const SizeClass &size : sizes)
    slots.push_back(size.most +
                    uint32_t(std::min(part, 1.0) * (size.units - size.most)));
  return slots;
}

Status checkOptions(const PagerOptions &options) {
  NoPredictor none;
  if (!makePredictor(options.predictor, {1, 1}))
    return Error{"expected a predictor of " + listed(predictorNames()) +
                 ", found '" + options.predictor + "'"};
  if (!makeEviction(options.eviction, {1, 1}, none))
    return Error{"expected an eviction of " + listed(evictionNames()) +
                 ", found '" + options.eviction + "'"};
  if (options.predictor == "none" &&
      (options.lookahead || options.eviction == "next_use"))
    return Error{
        "expected a predictor for " +
        std::string(options.lookahead
                        ? "a lookahead of " + std::to_string(options.lookahead)
                        : "the eviction next_use") +
        ", found none"};
  return success();
}

/// The mean of what came last.
void average(double &mean, double value) {
  constexpr double weight = 0.1;
  mean = mean == 0 ? value : (1 - weight) * mean + weight * value;
}

double secondsOf(std::chrono::steady_clock::duration time) {
  return std::chrono::duration<double>(time).count();
}

} // namespace

//===----------------------------------------------------------------------===//
// Beginning and end
//===----------------------------------------------------------------------===//

Status Pager::check(std::span<const PagedLayer> layers,
                    const PagerOptions &options) {
  if (Status status = checkOptions(options); !status)
    return status;
  Result<SizeClasses> classes = sizesOf(layers);
  if (!classes)
    return Error{classes.error()};
  Result<std::vector<uint32_t>> slots =
      slotsWithin(options.budgetBytes, classes->sizes);
  return slots ? success() : Error{slots.error()};
}

Result<std::unique_ptr<Pager, ClosePager>>
Pager::open(const std::string &archive, std::vector<PagedLayer> layers,
            const PagerOptions &options) {
  if (Status status = checkOptions(options); !status)
    return Error{status.error()};
  Result<SizeClasses> classes = sizesOf(layers);
  if (!classes)
    return Error{classes.error()};
  Result<std::vector<uint32_t>> slots =
      slotsWithin(options.budgetBytes, classes->sizes);
  if (!slots)
    return Error{slots.error()};
  Extents extents = {uint32_t(layers.size()), 0};
  std::vector<Layer> placed;
  for (size_t i = 0; i < layers.size(); ++i) {
    extents.clusters =
        std::max(extents.clusters, uint32_t(layers[i].records.size()));
    placed.push_back({std::move(layers[i].name), std::move(layers[i].records),
                      classes->ofLayer[i]});
  }
  std::vector<Arena> arenas;
  for (size_t i = 0; i < slots->size(); ++i) {
    Result<SlotMemory> memory =
        SlotMemory::reserve(classes->sizes[i].slotBytes, (*slots)[i]);
    if (!memory)
      return Error{memory.error()};
    arenas.push_back(
        {*std::move(memory), Residency(extents.units(), (*slots)[i])});
  }
  store::SignalsBlocked blocked;
  Result<store::RecordReader> reader =
      store::RecordReader::open(archive, options.reading);
  if (!reader)
    return Error{reader.error()};
  std::unique_ptr<Pager, ClosePager> pager(
      new Pager(*std::move(reader), std::move(placed), std::move(arenas),
                extents, options));
  try {
    pager->thread = std::thread([&made = *pager] { made.readUntilStopped(); });
  } catch (const std::system_error &error) {
    return Error{archive + ": a thread that reads cannot be started: " +
                 error.code().message()};
  }
  return pager;
}

Pager::Pager(store::RecordReader reader, std::vector<Layer> layers,
             std::vector<Arena> arenas, Extents extents,
             const PagerOptions &options)
    : reader(std::move(reader)), layers(std::move(layers)),
      arenas(std::move(arenas)), extents(extents), options(options),
      predictor(makePredictor(options.predictor, extents)),
      eviction(makeEviction(options.eviction, extents, *predictor)),
      readAhead(extents, *eviction, *predictor),
      isUnused(extents.units(), false), failures(extents.units()) {
  size_t slots = 0;
  for (const Arena &arena : this->arenas)
    slots += arena.memory.count();
  demanded.reserve(slots);
  ahead.reserve(options.mostQueued);
  observed.reserve(extents.clusters);
}

Pager::~Pager() {
  {
    Lock lock(mutex);
    isStopping = true;
  }
  work.notify_all();
  if (thread.joinable())
    thread.join();
}

void ClosePager::operator()(Pager *pager) const {
  if (pager->isOwn())
    delete pager;
}

Slots Pager::slotsOf(uint32_t layer) const {
  const SlotMemory &memory = arenas[layers[layer].arena].memory;
  return {memory.data(), memory.slotBytes(), memory.count()};
}

PagerStatistics Pager::statistics() const {
  if (!isOwn())
    return {};
  Lock lock(mutex);
  PagerStatistics result = counted;
  for (const Arena &arena : arenas) {
    result.residentBytes += arena.memory.residentBytes();
    result.slotBytes += arena.memory.slotBytes() * arena.memory.count();
  }
  for (const Layer &layer : layers)
    result.baseBytes +=
        layer.records.size() * arenas[layer.arena].memory.slotBytes();
  return result;
}

//===----------------------------------------------------------------------===//
// Steps
//===----------------------------------------------------------------------===//

/// Which clusters a step asks for: those whose place is not -1.
template <typename Function>
static void forEachWanted(std::span<const int32_t> slots, Function function) {
  for (size_t cluster = 0; cluster < slots.size(); ++cluster)
    if (slots[cluster] >= 0)
      function(cluster);
}

Status Pager::acquire(uint32_t layer, std::span<const int32_t> clusters,
                      std::span<int32_t> slots) {
  std::fill(slots.begin(), slots.end(), -1);
  if (!isOwn())
    return Error{"layer '" + layers[layer].name +
                 "': expected the process that opened the model with a memory "
                 "budget, found a child of its fork(), which has to open it "
                 "again"};
  for (int32_t cluster : clusters)
    if (cluster >= 0 && size_t(cluster) < slots.size())
      slots[size_t(cluster)] = 0;
  Arena &arena = arenas[layers[layer].arena];
  auto isAny = [&](bool (Residency::*test)(Unit) const) {
    bool is = false;
    forEachWanted(slots, [&](size_t cluster) {
      is |= (arena.residency.*test)(unitOf(layer, cluster));
    });
    return is;
  };

  Lock lock(mutex);
  Clock::time_point begin = Clock::now();
  average(layerSeconds, secondsOf(begin - lastStep));
  observe(layer, slots);
  bool waits = isAny(&Residency::isAbsent) || isAny(&Residency::isLoading);
  reserve(lock, layer, slots);
  changed.wait(lock, [&] { return !isAny(&Residency::isLoading); });
  lastStep = waits ? Clock::now() : begin;
  counted.stallSeconds += secondsOf(lastStep - begin);

  const std::string *failure = nullptr;
  forEachWanted(slots, [&](size_t cluster) {
    Unit unit = unitOf(layer, cluster);
    if (arena.residency.isAbsent(unit))
      failure = &failures[unit];
    else
      slots[cluster] = int32_t(arena.residency.slotOf(unit));
  });
  if (failure) {
    forEachWanted(slots, [&](size_t cluster) {
      arena.residency.release(unitOf(layer, cluster));
    });
    std::fill(slots.begin(), slots.end(), -1);
    changed.notify_all();
    return Error{"layer '" + layers[layer].name + "': " + *failure};
  }
  queueAhead();
  // It looks for bases that nobody uses.
  mayDemote = options.idleSteps > 0;
  if (mayDemote)
    work.notify_one();
  return success();
}

void Pager::release(uint32_t layer, std::span<const int32_t> slots) {
  {
    Lock lock(mutex);
    forEachWanted(slots, [&](size_t cluster) {
      Unit unit = unitOf(layer, cluster);
      arenaOf(unit).residency.release(unit);
    });
  }
  // Who waits for a slot may take it.
  changed.notify_all();
}

/// `observed` are these clusters of the layer, each once.
void Pager::listClusters(uint32_t layer, std::span<const int32_t> clusters) {
  observed.clear();
  for (int32_t cluster : clusters)
    if (cluster >= 0 && uint32_t(cluster) < clustersOf(layer) &&
        std::find(observed.begin(), observed.end(), uint32_t(cluster)) ==
            observed.end())
      observed.push_back(uint32_t(cluster));
}

void Pager::hint(uint32_t layer, std::span<const int32_t> clusters) {
  if (!isOwn())
    return;
  Lock lock(mutex);
  listClusters(layer, clusters);
  predictor->hint(layer, observed);
  queueAhead();
}

void Pager::expect(uint32_t layer, std::span<const int32_t> clusters) {
  if (!isOwn())
    return;
  Lock lock(mutex);
  // Slots are first for those who stand in line.
  if (nextTicket != served)
    return;
  listClusters(layer, clusters);
  Residency &residency = arenas[layers[layer].arena].residency;
  for (uint32_t cluster : observed)
    residency.hold(unitOf(layer, cluster));
  for (uint32_t cluster : observed) {
    Unit unit = unitOf(layer, cluster);
    if (!residency.isAbsent(unit))
      continue;
    std::optional<uint32_t> slot = residency.slotToTake(*eviction, turn);
    if (!slot)
      break;
    bring(unit, *slot, /*isAhead=*/true);
    std::erase(ahead, unit);
    demanded.push_back(unit);
    work.notify_one();
  }
  for (uint32_t cluster : observed)
    residency.release(unitOf(layer, cluster));
}

void Pager::beginRequest() {
  if (!isOwn())
    return;
  Lock lock(mutex);
  predictor->beginRequest();
}

/// A step of the layer asks for bases: counts them and tells the policies.
void Pager::observe(uint32_t layer, std::span<const int32_t> slots) {
  turn += turnsUntil(extents, turn, layer);
  observed.clear();
  forEachWanted(slots,
                [&](size_t cluster) { observed.push_back(uint32_t(cluster)); });
  predictor->observe(layer, observed);
  Residency &residency = arenas[layers[layer].arena].residency;
  for (uint32_t cluster : observed) {
    Unit unit = unitOf(layer, cluster);
    bool isComing = residency.isLoading(unit) ||
                    std::find(ahead.begin(), ahead.end(), unit) != ahead.end();
    ++(residency.isPresent(unit) ? counted.hits
       : isComing                ? counted.late
                                 : counted.misses);
    isUnused[unit] = false;
    eviction->used(unit, turn);
    residency.used(unit, turn);
  }
}

/// Holds the bases, each of which is in a slot then, or on its way there. Who
/// needs slots stands in line and holds nothing meanwhile; who is served waits
/// only for calls that have all they need.
void Pager::reserve(Lock &lock, uint32_t layer,
                    std::span<const int32_t> slots) {
  Residency &residency = arenas[layers[layer].arena].residency;
  bool needsSlots = false;
  forEachWanted(slots, [&](size_t cluster) {
    needsSlots |= residency.isAbsent(unitOf(layer, cluster));
  });
  uint64_t ticket = nextTicket;
  if (needsSlots) {
    ++nextTicket;
    changed.wait(lock, [&] { return served == ticket; });
  }
  forEachWanted(
      slots, [&](size_t cluster) { residency.hold(unitOf(layer, cluster)); });
  if (!needsSlots)
    return;
  forEachWanted(
      slots, [&](size_t cluster) { takeSlot(lock, unitOf(layer, cluster)); });
  ++served;
  changed.notify_all();
  work.notify_one();
}

void Pager::takeSlot(Lock &lock, Unit unit) {
  const Residency &residency = arenaOf(unit).residency;
  while (residency.isAbsent(unit)) {
    std::optional<uint32_t> slot = residency.slotToTake(*eviction, turn);
    if (!slot) {
      changed.wait(lock);
      continue;
    }
    bring(unit, *slot, /*isAhead=*/false);
    std::erase(ahead, unit);
    demanded.push_back(unit);
    work.notify_one();
  }
}

/// An absent base takes the slot; it is read into it later.
void Pager::bring(Unit unit, uint32_t slot, bool isAhead) {
  Arena &arena = arenaOf(unit);
  leave(arena, slot);
  arena.residency.load(unit, slot);
  arena.residency.used(unit, turn);
  eviction->entered(unit, turn);
  isUnused[unit] = isAhead;
  ++counted.reads;
  counted.readsAhead += isAhead;
}

/// Counts what leaves without having been used.
void Pager::leave(const Arena &arena, uint32_t slot) {
  Unit leaving = arena.residency.occupants()[slot];
  if (leaving == noUnit || !isUnused[leaving])
    return;
  ++counted.wasted;
  isUnused[leaving] = false;
}

//===----------------------------------------------------------------------===//
// Ahead of time
//===----------------------------------------------------------------------===//

ReadCosts Pager::costsOf(const Arena &arena) const {
  double elapsed = secondsOf(Clock::now() - opened);
  return {layerSeconds, arena.readSeconds,
          std::min(counted.readSeconds / elapsed, 1.0)};
}

/// Queues what the next layers are likely to meet, the nearest layers first.
void Pager::queueAhead() {
  for (uint32_t i = 1; i <= std::min(options.lookahead, extents.layers); ++i) {
    const Arena &arena = arenas[layers[(turn + i) % extents.layers].arena];
    for (Unit unit : readAhead.unitsWorthReading(arena.residency, i, turn,
                                                 costsOf(arena))) {
      if (ahead.size() >= options.mostQueued)
        return;
      if (std::find(ahead.begin(), ahead.end(), unit) != ahead.end())
        continue;
      ahead.push_back(unit);
      work.notify_one();
    }
  }
}

//===----------------------------------------------------------------------===//
// The thread that reads
//===----------------------------------------------------------------------===//

void Pager::readUntilStopped() {
  Lock lock(mutex);
  while (!isStopping) {
    if (Unit unit = nextToRead(); unit != noUnit)
      read(lock, unit);
    else if (!demoteOne(lock))
      work.wait(lock);
  }
}

/// What somebody waits for, else what it pays to read ahead of time.
Unit Pager::nextToRead() {
  if (!demanded.empty()) {
    Unit unit = demanded.front();
    demanded.erase(demanded.begin());
    return unit;
  }
  // Slots are first for those who stand in line.
  while (!ahead.empty() && nextTicket == served) {
    Unit unit = ahead.front();
    ahead.erase(ahead.begin());
    const Arena &arena = arenaOf(unit);
    std::optional<uint32_t> slot = arena.residency.slotToTake(*eviction, turn);
    if (!slot ||
        !readAhead.pays(arena.residency, unit, *slot, turn, costsOf(arena)))
      continue;
    bring(unit, *slot, /*isAhead=*/true);
    return unit;
  }
  return noUnit;
}

void Pager::read(Lock &lock, Unit unit) {
  Arena &arena = arenaOf(unit);
  uint32_t slot = arena.residency.slotOf(unit);
  arena.memory.noteWritten(slot, true);
  lock.unlock();
  Clock::time_point begin = Clock::now();
  Status status = reader.read(recordOf(unit), arena.memory.slot(slot));
  double seconds = secondsOf(Clock::now() - begin);
  lock.lock();
  counted.readSeconds += seconds;
  if (status) {
    counted.bytesRead += recordOf(unit).length;
    average(arena.readSeconds, seconds);
    arena.residency.landed(unit);
  } else {
    ++counted.failures;
    failures[unit] = status.error();
    isUnused[unit] = false;
    arena.residency.failed(unit);
  }
  changed.notify_all();
}

/// Gives back the memory of one base that was not used for long; false if there
/// is none.
bool Pager::demoteOne(Lock &lock) {
  uint64_t window = options.idleSteps * extents.layers;
  if (!mayDemote || turn <= window)
    return false;
  for (Arena &arena : arenas) {
    Unit unit = arena.residency.idleSince(turn - window);
    if (unit == noUnit)
      continue;
    uint32_t slot = arena.residency.slotOf(unit);
    leave(arena, slot);
    arena.residency.evict(unit);
    arena.memory.noteWritten(slot, false);
    ++counted.demoted;
    // Who takes the slot meanwhile has this thread read into it.
    lock.unlock();
    arena.memory.giveBack(slot);
    lock.lock();
    return true;
  }
  mayDemote = false;
  return false;
}
