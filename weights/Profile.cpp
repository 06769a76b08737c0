// The traffic profile: what the experts of each layer were chosen for and fed.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/Profile.h"

#include "weights/ElementType.h"
#include "weights/Safetensors.h"

#include <Eigen/Core>
#include <rapidjson/memorystream.h>
#include <rapidjson/reader.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>
#include <set>

namespace moec::weights {

namespace {

/// docs/profile.md.
constexpr const char *metadataKey = "moec.profile";
constexpr unsigned majorVersion = 0;
constexpr unsigned minorVersion = 2;
constexpr size_t maxMetadataBytes = 65536;
constexpr size_t maxModelBytes = 256;
constexpr int64_t maxLayer = 1'000'000;
/// gate, up, down.
constexpr int64_t fisherRows = 3;

std::string text(int64_t value) { return std::to_string(value); }

//===----------------------------------------------------------------------===//
// What a profile must be like
//===----------------------------------------------------------------------===//

template <typename T>
Status checkSize(const char *what, const std::vector<T> &values,
                 int64_t expected) {
  if (values.size() != size_t(expected))
    return Error{std::string(what) + ": expected " + text(expected) +
                 " values, found " + std::to_string(values.size())};
  return success();
}

template <typename T>
Status checkFinite(const char *what, const std::vector<T> &values) {
  for (size_t n = 0; n < values.size(); ++n)
    if (!std::isfinite(values[n]))
      return Error{std::string(what) + ": expected finite values, found " +
                   std::to_string(values[n]) + " at " + std::to_string(n)};
  return success();
}

/// Sums of squares, or of products with sums of squares on the diagonal.
Status checkMoments(const char *what, const std::vector<double> &values,
                    int64_t width, bool full) {
  if (Status status = checkFinite(what, values); !status)
    return status;
  size_t size = size_t(width);
  for (size_t i = 0; i < size; ++i) {
    double square = values[full ? i * size + i : i];
    if (square < 0)
      return Error{std::string(what) +
                   ": expected sums of squares from 0, found " +
                   std::to_string(square) + " at " + std::to_string(i)};
    for (size_t j = 0; full && j < i; ++j)
      if (values[i * size + j] != values[j * size + i])
        return Error{std::string(what) +
                     ": expected a symmetric matrix, found " +
                     std::to_string(values[i * size + j]) + " and " +
                     std::to_string(values[j * size + i]) + " at " +
                     std::to_string(i) + ", " + std::to_string(j)};
  }
  return success();
}

Status checkCounts(const LayerProfile &layer) {
  if (layer.tokens < 0 || layer.tokens > profileMaxTokens)
    return Error{"tokens: expected from 0 to 2^53, found " +
                 text(layer.tokens)};
  size_t experts = size_t(layer.experts);
  for (size_t i = 0; i < experts; ++i)
    if (layer.counts[i] < 0 || layer.counts[i] > layer.tokens)
      return Error{"counts: expected from 0 to the " + text(layer.tokens) +
                   " tokens seen, found " + text(layer.counts[i]) +
                   " of expert " + std::to_string(i)};
  for (size_t i = 0; i < experts; ++i)
    for (size_t j = 0; j <= i; ++j) {
      int64_t both = layer.cooccurrence[i * experts + j];
      int64_t most = std::min(layer.counts[i], layer.counts[j]);
      std::string pair =
          " of experts " + std::to_string(i) + " and " + std::to_string(j);
      if (both != layer.cooccurrence[j * experts + i])
        return Error{"cooccurrence: expected a symmetric matrix, found " +
                     text(both) + " and " +
                     text(layer.cooccurrence[j * experts + i]) + pair};
      if (both < 0 || both > most || (i == j && both != most))
        return Error{"cooccurrence: expected " +
                     (i == j ? text(most) : "from 0 to " + text(most)) +
                     ", found " + text(both) + pair};
    }
  return success();
}

/// Sizes that belong together, counts that can be, numbers that are finite.
Status checkLayer(const LayerProfile &layer) {
  int64_t experts = layer.experts, width = layer.width,
          hidden = layer.hiddenWidth;
  if (experts < 1 || experts > profileMaxExperts)
    return Error{"counts: expected from 1 to " + text(profileMaxExperts) +
                 " experts, found " + text(experts)};
  if (width < 0 || width > profileMaxWidth)
    return Error{"inputs: expected a width of 0 to " + text(profileMaxWidth) +
                 ", found " + text(width)};
  if (hidden < 0 || hidden > profileMaxWidth)
    return Error{"hidden activations: expected a width of 0 to " +
                 text(profileMaxWidth) + ", found " + text(hidden)};
  auto optional = [](const auto &values, int64_t count) {
    return values.empty() ? 0 : count;
  };
  for (const Status &status :
       {checkSize("counts", layer.counts, experts),
        checkSize("gate_sums", layer.gateSums, experts),
        checkSize("cooccurrence", layer.cooccurrence, experts * experts),
        checkSize("centroids", layer.centroids,
                  optional(layer.centroids, experts * width)),
        checkSize("means", layer.means, optional(layer.means, experts * width)),
        checkSize("input_moments", layer.inputMoments,
                  optional(layer.inputMoments, width)),
        checkSize("input_moments_full", layer.inputMomentsFull,
                  optional(layer.inputMomentsFull, width * width)),
        checkSize("hidden_moments", layer.hiddenMoments,
                  optional(layer.hiddenMoments, hidden)),
        checkSize("hidden_moments_full", layer.hiddenMomentsFull,
                  optional(layer.hiddenMomentsFull, hidden * hidden)),
        checkSize("fisher", layer.fisher,
                  optional(layer.fisher, fisherRows * experts))})
    if (!status)
      return status;
  if (Status status = checkCounts(layer); !status)
    return status;
  if (layer.hiddenRows < 0 || layer.hiddenRows > profileMaxTokens)
    return Error{"hidden_rows: expected from 0 to 2^53, found " +
                 text(layer.hiddenRows)};
  for (const Status &status : {checkFinite("gate_sums", layer.gateSums),
                               checkFinite("centroids", layer.centroids),
                               checkFinite("means", layer.means),
                               checkFinite("fisher", layer.fisher)})
    if (!status)
      return status;
  for (size_t n = 0; n < layer.fisher.size(); ++n)
    if (layer.fisher[n] < 0)
      return Error{"fisher: expected sums of squares from 0, found " +
                   std::to_string(layer.fisher[n]) + " at " +
                   std::to_string(n)};
  struct {
    const char *name;
    const std::vector<double> &values;
    int64_t width;
    bool full;
  } moments[] = {
      {"input_moments", layer.inputMoments, width, false},
      {"input_moments_full", layer.inputMomentsFull, width, true},
      {"hidden_moments", layer.hiddenMoments, hidden, false},
      {"hidden_moments_full", layer.hiddenMomentsFull, hidden, true},
  };
  for (const auto &moment : moments)
    if (!moment.values.empty())
      if (Status status = checkMoments(moment.name, moment.values, moment.width,
                                       moment.full);
          !status)
        return status;
  return success();
}

Status checkProfile(const Profile &profile) {
  if (profile.model.empty() || profile.model.size() > maxModelBytes ||
      std::any_of(profile.model.begin(), profile.model.end(),
                  [](char c) { return c < 0x20 || c > 0x7E; }))
    return Error{"expected the identity of the model in 1 to " +
                 std::to_string(maxModelBytes) +
                 " printable ASCII characters, found " +
                 std::to_string(profile.model.size()) + " bytes"};
  if (!(profile.beta > 0 && profile.beta <= 1))
    return Error{"expected beta above 0, up to 1, found " +
                 std::to_string(profile.beta)};
  for (const auto &[number, layer] : profile.layers) {
    if (number < 0 || number > maxLayer)
      return Error{"expected layers from 0 to " + text(maxLayer) + ", found " +
                   text(number)};
    if (Status status = checkLayer(layer); !status)
      return Error{"layers." + text(number) + "." + status.error()};
  }
  return success();
}

} // namespace

//===----------------------------------------------------------------------===//
// Figures
//===----------------------------------------------------------------------===//

LoadFigures loadFigures(const LayerProfile &layer) {
  LoadFigures figures;
  if (layer.counts.empty())
    return figures;
  double experts = double(layer.counts.size()), total = 0;
  for (int64_t count : layer.counts)
    total += double(count);
  figures.mean = total / experts;
  for (int64_t count : layer.counts) {
    double deviation = double(count) - figures.mean;
    figures.variance += deviation * deviation / experts;
    if (count > 0)
      figures.entropy -=
          double(count) / total * std::log(double(count) / total);
  }
  if (total > 0)
    figures.coefficientOfVariation = std::sqrt(figures.variance) / figures.mean;
  // One expert takes all there is, evenly.
  if (layer.counts.size() > 1)
    figures.relativeEntropy = figures.entropy / std::log(experts);
  else
    figures.relativeEntropy = total > 0 ? 1.0 : 0.0;
  return figures;
}

//===----------------------------------------------------------------------===//
// Collecting
//===----------------------------------------------------------------------===//

namespace {

using Square =
    Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// Sums of products of columns, over rows that come one by one.
class ProductSums {
public:
  ProductSums(std::vector<double> &sums, int64_t width)
      : sums(sums), width(width), rows(rowsAtOnce, width) {}

