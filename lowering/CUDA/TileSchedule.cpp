// What each GPU gets.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "lowering/CUDA/TileSchedule.h"

#include "lowering/CUDA/Targets.h"
#include "lowering/CUDA/WarpgroupMatmul.h"
#include "lowering/ScheduleFields.h"

using namespace mlir;
using namespace moec::lowering;

/// ResidualForm, in its order.
static constexpr llvm::StringLiteral formWords[] = {"dense", "present", "slot"};

static constexpr ScheduleField<TileSchedule> fields[] = {
    {"most_rows", &TileSchedule::mostRows, 1, TileSchedule::any},
    {"rows", &TileSchedule::rows, 16, 256},
    {"columns", &TileSchedule::columns, 32, 256},
    {"depth", &TileSchedule::depth, 16, 128},
    {"stages", &TileSchedule::stages, 2, 8},
    {"warps_down", &TileSchedule::warpsDown, 1, 8},
    {"warps_across", &TileSchedule::warpsAcross, 1, 8},
    {"runs", &TileSchedule::runs, 1, 65536},
    {"warpgroups", &TileSchedule::warpgroups, 0, 2},
    {"blocks", &TileSchedule::blocks, 1, 65536},
    {"cluster", &TileSchedule::cluster, 1, 2},
    {"residual_form", &TileSchedule::form, 0, 2, formWords},
    {"shrink_rows", &TileSchedule::shrinkRows, 0, 32},
};

// Few rows: weights are all that is read, so every tile of columns is a block of its own, and stages are many and small;
// several blocks of a multiprocessor keep some 100 KB on their way. Many rows: 64 x 64 of gate and up at once.
static constexpr TileSchedule ampere[] = {
    {/*mostRows*/ 16, /*tile*/ 16, 64, /*depth, stages*/ 32, 4, /*warps*/ 1, 4,
     /*runs*/ 65536},
    {TileSchedule::any, 64, 64, 32, 3, 2, 2, 16},
};

/// Pairs of a tile of x·A: with twice as many, half as much of A is read, and
/// of a layer with few experts a GPU has too few tiles. Where groups have few
/// rows, experts have few pairs, and each pair is a block.
static constexpr int64_t pairsOfShrink = 32;
static int64_t shrinkRowsFor(const TileSchedule &schedule) {
  return schedule.mostRows > ampere[0].mostRows ? pairsOfShrink : 0;
}

/// Between few rows and many, on Hopper.
static constexpr TileSchedule hopperMiddle = {64, 64, 64, 32, 3, 2, 2, 16};

/// Rows of a group above which two tiles of 128 share weights: groups of fewer leave too many of the second tiles empty.
static constexpr int64_t rowsOfPairs = 256;

/// Many rows on Hopper, by wgmma.
static constexpr TileSchedule hopperLarge(int64_t columns, int64_t stages) {
  return {rowsOfPairs, 128, columns, 64, stages, 8, 1, 16, /*warpgroups*/ 2};
}

/// Still more: pairs of blocks copy each weight once.
static constexpr TileSchedule hopperPairs(int64_t columns, int64_t stages) {
  TileSchedule schedule = hopperLarge(columns, stages);
  schedule.mostRows = TileSchedule::any;
  schedule.cluster = 2;
  return schedule;
}

// What shares sums has room for those of 128 columns. In registers there is room for 256 of one matrix; finishing gate and up
// takes more of them, so there are more stages instead.
static constexpr TileSchedule hopperOfOne[] = {
    ampere[0], hopperMiddle, hopperLarge(128, 4), hopperPairs(128, 4)};
static constexpr TileSchedule hopperOfTwo[] = {
    ampere[0], hopperMiddle, hopperLarge(64, 4), hopperPairs(64, 4)};
static constexpr TileSchedule hopperOfOneInRegisters[] = {
    ampere[0], hopperMiddle, hopperLarge(256, 4), hopperPairs(256, 4)};
static constexpr TileSchedule hopperOfTwoInRegisters[] = {
    ampere[0], hopperMiddle, hopperLarge(64, 6), hopperPairs(64, 6)};

