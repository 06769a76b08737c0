// A layer's matrices for other clusters, made from its originals.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/ClusterChange.h"

#include "weights/ExpertFactors.h"

#include <algorithm>
#include <utility>

namespace moec::weights {

namespace {

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

Result<StoredTensor> store(const MatrixSource &source, int64_t entry,
                           const TensorForm &form) {
  Result<EncodedTensor> encoded = source.readEncoded(entry, *form.encoding());
  if (!encoded)
    return Error{encoded.error()};
  return storeEncoded(form, *std::move(encoded));
}

/// For each cluster of `to` the cluster of the layer that has the same members,
/// or -1.
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

/// A role's factors of all experts, loaded by the names of their tensors.
LowRankSources
loadedFactors(const ClusteredLayer &layer, const ClusteredMatrix &matrix,
              std::function<Result<std::vector<float>>(const std::string &name,
                                                       const TensorForm &form)>
                  load) {
  if (!matrix.rank())
    return {};
  auto side = [&](const TensorForm &form, const char *which) {
    return std::make_shared<LoadedMatrices>(
        layer.name + "." + matrix.role,
        MatrixShape{layer.experts, form.shape[0], form.shape[1]},
        [&layer, &matrix, &form, load, which](int64_t expert) {
          return load(layer.factorName(expert, matrix.role, which), form);
        });
  };
  return {side(*matrix.input, "a"), side(*matrix.output, "b")};
}

} // namespace

Result<MatrixSourcePtr> openOriginal(const OriginalMatrices &originals,
                                     const ClusteredLayer &layer,
                                     const ClusteredMatrix &matrix) {
  std::string key =
      "layers." + std::to_string(layer.number) + "." + matrix.role;
  const int64_t shape[] = {layer.experts, matrix.rows(), matrix.cols()};
  Result<MatrixSourcePtr> of = originals.source->openMatrices(key, key, shape);
  if (!of)
    return of;
  Result<Format> format = originals.formatOf(layer.number, matrix.role);
  if (!format)
    return Error{format.error()};
  Encoding encoding;
  encoding.format = *format;
  return storedAs(key, *std::move(of), encoding);
}

bool isSame(const StoredTensorView &a, const StoredTensorView &b) {
  auto equal = [](std::span<const uint8_t> x, std::span<const uint8_t> y) {
    return std::equal(x.begin(), x.end(), y.begin(), y.end());
  };
  return equal(a.codes, b.codes) && equal(a.scales, b.scales) &&
         equal(a.zeroPoints, b.zeroPoints);
}

Status CheckedRecords::check(const ArchiveTensor &tensor) {
  const ArchiveRecord *record = archive.recordOf(tensor);
  {
    std::lock_guard lock(mutex);
    if (checked.count(record))
      return success();
  }
  Status status = archive.verify(*record);
  std::lock_guard lock(mutex);
  if (status)
    checked.insert(record);
  return status;
}

//===----------------------------------------------------------------------===//
// What it is made from
//===----------------------------------------------------------------------===//

ClusterChange::ClusterChange(const Archive &archive,
                             const ClusteredLayer &layer,
                             std::vector<int32_t> table, const ChangeWork &work)
    : archive(&archive), layer(&layer), table(std::move(table)), work(work),
      sameAs(sameClusters(layer, this->table)) {}

Result<ClusterChange> ClusterChange::create(const Archive &archive,
                                            const ClusteredLayer &layer,
                                            const OriginalMatrices &originals,
                                            std::vector<int32_t> table,
                                            const ChangeWork &work) {
  ClusterChange change(archive, layer, std::move(table), work);
  for (const ClusteredMatrix &matrix : layer.matrices) {
    Result<Role> role = change.makeRole(originals, matrix);
    if (!role)
      return Error{role.error()};
    change.roles.push_back(*std::move(role));
  }
  return change;
}

Result<ClusterChange::Role>
ClusterChange::makeRole(const OriginalMatrices &originals,
                        const ClusteredMatrix &matrix) const {
  Role role;
  role.matrix = &matrix;
  Result<MatrixSourcePtr> of = openOriginal(originals, *layer, matrix);
  if (!of)
    return Error{of.error()};
  role.originals = *of;
  std::string name = layer->name + "." + matrix.role;
  Result<MatrixSourcePtr> mean =
      meanMatrices(name + ".base", role.originals, table, layer->clusters);
  if (!mean)
    return Error{mean.error()};
  role.mean = *mean;
  mean = storedAs(name + ".base", *std::move(mean), *matrix.base.encoding());
  if (!mean)
    return Error{mean.error()};
  Result<int64_t> threads = threadsOf(work.parallel);
  if (!threads)
    return Error{threads.error()};
  // Experts of one cluster follow each other.
  role.base = cachedMatrices(*std::move(mean), *threads + 1);
  if (!matrix.rank())
    return role;
  ResidualOptions residual;
  residual.factorization.rank = matrix.rank();
  Result<LowRankSources> made =
      residualFactors(name, role.originals, role.base, table, residual,
                      std::max<int64_t>(*threads, 4));
  if (!made)
    return Error{made.error()};
  role.factors = *std::move(made);
  return role;
}

std::vector<int64_t> ClusterChange::movedExperts() const {
  std::vector<int64_t> experts;
  for (int64_t expert = 0; expert < layer->experts; ++expert)
    if (sameAs[size_t(table[size_t(expert)])] < 0)
      experts.push_back(expert);
  return experts;
}

Status ClusterChange::checkStop() const {
  return work.stop.stop_requested() ? Error{"stopped"} : success();
}

//===----------------------------------------------------------------------===//
// What is computed
//===----------------------------------------------------------------------===//

/// Compares what the source gives with a tensor of the archive.
Status ClusterChange::checkTensor(const MatrixSource &source, int64_t entry,
                                  const std::string &name,
                                  CheckedRecords &records) const {
  const ArchiveTensor &tensor = *archive->findTensor(name);
  if (Status status = records.check(tensor); !status)
    return status;
  Result<StoredTensor> made = store(source, entry, tensor.form);
  if (!made)
    return Error{made.error()};
  if (isSame(*made, archive->bytes(tensor)))
    return success();
  return Error{archive->path() + ": expected '" + name +
               "' to be what the originals give with base=mean and "
               "residual=svd, found other bytes: the archive was made with "
               "other options, or on a machine that rounds otherwise"};
}

Status ClusterChange::checkRecipe(CheckedRecords &records) const {
  for (const Role &role : roles) {
    const std::string &name = role.matrix->role;
    Status status = parallelFor(
        layer->clusters, work.parallel, [&](int64_t cluster) -> Status {
          if (Status stopped = checkStop(); !stopped)
            return stopped;
          return checkTensor(*role.mean, cluster,
                             layer->baseName(cluster, name), records);
        });
    if (status && role.matrix->rank())
      status = checkTensor(*role.factors.input, 0,
                           layer->factorName(0, name, "a"), records);
    if (status && role.matrix->rank())
      status = checkTensor(*role.factors.output, 0,
                           layer->factorName(0, name, "b"), records);
    if (!status)
      return status;
  }
  return success();
}

Status ClusterChange::factorize() {
  std::vector<int64_t> experts = movedExperts();
  std::sort(experts.begin(), experts.end(), [&](int64_t a, int64_t b) {
    return std::pair(table[size_t(a)], a) < std::pair(table[size_t(b)], b);
  });
  std::mutex mutex;
  auto add = [&](const MatrixSource &source, int64_t expert,
                 const TensorForm &form, std::string name) -> Status {
    Result<StoredTensor> made = store(source, expert, form);
    if (!made)
      return Error{made.error()};
    std::lock_guard lock(mutex);
    factors.emplace(std::move(name), *std::move(made));
    return success();
  };
  for (const Role &role : roles) {
    const ClusteredMatrix &matrix = *role.matrix;
    if (!matrix.rank())
      continue;
    auto makeBoth = [&](int64_t place) -> Status {
      int64_t expert = experts[size_t(place)];
      if (Status stopped = checkStop(); !stopped)
        return stopped;
      if (Status made = add(*role.factors.input, expert, *matrix.input,
                            layer->factorName(expert, matrix.role, "a"));
          !made)
        return made;
      return add(*role.factors.output, expert, *matrix.output,
                 layer->factorName(expert, matrix.role, "b"));
    };
    if (Status status =
            parallelFor(int64_t(experts.size()), work.parallel, makeBoth);
        !status)
      return status;
  }
  return success();
}

Result<std::vector<float>>
ClusterChange::decode(const std::string &name) const {
  return archive->decode(*archive->findTensor(name));
}

Result<double> ClusterChange::largestErrorNow(size_t role) const {
  const ClusteredMatrix &matrix = *roles[role].matrix;
  auto bases = std::make_shared<LoadedMatrices>(
      layer->name + "." + matrix.role,
      MatrixShape{layer->clusters, matrix.rows(), matrix.cols()},
      [this, &matrix](int64_t cluster) {
        return decode(layer->baseName(cluster, matrix.role));
      });
  auto load = [this](const std::string &name, const TensorForm &) {
    return decode(name);
  };
  Result<ErrorReport> errors =
      measureExperts(roles[role].originals, bases, layer->table,
                     loadedFactors(*layer, matrix, load), {}, work.parallel);
  if (!errors)
    return Error{errors.error()};
  return errors->maxRelative();
}

Result<double> ClusterChange::largestErrorThen(size_t role) const {
  const ClusteredMatrix &matrix = *roles[role].matrix;
  auto load = [this](const std::string &name, const TensorForm &form) {
    auto made = factors.find(name);
    return made == factors.end() ? decode(name)
                                 : loadFloats(form, made->second);
  };
  Result<ErrorReport> errors =
      measureExperts(roles[role].originals, roles[role].base, table,
                     loadedFactors(*layer, matrix, load), {}, work.parallel);
  if (!errors)
    return Error{errors.error()};
  return errors->maxRelative();
}

Result<TensorContent>
ClusterChange::contentOf(const ArchiveTensor &tensor) const {
  TensorContent content;
  if (auto made = factors.find(tensor.name); made != factors.end()) {
    content.made = made->second;
    return content;
  }
  content.copied = tensor.name;
  for (const Role &role : roles)
    for (int64_t cluster = 0; cluster < layer->clusters; ++cluster) {
      const std::string &name = role.matrix->role;
      if (tensor.name != layer->baseName(cluster, name))
        continue;
      if (int32_t same = sameAs[size_t(cluster)]; same >= 0) {
        content.copied = layer->baseName(same, name);
        return content;
      }
      Result<StoredTensor> made = store(*role.mean, cluster, tensor.form);
      if (!made)
        return Error{made.error()};
      content.made = *std::move(made);
      return content;
    }
  return content;
}

} // namespace moec::weights
