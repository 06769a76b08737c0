// Tests of the C functions of regrouping: what they refuse.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "moert/regroup.h"

#include "test/unit/runtime/FakeModel.h"
#include "test/unit/weights/ClusteredArchive.h"

#include <gtest/gtest.h>

using namespace moec::test;

namespace {

const Table table = {0, 1, 1, 0, 2, 2, 0, 0};

class RegroupTest : public testing::Test {
protected:
  RegroupTest() {
    writeFakeModel(folder);
    EXPECT_EQ(moert_model_open(folder.path.c_str(), &sink, &model), MOERT_OK)
        << text;
    ClusteredArchive().write(clustered, table);
    options.size = sizeof options;
    options.archive = clustered.c_str();
    options.directory = folder.path.c_str();
  }
  ~RegroupTest() override { moert_model_close(model); }

  void expectRefused(moert_status_t status, const std::string &message) {
    moert_regrouper *regrouper = nullptr;
    EXPECT_EQ(moert_regrouper_start(model, &options, &sink, &regrouper),
              status);
    EXPECT_EQ(std::string(text), "moert_regrouper_start: " + message);
    EXPECT_EQ(regrouper, nullptr);
  }

  TemporaryFolder folder;
  std::string clustered = folder.file("clustered");
  moert_model *model = nullptr;
  moert_regroup_options options = {};
  char text[512] = "";
  moert_error_sink sink = {text, sizeof text};
};

TEST_F(RegroupTest, refusesNulls) {
  moert_regrouper *regrouper = nullptr;
  const std::string message =
      "moert_regrouper_start: expected a model, options "
      "and a place for the regrouper, found null";
  EXPECT_EQ(moert_regrouper_start(nullptr, &options, &sink, &regrouper),
            MOERT_INVALID_ARGUMENT);
  EXPECT_EQ(text, message);
  EXPECT_EQ(moert_regrouper_start(model, nullptr, nullptr, &regrouper),
            MOERT_INVALID_ARGUMENT);
  EXPECT_EQ(moert_regrouper_start(model, &options, nullptr, nullptr),
            MOERT_INVALID_ARGUMENT);
  moert_layer *layer = nullptr;
  moert_model_layer_at(model, 0, &layer);
  EXPECT_EQ(moert_regrouper_observe(nullptr, layer, 0, 0, 0, nullptr, nullptr,
                                    nullptr),
            MOERT_INVALID_ARGUMENT);
  EXPECT_EQ(moert_regrouper_request(nullptr), MOERT_INVALID_ARGUMENT);
  moert_regroup_statistics statistics = {};
  EXPECT_EQ(moert_regrouper_statistics(nullptr, &statistics),
            MOERT_INVALID_ARGUMENT);
  EXPECT_EQ(moert_regrouper_report(nullptr, nullptr, 0, nullptr),
            MOERT_INVALID_ARGUMENT);
  EXPECT_EQ(moert_regrouper_stop(nullptr), MOERT_OK);
}

TEST_F(RegroupTest, refusesOptionsThatAreWrong) {
  options.size = 8;
  expectRefused(MOERT_INVALID_ARGUMENT,
                "got options of 8 bytes, expected at least 104");
  options.size = sizeof options;
  options.directory = nullptr;
  expectRefused(MOERT_INVALID_ARGUMENT,
                "expected an archive and a directory, found null");
  std::string none = folder.file("none");
  options.directory = none.c_str();
  expectRefused(MOERT_INVALID_ARGUMENT,
                none + ": expected a directory for later generations, found "
                       "nothing");
  options.directory = clustered.c_str();
  expectRefused(MOERT_INVALID_ARGUMENT,
                clustered + ": expected a directory for later generations, "
                            "found a file");
  options.directory = folder.path.c_str();
  options.drift = -1;
  expectRefused(MOERT_INVALID_ARGUMENT,
                "expected options of 0 or more, found one below");
}

TEST_F(RegroupTest, refusesFilesThatDoNotBelongTogether) {
  std::string plain = folder.file("weights.safetensors");
  options.archive = plain.c_str();
  expectRefused(MOERT_IO_ERROR,
                plain + ": expected layers whose experts share bases of "
                        "clusters, found none");
  options.archive = clustered.c_str();
  // The model has two layers.
  expectRefused(MOERT_IO_ERROR,
                clustered + ": expected weights of the model, found layer2, "
                            "which it does not have");
}

} // namespace
