// Other clusters for the experts of an archive, and the archive that follows
// from them. Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/Regrouping.h"

#include "weights/CachedStatistics.h"
#include "weights/ExpertFactors.h"
#include "weights/Prototypes.h"
#include "weights/Recipes.h"

#include <algorithm>
#include <cstdio>
#include <list>
#include <mutex>
#include <set>
#include <utility>

namespace moec::weights {

namespace {

std::string numberText(double number) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", number);
  return text;
}

//===----------------------------------------------------------------------===//
// Matrices of a role
//===----------------------------------------------------------------------===//

/// Matrices that a function loads one at a time.
class LoadedMatrices final : public MatrixSource {
public:
  using Load = std::function<Result<std::vector<float>>(int64_t entry)>;

  LoadedMatrices(std::string name, const MatrixShape &shape, Load load)
      : MatrixSource(std::move(name), shape), load(std::move(load)) {}

private:
  Status doRead(int64_t entry, std::span<float> values) const override {
    Result<std::vector<float>> loaded = load(entry);
    if (!loaded)
      return Error{loaded.error()};
    std::copy(loaded->begin(), loaded->end(), values.begin());
    return success();
  }

  Load load;
};

/// The values as they are once they were stored so.
Result<MatrixSourcePtr> storedAs(const std::string &name, MatrixSourcePtr of,
                                 const Encoding &encoding) {
  if (encoding == Encoding())
    return of;
  return encodedMatrices(name, std::move(of), encoding);
}

/// What a role's matrices are made of for one table of clusters, as
/// moe-factorize-experts makes them (docs/factorization.md).
struct RoleSources {
  const ClusteredMatrix *matrix = nullptr;
  MatrixSourcePtr originals;
  /// Of each cluster, before it is encoded, and as residuals see it.
  MatrixSourcePtr mean;
  MatrixSourcePtr base;
  /// Before they are encoded; null without factors.
  LowRankSources factors;
};

Result<StoredTensor> store(const MatrixSource &source, int64_t entry,
                           const TensorForm &form) {
  Result<EncodedTensor> encoded = source.readEncoded(entry, *form.encoding());
  if (!encoded)
    return Error{encoded.error()};
  return storeEncoded(form, *std::move(encoded));
}

bool isSame(const StoredTensorView &a, const StoredTensorView &b) {
  auto equal = [](std::span<const uint8_t> x, std::span<const uint8_t> y) {
    return std::equal(x.begin(), x.end(), y.begin(), y.end());
  };
  return equal(a.codes, b.codes) && equal(a.scales, b.scales) &&
         equal(a.zeroPoints, b.zeroPoints);
}

/// For each cluster of `to` the cluster of `from` that has the same members, or
/// -1.
std::vector<int32_t> sameClusters(const ClusteredLayer &layer,
                                  const std::vector<int32_t> &to) {
  auto membersOf = [&](const std::vector<int32_t> &table) {
    std::vector<std::vector<size_t>> members{size_t(layer.clusters)};
    for (size_t expert = 0; expert < table.size(); ++expert)
      members[size_t(table[expert])].push_back(expert);
    return members;
  };
  std::map<std::vector<size_t>, int32_t> known;
  int32_t number = 0;
  for (std::vector<size_t> &members : membersOf(layer.table))
    known.emplace(std::move(members), number++);
  std::vector<int32_t> same;
  for (const std::vector<size_t> &members : membersOf(to)) {
    auto place = known.find(members);
    same.push_back(place == known.end() ? -1 : place->second);
  }
  return same;
}

/// A layer's new clusters, and what is new of its tensors.
struct LayerChange {
  const ClusteredLayer *layer = nullptr;
  std::vector<int32_t> table;
  /// sameClusters(layer, table).
  std::vector<int32_t> sameAs;
  std::vector<RoleSources> roles;
  /// Factors of the experts of clusters that are new, by tensor.
  std::map<std::string, StoredTensor> factors;

