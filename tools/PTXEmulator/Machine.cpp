// Running grids: which CTAs are resident, and whose turn it is.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/PTXEmulator/Machine.h"

#include "tools/PTXEmulator/Barriers.h"
#include "tools/PTXEmulator/Interpreter.h"
#include "tools/PTXEmulator/Lanes.h"

#include <algorithm>
#include <cstring>

using namespace moec::weights;

namespace moec::ptx {

namespace {

/// What registers and shared memory hold before anything is written.
constexpr uint8_t garbage = 0xCB;
/// Rounds without any effect after which every warp that yields is stuck.
constexpr unsigned idleRoundsLimit = 64;
/// CTAs begin about in order: the next is one of so many.
constexpr unsigned startWindow = 3;

void initializeWarp(Warp &warp, MachineState &machine, Cta &cta,
                    unsigned index) {
  const Program &program = *cta.grid->program;
  uint64_t threads = volume(cta.grid->block);
  warp.machine = &machine;
  warp.cta = &cta;
  warp.program = &program;
  warp.index = index;
  uint64_t lanes = std::min<uint64_t>(warpSize, threads - index * warpSize);
  warp.alive = lanes == warpSize ? allLanes : (Mask(1) << lanes) - 1;
  warp.registers.assign(program.registerBytes, garbage);
  warp.files = {warp.registers.data(),
                const_cast<uint8_t *>(program.constants.data())};
  warp.local.assign(size_t(program.localBytes) * warpSize, garbage);
  warp.localStates.assign(warp.local.size(), ByteState::Unwritten);
  warp.calls.resize(warpSize);
  if (program.usesWarpgroups)
    warp.registerStates.resize(program.registerBytes / 64 + 1);
  ThreadPlace place{{},
                    cta.grid->block,
                    cta.place,
                    cta.grid->grid,
                    cta.grid->cluster,
                    cta.grid->dynamicSharedBytes,
                    static_cast<uint32_t>(cta.shared.size())};
  for (unsigned lane = 0; lane < warpSize; ++lane) {
    place.thread = coordinatesOf(index * warpSize + lane, cta.grid->block);
    for (const auto &[name, slot] : program.specialRegisters) {
      uint64_t value = specialRegisterValue(name, place);
      if (slot.laneBytes == 0)
        writeMask(warp, slot, value ? allLanes : 0, Mask(1) << lane);
      else
        writeLane(warp, slot, lane, value);
    }
  }
}

std::unique_ptr<Cta> makeCta(MachineState &machine, const Grid &grid,
                             Cluster &cluster, unsigned rank,
                             const Extent &place) {
  auto cta = std::make_unique<Cta>();
  cta->grid = &grid;
  cta->cluster = &cluster;
  cta->rank = rank;
  cta->place = place;
  size_t sharedBytes =
      grid.dynamicSharedBytes
          ? grid.program->dynamicSharedOffset + grid.dynamicSharedBytes
          : grid.program->sharedBytes;
  cta->shared.assign(sharedBytes, garbage);
  cta->sharedStates.assign(sharedBytes, ByteState::Unwritten);
  uint64_t warps = (volume(grid.block) + warpSize - 1) / warpSize;
  cta->warps.resize(warps);
  cta->liveWarps = static_cast<unsigned>(warps);
  for (unsigned i = 0; i < warps; ++i)
    initializeWarp(cta->warps[i], machine, *cta, i);
  return cta;
}

class GridRun {
public:
  GridRun(MachineState &machine, std::span<const Grid> all) : machine(machine) {
    for (const Grid &grid : all)
      grids.push_back(std::make_unique<RunningGrid>(
          grid, grids.empty() ? nullptr : &grids.back()->progress));
  }

  void run() {
    admit();
    while (!resident.empty() && !machine.fault) {
      runRound();
      if (machine.steps > machine.settings.stepLimit)
        machine.fault = Fault{
            FaultKind::Timeout,
            nameOfGrids() + ": expected at most " +
                std::to_string(machine.settings.stepLimit) +
                " thread instructions; threads are here:" + describeThreads()};
      retire();
      admit();
    }
  }

private:
  /// A grid, and which of its clusters have begun.
  struct RunningGrid {
    RunningGrid(const Grid &grid, const GridProgress *previous) : grid(grid) {
      for (size_t i = 0; i < 3; ++i)
        clusters[i] = grid.grid[i] / grid.cluster[i];
      progress = {previous, volume(grid.grid), volume(grid.grid)};
      while (window.size() < startWindow && nextCluster < volume(clusters))
        window.push_back(nextCluster++);
    }

