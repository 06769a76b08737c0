// Which form the residuals of a product get, by what each costs.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "lowering/CUDA/ResidualForms.h"

#include "dialects/MoE/IR/MoE.h"
#include "lowering/CUDA/FinishFragments.h"
#include "passes/Decisions.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace moec;
using namespace moec::lowering;
using namespace moec::moe;

/// Rows of a cluster that the last row of a table, which is for any number, is
/// chosen for.
static constexpr double manyRows = 1024;
/// Rows of a cluster, on average, above which the group kernels sort them by
/// their experts.
static constexpr double rowsInAnyOrder = 16;

//===----------------------------------------------------------------------===//
// What is to be done
//===----------------------------------------------------------------------===//

/// Ranks of what each expert has for itself, and of what is only added up.
static void readRanks(GroupedUpOp op, weights::ResidualWork &work) {
  for (size_t i = 0; i < op.getResiduals().size(); i += 2)
    work.ownRanks.push_back(getWeightType(op.getResiduals()[i]).getCols());
  if (op.getShrink())
    work.ownRanks.push_back(getWeightType(op.getShrink()).getCols());
  work.hasActivation = true;
}
static void readRanks(GroupedMatmulOp op, weights::ResidualWork &work) {
  work.sharedRank = getWeightType(op.getExpand()).getRows();
}

/// Choices that fall into one cluster of a token, on average over the clusters
/// that it has.
static double choicesOfRow(GroupOp group, const WeightType &base,
                           double experts) {
  int64_t choices = cast<ShapedType>(group.getIds().getType()).getDimSize(1);
  int64_t places =
      cast<ShapedType>(group.getClusters().getType()).getDimSize(1);
  if (ShapedType::isDynamic(choices) || ShapedType::isDynamic(places))
    return 1;
  weights::ExpertLayerShape shape;
  shape.experts = std::max<int64_t>(choices, std::llround(experts));
  shape.choices = choices;
  shape.clusters = base.getCount();
  // As many places as choices: nothing limits the clusters of a token.
  shape.clustersPerToken = places < choices ? places : 0;
  double rows = weights::meetingsOf(shape, 1).tokenClusters;
  return std::max(1.0, double(choices) / rows);
}

/// Of a product whose pairs are a group's; nothing for one that experts add
/// nothing to.
template <typename Op>
static std::optional<weights::ResidualWork> workOf(Op op, Value factor) {
  auto group = op.getOffsets().template getDefiningOp<GroupOp>();
  WeightType base = getWeightType(op.getWeights().front());
  WeightType own = factor ? getWeightType(factor) : WeightType();
  if (!group || !own || !own.isIndexed() || !base.isIndexed())
    return std::nullopt;
  weights::ResidualWork work;
  work.experts =
      std::max(1.0, double(own.getCount()) / double(base.getCount()));
  work.choices =
      std::min(work.experts, choicesOfRow(group, base, double(own.getCount())));
  readRanks(op, work);
  return work;
}

static std::optional<weights::ResidualWork> workOf(Operation *op) {
  return llvm::TypeSwitch<Operation *, std::optional<weights::ResidualWork>>(op)
      .Case([](GroupedUpOp up) {
        return workOf(up, up.getResiduals().empty() ? Value()
                                                    : up.getResiduals()[0]);
      })
      .Case([](GroupedMatmulOp matmul) {
        return workOf(matmul, matmul.getExpand());
      })
      .Default(std::nullopt);
}

//===----------------------------------------------------------------------===//
// What is taken
//===----------------------------------------------------------------------===//

namespace {
/// Compares the forms that a product fits, for one number of rows after the
/// other.
class FormChooser {
public:
  FormChooser(const ProductForm &form, const weights::ResidualWork &work,
              const weights::TargetDescription &machine)
      : form(form), work(work), machine(machine) {}

  ResidualForm choose(const TileSchedule &schedule) {
    work.rows = schedule.mostRows == TileSchedule::any
                    ? manyRows
                    : double(schedule.mostRows);
    work.isSorted = work.rows > rowsInAnyOrder;
    std::string costs;
    ResidualForm best = ResidualForm::Slot;
    double least = std::numeric_limits<double>::infinity();
    for (ResidualForm each : weights::residualForms) {
      if (!form.fits(each))
        continue;
      double picoseconds =
          1e12 *
          weights::residualSeconds(weights::residualCost(each, work), machine);
      costs += llvm::formatv("{0}{1} {2:F0}", costs.empty() ? "" : ", ",
                             StringRef(weights::nameOf(each)), picoseconds);
      if (picoseconds < least) {
        least = picoseconds;
        best = each;
      }
    }
    text += llvm::formatv("; {0} rows: {1} of {2}", int64_t(work.rows),
                          StringRef(weights::nameOf(best)), costs);
    return best;
  }

  /// What was compared, for a remark.
  std::string said() const {
    return llvm::formatv("residuals of {0:F1} experts a cluster and {1:F1} a "
                         "row, picoseconds of {2} for 16 x 16 by form{3}",
                         work.experts, work.choices, machine.name, text);
  }

private:
  const ProductForm &form;
  weights::ResidualWork work;
  const weights::TargetDescription &machine;
  std::string text;
};
} // namespace

FailureOr<SmallVector<TileSchedule>>
moec::lowering::scheduleProduct(Operation *op, const GPUTarget &gpu,
                                std::optional<ResidualForm> asked,
                                StringRef passName) {
  ProductForm form = formOf(op);
  std::optional<weights::ResidualWork> work = workOf(op);
  if (!work)
    return tileSchedules(gpu.name, form);
  if (asked && !form.fits(*asked))
    return op->emitError("option residual-form: expected a form that residuals "
                         "of these types and ranks fit, found '")
           << StringRef(weights::nameOf(*asked)) << "'";
  if (asked)
    return tileSchedules(gpu.name, form,
                         [&](const TileSchedule &) { return *asked; });
  // The description is built in.
  auto machine = weights::findTarget(std::string(gpu.machine));
  FormChooser chooser(form, *work, *machine);
  SmallVector<TileSchedule> schedules =
      tileSchedules(gpu.name, form, [&](const TileSchedule &each) {
        return chooser.choose(each);
      });
  Decision::taken(op->getLoc(), passName) << chooser.said();
  return schedules;
}

FailureOr<std::optional<ResidualForm>>
moec::lowering::readResidualForm(Location loc, StringRef text) {
  std::optional<ResidualForm> asked;
  for (ResidualForm form : weights::residualForms)
    if (text == StringRef(weights::nameOf(form)))
      asked = form;
  if (!asked && text != "auto")
    return emitError(loc, "option residual-form: expected auto, dense, present "
                          "or slot, found '")
           << text << "'";
  return asked;
}
