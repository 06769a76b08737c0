// What config.json says about the MoE layers of a model of a known family.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "frontend/ModelConfig.h"

#include <algorithm>

namespace moec::frontend {

using weights::Error;
using weights::JsonValue;
using weights::Result;

namespace {

/// hidden_act as transformers names it, and the same function's name here.
constexpr std::pair<std::string_view, std::string_view> activations[] = {
    {"silu", "silu"},
    {"swish", "silu"},
    {"gelu", "gelu"},
    {"gelu_new", "gelu_tanh"},
    {"gelu_pytorch_tanh", "gelu_tanh"},
    {"relu", "relu"},
    {"relu2", "relu2"},
    {"tanh", "tanh"},
};

/// Reads values of a config; every function returns false once the error is
/// set.
class ConfigReader {
public:
  ConfigReader(const std::string &file, const JsonValue &config)
      : file(file), config(config) {}

  std::string error;

  bool read(const Family &family, ModelConfig &result);

private:
  bool fail(const std::string &expected, const std::string &found) {
    error = file + ": expected " + expected + ", found " + found;
    return false;
  }

  /// The value, and what to call it in messages; null if the error is set.
  const JsonValue *find(const FamilyValue &value, std::string_view what,
                        std::string &label);
  bool integer(const FamilyValue &value, std::string_view what, int64_t least,
               int64_t most, int64_t &result);
  bool readMoELayers(const Family &family, ModelConfig &result);
  bool readRouter(const Family &family, ModelConfig &result);

  const std::string &file;
  const JsonValue &config;
};

const JsonValue *ConfigReader::find(const FamilyValue &value,
                                    std::string_view what, std::string &label) {
  const JsonValue *found = nullptr;
  for (const std::string &key : value.keys) {
    // transformers writes null for what is not set.
    const JsonValue *candidate = config.member(key);
    if (!candidate || candidate->kind == JsonValue::Kind::Null)
      continue;
    if (found && describe(*found) != describe(*candidate)) {
      fail(label + " and " + key + " to agree",
           describe(*found) + " and " + describe(*candidate));
      return nullptr;
    }
    if (!found)
      label = key;
    found = candidate;
  }
  if (found)
    return found;
  label = value.keys.empty() ? "the family's " + std::string(what)
                             : value.keys.front();
  if (!value.otherwise) {
    fail("the key " + label, "none of that name");
    return nullptr;
  }
  return &*value.otherwise;
}

bool ConfigReader::integer(const FamilyValue &value, std::string_view what,
                           int64_t least, int64_t most, int64_t &result) {
  std::string label;
  const JsonValue *found = find(value, what, label);
  if (!found)
    return false;
  if (found->kind != JsonValue::Kind::Integer || found->integer < least ||
      found->integer > most)
    return fail(label + " to be an integer from " + std::to_string(least) +
                    " to " + std::to_string(most),
                describe(*found));
  result = found->integer;
  return true;
}

bool ConfigReader::readMoELayers(const Family &family, ModelConfig &result) {
  int64_t step = 1;
  std::string label;
  if (!integer(family.step, "step of MoE layers", 1, mostLayers, step))
    return false;
  const JsonValue *dense = find(family.dense, "dense layers", label);
  if (!dense)
    return false;
  if (dense->kind != JsonValue::Kind::Array)
    return fail(label + " to be an array of layers", describe(*dense));
  std::vector<bool> isMoE(size_t(result.layers), false);
  for (int64_t layer = step - 1; layer < result.layers; layer += step)
    isMoE[size_t(layer)] = true;
  for (const JsonValue &item : dense->items) {
    if (item.kind != JsonValue::Kind::Integer || item.integer < 0 ||
        item.integer >= result.layers)
      return fail(label + " to hold layers from 0 to " +
                      std::to_string(result.layers - 1),
                  describe(item));
    isMoE[size_t(item.integer)] = false;
  }
  for (int64_t layer = 0; layer < result.layers; ++layer)
    if (isMoE[size_t(layer)])
      result.moeLayers.push_back(layer);
  if (result.moeLayers.empty())
    return fail("an MoE layer among " + std::to_string(result.layers),
                "none: a step of " + std::to_string(step) + " and " +
                    std::to_string(dense->items.size()) + " dense layers");
  return true;
}

bool ConfigReader::readRouter(const Family &family, ModelConfig &result) {
  std::string label;
  const JsonValue *found = find(family.normalise, "normalise", label);
  if (!found)
    return false;
  if (found->kind != JsonValue::Kind::Boolean)
    return fail(label + " to be true or false", describe(*found));
  result.normalise = found->boolean;

  found = find(family.scale, "scale", label);
  if (!found)
    return false;
  result.scale = found->kind == JsonValue::Kind::Integer
                     ? double(found->integer)
                     : found->real;
  if (!(result.scale > 0 && result.scale <= 1e6))
    return fail(label + " to be a number above 0 and up to 1000000",
                describe(*found));
  return true;
}

/// Whether weights are said to be in bitsandbytes' nf4, as far as they are in 4
/// bits: each of them says so itself.
static bool isNf4(const JsonValue &config) {
  auto says = [&](std::string_view key, std::string_view word) {
    const JsonValue *value = config.member(key);
    return value && value->kind == JsonValue::Kind::String &&
           value->string == word;
  };
  const JsonValue *isIn4Bits = config.member("load_in_4bit");
  return says("quant_method", "bitsandbytes") &&
         says("bnb_4bit_quant_type", "nf4") && isIn4Bits && isIn4Bits->boolean;
}

bool ConfigReader::read(const Family &family, ModelConfig &result) {
  const JsonValue *quantised = config.member("quantization_config");
  if (quantised && quantised->kind != JsonValue::Kind::Null &&
      !isNf4(*quantised))
    return fail("weights in F32, BF16 or F16 without quantization_config, or "
                "one of bitsandbytes' nf4",
                describe(*quantised) + " under that key");
  if (!integer(family.layers, "layers", 1, mostLayers, result.layers) ||
      !integer(family.hidden, "hidden", 1, mostWidth, result.hidden) ||
      !integer(family.intermediate, "intermediate", 1, mostWidth,
               result.intermediate) ||
      !integer(family.experts, "experts", 1, mostExperts, result.experts) ||
      !integer(family.choices, "choices", 1, result.experts, result.choices))
    return false;
  if (family.sharedIntermediate &&
      !integer(*family.sharedIntermediate, "shared_intermediate", 1, mostWidth,
               result.sharedIntermediate))
    return false;
  if (!readMoELayers(family, result) || !readRouter(family, result))
    return false;
  int64_t all = int64_t(result.moeLayers.size()) * result.experts;
  if (all > mostExpertsOfAllLayers)
    return fail("at most " + std::to_string(mostExpertsOfAllLayers) +
                    " experts in all layers",
                std::to_string(all));

  std::string label;
  const JsonValue *activation = find(family.activation, "activation", label);
  if (!activation)
    return false;
  std::string known;
  for (const auto &[theirs, ours] : activations) {
    if (activation->kind == JsonValue::Kind::String &&
        activation->string == theirs) {
      result.activation = ours;
      return true;
    }
    known += (known.empty() ? "" : ", ") + std::string(theirs);
  }
  return fail(label + " to be one of " + known, describe(*activation));
}

} // namespace

Result<ModelConfig> readModelConfig(const std::string &name,
                                    const JsonValue &config,
                                    const Family &family) {
  ModelConfig result;
  ConfigReader reader(name, config);
  if (!reader.read(family, result))
    return Error{reader.error};
  return result;
}

} // namespace moec::frontend
