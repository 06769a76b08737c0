// moe-factorize-experts: each expert matrix as the base of its cluster plus a low-rank residual of its own.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "passes/Passes.h"

#include "mlir/IR/BuiltinOps.h"
#include "passes/Decisions.h"
#include "passes/InputMoments.h"
#include "passes/LayerParams.h"
#include "passes/TerminalProgress.h"
#include "weights/Alignment.h"
#include "weights/CachedStatistics.h"
#include "weights/RankSelection.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/FormatVariadic.h"

namespace moec {
#define GEN_PASS_DEF_FACTORIZEEXPERTSPASS
#include "passes/Passes.h.inc"
} // namespace moec

using namespace mlir;
using namespace moec;
using namespace moec::moe;

static constexpr llvm::StringLiteral passName = "factorize-experts";

namespace {
/// One matrix of one layer on its way to a base and a residual.
struct Work {
  const ExpertLayer *layer;
  const ExpertMatrix *matrix;
  /// The matrix's param, or that with aligned neurons.
  ParamOp values;
  /// Without a base, `table` and `base` are null; `own` is A, once there is one.
  ParamOp table, base, moments, rounding, own;
  std::vector<weights::Spectrum> spectra;
};

WeightType typeOf(const Work &work) {
  ParamOp param = work.matrix->param;
  return cast<WeightType>(param.getType());
}

struct FactorizeExpertsPass
    : moec::impl::FactorizeExpertsPassBase<FactorizeExpertsPass> {
  using Base::Base;

  void runOnOperation() override {
    weights::WeightProvider provider;
    auto read = readProfileOf(getOperation(), profilePath);
    auto opened = openCacheOf(getOperation(), cacheDirectory);
    if (failed(read) || failed(opened) || failed(checkOptions()) ||
        failed(bindScopes(getOperation(), weights, provider)))
      return signalPassFailure();
    profile = *std::move(read);
    cache = *std::move(opened);
    ParamSources sources(provider);
    SmallVector<ExpertLayer> layers =
        findExpertLayers(getOperation(), passName);

    // By role, over all layers: layers of equal ranks share compiled code.
    llvm::MapVector<StringRef, SmallVector<Work>> roles;
    for (const ExpertLayer &layer : layers) {
      ParamOp table = hasBase() ? getClusterTable(layer.op) : ParamOp();
      if (hasBase() && !table) {
        Decision::declined(ExpertsOp(layer.op).getLoc(), passName)
            << "layer left as it is: no clusters; run moe-cluster-experts first";
        continue;
      }
      FailureOr<SmallVector<ParamOp>> values =
          alignNeurons(layer, table, sources);
      if (failed(values))
        return signalPassFailure();
      for (auto [matrix, param] : llvm::zip_equal(layer.matrices, *values)) {
        Work work{&layer, &matrix, param, table, {}, {}, {}, {}, {}};
        if (failed(findRounding(work)) || failed(makeBase(work)) ||
            failed(whitenInputs(work)) || failed(measure(work, sources)))
          return signalPassFailure();
        roles[matrix.role].push_back(std::move(work));
      }
    }
    FailureOr<SmallVector<int64_t>> ranks = chooseRanks(roles);
    if (failed(ranks))
      return signalPassFailure();
    if (!hasBase() && llvm::is_contained(*ranks, 0)) {
      getOperation().emitError("expected a rank of at least 1 for each matrix "
                               "without a base, found 0: of the bytes or the "
                               "error asked for, nothing is left to store");
      return signalPassFailure();
    }
    for (auto [role, chosen] : llvm::zip_equal(roles, *ranks))
      for (Work &work : role.second)
        rewrite(work, chosen);
  }

private:
  bool hasBase() const { return base != BaseKind::none; }
  bool hasResidual() const { return residual != ResidualKind::none; }

  LogicalResult checkOptions() {
    ModuleOp module = getOperation();
    if (!hasBase() && !hasResidual())
      return module.emitError(
          "expected a base or a residual, found base=none and residual=none");
    if (!hasBase() && (align || !baseEncoding.empty()))
      return module.emitError("expected a base for the options align and "
                              "base-encoding, found base=none");
    int asked = (rank > 0) + (errorBound > 0) + (bytes > 0);
    if (!hasResidual() && (asked > 0 || whiten != Whitening::none ||
                           !residualEncoding.empty()))
      return module.emitError(
          "expected a residual for the options rank, error-bound, bytes, "
          "whiten and residual-encoding, found residual=none");
    if (hasResidual() && asked != 1)
      return module.emitError("expected one of the options rank, error-bound "
                              "and bytes, found ")
             << asked;
    auto ofBase = parseEncoding(module, "base-encoding", baseEncoding);
    auto ofResidual =
        parseEncoding(module, "residual-encoding", residualEncoding);
    if (failed(ofBase) || failed(ofResidual))
      return failure();
    baseAttr = *ofBase;
    residualAttr = *ofResidual;
    return success();
  }

  /// The layer's params, with the neurons of each cluster's experts in like order if that was asked for and helps. Columns
  /// of gate and up and rows of down move together, so the layer computes the same.
  FailureOr<SmallVector<ParamOp>>
  alignNeurons(const ExpertLayer &layer, ParamOp table, ParamSources &sources) {
    ExpertsOp op = layer.op;
    SmallVector<ParamOp> params;
    for (const ExpertMatrix &matrix : layer.matrices)
      params.push_back(matrix.param);
    if (!align)
      return params;
    if (op.getGateBias() || op.getUpBias()) {
      Decision::declined(op.getLoc(), passName)
          << "neurons keep their order: the layer has biases in that order";
      return params;
    }
    SmallVector<weights::MatrixSourcePtr> leaves;
    for (ParamOp param : params) {
      auto leaf = sources.openLeaf(param);
      if (failed(leaf))
        return failure();
      leaves.push_back(*leaf);
    }
    auto clusterOf = sources.loadTable(table);
    if (failed(clusterOf))
      return failure();
    weights::AlignmentOptions options;
    options.parallel.progress = countProgress(layer, "alignment", "clusters");
    auto found = weights::alignExperts(
        leaves.front(), leaves.size() == 3 ? leaves[1] : nullptr, leaves.back(),
        *clusterOf, options);
    // The line goes before anything is said.
    options.parallel.progress = nullptr;
    if (!found)
      return op.emitOpError(found.error());
    double before = 0, after = 0;
    int64_t used = 0;
    for (const weights::ClusterAlignment &cluster : found->clusters) {
      before += cluster.before;
      after += cluster.used ? cluster.after : cluster.before;
      used += cluster.used;
    }
    if (used == 0) {
      Decision::declined(op.getLoc(), passName)
          << "neurons keep their order: no better one found";
      return params;
    }
    int64_t neurons = getWeightType(op.getUp()).getCols();
    auto permutations = DenseIntElementsAttr::get(
        RankedTensorType::get({layer.experts, neurons},
                              IntegerType::get(&getContext(), 32)),
        ArrayRef<int32_t>(found->permutations));
    for (auto [matrix, param] : llvm::zip_equal(layer.matrices, params)) {
      Side side = matrix.role == "down" ? Side::input : Side::output;
      auto of = FlatSymbolRefAttr::get(param.getSymNameAttr());
      param = addParam(op, matrix.role + ".aligned", param.getType(),
                       PermutedAttr::get(&getContext(), side, of, permutations));
    }
    Decision::taken(op.getLoc(), passName)
        << "neurons aligned in " << used << " of " << found->clusters.size()
        << " clusters; "
        << llvm::formatv("squared distance to the means {0:e3} -> {1:e3}", before,
                         after)
               .str();
    return params;
  }

  LogicalResult makeBase(Work &work) {
    if (!hasBase())
      return success();
    const ExpertLayer &layer = *work.layer;
    const ExpertMatrix &matrix = *work.matrix;
    ExpertsOp op = layer.op;
    FailureOr<const weights::LayerProfile *> traffic = findTraffic(op, profile);
    if (failed(traffic))
      return failure();
    DenseF64ArrayAttr weights;
    if (base == BaseKind::usage) {
      if (!*traffic)
        return op.emitOpError("a base weighted by usage needs a profile of this "
                              "layer, found none");
      SmallVector<double> counts((*traffic)->counts.begin(),
                                 (*traffic)->counts.end());
      weights = DenseF64ArrayAttr::get(&getContext(), counts);
    }
    if (base == BaseKind::fisher) {
      if (!*traffic || (*traffic)->fisher.empty())
        return op.emitOpError("a base weighted by Fisher information needs a "
                              "profile with `fisher` of this layer, found none");
      int64_t row = llvm::StringSwitch<int64_t>(matrix.role)
                        .Case("gate", 0)
                        .Case("up", 1)
                        .Case("down", 2);
      weights = DenseF64ArrayAttr::get(
          &getContext(), ArrayRef<double>((*traffic)->fisher)
                             .slice(row * layer.experts, layer.experts));
    }
    ParamOp param = matrix.param;
    auto type = cast<WeightType>(param.getType());
    auto tableType = cast<TableType>(work.table.getType());
    auto own = FlatSymbolRefAttr::get(work.values.getSymNameAttr());
    auto by = FlatSymbolRefAttr::get(work.table.getSymNameAttr());
    work.base = addParam(
        op, matrix.role + ".base",
        type.withAxis(tableType.getTo(), tableType.getToCount()),
        MeanAttr::get(&getContext(), own, by, weights),
        baseAttr ? baseAttr : param.getEncodingAttr());
    if (!hasResidual())
      round(work.base, work);
    return success();
  }

  /// A param of the second moments of the matrix's inputs, if its residual is to be whitened and the profile knows them.
  LogicalResult whitenInputs(Work &work) {
    if (whiten == Whitening::none)
      return success();
    ExpertsOp op = work.layer->op;
    FailureOr<const weights::LayerProfile *> traffic = findTraffic(op, profile);
    if (failed(traffic))
      return failure();
    StringRef role = work.matrix->role;
    auto found = findInputMoments(op, role, work.values, *traffic,
                                  whiten == Whitening::full
                                      ? MomentsKind::full
                                      : MomentsKind::diagonal);
    if (failed(found))
      return failure();
    if (found->moments)
      work.moments = getMomentsParam(op, role, *found->moments);
    else
      Decision::declined(op.getLoc(), passName)
          << role << " is not whitened: " << found->reason;
    return success();
  }

  /// A param of the moments that input factors are rounded by, or bases without residuals, if that was asked for and they are
  /// known. A residual takes up most of what a base rounded to nearest loses, and little of what a calibrated one does
  /// (docs/precision.md).
  LogicalResult findRounding(Work &work) {
    EncodingAttr encoding = hasResidual() ? residualAttr : baseAttr;
    bool isUsed = encoding && encoding.hasScales();
    if (rounding == Rounding::nearest || !isUsed)
      return success();
    ExpertsOp op = work.layer->op;
    FailureOr<const weights::LayerProfile *> traffic = findTraffic(op, profile);
    if (failed(traffic))
      return failure();
    StringRef role = work.matrix->role;
    auto found = findInputMoments(op, role, work.values, *traffic,
                                  MomentsKind::full);
    if (failed(found))
      return failure();
    if (found->moments)
      work.rounding = getMomentsParam(op, role, *found->moments);
    else
      Decision::declined(op.getLoc(), passName)
          << role << " is rounded to nearest: " << found->reason;
    return success();
  }

  /// The param's codes are chosen by the moments, where its encoding leaves a choice.
  static void round(ParamOp param, const Work &work) {
    ParamOp moments = work.rounding;
    EncodingAttr encoding = param.getEncodingAttr();
    if (moments && encoding && encoding.hasScales())
      param.setRoundedByAttr(FlatSymbolRefAttr::get(moments.getSymNameAttr()));
  }

  /// A line that counts, if it was asked for and somebody sees it.
  std::function<void(int64_t, int64_t)>
  countProgress(const ExpertLayer &layer, StringRef what, StringRef unit) {
    auto function = ExpertsOp(layer.op)->getParentOfType<func::FuncOp>();
    if (!progress)
      return {};
    return progressOnTerminal((function.getSymName() + ": " + what).str(),
                              unit.str());
  }

  /// What is left of each expert beside its base, by rank.
  LogicalResult measure(Work &work, ParamSources &sources) {
    auto of = sources.openLeaf(work.values);
    if (failed(of))
      return failure();
    auto base = sources.openBase(**of, work.base, work.table);
    if (failed(base))
      return failure();
    weights::ResidualOptions options;
    // Enough to see the chosen rank; all where every rank is possible.
    const weights::MatrixShape &shape = (*of)->shape();
    int64_t full = std::min(shape.rows, shape.cols);
    int64_t count = !hasResidual() ? 1
                    : rank > 0     ? std::min<int64_t>(full, (rank + 15) / 16 * 16)
                                   : full;
    options.factorization.rank = std::max<int64_t>(1, count);
    ExpertsOp op = work.layer->op;
    weights::ParallelOptions parallel;
    parallel.progress = countProgress(*work.layer, work.matrix->role, "experts");
    auto spectra = weights::cachedResidualSpectra(cache ? &*cache : nullptr, *of,
                                                  base->matrices, base->table,
                                                  count, options, parallel);
    parallel.progress = nullptr;
    if (!spectra)
      return op.emitOpError(spectra.error());
    if (cache)
      Decision::figure(op.getLoc(), passName)
          << (spectra->isHit ? "cache hit" : "cache miss") << ": spectra of "
          << work.matrix->role;
    work.spectra = std::move(spectra->value);
    return success();
  }

  FailureOr<SmallVector<int64_t>>
  chooseRanks(llvm::MapVector<StringRef, SmallVector<Work>> &roles) {
    std::vector<weights::RoleSpectra> spectra;
    for (auto &[role, works] : roles) {
      weights::RoleSpectra all;
      all.name = role.str();
      auto type = typeOf(works.front());
      all.rows = type.getRows();
      all.cols = type.getCols();
      weights::Encoding stored;
      if (residualAttr)
        stored = getPlainEncoding(residualAttr);
      else if (auto own = getStoredEncoding(works.front().matrix->param);
               succeeded(own))
        stored = *own;
      else
        return failure();
      all.input = all.output = stored;
      for (Work &work : works) {
        auto other = typeOf(work);
        if (other.getRows() != all.rows || other.getCols() != all.cols)
          return ExpertsOp(work.layer->op)
                     .emitOpError("expected layers of one shape, found ")
                 << other << " beside " << type;
        all.experts.insert(all.experts.end(), work.spectra.begin(),
                           work.spectra.end());
      }
      spectra.push_back(std::move(all));
    }
    if (!hasResidual())
      return SmallVector<int64_t>(spectra.size(), 0);
    SmallVector<int64_t> ranks;
    auto fail = [&](const std::string &message) {
      return getOperation().emitError(message);
    };
    if (bytes > 0) {
      auto chosen = weights::ranksForByteBudget(spectra, uint64_t(bytes));
      if (!chosen)
        return fail(chosen.error());
      for (const weights::RankChoice &choice : *chosen)
        ranks.push_back(choice.rank);
      return ranks;
    }
    for (const weights::RoleSpectra &role : spectra) {
      auto chosen = rank > 0 ? weights::fixedRank(role, rank)
                             : weights::ranksForErrorBound(role, errorBound);
      if (!chosen)
        return fail(chosen.error());
      ranks.push_back(chosen->rank);
    }
    return ranks;
  }

  Value makeLeaf(OpBuilder &builder, const Work &work, ParamOp of) {
    return LeafOp::create(builder, ExpertsOp(work.layer->op).getLoc(),
                          of.getType(),
                          FlatSymbolRefAttr::get(of.getSymNameAttr()));
  }

  Value makeShared(OpBuilder &builder, const Work &work) {
    return WeightSelectOp::create(builder, ExpertsOp(work.layer->op).getLoc(),
                                  makeLeaf(builder, work, work.base),
                                  makeLeaf(builder, work, work.table));
  }

  /// A·B; the error is said of A where there is no base.
  Value makeOwn(OpBuilder &builder, Work &work, int64_t chosen) {
    ExpertsOp op = work.layer->op;
    ParamOp param = work.matrix->param;
    WeightType type = typeOf(work);
    auto symbol = [](ParamOp of) {
      return of ? FlatSymbolRefAttr::get(of.getSymNameAttr())
                : FlatSymbolRefAttr();
    };
    auto factor = [&](Side side, StringRef name, WeightType factorType) {
      auto recipe = SvdAttr::get(&getContext(), side, chosen,
                                 symbol(work.values), symbol(work.base),
                                 symbol(work.table), symbol(work.moments));
      return addParam(op, work.matrix->role + "." + name, factorType, recipe,
                      residualAttr ? residualAttr : param.getEncodingAttr());
    };
    ParamOp a = factor(Side::input, "a", type.withShape(type.getRows(), chosen));
    round(a, work);
    ParamOp b = factor(Side::output, "b", type.withShape(chosen, type.getCols()));
    work.own = a;
    return WeightMulOp::create(builder, op.getLoc(), makeLeaf(builder, work, a),
                               makeLeaf(builder, work, b));
  }

  void rewrite(Work &work, int64_t chosen) {
    ExpertsOp op = work.layer->op;
    OpBuilder builder(op);
    Value result = work.base ? makeShared(builder, work) : Value();
    if (chosen > 0) {
      Value own = makeOwn(builder, work, chosen);
      result = result ? Value(WeightAddOp::create(builder, op.getLoc(), result, own))
                      : own;
    }
    work.matrix->use->set(result);

    double sum = 0, largest = 0;
    for (const weights::Spectrum &spectrum : work.spectra) {
      double error = spectrum.relativeError(chosen);
      sum += error;
      largest = std::max(largest, error);
    }
    double mean = sum / double(work.spectra.size());
    setRelativeError(work.base ? work.base : work.own, mean, largest);
    Decision decision = Decision::taken(op.getLoc(), passName);
    decision << work.matrix->role << ": ";
    if (work.base)
      decision << "base of "
               << cast<TableType>(work.table.getType()).getToCount()
               << " clusters";
    if (work.base && chosen > 0)
      decision << " and residuals of rank " << chosen;
    else if (work.base)
      decision << " alone";
    else
      decision << "products of rank " << chosen << " alone";
    decision << llvm::formatv("; relative error {0:F4} mean, {1:F4} largest",
                              mean, largest)
                    .str();
  }

  std::optional<weights::Profile> profile;
  std::optional<weights::StatisticsCache> cache;
  EncodingAttr baseAttr, residualAttr;
};
} // namespace
