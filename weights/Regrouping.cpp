// Other clusters for the experts of an archive, and the archive that follows
// from them. Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/Regrouping.h"

#include "weights/CachedStatistics.h"
#include "weights/Prototypes.h"

#include <algorithm>
#include <cstdio>
#include <list>
#include <utility>

namespace moec::weights {

namespace {

std::string numberText(double number) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", number);
  return text;
}

} // namespace

//===----------------------------------------------------------------------===//
// One regroup
//===----------------------------------------------------------------------===//

class Regrouper::Run {
public:
  Run(Regrouper &regrouper, const Archive &archive, const Profile &traffic,
      const std::string &to)
      : regrouper(regrouper), options(regrouper.options), archive(archive),
        traffic(traffic), to(to), records(archive) {}

  Result<RegroupReport> run();

private:
  Status checkSources() const;
  Status checkStop() const {
    return options.stop.stop_requested() ? Error{"stopped"} : success();
  }
  Result<std::vector<double>> similarityOf(const ClusteredLayer &layer,
                                           const LayerProfile &seen);
  Result<Clustering> findClusters(const ClusteredLayer &layer,
                                  std::span<const double> similarity) const;

  Status regroupLayer(const ClusteredLayer &layer, RegroupedLayer &result);
  Result<std::optional<std::vector<int32_t>>>
  propose(const ClusteredLayer &layer, const LayerProfile &seen,
          RegroupedLayer &result);
  Status apply(const ClusteredLayer &layer, std::vector<int32_t> table,
               RegroupedLayer &result);
  Result<bool> staysWithinErrors(const ClusterChange &change,
                                 RegroupedLayer &result) const;
  Status learnPrototypes(const ClusteredLayer &layer, const LayerProfile &seen,
                         const std::vector<int32_t> &table,
                         RegroupedLayer &result);

  Status openWriter();
  Result<TensorContent> contentOf(const ClusterChange *change,
                                  const ArchiveTensor &tensor) const;
  Status writeRecord(size_t index, const ClusterChange *change);
  Status writeMatrices(const ClusterChange &change);
  Status writeRest();

  Regrouper &regrouper;
  const RegroupOptions &options;
  const Archive &archive;
  const Profile &traffic;
  const std::string &to;
  std::optional<ArchiveWriter> writer;
  /// New tables and prototypes, by tensor: of records that several layers'
  /// changes meet in, which are written last.
  std::map<std::string, StoredTensor> small;
  CheckedRecords records;
  RegroupReport report;
};

/// That the originals are what the archive was made from, and the traffic is
/// that of this model.
Status Regrouper::Run::checkSources() const {
  const std::string &source = archive.header().source.hash;
  auto compare = [&](const std::string &what, const std::string &hash) {
    if (hash == source)
      return success();
    return Status(Error{archive.path() + ": expected " + what +
                        " of the model that it was made from, '" + source +
                        "', found that of '" + hash + "'"});
  };
  if (regrouper.originals)
    if (Status status = compare("the checkpoint", regrouper.originals->hash);
        !status)
      return status;
  return compare("a profile", traffic.model);
}

//===----------------------------------------------------------------------===//
// New clusters
//===----------------------------------------------------------------------===//

Result<std::vector<double>>
Regrouper::Run::similarityOf(const ClusteredLayer &layer,
                             const LayerProfile &seen) {
  auto known = regrouper.ofWeights.find(layer.number);
  if (known == regrouper.ofWeights.end()) {
    // In the order of the layer's computation, as compilation compares them.
    std::vector<MatrixSourcePtr> sources;
    for (const char *role : {"gate", "up", "down"})
      for (const ClusteredMatrix &matrix : layer.matrices)
        if (matrix.role == role) {
          Result<MatrixSourcePtr> of =
              openOriginal(*regrouper.originals, layer, matrix);
          if (!of)
            return Error{of.error()};
          sources.push_back(*of);
        }
    SimilarityOptions similarity;
    similarity.removeMean = true;
    similarity.parallel = options.parallel;
    auto computed =
        cachedSimilarityOfWeights(options.cache, sources, similarity);
    if (!computed)
      return Error{computed.error()};
    known = regrouper.ofWeights
                .try_emplace(layer.number, std::move(computed->value))
                .first;
  }
  Result<Similarity> centroids =
      similarityOfCentroids(layer.experts, seen.centroids);
  if (!centroids)
    return Error{centroids.error()};
  return combineSimilarities(options.alpha, known->second, *centroids);
}

