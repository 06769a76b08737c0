// Tests of the functions of a communicator, on threads as ranks.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "runtime/comm/Communicator.h"

#include "test/unit/runtime/comm/Conformance.h"

#include <gtest/gtest.h>

#include <chrono>

using namespace moec::test;

namespace {

using Answers = std::vector<std::string>;

/// Long enough for a busy machine, short enough to be waited for.
constexpr uint32_t shortDeadline = 300;

moert_communicator_options within(uint32_t milliseconds) {
  return {sizeof(moert_communicator_options), milliseconds, 0, 0};
}

std::string barrier(moert_communicator &on) {
  Message message;
  return on.barrier(on.context, &message.sink) ? message.text : "";
}

double seconds(std::chrono::steady_clock::time_point since) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - since)
      .count();
}

TEST(Communicator, doesWhatEachDoes) {
  for (int32_t ranks : {1, 2, 3, 4})
    EXPECT_EQ(LocalRanks(ranks).run(conform), Answers(size_t(ranks)))
        << ranks << " ranks";
}

TEST(Communicator, addsInTheRanksOrder) {
  LocalRanks ranks(3);
  // In another order 1 would be lost, or 0 come out.
  const float terms[] = {1e8f, -1e8f, 1.0f};
  EXPECT_EQ(ranks.run([&](moert_communicator &on) -> std::string {
    Message message;
    float parts[3], sum = 0;
    std::fill_n(parts, 3, terms[on.rank]);
    if (on.reduce_scatter(on.context, parts, 1, &sum, &message.sink))
      return message.text;
    return sum == 1.0f ? "" : std::to_string(sum);
  }),
            Answers(3));
}

TEST(Communicator, namesWhoDoesNotComeWithinTheDeadline) {
  LocalRanks ranks(3, within(shortDeadline));
  auto began = std::chrono::steady_clock::now();
  Answers answers = ranks.run(
      [](moert_communicator &on) { return on.rank == 1 ? "" : barrier(on); });
  EXPECT_LT(seconds(began), shortDeadline / 1000.0 + 1);
  EXPECT_GE(seconds(began), shortDeadline / 1000.0);
  // One of them gave up, and the other may have heard of it first.
  std::string late = "rank 1 did not answer within 300 ms";
  for (size_t r : {0, 2}) {
    EXPECT_EQ(answers[r].find("rank " + std::to_string(r) + ": barrier: "), 0u)
        << answers[r];
    EXPECT_NE(answers[r].find(late), std::string::npos) << answers[r];
  }
  // Who comes late is told why, and nothing goes on.
  std::string told = barrier(ranks.at(1));
  EXPECT_EQ(told.find("rank 1: barrier: rank "), 0u) << told;
  EXPECT_NE(told.find(late), std::string::npos) << told;
  EXPECT_EQ(barrier(ranks.at(0)), answers[0]);
  EXPECT_EQ(ranks.at(0).last_error(ranks.at(0).context), answers[0]);
}

TEST(Communicator, saysThatARankLeft) {
  LocalRanks ranks(3);
  ranks.leave(2);
  EXPECT_EQ(barrier(ranks.at(0)), "rank 0: barrier: rank 2 left");
  EXPECT_EQ(barrier(ranks.at(1)),
            "rank 1: barrier: rank 0 gave up: rank 0: barrier: rank 2 left");
}

TEST(Communicator, endsWhereAnotherThreadAborts) {
  LocalRanks ranks(2);
  std::thread watch([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    ranks.at(1).abort(ranks.at(1).context, "no more tokens");
  });
  EXPECT_EQ(barrier(ranks.at(0)),
            "rank 0: barrier: rank 1 gave up: rank 1: abort: no more tokens");
  watch.join();
  EXPECT_EQ(barrier(ranks.at(1)), "rank 1: abort: no more tokens");
}

TEST(Communicator, saysWhenSidesDisagree) {
  LocalRanks ranks(2);
  Answers answers = ranks.run([](moert_communicator &on) -> std::string {
    Message message;
    std::vector<char> all(200);
    return on.all_gather(on.context, all.data() + 100, 8 + on.rank, all.data(),
                         &message.sink)
               ? message.text
               : "none";
  });
  for (size_t r : {0, 1})
    EXPECT_NE(answers[r].find("bytes to rank"), std::string::npos)
        << answers[r];
}

TEST(Communicator, refusesMistakesAndGoesOn) {
  LocalRanks ranks(1);
  moert_communicator &on = ranks.at(0);
  Message message;
  Letters letters(on, 0, [](int32_t, int32_t) { return int64_t(4); });
  auto expectRefused = [&](int32_t status, const std::string &expected) {
    EXPECT_EQ(status, MOERT_INVALID_ARGUMENT);
    EXPECT_EQ(std::string(message.text), "rank 0: " + expected);
  };
  for (int32_t channel : {-1, MOERT_MAX_CHANNELS})
    expectRefused(
        on.start_all_to_all(on.context, channel, &letters.view, &message.sink),
        "all-to-all: expected a channel from 0 to 63, found " +
            std::to_string(channel));
  std::string incomplete = "all-to-all: expected bytes and offsets of 1 ranks, "
                           "none negative, and memory for them";
  expectRefused(on.start_all_to_all(on.context, 0, nullptr, &message.sink),
                incomplete);
  moert_all_to_all wrong = letters.view;
  wrong.receive = nullptr;
  expectRefused(on.start_all_to_all(on.context, 0, &wrong, &message.sink),
                incomplete);
  int64_t negative = -1;
  wrong = letters.view;
  wrong.send_offsets = &negative;
  expectRefused(on.start_all_to_all(on.context, 0, &wrong, &message.sink),
                incomplete);
  ASSERT_EQ(on.start_all_to_all(on.context, 5, &letters.view, nullptr),
            MOERT_OK);
  expectRefused(
      on.start_all_to_all(on.context, 5, &letters.view, &message.sink),
      "all-to-all: expected a free channel, found one under way on channel 5");
  expectRefused(on.test(on.context, 5, nullptr, &message.sink),
                "all-to-all: expected a channel and a place for the answer");
  expectRefused(on.wait(on.context, -1, &message.sink),
                "all-to-all: expected a channel");
  expectRefused(on.all_gather(on.context, nullptr, 4, nullptr, &message.sink),
                "all-gather: expected memory of no less than 0 bytes");
  expectRefused(
      on.reduce_scatter(on.context, nullptr, -1, nullptr, &message.sink),
      "reduce-scatter: expected memory of no less than 0 numbers");
  EXPECT_EQ(on.wait(on.context, 5, &message.sink), MOERT_OK) << message.text;
  EXPECT_TRUE(letters.haveCome());
  // A channel on which nothing is under way has ended.
  int32_t hasEnded = 0;
  EXPECT_EQ(on.test(on.context, 5, &hasEnded, &message.sink), MOERT_OK);
  EXPECT_EQ(hasEnded, 1);
  EXPECT_EQ(on.wait(on.context, 5, &message.sink), MOERT_OK);
  EXPECT_STREQ(on.last_error(on.context), "");
}

} // namespace
