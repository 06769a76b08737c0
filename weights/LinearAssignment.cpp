// The cheapest one-to-one assignment of rows to columns.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
//
// After Jonker and Volgenant (1987): column prices from the smallest cost of
// each column, rows that are then cheapest in a free column are assigned at
// once, and each row left is assigned along a shortest augmenting path.
#include "weights/LinearAssignment.h"

#include <cmath>
#include <limits>

namespace moec::weights {

namespace {

constexpr int32_t none = -1;

class Solver {
public:
  Solver(size_t size, std::span<const float> costs)
      : size(size), costs(costs), rowOfColumn(size, none),
        columnOfRow(size, none), columnPrice(size), distance(size),
        previousRow(size), done(size) {}

  Assignment solve() {
    reduceColumns();
    for (size_t row = 0; row < size; ++row)
      if (columnOfRow[row] == none)
        assignToCheapest(row);
    for (size_t row = 0; row < size; ++row)
      if (columnOfRow[row] == none)
        augment(row);

    Assignment result;
    result.columnOfRow = columnOfRow;
    result.columnPrice = columnPrice;
    result.rowPrice.resize(size);
    for (size_t row = 0; row < size; ++row) {
      size_t column = size_t(columnOfRow[row]);
      result.cost += cost(row, column);
      result.rowPrice[row] = reduced(row, column);
    }
    return result;
  }

private:
  double cost(size_t row, size_t column) const {
    return double(costs[row * size + column]);
  }
  double reduced(size_t row, size_t column) const {
    return cost(row, column) - columnPrice[column];
  }
  void assign(size_t row, size_t column) {
    columnOfRow[row] = int32_t(column);
    rowOfColumn[column] = int32_t(row);
  }

  /// A column's price is its smallest cost; the row that has it takes the
  /// column if it has none.
  void reduceColumns() {
    std::vector<size_t> cheapest(size, 0);
    for (size_t column = 0; column < size; ++column)
      columnPrice[column] = cost(0, column);
    for (size_t row = 1; row < size; ++row)
      for (size_t column = 0; column < size; ++column)
        if (cost(row, column) < columnPrice[column]) {
          columnPrice[column] = cost(row, column);
          cheapest[column] = row;
        }
    // The assigned entries must be cheapest in their rows as well: they are,
    // all reduced costs being at least zero, and these zero.
    for (size_t column = 0; column < size; ++column)
      if (columnOfRow[cheapest[column]] == none)
        assign(cheapest[column], column);
  }

  /// Takes the column that is cheapest for a row if it is free.
  void assignToCheapest(size_t row) {
    size_t best = 0;
    for (size_t column = 1; column < size; ++column)
      if (reduced(row, column) < reduced(row, best))
        best = column;
    if (rowOfColumn[best] == none)
      assign(row, best);
  }

  /// Dijkstra from a free row over reduced costs to the nearest free column;
  /// then prices change so that the path costs nothing, and its edges are
  /// exchanged.
  void augment(size_t start) {
    for (size_t column = 0; column < size; ++column) {
      distance[column] = reduced(start, column);
      previousRow[column] = int32_t(start);
      done[column] = false;
    }
    std::vector<size_t> scanned;
    size_t end = 0;
    while (true) {
      size_t nearest = size;
      for (size_t column = 0; column < size; ++column)
        if (!done[column] &&
            (nearest == size || distance[column] < distance[nearest]))
          nearest = column;
      done[nearest] = true;
      if (rowOfColumn[nearest] == none) {
        end = nearest;
        break;
      }
      scanned.push_back(nearest);
      size_t row = size_t(rowOfColumn[nearest]);
      double toRow = distance[nearest] - reduced(row, nearest);
      for (size_t column = 0; column < size; ++column) {
        if (done[column])
          continue;
        double through = toRow + reduced(row, column);
        if (through < distance[column]) {
          distance[column] = through;
          previousRow[column] = int32_t(row);
        }
      }
    }
    for (size_t column : scanned)
      columnPrice[column] += distance[column] - distance[end];
    for (size_t column = end;;) {
      size_t row = size_t(previousRow[column]);
      int32_t next = columnOfRow[row];
      assign(row, column);
      if (row == start)
        return;
      column = size_t(next);
    }
  }

  size_t size;
  std::span<const float> costs;
  std::vector<int32_t> rowOfColumn;
  std::vector<int32_t> columnOfRow;
  std::vector<double> columnPrice;
  /// Of augment: to each column, the row before it, and whether it is final.
  std::vector<double> distance;
  std::vector<int32_t> previousRow;
  std::vector<uint8_t> done;
};

} // namespace

Result<Assignment> assignLinearly(int64_t size, std::span<const float> costs) {
  if (size < 1 || size > assignmentMaxSize)
    return Error{"expected from 1 to " + std::to_string(assignmentMaxSize) +
                 " rows to assign, found " + std::to_string(size)};
  if (costs.size() != size_t(size * size))
    return Error{"expected " + std::to_string(size * size) + " costs of " +
                 std::to_string(size) + " rows, found " +
                 std::to_string(costs.size())};
  for (size_t n = 0; n < costs.size(); ++n)
    if (!std::isfinite(costs[n]))
      return Error{"expected finite costs, found one of row " +
                   std::to_string(n / size_t(size)) + " that is not"};
  return Solver(size_t(size), costs).solve();
}

} // namespace moec::weights
