// Tests of rows that go to other ranks, and of results that come back.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "runtime/comm/Exchange.h"

#include "test/unit/runtime/comm/Conformance.h"
#include "weights/FloatFormats.h"

#include <gtest/gtest.h>

#include <memory>

using namespace moec::comm;
using namespace moec::test;

namespace {

using Answers = std::vector<std::string>;
constexpr int32_t f32 = MOERT_ELEMENT(kDLFloat, 32);

/// A rank with its exchange and one layer, of as many clusters as ranks unless
/// a placement says otherwise.
struct Rank {
  explicit Rank(moert_communicator &on, int32_t number = 7,
                const std::vector<std::vector<int32_t>> &owners = {})
      : exchange(on),
        layer(exchange, number, "l",
              owners.empty() ? LayerPlacement::roundRobin(on.ranks)
                             : LayerPlacement(owners)) {}

  /// One token of one number, which each of `ids` computes as value(id).
  template <typename Bits>
  std::string once(std::vector<int32_t> ids, int32_t type, Bits &y,
                   const std::function<Bits(int32_t)> &value) {
    const moert_exchange &table = *layer.view();
    float x = 1;
    std::vector<float> weights(ids.size(), 1.0f);
    moert_routing routing = {sizeof routing,
                             f32,
                             type,
                             1,
                             &x,
                             ids.data(),
                             nullptr,
                             weights.data(),
                             &y,
                             1,
                             int64_t(ids.size()),
                             1,
                             1};
    moert_received received = {};
    if (table.begin(table.context, &routing, &message.sink) ||
        table.dispatch(table.context, 0, &message.sink) ||
        table.receive(table.context, 0, &received, &message.sink))
      return message.text;
    for (int64_t row = 0; row < received.count; ++row)
      for (size_t j = 0; j < ids.size(); ++j)
        if (int32_t id = received.ids[size_t(row) * ids.size() + j]; id >= 0)
          static_cast<Bits *>(received.results)[row] = value(id);
    return table.send_back(table.context, 0, &message.sink) ||
                   table.collect(table.context, 0, &message.sink)
               ? message.text
               : "";
  }

