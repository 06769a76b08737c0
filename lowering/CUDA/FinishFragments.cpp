// Rows of a tile in registers: products of 16 rows and one expert's residual by mma.sync, while sums stay where they are.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "lowering/CUDA/FinishFragments.h"

#include "lowering/CUDA/SortByGroup.h"

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/ADT/TypeSwitch.h"

#include <limits>

using namespace mlir;
using namespace moec::lowering;
using namespace moec::moe;

/// Of the reduction and of columns, in one block.
static constexpr int64_t blockSize = 16;
/// What a lane has of 16 rows and a block of columns.
static constexpr int64_t numbersOfBlock = 8;

static bool hasFragmentForm(ValueRange weights, Type element) {
  return llvm::all_of(weights, [&](Value weight) {
    auto wrap = weight.getDefiningOp<WrapOp>();
    auto type = cast<WeightType>(wrap.getType());
    // Two columns of a row are one load.
    return getElementTypeOrSelf(wrap.getTensor().getType()) == element &&
           type.getCols() % 2 == 0;
  });
}

/// Most experts whose counts a block's shared memory has room for, where it
/// puts those of a group in a row.
static constexpr int64_t mostExpertsOfPlaces = 8192;

/// Whether the dense form takes what experts add: two numbers of a row are one
/// expert's.
static bool hasDenseForm(GroupedUpOp op) { return !op.getResiduals().empty(); }
static bool hasDenseForm(GroupedMatmulOp op) {
  return op.getExpand() && getWeightType(op.getExpand()).getRows() % 2 == 0;
}

/// Whether x·A can be tiles on tensor cores: rows and factors of one type of 16
/// bits, of which copies bring 8 at once, and experts that pairs can be sorted
/// by.
static bool hasShrinkTiles(GroupedUpOp op, Type element) {
  if (op.getResiduals().empty() || op.getRoundingAttr() ||
      !(element.isF16() || element.isBF16()))
    return false;
  for (size_t i = 0; i < op.getResiduals().size(); i += 2) {
    auto wrap = op.getResiduals()[i].getDefiningOp<WrapOp>();
    if (getElementTypeOrSelf(wrap.getTensor().getType()) != element ||
        getWeightType(op.getResiduals()[i]).getCols() % 8 != 0)
      return false;
  }
  return countExperts(op.getPairExpert()) <= mostSortedGroups;
}
static bool hasShrinkTiles(GroupedMatmulOp, Type) { return false; }

/// The weight of what pairs add, besides residuals, if there is one.
static SmallVector<Value, 1> ownWeight(Value weight) {
  return weight ? SmallVector<Value, 1>{weight} : SmallVector<Value, 1>();
}
static SmallVector<Value, 1> weightOfPairs(GroupedUpOp op) {
  return ownWeight(op.getShrink());
}
static SmallVector<Value, 1> weightOfPairs(GroupedMatmulOp op) {
  return ownWeight(op.getExpand());
}

ProductForm moec::lowering::formOf(Operation *op) {
  return llvm::TypeSwitch<Operation *, ProductForm>(op)
      .Case<GroupedUpOp, GroupedMatmulOp>([](auto product) {
        Type element = getElementTypeOrSelf(product.getInput().getType());
        ProductForm form;
        form.matrices = product.getWeights().size();
        form.fitsRegisters = (element.isF16() || element.isBF16()) &&
                             !product.getRoundingAttr() &&
                             hasFragmentForm(product.getResiduals(), element) &&
                             hasFragmentForm(weightOfPairs(product), element);
        form.fitsShrink = hasShrinkTiles(product, element);
        form.fitsDense =
            form.fitsRegisters && hasDenseForm(product) &&
            getIdType(product.getPairExpert()).getCount() < mostExpertsOfPlaces;
        return form;
      });
}

