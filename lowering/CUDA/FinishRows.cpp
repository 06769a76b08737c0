// Rows of a tile, finished one after the other: a lane has some of their columns.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "lowering/CUDA/FinishRows.h"

using namespace mlir;
using namespace moec::lowering;

namespace {
class RowFinisher {
public:
  RowFinisher(KernelCode &k, const TiledProduct &p, const SharedSums &sums)
      : k(k), p(p), sums(sums),
        columnsOfLane(sums.columns / KernelCode::warpSize) {}

  void finish(Value from, int64_t count) {
    k.loop(k.index(0), k.index(count), 1, [&](Value i) {
      Value local = k.add(from, i), row = k.add(sums.firstRow, local);
      k.when(k.isBelow(row, sums.endRow), [&] {
        columns.clear();
        for (int64_t j = 0; j < columnsOfLane; ++j)
          columns.push_back(k.add(k.lane(), j * KernelCode::warpSize));
        finishRow(local, row);
      });
    });
  }

private:
  Value isColumn(Value column) {
    return k.isBelow(k.add(sums.firstColumn, column), k.index(p.columns()));
  }
  /// A column that there is.
  Value safeColumn(Value column) {
    return k.select(isColumn(column), k.add(sums.firstColumn, column),
                    k.index(0));
  }
  Value rounded(Value value) { return k.rounded(value, p.element); }

  void finishRow(Value local, Value row) {
    Code::Values base;
    for (Value list : sums.lists)
      for (Value column : columns)
        base.push_back(k.load(list, k.add(k.mul(local, sums.pitch), column)));
    Code::Values results;
    if (p.isUp()) {
      results = overPairs(
          row, Code::Values(columnsOfLane, k.zero()),
          [&](Value pair, Value expert, Value weight, ValueRange before) {
            return addPair(base, pair, expert, weight, before);
          });
    } else {
      results = activate(base);
      if (p.expand)
        results = overPairs(
            row, results,
            [&](Value pair, Value expert, Value weight, ValueRange before) {
              return addSegment(pair, expert, weight, before);
            });
    }
    for (auto [value, column] : llvm::zip_equal(results, columns))
      k.when(isColumn(column), [&, value = value, column = column] {
        Value at =
            k.add(k.mul(row, p.columns()), k.add(sums.firstColumn, column));
        k.storeFloat(value, p.output, at);
      });
  }

  /// The pairs of a row, in order, carrying a value for each column.
  Code::Values overPairs(
      Value row, Code::Values inits,
      llvm::function_ref<Code::Values(Value, Value, Value, ValueRange)> body) {
    Value from = k.toIndex(k.load(p.pairFirst, row));
    Value to = k.toIndex(k.load(p.pairFirst, k.add(row, 1)));
    return k.loop(from, to, 1, inits, [&](Value pair, ValueRange before) {
      return body(pair, k.load(p.pairExpert, pair),
                  k.loadFloat(p.pairWeight, pair), before);
    });
  }

  /// act of what each weight gives, for each column; without an activation the
  /// first weight's.
  Code::Values activate(const Code::Values &products) {
    if (!p.act)
      return products;
    Code::Values results;
    for (int64_t j = 0; j < columnsOfLane; ++j) {
      Value up = rounded(products[j]);
      Value gate = p.weights.size() == 2 ? rounded(products[columnsOfLane + j])
                                         : Value();
      results.push_back(p.activate(k, up, gate));
    }
    return results;
  }

  /// sum += list[from + r]·matrix[r, column] over r, for each column.
  Code::Values expand(Value list, Value from, const MatrixPool &matrix,
                      Value entry, ValueRange inits) {
    auto [begin, isThere] = matrix.find(k, entry);
    Value rank = k.select(isThere, k.index(matrix.rows), k.index(0));
    return k.loop(k.index(0), rank, 1, inits, [&](Value r, ValueRange before) {
      Value low = k.loadFloat(list, k.add(from, r));
      Value line = k.add(begin, k.mul(r, matrix.columns));
      Code::Values next;
      for (auto [sum, column] : llvm::zip_equal(before, columns)) {
        Value number =
            k.loadFloat(matrix.list, k.add(line, safeColumn(column)));
        next.push_back(k.fma(low, number, sum));
      }
      return next;
    });
  }

  /// before + weight·h of a pair, and its part of v.
  Code::Values addPair(const Code::Values &base, Value pair, Value expert,
                       Value weight, ValueRange before) {
    Code::Values products = base;
    int64_t first = 0;
    for (size_t i = 0; i < p.residuals.size(); i += 2) {
      auto begin = products.begin() + i / 2 * columnsOfLane;
      Code::Values inits(begin, begin + columnsOfLane);
      Value from = k.add(k.mul(pair, p.lowColumns()), first);
      Code::Values added =
          expand(p.low, from, p.residuals[i + 1], expert, inits);
      llvm::copy(added, products.begin() + i / 2 * columnsOfLane);
      first += p.residuals[i].columns;
    }
    Code::Values hidden;
    for (Value h : activate(products))
      hidden.push_back(rounded(h));
    if (p.shrink)
      shrinkHidden(hidden, pair, expert);
    Code::Values results;
    for (auto [sum, h] : llvm::zip_equal(before, hidden))
      results.push_back(k.addF(sum, k.mulF(weight, h)));
    return results;
  }

  /// v += h·shrink over the tile's columns, into this run's part.
  void shrinkHidden(const Code::Values &hidden, Value pair, Value expert) {
    const MatrixPool &a = *p.shrink;
    auto [begin, isThere] = a.find(k, expert);
    k.loop(k.index(0), k.select(isThere, k.index(a.columns), k.index(0)), 1,
           [&](Value r) {
             Value sum = k.zero();
             for (auto [h, column] : llvm::zip_equal(hidden, columns)) {
               Value at =
                   k.add(begin, k.add(k.mul(safeColumn(column), a.columns), r));
               Value number = k.loadFloat(a.list, at);
               number = k.select(isColumn(column), number, k.zero());
               sum =
                   k.fma(k.select(isColumn(column), h, k.zero()), number, sum);
             }
             sum = k.sumOfLanes(sum);
             k.when(k.isEqual(k.lane(), k.index(0)), [&] {
               p.addToPart(k, sum, sums.run, k.add(k.mul(pair, a.columns), r));
             });
           });
  }

  /// before + weight·segment·expand of a pair.
  Code::Values addSegment(Value pair, Value expert, Value weight,
                          ValueRange before) {
    Value from = k.mul(pair, p.expand->rows);
    Code::Values added = expand(p.segment, from, *p.expand, expert,
                                Code::Values(columnsOfLane, k.zero()));
    Code::Values results;
    for (auto [sum, value] : llvm::zip_equal(before, added))
      results.push_back(k.addF(sum, k.mulF(weight, value)));
    return results;
  }

  KernelCode &k;
  const TiledProduct &p;
  const SharedSums &sums;
  const int64_t columnsOfLane;
  Code::Values columns;
};
} // namespace

void moec::lowering::finishRows(KernelCode &k, const TiledProduct &product,
                                const SharedSums &sums, Value from,
                                int64_t count) {
  RowFinisher(k, product, sums).finish(from, count);
}
