// The layers of an archive whose experts share bases, by their tensors' names.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/ClusteredLayers.h"

#include <algorithm>
#include <charconv>
#include <string_view>

namespace moec::weights {

namespace {

constexpr std::string_view tableSuffix = ".cluster";

std::string clusterRecord(const std::string &layer, int64_t cluster) {
  return layer + ".cluster." + std::to_string(cluster);
}

/// N of "layerN".
std::optional<int64_t> layerNumber(std::string_view name) {
  constexpr std::string_view prefix = "layer";
  if (!name.starts_with(prefix))
    return std::nullopt;
  int64_t number = -1;
  const char *end = name.data() + name.size();
  auto [stop, code] = std::from_chars(name.data() + prefix.size(), end, number);
  if (code != std::errc() || stop != end || number < 0)
    return std::nullopt;
  return number;
}

/// Reads one layer, tensor by tensor.
class LayerReader {
public:
  LayerReader(const Archive &archive, std::string name) : archive(archive) {
    layer.name = std::move(name);
  }

  Result<ClusteredLayer> read() {
    for (Status (LayerReader::*step)() :
         {&LayerReader::readNumber, &LayerReader::readTable,
          &LayerReader::readBases, &LayerReader::readFactors,
          &LayerReader::findPrototypes})
      if (Status status = (this->*step)(); !status)
        return Error{archive.path() + ": " + layer.name + ": " +
                     status.error()};
    return std::move(layer);
  }

private:
  Status readNumber() {
    std::optional<int64_t> number = layerNumber(layer.name);
    if (!number)
      return Error{"expected a layer with clusters to be called layerN"};
    layer.number = *number;
    return success();
  }

  Status readTable() {
    layer.tables.push_back(layer.name + std::string(tableSuffix));
    Result<std::vector<int64_t>> values =
        archive.decodeIntegers(*archive.findTensor(layer.tables.front()));
    if (!values)
      return Error{values.error()};
    while (archive.findRecord(clusterRecord(layer.name, layer.clusters)))
      ++layer.clusters;
    layer.experts = int64_t(values->size());
    for (int64_t cluster : *values) {
      if (cluster < 0 || cluster >= layer.clusters)
        return Error{"expected clusters from 0 to " +
                     std::to_string(layer.clusters - 1) +
                     " in the table, found " + std::to_string(cluster)};
      layer.table.push_back(int32_t(cluster));
    }
    if (layer.table.empty())
      return Error{"expected a table of experts, found none in it"};
    return success();
  }

  /// The form of a stored tensor that is a matrix; it must be `wanted` if that
  /// is given.
  Result<TensorForm> matrixForm(const std::string &name,
                                const TensorForm *wanted = nullptr) const {
    const ArchiveTensor *tensor = archive.findTensor(name);
    if (!tensor)
      return Error{"expected a tensor '" + name + "', found none"};
    if (!tensor->form.encoding() || tensor->form.shape.size() != 2)
      return Error{"expected '" + name + "' to be a matrix of floats, found " +
                   toString(tensor->form)};
    if (tensor->splat)
      return Error{"expected values of '" + name + "', found a splat"};
    if (wanted && tensor->form != *wanted)
      return Error{"expected '" + name + "' to be " + toString(*wanted) +
                   ", as the first one is, found " + toString(tensor->form)};
    return tensor->form;
  }

  /// Roles are what the first cluster has bases of.
  Status readBases() {
    std::string prefix = clusterRecord(layer.name, 0) + ".";
    constexpr std::string_view suffix = ".base";
    const ArchiveRecord *first =
        archive.findRecord(clusterRecord(layer.name, 0));
    for (const ArchiveTensor &tensor : first->tensors) {
      if (!tensor.name.starts_with(prefix) || !tensor.name.ends_with(suffix) ||
          tensor.name.size() <= prefix.size() + suffix.size())
        return Error{"expected bases '" + prefix + "*" + std::string(suffix) +
                     "' alone in a cluster's record, found '" + tensor.name +
                     "'"};
      ClusteredMatrix matrix;
      matrix.role = tensor.name.substr(
          prefix.size(), tensor.name.size() - prefix.size() - suffix.size());
      for (int64_t cluster = 0; cluster < layer.clusters; ++cluster) {
        Result<TensorForm> form =
            matrixForm(layer.baseName(cluster, matrix.role),
                       cluster ? &matrix.base : nullptr);
        if (!form)
          return Error{form.error()};
        matrix.base = *form;
      }
      layer.matrices.push_back(std::move(matrix));
    }
    for (int64_t cluster = 1; cluster < layer.clusters; ++cluster)
      if (archive.findRecord(clusterRecord(layer.name, cluster))
              ->tensors.size() != layer.matrices.size())
        return Error{
            "expected " + std::to_string(layer.matrices.size()) +
            " bases of each cluster, found another number of cluster " +
            std::to_string(cluster)};
    return success();
  }

