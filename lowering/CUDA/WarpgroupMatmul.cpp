// Products on Hopper's tensor cores: a ring of stages between one warp that copies and two warpgroups that multiply.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "lowering/CUDA/WarpgroupMatmul.h"

using namespace mlir;
using namespace moec::lowering;

namespace {
using Shape = WarpgroupShape;

/// Where a role is in the ring: the stage, and the parity of its turn.
struct RingPlace {
  Value stage, parity;

  explicit RingPlace(ValueRange values) : stage(values[0]), parity(values[1]) {}
  Code::Values values() const { return {stage, parity}; }
};

class WarpgroupEmitter {
public:
  WarpgroupEmitter(HopperCode &k, const WarpgroupShape &s,
                   const WarpgroupOperands &o, Value shared, Value runs,
                   llvm::function_ref<TileRun(Value)> findRun,
                   FinishTile finish)
      : k(k), s(s), o(o), shared(shared), runs(runs), findRun(findRun),
        finish(finish), steps(llvm::divideCeil(o.depth, Shape::depth)) {}

  void emit() {
    initBarriers();
    constexpr int64_t copying = HopperCode::threadsOfGroup;
    k.when(
        k.isBelow(k.thread(), k.index(copying)),
        [&] {
          k.giveRegisters(Shape::registersToCopy);
          k.when(k.isEqual(k.warp(), k.index(0)),
                 [&] { k.once([&] { copyAll(); }); });
        },
        [&] {
          k.takeRegisters(Shape::registersToMultiply);
          multiplyAll();
        });
    // Others may still arrive at barriers of this block.
    if (s.cluster > 1)
      k.clusterBarrier();
  }

private:
  //===--- the ring ---===//
  void initBarriers() {
    k.when(k.isEqual(k.thread(), k.index(0)), [&] {
      k.prefetchMap(o.x);
      for (Value weight : o.weights)
        k.prefetchMap(weight);
      for (int64_t i = 0; i < s.stages; ++i) {
        Value stage = k.number(i, k.i32());
        k.initBarrier(full(stage), 1);
        k.initBarrier(empty(stage), s.readersOfStage());
      }
      k.fenceBarriers();
    });
    meet();
  }

  /// All threads that touch the block's shared memory.
  void meet() {
    if (s.cluster > 1)
      k.clusterBarrier();
    else
      k.barrier();
  }

  Value at(Value bytes) { return k.sharedAddress(shared, bytes); }
  Value barrier(Value number) {
    return at(k.add(k.mul(number, Shape::barrierBytes), s.barriersAt()));
  }
  Value full(Value stage) { return barrier(k.toIndex(stage)); }
  Value empty(Value stage) {
    return barrier(k.add(k.toIndex(stage), s.stages));
  }
  Value beginOf(Value stage) { return k.mul(k.toIndex(stage), s.stageBytes()); }

  /// In front of the ring. Who fills it finds that all stages are empty: as if a turn of the other parity had ended.
  Code::Values begin(bool isProducer) {
    return {k.number(0, k.i32()), k.number(isProducer, k.i32())};
  }
  RingPlace next(RingPlace place) {
    Value one = k.number(1, k.i32()), zero = k.number(0, k.i32());
    Value stage = k.add(place.stage, one);
    Value wraps = k.isEqual(stage, k.number(s.stages, k.i32()));
    place.stage = k.select(wraps, zero, stage);
    place.parity = k.select(wraps, k.sub(one, place.parity), place.parity);
    return place;
  }

  /// All tiles of this block, carrying the place in the ring.
  void forEachTile(
      bool isProducer,
      llvm::function_ref<RingPlace(const TileRun &, Value tile, RingPlace)>
          body) {
    k.stride(
        runs, s.cluster, begin(isProducer), [&](Value i, ValueRange before) {
          TileRun run = findRun(i);
          return k.loop(run.firstTile, run.endTile, 1, before,
                        [&](Value tile, ValueRange before) {
                          return body(run, tile, RingPlace(before)).values();
                        });
        });
  }

  //===--- who copies ---===//
  void copyAll() {
    forEachTile(true, [&](const TileRun &run, Value tile, RingPlace place) {
      return RingPlace(k.loop(k.index(0), k.index(steps), 1, place.values(),
                              [&](Value step, ValueRange before) {
                                RingPlace place(before);
                                k.waitFor(empty(place.stage), place.parity);
                                copyStage(run, tile, step, place.stage);
                                return next(place).values();
                              }));
    });
  }