namespace {
using Fragment = std::array<Value, 4>;

/// One expert, and for each of a lane's two rows its pair, whether there is one, and its weight.
struct ExpertRows {
  Value expert;
  std::array<Value, 2> pair, isThere, weight;
};

/// Rows of a low-rank product, by pair: `rank` columns from `first` on of rows of `length` numbers.
struct LowRows {
  Value list;
  int64_t length, first, rank;
};

/// The first row or column of a block of 16, and whether a matrix has all of them.
struct BlockPlace {
  Value first;
  bool isWhole;
};

/// A row of a matrix: where it begins in its list, and whether there is one.
struct MatrixRow {
  Value begin, isThere;
};

class FragmentFinisher {
public:
  FragmentFinisher(KernelCode &k, const TiledProduct &p,
                   const FragmentSums &sums)
      : k(k), p(p), sums(sums), quad(k.rem(k.lane(), k.index(4))),
        lineOfLane(k.div(k.lane(), 4)) {
    for (int64_t i = 0; i < 2; ++i) {
      rows[i] = k.add(sums.firstRow, k.add(lineOfLane, 8 * i));
      isRow[i] = k.isBelow(rows[i], sums.endRow);
    }
  }

  void finish() {
    for (chunk = 0; chunk < sums.columns; chunk += chunkColumns) {
      chunkColumns = std::min(sums.columnsAtOnce, sums.columns - chunk);
      finishChunk();
    }
  }

private:
  //===--- a chunk of columns ---===//
  void finishChunk() {
    int64_t count = chunkColumns / 2;
    if (p.isUp())
      return store(overExperts(Code::Values(count, k.zero()),
                               [&](const ExpertRows &rows, ValueRange before) {
                                 return addExpert(rows, before);
                               }));
    Code::Values results;
    for (int64_t i = 0; i < count; i += 2)
      llvm::append_range(results, activatePair(base(0, i), base(0, i + 1),
                                               p.weights.size() == 2, i));
    if (p.expand)
      results = addSegments(results);
    store(results);
  }

  /// Sum `i` of the chunk's, of a matrix.
  Value base(int64_t matrix, int64_t i) {
    return sums.numbers[(matrix * sums.columns + chunk) / 2 + i];
  }

  /// Block `block` of the chunk's columns, and the block of a rank.
  BlockPlace columnOf(int64_t block) {
    return {k.add(sums.firstColumn, chunk + block * blockSize),
            sums.hasAllColumns};
  }
  BlockPlace rankOf(Value first, int64_t rank) {
    return {first, rank % blockSize == 0};
  }

  void store(ValueRange results) {
    for (int64_t i = 0; i < chunkColumns / 2; i += 2) {
      Value row = rows[i / 2 % 2];
      Value column = k.add(columnOf(0).first, k.add(k.mul(quad, 2), i / 4 * 8));
      Value isInside = isRow[i / 2 % 2];
      if (!sums.hasAllColumns)
        isInside = k.both(isInside, k.isBelow(column, k.index(p.columns())));
      k.when(isInside, [&] {
        k.storePair(k.pack(p.element, results[i], results[i + 1]), p.output,
                    k.add(k.mul(row, p.columns()), column));
      });
    }
  }

  //===--- experts ---===//
  using OfExpert =
      llvm::function_ref<Code::Values(const ExpertRows &, ValueRange)>;

  /// Experts of the 16 rows, or of their group, carrying a number for each of
  /// the chunk's.
  Code::Values overExperts(Code::Values inits, OfExpert body) {
    return sums.form == ResidualForm::Dense ? overGroup(inits, body)
                                            : overPresent(inits, body);
  }

  /// The first pair of a row, and the one behind its last: none of a row that
  /// is not the tile's.
  std::array<Value, 2> pairsOf(Value row) {
    Value isOwn = k.isBelow(row, sums.endRow);
    row = k.select(isOwn, row, k.index(0));
    Value from = k.toIndex(k.load(p.pairFirst, row));
    Value to = k.toIndex(k.load(p.pairFirst, k.add(row, 1)));
    return {from, k.select(isOwn, to, from)};
  }

  /// A row's few pairs, one after the other.
  Code::Values
  overPairs(Value from, Value to, ValueRange inits,
            llvm::function_ref<Code::Values(Value, ValueRange)> body) {
    return k.unrolledLoop(from, to, /*step=*/1, /*turns=*/1, inits, body);
  }

