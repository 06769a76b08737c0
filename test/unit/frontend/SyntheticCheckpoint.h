// Small checkpoints of every family and layout, with values known in advance.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
//
// The names are those of the models on the hub and of transformers, written
// down apart from the family files that are tested against them.
#ifndef MOEC_TEST_UNIT_FRONTEND_SYNTHETICCHECKPOINT_H
#define MOEC_TEST_UNIT_FRONTEND_SYNTHETICCHECKPOINT_H

#include "test/unit/TemporaryFolder.h"
#include "weights/FloatFormats.h"
#include "weights/Safetensors.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <string>
#include <vector>

namespace moec::test {

struct SyntheticTensor {
  std::string name;
  weights::ElementType type;
  std::vector<int64_t> shape;
  std::vector<uint8_t> bytes;
};

/// Element [in, out] of an expert's matrix, exact in bf16 and f16.
inline float syntheticValue(int64_t layer, const std::string &role,
                            int64_t expert, int64_t in, int64_t out) {
  uint32_t hash = uint32_t(layer) * 7919 + uint32_t(expert) * 613 +
                  uint32_t(in) * 131 + uint32_t(out) * 31 +
                  uint32_t(role[0]) * 17;
  hash ^= hash >> 7;
  return float(int(hash % 255) - 127) / 64.0f;
}

inline void appendValue(std::vector<uint8_t> &bytes, weights::ElementType type,
                        float value) {
  uint32_t bits;
  size_t size = 2;
  if (type == weights::ElementType::BF16) {
    bits = weights::floatToBF16(value);
  } else if (type == weights::ElementType::F16) {
    bits = weights::floatToF16(value);
  } else {
    std::memcpy(&bits, &value, 4);
    size = 4;
  }
  for (size_t i = 0; i < size; ++i)
    bytes.push_back(uint8_t(bits >> (8 * i)));
}

class SyntheticCheckpoint {
public:
  /// family: "mixtral", "qwen3_moe" or "olmoe". Stacked is how transformers
  /// holds experts in memory. Layer 1 of a qwen3_moe is dense.
  explicit SyntheticCheckpoint(
      const std::string &family, bool isStacked = false,
      weights::ElementType type = weights::ElementType::BF16,
      int64_t layers = 3)
      : type(type) {
    bool isMixtral = family == "mixtral";
    config = {
        {"architectures", isMixtral               ? R"(["MixtralForCausalLM"])"
                          : family == "qwen3_moe" ? R"(["Qwen3MoeForCausalLM"])"
                                                  : R"(["OlmoeForCausalLM"])"},
        {"model_type", '"' + family + '"'},
        {"num_hidden_layers", std::to_string(layers)},
        {"hidden_size", std::to_string(hidden)},
        {family == "qwen3_moe" ? "moe_intermediate_size" : "intermediate_size",
         std::to_string(intermediate)},
        {isMixtral ? "num_local_experts" : "num_experts",
         std::to_string(experts)},
        {"num_experts_per_tok", "2"},
        {"hidden_act", "\"silu\""},
        {"rope_theta", "1e6"},
    };
    if (family == "qwen3_moe") {
      config["mlp_only_layers"] = "[1]";
      config["decoder_sparse_step"] = "1";
      config["intermediate_size"] = "16";
      config["norm_topk_prob"] = "true";
    }
    add("model.embed_tokens.weight", {16, hidden},
        [](int64_t i) { return float(i % 5); });
    for (int64_t layer = 0; layer < layers; ++layer) {
      std::string prefix = "model.layers." + std::to_string(layer) + ".";
      add(prefix + "self_attn.q_proj.weight", {hidden, hidden},
          [](int64_t i) { return float(i % 7); });
      if (family == "qwen3_moe" && layer == 1) {
        add(prefix + "mlp.gate_proj.weight", {16, hidden},
            [](int64_t i) { return float(i % 3); });
        continue;
      }
      moeLayers.push_back(layer);
      addLayer(layer,
               prefix +
                   (isMixtral && !isStacked ? "block_sparse_moe." : "mlp."),
               isStacked, isMixtral);
    }
  }

  static constexpr int64_t hidden = 5, intermediate = 3, experts = 4;

  weights::ElementType type;
  std::map<std::string, std::string> config;
  std::vector<SyntheticTensor> tensors;
  std::vector<int64_t> moeLayers;