  void copyStage(const TileRun &run, Value tile, Value step, Value stage) {
    k.arriveExpecting(full(stage), s.stageBytes());
    Value to = beginOf(stage), from = k.toI32(k.mul(step, Shape::depth));
    k.copyBox(at(to), o.x, {k.toI32(run.firstRow), from}, full(stage));
    // Of each of the weights' boxes some rows, for all blocks of the cluster.
    Value rowsBefore = k.index(0);
    if (s.cluster > 1)
      rowsBefore = k.mul(k.toIndex(k.blockOfCluster()), s.boxRows());
    from = k.add(from, k.toI32(rowsBefore));
    Value bytesBefore = k.mul(rowsBefore, HopperCode::swizzleBytes);
    for (int64_t i = 0; i < s.boxes(); ++i) {
      int64_t matrix = i / s.boxesOfMatrix();
      Value column = k.add(k.mul(tile, s.columns),
                           i % s.boxesOfMatrix() * Shape::boxColumns);
      Value place = k.add(to, s.xBytes() + i * Shape::boxBytes());
      k.copyBox(at(k.add(place, bytesBefore)), o.weights[matrix],
                {run.places[matrix], from, k.toI32(column)}, full(stage),
                s.cluster);
    }
  }

  //===--- who multiplies ---===//
  void multiplyAll() {
    Value warp = k.sub(k.warp(), k.index(HopperCode::warpsOfGroup));
    Value group = k.div(warp, HopperCode::warpsOfGroup);
    forEachTile(false, [&](const TileRun &run, Value tile, RingPlace place) {
      Value sums = multiplyTile(group, place);
      finish(run, tile, warp, k.numbersOf(sums));
      return place;
    });
  }

  /// One stage's products are on their way while the next one is awaited.
  Value multiplyTile(Value group, RingPlace &place) {
    k.waitFor(full(place.stage), place.parity);
    Value first = multiplyStage(group, place.stage, k.sums(s.sumColumns()),
                                /*isFirst=*/true);
    RingPlace second = next(place);
    Code::Values state = {second.stage, second.parity, place.stage, first};
    state = k.loop(
        k.index(1), k.index(steps), 1, state, [&](Value, ValueRange before) {
          RingPlace place(before.take_front(2));
          k.waitFor(full(place.stage), place.parity);
          Value sums = multiplyStage(group, place.stage, before[3],
                                     /*isFirst=*/false);
          k.waitProducts(1);
          release(before[2]);
          RingPlace after = next(place);
          return Code::Values{after.stage, after.parity, place.stage, sums};
        });
    k.waitProducts(0);
    release(state[2]);
    place = RingPlace(ValueRange(state).take_front(2));
    return state[3];
  }

  /// To all who fill it.
  void release(Value stage) {
    k.once([&] {
      if (s.cluster == 1)
        return k.arrive(empty(stage));
      for (int64_t block = 0; block < s.cluster; ++block)
        k.arriveAt(empty(stage), k.number(block, k.i32()));
    });
  }

  Value multiplyStage(Value group, Value stage, Value sums, bool isFirst) {
    constexpr int64_t depthOfProduct = 16;
    // Rows of x are rows of the swizzle's pattern; 8 of W are, and columns beyond its row lie in the next box.
    Value x = k.add(beginOf(stage), k.mul(group, Shape::rowsOfGroup *
                                                     HopperCode::swizzleBytes));
    Value a = k.matrix(at(x), /*leading=*/16, HopperCode::patternBytes);
    Value b = k.matrix(at(k.add(beginOf(stage), s.xBytes())),
                       /*leading=*/Shape::boxBytes(), HopperCode::patternBytes);
    k.beginProducts();
    for (int64_t depth = 0; depth < Shape::depth; depth += depthOfProduct)
      sums = k.addProduct(o.element, k.moved(a, 2 * depth),
                          k.moved(b, depth * HopperCode::swizzleBytes), sums,
                          isFirst && depth == 0);
    k.commitProducts();
    return sums;
  }

  HopperCode &k;
  const WarpgroupShape &s;
  const WarpgroupOperands &o;
  Value shared, runs;
  llvm::function_ref<TileRun(Value)> findRun;
  FinishTile finish;
  int64_t steps;
};
} // namespace

void moec::lowering::multiplyByWarpgroups(
    HopperCode &k, const WarpgroupShape &shape,
    const WarpgroupOperands &operands, Value shared, Value runs,
    llvm::function_ref<TileRun(Value)> findRun, FinishTile finish) {
  WarpgroupEmitter(k, shape, operands, shared, runs, findRun, finish).emit();
}