  bool isMoved(int64_t expert) const {
    return sameAs[size_t(table[size_t(expert)])] < 0;
  }
  std::vector<int64_t> movedExperts() const {
    std::vector<int64_t> experts;
    for (int64_t expert = 0; expert < layer->experts; ++expert)
      if (isMoved(expert))
        experts.push_back(expert);
    return experts;
  }
};

/// The bytes of a tensor: made here, or those of a tensor of the old archive.
struct TensorContent {
  std::optional<StoredTensor> made;
  std::string copied;
};

} // namespace

//===----------------------------------------------------------------------===//
// One regroup
//===----------------------------------------------------------------------===//

class Regrouper::Run {
public:
  Run(Regrouper &regrouper, const Archive &archive, const Profile &traffic,
      const std::string &to)
      : regrouper(regrouper), options(regrouper.options), archive(archive),
        traffic(traffic), to(to) {}

  Result<RegroupReport> run();

private:
  Status checkSources() const;
  Status checkStop() const {
    return options.stop.stop_requested() ? Error{"stopped"} : success();
  }
  Result<MatrixSourcePtr> openOriginals(const ClusteredLayer &layer,
                                        const ClusteredMatrix &matrix) const;
  Result<RoleSources> sourcesOf(const ClusteredLayer &layer,
                                const ClusteredMatrix &matrix,
                                const std::vector<int32_t> &table) const;
  Result<std::vector<double>> similarityOf(const ClusteredLayer &layer,
                                           const LayerProfile &seen);
  Result<Clustering> findClusters(const ClusteredLayer &layer,
                                  std::span<const double> similarity) const;

  Status regroupLayer(const ClusteredLayer &layer, RegroupedLayer &result);
  Result<std::optional<std::vector<int32_t>>>
  propose(const ClusteredLayer &layer, const LayerProfile &seen,
          RegroupedLayer &result);
  Status checkRecipe(const ClusteredLayer &layer) const;
  Status checkTensor(const MatrixSource &source, int64_t entry,
                     const std::string &name) const;
  Status factorize(LayerChange &change) const;
  Result<bool> staysWithinErrors(const LayerChange &change,
                                 RegroupedLayer &result) const;
  Result<ErrorReport> errorsNow(const ClusteredLayer &layer,
                                const RoleSources &role) const;
  Result<ErrorReport> errorsThen(const LayerChange &change,
                                 const RoleSources &role) const;
  Status learnPrototypes(const ClusteredLayer &layer, const LayerProfile &seen,
                         const std::vector<int32_t> &table,
                         RegroupedLayer &result);

  Status verify(const ArchiveTensor &tensor) const;
  Status openWriter();
  Result<TensorContent> contentOf(const LayerChange *change,
                                  const ArchiveTensor &tensor) const;
  Status writeRecord(size_t index, const LayerChange *change);
  Status writeMatrices(const LayerChange &change);
  Status writeRest();

  Result<std::vector<float>> decode(const std::string &name) const {
    return archive.decode(*archive.findTensor(name));
  }