/// As when the archive was compiled: the same traffic gives the same clusters,
/// whatever they are now, so that what was regrouped finds its way back.
Result<Clustering>
Regrouper::Run::findClusters(const ClusteredLayer &layer,
                             std::span<const double> similarity) const {
  ClusteringOptions clustering;
  clustering.clusters = layer.clusters;
  clustering.seed = options.seed;
  clustering.threshold = options.threshold;
  if (options.slack > 0)
    clustering.maxSize =
        balancedSize(layer.experts, layer.clusters, options.slack);
  return clusterExperts(layer.experts, similarity, clustering);
}

/// The table of clusters that gain enough; nothing, with a reason in `result`,
/// if there are none.
Result<std::optional<std::vector<int32_t>>>
Regrouper::Run::propose(const ClusteredLayer &layer, const LayerProfile &seen,
                        RegroupedLayer &result) {
  if (!regrouper.originals) {
    result.reason = "no originals: clusters stay, only prototypes can change";
    return std::optional<std::vector<int32_t>>();
  }
  Result<std::vector<double>> similarity = similarityOf(layer, seen);
  if (!similarity)
    return Error{similarity.error()};
  Result<Clustering> now =
      describeClustering(layer.experts, *similarity, layer.table);
  if (!now)
    return Error{now.error()};
  Result<Clustering> found = findClusters(layer, *similarity);
  if (!found)
    return Error{found.error()};
  result.objective = now->objective;
  result.objectiveFound = found->objective;
  double gain = found->objective - now->objective;
  if (!(gain > options.minGain)) {
    result.reason = "expected a gain of more than " +
                    numberText(options.minGain) + ", found " + numberText(gain);
    return std::optional<std::vector<int32_t>>();
  }
  return std::optional(std::move(found->table));
}

Result<bool> Regrouper::Run::staysWithinErrors(const ClusterChange &change,
                                               RegroupedLayer &result) const {
  for (size_t role = 0; role < change.of().matrices.size(); ++role) {
    Result<double> bound = options.maxError;
    if (*bound == 0)
      bound = change.largestErrorNow(role);
    if (!bound)
      return Error{bound.error()};
    Result<double> largest = change.largestErrorThen(role);
    if (!largest)
      return Error{largest.error()};
    // As shares of their bounds, which may be 0.
    if (result.errorBound == 0 ||
        *largest * result.errorBound >= result.largestError * *bound) {
      result.largestError = *largest;
      result.errorBound = *bound;
    }
    if (*largest > *bound) {
      result.reason = "expected relative errors of " +
                      change.of().matrices[role].role + " up to " +
                      numberText(*bound) + ", found " + numberText(*largest);
      return false;
    }
    if (Status status = checkStop(); !status)
      return Error{status.error()};
  }
  return true;
}

//===----------------------------------------------------------------------===//
// Layers
//===----------------------------------------------------------------------===//

/// Prototypes of these clusters, where the traffic says enough and gives others
/// than there are.
Status Regrouper::Run::learnPrototypes(const ClusteredLayer &layer,
                                       const LayerProfile &seen,
                                       const std::vector<int32_t> &table,
                                       RegroupedLayer &result) {
  if (layer.prototypes.empty())
    return success();
  Result<std::vector<float>> learned =
      weights::learnPrototypes(seen, table, layer.clusters);
  if (!learned)
    return Error{archive.path() + ": prototypes of " + layer.name + ": " +
                 learned.error()};
  for (const std::string &name : layer.prototypes) {
    const ArchiveTensor &tensor = *archive.findTensor(name);
    Result<StoredTensor> stored = storeFloats(tensor.form, *learned);
    if (!stored)
      return Error{archive.path() + ": " + name + ": " + stored.error()};
    if (isSame(*stored, archive.bytes(tensor)))
      continue;
    result.hasNewPrototypes = true;
    small.emplace(name, *std::move(stored));
  }
  return success();
}

