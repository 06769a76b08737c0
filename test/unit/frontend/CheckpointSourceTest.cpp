// Tests of the weights of checkpoints by key.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "frontend/Checkpoint.h"

#include "test/unit/frontend/SyntheticCheckpoint.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <limits>

using namespace moec::frontend;
using namespace moec::test;
using namespace moec::weights;

namespace {

constexpr int64_t D = SyntheticCheckpoint::hidden;
constexpr int64_t F = SyntheticCheckpoint::intermediate;
constexpr int64_t E = SyntheticCheckpoint::experts;

std::shared_ptr<const MatrixSource> open(const TensorSource &source,
                                         const std::string &key,
                                         std::vector<int64_t> shape) {
  auto matrices = source.openMatrices("model::" + key, key, shape);
  EXPECT_TRUE(matrices) << matrices.error();
  return matrices ? *matrices : nullptr;
}

std::vector<float> read(const TensorSource &source, const std::string &key,
                        std::vector<int64_t> shape) {
  auto matrices = open(source, key, std::move(shape));
  if (!matrices)
    return {};
  EXPECT_EQ(matrices->name(), "model::" + key);
  Result<std::vector<float>> values = readAll(*matrices);
  EXPECT_TRUE(values) << values.error();
  return values ? *values : std::vector<float>();
}

/// Matrices [entries, in, out] of a layer and role.
std::vector<float> expected(int64_t layer, const std::string &role,
                            int64_t entries, int64_t in, int64_t out) {
  std::vector<float> values;
  for (int64_t expert = 0; expert < entries; ++expert)
    for (int64_t row = 0; row < in; ++row)
      for (int64_t col = 0; col < out; ++col)
        values.push_back(syntheticValue(layer, role, expert, row, col));
  return values;
}

TEST(CheckpointSource, readsEveryElement) {
  for (const char *family : {"mixtral", "qwen3_moe", "olmoe"}) {
    for (bool isStacked : {false, true}) {
      for (ElementType type :
           {ElementType::F32, ElementType::BF16, ElementType::F16}) {
        for (size_t shards : {0, 3}) {
          SCOPED_TRACE(std::string(family) + (isStacked ? " stacked " : " ") +
                       std::string(elementTypeName(type)) + " in " +
                       std::to_string(shards) + " shards");
          TemporaryFolder folder;
          SyntheticCheckpoint model(family, isStacked, type);
          shards ? model.writeShards(folder, shards) : model.write(folder);
          std::shared_ptr<const TensorSource> source;
          {
            Result<Checkpoint> checkpoint = Checkpoint::open(folder.path);
            ASSERT_TRUE(checkpoint) << checkpoint.error();
            source = checkpoint->source();
          }
          for (int64_t layer : model.moeLayers) {
            std::string prefix = "layers." + std::to_string(layer) + ".";
            EXPECT_EQ(read(*source, prefix + "router", {D, E}),
                      expected(layer, "router", 1, D, E));
            EXPECT_EQ(read(*source, prefix + "gate", {E, D, F}),
                      expected(layer, "gate", E, D, F));
            EXPECT_EQ(read(*source, prefix + "up", {E, D, F}),
                      expected(layer, "up", E, D, F));
            EXPECT_EQ(read(*source, prefix + "down", {E, F, D}),
                      expected(layer, "down", E, F, D));
          }
        }
      }
    }
  }
}

TEST(CheckpointSource, outlivesTheCheckpointButReadsOneMatrixAtATime) {
  TemporaryFolder folder;
  SyntheticCheckpoint model("mixtral");
  model.write(folder);
  std::shared_ptr<const MatrixSource> up;
  {
    Result<Checkpoint> checkpoint = Checkpoint::open(folder.path);
    ASSERT_TRUE(checkpoint) << checkpoint.error();
    up = open(*checkpoint->source(), "layers.2.up", {E, D, F});
  }
  std::vector<float> values(size_t(D * F)), all = expected(2, "up", E, D, F);
  ASSERT_TRUE(up->read(3, values));
  EXPECT_EQ(values, std::vector<float>(all.begin() + 3 * D * F, all.end()));
}

TEST(CheckpointSource, saysWhichKeysThereAre) {
  TemporaryFolder folder;
  SyntheticCheckpoint("qwen3_moe").write(folder);
  Result<Checkpoint> checkpoint = Checkpoint::open(folder.path);
  ASSERT_TRUE(checkpoint) << checkpoint.error();
  auto source = checkpoint->source();
  std::vector<int64_t> shape = {E, D, F};
  for (const char *key :
       {"layers.1.gate", "layers.3.gate", "layers.0.shared.gate", "layers.0.",
        "layers.0", "layers..gate", "layers.00.gate", "layers.-0.gate", "gate",
        "", "layers.0.gate.", "layer.0.gate",
        "layers.99999999999999999999.gate"})
    EXPECT_EQ(source->openMatrices("model::k", key, shape).error(),
              "model::k: expected a key layers.N.router|gate|up|down of one of "
              "2 MoE layers from 0 to 2, found '" +
                  std::string(key) + "'");
  EXPECT_TRUE(source->openMatrices("model::k", "layers.2.gate", shape));
  EXPECT_EQ(source->openMatrices("model::k", "layers.2.down", shape).error(),
            "model::k: expected shape [4, 5, 3], found [4, 3, 5]");
  shape = {1, D, E};
  EXPECT_EQ(source->openMatrices("model::k", "layers.2.router", shape).error(),
            "model::k: expected shape [1, 5, 4], found [5, 4]");
  EXPECT_EQ(source->loadIntegers("model::k", "layers.2.router", shape).error(),
            "model::k: expected integers, found the matrices of a checkpoint");
}

//===----------------------------------------------------------------------===//
// Layouts that no family of ours has
//===----------------------------------------------------------------------===//

/// A family in its folder, and a checkpoint of it: one layer with a shared
/// expert, stacks of gate and up in one tensor.
class OtherLayouts : public testing::Test {
protected:
  /// The tensor that holds up and gate, and its axes.
  void write(const std::string &axes, const std::string &holds,
             const std::string &split, std::vector<int64_t> shape,
             std::vector<float> values) {
    folder.write("families.json", R"({
  "format": 1, "family": "other", "description": "x", "model_types": "other", "architectures": "Other",
  "config": {"layers": 1, "hidden": 2, "intermediate": 2, "experts": 2, "choices": 1, "activation": "relu",
             "shared_intermediate": 3},
  "router": {"score": "sigmoid", "normalise": true, "scale": 2.5},
  "layouts": [{"name": "x", "block": "{layer}.", "tensors": [
    {"name": "r", "axes": ["hidden", "experts"], "holds": ["router"]},
    {"name": "gu", "axes": )" + axes + R"(, "holds": )" +
                                      holds + split + R"(},
    {"name": "d", "axes": ["experts", "intermediate", "hidden"], "holds": ["down"]},
    {"name": "s.r", "axes": ["one", "hidden"], "holds": ["shared.router"]},
    {"name": "s.gu", "axes": ["shared_intermediate", "hidden"], "holds": ["shared.gate", "shared.up"]},
    {"name": "s.d", "axes": ["hidden", "shared_intermediate"], "holds": ["shared.down"]}]}]})");
    std::filesystem::create_directory(folder.file("f"));
    std::filesystem::rename(folder.file("families.json"),
                            folder.file("f/other.json"));
    folder.write("config.json", R"({"model_type": "other"})");
    tensors.clear();
    add("0.r", {2, 2}, count(4));
    add("0.gu", std::move(shape), std::move(values));
    add("0.d", {2, 2, 2}, count(8));
    add("0.s.r", {1, 2}, count(2));
    add("0.s.gu", {6, 2}, count(12));
    add("0.s.d", {2, 3}, count(6));
    writeFile();
  }
  void writeFile() {
    SyntheticCheckpoint::writeTensors(folder.file("model.safetensors"),
                                      tensors);
  }
  void add(const std::string &name, std::vector<int64_t> shape,
           std::vector<float> values) {
    SyntheticTensor tensor{name, ElementType::F32, std::move(shape), {}};
    for (float value : values)
      appendValue(tensor.bytes, ElementType::F32, value);
    tensors.push_back(std::move(tensor));
  }
  static std::vector<float> count(size_t size) {
    std::vector<float> values;
    for (size_t i = 0; i < size; ++i)
      values.push_back(float(i));
    return values;
  }
  std::shared_ptr<const TensorSource> source() {
    Result<Checkpoint> checkpoint = Checkpoint::open(
        folder.path, {.families = folder.file("f"), .checkFinite = true});
    EXPECT_TRUE(checkpoint) << checkpoint.error();
    return checkpoint ? checkpoint->source() : nullptr;
  }
  std::string notFinite() {
    Result<Checkpoint> checkpoint = Checkpoint::open(
        folder.path, {.families = folder.file("f"), .checkFinite = true});
    EXPECT_FALSE(checkpoint);
    return checkpoint.error();
  }