namespace {
struct TargetSchedules {
  llvm::StringLiteral target;
  /// Of products with one matrix and with two, that share sums.
  llvm::ArrayRef<TileSchedule> ofOne, ofTwo;
  /// Of those that are finished in registers.
  llvm::ArrayRef<TileSchedule> ofOneInRegisters, ofTwoInRegisters;
};
} // namespace

static constexpr TargetSchedules tables[] = {
    {"sm_80", ampere, ampere, ampere, ampere},
    {"sm_90a", hopperOfOne, hopperOfTwo, hopperOfOneInRegisters,
     hopperOfTwoInRegisters},
};

SmallVector<TileSchedule> moec::lowering::tileSchedules(llvm::StringRef target,
                                                        const ProductForm &form,
                                                        ChooseForm choose) {
  const auto *found = llvm::find_if(tables, [&](const TargetSchedules &table) {
    return table.target == target;
  });
  assert(found != std::end(tables) && "expected a target of gpuTargets()");
  bool isOne = form.matrices == 1;
  llvm::ArrayRef<TileSchedule> shared = isOne ? found->ofOne : found->ofTwo;
  llvm::ArrayRef<TileSchedule> inRegisters =
      isOne ? found->ofOneInRegisters : found->ofTwoInRegisters;
  SmallVector<TileSchedule> schedules;
  for (auto [ofShared, ofRegisters] : llvm::zip_equal(shared, inRegisters)) {
    ResidualForm taken = choose               ? choose(ofShared)
                         : form.fitsRegisters ? ResidualForm::Present
                                              : ResidualForm::Slot;
    schedules.push_back(taken == ResidualForm::Slot ? ofShared : ofRegisters);
    schedules.back().form = int64_t(taken);
    if (form.fitsShrink)
      schedules.back().shrinkRows = shrinkRowsFor(ofShared);
  }
  return schedules;
}

TileSchedule moec::lowering::wideSchedule() { return ampere[1]; }

TileSchedule moec::lowering::narrowSchedule(int64_t rows, int64_t columns,
                                            int64_t matrices) {
  constexpr int64_t mostColumns = 64, depth = 64, warpsDeep = 4, mostStages = 4;
  int64_t tileColumns = llvm::alignTo(columns, 16);
  TileSchedule schedule = {TileSchedule::any,
                           rows,
                           std::min(tileColumns, mostColumns),
                           depth,
                           mostStages,
                           /*warpsDown, warpsAcross*/ 1,
                           1,
                           /*runs*/ 1};
  schedule.warpsDeep = warpsDeep;
  schedule.stages = std::min(mostStages, TileSchedule::mostSharedBytes /
                                             schedule.stageBytes(matrices));
  return schedule;
}

/// Sizes of a tile that warpgroups multiply.
static LogicalResult verifyWarpgroups(Operation *op, const TileSchedule &s,
                                      const ProductForm &form) {
  if (s.rows != 64 * s.warpgroups)
    return op->emitError("moe.schedule: expected 64 rows for each of "
                         "warpgroups, found ")
           << s.rows << " for " << s.warpgroups;
  if (s.warpsDown != 4 * s.warpgroups || s.warpsAcross != 1)
    return op->emitError("moe.schedule: expected 4 warps_down for each of "
                         "warpgroups and 1 warps_across, found ")
           << s.warpsDown << " and " << s.warpsAcross;
  if (s.depth != WarpgroupShape::depth)
    return op->emitError("moe.schedule: expected a depth of ")
           << WarpgroupShape::depth << " for warpgroups, found " << s.depth;
  if (s.blocks % s.cluster != 0)
    return op->emitError("moe.schedule: expected blocks to be a multiple of "
                         "cluster, found ")
           << s.blocks << " for " << s.cluster;
  WarpgroupShape shape(s, form.matrices, !s.isFinishedInRegisters());
  if (s.columns % WarpgroupShape::boxColumns != 0 ||
      shape.sumColumns() > WarpgroupShape::mostColumns)
    return op->emitError("moe.schedule: expected columns to be a multiple of ")
           << WarpgroupShape::boxColumns << ", and at most "
           << WarpgroupShape::mostColumns << " of all matrices, found "
           << s.columns << " of " << form.matrices;
  if (int64_t bytes = shape.sharedBytes();
      bytes > TileSchedule::mostDynamicBytes)
    return op->emitError("moe.schedule: expected at most ")
           << TileSchedule::mostDynamicBytes
           << " bytes of shared memory, found " << bytes;
  return success();
}