Status Regrouper::Run::regroupLayer(const ClusteredLayer &layer,
                                    RegroupedLayer &result) {
  auto seen = traffic.layers.find(layer.number);
  if (seen == traffic.layers.end() || seen->second.tokens == 0) {
    result.reason = "no traffic of this layer";
    return success();
  }
  if (seen->second.experts != layer.experts)
    return Error{archive.path() + ": expected traffic of " +
                 std::to_string(layer.experts) + " experts of " + layer.name +
                 ", found that of " + std::to_string(seen->second.experts)};
  auto proposed = propose(layer, seen->second, result);
  if (!proposed)
    return Error{proposed.error()};
  if (!*proposed)
    return learnPrototypes(layer, seen->second, layer.table, result);
  if (Status status = apply(layer, **proposed, result); !status)
    return status;
  return learnPrototypes(layer, seen->second,
                         result.isRegrouped ? **proposed : layer.table, result);
}

/// Gives the layer the clusters of the table, if errors stay within their
/// bounds.
Status Regrouper::Run::apply(const ClusteredLayer &layer,
                             std::vector<int32_t> table,
                             RegroupedLayer &result) {
  ChangeWork work{options.parallel, options.stop};
  auto open = [&](std::vector<int32_t> clusters) {
    return ClusterChange::create(archive, layer, *regrouper.originals,
                                 std::move(clusters), work);
  };
  Result<ClusterChange> present = open(layer.table);
  if (!present)
    return Error{present.error()};
  if (Status status = present->checkRecipe(records); !status)
    return status;
  Result<ClusterChange> change = open(std::move(table));
  if (!change)
    return Error{change.error()};
  result.movedExperts = int64_t(change->movedExperts().size());
  if (Status status = change->factorize(); !status)
    return status;
  Result<bool> isWithin = staysWithinErrors(*change, result);
  if (!isWithin)
    return Error{isWithin.error()};
  if (!*isWithin)
    return success();
  result.isRegrouped = true;
  for (const std::string &name : layer.tables) {
    Result<StoredTensor> stored =
        storeIntegers(archive.findTensor(name)->form,
                      std::vector<int64_t>(change->newTable().begin(),
                                           change->newTable().end()));
    if (!stored)
      return Error{archive.path() + ": " + name + ": " + stored.error()};
    small.emplace(name, *std::move(stored));
  }
  return writeMatrices(*change);
}

//===----------------------------------------------------------------------===//
// The new archive
//===----------------------------------------------------------------------===//

Status Regrouper::Run::openWriter() {
  if (writer)
    return success();
  // All generations have one plan, so what another run left may be of other
  // clusters: it is not gone on with.
  for (int attempt = 0; attempt < 2; ++attempt) {
    Result<ArchiveWriter> opened =
        ArchiveWriter::open(to, archive.header(), options.calls);
    if (!opened)
      return Error{opened.error()};
    bool isFresh = true;
    for (size_t i = 0; i < archive.records().size(); ++i)
      isFresh &= !opened->isWritten(i);
    if (isFresh) {
      writer.emplace(*std::move(opened));
      return success();
    }
    opened->discard();
  }
  return Error{to + ": expected to write it alone, found records of another "
                    "run again and again"};
}

Result<TensorContent>
Regrouper::Run::contentOf(const ClusterChange *change,
                          const ArchiveTensor &tensor) const {
  if (auto made = small.find(tensor.name); made != small.end())
    return TensorContent{made->second, ""};
  if (change)
    return change->contentOf(tensor);
  return TensorContent{std::nullopt, tensor.name};
}