  /// The row that this lane looks through.
  Value rowToSearch() {
    return k.add(sums.firstRow, k.rem(k.lane(), k.index(16)));
  }

  /// Where the places of the rows' group begin, and how many there are.
  std::array<Value, 2> placesOfGroup() {
    Value row = k.toIndex(k.load(p.offsets, sums.group));
    return {k.toIndex(k.load(p.pairFirst, row)),
            k.toIndex(k.load(p.places.count, sums.group))};
  }

  /// For each of the group's places the pair that a row has there, or -1.
  Code::Values findPairs(Value row, ArrayRef<Value> places) {
    auto [from, to] = pairsOf(row);
    Code::Values nobody(places.size(), k.number(-1, k.i32()));
    return overPairs(from, to, nobody, [&](Value at, ValueRange found) {
      Value own = k.load(p.places.ofPair, at), pair = k.toI32(at);
      Code::Values next;
      for (auto [place, before] : llvm::zip_equal(places, found))
        next.push_back(k.select(k.isEqual(own, place), pair, before));
      return next;
    });
  }

  /// All experts of the group, whether these rows have them or not.
  Code::Values overGroup(Code::Values inits, OfExpert body) {
    auto [begin, count] = placesOfGroup();
    return k.loop(k.index(0), count, 1, inits,
                  [&, begin = begin](Value place, ValueRange before) {
                    Value expert = k.load(p.places.expert, k.add(begin, place));
                    Value pair = findPairs(rowToSearch(), {k.toI32(place)})[0];
                    return body(rowsOf(expert, pair), before);
                  });
  }

  /// The experts that the rows have. Each lane looks for the next one of a row:
  /// of the same expert the next pair.
  Code::Values overPresent(Code::Values inits, OfExpert body) {
    auto [from, to] = pairsOf(rowToSearch());
    Value least = k.number(std::numeric_limits<int32_t>::min(), k.i32());
    Code::Values state = {least, k.number(-1, k.i32())};
    llvm::append_range(state, inits);
    Code::Values first = nextPair(from, to, state[0], state[1]);
    state[0] = first[0];
    state[1] = first[1];
    state.insert(state.begin() + 2, first[2]);
    auto loop = scf::WhileOp::create(
        k.b, k.loc, ValueRange(state).getTypes(), state,
        [&](OpBuilder &, Location, ValueRange now) {
          OpBuilder::InsertionGuard guard(k.b);
          Value isExpert = k.compare(arith::CmpIPredicate::ne, now[0], none());
          scf::ConditionOp::create(k.b, k.loc, isExpert, now);
        },
        [&, from = from, to = to](OpBuilder &, Location, ValueRange now) {
          OpBuilder::InsertionGuard guard(k.b);
          Code::Values sums = body(rowsOf(now[0], now[2]), now.drop_front(3));
          Code::Values next = nextPair(from, to, now[0], now[1]);
          llvm::append_range(next, sums);
          scf::YieldOp::create(k.b, k.loc, next);
        });
    return Code::Values(loop.getResults().drop_front(3));
  }

  Value none() {
    return k.number(std::numeric_limits<int32_t>::max(), k.i32());
  }

  /// Behind an expert and this lane's last pair: the next expert that any row has, the last pair, and the pair of this lane's
  /// row that has it, or -1.
  Code::Values nextPair(Value from, Value to, Value lastExpert,
                        Value lastPair) {
    Value nobody = k.number(-1, k.i32());
    Code::Values own =
        overPairs(from, to, {none(), nobody}, [&](Value at, ValueRange best) {
          Value expert = k.load(p.pairExpert, at), pair = k.toI32(at);
          auto less = arith::CmpIPredicate::slt;
          Value isBehind = k.either(k.compare(less, lastExpert, expert),
                                    k.both(k.isEqual(expert, lastExpert),
                                           k.compare(less, lastPair, pair)));
          Value isBetter = k.both(isBehind, k.compare(less, expert, best[0]));
          return Code::Values{k.select(isBetter, expert, best[0]),
                              k.select(isBetter, pair, best[1])};
        });
    Value expert = k.leastOfLanes(own[0]);
    Value pair = k.select(k.isEqual(expert, own[0]), own[1], nobody);
    Value isOwn =
        k.compare(arith::CmpIPredicate::sge, pair, k.number(0, k.i32()));
    return {expert, k.select(isOwn, pair, lastPair), pair};
  }