/// Sizes that the kernel can be made with.
static LogicalResult verify(Operation *op, const TileSchedule &s,
                            const ProductForm &form) {
  if (!form.fits(s.residualForm()))
    return op->emitError("moe.schedule: expected residual_form ")
           << (form.fitsRegisters ? "present or slot" : "slot")
           << " for these types and ranks, found "
           << StringRef(formWords[s.form]);
  if (s.shrinkRows % 16 != 0)
    return op->emitError("moe.schedule: expected shrink_rows to be a multiple "
                         "of 16, found ")
           << s.shrinkRows;
  if (s.shrinkRows && !form.fitsShrink)
    return op->emitError("moe.schedule: expected shrink_rows 0 for these types "
                         "and ranks, found ")
           << s.shrinkRows;
  if (s.warpgroups)
    return verifyWarpgroups(op, s, form);
  if (s.cluster != 1)
    return op->emitError("moe.schedule: expected warpgroups for a cluster of "
                         "blocks, found a cluster of ")
           << s.cluster << " without";
  if (s.rows % (16 * s.warpsDown) != 0)
    return op->emitError("moe.schedule: expected rows to be a multiple of 16 "
                         "for each of warps_down, found ")
           << s.rows << " for " << s.warpsDown;
  if (s.columns % (16 * s.warpsAcross) != 0 || s.columns % 32 != 0)
    return op->emitError("moe.schedule: expected columns to be a multiple of "
                         "32, and of 16 for each of warps_across, found ")
           << s.columns << " for " << s.warpsAcross;
  if (s.rows % s.warps() != 0)
    return op->emitError("moe.schedule: expected rows to be a multiple of the "
                         "warps, found ")
           << s.rows << " for " << s.warps();
  if (s.depth % 16 != 0)
    return op->emitError(
               "moe.schedule: expected depth to be a multiple of 16, found ")
           << s.depth;
  if (int64_t bytes = s.sharedBytes(form.matrices);
      bytes > TileSchedule::mostSharedBytes)
    return op->emitError("moe.schedule: expected at most ")
           << TileSchedule::mostSharedBytes << " bytes of shared memory, found "
           << bytes;
  return success();
}

FailureOr<SmallVector<TileSchedule>>
moec::lowering::readTileSchedules(Operation *op, const ProductForm &form) {
  SmallVector<TileSchedule> known =
      tileSchedules(gpuTargets().front().name, form);
  Attribute given = op->getAttr(scheduleAttrName);
  if (!given)
    return known;
  auto list = dyn_cast<ArrayAttr>(given);
  if (!list || list.empty())
    return op->emitError("moe.schedule: expected a list of dictionaries for a "
                         "GPU, found ")
           << given;
  SmallVector<TileSchedule> schedules;
  for (Attribute each : list) {
    auto numbers = dyn_cast<DictionaryAttr>(each);
    if (!numbers)
      return op->emitError("moe.schedule: expected a dictionary, found ")
             << each;
    schedules.push_back(known.back());
    if (failed(readFields(op, numbers, fields, schedules.back())) ||
        failed(verify(op, schedules.back(), form)))
      return failure();
    if (schedules.size() > 1 &&
        schedules.back().mostRows <= schedules.end()[-2].mostRows)
      return op->emitError("moe.schedule: expected most_rows to grow from one "
                           "to the next, found ")
             << schedules.back().mostRows << " behind "
             << schedules.end()[-2].mostRows;
  }
  return schedules;
}

ArrayAttr
moec::lowering::writeTileSchedules(MLIRContext *context,
                                   llvm::ArrayRef<TileSchedule> schedules) {
  SmallVector<Attribute> list;
  for (const TileSchedule &each : schedules)
    list.push_back(writeFields(context, fields, each));
  return ArrayAttr::get(context, list);
}