    /// A cluster that has not begun: about the next.
    uint64_t takeCluster(MachineState &machine) {
      size_t chosen = machine.below(window.size());
      uint64_t cluster = window[chosen];
      window.erase(window.begin() + static_cast<ptrdiff_t>(chosen));
      if (nextCluster < volume(clusters))
        window.push_back(nextCluster++);
      return cluster;
    }

    bool mayBegin() const {
      return !window.empty() &&
             (!progress.previous || progress.previous->ctasNotTriggered == 0);
    }

    const Grid &grid;
    GridProgress progress;
    Extent clusters;
    /// Clusters that may start next.
    std::vector<uint64_t> window;
    uint64_t nextCluster = 0;
  };

  /// Starts clusters while there is room, those of earlier grids first.
  void admit() {
    for (const std::unique_ptr<RunningGrid> &running : grids)
      while (running->mayBegin() && hasRoom(volume(running->grid.cluster)))
        startCluster(*running, running->takeCluster(machine));
  }

  bool hasRoom(uint64_t ctas) const {
    uint64_t used = 0;
    for (const std::unique_ptr<Cluster> &cluster : resident)
      used += cluster->ctas.size();
    return used == 0 || used + ctas <= machine.settings.residentCtas;
  }

  void startCluster(RunningGrid &running, uint64_t index) {
    const Grid &grid = running.grid;
    auto cluster = std::make_unique<Cluster>();
    Extent first = coordinatesOf(index, running.clusters);
    uint64_t count = volume(grid.cluster);
    cluster->liveCtas = static_cast<unsigned>(count);
    for (unsigned rank = 0; rank < count; ++rank) {
      Extent place = coordinatesOf(rank, grid.cluster);
      for (size_t i = 0; i < 3; ++i)
        place[i] += first[i] * grid.cluster[i];
      cluster->ctas.push_back(makeCta(machine, grid, *cluster, rank, place));
      cluster->ctas.back()->progress = &running.progress;
      for (Warp &warp : cluster->ctas.back()->warps)
        turns.push_back({&warp, 0});
    }
    resident.push_back(std::move(cluster));
  }

  /// Gives every warp that is not starved a turn, and bulk copies time.
  void runRound() {
    performPending();
    std::shuffle(turns.begin(), turns.end(), machine.random);
    if (roundsUntilDraw-- == 0)
      drawStarvation();
    uint64_t effects = machine.effects;
    bool ranFreely = false;
    for (Turn &turn : turns) {
      if (!isRunnable(*turn.warp) || (turn.starvedPercent && !idleRounds &&
                                      machine.below(100) < turn.starvedPercent))
        continue;
      // Short turns and long ones.
      unsigned quantum =
          1 + static_cast<unsigned>(machine.below(1ull << machine.below(10)));
      Mask alive = turn.warp->alive;
      runWarp(*turn.warp, quantum);
      if (machine.fault)
        return;
      ranFreely |=
          isRunnable(*turn.warp) && turn.warp->yieldedAt != machine.effects;
      if (alive && !turn.warp->alive)
        finishWarp(*turn.warp);
    }
    idleRounds = effects == machine.effects && !ranFreely ? idleRounds + 1 : 0;
    // A round in which some were starved says nothing; after it none are.
    if (idleRounds > idleRoundsLimit)
      reportDeadlock();
  }

  /// Performs one of the bulk loads that were issued: always if nothing else
  /// could go on, otherwise now and then.
  void performPending() {
    if (!idleRounds && machine.below(pendingDelay) != 0)
      return;
    size_t first = machine.below(resident.size());
    for (size_t i = 0; i < resident.size(); ++i) {
      auto &pending = resident[(first + i) % resident.size()]->pending;
      if (pending.empty())
        continue;
      size_t chosen = machine.below(pending.size());
      std::function<void()> perform = std::move(pending[chosen]);
      pending.erase(pending.begin() + static_cast<ptrdiff_t>(chosen));
      perform();
      ++machine.effects;
      return;
    }
  }

  /// Now and then other warps are starved, some nearly for good.
  void drawStarvation() {
    roundsUntilDraw = static_cast<unsigned>(machine.below(200));
    static constexpr unsigned percents[] = {0, 0, 0, 0, 50, 90, 99};
    for (Turn &turn : turns)
      turn.starvedPercent = percents[machine.below(std::size(percents))];
  }

  void finishWarp(Warp &warp) {
    Cta &cta = *warp.cta;
    if (cta.liveWarps == 1)
      checkLeftBehind(cta);
    --cta.liveWarps;
    if (cta.liveWarps == 0)
      finishCta(cta);
    completeBarriers(cta);
    completeClusterBarrier(*cta.cluster);
  }