  /// What the lanes that found pairs know, where it is needed.
  ExpertRows rowsOf(Value expert, Value pair) {
    ExpertRows result;
    result.expert = expert;
    for (int64_t i = 0; i < 2; ++i) {
      Value found = k.fromLane(pair, k.toI32(k.add(lineOfLane, 8 * i)));
      result.isThere[i] =
          k.compare(arith::CmpIPredicate::sge, found, k.number(0, k.i32()));
      result.pair[i] =
          k.select(result.isThere[i], k.toIndex(found), k.index(0));
      Value weight = k.loadFloat(p.pairWeight, result.pair[i]);
      result.weight[i] = k.select(result.isThere[i], weight, k.zero());
    }
    return result;
  }

  //===--- factors ---===//
  /// 16 x 16 of low-rank rows from column `column` on: zeros for rows that have none, and past the rank.
  Fragment leftFactor(const ExpertRows &rows, const LowRows &low,
                      Value column) {
    Fragment factor;
    for (int64_t part = 0; part < 4; ++part) {
      int64_t row = part % 2;
      Value own = k.add(column, k.add(k.mul(quad, 2), part / 2 * 8));
      Value begin = k.add(k.mul(rows.pair[row], low.length), low.first);
      std::array<Value, 2> numbers;
      for (int64_t i = 0; i < 2; ++i) {
        Value at = k.add(own, i), isInside = rows.isThere[row];
        if (low.rank % blockSize != 0) {
          isInside = k.both(isInside, k.isBelow(at, k.index(low.rank)));
          at = k.select(isInside, at, k.index(0));
        }
        numbers[i] = k.select(isInside, k.loadFloat(low.list, k.add(begin, at)),
                              k.zero());
      }
      factor[part] = k.pack(p.element, numbers[0], numbers[1]);
    }
    return factor;
  }

  /// Rows of an expert's matrix that a lane has of a block: two numbers of each
  /// of its halves.
  std::array<MatrixRow, 4> rowsOfBlock(const MatrixPool &matrix, Value begin,
                                       Value isThere, const BlockPlace &row) {
    std::array<MatrixRow, 4> lines;
    for (auto [i, line] : llvm::enumerate(lines)) {
      Value own = k.add(row.first, k.add(k.mul(quad, 2), i % 2 + i / 2 * 8));
      line.begin = k.add(begin, k.mul(own, matrix.columns));
      line.isThere = isThere;
      // Where there is no matrix, begin is another's.
      if (!row.isWhole) {
        line.isThere = k.both(isThere, k.isBelow(own, k.index(matrix.rows)));
        line.begin = k.select(line.isThere, line.begin, begin);
      }
    }
    return lines;
  }

  /// 16 x 16 of a matrix from a column on, as factors of two products. A lane
  /// reads two numbers of a row at once, which are of the first product and of
  /// the second: column 2n of the block is column n of the first, in the order
  /// 0, 8, 2, 10, ..., and the column behind it of the second.
  std::array<std::array<Value, 2>, 2>
  rightFactors(const MatrixPool &matrix, const std::array<MatrixRow, 4> &lines,
               const BlockPlace &column) {
    Value own =
        k.add(column.first, k.add(k.mul(k.rem(lineOfLane, k.index(2)), 8),
                                  k.mul(k.div(lineOfLane, 2), 2)));
    Value isColumn = k.isBelow(own, k.index(matrix.columns));
    std::array<Value, 4> words;
    for (auto [line, word] : llvm::zip_equal(lines, words)) {
      Value at = k.add(line.begin, own), isInside = line.isThere;
      if (!column.isWhole) {
        isInside = k.both(isInside, isColumn);
        at = k.select(isInside, at, k.index(0));
      }
      word =
          k.select(isInside, k.loadPair(matrix.list, at), k.number(0, k.i32()));
    }
    return {
        {{k.firstOfBoth(words[0], words[1]), k.firstOfBoth(words[2], words[3])},
         {k.secondOfBoth(words[0], words[1]),
          k.secondOfBoth(words[2], words[3])}}};
  }

