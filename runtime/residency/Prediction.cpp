// Which clusters a layer will meet next.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "runtime/residency/Prediction.h"

#include <algorithm>
#include <cmath>

using namespace moec::residency;

void Predictor::hint(uint32_t, std::span<const uint32_t>) {}

//===----------------------------------------------------------------------===//
// Rolling activation
//===----------------------------------------------------------------------===//

RollingPredictor::RollingPredictor(Extents extents, double weight)
    : extents(extents), weight(weight), rates(extents.units(), 0) {}

void RollingPredictor::observe(uint32_t layer,
                               std::span<const uint32_t> clusters) {
  double *row = rates.data() + extents.unitOf(layer, 0);
  for (uint32_t cluster = 0; cluster < extents.clusters; ++cluster)
    row[cluster] *= 1 - weight;
  for (uint32_t cluster : clusters)
    row[cluster] += weight;
}

//===----------------------------------------------------------------------===//
// Nearest past request
//===----------------------------------------------------------------------===//

PastRequestPredictor::PastRequestPredictor(Extents extents, uint32_t capacity)
    : extents(extents), pasts(std::max(capacity, 1u)) {
  current.counts.assign(extents.units(), 0);
  for (Past &past : pasts)
    past.counts.assign(extents.units(), 0);
}

void PastRequestPredictor::beginRequest() {
  if (current.steps > 0) {
    Past &place = pasts[oldest];
    std::swap(place.counts, current.counts);
    place.squares = current.squares;
    place.steps = current.steps;
    oldest = (oldest + 1) % uint32_t(pasts.size());
    known = std::min(known + 1, uint32_t(pasts.size()));
  }
  std::fill(current.counts.begin(), current.counts.end(), 0.f);
  current.squares = current.steps = 0;
  for (Past &past : pasts)
    past.product = 0;
  findNearest();
}

void PastRequestPredictor::observe(uint32_t layer,
                                   std::span<const uint32_t> clusters) {
  if (layer == 0)
    ++current.steps;
  for (uint32_t cluster : clusters) {
    Unit unit = extents.unitOf(layer, cluster);
    current.squares += 2 * current.counts[unit] + 1;
    ++current.counts[unit];
    for (uint32_t i = 0; i < known; ++i)
      pasts[i].product += pasts[i].counts[unit];
  }
  findNearest();
}

void PastRequestPredictor::findNearest() {
  nearest = &current;
  double largest = -1;
  for (uint32_t back = 1; back <= known; ++back) {
    const Past &past = pasts[(oldest + pasts.size() - back) % pasts.size()];
    // The current one's length is the same for all.
    double cosine = past.product / std::sqrt(past.squares);
    if (cosine <= largest)
      continue;
    nearest = &past;
    largest = cosine;
  }
}

double PastRequestPredictor::chance(uint32_t layer, uint32_t cluster) const {
  if (nearest->steps == 0)
    return 0;
  double count = nearest->counts[extents.unitOf(layer, cluster)];
  return std::min(count / nearest->steps, 1.0);
}

//===----------------------------------------------------------------------===//
// Hints
//===----------------------------------------------------------------------===//

HintedPredictor::HintedPredictor(Extents extents, bool isExact)
    : extents(extents), rolling(extents), isHinted(extents.units(), false),
      hasHint(extents.layers, false),
      // A few steps outweigh what is assumed.
      hinted{2, isExact ? 2.0 : 1.0}, others{20, isExact ? 0.0 : 1.0} {}

void HintedPredictor::hint(uint32_t layer, std::span<const uint32_t> clusters) {
  auto first = isHinted.begin() + extents.unitOf(layer, 0);
  std::fill(first, first + extents.clusters, false);
  for (uint32_t cluster : clusters)
    first[cluster] = true;
  hasHint[layer] = true;
}

void HintedPredictor::observe(uint32_t layer,
                              std::span<const uint32_t> clusters) {
  rolling.observe(layer, clusters);
  if (!hasHint[layer])
    return;
  hasHint[layer] = false;
  auto first = isHinted.begin() + extents.unitOf(layer, 0);
  double said = double(std::count(first, first + extents.clusters, true));
  double met =
      double(std::count_if(clusters.begin(), clusters.end(),
                           [&](uint32_t cluster) { return first[cluster]; }));
  hinted.said += said;
  hinted.met += met;
  others.said += extents.clusters - said;
  others.met += double(clusters.size()) - met;
}

double HintedPredictor::chance(uint32_t layer, uint32_t cluster) const {
  if (!hasHint[layer])
    return rolling.chance(layer, cluster);
  const Record &record =
      isHinted[extents.unitOf(layer, cluster)] ? hinted : others;
  return record.met / record.said;
}

//===----------------------------------------------------------------------===//
// By name
//===----------------------------------------------------------------------===//

std::unique_ptr<Predictor>
moec::residency::makePredictor(std::string_view name, Extents extents) {
  if (name == "none")
    return std::make_unique<NoPredictor>();
  if (name == "rolling")
    return std::make_unique<RollingPredictor>(extents);
  if (name == "past_request")
    return std::make_unique<PastRequestPredictor>(extents);
  if (name == "hint" || name == "exact_hint")
    return std::make_unique<HintedPredictor>(extents, name == "exact_hint");
  return nullptr;
}

std::vector<std::string_view> moec::residency::predictorNames() {
  return {"none", "rolling", "past_request", "hint", "exact_hint"};
}

std::string
moec::residency::listed(const std::vector<std::string_view> &names) {
  std::string text;
  for (std::string_view name : names)
    text += (text.empty() ? "" : ", ") + std::string(name);
  return text;
}

//===----------------------------------------------------------------------===//
// Cost
//===----------------------------------------------------------------------===//

bool moec::residency::paysToFetch(double chance, double leadSeconds,
                                  double readSeconds, double chanceOfVictim,
                                  double busyPart) {
  double saved = chance * std::min(readSeconds, leadSeconds);
  double lost =
      chanceOfVictim * readSeconds + (1 - chance) * busyPart * readSeconds;
  return saved > lost;
}
