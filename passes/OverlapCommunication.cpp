// moe-overlap-communication: ranks compute while rows are on their way.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "passes/Passes.h"

#include "dialects/MoE/IR/MoE.h"
#include "passes/Analysis/MultiplyAdds.h"
#include "passes/Analysis/WeightCost.h"
#include "passes/Communication.h"
#include "passes/Decisions.h"
#include "passes/SlotForm.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/FormatVariadic.h"

namespace moec {
#define GEN_PASS_DEF_OVERLAPCOMMUNICATIONPASS
#include "passes/Passes.h.inc"
} // namespace moec

using namespace mlir;
using namespace moec;
using namespace moec::moe;

static constexpr llvm::StringLiteral passName = "overlap-communication";

/// As many as the runtime takes.
static constexpr int64_t mostParts = 16;

namespace {
/// What lies between a moe.dispatch and its moe.return.
struct Window {
  DispatchOp sent;
  moe::ReturnOp back;
  /// What received rows are multiplied by, for each of them.
  int64_t multiplyAdds = 0;
  /// Of the matrices that are read for that, each part anew.
  int64_t weightBytes = 0;
};

/// Whether the operation, or what is inside of it, uses a result of one of
/// these.
bool usesAny(Operation *op, const llvm::SetVector<Operation *> &others) {
  WalkResult walk = op->walk([&](Operation *inner) {
    for (Value operand : inner->getOperands())
      if (Operation *made = operand.getDefiningOp(); others.contains(made))
        return WalkResult::interrupt();
    return WalkResult::advance();
  });
  return walk.wasInterrupted();
}

/// Whether the operation is worth doing while rows are on their way.
bool isWork(Operation *op) {
  return isMemoryEffectFree(op) && getMultiplyAddsPerToken(op) > 0;
}

/// Moves operations between that neither rows on their way nor sums depend on:
/// those behind the return, and those in front that nothing is sent of.
int64_t fillWindow(const Window &window) {
  moe::ReturnOp back = window.back;
  DispatchOp sent = window.sent;
  llvm::SetVector<Operation *> waiting, moved;
  waiting.insert(back);
  for (Operation *op = back->getNextNode(); op; op = op->getNextNode()) {
    if (isMemoryEffectFree(op) && !op->hasTrait<OpTrait::IsTerminator>() &&
        !usesAny(op, waiting))
      moved.insert(op);
    else
      waiting.insert(op);
  }
  int64_t found = llvm::count_if(moved, isWork);
  if (found)
    for (Operation *op : moved)
      op->moveBefore(back);

  // In the order from the last one, each operation is needed in front if one
  // that stays there uses it.
  llvm::SetVector<Operation *> late;
  for (Operation *op = sent->getPrevNode(); op; op = op->getPrevNode()) {
    bool isFree = isMemoryEffectFree(op) &&
                  llvm::all_of(op->getUsers(), [&](Operation *user) {
                    Operation *here =
                        op->getBlock()->findAncestorOpInBlock(*user);
                    return late.contains(here) || sent->isBeforeInBlock(here);
                  });
    if (isFree)
      late.insert(op);
  }
  int64_t early = llvm::count_if(late, isWork);
  if (early)
    for (Operation *op : late)
      op->moveAfter(sent);
  return found + early;
}

/// Sums up what is done with received rows.
void measure(Window &window) {
  llvm::SetVector<Operation *> known;
  known.insert(window.sent);
  llvm::SetVector<Value> weights;
  for (Operation *op = window.sent->getNextNode(); op != window.back;
       op = op->getNextNode()) {
    if (!usesAny(op, known))
      continue;
    known.insert(op);
    window.multiplyAdds += getMultiplyAddsPerToken(op);
    for (Value operand : op->getOperands())
      if (isa<WeightType>(operand.getType()))
        weights.insert(operand);
  }
  for (Value weight : weights) {
    WeightType type = getWeightType(weight);
    window.weightBytes += getCostOfParts(weight).storedNumbers *
                          type.getElementType().getIntOrFloatBitWidth() / 8;
  }
}

struct OverlapCommunicationPass
    : moec::impl::OverlapCommunicationPassBase<OverlapCommunicationPass> {
  using Base::Base;

  void runOnOperation() override {
    if (failed(checkOptions()))
      return signalPassFailure();
    SmallVector<Window> windows;
    getOperation().walk([&](moe::ReturnOp back) {
      if (back.getDispatch()->getBlock() == back->getBlock())
        windows.push_back({back.getDispatch(), back});
    });
    for (Window &window : windows) {
      int64_t work = fillWindow(window);
      measure(window);
      int64_t chosen = parts ? int64_t(parts) : chooseParts(window);
      if (chosen > 1)
        window.sent->setAttr(
            partsAttrName,
            IntegerAttr::get(IntegerType::get(&getContext(), 64), chosen));
      Decision::taken(window.sent.getLoc(), passName)
          << "tokens go in " << chosen << (chosen == 1 ? " part" : " parts")
          << ", with " << work << (work == 1 ? " product" : " products")
          << " beside them; expected microseconds: "
          << llvm::formatv("{0:F1} in one part, {1:F1} in {2}",
                           microseconds(window, 1),
                           microseconds(window, chosen), chosen)
                 .str();
    }
  }

private:
  LogicalResult checkOptions() {
    auto refuse = [&](StringRef option, StringRef what, double number) {
      std::string found;
      llvm::raw_string_ostream(found) << llvm::format("%g", number);
      return getOperation().emitError("option ")
             << option << ": expected " << what << ", found " << found;
    };
    if (parts < 0 || parts > mostParts)
      return refuse("parts", "a number from 1 to 16, or 0 for the model's",
                    double(parts));
    if (tokens < 1)
      return refuse("tokens", "a number from 1 on", double(tokens));
    if (ranks < 1)
      return refuse("ranks", "a number from 1 on", double(ranks));
    if (latency < 0)
      return refuse("latency-us", "a number that is not negative", latency);
    std::pair<StringRef, double> rates[] = {{"bandwidth-gbs", bandwidth},
                                            {"compute-gflops", compute},
                                            {"memory-gbs", memoryRate}};
    for (auto [option, rate] : rates)
      if (!(rate > 0))
        return refuse(option, "a positive number", rate);
    return success();
  }

  /// Ranks that a token is sent to besides its own.
  double rowsPerToken(DispatchOp sent) const {
    int64_t clusters = sent.getTable()
                           ? getClustersPerToken(sent.getIds(), sent.getTable())
                           : getTensorType(sent.getIds()).getDimSize(1);
    return double(std::min<int64_t>(clusters, ranks)) * double(ranks - 1) /
           double(ranks);
  }

  /// The time of a layer whose tokens go in so many parts.
  double microseconds(const Window &window, int64_t count) const {
    DispatchOp sent = window.sent;
    RankedTensorType rows = getTensorType(sent.getInput());
    double bytesOfRow =
        double(rows.getDimSize(1)) *
            double(rows.getElementType().getIntOrFloatBitWidth()) / 8 +
        double(getTensorType(sent.getIds()).getDimSize(1)) * 8;
    double tokensOfPart = double(tokens) / double(count);
    double sending = latency + tokensOfPart * rowsPerToken(sent) * bytesOfRow /
                                   (bandwidth * 1e3);
    double computing = std::max(
        2 * tokensOfPart * double(window.multiplyAdds) / (compute * 1e3),
        double(window.weightBytes) / double(ranks) / (memoryRate * 1e3));
    return 2 * sending + computing +
           double(count - 1) * std::max(sending, computing);
  }

  /// The fewest of those that take the least time.
  int64_t chooseParts(const Window &window) const {
    int64_t best = 1;
    if (ranks == 1)
      return best;
    for (int64_t count = 2; count <= mostParts; ++count)
      if (microseconds(window, count) < microseconds(window, best))
        best = count;
    return best;
  }
};
} // namespace
