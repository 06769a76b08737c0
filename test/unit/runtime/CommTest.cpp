// Tests of how communicators are made and ended.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "moert/comm.h"

#include "test/unit/runtime/comm/Conformance.h"

#include <gtest/gtest.h>

using namespace moec::test;

namespace {

TEST(Comm, makesLocalOnes) {
  LocalRanks ranks(3);
  for (int32_t r = 0; r < 3; ++r) {
    const moert_communicator &on = ranks.at(size_t(r));
    EXPECT_EQ(on.size, sizeof(moert_communicator));
    EXPECT_EQ(on.rank, r);
    EXPECT_EQ(on.ranks, 3);
    EXPECT_STREQ(on.name, "local");
  }
}

TEST(Comm, refusesMistakes) {
  Message message;
  moert_communicator *made = nullptr;
  EXPECT_EQ(moert_local_communicators_create(nullptr, 0, &message.sink, &made),
            MOERT_INVALID_ARGUMENT);
  EXPECT_STREQ(message.text, "moert_local_communicators_create: expected 1 to "
                             "4096 ranks, found 0");
  EXPECT_EQ(
      moert_local_communicators_create(nullptr, 2, &message.sink, nullptr),
      MOERT_INVALID_ARGUMENT);
  EXPECT_STREQ(message.text, "moert_local_communicators_create: expected "
                             "places for the communicators, found null");
  EXPECT_EQ(moert_communicator_destroy(nullptr), MOERT_OK);
}

TEST(Comm, readsOptionsAsFarAsTheyGo) {
  // A caller of an earlier version ends in front of the link.
  moert_communicator_options options = {
      offsetof(moert_communicator_options, link_latency), 0, 2'000'000'000, 0};
  LocalRanks ranks(2, options);
  EXPECT_EQ(ranks.run([](moert_communicator &on) -> std::string {
    auto began = std::chrono::steady_clock::now();
    on.barrier(on.context, nullptr);
    return std::chrono::steady_clock::now() - began < std::chrono::seconds(1)
               ? ""
               : "slow";
  }),
            std::vector<std::string>(2));
}

} // namespace
