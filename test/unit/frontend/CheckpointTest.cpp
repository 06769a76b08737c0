// Tests of opening checkpoints.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "frontend/Checkpoint.h"

#include "test/unit/frontend/SyntheticCheckpoint.h"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

using namespace moec::frontend;
using namespace moec::test;
using moec::weights::ElementType;
using moec::weights::Hash128;
using moec::weights::Result;

namespace {

/// What is wrong with a checkpoint, without the path of its folder.
std::string refusal(const SyntheticCheckpoint &model, size_t shards = 0) {
  TemporaryFolder folder;
  if (shards == 0)
    model.write(folder);
  else
    model.writeShards(folder, shards);
  Result<Checkpoint> checkpoint = Checkpoint::open(folder.path);
  EXPECT_FALSE(checkpoint);
  std::string text = checkpoint.error();
  for (size_t place; (place = text.find(folder.path)) != std::string::npos;)
    text.replace(place, folder.path.size(), "DIR");
  return text;
}

TEST(Checkpoint, describesEveryFamilyAndLayout) {
  struct Expected {
    const char *family;
    bool normalise;
    std::vector<int64_t> layers;
  };
  for (const Expected &expected : {Expected{"mixtral", true, {0, 1, 2}},
                                   Expected{"qwen3_moe", true, {0, 2}},
                                   Expected{"olmoe", false, {0, 1, 2}}}) {
    for (bool isStacked : {false, true}) {
      for (size_t shards : {0, 1, 3}) {
        SCOPED_TRACE(std::string(expected.family) +
                     (isStacked ? " stacked" : "") + " in " +
                     std::to_string(shards) + " shards");
        TemporaryFolder folder;
        SyntheticCheckpoint model(expected.family, isStacked);
        shards ? model.writeShards(folder, shards) : model.write(folder);
        Result<Checkpoint> checkpoint = Checkpoint::open(
            folder.path, {.families = "", .checkFinite = true});
        ASSERT_TRUE(checkpoint) << checkpoint.error();
        EXPECT_EQ(checkpoint->directory(), folder.path);
        EXPECT_EQ(checkpoint->family(), expected.family);
        EXPECT_EQ(checkpoint->description(),
                  std::string(expected.family) + ", " +
                      std::to_string(expected.layers.size()) +
                      " MoE layers of 4 experts (2 chosen), hidden 5, "
                      "intermediate 3, BF16");
        std::vector<int64_t> indices;
        for (const MoELayer &layer : checkpoint->layers()) {
          indices.push_back(layer.index);
          EXPECT_EQ(layer.hidden, 5);
          EXPECT_EQ(layer.intermediate, 3);
          EXPECT_EQ(layer.experts, 4);
          EXPECT_EQ(layer.choices, 2);
          EXPECT_EQ(layer.score, RouterScore::Softmax);
          EXPECT_EQ(layer.normalise, expected.normalise);
          EXPECT_EQ(layer.scale, 1);
          EXPECT_EQ(layer.activation, "silu");
          EXPECT_EQ(layer.routerType, ElementType::BF16);
          EXPECT_EQ(layer.gateType, ElementType::BF16);
          EXPECT_EQ(layer.upType, ElementType::BF16);
          EXPECT_EQ(layer.downType, ElementType::BF16);
          EXPECT_FALSE(layer.shared);
        }
        EXPECT_EQ(indices, expected.layers);

        uint64_t parameters = 0;
        for (const SyntheticTensor &tensor : model.tensors)
          parameters += tensor.bytes.size() / 2;
        EXPECT_EQ(checkpoint->total().parameters, parameters);
        EXPECT_EQ(checkpoint->total().bytes, 2 * parameters);
        uint64_t inExperts = expected.layers.size() * 4 * 3 * 5 * 3;
        EXPECT_EQ(checkpoint->inExperts().parameters, inExperts);
        EXPECT_EQ(checkpoint->inExperts().bytes, 2 * inExperts);
      }
    }
  }
}

TEST(Checkpoint, keepsTypesApart) {
  SyntheticCheckpoint model("olmoe", true, ElementType::F16);
  for (int layer = 0; layer < 3; ++layer) {
    SyntheticTensor &router = model.tensor(
        "model.layers." + std::to_string(layer) + ".mlp.gate.weight");
    router.type = ElementType::F32;
    router.bytes.resize(2 * router.bytes.size());
  }
  TemporaryFolder folder;
  model.write(folder);
  Result<Checkpoint> checkpoint = Checkpoint::open(folder.path);
  ASSERT_TRUE(checkpoint) << checkpoint.error();
  EXPECT_EQ(checkpoint->layers()[0].routerType, ElementType::F32);
  EXPECT_EQ(checkpoint->layers()[0].downType, ElementType::F16);
  EXPECT_TRUE(checkpoint->description().ends_with(", F16, F32"))
      << checkpoint->description();
}

TEST(Checkpoint, identityIsOfHeadersAndConfig) {
  auto hashes = [](const SyntheticCheckpoint &model, size_t shards = 0) {
    TemporaryFolder folder;
    shards ? model.writeShards(folder, shards) : model.write(folder);
    Result<Checkpoint> checkpoint = Checkpoint::open(folder.path);
    EXPECT_TRUE(checkpoint) << checkpoint.error();
    return std::pair(checkpoint->identity(), checkpoint->contentHash());
  };
  SyntheticCheckpoint model("mixtral");
  auto first = hashes(model);
  EXPECT_EQ(hashes(model), first);
  // Sharding moves data: another identity, the same content.
  EXPECT_NE(hashes(model, 2).first, first.first);
  EXPECT_NE(hashes(model, 2).first, hashes(model, 3).first);
  EXPECT_EQ(hashes(model, 2).second, first.second);
  // One shard differs from a single file by its name.
  EXPECT_NE(hashes(model, 1).first, first.first);
  EXPECT_EQ(hashes(model, 1).second, first.second);

  SyntheticCheckpoint other = model;
  other.tensors.back().bytes.back() ^= 1;
  EXPECT_EQ(hashes(other).first, first.first);
  EXPECT_NE(hashes(other).second, first.second);
  other = model;
  std::swap(other.tensors[1].name, other.tensors[2].name);
  std::swap(other.tensors[1].shape, other.tensors[2].shape);
  std::swap(other.tensors[1].bytes, other.tensors[2].bytes);
  EXPECT_NE(hashes(other).first, first.first);
  EXPECT_EQ(hashes(other).second, first.second);
  other = model;
  other.tensors[0].name += ".2";
  EXPECT_NE(hashes(other).first, first.first);
  EXPECT_NE(hashes(other).second, first.second);
  other = model;
  other.tensors[0].type = ElementType::F16;
  EXPECT_NE(hashes(other).first, first.first);
  EXPECT_NE(hashes(other).second, first.second);
  other = model;
  other.tensors[0].shape = {5, 16};
  EXPECT_NE(hashes(other).first, first.first);
  EXPECT_NE(hashes(other).second, first.second);
  other = model;
  other.config["rope_theta"] = "1e5";
  EXPECT_NE(hashes(other).first, first.first);
  EXPECT_NE(hashes(other).second, first.second);
}

TEST(Checkpoint, identityIsOfTheSizeOfFiles) {
  TemporaryFolder folder;
  SyntheticCheckpoint("mixtral").write(folder);
  Result<Checkpoint> plain = Checkpoint::open(folder.path);
  ASSERT_TRUE(plain) << plain.error();
  // Eight more blanks behind the header.
  std::ifstream stream(folder.file("model.safetensors"), std::ios::binary);
  std::string file{std::istreambuf_iterator<char>(stream), {}};
  uint64_t length;
  std::memcpy(&length, file.data(), 8);
  file.insert(8 + length, 8, ' ');
  length += 8;
  std::memcpy(file.data(), &length, 8);
  // Replaced, not rewritten: the old one is mapped.
  std::filesystem::rename(folder.write("other", file),
                          folder.file("model.safetensors"));
  Result<Checkpoint> padded = Checkpoint::open(folder.path);
  ASSERT_TRUE(padded) << padded.error();
  EXPECT_NE(padded->identity(), plain->identity());
  EXPECT_EQ(padded->contentHash(), plain->contentHash());
}

TEST(Checkpoint, refusesWhatIsNoCheckpoint) {
  TemporaryFolder folder;
  EXPECT_EQ(Checkpoint::open(folder.file("none")).error(),
            folder.file("none") +
                ": expected the directory of a checkpoint, found nothing");
  folder.write("file", "");
  EXPECT_EQ(Checkpoint::open(folder.file("file")).error(),
            folder.file("file") +
                ": expected the directory of a checkpoint, found a file");
  EXPECT_EQ(Checkpoint::open(folder.path).error(),
            folder.path + ": expected config.json in it, found none");
  folder.write("config.json", "{]");
  EXPECT_EQ(Checkpoint::open(folder.path).error(),
            folder.file("config.json") +
                ": expected JSON, found at byte 1: Missing a name for object "
                "member.");
  folder.write("config.json", R"({"a": 1, "a": 2})");
  EXPECT_EQ(Checkpoint::open(folder.path).error(),
            folder.file("config.json") +
                ": expected each key once, found 'a' twice");
  folder.write("config.json", R"({"model_type": "mixtrale"})");
  EXPECT_EQ(Checkpoint::open(folder.path).error(),
            folder.file("config.json") +
                ": expected a model of a known family (mixtral, olmoe, "
                "qwen3_moe), found 'mixtrale'; the nearest is mixtral");
  EXPECT_EQ(Checkpoint::open(folder.path, {.families = folder.file("none"),
                                           .checkFinite = false})
                .error(),
            folder.file("none") + ": expected a folder of family files, found "
                                  "none: No such file or directory");
  folder.write("config.json", SyntheticCheckpoint("olmoe").configText());
  EXPECT_EQ(Checkpoint::open(folder.path).error(),
            folder.path + ": expected model.safetensors or "
                          "model.safetensors.index.json, found neither");
}

TEST(Checkpoint, refusesSizesThatDisagree) {
  SyntheticCheckpoint model("mixtral");
  model.config["hidden_size"] = "6";
  EXPECT_EQ(refusal(model),
            "DIR/model.safetensors: tensor "
            "'model.layers.0.block_sparse_moe.gate.weight': expected shape [4, "
            "6], as config.json says, found [4, 5]");
  model.config["hidden_size"] = "4";
  EXPECT_TRUE(refusal(model).ends_with("gate.weight': expected shape [4, 4], "
                                       "as config.json says, found [4, 5]"));
  model.config["hidden_size"] = "-6";
  EXPECT_EQ(refusal(model), "DIR/config.json: expected hidden_size to be an "
                            "integer from 1 to 16777216, found -6");
  SyntheticCheckpoint stacked("mixtral", true);
  stacked.config["intermediate_size"] = "4";
  EXPECT_EQ(refusal(stacked, 2),
            "DIR/model-0.safetensors: tensor "
            "'model.layers.0.mlp.experts.down_proj': expected shape [4, 5, 4], "
            "as config.json says, found [4, 5, 3]");
  stacked.remove("model.layers.0.mlp.experts.down_proj");
  EXPECT_EQ(refusal(stacked),
            "DIR/model.safetensors: tensor "
            "'model.layers.0.mlp.experts.gate_up_proj': expected shape [4, 8, "
            "5], as config.json says, found [4, 6, 5]");
}

TEST(Checkpoint, refusesAnotherRank) {
  SyntheticCheckpoint model("mixtral");
  const std::string name = "model.layers.1.block_sparse_moe.gate.weight";
  model.tensor(name).shape = {4, 5, 1};
  EXPECT_EQ(refusal(model), "DIR/model.safetensors: tensor '" + name +
                                "': expected shape [4, 5], as config.json "
                                "says, found [4, 5, 1]");
  model.tensor(name).shape = {20};
  EXPECT_EQ(refusal(model), "DIR/model.safetensors: tensor '" + name +
                                "': expected shape [4, 5], as config.json "
                                "says, found [20]");
}

TEST(Checkpoint, refusesAnotherNumberOfExperts) {
  SyntheticCheckpoint model("olmoe");
  model.config["num_experts"] = "5";
  for (int layer = 0; layer < 3; ++layer)
    model.remove("model.layers." + std::to_string(layer) + ".mlp.gate.weight");
  EXPECT_EQ(refusal(model),
            "DIR: expected every tensor of 3 MoE layers of 5 experts, found "
            "none of 'model.layers.0.mlp.gate.weight', "
            "'model.layers.0.mlp.experts.4.gate_proj.weight', "
            "'model.layers.0.mlp.experts.4.up_proj.weight', "
            "'model.layers.0.mlp.experts.4.down_proj.weight' and 8 more");
  model.config["num_experts"] = "3";
  EXPECT_EQ(refusal(model),
            "DIR/model.safetensors: tensor "
            "'model.layers.0.mlp.experts.3.gate_proj.weight': expected 3 "
            "experts, as config.json says, found expert 3");
}

TEST(Checkpoint, refusesMissingTensors) {
  SyntheticCheckpoint model("qwen3_moe");
  model.remove("model.layers.2.mlp.experts.1.up_proj.weight");
  EXPECT_EQ(refusal(model, 2),
            "DIR: expected every tensor of 2 MoE layers of 4 experts, found "
            "none of 'model.layers.2.mlp.experts.1.up_proj.weight'");
  SyntheticCheckpoint empty("mixtral");
  std::erase_if(empty.tensors, [](const SyntheticTensor &tensor) {
    return tensor.name.find("moe") != std::string::npos;
  });
  EXPECT_EQ(refusal(empty),
            "DIR: expected tensors of MoE blocks of mixtral, such as "
            "'model.layers.0.block_sparse_moe.gate.weight' or "
            "'model.layers.0.mlp.gate.weight', found none among 4");
}

TEST(Checkpoint, refusesUnknownTensorsInMoEBlocks) {
  SyntheticCheckpoint model("qwen3_moe");
  auto one = [](int64_t) { return 1.0f; };
  // Other blocks are not looked at, and a dense layer's go by the same name.
  model.add("model.layers.1.mlp.what.weight", {1}, one);
  model.add("model.layers.0.self_attn.what.weight", {1}, one);
  model.add("lm_head.weight", {1}, one);
  {
    TemporaryFolder folder;
    model.write(folder);
    EXPECT_TRUE(Checkpoint::open(folder.path));
  }
  model.add("model.layers.0.mlp.gate.bias", {4}, one);
  EXPECT_EQ(refusal(model),
            "DIR: expected only gate.weight, "
            "experts.{expert}.gate_proj.weight, "
            "experts.{expert}.up_proj.weight, "
            "experts.{expert}.down_proj.weight in the MoE blocks of qwen3_moe, "
            "found 'model.layers.0.mlp.gate.bias'");
  for (int i = 0; i < 5; ++i)
    model.add("model.layers.2.mlp.experts.01.x" + std::to_string(i), {1}, one);
  EXPECT_TRUE(refusal(model).ends_with(
      "found 'model.layers.0.mlp.gate.bias', "
      "'model.layers.2.mlp.experts.01.x0', 'model.layers.2.mlp.experts.01.x1', "
      "'model.layers.2.mlp.experts.01.x2' and 2 more"));
}

TEST(Checkpoint, refusesMoEBlocksInDenseLayers) {
  SyntheticCheckpoint model("qwen3_moe");
  model.add("model.layers.1.mlp.gate.weight", {4, 5},
            [](int64_t) { return 0.f; });
  EXPECT_EQ(refusal(model),
            "DIR/model.safetensors: tensor 'model.layers.1.mlp.gate.weight': "
            "expected MoE blocks only in the layers that config.json says (2 "
            "of 3), found layer 1");
  SyntheticCheckpoint more("mixtral");
  more.config["num_hidden_layers"] = "2";
  EXPECT_EQ(refusal(more),
            "DIR/model.safetensors: tensor "
            "'model.layers.2.block_sparse_moe.gate.weight': expected MoE "
            "blocks only in the layers that config.json says (2 of 2), found "
            "layer 2");
}

TEST(Checkpoint, refusesOtherElementTypes) {
  SyntheticCheckpoint model("mixtral");
  model.tensor("model.layers.1.block_sparse_moe.gate.weight").type =
      ElementType::I16;
  EXPECT_EQ(refusal(model),
            "DIR/model.safetensors: tensor "
            "'model.layers.1.block_sparse_moe.gate.weight': expected F32, BF16 "
            "or F16, found I16");
  model = SyntheticCheckpoint("mixtral");
  model.tensor("model.layers.1.block_sparse_moe.experts.2.w3.weight").type =
      ElementType::F16;
  EXPECT_EQ(refusal(model),
            "DIR/model.safetensors: tensor "
            "'model.layers.1.block_sparse_moe.experts.2.w3.weight': expected "
            "BF16 as 'model.layers.1.block_sparse_moe.experts.0.w3.weight' "
            "has, found F16");
}

TEST(Checkpoint, refusesShardsThatDoNotHoldTogether) {
  SyntheticCheckpoint model("mixtral");
  TemporaryFolder folder;
  model.writeShards(folder, 2);
  folder.write(SyntheticCheckpoint::shardName(1), "");
  EXPECT_EQ(Checkpoint::open(folder.path).error(),
            folder.file(SyntheticCheckpoint::shardName(1)) +
                ": expected a safetensors file of at least 8 bytes, found 0");
}

} // namespace