  Regrouper &regrouper;
  const RegroupOptions &options;
  const Archive &archive;
  const Profile &traffic;
  const std::string &to;
  std::optional<ArchiveWriter> writer;
  /// New tables and prototypes, by tensor: of records that several layers'
  /// changes meet in, which are written last.
  std::map<std::string, StoredTensor> small;
  /// Records that have the hash they should have.
  mutable std::mutex verifying;
  mutable std::set<const ArchiveRecord *> verified;
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
// What a layer's tensors are made from
//===----------------------------------------------------------------------===//

/// As compilation reads them: in this order of values similarities have the
/// same bits.
Result<MatrixSourcePtr>
Regrouper::Run::openOriginals(const ClusteredLayer &layer,
                              const ClusteredMatrix &matrix) const {
  std::string key =
      "layers." + std::to_string(layer.number) + "." + matrix.role;
  const int64_t shape[] = {layer.experts, matrix.rows(), matrix.cols()};
  Result<MatrixSourcePtr> of =
      regrouper.originals->source->openMatrices(key, key, shape);
  if (!of)
    return of;
  Result<Format> format =
      regrouper.originals->formatOf(layer.number, matrix.role);
  if (!format)
    return Error{format.error()};
  Encoding encoding;
  encoding.format = *format;
  return storedAs(key, *std::move(of), encoding);
}

Result<RoleSources>
Regrouper::Run::sourcesOf(const ClusteredLayer &layer,
                          const ClusteredMatrix &matrix,
                          const std::vector<int32_t> &table) const {
  RoleSources role;
  role.matrix = &matrix;
  Result<MatrixSourcePtr> of = openOriginals(layer, matrix);
  if (!of)
    return Error{of.error()};
  role.originals = *of;
  std::string name = layer.name + "." + matrix.role;
  Result<MatrixSourcePtr> mean =
      meanMatrices(name + ".base", role.originals, table, layer.clusters);
  if (!mean)
    return Error{mean.error()};
  role.mean = *mean;
  mean = storedAs(name + ".base", *std::move(mean), *matrix.base.encoding());
  if (!mean)
    return Error{mean.error()};
  Result<int64_t> threads = threadsOf(options.parallel);
  if (!threads)
    return Error{threads.error()};
  // Experts of one cluster follow each other.
  role.base = cachedMatrices(*std::move(mean), *threads + 1);
  if (!matrix.rank())
    return role;
  ResidualOptions residual;
  residual.factorization.rank = matrix.rank();
  Result<LowRankSources> factors =
      residualFactors(name, role.originals, role.base, table, residual,
                      std::max<int64_t>(*threads, 4));
  if (!factors)
    return Error{factors.error()};
  role.factors = *std::move(factors);
  return role;
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
          Result<MatrixSourcePtr> of = openOriginals(layer, matrix);
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

//===----------------------------------------------------------------------===//
// Whether they may be
//===----------------------------------------------------------------------===//

/// Compares what the sources give with a tensor of the archive.
Status Regrouper::Run::checkTensor(const MatrixSource &source, int64_t entry,
                                   const std::string &name) const {
  const ArchiveTensor &tensor = *archive.findTensor(name);
  if (Status status = verify(tensor); !status)
    return status;
  Result<StoredTensor> made = store(source, entry, tensor.form);
  if (!made)
    return Error{made.error()};
  if (isSame(*made, archive.bytes(tensor)))
    return success();
  return Error{archive.path() + ": expected '" + name +
               "' to be what the originals give with base=mean and "
               "residual=svd, found other bytes: the archive was made with "
               "other options, or on a machine that rounds otherwise"};
}

/// Makes all bases and an expert anew in their present clusters: what does not
/// give the archive's bytes would not lead back to them either.
Status Regrouper::Run::checkRecipe(const ClusteredLayer &layer) const {
  for (const ClusteredMatrix &matrix : layer.matrices) {
    Result<RoleSources> role = sourcesOf(layer, matrix, layer.table);
    if (!role)
      return Error{role.error()};
    Status status = parallelFor(
        layer.clusters, options.parallel, [&](int64_t cluster) -> Status {
          if (Status stopped = checkStop(); !stopped)
            return stopped;
          return checkTensor(*role->mean, cluster,
                             layer.baseName(cluster, matrix.role));
        });
    if (status && matrix.rank())
      status = checkTensor(*role->factors.input, 0,
                           layer.factorName(0, matrix.role, "a"));
    if (status && matrix.rank())
      status = checkTensor(*role->factors.output, 0,
                           layer.factorName(0, matrix.role, "b"));
    if (!status)
      return status;
  }
  return success();
}

/// Factors of all experts whose cluster is new.
Status Regrouper::Run::factorize(LayerChange &change) const {
  const ClusteredLayer &layer = *change.layer;
  std::vector<int64_t> experts = change.movedExperts();
  std::sort(experts.begin(), experts.end(), [&](int64_t a, int64_t b) {
    return std::pair(change.table[size_t(a)], a) <
           std::pair(change.table[size_t(b)], b);
  });
  std::mutex mutex;
  auto add = [&](const MatrixSource &source, int64_t expert,
                 const TensorForm &form, std::string name) -> Status {
    Result<StoredTensor> made = store(source, expert, form);
    if (!made)
      return Error{made.error()};
    std::lock_guard lock(mutex);
    change.factors.emplace(std::move(name), *std::move(made));
    return success();
  };
  for (const RoleSources &role : change.roles) {
    if (!role.matrix->rank())
      continue;
    Status status = parallelFor(
        int64_t(experts.size()), options.parallel,
        [&](int64_t place) -> Status {
          int64_t expert = experts[size_t(place)];
          const ClusteredMatrix &matrix = *role.matrix;
          if (Status stopped = checkStop(); !stopped)
            return stopped;
          if (Status made = add(*role.factors.input, expert, *matrix.input,
                                layer.factorName(expert, matrix.role, "a"));
              !made)
            return made;
          return add(*role.factors.output, expert, *matrix.output,
                     layer.factorName(expert, matrix.role, "b"));
        });
    if (!status)
      return status;
  }
  return success();
}

/// Errors of the archive's matrices.
Result<ErrorReport> Regrouper::Run::errorsNow(const ClusteredLayer &layer,
                                              const RoleSources &role) const {
  const ClusteredMatrix &matrix = *role.matrix;
  auto sourceOf = [&](int64_t entries, const TensorForm &form, auto nameOf) {
    return std::make_shared<LoadedMatrices>(
        layer.name + "." + matrix.role,
        MatrixShape{entries, form.shape[0], form.shape[1]},
        [this, nameOf](int64_t entry) { return decode(nameOf(entry)); });
  };
  auto factor = [&](const TensorForm &form, const char *side) {
    return sourceOf(layer.experts, form, [&layer, &matrix, side](int64_t e) {
      return layer.factorName(e, matrix.role, side);
    });
  };
  MatrixSourcePtr bases =
      sourceOf(layer.clusters, matrix.base, [&layer, &matrix](int64_t c) {
        return layer.baseName(c, matrix.role);
      });
  LowRankSources factors;
  if (matrix.rank())
    factors = {factor(*matrix.input, "a"), factor(*matrix.output, "b")};
  return measureExperts(role.originals, bases, layer.table, factors, {},
                        options.parallel);
}

/// Errors of what the matrices will be.
Result<ErrorReport> Regrouper::Run::errorsThen(const LayerChange &change,
                                               const RoleSources &role) const {
  const ClusteredLayer &layer = *change.layer;
  const ClusteredMatrix &matrix = *role.matrix;
  auto factor = [&](const TensorForm &form, const char *side) {
    return std::make_shared<LoadedMatrices>(
        layer.name + "." + matrix.role,
        MatrixShape{layer.experts, form.shape[0], form.shape[1]},
        [this, &change, &layer, &matrix, &form, side](int64_t expert) {
          std::string name = layer.factorName(expert, matrix.role, side);
          auto made = change.factors.find(name);
          return made == change.factors.end() ? decode(name)
                                              : loadFloats(form, made->second);
        });
  };
  Result<MatrixSourcePtr> bases =
      storedAs(layer.name + "." + matrix.role + ".base", role.mean,
               *matrix.base.encoding());
  if (!bases)
    return Error{bases.error()};
  LowRankSources factors;
  if (matrix.rank())
    factors = {factor(*matrix.input, "a"), factor(*matrix.output, "b")};
  return measureExperts(role.originals, *bases, change.table, factors, {},
                        options.parallel);
}

Result<bool> Regrouper::Run::staysWithinErrors(const LayerChange &change,
                                               RegroupedLayer &result) const {
  for (const RoleSources &role : change.roles) {
    double bound = options.maxError;
    if (bound == 0) {
      Result<ErrorReport> now = errorsNow(*change.layer, role);
      if (!now)
        return Error{now.error()};
      bound = now->maxRelative();
    }
    Result<ErrorReport> then = errorsThen(change, role);
    if (!then)
      return Error{then.error()};
    double largest = then->maxRelative();
    // As shares of their bounds, which may be 0.
    if (result.errorBound == 0 ||
        largest * result.errorBound >= result.largestError * bound) {
      result.largestError = largest;
      result.errorBound = bound;
    }
    if (largest > bound) {
      result.reason = "expected relative errors of " + role.matrix->role +
                      " up to " + numberText(bound) + ", found " +
                      numberText(largest);
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
  LayerChange change;
  change.layer = &layer;
  change.table = **std::move(proposed);
  change.sameAs = sameClusters(layer, change.table);
  result.movedExperts = int64_t(change.movedExperts().size());
  if (Status status = checkRecipe(layer); !status)
    return status;
  for (const ClusteredMatrix &matrix : layer.matrices) {
    Result<RoleSources> role = sourcesOf(layer, matrix, change.table);
    if (!role)
      return Error{role.error()};
    change.roles.push_back(*std::move(role));
  }
  if (Status status = factorize(change); !status)
    return status;
  Result<bool> isWithin = staysWithinErrors(change, result);
  if (!isWithin)
    return Error{isWithin.error()};
  if (!*isWithin)
    return learnPrototypes(layer, seen->second, layer.table, result);

  result.isRegrouped = true;
  if (Status status =
          learnPrototypes(layer, seen->second, change.table, result);
      !status)
    return status;
  for (const std::string &name : layer.tables) {
    Result<StoredTensor> stored = storeIntegers(
        archive.findTensor(name)->form,
        std::vector<int64_t>(change.table.begin(), change.table.end()));
    if (!stored)
      return Error{archive.path() + ": " + name + ": " + stored.error()};
    small.emplace(name, *std::move(stored));
  }
  return writeMatrices(change);
}

//===----------------------------------------------------------------------===//
// The new archive
//===----------------------------------------------------------------------===//

/// Whether the tensor's record is what was written: other bytes would get a
/// new, good hash.
Status Regrouper::Run::verify(const ArchiveTensor &tensor) const {
  const ArchiveRecord *record = archive.recordOf(tensor);
  {
    std::lock_guard lock(verifying);
    if (verified.count(record))
      return success();
  }
  Status status = archive.verify(*record);
  std::lock_guard lock(verifying);
  if (status)
    verified.insert(record);
  return status;
}

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
Regrouper::Run::contentOf(const LayerChange *change,
                          const ArchiveTensor &tensor) const {
  TensorContent content;
  if (auto made = small.find(tensor.name); made != small.end())
    content.made = made->second;
  else
    content.copied = tensor.name;
  if (!change)
    return content;
  if (auto made = change->factors.find(tensor.name);
      made != change->factors.end())
    content.made = made->second;
  const ClusteredLayer &layer = *change->layer;
  for (const RoleSources &role : change->roles)
    for (int64_t cluster = 0; cluster < layer.clusters; ++cluster) {
      const std::string &name = role.matrix->role;
      if (tensor.name != layer.baseName(cluster, name))
        continue;
      if (int32_t same = change->sameAs[size_t(cluster)]; same >= 0) {
        content.copied = layer.baseName(same, name);
        continue;
      }
      Result<StoredTensor> made = store(*role.mean, cluster, tensor.form);
      if (!made)
        return Error{made.error()};
      content.made = *std::move(made);
    }
  return content;
}

Status Regrouper::Run::writeRecord(size_t index, const LayerChange *change) {
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
    if (Status status = verify(from); !status)
      return status;
    views.push_back(archive.bytes(from));
  }
  ++(made.empty() ? report.recordsCopied : report.recordsComputed);
  return writer->write(index, views);
}

/// The records of the layer's clusters and experts.
Status Regrouper::Run::writeMatrices(const LayerChange &change) {
  if (Status status = openWriter(); !status)
    return status;
  for (size_t i = 0; i < archive.records().size(); ++i)
    if (archive.records()[i].name.starts_with(change.layer->name + "."))
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