  TemporaryFolder folder;
  std::vector<SyntheticTensor> tensors;
  const std::string inOut = R"(["experts", "hidden", "intermediate"])";
  const std::string outIn = R"(["experts", "intermediate", "hidden"])";
  const std::string gateUp = R"(["gate", "up"])";
  const std::string upGate = R"(["up", "gate"])";
  const std::string interleaved = R"(, "split": "interleaved")";
  const std::vector<float> gate = {1, 2, 3, 4, 5, 6, 7, 8};
  const std::vector<float> up = {10, 20, 30, 40, 50, 60, 70, 80};
};

TEST_F(OtherLayouts, inOutBlocks) {
  write(inOut, gateUp, "", {2, 2, 4},
        {1, 2, 10, 20, 3, 4, 30, 40, 5, 6, 50, 60, 7, 8, 70, 80});
  EXPECT_EQ(read(*source(), "layers.0.gate", {2, 2, 2}), gate);
  EXPECT_EQ(read(*source(), "layers.0.up", {2, 2, 2}), up);
}

TEST_F(OtherLayouts, inOutBlocksUpFirst) {
  write(inOut, upGate, "", {2, 2, 4},
        {10, 20, 1, 2, 30, 40, 3, 4, 50, 60, 5, 6, 70, 80, 7, 8});
  EXPECT_EQ(read(*source(), "layers.0.gate", {2, 2, 2}), gate);
  EXPECT_EQ(read(*source(), "layers.0.up", {2, 2, 2}), up);
}