  /// Adds a product to 8 numbers of 16 columns: those of the first product are 0, 4, 2, 6, those of the second behind them.
  void multiply(const Fragment &left,
                const std::array<std::array<Value, 2>, 2> &right,
                MutableArrayRef<Value> numbers) {
    for (int64_t i = 0; i < 2; ++i) {
      Fragment result = k.multiply(
          p.element, left, right[i],
          {numbers[i], numbers[4 + i], numbers[2 + i], numbers[6 + i]});
      numbers[i] = result[0];
      numbers[4 + i] = result[1];
      numbers[2 + i] = result[2];
      numbers[6 + i] = result[3];
    }
  }

  /// numbers + low[pair]·matrix for the chunk's columns. One block of the rank is in registers at a time, whatever the rank is.
  Code::Values expand(const ExpertRows &rows, const LowRows &low,
                      const MatrixPool &matrix, ValueRange numbers) {
    auto [begin, isThere] = matrix.find(k, rows.expert);
    return overRank(
        low.rank, numbers,
        [&, begin = begin, isThere = isThere](Value rank, ValueRange before) {
          return multiplyChunk(
              leftFactor(rows, low, rank), matrix,
              rowsOfBlock(matrix, begin, isThere, rankOf(rank, low.rank)),
              before);
        });
  }

  /// before + left·rows for the chunk's columns.
  Code::Values multiplyChunk(const Fragment &left, const MatrixPool &matrix,
                             const std::array<MatrixRow, 4> &lines,
                             ValueRange before) {
    Code::Values sums(before);
    for (int64_t block = 0; block < chunkColumns / blockSize; ++block)
      multiply(left, rightFactors(matrix, lines, columnOf(block)),
               numbersOf(sums, block));
    return sums;
  }

  /// Blocks of a rank, one after the other.
  Code::Values
  overRank(int64_t rank, ValueRange inits,
           llvm::function_ref<Code::Values(Value, ValueRange)> body) {
    return k.unrolledLoop(k.index(0), k.index(rank), blockSize, /*turns=*/1,
                          inits, body);
  }

  /// Of numbers of a chunk, those of a block of columns.
  static MutableArrayRef<Value> numbersOf(Code::Values &chunk, int64_t block) {
    return MutableArrayRef<Value>(chunk).slice(block * numbersOfBlock,
                                               numbersOfBlock);
  }

  //===--- what an expert adds ---===//
  std::array<Value, 2> roundPair(Value first, Value second) {
    return k.unpack(p.element, k.pack(p.element, first, second));
  }

  /// act of two numbers next to each other; `i` is the first one's place, where the other matrix has the gate's.
  std::array<Value, 2> activatePair(Value first, Value second, bool hasGate,
                                    int64_t i) {
    if (!p.act)
      return {first, second};
    return activatePair(first, second, hasGate ? base(1, i) : Value(),
                        hasGate ? base(1, i + 1) : Value());
  }

  std::array<Value, 2> activatePair(Value first, Value second, Value firstGate,
                                    Value secondGate) {
    std::array<Value, 2> up = roundPair(first, second), gate;
    if (firstGate)
      gate = roundPair(firstGate, secondGate);
    return {p.activate(k, up[0], gate[0]), p.activate(k, up[1], gate[1])};
  }

  /// before + weight·h, and this chunk's part of v.
  Code::Values addExpert(const ExpertRows &rows, ValueRange before) {
    SmallVector<Code::Values> products = productsOf(rows);
    Code::Values results(before);
    SmallVector<Fragment> hidden;
    for (int64_t block = 0; block < chunkColumns / blockSize; ++block)
      hidden.push_back(
          hiddenOf(rows, products, block, numbersOf(results, block)));
    if (p.shrink)
      shrink(rows, hidden);
    return results;
  }

