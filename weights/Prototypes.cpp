// Which cluster an input belongs to, learned from traffic.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/Prototypes.h"

#include <Eigen/Cholesky>
#include <Eigen/Core>

namespace moec::weights {

Result<std::vector<float>> learnPrototypes(const LayerProfile &layer,
                                           std::span<const int32_t> table,
                                           int64_t clusters, double ridge) {
  using Matrix =
      Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  int64_t width = layer.width;
  if (width < 1 || int64_t(layer.inputMomentsFull.size()) != width * width ||
      int64_t(layer.means.size()) != layer.experts * width)
    return Error{"expected a profile with full second moments and means of the "
                 "inputs, found one without"};
  if (int64_t(table.size()) != layer.experts)
    return Error{"expected a table of " + std::to_string(layer.experts) +
                 " experts, found " + std::to_string(table.size())};
  Matrix sums = Matrix::Zero(width, clusters);
  for (int64_t expert = 0; expert < layer.experts; ++expert) {
    int32_t cluster = table[size_t(expert)];
    if (cluster < 0 || cluster >= clusters)
      return Error{"expected clusters from 0 to " +
                   std::to_string(clusters - 1) + ", found " +
                   std::to_string(cluster) + " of expert " +
                   std::to_string(expert)};
    for (int64_t d = 0; d < width; ++d)
      sums(d, cluster) += double(layer.counts[size_t(expert)]) *
                          layer.means[size_t(expert * width + d)];
  }
  Matrix moments = Eigen::Map<const Matrix>(layer.inputMomentsFull.data(),
                                            width, width);
  double scale = moments.diagonal().mean();
  if (!(scale > 0))
    return Error{"expected inputs other than zero in the profile, found none"};
  moments.diagonal().array() += ridge * scale;
  Matrix prototypes = moments.ldlt().solve(sums);
  std::vector<float> result;
  result.reserve(size_t(width * clusters));
  for (int64_t d = 0; d < width; ++d)
    for (int64_t c = 0; c < clusters; ++c)
      result.push_back(float(prototypes(d, c)));
  return result;
}

} // namespace moec::weights
