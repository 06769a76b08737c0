// How long ranks take to exchange blocks, and how much of it computing hides.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
//
//   runtime-exchange all-to-all RANKS          threads as ranks
//   mpirun -n RANKS runtime-exchange all-to-all    and MPI_Alltoallv in turn
//   runtime-exchange overlap RANKS [idle]      a layer over a modelled link,
//                                              computed by cores or elsewhere
#include "runtime/comm/Exchange.h"
#include "moert/comm.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <dlfcn.h>
#include <functional>
#include <string>
#include <thread>
#include <vector>

using Clock = std::chrono::steady_clock;

static double secondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

static void check(int32_t status, const char *message) {
  if (status == MOERT_OK)
    return;
  std::fprintf(stderr, "%s\n", message);
  std::exit(1);
}

static double median(std::vector<double> times) {
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

//===----------------------------------------------------------------------===//
// All-to-all
//===----------------------------------------------------------------------===//

/// Blocks of one size to and from every rank.
struct Blocks {
  Blocks(int32_t ranks, int64_t bytes)
      : sizes(size_t(ranks), bytes), places(size_t(ranks)),
        sent(size_t(ranks * bytes), 1), received(size_t(ranks * bytes)) {
    for (size_t r = 0; r < places.size(); ++r)
      places[r] = int64_t(r) * bytes;
    view = {sent.data(),     sizes.data(), places.data(),
            received.data(), sizes.data(), places.data()};
  }
  std::vector<int64_t> sizes, places;
  std::vector<char> sent, received;
  moert_all_to_all view;
};

static double timeOurs(moert_communicator &on, Blocks &blocks) {
  char message[512] = "";
  moert_error_sink sink = {message, sizeof message};
  on.barrier(on.context, nullptr);
  auto start = Clock::now();
  check(on.start_all_to_all(on.context, 0, &blocks.view, &sink), message);
  check(on.wait(on.context, 0, &sink), message);
  return secondsSince(start);
}

/// MPI_Alltoallv of the library that the communicator loaded.
template <typename Handle>
static double timeMpi(moert_communicator &on, Blocks &blocks, Handle world,
                      Handle byte) {
  using Function = int (*)(const void *, const int *, const int *, Handle,
                           void *, const int *, const int *, Handle, Handle);
  auto function =
      reinterpret_cast<Function>(dlsym(RTLD_DEFAULT, "MPI_Alltoallv"));
  std::vector<int> sizes(blocks.sizes.begin(), blocks.sizes.end()),
      places(blocks.places.begin(), blocks.places.end());
  on.barrier(on.context, nullptr);
  auto start = Clock::now();
  function(blocks.sent.data(), sizes.data(), places.data(), byte,
           blocks.received.data(), sizes.data(), places.data(), byte, world);
  return secondsSince(start);
}
static double timeMpi(moert_communicator &on, Blocks &blocks) {
  if (void *world = dlsym(RTLD_DEFAULT, "ompi_mpi_comm_world"))
    return timeMpi(on, blocks, world, dlsym(RTLD_DEFAULT, "ompi_mpi_byte"));
  // MPICH's numbers.
  return timeMpi(on, blocks, 0x44000000, 0x4c00010d);
}

static void allToAll(moert_communicator &on, bool isMpi) {
  for (int64_t bytes = 1 << 14; bytes <= 16 << 20; bytes *= 4) {
    Blocks blocks(on.ranks, std::max<int64_t>(bytes / on.ranks, 1));
    std::vector<double> ours, theirs;
    for (int round = 0; round < 31; ++round) {
      ours.push_back(timeOurs(on, blocks));
      if (isMpi)
        theirs.push_back(timeMpi(on, blocks));
    }
    if (on.rank != 0)
      continue;
    std::printf("%s %8lld bytes a rank: %9.1f us", on.name, (long long)bytes,
                median(ours) * 1e6);
    if (isMpi)
      std::printf(", MPI_Alltoallv %9.1f us, ratio %.2f", median(theirs) * 1e6,
                  median(ours) / median(theirs));
    std::printf("\n");
    std::fflush(stdout);
  }
}

//===----------------------------------------------------------------------===//
// Overlap
//===----------------------------------------------------------------------===//

constexpr int64_t layerTokens = 512, layerWidth = 1024;
constexpr double secondsPerRow = 40e-6;

/// On this core, or as a device would.
static void compute(double seconds, bool isBusy) {
  auto begun = Clock::now();
  if (!isBusy)
    std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  while (isBusy && secondsSince(begun) < seconds)
    ;
}

/// Seconds of a step in chunks: tokens go to the next rank and are computed
/// there for a while each.
static double timeLayer(moert_communicator &on, int32_t chunks, bool isBusy) {
  moec::comm::Exchange exchange(on);
  moec::comm::LayerExchange layer(
      exchange, 0, "layer", moec::comm::LayerPlacement::roundRobin(on.ranks));
  const moert_exchange &table = *layer.view();
  std::vector<float> x(layerTokens * layerWidth), y(x.size()),
      weights(layerTokens, 1);
  std::vector<int32_t> ids(layerTokens, (on.rank + 1) % on.ranks);
  constexpr int32_t f32 = MOERT_ELEMENT(kDLFloat, 32);
  moert_routing routing = {sizeof routing, f32,         f32,     chunks,
                           x.data(),       ids.data(),  nullptr, weights.data(),
                           y.data(),       layerTokens, 1,       layerWidth,
                           layerWidth};
  char message[1024] = "";
  moert_error_sink sink = {message, sizeof message};
  std::vector<double> times;
  for (int step = 0; step < 7; ++step) {
    on.barrier(on.context, nullptr);
    auto start = Clock::now();
    moert_received received = {};
    check(table.begin(table.context, &routing, &sink), message);
    check(table.dispatch(table.context, 0, &sink), message);
    for (int32_t c = 0; c < chunks; ++c) {
      if (c + 1 < chunks)
        check(table.dispatch(table.context, c + 1, &sink), message);
      check(table.receive(table.context, c, &received, &sink), message);
      compute(secondsPerRow * double(received.count), isBusy);
      check(table.send_back(table.context, c, &sink), message);
    }
    for (int32_t c = 0; c < chunks; ++c)
      check(table.collect(table.context, c, &sink), message);
    times.push_back(secondsSince(start));
  }
  return median(times);
}

/// Runs a function on local ranks; rank 0's answer.
static double
onRanks(int32_t ranks, const moert_communicator_options &options,
        const std::function<double(moert_communicator &)> &function) {
  std::vector<moert_communicator *> communicators(static_cast<size_t>(ranks));
  char message[512] = "";
  moert_error_sink sink = {message, sizeof message};
  check(moert_local_communicators_create(&options, ranks, &sink,
                                         communicators.data()),
        message);
  std::vector<double> answers(communicators.size());
  std::vector<std::thread> threads;
  for (size_t r = 0; r < answers.size(); ++r)
    threads.emplace_back([&, r] { answers[r] = function(*communicators[r]); });
  for (std::thread &thread : threads)
    thread.join();
  for (moert_communicator *communicator : communicators)
    moert_communicator_destroy(communicator);
  return answers[0];
}

static void overlap(int32_t ranks, bool isBusy) {
  moert_communicator_options fast = {sizeof fast, 0, 0, 0};
  double alone = onRanks(ranks, fast, [&](moert_communicator &on) {
    return timeLayer(on, 1, isBusy);
  });
  std::printf("%d ranks, %lld tokens of %lld f32, computing and copying %.2f "
              "ms\n",
              int(ranks), (long long)layerTokens, (long long)layerWidth,
              alone * 1e3);
  for (uint64_t rate : {500'000'000ull, 1'000'000'000ull, 2'000'000'000ull}) {
    moert_communicator_options link = {sizeof link, 0, 10'000, rate};
    double serial = onRanks(ranks, link, [&](moert_communicator &on) {
      return timeLayer(on, 1, isBusy);
    });
    for (int32_t chunks : {2, 4, 8, 16}) {
      double chunked = onRanks(ranks, link, [&](moert_communicator &on) {
        return timeLayer(on, chunks, isBusy);
      });
      // The first chunk's way there and the last one's way back stay.
      double hideable = (serial - alone) * (1 - 1.0 / chunks);
      std::printf("%4.1f GB/s: whole %.2f ms, %2d chunks %.2f ms: %.0f %% of "
                  "what can be hidden\n",
                  double(rate) / 1e9, serial * 1e3, int(chunks), chunked * 1e3,
                  100 * (serial - chunked) / hideable);
    }
  }
}

int main(int count, char **arguments) {
  std::string what = count > 1 ? arguments[1] : "";
  int32_t ranks = count > 2 ? std::atoi(arguments[2]) : 0;
  if (what == "overlap" && ranks > 1) {
    overlap(ranks, /*isBusy=*/count < 4);
  } else if (what == "all-to-all" && ranks > 0) {
    onRanks(ranks, {sizeof(moert_communicator_options), 0, 0, 0},
            [](moert_communicator &on) {
              allToAll(on, /*isMpi=*/false);
              return 0.0;
            });
  } else if (what == "all-to-all") {
    char message[512] = "";
    moert_error_sink sink = {message, sizeof message};
    moert_communicator *on = nullptr;
    check(moert_mpi_communicator_create(nullptr, &sink, &on), message);
    allToAll(*on, /*isMpi=*/true);
    moert_communicator_destroy(on);
  } else {
    std::fprintf(stderr, "usage: runtime-exchange all-to-all [RANKS] | overlap "
                         "RANKS\n");
    return 2;
  }
  return 0;
}