  SyntheticTensor &tensor(const std::string &name) {
    for (SyntheticTensor &tensor : tensors)
      if (tensor.name == name)
        return tensor;
    ADD_FAILURE() << "no tensor " << name;
    return tensors.front();
  }

  void remove(const std::string &name) {
    std::erase_if(tensors, [&](const auto &t) { return t.name == name; });
  }

  template <typename Value>
  void add(const std::string &name, std::vector<int64_t> shape, Value value) {
    SyntheticTensor tensor{name, type, std::move(shape), {}};
    int64_t count = *weights::elementCount(tensor.shape);
    for (int64_t i = 0; i < count; ++i)
      appendValue(tensor.bytes, type, value(i));
    tensors.push_back(std::move(tensor));
  }

  std::string configText() const {
    std::string text;
    for (const auto &[key, value] : config)
      text += (text.empty() ? "{\n" : ",\n") + ('"' + key + "\": ") + value;
    return text + "\n}\n";
  }

  /// config.json and model.safetensors.
  void write(const TemporaryFolder &folder) const {
    folder.write("config.json", configText());
    writeTensors(folder.file("model.safetensors"), tensors);
  }

  /// config.json, shards that take tensors in turn, and their index.
  void writeShards(const TemporaryFolder &folder, size_t count) const {
    folder.write("config.json", configText());
    std::string map;
    std::vector<std::vector<SyntheticTensor>> shards(count);
    for (size_t i = 0; i < tensors.size(); ++i) {
      shards[i % count].push_back(tensors[i]);
      map += (map.empty() ? "" : ", ") + ('"' + tensors[i].name + "\": \"") +
             shardName(i % count) + '"';
    }
    for (size_t i = 0; i < count; ++i)
      writeTensors(folder.file(shardName(i)), shards[i]);
    folder.write("model.safetensors.index.json",
                 R"({"metadata": {"total_size": 1}, "weight_map": {)" + map +
                     "}}");
  }

  static std::string shardName(size_t number) {
    return "model-" + std::to_string(number) + ".safetensors";
  }

  static void writeTensors(const std::string &path,
                           const std::vector<SyntheticTensor> &tensors) {
    std::vector<weights::TensorToWrite> parts;
    for (const SyntheticTensor &tensor : tensors)
      parts.push_back({tensor.name, tensor.type, tensor.shape, tensor.bytes});
    weights::Status status = weights::writeSafetensors(path, parts);
    ASSERT_TRUE(status) << status.error();
  }

private:
  /// A torch.nn.Linear keeps [out, in].
  void addLayer(int64_t layer, const std::string &block, bool isStacked,
                bool isMixtral) {
    auto linear = [&](const std::string &role, int64_t expert, int64_t in) {
      return [=](int64_t i) {
        return syntheticValue(layer, role, expert, i % in, i / in);
      };
    };
    add(block + "gate.weight", {experts, hidden}, linear("router", 0, hidden));
    if (isStacked) {
      int64_t half = intermediate * hidden;
      add(block + "experts.gate_up_proj", {experts, 2 * intermediate, hidden},
          [=](int64_t i) {
            int64_t inExpert = i % (2 * half);
            return linear(inExpert < half ? "gate" : "up", i / (2 * half),
                          hidden)(inExpert % half);
          });
      add(block + "experts.down_proj", {experts, hidden, intermediate},
          [=](int64_t i) {
            return linear("down", i / half, intermediate)(i % half);
          });
      return;
    }
    for (int64_t expert = 0; expert < experts; ++expert) {
      std::string prefix = block + "experts." + std::to_string(expert) + ".";
      add(prefix + (isMixtral ? "w1" : "gate_proj") + ".weight",
          {intermediate, hidden}, linear("gate", expert, hidden));
      add(prefix + (isMixtral ? "w2" : "down_proj") + ".weight",
          {hidden, intermediate}, linear("down", expert, intermediate));
      add(prefix + (isMixtral ? "w3" : "up_proj") + ".weight",
          {intermediate, hidden}, linear("up", expert, hidden));
    }
  }
};

} // namespace moec::test

#endif // MOEC_TEST_UNIT_FRONTEND_SYNTHETICCHECKPOINT_H
