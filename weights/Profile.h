// The traffic profile: what the experts of each layer were chosen for and fed.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
//
// docs/profile.md states the formulas and the file.
#ifndef MOEC_WEIGHTS_PROFILE_H
#define MOEC_WEIGHTS_PROFILE_H

#include "weights/Result.h"

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace moec::weights {

/// Limits on a profile from outside.
inline constexpr int64_t profileMaxExperts = 4096;
inline constexpr int64_t profileMaxWidth = 65536;
/// Counts stay exact in f64.
inline constexpr int64_t profileMaxTokens = int64_t(1) << 53;

/// The weight of a new batch in the moving centroids, unless said otherwise.
inline constexpr double profileDefaultBeta = 0.05;

/// One layer's traffic. What was not collected is empty.
struct LayerProfile {
  int64_t experts = 0;
  /// D, the width of the inputs; 0 if no figure about inputs is kept.
  int64_t width = 0;
  /// F, the width of hidden activations; 0 if none were seen.
  int64_t hiddenWidth = 0;

  /// Tokens that went through the layer.
  int64_t tokens = 0;
  /// [E]: tokens that chose each expert.
  std::vector<int64_t> counts;
  /// [E]: sums of the gate weights of those choices.
  std::vector<double> gateSums;
  /// [E, E], symmetric: tokens that chose both experts; the diagonal is counts.
  std::vector<int64_t> cooccurrence;
  /// [E, D]: moving mean of an expert's inputs over batches; zeros if never
  /// chosen.
  std::vector<float> centroids;
  /// [E, D]: plain mean of an expert's inputs; zeros if never chosen.
  std::vector<float> means;
  /// [D] and [D, D]: sums over tokens of x_d^2 and of x_c x_d.
  std::vector<double> inputMoments;
  std::vector<double> inputMomentsFull;
  /// Pairs of a token and a chosen expert whose hidden activations were seen.
  int64_t hiddenRows = 0;
  /// [F] and [F, F]: sums over those of h_f^2 and of h_f h_g.
  std::vector<double> hiddenMoments;
  std::vector<double> hiddenMomentsFull;
  /// [3, E], of gate, up and down: sums over samples of the squared norm of the
  /// loss's gradient with respect to each expert's matrix.
  std::vector<double> fisher;

  bool operator==(const LayerProfile &) const = default;
};

/// The profile of a model.
struct Profile {
  /// What the model is called by its content; profiles of others do not merge.
  std::string model;
  double beta = profileDefaultBeta;
  std::map<int64_t, LayerProfile> layers;

  bool operator==(const Profile &) const = default;
};

/// How evenly experts are used.
struct LoadFigures {
  /// Of counts, over experts: mean, population variance, and sqrt(variance) /
  /// mean, which is 0 without traffic.
  double mean = 0;
  double variance = 0;
  double coefficientOfVariation = 0;
  /// -sum p ln p of p = counts / sum of counts, in nats; and that over ln E,
  /// which is 1 when all experts are used alike (and for one expert).
  double entropy = 0;
  double relativeEntropy = 0;
};

LoadFigures loadFigures(const LayerProfile &layer);

/// What one layer did with some tokens. Spans are row-major.
struct ProfileBatch {
  int64_t tokens = 0;
  /// k, the slots of a token.
  int64_t slots = 0;
  /// [tokens, D].
  std::span<const float> inputs;
  /// [tokens, k]: experts from 0, or -1 for a slot not used; no expert twice in
  /// one token.
  std::span<const int32_t> ids;
  /// [tokens, k].
  std::span<const float> gates;
  /// [tokens, k, F], at the down projection's input; empty if not at hand.
  /// Values of slots not used are not read.
  std::span<const float> hidden;
};

struct AccumulatorOptions {
  int64_t experts = 0;
  int64_t width = 0;
  /// F; 0 refuses hidden activations.
  int64_t hiddenWidth = 0;
  double beta = profileDefaultBeta;
  /// Also keep [D, D] and [F, F].
  bool fullInputMoments = false;
  bool fullHiddenMoments = false;
};

/// Collects one layer's traffic batch by batch. Not for several threads at
/// once: use one for each and merge.
class ProfileAccumulator {
public:
  static Result<ProfileAccumulator> create(const AccumulatorOptions &options);

  /// Adds a batch; one that is refused changes nothing.
  Status add(const ProfileBatch &batch);

  /// All batches so far.
  LayerProfile profile() const;

private:
  explicit ProfileAccumulator(const AccumulatorOptions &options);

  AccumulatorOptions options;
  LayerProfile sums;
  /// [E, D]: sums of inputs, from which the means are made.
  std::vector<double> inputSums;
  /// The moving centroids, in f64.
  std::vector<double> moving;
};

/// Adds what `other` saw. Counts and sums add up, Fisher information also where
/// only one has any; centroids and means are
/// weighted by counts. Layers that only one has are kept as they are. Refuses
/// another model, another beta and other shapes, and then changes nothing.
Status mergeProfile(Profile &profile, const Profile &other);

/// Reads a profile; every size, count and value is checked.
Result<Profile> readProfile(const std::string &path);

/// Writes a profile; the file appears whole or not at all.
Status writeProfile(const std::string &path, const Profile &profile);

} // namespace moec::weights

#endif // MOEC_WEIGHTS_PROFILE_H
