// Weights computed from other weights: docs/spec.md section 2, recipes.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/Recipes.h"

#include "weights/ElementType.h"

#include <Eigen/Core>
#include <Eigen/SVD>

#include <algorithm>
#include <cmath>
#include <string>

namespace moec::weights {

namespace {

using Matrix =
    Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using FloatMatrix =
    Eigen::Map<const Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic,
                                   Eigen::RowMajor>>;

Status checkTensor(const char *what, const MatrixShape &shape,
                   std::span<const float> values) {
  int64_t extents[] = {shape.entries, shape.rows, shape.cols};
  std::optional<int64_t> count = elementCount(extents);
  if (!count)
    return Error{std::string("expected the shape of ") + what +
                 " to count at most 2^63 values, found " +
                 shapeToString(extents)};
  if (uint64_t(*count) != values.size())
    return Error{"expected " + std::to_string(*count) + " values of " + what +
                 " for shape " + shapeToString(extents) + ", found " +
                 std::to_string(values.size())};
  return success();
}

Status checkTable(std::span<const int32_t> table, int64_t entries,
                  int64_t targets) {
  if (uint64_t(entries) != table.size())
    return Error{"expected a table of " + std::to_string(entries) +
                 " entries, found " + std::to_string(table.size())};
  for (size_t i = 0; i < table.size(); ++i)
    if (table[i] < 0 || table[i] >= targets)
      return Error{"expected targets from 0 to " + std::to_string(targets - 1) +
                   " in the table, found " + std::to_string(table[i]) +
                   " at entry " + std::to_string(i)};
  return success();
}

} // namespace

Result<std::vector<float>> meanByTable(const MatrixShape &shape,
                                       std::span<const float> values,
                                       std::span<const int32_t> table,
                                       int64_t targets) {
  if (Status status = checkTensor("the mean's weight", shape, values); !status)
    return Error{status.error()};
  if (targets < 1)
    return Error{"expected at least one target of the table, found " +
                 std::to_string(targets)};
  if (Status status = checkTable(table, shape.entries, targets); !status)
    return Error{status.error()};
  int64_t extents[] = {targets, shape.rows, shape.cols};
  std::optional<int64_t> count = elementCount(extents);
  if (!count)
    return Error{"expected a mean of at most 2^63 values, found shape " +
                 shapeToString(extents)};

  int64_t perEntry = shape.rows * shape.cols;
  std::vector<float> mean(size_t(*count), 0.0f);
  std::vector<double> sum(static_cast<size_t>(perEntry));
  for (int64_t target = 0; target < targets; ++target) {
    int64_t members = 0;
    std::fill(sum.begin(), sum.end(), 0.0);
    for (int64_t i = 0; i < shape.entries; ++i) {
      if (table[size_t(i)] != target)
        continue;
      ++members;
      const float *matrix = values.data() + i * perEntry;
      for (int64_t j = 0; j < perEntry; ++j)
        sum[size_t(j)] += matrix[j];
    }
    if (members == 0)
      continue;
    for (int64_t j = 0; j < perEntry; ++j)
      mean[size_t(target * perEntry + j)] =
          float(sum[size_t(j)] / double(members));
  }
  return mean;
}

Result<LowRankFactors>
truncatedSvd(const MatrixShape &shape, std::span<const float> values,
             std::span<const float> base, int64_t baseEntries,
             std::span<const int32_t> table, int64_t rank) {
  if (Status status = checkTensor("the svd's weight", shape, values); !status)
    return Error{status.error()};
  if (Status status = checkTensor("the svd's base",
                                  {baseEntries, shape.rows, shape.cols}, base);
      !status)
    return Error{status.error()};
  if (Status status = checkTable(table, shape.entries, baseEntries); !status)
    return Error{status.error()};
  if (rank < 1 || rank > std::min(shape.rows, shape.cols))
    return Error{"expected a rank from 1 to " +
                 std::to_string(std::min(shape.rows, shape.cols)) + ", found " +
                 std::to_string(rank)};

  LowRankFactors factors;
  factors.input.resize(size_t(shape.entries * shape.rows * rank));
  factors.output.resize(size_t(shape.entries * rank * shape.cols));
  int64_t perEntry = shape.rows * shape.cols;
  for (int64_t entry = 0; entry < shape.entries; ++entry) {
    FloatMatrix weight(values.data() + entry * perEntry, shape.rows,
                       shape.cols);
    FloatMatrix shared(base.data() + table[size_t(entry)] * perEntry,
                       shape.rows, shape.cols);
    Matrix difference = weight.cast<double>() - shared.cast<double>();
    if (!difference.allFinite())
      return Error{"expected finite values for a truncated SVD, found an "
                   "infinity or a NaN in entry " +
                   std::to_string(entry)};
    Eigen::BDCSVD<Eigen::MatrixXd> svd(difference, Eigen::ComputeThinU |
                                                       Eigen::ComputeThinV);
    if (svd.info() != Eigen::Success)
      return Error{"the SVD of entry " + std::to_string(entry) +
                   " did not converge"};
    for (int64_t r = 0; r < rank; ++r) {
      int64_t largest = 0;
      for (int64_t row = 1; row < shape.rows; ++row)
        if (std::abs(svd.matrixU()(row, r)) >
            std::abs(svd.matrixU()(largest, r)))
          largest = row;
      double root = std::sqrt(svd.singularValues()(r));
      double factor = svd.matrixU()(largest, r) < 0 ? -root : root;
      for (int64_t row = 0; row < shape.rows; ++row)
        factors.input[size_t((entry * shape.rows + row) * rank + r)] =
            float(svd.matrixU()(row, r) * factor);
      for (int64_t col = 0; col < shape.cols; ++col)
        factors.output[size_t((entry * rank + r) * shape.cols + col)] =
            float(svd.matrixV()(col, r) * factor);
    }
  }
  return factors;
}

} // namespace moec::weights
