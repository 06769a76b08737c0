// Bases of clusters in slots of memory, read from an archive as steps need
// them. Part of moec, under the Apache License v2.0 with LLVM Exceptions.
//
// The policies are those of runtime/residency, which moe-simulate runs too.
// docs/residency.md says what is in memory when.
#ifndef MOEC_RUNTIME_PAGER_PAGER_H
#define MOEC_RUNTIME_PAGER_PAGER_H

#include "runtime/pager/SlotMemory.h"
#include "runtime/residency/ReadAhead.h"
#include "runtime/store/RecordReader.h"

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

namespace moec::pager {

struct PagerOptions {
  /// Bytes of all slots together.
  uint64_t budgetBytes = 0;
  /// Of residency::evictionNames() and predictorNames().
  std::string eviction = "lru", predictor = "none";
  /// Layers ahead that predictions are asked for; 0: nothing is read ahead of
  /// time.
  uint32_t lookahead = 0;
  /// Reads ahead of time that may wait for the link.
  uint32_t mostQueued = 4;
  /// A base that was not used in as many steps gives its memory back; 0: never.
  uint64_t idleSteps = 0;
  store::ReaderOptions reading;
};

/// A layer's bases: the record of each cluster, all of one length.
struct PagedLayer {
  std::string name;
  std::vector<store::RecordPlace> records;
};

struct PagerStatistics {
  /// Bases that steps asked for: there, on their way, not there.
  uint64_t hits = 0, late = 0, misses = 0;
  /// Reads that succeeded, those of them ahead of time, and those of these that
  /// left unused.
  uint64_t reads = 0, readsAhead = 0, wasted = 0;
  /// Reads that failed, and bases that gave their memory back.
  uint64_t failures = 0, demoted = 0;
  uint64_t bytesRead = 0;
  /// How long steps waited for bases, and the link read.
  double stallSeconds = 0, readSeconds = 0;
  /// Bytes of the slots that were read into, of all slots, and of all bases.
  uint64_t residentBytes = 0, slotBytes = 0, baseBytes = 0;
};

/// Where a layer's slots are.
struct Slots {
  uint8_t *memory = nullptr;
  /// From one to the next, a multiple of store::pageBytes.
  uint64_t stride = 0;
  uint32_t count = 0;
};

class Pager;

/// In a child of fork() the thread is the parent's, and what it waits for was
/// copied as it was: neither can be ended, so both are left.
struct ClosePager {
  void operator()(Pager *pager) const;
};

/// Any number of threads may call it; one of its own reads, so a child of
/// fork() is refused. Nothing allocates after open, as long as reads succeed.
class Pager {
public:
  /// Whether the options fit each other, and the budget has room for all bases
  /// of a layer.
  static weights::Status check(std::span<const PagedLayer> layers,
                               const PagerOptions &options);
  /// Fails where that is not so, and where the archive cannot be opened.
  static weights::Result<std::unique_ptr<Pager, ClosePager>>
  open(const std::string &archive, std::vector<PagedLayer> layers,
       const PagerOptions &options);
  /// Nothing may be acquired.
  ~Pager();

  /// Whether this process opened it.
  bool isOwn() const { return ::getpid() == process; }

  Slots slotsOf(uint32_t layer) const;
  uint32_t layerCount() const { return extents.layers; }
  uint32_t clustersOf(uint32_t layer) const {
    return uint32_t(layers[layer].records.size());
  }

  /// Waits until the bases of these clusters are in slots, and holds them
  /// there: slots[c] for each cluster of the layer, -1 of those that are not
  /// held. What is no cluster of the layer is skipped. After an error, which
  /// names file, record and place, nothing is held. A thread that holds bases
  /// of a layer may ask for the same ones again, but not for others.
  weights::Status acquire(uint32_t layer, std::span<const int32_t> clusters,
                          std::span<int32_t> slots);
  /// Gives back what an acquire filled `slots` with.
  void release(uint32_t layer, std::span<const int32_t> slots);
  /// A step of the layer is about to acquire these clusters: what is absent is
  /// read, as far as there are slots that none of the others is in.
  void expect(uint32_t layer, std::span<const int32_t> clusters);
  /// A layer's coming step will probably meet these clusters.
  void hint(uint32_t layer, std::span<const int32_t> clusters);
  /// Steps from now on are of another sequence, or batch.
  void beginRequest();

  PagerStatistics statistics() const;
  /// What reading does without, for a log; empty: nothing.
  const std::string &notice() const { return reader.notice(); }

private:
  using Unit = residency::Unit;
  using Clock = std::chrono::steady_clock;
  using Lock = std::unique_lock<std::mutex>;

  /// Slots of one size, and what is in them.
  struct Arena {
    SlotMemory memory;
    residency::Residency residency;
    /// Of a read; 0 before the first one.
    double readSeconds = 0;
  };
  struct Layer {
    std::string name;
    std::vector<store::RecordPlace> records;
    size_t arena = 0;
  };

  Pager(store::RecordReader reader, std::vector<Layer> layers,
        std::vector<Arena> arenas, residency::Extents extents,
        const PagerOptions &options);

  Unit unitOf(uint32_t layer, size_t cluster) const {
    return layer * extents.clusters + Unit(cluster);
  }
  const store::RecordPlace &recordOf(Unit unit) const {
    return layers[unit / extents.clusters].records[unit % extents.clusters];
  }
  Arena &arenaOf(Unit unit) {
    return arenas[layers[unit / extents.clusters].arena];
  }
  residency::ReadCosts costsOf(const Arena &arena) const;

  void listClusters(uint32_t layer, std::span<const int32_t> clusters);
  void observe(uint32_t layer, std::span<const int32_t> slots);
  void reserve(Lock &lock, uint32_t layer, std::span<const int32_t> slots);
  void takeSlot(Lock &lock, Unit unit);
  void bring(Unit unit, uint32_t slot, bool isAhead);
  void leave(const Arena &arena, uint32_t slot);
  void queueAhead();

  void readUntilStopped();
  Unit nextToRead();
  void read(Lock &lock, Unit unit);
  bool demoteOne(Lock &lock);

  store::RecordReader reader;
  std::vector<Layer> layers;
  std::vector<Arena> arenas;
  residency::Extents extents;
  PagerOptions options;
  std::unique_ptr<residency::Predictor> predictor;
  std::unique_ptr<residency::Eviction> eviction;
  residency::ReadAhead readAhead;

  /// Guards all below, and the arenas' residency.
  mutable std::mutex mutex;
  /// There is something to read; what acquires wait for may have come.
  std::condition_variable work, changed;
  /// Bases that have a slot and that somebody waits for, in order; absent ones
  /// that are worth a read.
  std::vector<Unit> demanded, ahead;
  /// Who needs slots waits in line, so that no two wait for each other.
  uint64_t nextTicket = 0, served = 0;
  /// Of bases read ahead of time, that no step has met them yet.
  std::vector<bool> isUnused;
  /// Why a base could not be read last.
  std::vector<std::string> failures;
  uint64_t turn = 0;
  std::vector<uint32_t> observed;
  PagerStatistics counted;
  /// Of a step of a layer, without what it waited for.
  double layerSeconds = 0;
  Clock::time_point opened = Clock::now(), lastStep = opened;
  bool isStopping = false, mayDemote = false;
  pid_t process = ::getpid();
  std::thread thread;
};

} // namespace moec::pager

#endif // MOEC_RUNTIME_PAGER_PAGER_H