  /// What each weight of the expert gives.
  SmallVector<Code::Values> productsOf(const ExpertRows &rows) {
    SmallVector<Code::Values> products;
    int64_t first = 0;
    for (size_t matrix = 0; matrix < p.weights.size(); ++matrix) {
      Code::Values numbers;
      for (int64_t i = 0; i < chunkColumns / 2; ++i)
        numbers.push_back(base(matrix, i));
      if (2 * matrix < p.residuals.size()) {
        int64_t rank = p.residuals[2 * matrix].columns;
        LowRows low{p.low, p.lowColumns(), first, rank};
        numbers = expand(rows, low, p.residuals[2 * matrix + 1], numbers);
        first += rank;
      }
      products.push_back(numbers);
    }
    return products;
  }

  /// h of a block of columns, in pairs; what is added up grows by weight·h.
  Fragment hiddenOf(const ExpertRows &rows, ArrayRef<Code::Values> products,
                    int64_t block, MutableArrayRef<Value> results) {
    Fragment hidden;
    for (int64_t i = 0; i < numbersOfBlock; i += 2) {
      int64_t at = block * numbersOfBlock + i;
      std::array<Value, 2> h = {products[0][at], products[0][at + 1]};
      if (p.act)
        h = products.size() == 2
                ? activatePair(h[0], h[1], products[1][at], products[1][at + 1])
                : activatePair(h[0], h[1], Value(), Value());
      hidden[i / 2] = k.pack(p.element, h[0], h[1]);
      h = k.unpack(p.element, hidden[i / 2]);
      for (int64_t j = 0; j < 2; ++j)
        results[i + j] =
            k.addF(results[i + j], k.mulF(rows.weight[i / 2 % 2], h[j]));
    }
    return hidden;
  }

  /// h's pairs lie as left factors do. A block of the rank at a time, as in expand.
  void shrink(const ExpertRows &rows, ArrayRef<Fragment> hidden) {
    auto [begin, isThere] = p.shrink->find(k, rows.expert);
    overRank(p.shrink->columns, {},
             [&, begin = begin, isThere = isThere](Value rank, ValueRange) {
               Code::Values shrunk(numbersOfBlock, k.zero());
               for (auto [block, left] : llvm::enumerate(hidden))
                 multiply(left,
                          rightFactors(*p.shrink,
                                       rowsOfBlock(*p.shrink, begin, isThere,
                                                   columnOf(block)),
                                       rankOf(rank, p.shrink->columns)),
                          shrunk);
               addToParts(rows, rank, shrunk);
               return Code::Values();
             });
  }

  /// Columns of v from `first` on. Only this warp writes these, tile after tile, unless all add to one sum.
  void addToParts(const ExpertRows &rows, Value first, ValueRange shrunk) {
    int64_t rank = p.shrink->columns;
    for (int64_t row = 0; row < 2; ++row)
      k.when(rows.isThere[row], [&] {
        for (int64_t half = 0; half < 2; ++half) {
          Value column = k.add(first, k.add(k.mul(quad, 2), 8 * half));
          auto add = [&] {
            for (int64_t i = 0; i < 2; ++i) {
              Value at = k.add(k.mul(rows.pair[row], rank), k.add(column, i));
              p.addToPart(k, shrunk[4 * half + 2 * row + i], sums.part, at);
            }
          };
          if (rank % blockSize == 0)
            add();
          else
            k.when(k.isBelow(column, k.index(rank)), add);
        }
      });
  }

  /// before + Σ weight·segment·expand over the pairs of each row.
  Code::Values addSegments(Code::Values before) {
    if (sums.form == ResidualForm::Dense)
      return addGroup(before);
    return overExperts(before, [&](const ExpertRows &rows, ValueRange before) {
      return addSegment(rows, before);
    });
  }