  void finishCta(Cta &cta) {
    --cta.cluster->liveCtas;
    cta.trigger();
    if (--cta.progress->ctasNotDone == 0)
      // Those at griddepcontrol.wait look again.
      for (Turn &turn : turns)
        turn.warp->waiting = 0;
  }

  /// Nothing may be on its way into the shared memory of a CTA that exits.
  void checkLeftBehind(const Cta &cta) {
    if (std::find(cta.sharedStates.begin(), cta.sharedStates.end(),
                  ByteState::InFlight) != cta.sharedStates.end())
      machine.fault =
          Fault{FaultKind::LaunchFailed,
                "kernel '" + cta.grid->program->name + "', " + cta.describe() +
                    ": expected no copy into shared memory to be pending when "
                    "the CTA exits"};
  }

  /// Shared memory of a CTA lives as long as its cluster.
  void retire() {
    std::erase_if(turns,
                  [](const Turn &turn) { return turn.warp->alive == 0; });
    std::erase_if(resident, [](const std::unique_ptr<Cluster> &cluster) {
      return cluster->liveCtas == 0;
    });
  }

  /// "kernel 'a', kernel 'b'"
  std::string nameOfGrids() const {
    std::string names;
    for (const std::unique_ptr<RunningGrid> &running : grids)
      names += (names.empty() ? "kernel '" : ", kernel '") +
               running->grid.program->name + "'";
    return names;
  }

  std::string describeThreads() const {
    std::string text;
    unsigned shown = 0;
    for (const Turn &turn : turns)
      if (turn.warp->alive && shown++ < 16)
        text += describeLanes(*turn.warp);
    if (shown > 16)
      text += "\n  and " + std::to_string(shown - 16) + " more warps";
    return text;
  }

  void reportDeadlock() {
    machine.fault = Fault{
        FaultKind::LaunchFailed,
        nameOfGrids() + ": deadlock, no thread can go on:" + describeThreads()};
  }

  struct Turn {
    Warp *warp;
    /// How likely it is passed over.
    unsigned starvedPercent;
  };

  MachineState &machine;
  /// In the order of their launches.
  std::vector<std::unique_ptr<RunningGrid>> grids;
  std::vector<std::unique_ptr<Cluster>> resident;
  std::vector<Turn> turns;
  unsigned roundsUntilDraw = 0;
  /// Rounds between bulk copies, about: some runs have late ones.
  uint64_t pendingDelay = uint64_t(1) << machine.below(8);
  unsigned idleRounds = 0;
};

} // namespace

Status checkGrid(const Grid &grid) {
  const Program &program = *grid.program;
  uint64_t threads = volume(grid.block);
  if (volume(grid.grid) == 0 || threads == 0 || volume(grid.cluster) == 0)
    return Error{"expected a grid, a block and a cluster of at least one, "
                 "found none"};
  if (threads > 1024 || grid.block[2] > 64)
    return Error{"expected at most 1024 threads of a block, found " +
                 std::to_string(threads)};
  if (grid.grid[1] > 65535 || grid.grid[2] > 65535)
    return Error{"expected at most 65535 blocks along y and z"};
  uint64_t bound =
      uint64_t(program.threads[0]) * program.threads[1] * program.threads[2];
  if (bound && (program.threadsRequired ? threads != bound : threads > bound))
    return Error{"kernel '" + program.name + "' expects " +
                 (program.threadsRequired ? "" : "at most ") +
                 std::to_string(bound) + " threads of a block, found " +
                 std::to_string(threads)};
  for (size_t i = 0; i < 3; ++i) {
    if (grid.grid[i] % grid.cluster[i] != 0)
      return Error{"expected the grid to be a multiple of the cluster"};
    if (program.cluster[0] && program.cluster[i] != grid.cluster[i])
      return Error{"kernel '" + program.name +
                   "' expects another shape of the cluster"};
  }
  if (volume(grid.cluster) > 16)
    return Error{"expected at most 16 CTAs of a cluster, found " +
                 std::to_string(volume(grid.cluster))};
  if (grid.parameters.size() != program.parameterBytes)
    return Error{"expected " + std::to_string(program.parameterBytes) +
                 " bytes of parameters, found " +
                 std::to_string(grid.parameters.size())};
  return success();
}

std::optional<Fault> runGrids(DeviceMemory &memory, const Settings &settings,
                              std::span<const Grid> grids, uint64_t *steps) {
  MachineState machine(memory, settings);
  GridRun(machine, grids).run();
  if (steps)
    *steps = machine.steps;
  return machine.fault;
}

} // namespace moec::ptx
