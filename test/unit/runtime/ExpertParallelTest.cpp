// Tests of models whose clusters are shared out among ranks.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "moert/model.h"

#include "test/unit/TemporaryFolder.h"
#include "test/unit/runtime/FakePagedModel.h"
#include "test/unit/runtime/TestTensor.h"
#include "test/unit/runtime/comm/Conformance.h"

#include <gtest/gtest.h>

#include <fstream>
#include <memory>

using namespace moec::test;

namespace {

using Answers = std::vector<std::string>;

struct CloseModel {
  void operator()(moert_model *model) const { moert_model_close(model); }
};
using Model = std::unique_ptr<moert_model, CloseModel>;

class ExpertParallelTest : public testing::Test {
protected:
  ExpertParallelTest() { writeFakePagedModel(folder.path, {}, true); }

  /// The model on a rank, or why not.
  std::string open(const std::string &path, moert_communicator &on,
                   Model &model, const char *placement = nullptr) {
    moert_model_options options = {};
    options.size = sizeof options;
    options.communicator = &on;
    options.placement = placement;
    Message message;
    moert_model *opened = nullptr;
    if (moert_model_open_with(path.c_str(), &options, &message.sink, &opened))
      return message.text;
    model.reset(opened);
    return "";
  }
  std::string refusal(const std::string &path, moert_communicator &on,
                      const char *placement = nullptr) {
    Model model;
    std::string wrong = open(path, on, model, placement);
    return wrong.empty() ? "none" : wrong;
  }

  /// Runs a layer on tokens of one; what is wrong with the results, or nothing.
  static std::string run(const Model &model, size_t number,
                         std::vector<int32_t> clusters) {
    int64_t rows = int64_t(clusters.size());
    std::vector<float> ones(clusters.size(), 1), result(clusters.size());
    TestTensor x{ones.data(), kDLFloat, 32, {rows}},
        ids{clusters.data(), kDLInt, 32, {rows}},
        y{result.data(), kDLFloat, 32, {rows}};
    DLTensor *args[] = {&x.view, &ids.view, &y.view};
    TestCall call;
    moert_layer *layer = nullptr;
    moert_model_layer_at(model.get(), int32_t(number), &layer);
    if (moert_layer_call(layer, &call.call, args, 3))
      return call.message();
    for (size_t t = 0; t < clusters.size(); ++t)
      if (result[t] != FakePagedWeights().result(number, size_t(clusters[t])))
        return "other results";
    return "";
  }

  std::string write(const char *name, const std::string &text) {
    std::ofstream(folder.file(name)) << text;
    return folder.file(name);
  }

  TemporaryFolder folder;
};

moert_exchange_statistics statisticsOf(const Model &model) {
  moert_exchange_statistics counted = {};
  counted.size = sizeof counted;
  EXPECT_EQ(moert_model_exchange_statistics(model.get(), &counted), MOERT_OK);
  return counted;
}

TEST_F(ExpertParallelTest, computesWhatOneRankComputes) {
  for (int32_t count : {1, 2, 3, 4})
    EXPECT_EQ(LocalRanks(count).run([&](moert_communicator &on) -> std::string {
      Model model;
      std::string wrong = open(folder.path, on, model);
      for (size_t layer = 0; layer < 3 && wrong.empty(); ++layer)
        wrong = run(model, layer,
                    on.rank == 1 ? std::vector<int32_t>{}
                                 : std::vector<int32_t>{0, 3, 1, 2, 3});
      return wrong;
    }),
              Answers(size_t(count)))
        << count << " ranks";
}

TEST_F(ExpertParallelTest, hasTheClustersOfEachRankAlone) {
  std::vector<uint64_t> bytes(3);
  EXPECT_EQ(LocalRanks(3).run([&](moert_communicator &on) -> std::string {
    Model model;
    std::string wrong = open(folder.path, on, model);
    moert_layer *layer = nullptr;
    moert_model_layer_at(model.get(), 0, &layer);
    moert_layer_resident_bytes(layer, &bytes[size_t(on.rank)]);
    return wrong;
  }),
            Answers(3));
  // Clusters 0 and 3 are rank 0's; tables are on all.
  constexpr uint64_t cluster = (FAKE_PAGED_WIDTH + 2) * 4;
  EXPECT_EQ(bytes, (std::vector<uint64_t>{2 * cluster + 32, cluster + 32,
                                          cluster + 32}));
}

TEST_F(ExpertParallelTest, sendsRowsToTheRanksOfItsPlacement) {
  // In the artifact: of layer l0 all on rank 1; other layers by turns.
  write("placement.json",
        R"({"moec_placement": "0.1", "ranks": 2,
            "layers": {"l0": [[1], [1], [1], [1]]}})");
  std::string elsewhere =
      write("other.json", R"({"moec_placement": "0.1", "ranks": 2,
                              "layers": {"l0": [[0], [0], [0], [0]]}})");
  for (bool isElsewhere : {false, true}) {
    std::vector<uint64_t> rows(2);
    EXPECT_EQ(LocalRanks(2).run([&](moert_communicator &on) -> std::string {
      Model model;
      std::string wrong = open(folder.path, on, model,
                               isElsewhere ? elsewhere.c_str() : nullptr);
      if (wrong.empty())
        wrong = run(model, 0, {0, 1, 2});
      moert_exchange_statistics counted = statisticsOf(model);
      rows[size_t(on.rank)] = counted.rows;
      return wrong.empty() && (counted.steps != 1 || counted.tokens != 3 ||
                               counted.expert_rows != counted.rows ||
                               counted.row_bytes != 3 * 4 + 0 * 4 ||
                               counted.other_bytes == 0)
                 ? "other statistics"
                 : wrong;
    }),
              Answers(2));
    EXPECT_EQ(rows, isElsewhere ? (std::vector<uint64_t>{0, 3})
                                : (std::vector<uint64_t>{3, 0}));
  }
}