  void add(const float *row) {
    rows.row(filled++) =
        Eigen::Map<const Eigen::RowVectorXf>(row, width).cast<double>();
    if (filled == rowsAtOnce)
      flush();
  }

  /// Adds what was collected to the lower triangle.
  void flush() {
    Eigen::Map<Square> matrix(sums.data(), width, width);
    matrix.selfadjointView<Eigen::Lower>().rankUpdate(
        rows.topRows(filled).transpose());
    filled = 0;
  }

private:
  static constexpr int64_t rowsAtOnce = 128;

  std::vector<double> &sums;
  int64_t width;
  int64_t filled = 0;
  Square rows;
};

void mirrorLowerTriangle(std::vector<double> &values, int64_t width) {
  size_t size = size_t(width);
  if (values.empty())
    return;
  for (size_t i = 0; i < size; ++i)
    for (size_t j = 0; j < i; ++j)
      values[j * size + i] = values[i * size + j];
}

Status checkBatch(const AccumulatorOptions &options, int64_t tokensSoFar,
                  const ProfileBatch &batch) {
  int64_t tokens = batch.tokens, slots = batch.slots;
  // A batch of more would not fit any memory; products stay within 63 bits.
  if (tokens < 0 || tokens > std::numeric_limits<int32_t>::max() ||
      tokensSoFar + tokens > profileMaxTokens)
    return Error{"expected a batch of 0 to 2^31 - 1 tokens, of 2^53 in all, "
                 "found " +
                 text(tokens)};
  if (slots < 0 || slots > options.experts)
    return Error{"expected from 0 to " + text(options.experts) +
                 " slots of a token, as many as experts, found " + text(slots)};
  struct {
    const char *what;
    size_t found;
    int64_t expected;
  } sizes[] = {
      {"inputs", batch.inputs.size(), tokens * options.width},
      {"ids", batch.ids.size(), tokens * slots},
      {"gate weights", batch.gates.size(), tokens * slots},
      {"hidden activations", batch.hidden.size(),
       batch.hidden.empty() ? 0 : tokens * slots * options.hiddenWidth}};
  for (const auto &[what, found, expected] : sizes)
    if (found != size_t(expected))
      return Error{"expected " + text(expected) + " " + what + " for " +
                   text(tokens) + " tokens, found " + std::to_string(found)};
  std::vector<int64_t> lastToken(size_t(options.experts), -1);
  for (int64_t t = 0; t < tokens; ++t) {
    std::string where = " at token " + text(t);
    for (int64_t d = 0; d < options.width; ++d)
      if (!std::isfinite(batch.inputs[size_t(t * options.width + d)]))
        return Error{"expected finite inputs, found one that is not" + where};
    for (int64_t s = 0; s < slots; ++s) {
      size_t place = size_t(t * slots + s);
      int32_t id = batch.ids[place];
      if (id == -1)
        continue;
      if (id < 0 || id >= options.experts)
        return Error{"expected ids from -1 to " + text(options.experts - 1) +
                     ", found " + text(id) + where};
      if (lastToken[size_t(id)] == t)
        return Error{"expected each expert once in a token, found expert " +
                     text(id) + " twice" + where};
      lastToken[size_t(id)] = t;
      if (!std::isfinite(batch.gates[place]))
        return Error{"expected finite gate weights, found one that is not" +
                     where};
      if (batch.hidden.empty())
        continue;
      for (int64_t f = 0; f < options.hiddenWidth; ++f)
        if (!std::isfinite(
                batch.hidden[place * size_t(options.hiddenWidth) + size_t(f)]))
          return Error{
              "expected finite hidden activations, found one that is not" +
              where};
    }
  }
  return success();
}

} // namespace

ProfileAccumulator::ProfileAccumulator(const AccumulatorOptions &options)
    : options(options) {
  size_t experts = size_t(options.experts), width = size_t(options.width),
         hidden = size_t(options.hiddenWidth);
  sums.experts = options.experts;
  sums.width = options.width;
  sums.hiddenWidth = options.hiddenWidth;
  sums.counts.assign(experts, 0);
  sums.gateSums.assign(experts, 0.0);
  sums.cooccurrence.assign(experts * experts, 0);
  sums.inputMoments.assign(width, 0.0);
  sums.hiddenMoments.assign(hidden, 0.0);
  if (options.fullInputMoments)
    sums.inputMomentsFull.assign(width * width, 0.0);
  if (options.fullHiddenMoments)
    sums.hiddenMomentsFull.assign(hidden * hidden, 0.0);
  inputSums.assign(experts * width, 0.0);
  moving.assign(experts * width, 0.0);
}

Result<ProfileAccumulator>
ProfileAccumulator::create(const AccumulatorOptions &options) {
  if (options.experts < 1 || options.experts > profileMaxExperts)
    return Error{"expected from 1 to " + text(profileMaxExperts) +
                 " experts, found " + text(options.experts)};
  if (options.width < 0 || options.width > profileMaxWidth)
    return Error{"expected inputs of width 0 to " + text(profileMaxWidth) +
                 ", found " + text(options.width)};
  if (options.hiddenWidth < 0 || options.hiddenWidth > profileMaxWidth)
    return Error{"expected hidden activations of width 0 to " +
                 text(profileMaxWidth) + ", found " +
                 text(options.hiddenWidth)};
  if (!(options.beta > 0 && options.beta <= 1))
    return Error{"expected beta above 0, up to 1, found " +
                 std::to_string(options.beta)};
  return ProfileAccumulator(options);
}

Status ProfileAccumulator::add(const ProfileBatch &batch) {
  if (Status status = checkBatch(options, sums.tokens, batch); !status)
    return status;
  size_t experts = size_t(options.experts), width = size_t(options.width),
         hidden = size_t(options.hiddenWidth), slots = size_t(batch.slots);

  // Sums of this batch alone, for the experts it chose.
  std::vector<int32_t> placeOf(experts, -1);
  std::vector<size_t> chosen;
  std::vector<int64_t> counts;
  std::vector<double> batchSums;
  std::optional<ProductSums> inputs, activations;
  if (!sums.inputMomentsFull.empty())
    inputs.emplace(sums.inputMomentsFull, options.width);
  if (!sums.hiddenMomentsFull.empty() && !batch.hidden.empty())
    activations.emplace(sums.hiddenMomentsFull, options.hiddenWidth);

  for (size_t t = 0; t < size_t(batch.tokens); ++t) {
    const float *x = batch.inputs.data() + t * width;
    for (size_t d = 0; d < width; ++d)
      sums.inputMoments[d] += double(x[d]) * double(x[d]);
    if (inputs)
      inputs->add(x);
    const int32_t *ids = batch.ids.data() + t * slots;
    for (size_t s = 0; s < slots; ++s) {
      if (ids[s] < 0)
        continue;
      size_t expert = size_t(ids[s]);
      if (placeOf[expert] < 0) {
        placeOf[expert] = int32_t(chosen.size());
        chosen.push_back(expert);
        counts.push_back(0);
        batchSums.resize(batchSums.size() + width, 0.0);
      }
      size_t place = size_t(placeOf[expert]);
      ++counts[place];
      for (size_t d = 0; d < width; ++d)
        batchSums[place * width + d] += double(x[d]);
      sums.gateSums[expert] += double(batch.gates[t * slots + s]);
      for (size_t other = 0; other < slots; ++other)
        if (ids[other] >= 0)
          ++sums.cooccurrence[expert * experts + size_t(ids[other])];
      if (batch.hidden.empty())
        continue;
      const float *h = batch.hidden.data() + (t * slots + s) * hidden;
      for (size_t f = 0; f < hidden; ++f)
        sums.hiddenMoments[f] += double(h[f]) * double(h[f]);
      if (activations)
        activations->add(h);
      ++sums.hiddenRows;
    }
  }
  if (inputs)
    inputs->flush();
  if (activations)
    activations->flush();

  for (size_t place = 0; place < chosen.size(); ++place) {
    size_t expert = chosen[place];
    // The first mean is taken as it is: nothing pulls it towards zero.
    double beta = sums.counts[expert] == 0 ? 1.0 : options.beta;
    for (size_t d = 0; d < width; ++d) {
      double sum = batchSums[place * width + d];
      double &mu = moving[expert * width + d];
      mu = (1 - beta) * mu + beta * (sum / double(counts[place]));
      inputSums[expert * width + d] += sum;
    }
    sums.counts[expert] += counts[place];
  }
  sums.tokens += batch.tokens;
  return success();
}

LayerProfile ProfileAccumulator::profile() const {
  LayerProfile result = sums;
  size_t width = size_t(options.width);
  result.centroids.assign(moving.begin(), moving.end());
  result.means.reserve(inputSums.size());
  for (size_t n = 0; n < inputSums.size(); ++n)
    result.means.push_back(float(
        inputSums[n] / double(std::max<int64_t>(1, sums.counts[n / width]))));
  mirrorLowerTriangle(result.inputMomentsFull, options.width);
  mirrorLowerTriangle(result.hiddenMomentsFull, options.hiddenWidth);
  return result;
}

//===----------------------------------------------------------------------===//
// Merging
//===----------------------------------------------------------------------===//

namespace {

/// Whether two layers keep the same figures of the same sizes.
Status checkSameShape(const LayerProfile &layer, const LayerProfile &other) {
  struct {
    const char *what;
    size_t expected, found;
  } sizes[] = {
      {"counts", layer.counts.size(), other.counts.size()},
      {"centroids", layer.centroids.size(), other.centroids.size()},
      {"means", layer.means.size(), other.means.size()},
      {"input_moments", layer.inputMoments.size(), other.inputMoments.size()},
      {"input_moments_full", layer.inputMomentsFull.size(),
       other.inputMomentsFull.size()},
      {"hidden_moments", layer.hiddenMoments.size(),
       other.hiddenMoments.size()},
      {"hidden_moments_full", layer.hiddenMomentsFull.size(),
       other.hiddenMomentsFull.size()},
  };
  for (const auto &[what, expected, found] : sizes)
    if (expected != found)
      return Error{
          std::string(what) + ": expected " + std::to_string(expected) +
          " values, as the other profile has, found " + std::to_string(found)};
  if (layer.tokens > profileMaxTokens - other.tokens ||
      layer.hiddenRows > profileMaxTokens - other.hiddenRows)
    return Error{"tokens: expected at most 2^53 in both profiles, found " +
                 text(layer.tokens) + " and " + text(other.tokens)};
  return success();
}

template <typename T>
void addTo(std::vector<T> &sums, const std::vector<T> &more) {
  for (size_t n = 0; n < sums.size(); ++n)
    sums[n] += more[n];
}

/// Rows of [E, D], each weighted by how often its expert was chosen.
void weigh(std::vector<float> &rows, const std::vector<float> &more,
           const std::vector<int64_t> &counts,
           const std::vector<int64_t> &moreCounts) {
  size_t width = rows.size() / counts.size();
  for (size_t n = 0; n < rows.size(); ++n) {
    double own = double(counts[n / width]),
           other = double(moreCounts[n / width]);
    if (own + other > 0)
      rows[n] = float((own * double(rows[n]) + other * double(more[n])) /
                      (own + other));
  }
}

void mergeLayer(LayerProfile &layer, const LayerProfile &other) {
  weigh(layer.centroids, other.centroids, layer.counts, other.counts);
  weigh(layer.means, other.means, layer.counts, other.counts);
  layer.tokens += other.tokens;
  layer.hiddenRows += other.hiddenRows;
  addTo(layer.counts, other.counts);
  addTo(layer.gateSums, other.gateSums);
  addTo(layer.cooccurrence, other.cooccurrence);
  addTo(layer.inputMoments, other.inputMoments);
  addTo(layer.inputMomentsFull, other.inputMomentsFull);
  addTo(layer.hiddenMoments, other.hiddenMoments);
  addTo(layer.hiddenMomentsFull, other.hiddenMomentsFull);
  // Not a figure of traffic: it is measured apart, and stays when traffic adds.
  if (layer.fisher.empty())
    layer.fisher = other.fisher;
  else if (!other.fisher.empty())
    addTo(layer.fisher, other.fisher);
}

} // namespace

Status mergeProfile(Profile &profile, const Profile &other) {
  for (const Profile *each : {static_cast<const Profile *>(&profile), &other})
    if (Status status = checkProfile(*each); !status)
      return status;
  if (profile.model != other.model)
    return Error{"expected a profile of model '" + profile.model +
                 "', found one of '" + other.model + "'"};
  if (profile.beta != other.beta)
    return Error{"expected a profile of beta " + std::to_string(profile.beta) +
                 ", found " + std::to_string(other.beta)};
  for (const auto &[number, layer] : other.layers) {
    auto own = profile.layers.find(number);
    if (own == profile.layers.end())
      continue;
    if (Status status = checkSameShape(own->second, layer); !status)
      return Error{"layers." + text(number) + "." + status.error()};
  }
  for (const auto &[number, layer] : other.layers) {
    auto [own, added] = profile.layers.try_emplace(number, layer);
    if (!added)
      mergeLayer(own->second, layer);
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Files
//===----------------------------------------------------------------------===//

namespace {

/// One of a layer's tensors: its name behind "layers.N." and where it goes.
enum class Field {
  Tokens,
  Counts,
  GateSums,
  Cooccurrence,
  Centroids,
  Means,
  InputMoments,
  InputMomentsFull,
  HiddenRows,
  HiddenMoments,
  HiddenMomentsFull,
  Fisher
};

struct FieldName {
  std::string_view name;
  Field field;
};

constexpr FieldName fieldNames[] = {
    {"tokens", Field::Tokens},
    {"counts", Field::Counts},
    {"gate_sums", Field::GateSums},
    {"cooccurrence", Field::Cooccurrence},
    {"centroids", Field::Centroids},
    {"means", Field::Means},
    {"input_moments", Field::InputMoments},
    {"input_moments_full", Field::InputMomentsFull},
    {"hidden_rows", Field::HiddenRows},
    {"hidden_moments", Field::HiddenMoments},
    {"hidden_moments_full", Field::HiddenMomentsFull},
    {"fisher", Field::Fisher},
};

/// "layers.12.counts" as 12 and the field; nothing for other names, which a
/// later minor version may have.
std::optional<std::pair<int64_t, Field>> parseName(std::string_view name) {
  constexpr std::string_view prefix = "layers.";
  if (!name.starts_with(prefix))
    return std::nullopt;
  name.remove_prefix(prefix.size());
  size_t dot = name.find('.');
  if (dot == std::string_view::npos || dot == 0 ||
      (name[0] == '0' && dot != 1) || name[0] == '-')
    return std::nullopt;
  int64_t number = 0;
  auto [end, error] = std::from_chars(name.data(), name.data() + dot, number);
  if (error != std::errc() || end != name.data() + dot || number > maxLayer)
    return std::nullopt;
  for (const FieldName &field : fieldNames)
    if (field.name == name.substr(dot + 1))
      return std::pair{number, field.field};
  return std::nullopt;
}

template <typename T> std::vector<T> valuesOf(std::span<const uint8_t> bytes) {
  std::vector<T> values(bytes.size() / sizeof(T));
  if (!values.empty())
    std::memcpy(values.data(), bytes.data(), values.size() * sizeof(T));
  return values;
}

/// Reads a layer's tensors one by one; shapes agree in the end or not at all.
class LayerReader {
public:
  explicit LayerReader(LayerProfile &layer) : layer(layer) {}

  Status take(Field field, const TensorRecord &tensor,
              std::span<const uint8_t> bytes) {
    seen.insert(field);
    switch (field) {
    case Field::Tokens:
      return takeOne(tensor, bytes, layer.tokens);
    case Field::HiddenRows:
      return takeOne(tensor, bytes, layer.hiddenRows);
    case Field::Counts:
      if (Status status = expect(tensor, {ElementType::I64}, 1); !status)
        return status;
      layer.counts = valuesOf<int64_t>(bytes);
      return same(tensor, layer.experts, 0);
    case Field::GateSums:
      if (Status status = expect(tensor, {ElementType::F64}, 1); !status)
        return status;
      layer.gateSums = valuesOf<double>(bytes);
      return same(tensor, layer.experts, 0);
    case Field::Cooccurrence:
      if (Status status = expect(tensor, {ElementType::I64}, 2); !status)
        return status;
      layer.cooccurrence = valuesOf<int64_t>(bytes);
      return bothSame(tensor, layer.experts, layer.experts);
    case Field::Centroids:
    case Field::Means:
      if (Status status = expect(tensor, {ElementType::F32}, 2); !status)
        return status;
      (field == Field::Means ? layer.means : layer.centroids) =
          valuesOf<float>(bytes);
      return bothSame(tensor, layer.experts, layer.width);
    case Field::InputMoments:
      return takeMoments(tensor, bytes, layer.inputMoments, layer.width, 1);
    case Field::InputMomentsFull:
      return takeMoments(tensor, bytes, layer.inputMomentsFull, layer.width, 2);
    case Field::HiddenMoments:
      return takeMoments(tensor, bytes, layer.hiddenMoments, layer.hiddenWidth,
                         1);
    case Field::HiddenMomentsFull:
      return takeMoments(tensor, bytes, layer.hiddenMomentsFull,
                         layer.hiddenWidth, 2);
    case Field::Fisher: {
      int64_t rows = fisherRows;
      if (Status status = takeSums(tensor, bytes, layer.fisher, 2); !status)
        return status;
      return bothSame(tensor, rows, layer.experts);
    }
    }
    return success();
  }

  /// What no layer may lack.
  Status finish() const {
    for (const FieldName &field : fieldNames) {
      bool needed =
          field.field == Field::Tokens || field.field == Field::Counts ||
          field.field == Field::GateSums || field.field == Field::Cooccurrence;
      if (needed && !seen.contains(field.field))
        return Error{"expected a tensor " + std::string(field.name) +
                     ", found none"};
    }
    return success();
  }

private:
  static Status expect(const TensorRecord &tensor,
                       std::initializer_list<ElementType> types, size_t rank) {
    std::string names;
    for (ElementType type : types)
      names +=
          (names.empty() ? "" : " or ") + std::string(elementTypeName(type));
    if (std::find(types.begin(), types.end(), tensor.type) == types.end() ||
        tensor.shape.size() != rank)
      return Error{"expected " + names + " of rank " + std::to_string(rank) +
                   ", found " + std::string(elementTypeName(tensor.type)) +
                   " of shape " + shapeToString(tensor.shape)};
    return success();
  }

  /// An extent is what the layer's other tensors have, if any has it.
  static Status same(const TensorRecord &tensor, int64_t &extent, size_t axis) {
    if (tensor.shape[axis] == 0 ||
        (extent != 0 && extent != tensor.shape[axis]))
      return Error{
          "expected extent " +
          (extent == 0 ? std::string("1 or more") : std::to_string(extent)) +
          " on axis " + std::to_string(axis) + ", found shape " +
          shapeToString(tensor.shape)};
    extent = tensor.shape[axis];
    return success();
  }
  static Status bothSame(const TensorRecord &tensor, int64_t &first,
                         int64_t &second) {
    if (Status status = same(tensor, first, 0); !status)
      return status;
    return same(tensor, second, 1);
  }

  static Status takeOne(const TensorRecord &tensor,
                        std::span<const uint8_t> bytes, int64_t &value) {
    if (Status status = expect(tensor, {ElementType::I64}, 1); !status)
      return status;
    int64_t one = 1;
    if (Status status = same(tensor, one, 0); !status)
      return status;
    value = valuesOf<int64_t>(bytes)[0];
    return success();
  }

  static Status takeSums(const TensorRecord &tensor,
                         std::span<const uint8_t> bytes,
                         std::vector<double> &values, size_t rank) {
    if (Status status =
            expect(tensor, {ElementType::F64, ElementType::F32}, rank);
        !status)
      return status;
    if (tensor.type == ElementType::F64) {
      values = valuesOf<double>(bytes);
    } else {
      std::vector<float> narrow = valuesOf<float>(bytes);
      values.assign(narrow.begin(), narrow.end());
    }
    return success();
  }

  static Status takeMoments(const TensorRecord &tensor,
                            std::span<const uint8_t> bytes,
                            std::vector<double> &values, int64_t &width,
                            size_t rank) {
    if (Status status = takeSums(tensor, bytes, values, rank); !status)
      return status;
    return rank == 1 ? same(tensor, width, 0) : bothSame(tensor, width, width);
  }

  LayerProfile &layer;
  std::set<Field> seen;
};

/// A version as MAJOR.MINOR.
std::optional<std::pair<unsigned, unsigned>>
parseVersion(std::string_view version) {
  std::pair<unsigned, unsigned> numbers;
  const char *end = version.data() + version.size();
  auto major = std::from_chars(version.data(), end, numbers.first);
  if (major.ec != std::errc() || major.ptr == end || *major.ptr != '.')
    return std::nullopt;
  auto minor = std::from_chars(major.ptr + 1, end, numbers.second);
  if (minor.ec != std::errc() || minor.ptr != end)
    return std::nullopt;
  return numbers;
}

/// Keeps the fields of the outermost object that are known; what a later minor
/// version has besides passes by.
class MetadataHandler
    : public rapidjson::BaseReaderHandler<rapidjson::UTF8<>, MetadataHandler> {
public:
  std::optional<std::string> version, model;
  std::optional<double> beta;
  bool isObject = false;

  bool Default() { return true; }
  bool String(const char *text, rapidjson::SizeType length, bool) {
    if (depth == 1 && key == "version")
      version.emplace(text, length);
    if (depth == 1 && key == "model")
      model.emplace(text, length);
    return true;
  }
  bool Double(double value) {
    if (depth == 1 && key == "beta")
      beta = value;
    return true;
  }
  bool Int(int value) { return Double(value); }
  bool Uint(unsigned value) { return Double(value); }
  bool Int64(int64_t value) { return Double(double(value)); }
  bool Uint64(uint64_t value) { return Double(double(value)); }
  bool Key(const char *text, rapidjson::SizeType length, bool) {
    if (depth != 1)
      return true;
    key.assign(text, length);
    return keys.insert(key).second;
  }
  bool StartObject() {
    isObject |= depth == 0;
    ++depth;
    return true;
  }
  bool EndObject(rapidjson::SizeType) { return --depth, true; }
  bool StartArray() { return ++depth, true; }
  bool EndArray(rapidjson::SizeType) { return --depth, true; }

private:
  int depth = 0;
  std::string key;
  std::set<std::string> keys;
};

/// Version, model and beta.
Status readMetadata(const std::map<std::string, std::string> &metadata,
                    Profile &profile) {
  auto entry = metadata.find(metadataKey);
  if (entry == metadata.end())
    return Error{"expected a profile, found no metadata 'moec.profile'"};
  const std::string &json = entry->second;
  if (json.size() > maxMetadataBytes)
    return Error{"moec.profile: expected at most " +
                 std::to_string(maxMetadataBytes) + " bytes, found " +
                 std::to_string(json.size())};
  MetadataHandler handler;
  rapidjson::Reader reader;
  rapidjson::MemoryStream stream(json.data(), json.size());
  constexpr unsigned flags =
      rapidjson::kParseIterativeFlag | rapidjson::kParseValidateEncodingFlag;
  // RapidJSON takes a zero byte for the end of the text.
  if (json.find('\0') != std::string::npos ||
      !reader.Parse<flags>(stream, handler) || !handler.isObject)
    return Error{"moec.profile: expected a JSON object with no key twice, "
                 "found something else"};
  if (!handler.version)
    return Error{"moec.profile: expected a string as version, found none"};
  std::optional<std::pair<unsigned, unsigned>> version =
      parseVersion(*handler.version);
  if (!version)
    return Error{"moec.profile: expected a version MAJOR.MINOR, found " +
                 std::to_string(handler.version->size()) + " other characters"};
  if (version->first != majorVersion)
    return Error{"expected version " + std::to_string(majorVersion) +
                 ".x of the profile format, found " +
                 std::to_string(version->first) + "." +
                 std::to_string(version->second)};
  if (!handler.model)
    return Error{"moec.profile: expected a string as model, found none"};
  if (!handler.beta)
    return Error{"moec.profile: expected a number as beta, found none"};
  profile.model = *handler.model;
  profile.beta = *handler.beta;
  return success();
}

} // namespace

Result<Profile> readProfile(const std::string &path) {
  Result<SafetensorsFile> file = SafetensorsFile::open(path);
  if (!file)
    return Error{file.error()};
  auto refuse = [&](const std::string &message) {
    return Error{path + ": " + message};
  };
  Profile profile;
  if (Status status = readMetadata(file->metadata(), profile); !status)
    return refuse(status.error());
  std::map<int64_t, LayerReader> readers;
  for (const TensorRecord &tensor : file->tensors()) {
    std::optional<std::pair<int64_t, Field>> name = parseName(tensor.name);
    if (!name)
      continue;
    auto reader =
        readers.try_emplace(name->first, profile.layers[name->first]).first;
    if (Status status =
            reader->second.take(name->second, tensor, file->data(tensor));
        !status)
      return refuse(tensor.name + ": " + status.error());
  }
  for (const auto &[number, reader] : readers)
    if (Status status = reader.finish(); !status)
      return refuse("layers." + text(number) + ": " + status.error());
  if (Status status = checkProfile(profile); !status)
    return refuse(status.error());
  return profile;
}

Status writeProfile(const std::string &path, const Profile &profile) {
  if (Status status = checkProfile(profile); !status)
    return Error{path + ": " + status.error()};
  std::vector<TensorToWrite> tensors;
  auto write = [&]<typename T>(const std::string &name, ElementType type,
                               std::vector<int64_t> shape,
                               std::span<const T> values, bool always) {
    if (values.empty() && !always)
      return;
    tensors.push_back({name,
                       type,
                       std::move(shape),
                       {reinterpret_cast<const uint8_t *>(values.data()),
                        values.size() * sizeof(T)}});
  };
  for (const auto &[number, layer] : profile.layers) {
    std::string prefix = "layers." + text(number) + ".";
    int64_t e = layer.experts, d = layer.width, f = layer.hiddenWidth;
    write(prefix + "tokens", ElementType::I64, {1},
          std::span<const int64_t>(&layer.tokens, 1), true);
    write(prefix + "counts", ElementType::I64, {e},
          std::span<const int64_t>(layer.counts), true);
    write(prefix + "gate_sums", ElementType::F64, {e},
          std::span<const double>(layer.gateSums), true);
    write(prefix + "cooccurrence", ElementType::I64, {e, e},
          std::span<const int64_t>(layer.cooccurrence), true);
    write(prefix + "centroids", ElementType::F32, {e, d},
          std::span<const float>(layer.centroids), false);
    write(prefix + "means", ElementType::F32, {e, d},
          std::span<const float>(layer.means), false);
    write(prefix + "input_moments", ElementType::F64, {d},
          std::span<const double>(layer.inputMoments), false);
    write(prefix + "input_moments_full", ElementType::F64, {d, d},
          std::span<const double>(layer.inputMomentsFull), false);
    if (f > 0)
      write(prefix + "hidden_rows", ElementType::I64, {1},
            std::span<const int64_t>(&layer.hiddenRows, 1), true);
    write(prefix + "hidden_moments", ElementType::F64, {f},
          std::span<const double>(layer.hiddenMoments), false);
    write(prefix + "hidden_moments_full", ElementType::F64, {f, f},
          std::span<const double>(layer.hiddenMomentsFull), false);
    write(prefix + "fisher", ElementType::F64, {fisherRows, e},
          std::span<const double>(layer.fisher), false);
  }
  rapidjson::StringBuffer buffer;
  rapidjson::Writer<rapidjson::StringBuffer> json(buffer);
  json.StartObject();
  json.Key("version");
  json.String(
      (std::to_string(majorVersion) + "." + std::to_string(minorVersion))
          .c_str());
  json.Key("model");
  json.String(profile.model.c_str());
  json.Key("beta");
  json.Double(profile.beta);
  json.EndObject();
  return writeSafetensors(path, tensors, {{metadataKey, buffer.GetString()}});
}

} // namespace moec::weights