TEST_F(OtherLayouts, inOutInterleaved) {
  write(inOut, gateUp, interleaved, {2, 2, 4},
        {1, 10, 2, 20, 3, 30, 4, 40, 5, 50, 6, 60, 7, 70, 8, 80});
  EXPECT_EQ(read(*source(), "layers.0.gate", {2, 2, 2}), gate);
  EXPECT_EQ(read(*source(), "layers.0.up", {2, 2, 2}), up);
}

TEST_F(OtherLayouts, outInBlocksUpFirst) {
  write(outIn, upGate, "", {2, 4, 2},
        {10, 30, 20, 40, 1, 3, 2, 4, 50, 70, 60, 80, 5, 7, 6, 8});
  EXPECT_EQ(read(*source(), "layers.0.gate", {2, 2, 2}), gate);
  EXPECT_EQ(read(*source(), "layers.0.up", {2, 2, 2}), up);
}

TEST_F(OtherLayouts, outInInterleaved) {
  write(outIn, gateUp, interleaved, {2, 4, 2},
        {1, 3, 10, 30, 2, 4, 20, 40, 5, 7, 50, 70, 6, 8, 60, 80});
  EXPECT_EQ(read(*source(), "layers.0.gate", {2, 2, 2}), gate);
  EXPECT_EQ(read(*source(), "layers.0.up", {2, 2, 2}), up);
}

TEST_F(OtherLayouts, sharedExperts) {
  write(inOut, gateUp, "", {2, 2, 4}, count(16));
  auto weights = source();
  EXPECT_EQ(read(*weights, "layers.0.router", {2, 2}), count(4));
  EXPECT_EQ(read(*weights, "layers.0.down", {2, 2, 2}), count(8));
  EXPECT_EQ(read(*weights, "layers.0.shared.router", {2, 1}),
            (std::vector<float>{0, 1}));
  EXPECT_EQ(read(*weights, "layers.0.shared.gate", {2, 3}),
            (std::vector<float>{0, 2, 4, 1, 3, 5}));
  EXPECT_EQ(read(*weights, "layers.0.shared.up", {2, 3}),
            (std::vector<float>{6, 8, 10, 7, 9, 11}));
  EXPECT_EQ(read(*weights, "layers.0.shared.down", {3, 2}),
            (std::vector<float>{0, 3, 1, 4, 2, 5}));
  Result<Checkpoint> checkpoint = Checkpoint::open(
      folder.path, {.families = folder.file("f"), .checkFinite = false});
  ASSERT_TRUE(checkpoint) << checkpoint.error();
  EXPECT_EQ(checkpoint->description(),
            "other, 1 MoE layers of 2 experts (1 chosen), hidden 2, "
            "intermediate 2, shared 3, F32");
  const MoELayer &layer = checkpoint->layers()[0];
  EXPECT_EQ(layer.score, RouterScore::Sigmoid);
  EXPECT_EQ(layer.scale, 2.5);
  EXPECT_EQ(layer.activation, "relu");
  ASSERT_TRUE(layer.shared);
  EXPECT_EQ(layer.shared->intermediate, 3);
  EXPECT_TRUE(layer.shared->gated);
  EXPECT_EQ(layer.shared->downType, ElementType::F32);
  // Shared experts are not routed to.
  EXPECT_EQ(checkpoint->inExperts().parameters, 24u);
  EXPECT_EQ(checkpoint->total().parameters, 48u);
}