TEST_F(ExpertParallelTest, runsOnOneRankWithoutACommunicator) {
  Message message;
  moert_model *opened = nullptr;
  moert_model_options options = {};
  // Those of an earlier minor end in front of it.
  options.size = offsetof(moert_model_options, communicator);
  options.placement = "/nowhere";
  ASSERT_EQ(moert_model_open_with(folder.path.c_str(), &options, &message.sink,
                                  &opened),
            MOERT_OK)
      << message.text;
  Model model(opened);
  EXPECT_EQ(run(model, 2, {3, 0}), "");
  EXPECT_EQ(statisticsOf(model).steps, 0u);
  EXPECT_EQ(moert_model_exchange_statistics(opened, nullptr),
            MOERT_INVALID_ARGUMENT);
}

TEST_F(ExpertParallelTest, refusesWhatDiffersBetweenRanks) {
  TemporaryFolder other;
  writeFakePagedModel(other.path, {.scale = 2}, true);
  Answers answers = LocalRanks(2).run([&](moert_communicator &on) {
    return refusal(on.rank == 0 ? folder.path : other.path, on);
  });
  std::string start = ": rank 0: expected weights ";
  EXPECT_EQ(answers[0].find(folder.path + start), 0u) << answers[0];
  EXPECT_NE(answers[0].find(" on all ranks, found "), std::string::npos);
  EXPECT_NE(answers[0].find(" on rank 1"), std::string::npos) << answers[0];
  EXPECT_NE(answers[1].find("rank 1: expected weights "), std::string::npos)
      << answers[1];
}

TEST_F(ExpertParallelTest, refusesWhatIsForOneRank) {
  TemporaryFolder single;
  writeFakePagedModel(single.path);
  LocalRanks ranks(2);
  std::string wrong =
      single.path + ": layer 'l0': expected code that exchanges rows beside a "
                    "communicator, found code for one rank";
  EXPECT_EQ(refusal(single.path, ranks.at(0)), wrong);
  // The others need not wait.
  EXPECT_NE(refusal(folder.path, ranks.at(1)).find("gave up"),
            std::string::npos);
}

TEST_F(ExpertParallelTest, refusesPlacementsThatDoNotFit) {
  auto with = [&](const std::string &text) {
    LocalRanks ranks(1);
    std::string file = write("p.json", text);
    return refusal(folder.path, ranks.at(0), file.c_str());
  };
  EXPECT_EQ(with(R"({"moec_placement": "0.1", "ranks": 3, "layers": {}})"),
            folder.file("p.json") +
                ": expected a placement for 1 ranks, found one for 3");
  EXPECT_EQ(with("[]").find(folder.file("p.json") + ": expected"), 0u);
  LocalRanks ranks(1);
  EXPECT_EQ(refusal(folder.path, ranks.at(0), "/nowhere/p.json"),
            "/nowhere/p.json: cannot read the placement");
}

} // namespace
