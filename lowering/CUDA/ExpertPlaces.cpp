// Experts of each group in a row: what the dense form of residuals goes
// through. Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "lowering/CUDA/TiledProduct.h"

using namespace mlir;
using namespace moec::lowering;

static constexpr int64_t placesThreads = 256;

namespace {
/// Pairs of one group, whose experts a block puts in a row.
class GroupPlaces {
public:
  GroupPlaces(KernelCode &k, const TiledProduct &p, const ExpertPlaces &places)
      : k(k), p(p), places(places), first(firstPairOf(k.block())),
        end(firstPairOf(k.add(k.block(), 1))),
        counts(k.shared(p.experts, k.i32())),
        scratch(k.shared(placesThreads / KernelCode::warpSize, k.i32())) {}

  /// An expert has as many places as the row has pairs that has it most often.
  void emit() {
    Value zero = k.number(0, k.i32()), one = k.number(1, k.i32());
    k.spread(k.index(p.experts), [&](Value i) { k.store(zero, counts, i); });
    k.barrier();
    forEachPair([&](Value, Value expert, Value before) {
      k.atomicMax(k.add(before, one), counts, expert);
    });
    k.barrier();
    listExperts();
    k.barrier();
    forEachPair([&](Value pair, Value expert, Value before) {
      k.store(k.add(k.load(counts, expert), before), places.ofPair, pair);
    });
  }

private:
  Value firstPairOf(Value group) {
    Value row = k.toIndex(k.load(p.offsets, group));
    return k.toIndex(k.load(p.pairFirst, row));
  }

  /// Pairs, their experts, and how many pairs of the same row before them have
  /// the same.
  void forEachPair(llvm::function_ref<void(Value, Value, Value)> body) {
    k.spread(k.sub(end, first), [&](Value i) {
      Value pair = k.add(first, i), expert = k.load(p.pairExpert, pair);
      Value row = k.toIndex(k.load(p.pairRow, pair));
      Value zero = k.number(0, k.i32()), one = k.number(1, k.i32());
      Value before = k.loop(
          k.toIndex(k.load(p.pairFirst, row)), pair, 1, {zero},
          [&](Value at, ValueRange sum) {
            Value isSame = k.isEqual(k.load(p.pairExpert, at), expert);
            return Code::Values{k.add(sum[0], k.select(isSame, one, zero))};
          })[0];
      body(pair, k.toIndex(expert), before);
    });
  }

  /// Counts become the first place of each expert.
  void listExperts() {
    Value experts = k.index(p.experts), zero = k.number(0, k.i32());
    Value all =
        k.loop(k.index(0), experts, placesThreads, {zero},
               [&](Value run, ValueRange before) {
                 Value expert = k.add(run, k.thread());
                 Value isExpert = k.isBelow(expert, experts);
                 Value safe = k.select(isExpert, expert, k.index(0));
                 Value count = k.select(isExpert, k.load(counts, safe), zero);
                 auto [ahead, ofRun] = k.sumBefore(count, scratch);
                 Value begin = k.add(before[0], ahead);
                 k.when(isExpert, [&] {
                   Value from = k.add(first, k.toIndex(begin));
                   k.loop(k.index(0), k.toIndex(count), 1, [&](Value i) {
                     k.store(k.toI32(expert), places.expert, k.add(from, i));
                   });
                   k.store(begin, counts, expert);
                 });
                 return Code::Values{k.add(before[0], ofRun)};
               })[0];
    k.when(k.isEqual(k.thread(), k.index(0)),
           [&] { k.store(all, places.count, k.block()); });
  }

  KernelCode &k;
  const TiledProduct &p;
  const ExpertPlaces &places;
  Value first, end;
  Value counts, scratch;
};
} // namespace

LogicalResult ScheduledKernels::placeExperts(Code &host, TiledProduct &p) {
  auto isDense = [](const TileSchedule &s) {
    return s.residualForm() == ResidualForm::Dense;
  };
  if (llvm::none_of(p.schedules, isDense))
    return success();
  // Products of the same pairs that are dense for the same rows share them.
  SmallVector<int64_t> taken;
  for (const TileSchedule &s : p.schedules)
    taken.append({s.mostRows, isDense(s)});
  ExpertPlaces &places =
      expertPlaces[{p.pairRow, host.b.getDenseI64ArrayAttr(taken)}];
  bool isDone = bool(places.count);
  if (!isDone) {
    places.ofPair = host.allocate(p.pairs, host.i32());
    places.expert = host.allocate(p.pairs, host.i32());
    places.count = host.allocate(host.index(p.groups), host.i32());
  }
  p.places = places;
  if (isDone)
    return success();
  Value blocks = p.pick(host, [&](const TileSchedule &s) {
    return host.index(isDense(s) ? p.groups : 0);
  });
  return launch(host, "places", blocks, placesThreads,
                [&](KernelCode &k) { GroupPlaces(k, p, p.places).emit(); });
}