  Status readFactors() {
    for (ClusteredMatrix &matrix : layer.matrices) {
      if (!archive.findTensor(layer.factorName(0, matrix.role, "a")))
        continue;
      for (int64_t expert = 0; expert < layer.experts; ++expert) {
        Result<TensorForm> input =
            matrixForm(layer.factorName(expert, matrix.role, "a"),
                       expert ? &*matrix.input : nullptr);
        Result<TensorForm> output =
            matrixForm(layer.factorName(expert, matrix.role, "b"),
                       expert ? &*matrix.output : nullptr);
        if (!input || !output)
          return Error{input ? output.error() : input.error()};
        matrix.input = *input;
        matrix.output = *output;
      }
      if (matrix.input->shape[0] != matrix.rows() ||
          matrix.output->shape[1] != matrix.cols() ||
          matrix.output->shape[0] != matrix.rank())
        return Error{"expected factors of " + matrix.role + " that fit " +
                     toString(matrix.base) + ", found " +
                     toString(*matrix.input) + " and " +
                     toString(*matrix.output)};
    }
    return success();
  }

  Status findPrototypes() {
    std::string name = layer.name + ".prototypes";
    if (!archive.findTensor(name))
      return success();
    if (Result<TensorForm> form = matrixForm(name); !form)
      return Error{form.error()};
    layer.prototypes.push_back(std::move(name));
    return success();
  }

  const Archive &archive;
  ClusteredLayer layer;
};

/// What a layer in front calls its copies of a layer `ahead` behind it
/// (moe-insert-prefetch): "layer2.next" of layer3, "layer1.next2".
std::string copyPrefix(const std::string &inFront, size_t ahead) {
  return inFront + ".next" + (ahead == 1 ? "" : std::to_string(ahead));
}

/// Adds what layers in front, in their order, hold of this one; copies of the
/// table must have its values.
Status addCopies(const Archive &archive,
                 const std::vector<std::string> &inFront,
                 ClusteredLayer &layer) {
  for (size_t ahead = 1; ahead <= inFront.size(); ++ahead) {
    std::string prefix = copyPrefix(inFront[inFront.size() - ahead], ahead);
    std::string table = prefix + std::string(tableSuffix);
    if (const ArchiveTensor *copy = archive.findTensor(table)) {
      Result<std::vector<int64_t>> values = archive.decodeIntegers(*copy);
      if (!values)
        return Error{values.error()};
      if (!std::equal(values->begin(), values->end(), layer.table.begin(),
                      layer.table.end()))
        return Error{archive.path() + ": expected '" + table +
                     "' to hold the table of " + layer.name +
                     ", found other values"};
      layer.tables.push_back(std::move(table));
    }
    std::string prototypes = prefix + ".prototypes";
    if (!layer.prototypes.empty() && archive.findTensor(prototypes))
      layer.prototypes.push_back(std::move(prototypes));
  }
  return success();
}

} // namespace

std::string ClusteredLayer::baseName(int64_t cluster,
                                     const std::string &role) const {
  return clusterRecord(name, cluster) + "." + role + ".base";
}

std::string ClusteredLayer::factorName(int64_t expert, const std::string &role,
                                       const char *side) const {
  return name + ".expert." + std::to_string(expert) + "." + role + "." + side;
}

Result<std::vector<ClusteredLayer>>
findClusteredLayers(const Archive &archive) {
  std::vector<ClusteredLayer> layers;
  std::vector<std::string> inFront;
  for (const ArchiveRecord &record : archive.records()) {
    // Others are of clusters and experts of a layer.
    if (record.name.find('.') != std::string::npos)
      continue;
    const ArchiveTensor *table =
        archive.findTensor(record.name + std::string(tableSuffix));
    bool isClustered = table && archive.recordOf(*table) == &record &&
                       archive.findRecord(clusterRecord(record.name, 0));
    if (isClustered) {
      Result<ClusteredLayer> layer = LayerReader(archive, record.name).read();
      if (!layer)
        return Error{layer.error()};
      if (Status status = addCopies(archive, inFront, *layer); !status)
        return Error{status.error()};
      layers.push_back(*std::move(layer));
    }
    inFront.push_back(record.name);
  }
  if (layers.empty())
    return Error{archive.path() +
                 ": expected layers whose experts share bases of clusters, "
                 "found none"};
  return layers;
}

} // namespace moec::weights
