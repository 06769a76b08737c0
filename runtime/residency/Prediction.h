// Which clusters a layer will meet next.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
//
// Sources: rolling activation, and nearest past request: MoE-Infinity, arXiv
// 2401.14361; a later layer's router on an earlier layer's input: Fate, arXiv
// 2502.12224. Here they score clusters, not experts.
#ifndef MOEC_RUNTIME_RESIDENCY_PREDICTION_H
#define MOEC_RUNTIME_RESIDENCY_PREDICTION_H

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace moec::residency {

/// A cluster of a layer: layer · clusters + cluster.
using Unit = uint32_t;
inline constexpr Unit noUnit = ~Unit(0);

/// Layers, and clusters of each.
struct Extents {
  uint32_t layers = 0;
  uint32_t clusters = 0;

  uint32_t units() const { return layers * clusters; }
  Unit unitOf(uint64_t layer, uint32_t cluster) const {
    return Unit(layer * clusters + cluster);
  }
  uint32_t layerOf(Unit unit) const { return unit / clusters; }
  uint32_t clusterOf(Unit unit) const { return unit % clusters; }
};

/// Nothing allocates after the constructor.
class Predictor {
public:
  virtual ~Predictor() = default;

  /// Steps from now on are of another sequence, or batch.
  virtual void beginRequest() {}
  /// What a layer's step has met; layers in their order, step after step.
  virtual void observe(uint32_t layer, std::span<const uint32_t> clusters) = 0;
  /// What a layer's coming step is said to meet, ahead of it.
  virtual void hint(uint32_t layer, std::span<const uint32_t> clusters);
  /// The chance that the layer's next step meets the cluster.
  virtual double chance(uint32_t layer, uint32_t cluster) const = 0;
};

/// Knows nothing: fetches nothing ahead.
class NoPredictor : public Predictor {
public:
  void observe(uint32_t, std::span<const uint32_t>) override {}
  double chance(uint32_t, uint32_t) const override { return 0; }
};

/// Rolling activation: how often the last steps met a cluster, each step
/// `weight` times as much as all before.
class RollingPredictor : public Predictor {
public:
  RollingPredictor(Extents extents, double weight = 0.2);

  void observe(uint32_t layer, std::span<const uint32_t> clusters) override;
  double chance(uint32_t layer, uint32_t cluster) const override {
    return rates[extents.unitOf(layer, cluster)];
  }

private:
  Extents extents;
  double weight;
  std::vector<double> rates;
};

/// Nearest past request: of the last `capacity` requests the one whose counts of
/// (layer, cluster) have the largest cosine with this one's so far, the latest if
/// none has any; how often its steps met a cluster. Before any has ended, this one's own.
class PastRequestPredictor : public Predictor {
public:
  PastRequestPredictor(Extents extents, uint32_t capacity = 64);

  void beginRequest() override;
  void observe(uint32_t layer, std::span<const uint32_t> clusters) override;
  double chance(uint32_t layer, uint32_t cluster) const override;

private:
  /// Counts of one request, and what the current one shares with it.
  struct Past {
    std::vector<float> counts;
    double squares = 0, product = 0, steps = 0;
  };
  void findNearest();

  Extents extents;
  std::vector<Past> pasts;
  Past current;
  const Past *nearest = &current;
  uint32_t known = 0, oldest = 0;
};

/// What hints say, weighed by how often they were right; where there is no hint, rolling
/// activation. Exact ones – of routers that look at the token alone – are right from the start.
class HintedPredictor : public Predictor {
public:
  HintedPredictor(Extents extents, bool isExact = false);

  void observe(uint32_t layer, std::span<const uint32_t> clusters) override;
  void hint(uint32_t layer, std::span<const uint32_t> clusters) override;
  double chance(uint32_t layer, uint32_t cluster) const override;

private:
  Extents extents;
  RollingPredictor rolling;
  /// By unit; by layer whether its coming step has a hint.
  std::vector<bool> isHinted, hasHint;
  /// Hinted clusters and others: how many, and how many of them were met.
  struct Record {
    double said, met;
  } hinted, others;
};

/// By name: none, rolling, past_request, hint, exact_hint; null for others.
std::unique_ptr<Predictor> makePredictor(std::string_view name,
                                         Extents extents);
std::vector<std::string_view> predictorNames();

/// "a, b, c", for messages.
std::string listed(const std::vector<std::string_view> &names);

/// Whether to read a unit ahead of time. With T the seconds of a read: it saves min(T, lead) with chance `chance`; it costs a
/// read of what leaves with chance `chanceOfVictim`, and where it was wrong delays others by T for the part of time that the link
/// is busy.
bool paysToFetch(double chance, double leadSeconds, double readSeconds,
                 double chanceOfVictim, double busyPart);

} // namespace moec::residency

#endif // MOEC_RUNTIME_RESIDENCY_PREDICTION_H
