// What config.json says about the MoE layers of a model of a known family.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_FRONTEND_MODELCONFIG_H
#define MOEC_FRONTEND_MODELCONFIG_H

#include "frontend/Family.h"
#include "weights/Json.h"
#include "weights/Result.h"

#include <cstdint>
#include <string>
#include <vector>

namespace moec::frontend {

/// Largest numbers a config may state, far above any model's: what is read
/// later may rely on their products.
inline constexpr int64_t mostLayers = 1 << 12;
inline constexpr int64_t mostWidth = 1 << 24;
inline constexpr int64_t mostExperts = 1 << 16;
inline constexpr int64_t mostExpertsOfAllLayers = 1 << 20;

/// Sizes and router of a model; all its MoE layers have the same.
struct ModelConfig {
  int64_t layers = 0;
  /// Ascending; at least one.
  std::vector<int64_t> moeLayers;
  int64_t hidden = 0;
  int64_t intermediate = 0;
  int64_t experts = 0;
  int64_t choices = 0;
  /// 0 without shared experts.
  int64_t sharedIntermediate = 0;
  bool normalise = false;
  double scale = 1;
  /// As moec names activations.
  std::string activation;
};

/// `name` stands in messages.
weights::Result<ModelConfig> readModelConfig(const std::string &name,
                                             const weights::JsonValue &config,
                                             const Family &family);

} // namespace moec::frontend

#endif // MOEC_FRONTEND_MODELCONFIG_H
