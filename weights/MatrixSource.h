// Matrices read one at a time, wherever they lie or come from.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_WEIGHTS_MATRIXSOURCE_H
#define MOEC_WEIGHTS_MATRIXSOURCE_H

#include "weights/ElementType.h"
#include "weights/Encoding.h"
#include "weights/Result.h"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace moec::weights {

/// Matrices of one shape, for example the gate matrices of a layer's experts.
/// Reading does not change a source: threads may share one. A source holds what
/// it was made from, mapped files included, alive.
class MatrixSource {
public:
  virtual ~MatrixSource();

  const MatrixShape &shape() const { return matrixShape; }

  /// What stands in messages: "model::layers.0.gate".
  const std::string &name() const { return sourceName; }

  /// Entry as IN x OUT, row-major, rounded to f32. `values` has rows * cols.
  Status read(int64_t entry, std::span<float> values) const;

  /// Values begin, begin + 1, ... of an entry in an order of the source's own
  /// choice, the same for all entries: for sums that no order changes. Reading
  /// so costs no transposition.
  Status readAnyOrder(int64_t entry, int64_t begin,
                      std::span<float> values) const;

  /// The entry in an encoding: encode() of its values, or codes that the source
  /// has chosen for this encoding itself.
  Result<EncodedTensor> readEncoded(int64_t entry,
                                    const Encoding &encoding) const;

protected:
  MatrixSource(std::string name, const MatrixShape &shape)
      : matrixShape(shape), sourceName(std::move(name)) {}

  /// Encodes what doRead() gives.
  virtual Result<EncodedTensor> doReadEncoded(int64_t entry,
                                              const Encoding &encoding) const;

private:
  virtual Status doRead(int64_t entry, std::span<float> values) const = 0;
  /// Reads the whole entry unless a source knows better.
  virtual Status doReadAnyOrder(int64_t entry, int64_t begin,
                                std::span<float> values) const;

  MatrixShape matrixShape;
  std::string sourceName;
};

/// encode() of one entry of a source of that name: errors say which entry it is.
/// Groups and scales never reach over entries.
Result<EncodedTensor> encodeEntry(const std::string &name, int64_t entry,
                                  const Encoding &encoding, int64_t rows,
                                  int64_t cols, std::span<const float> values);

/// A message about one matrix, "w: .. at [0, row, col]", of entry `entry` of a
/// source of that name.
std::string atEntry(const std::string &name, int64_t entry,
                    std::string message);

/// All entries, one behind the other, row-major.
Result<std::vector<float>> readAll(const MatrixSource &source);

/// Values in memory; there must be as many as the shape has.
std::shared_ptr<const MatrixSource> matricesOf(std::string name,
                                               const MatrixShape &shape,
                                               std::vector<float> values);

/// The same value everywhere.
std::shared_ptr<const MatrixSource>
splatMatrices(std::string name, const MatrixShape &shape, float value);

/// docs/spec.md 2.1: element n counts over all entries, row-major.
std::shared_ptr<const MatrixSource>
seededMatrices(std::string name, const MatrixShape &shape, uint32_t seed,
               double scale);

/// One matrix as it lies in a file: F32, F16, BF16 or F64, little-endian.
struct StoredMatrix {
  /// rows * cols elements without gaps: a matrix, or a run of rows of one.
  std::span<const uint8_t> bytes;
  ElementType type = ElementType::F32;
};

/// Matrices that lie in files. With `transposed` they are stored OUT x IN, as
/// torch.nn.Linear keeps them. `owner` keeps the bytes alive. Refuses other
/// element types and sizes that do not fit.
Result<std::shared_ptr<const MatrixSource>>
storedMatrices(std::string name, const MatrixShape &shape,
               std::vector<StoredMatrix> entries, bool transposed,
               std::shared_ptr<const void> owner);

} // namespace moec::weights

#endif // MOEC_WEIGHTS_MATRIXSOURCE_H
