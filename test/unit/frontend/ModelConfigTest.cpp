// Tests of what configs say about MoE layers.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "frontend/ModelConfig.h"

#include <gtest/gtest.h>

#include <map>

using namespace moec::frontend;
using moec::weights::JsonValue;
using moec::weights::parseJson;
using moec::weights::Result;

namespace {

const std::map<std::string, std::string> plain = {
    {"num_hidden_layers", "6"},     {"hidden_size", "8"},
    {"moe_intermediate_size", "4"}, {"num_experts", "16"},
    {"num_experts_per_tok", "2"},
};

/// The config of a family that came with the program, with some keys set and,
/// where the value is empty, removed.
Result<ModelConfig> read(const std::map<std::string, std::string> &changes,
                         const std::string &family = "qwen3_moe") {
  static Result<std::vector<Family>> families =
      loadFamilies(*installedFamilies());
  std::map<std::string, std::string> all = plain;
  if (family != "qwen3_moe")
    all["intermediate_size"] = "4";
  for (const auto &[key, value] : changes)
    all[key] = value;
  std::string text;
  for (const auto &[key, value] : all)
    if (!value.empty())
      text += (text.empty() ? "{" : ", ") + ('"' + key + "\": ") + value;
  Result<JsonValue> json = parseJson("config.json", text + "}");
  EXPECT_TRUE(json) << json.error();
  for (const Family &candidate : *families)
    if (candidate.name == family)
      return readModelConfig("config.json", *json, candidate);
  return moec::weights::Error{"no such family"};
}

std::string refusal(const std::map<std::string, std::string> &changes) {
  Result<ModelConfig> config = read(changes);
  EXPECT_FALSE(config);
  return config.error();
}

TEST(ModelConfig, readsSizesAndDefaults) {
  Result<ModelConfig> config = read({});
  ASSERT_TRUE(config) << config.error();
  EXPECT_EQ(config->layers, 6);
  EXPECT_EQ(config->moeLayers, (std::vector<int64_t>{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(config->hidden, 8);
  EXPECT_EQ(config->intermediate, 4);
  EXPECT_EQ(config->experts, 16);
  EXPECT_EQ(config->choices, 2);
  EXPECT_EQ(config->sharedIntermediate, 0);
  EXPECT_FALSE(config->normalise);
  EXPECT_EQ(config->scale, 1);
  EXPECT_EQ(config->activation, "silu");
}

TEST(ModelConfig, normalisesAsTheFamiliesDo) {
  EXPECT_TRUE(read({}, "mixtral")->normalise);
  // Mixtral has no such key; transformers does not look at it.
  EXPECT_TRUE(read({{"norm_topk_prob", "false"}}, "mixtral")->normalise);
  EXPECT_FALSE(read({}, "olmoe")->normalise);
  EXPECT_TRUE(read({{"norm_topk_prob", "true"}}, "olmoe")->normalise);
  EXPECT_TRUE(read({{"norm_topk_prob", "true"}})->normalise);
  EXPECT_FALSE(read({{"norm_topk_prob", "null"}})->normalise);
  EXPECT_EQ(refusal({{"norm_topk_prob", "1"}}),
            "config.json: expected norm_topk_prob to be true or false, found "
            "1");
}

TEST(ModelConfig, knowsWhichLayersAreMoE) {
  EXPECT_EQ(read({{"decoder_sparse_step", "2"}})->moeLayers,
            (std::vector<int64_t>{1, 3, 5}));
  EXPECT_EQ(read({{"decoder_sparse_step", "4"}})->moeLayers,
            std::vector<int64_t>{3});
  EXPECT_EQ(read({{"mlp_only_layers", "[0, 5, 0]"}})->moeLayers,
            (std::vector<int64_t>{1, 2, 3, 4}));
  EXPECT_EQ(read({{"decoder_sparse_step", "2"}, {"mlp_only_layers", "[3]"}})
                ->moeLayers,
            (std::vector<int64_t>{1, 5}));
  EXPECT_EQ(refusal({{"decoder_sparse_step", "7"}}),
            "config.json: expected an MoE layer among 6, found none: a step of "
            "7 and 0 dense layers");
  EXPECT_EQ(refusal({{"decoder_sparse_step", "0"}}),
            "config.json: expected decoder_sparse_step to be an integer from 1 "
            "to 4096, found 0");
  EXPECT_EQ(refusal({{"mlp_only_layers", "3"}}),
            "config.json: expected mlp_only_layers to be an array of layers, "
            "found 3");
  EXPECT_EQ(refusal({{"mlp_only_layers", "[6]"}}),
            "config.json: expected mlp_only_layers to hold layers from 0 to 5, "
            "found 6");
  EXPECT_EQ(refusal({{"mlp_only_layers", "[-1]"}}),
            "config.json: expected mlp_only_layers to hold layers from 0 to 5, "
            "found -1");
}

TEST(ModelConfig, refusesAbsurdNumbers) {
  EXPECT_EQ(refusal({{"hidden_size", "0"}}),
            "config.json: expected hidden_size to be an integer from 1 to "
            "16777216, found 0");
  EXPECT_EQ(refusal({{"hidden_size", "16777217"}}),
            "config.json: expected hidden_size to be an integer from 1 to "
            "16777216, found 16777217");
  EXPECT_TRUE(read({{"hidden_size", "16777216"}}));
  EXPECT_EQ(refusal({{"hidden_size", "8.0"}}),
            "config.json: expected hidden_size to be an integer from 1 to "
            "16777216, found 8");
  EXPECT_EQ(refusal({{"moe_intermediate_size", "-4"}}),
            "config.json: expected moe_intermediate_size to be an integer from "
            "1 to 16777216, found -4");
  EXPECT_EQ(refusal({{"num_hidden_layers", "4097"}}),
            "config.json: expected num_hidden_layers to be an integer from 1 "
            "to 4096, found 4097");
  EXPECT_EQ(refusal({{"num_experts", "65537"}}),
            "config.json: expected num_experts to be an integer from 1 to "
            "65536, found 65537");
  EXPECT_EQ(refusal({{"num_experts", "65536"}, {"num_hidden_layers", "17"}}),
            "config.json: expected at most 1048576 experts in all layers, "
            "found 1114112");
  EXPECT_TRUE(read({{"num_experts", "65536"}, {"num_hidden_layers", "16"}}));
  EXPECT_EQ(refusal({{"num_experts_per_tok", "17"}}),
            "config.json: expected num_experts_per_tok to be an integer from 1 "
            "to 16, found 17");
  EXPECT_EQ(refusal({{"num_experts_per_tok", "\"2\""}}),
            "config.json: expected num_experts_per_tok to be an integer from 1 "
            "to 16, found the string '2'");
}

TEST(ModelConfig, refusesWhatIsMissing) {
  EXPECT_EQ(refusal({{"hidden_size", ""}}),
            "config.json: expected the key hidden_size, found none of that "
            "name");
  EXPECT_EQ(refusal({{"num_experts", "null"}}),
            "config.json: expected the key num_experts, found none of that "
            "name");
}

TEST(ModelConfig, takesEitherNameOfAKey) {
  EXPECT_EQ(read({{"num_experts", ""}, {"num_local_experts", "8"}})->experts,
            8);
  EXPECT_EQ(read({{"num_local_experts", "16"}})->experts, 16);
  EXPECT_EQ(refusal({{"num_local_experts", "8"}}),
            "config.json: expected num_experts and num_local_experts to agree, "
            "found 16 and 8");
}

TEST(ModelConfig, namesActivationsAsMoecDoes) {
  EXPECT_EQ(read({{"hidden_act", "\"swish\""}})->activation, "silu");
  EXPECT_EQ(read({{"hidden_act", "\"gelu_pytorch_tanh\""}})->activation,
            "gelu_tanh");
  EXPECT_EQ(refusal({{"hidden_act", "\"mish\""}}),
            "config.json: expected hidden_act to be one of silu, swish, gelu, "
            "gelu_new, gelu_pytorch_tanh, relu, relu2, tanh, found the string "
            "'mish'");
}

TEST(ModelConfig, refusesQuantisedWeights) {
  EXPECT_EQ(refusal({{"quantization_config", R"({"quant_method": "fp8"})"}}),
            "config.json: expected weights in F32, BF16 or F16 without "
            "quantization_config, or one of bitsandbytes' nf4, found an object "
            "of 1 under that key");
  EXPECT_TRUE(read({{"quantization_config",
                     R"({"quant_method": "bitsandbytes", "load_in_4bit": true,
                         "bnb_4bit_quant_type": "nf4"})"}}));
  EXPECT_FALSE(read({{"quantization_config",
                      R"({"quant_method": "bitsandbytes", "load_in_4bit": false,
                          "bnb_4bit_quant_type": "nf4"})"}}));
  EXPECT_FALSE(read({{"quantization_config",
                      R"({"quant_method": "bitsandbytes", "load_in_4bit": true,
                          "bnb_4bit_quant_type": "fp4"})"}}));
  EXPECT_TRUE(read({{"quantization_config", "null"}}));
}

TEST(ModelConfig, readsScalesAndSharedExperts) {
  static Result<std::vector<Family>> families =
      loadFamilies(*installedFamilies());
  Family family = families->back();
  family.scale.keys = {"scaling"};
  family.sharedIntermediate.emplace().keys = {"shared"};
  auto readText = [&](const std::string &more) {
    Result<JsonValue> json = parseJson(
        "config.json",
        R"({"num_hidden_layers": 6, "hidden_size": 8, "num_experts": 16,
            "moe_intermediate_size": 4, "num_experts_per_tok": 2, )" +
            more + "}");
    return readModelConfig("config.json", *json, family);
  };
  Result<ModelConfig> config = readText(R"("scaling": 2.5, "shared": 6)");
  ASSERT_TRUE(config) << config.error();
  EXPECT_EQ(config->scale, 2.5);
  EXPECT_EQ(config->sharedIntermediate, 6);
  EXPECT_EQ(readText(R"("scaling": 3, "shared": 6)")->scale, 3);
  for (const char *wrong : {"0", "-1.5", "1e7", "true"})
    EXPECT_EQ(readText(R"("shared": 6, "scaling": )" + std::string(wrong))
                  .error()
                  .substr(0, 70),
              "config.json: expected scaling to be a number above 0 and up to "
              "1000000");
  EXPECT_EQ(readText(R"("shared": 0)").error(),
            "config.json: expected shared to be an integer from 1 to 16777216, "
            "found 0");
  family.scale.otherwise->kind = JsonValue::Kind::String;
  family.scale.keys.clear();
  EXPECT_EQ(readText(R"("shared": 6)").error(),
            "config.json: expected the family's scale to be a number above 0 "
            "and up to 1000000, found the string ''");
}

} // namespace