  Exchange exchange;
  LayerExchange layer;
  Message message;
};

TEST(RowExchange, addsResultsInTheRanksOrder) {
  const float terms[] = {1e8f, -1e8f, 1.0f};
  EXPECT_EQ(LocalRanks(3).run([&](moert_communicator &on) -> std::string {
    float y = 0;
    // Chosen in another order.
    std::string wrong = Rank(on).once<float>(
        {2, 0, 1}, f32, y, [&](int32_t id) { return terms[id]; });
    return !wrong.empty() ? wrong : y == 1.0f ? "" : std::to_string(y);
  }),
            Answers(3));
}

TEST(RowExchange, addsNarrowResultsInF32) {
  // 1 and two halves of its last place: each alone would be lost.
  const uint16_t half[] = {0x3C00, 0x1000, 0x1000},
                 brain[] = {0x3F80, 0x3B80, 0x3B80};
  auto answers = LocalRanks(3).run([&](moert_communicator &on) -> std::string {
    uint16_t y = 0;
    Rank rank(on);
    std::string wrong =
        rank.once<uint16_t>({0, 1, 2}, MOERT_ELEMENT(kDLFloat, 16), y,
                            [&](int32_t id) { return half[id]; });
    if (!wrong.empty() || y != 0x3C01)
      return wrong + "f16 " + std::to_string(y);
    wrong = rank.once<uint16_t>({0, 1, 2}, MOERT_ELEMENT(kDLBfloat, 16), y,
                                [&](int32_t id) { return brain[id]; });
    return !wrong.empty() || y != 0x3F81 ? wrong + "bf16 " + std::to_string(y)
                                         : "";
  });
  EXPECT_EQ(answers, Answers(3));
}

TEST(RowExchange, sendsATokenOnceToEachRank) {
  // Experts 0 to 7 in clusters of two, cluster c on rank c: of a token's four
  // choices two share a rank, and one is its own.
  std::vector<ExchangeStatistics> counted(4);
  EXPECT_EQ(LocalRanks(4).run([&](moert_communicator &on) -> std::string {
    Rank rank(on);
    std::mt19937 random;
    int32_t next = 0, own = on.rank;
    const int32_t other = (own + 1) % 4, third = (own + 2) % 4;
    const int32_t choices[] = {2 * own, 2 * other, 2 * other + 1, 2 * third};
    Step step(10, 6, 4, 2, random, [&] { return choices[next++ % 4]; });
    std::string wrong = step.run(*rank.layer.view());
    counted[size_t(own)] = rank.exchange.statistics();
    return wrong;
  }),
            Answers(4));
  for (const ExchangeStatistics &statistics : counted) {
    EXPECT_EQ(statistics.steps, 1u);
    EXPECT_EQ(statistics.tokens, 10u);
    EXPECT_EQ(statistics.rows, 20u);
    EXPECT_EQ(statistics.choices, 30u);
    // There, and as many results for others' rows.
    EXPECT_EQ(statistics.rowBytes, 20u * 24 + 20 * 24);
  }
}

TEST(RowExchange, prefersARankThatGetsTheTokenAnyway) {
  // Cluster 0 on rank 1; cluster 1 on all; cluster 2 on ranks 0 and 1.
  std::vector<ExchangeStatistics> counted(3);
  EXPECT_EQ(LocalRanks(3).run([&](moert_communicator &on) -> std::string {
    Rank rank(on, 0, {{1}, {0, 1, 2}, {0, 1}});
    std::mt19937 random;
    int32_t next = 0;
    const int32_t choices[] = {0, 2, 4};
    Step step(6, 2, 3, 1, random, [&] { return choices[next++ % 3]; });
    std::string wrong = step.run(*rank.layer.view());
    counted[size_t(on.rank)] = rank.exchange.statistics();
    return wrong;
  }),
            Answers(3));
  EXPECT_EQ(counted[0].rows, 6u);
  EXPECT_EQ(counted[1].rows, 0u);
  EXPECT_EQ(counted[2].rows, 6u);
}

TEST(RowExchange, sharesReplicasByTurns) {
  // Of cluster 0, which ranks 1 and 2 have, rank 0's tokens go to both.
  std::vector<int64_t> received(3);
  LocalRanks(3).run([&](moert_communicator &on) {
    Rank rank(on, 0, {{1, 2}});
    std::mt19937 random;
    Step step(on.rank == 0 ? 8 : 0, 2, 1, 1, random, [] { return 0; });
    const moert_exchange &table = *rank.layer.view();
    moert_routing routing = step.routing();
    moert_received rows = {};
    table.begin(table.context, &routing, nullptr);
    table.dispatch(table.context, 0, nullptr);
    EXPECT_EQ(table.receive(table.context, 0, &rows, nullptr), MOERT_OK);
    received[size_t(on.rank)] = rows.count;
    return "";
  });
  EXPECT_EQ(received, (std::vector<int64_t>{0, 4, 4}));
}

TEST(RowExchange, saysThatRanksAreAtOtherLayers) {
  auto answers = LocalRanks(2).run([](moert_communicator &on) {
    float y = 0;
    return Rank(on, 7 + on.rank).once<float>({0}, f32, y, [](int32_t) {
      return 1.0f;
    });
  });
  // Whoever comes second may have been told first.
  std::string seen = "layer 'l': dispatch: rank 1 has layer 8, rank 0 7",
              other = "layer 'l': dispatch: rank 0 has layer 7, rank 1 8";
  EXPECT_TRUE(answers[0].find(seen) != std::string::npos ||
              answers[0].find(other) != std::string::npos)
      << answers[0];
  EXPECT_TRUE(answers[1].find(seen) != std::string::npos ||
              answers[1].find(other) != std::string::npos)
      << answers[1];
}

TEST(RowExchange, saysThatStepsDiffer) {
  auto answers = LocalRanks(2).run([](moert_communicator &on) -> std::string {
    Rank rank(on);
    // A step that rank 1 alone began: as if it had run one more before.
    float y = 0;
    std::vector<int32_t> ids(size_t(1 + on.rank), 0);
    return rank.once<float>(ids, f32, y, [](int32_t) { return 1.0f; });
  });
  for (const std::string &answer : answers)
    EXPECT_NE(answer.find("has choices "), std::string::npos) << answer;
}

TEST(RowExchange, namesWhoDoesNotCome) {
  LocalRanks ranks(3, {sizeof(moert_communicator_options), 200, 0, 0});
  auto answers = ranks.run([](moert_communicator &on) -> std::string {
    float y = 0;
    // The first that is missing is named, however late the others are.
    return on.rank == 0 ? "" : Rank(on).once<float>({0}, f32, y, [](int32_t) {
      return 1.0f;
    });
  });
  for (size_t r : {1, 2}) {
    std::string where = "layer 'l': dispatch of chunk 0: rank " +
                        std::to_string(r) + ": all-to-all: ";
    EXPECT_EQ(answers[r].find(where), 0u) << answers[r];
    EXPECT_NE(answers[r].find("rank 0 did not answer within 200 ms"),
              std::string::npos)
        << answers[r];
  }
}

TEST(RowExchange, tellsTheOthersWhatIsWrongHere) {
  LocalRanks ranks(2);
  auto answers = ranks.run([](moert_communicator &on) -> std::string {
    Rank rank(on, 0, {{0}, {1}});
    float y = 0;
    return rank.once<float>({on.rank == 0 ? 5 : 1}, f32, y,
                            [](int32_t) { return 1.0f; });
  });
  std::string wrong = "layer 'l': token 0 chose cluster 5, expected one of the "
                      "2 that its placement lists";
  EXPECT_EQ(answers[0], wrong);
  EXPECT_EQ(answers[1],
            "layer 'l': dispatch of chunk 0: rank 1: all-to-all: rank 0 gave "
            "up: rank 0: abort: " +
                wrong);
}

TEST(RowExchange, tellsTheOthersThatTheCodeFailed) {
  LocalRanks ranks(2);
  Rank first(ranks.at(0));
  first.layer.view()->fail(first.layer.view()->context, "base 3 is damaged");
  float y = 0;
  EXPECT_EQ(
      Rank(ranks.at(1)).once<float>({0}, f32, y, [](int32_t) { return 1.0f; }),
      "layer 'l': dispatch of chunk 0: rank 1: all-to-all: rank 0 gave "
      "up: rank 0: abort: layer 'l': base 3 is damaged");
}

TEST(RowExchange, refusesRoutingsThatAreNone) {
  auto refusal = [](const std::function<void(moert_routing &)> &damage) {
    LocalRanks ranks(1);
    Rank rank(ranks.at(0));
    std::mt19937 random;
    Step step(2, 2, 1, 1, random, [] { return 0; });
    moert_routing routing = step.routing();
    damage(routing);
    Message message;
    EXPECT_EQ(rank.layer.view()->begin(rank.layer.view()->context, &routing,
                                       &message.sink),
              MOERT_INVALID_ARGUMENT);
    return std::string(message.text);
  };
  EXPECT_EQ(refusal([](moert_routing &r) { r.size = 8; }),
            "layer 'l': expected a routing of at least 88 bytes, found 8");
  EXPECT_EQ(refusal([](moert_routing &r) { r.chunks = 17; }),
            "layer 'l': expected 1 to 16 chunks, found 17");
  EXPECT_EQ(refusal([](moert_routing &r) { r.x_type = 4; }),
            "layer 'l': expected tokens of whole bytes, found 4 bits");
  EXPECT_EQ(refusal([](moert_routing &r) { r.y_type = 64; }),
            "layer 'l': expected results of f32, f16 or bf16, found type 64");
  EXPECT_EQ(refusal([](moert_routing &r) { r.tokens = -1; }),
            "layer 'l': expected no negative extent");
}

TEST(RowExchange, takesOneCallAtATimeInItsOrder) {
  LocalRanks ranks(1);
  Rank rank(ranks.at(0));
  std::mt19937 random;
  Step step(4, 2, 1, 2, random, [] { return 0; });
  moert_routing routing = step.routing();
  const moert_exchange &table = *rank.layer.view();
  ASSERT_EQ(table.begin(table.context, &routing, nullptr), MOERT_OK);
  EXPECT_EQ(table.begin(table.context, &routing, &rank.message.sink),
            MOERT_INVALID_ARGUMENT);
  EXPECT_STREQ(rank.message.text,
               "layer 'l': expected one call at a time of a model with a "
               "communicator, found another under way");
  ASSERT_EQ(table.dispatch(table.context, 0, nullptr), MOERT_OK);
  moert_received received = {};
  ASSERT_EQ(table.receive(table.context, 0, &received, nullptr), MOERT_OK);
  EXPECT_EQ(table.receive(table.context, 1, &received, &rank.message.sink),
            MOERT_INTERNAL);
  EXPECT_STREQ(rank.message.text,
               "receive of chunk 1 is not in turn: expected chunk 1, below 1");
}

TEST(RowExchange, addsUpOverRanks) {
  EXPECT_EQ(LocalRanks(3).run([](moert_communicator &on) -> std::string {
    Rank rank(on);
    float values[] = {float(on.rank), 10};
    const moert_exchange &table = *rank.layer.view();
    if (table.all_reduce(table.context, values, 2, &rank.message.sink))
      return rank.message.text;
    return values[0] == 3 && values[1] == 30 ? "" : "other sums";
  }),
            Answers(3));
}

TEST(RowExchange, findsTheRankThatBroughtAnother) {
  EXPECT_EQ(LocalRanks(2).run([](moert_communicator &on) -> std::string {
    Exchange exchange(on);
    auto same = exchange.agree("artifact", 5);
    if (!same)
      return same.error();
    auto other = exchange.agree("artifact", uint64_t(on.rank));
    return other ? "none" : other.error();
  }),
            (Answers{"rank 0: expected artifact 0000000000000000 on all ranks, "
                     "found 0000000000000001 on rank 1",
                     "rank 1: expected artifact 0000000000000001 on all ranks, "
                     "found 0000000000000000 on rank 0"}));
}

} // namespace
