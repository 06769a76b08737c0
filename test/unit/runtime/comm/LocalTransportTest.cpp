// Tests of threads as ranks, and of the link between them.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "runtime/comm/LocalTransport.h"

#include "test/unit/runtime/comm/Conformance.h"

#include <gtest/gtest.h>

#include <ctime>

using namespace moec::comm;
using namespace moec::test;

namespace {

using Answers = std::vector<std::string>;

double now(clockid_t clock) {
  timespec time = {};
  clock_gettime(clock, &time);
  return double(time.tv_sec) + 1e-9 * double(time.tv_nsec);
}

/// Sends that many bytes to each other rank and says how long it took, by the
/// clock and of a CPU.
struct Timed {
  double wall = 0, cpu = 0;
};
Timed timeAllToAll(moert_communicator &on, int64_t bytes) {
  Letters letters(
      on, 0, [&](int32_t from, int32_t to) { return from == to ? 0 : bytes; });
  Message message;
  on.barrier(on.context, nullptr);
  double wall = now(CLOCK_MONOTONIC), cpu = now(CLOCK_THREAD_CPUTIME_ID);
  EXPECT_EQ(on.start_all_to_all(on.context, 0, &letters.view, &message.sink),
            MOERT_OK)
      << message.text;
  EXPECT_EQ(on.wait(on.context, 0, &message.sink), MOERT_OK) << message.text;
  EXPECT_TRUE(letters.haveCome());
  return {now(CLOCK_MONOTONIC) - wall, now(CLOCK_THREAD_CPUTIME_ID) - cpu};
}

TEST(LocalTransport, takesTheTimeOfItsLinkAndNoCpu) {
  // 1 MB/s and 20 ms: two blocks of 50 kB take 120 ms, with their ends in use
  // one after the other.
  LocalRanks ranks(
      3, {sizeof(moert_communicator_options), 0, 20'000'000, 1'000'000});
  std::vector<Timed> times(3);
  ranks.run([&](moert_communicator &on) {
    // The barrier costs a latency too.
    times[size_t(on.rank)] = timeAllToAll(on, 50'000);
    return "";
  });
  for (const Timed &time : times) {
    EXPECT_GE(time.wall, 0.1);
    EXPECT_LT(time.wall, 1.5);
    EXPECT_LT(time.cpu, 0.05);
  }
}

TEST(LocalTransport, carriesWhileRanksCompute) {
  LocalRanks ranks(2, {sizeof(moert_communicator_options), 0, 100'000'000, 0});
  std::vector<double> waited(2);
  ranks.run([&](moert_communicator &on) {
    Letters letters(on, 0, [](int32_t, int32_t) { return int64_t(10); });
    on.start_all_to_all(on.context, 0, &letters.view, nullptr);
    int32_t hasEnded = 1;
    on.test(on.context, 0, &hasEnded, nullptr);
    EXPECT_EQ(hasEnded, 0);
    std::this_thread::sleep_for(std::chrono::milliseconds(160));
    double began = now(CLOCK_MONOTONIC);
    EXPECT_EQ(on.wait(on.context, 0, nullptr), MOERT_OK);
    waited[size_t(on.rank)] = now(CLOCK_MONOTONIC) - began;
    EXPECT_TRUE(letters.haveCome());
    return "";
  });
  for (double wait : waited)
    EXPECT_LT(wait, 0.1);
}

TEST(LocalTransport, saysThatARankLeftWithWhatItStarted) {
  LocalRanks ranks(2);
  Letters first(ranks.at(0), 0, [](int32_t, int32_t) { return int64_t(9); });
  Letters second(ranks.at(1), 0, [](int32_t, int32_t) { return int64_t(9); });
  for (auto [rank, letters] : {std::pair(0, &first), std::pair(1, &second)})
    ASSERT_EQ(ranks.at(size_t(rank))
                  .start_all_to_all(ranks.at(size_t(rank)).context, 1,
                                    &letters->view, nullptr),
              MOERT_OK);
  ranks.leave(1);
  Message message;
  EXPECT_EQ(ranks.at(0).wait(ranks.at(0).context, 1, &message.sink),
            MOERT_UNAVAILABLE);
  EXPECT_STREQ(message.text, "rank 0: all-to-all: rank 1 left");
}

TEST(LocalTransport, aRankMayLeaveWithWhatHasEnded) {
  LocalRanks ranks(2);
  Letters first(ranks.at(0), 0, [](int32_t, int32_t) { return int64_t(9); });
  Letters second(ranks.at(1), 0, [](int32_t, int32_t) { return int64_t(9); });
  ASSERT_EQ(ranks.at(0).start_all_to_all(ranks.at(0).context, 1, &first.view,
                                         nullptr),
            MOERT_OK);
  ASSERT_EQ(ranks.at(1).start_all_to_all(ranks.at(1).context, 1, &second.view,
                                         nullptr),
            MOERT_OK);
  // It copies both ways.
  ASSERT_EQ(ranks.at(1).wait(ranks.at(1).context, 1, nullptr), MOERT_OK);
  ranks.leave(1);
  Message message;
  EXPECT_EQ(ranks.at(0).wait(ranks.at(0).context, 1, &message.sink), MOERT_OK)
      << message.text;
  EXPECT_TRUE(first.haveCome());
}

} // namespace