//===----------------------------------------------------------------------===//
// Values that are no numbers
//===----------------------------------------------------------------------===//

TEST(CheckpointSource, findsWhatIsNotFinite) {
  struct Case {
    ElementType type;
    std::vector<uint8_t> bytes;
  };
  for (const Case &one : {Case{ElementType::F32, {0, 0, 0x80, 0x7F}},
                          Case{ElementType::F32, {1, 0, 0xC0, 0xFF}},
                          Case{ElementType::BF16, {0x80, 0xFF}},
                          Case{ElementType::BF16, {0xC1, 0x7F}},
                          Case{ElementType::F16, {0x00, 0x7C}},
                          Case{ElementType::F16, {0x01, 0xFE}}}) {
    TemporaryFolder folder;
    SyntheticCheckpoint model("mixtral", false, one.type);
    SyntheticTensor &tensor =
        model.tensor("model.layers.1.block_sparse_moe.experts.2.w3.weight");
    // Element [1, 4] of [3, 5].
    std::copy(one.bytes.begin(), one.bytes.end(),
              tensor.bytes.begin() + 9 * int64_t(one.bytes.size()));
    model.write(folder);
    EXPECT_TRUE(Checkpoint::open(folder.path));
    EXPECT_EQ(
        Checkpoint::open(folder.path, {.families = "", .checkFinite = true})
            .error(),
        folder.file("model.safetensors") +
            ": tensor 'model.layers.1.block_sparse_moe.experts.2.w3.weight': "
            "expected finite values, found NaN or infinity at [1, 4], in "
            "layers.1.up of expert 2");
  }
}

TEST(CheckpointSource, largestNumbersAreFinite) {
  TemporaryFolder folder;
  SyntheticCheckpoint model("mixtral");
  for (SyntheticTensor &tensor : model.tensors)
    for (size_t i = 0; i < tensor.bytes.size(); i += 2) {
      tensor.bytes[i] = 0x7F;
      tensor.bytes[i + 1] = 0xFF;
    }
  model.write(folder);
  EXPECT_TRUE(
      Checkpoint::open(folder.path, {.families = "", .checkFinite = true}));
  // Attention is not looked at.
  std::fill(model.tensors[1].bytes.begin(), model.tensors[1].bytes.end(), 0xFF);
  model.write(folder);
  EXPECT_TRUE(
      Checkpoint::open(folder.path, {.families = "", .checkFinite = true}));
}

TEST_F(OtherLayouts, namesTheRoleOfWhatIsNotFinite) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  auto at = [&](size_t place) {
    std::vector<float> values = count(16);
    values[place] = nan;
    return values;
  };
  std::string file =
      folder.file("model.safetensors") +
      ": tensor '0.gu': expected finite values, found NaN or infinity at ";
  write(inOut, gateUp, "", {2, 2, 4}, at(13));
  EXPECT_EQ(notFinite(), file + "[1, 1, 1], in layers.0.gate of expert 1");
  write(inOut, gateUp, "", {2, 2, 4}, at(14));
  EXPECT_EQ(notFinite(), file + "[1, 1, 2], in layers.0.up of expert 1");
  write(inOut, gateUp, interleaved, {2, 2, 4}, at(13));
  EXPECT_EQ(notFinite(), file + "[1, 1, 1], in layers.0.up of expert 1");
  write(outIn, gateUp, "", {2, 4, 2}, at(3));
  EXPECT_EQ(notFinite(), file + "[0, 1, 1], in layers.0.gate of expert 0");
  write(outIn, gateUp, "", {2, 4, 2}, at(4));
  EXPECT_EQ(notFinite(), file + "[0, 2, 0], in layers.0.up of expert 0");

  write(inOut, gateUp, "", {2, 2, 4}, count(16));
  std::memcpy(tensors[0].bytes.data() + 8, &nan, 4);
  writeFile();
  EXPECT_EQ(notFinite(), folder.file("model.safetensors") +
                             ": tensor '0.r': expected finite values, found "
                             "NaN or infinity at [1, 0], in layers.0.router "
                             "of expert 0");
}

} // namespace