Status Regrouper::Run::writeRecord(size_t index, const ClusterChange *change) {
  if (Status status = checkStop(); !status)
    return status;
  // A list: views point into it.
  std::list<StoredTensor> made;
  std::vector<StoredTensorView> views;
  for (const ArchiveTensor &tensor : archive.records()[index].tensors) {
    if (tensor.splat)
      continue;
    Result<TensorContent> content = contentOf(change, tensor);
    if (!content)
      return Error{content.error()};
    if (content->made) {
      made.push_back(*std::move(content->made));
      views.push_back(made.back());
      continue;
    }
    const ArchiveTensor &from = *archive.findTensor(content->copied);
    if (Status status = records.check(from); !status)
      return status;
    views.push_back(archive.bytes(from));
  }
  ++(made.empty() ? report.recordsCopied : report.recordsComputed);
  return writer->write(index, views);
}

/// The records of the layer's clusters and experts.
Status Regrouper::Run::writeMatrices(const ClusterChange &change) {
  if (Status status = openWriter(); !status)
    return status;
  for (size_t i = 0; i < archive.records().size(); ++i)
    if (archive.records()[i].name.starts_with(change.of().name + "."))
      if (Status status = writeRecord(i, &change); !status)
        return status;
  return success();
}

/// What no change of a layer wrote, if there is anything new.
Status Regrouper::Run::writeRest() {
  if (!writer && small.empty())
    return success();
  if (Status status = openWriter(); !status)
    return status;
  for (size_t i = 0; i < archive.records().size(); ++i)
    if (!writer->isWritten(i))
      if (Status status = writeRecord(i, nullptr); !status)
        return status;
  if (Status status = writer->finish(); !status)
    return status;
  report.isWritten = true;
  return success();
}

Result<RegroupReport> Regrouper::Run::run() {
  if (Status status = checkSources(); !status)
    return Error{status.error()};
  Result<std::vector<ClusteredLayer>> layers = findClusteredLayers(archive);
  if (!layers)
    return Error{layers.error()};
  Status status = success();
  for (const ClusteredLayer &layer : *layers) {
    RegroupedLayer result;
    result.name = layer.name;
    status = checkStop();
    if (status)
      status = regroupLayer(layer, result);
    if (!status)
      break;
    report.layers.push_back(std::move(result));
  }
  if (status)
    status = writeRest();
  if (status)
    return std::move(report);
  // Nobody goes on with what a failed run left.
  if (writer)
    writer->discard();
  return Error{status.error()};
}

//===----------------------------------------------------------------------===//
// The regrouper
//===----------------------------------------------------------------------===//

std::string describe(const RegroupedLayer &layer) {
  std::string text = layer.name + ": ";
  text += layer.isRegrouped
              ? std::to_string(layer.movedExperts) + " experts in new clusters"
              : "clusters stay: " + layer.reason;
  if (layer.objectiveFound > 0)
    text += "; J " + numberText(layer.objective) + ", of the best found " +
            numberText(layer.objectiveFound);
  if (layer.errorBound > 0)
    text += "; largest error " + numberText(layer.largestError) +
            " of at most " + numberText(layer.errorBound);
  if (layer.hasNewPrototypes)
    text += "; prototypes learned anew";
  return text;
}

Result<Regrouper> Regrouper::create(std::optional<OriginalMatrices> originals,
                                    RegroupOptions options) {
  if (!(options.alpha >= 0 && options.alpha <= 1))
    return Error{"expected alpha from 0 to 1, found " +
                 numberText(options.alpha)};
  struct {
    const char *name;
    double value;
  } const atLeastZero[] = {{"slack", options.slack},
                           {"least gain", options.minGain},
                           {"bound on errors", options.maxError}};
  for (const auto &option : atLeastZero)
    if (!(option.value >= 0))
      return Error{std::string("expected a ") + option.name +
                   " of 0 or more, found " + numberText(option.value)};
  return Regrouper(std::move(originals), std::move(options));
}

Result<RegroupReport> Regrouper::regroup(const std::string &from,
                                         const Profile &traffic,
                                         const std::string &to) {
  Result<Archive> archive = Archive::open(from);
  if (!archive)
    return Error{archive.error()};
  return Run(*this, *archive, traffic, to).run();
}

} // namespace moec::weights