  /// The same as one product: the ranks of all places of the group lie one
  /// behind the other, and are zero for rows that have no pair there.
  Code::Values addGroup(Code::Values before) {
    auto [begin, count] = placesOfGroup();
    int64_t rank = p.expand->rows;
    return k.unrolledLoop(
        k.index(0), k.mul(count, rank), blockSize, /*turns=*/1, before,
        [&, begin = begin, count = count](Value first, ValueRange before) {
          // A lane's numbers of each half of the block are one place's.
          std::array<Value, 2> places, within;
          for (int64_t half = 0; half < 2; ++half) {
            Value at = k.add(first, k.add(k.mul(quad, 2), 8 * half));
            places[half] = k.div(at, rank);
            within[half] = k.rem(at, k.index(rank));
          }
          return multiplyChunk(weightedSegments(places, within), *p.expand,
                               rowsOfPlaces(begin, count, places, within),
                               before);
        });
  }

  /// weight·segment of the lane's two rows at two places, two numbers of each.
  Fragment weightedSegments(const std::array<Value, 2> &places,
                            const std::array<Value, 2> &within) {
    Fragment factor;
    for (int64_t row = 0; row < 2; ++row) {
      Code::Values pairs =
          findPairs(rows[row], {k.toI32(places[0]), k.toI32(places[1])});
      for (int64_t half = 0; half < 2; ++half) {
        Value isThere = k.compare(arith::CmpIPredicate::sge, pairs[half],
                                  k.number(0, k.i32()));
        Value pair = k.select(isThere, k.toIndex(pairs[half]), k.index(0));
        Value at = k.add(k.mul(pair, p.expand->rows), within[half]);
        Value weight =
            k.select(isThere, k.loadFloat(p.pairWeight, pair), k.zero());
        std::array<Value, 2> numbers;
        for (int64_t i = 0; i < 2; ++i)
          numbers[i] = k.mulF(
              weight, k.select(isThere, k.loadFloat(p.segment, k.add(at, i)),
                               k.zero()));
        factor[2 * half + row] = k.pack(p.element, numbers[0], numbers[1]);
      }
    }
    return factor;
  }

  /// Rows of the experts' matrices that belong to these.
  std::array<MatrixRow, 4> rowsOfPlaces(Value begin, Value count,
                                        const std::array<Value, 2> &places,
                                        const std::array<Value, 2> &within) {
    std::array<MatrixRow, 4> lines;
    for (int64_t half = 0; half < 2; ++half) {
      Value isPlace = k.isBelow(places[half], count);
      Value place = k.select(isPlace, places[half], k.index(0));
      Value expert = k.load(p.places.expert, k.add(begin, place));
      auto [matrix, isThere] = p.expand->find(k, expert);
      for (int64_t i = 0; i < 2; ++i)
        lines[2 * half + i] = {
            k.add(matrix, k.mul(k.add(within[half], i), p.expand->columns)),
            k.both(isPlace, isThere)};
    }
    return lines;
  }

  /// before + weight·segment·expand.
  Code::Values addSegment(const ExpertRows &rows, ValueRange before) {
    int64_t rank = p.expand->rows;
    Code::Values added =
        expand(rows, LowRows{p.segment, rank, /*first=*/0, rank}, *p.expand,
               Code::Values(before.size(), k.zero()));
    Code::Values results;
    for (auto [i, sum] : llvm::enumerate(before))
      results.push_back(k.addF(sum, k.mulF(rows.weight[i / 2 % 2], added[i])));
    return results;
  }

  KernelCode &k;
  const TiledProduct &p;
  const FragmentSums &sums;
  /// Where in a fragment a lane is: rows line and line + 8, columns 2·quad and the next, of each 8.
  Value quad, lineOfLane;
  std::array<Value, 2> rows, isRow;
  /// The first column of each matrix that is finished now, and how many are.
  int64_t chunk = 0, chunkColumns = 0;
};
} // namespace

void moec::lowering::finishFragments(KernelCode &k, const TiledProduct &product,
                                     const FragmentSums &sums) {
  FragmentFinisher(k, product, sums).finish();
}
