// moe-mix-experts: each expert matrix as a mix of the layer's bases, times a factor of its own.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "passes/Passes.h"

#include "mlir/IR/BuiltinOps.h"
#include "passes/Decisions.h"
#include "passes/LayerParams.h"
#include "weights/ExpertFactors.h"
#include "llvm/Support/FormatVariadic.h"

namespace moec {
#define GEN_PASS_DEF_MIXEXPERTSPASS
#include "passes/Passes.h.inc"
} // namespace moec

using namespace mlir;
using namespace moec;
using namespace moec::moe;

static constexpr llvm::StringLiteral passName = "mix-experts";

/// What an encoding rounds by, about, relative to the numbers of a group; null
/// for what recipes take for granted.
static FloatAttr getNoise(EncodingAttr encoding) {
  if (!encoding)
    return {};
  auto noise = [&](double value) {
    return FloatAttr::get(Float64Type::get(encoding.getContext()), value);
  };
  switch (encoding.getFormat()) {
  case Format::f32:
  case Format::bf16:
  case Format::f16:
    return {};
  case Format::int8:
    return noise(0.005);
  case Format::f8e4m3:
    return noise(0.02);
  case Format::int4:
  case Format::mxfp4:
    return noise(0.07);
  }
  llvm_unreachable("unknown format");
}

/// The larger of two, where null is the smallest.
static FloatAttr maxNoise(FloatAttr one, FloatAttr other) {
  if (!one || !other)
    return one ? one : other;
  return one.getValueAsDouble() < other.getValueAsDouble() ? other : one;
}

namespace {
/// What a matrix is stored as.
struct MixParams {
  Side side;
  ParamOp bases, coefficients, factor;
};

struct MixExpertsPass : moec::impl::MixExpertsPassBase<MixExpertsPass> {
  using Base::Base;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    auto ofBases = parseEncoding(module, "base-encoding", baseEncoding);
    auto ofFactors = parseEncoding(module, "factor-encoding", factorEncoding);
    auto cache = openCacheOf(module, cacheDirectory);
    weights::WeightProvider provider;
    if (failed(ofBases) || failed(ofFactors) || failed(cache) ||
        failed(bindScopes(module, weights, provider)))
      return signalPassFailure();
    baseAttr = *ofBases;
    factorAttr = *ofFactors;
    ParamSources sources(provider, *cache ? &**cache : nullptr);
    for (const ExpertLayer &layer : findExpertLayers(module, passName))
      for (const ExpertMatrix &matrix : layer.matrices)
        if (failed(rewrite(layer.op, matrix, sources)))
          return signalPassFailure();
  }

private:
  LogicalResult rewrite(ExpertsOp op, const ExpertMatrix &matrix,
                        ParamSources &sources) {
    FailureOr<MixParams> params = declare(op, matrix);
    if (failed(params))
      return failure();
    auto report = measure(matrix, *params, sources);
    if (failed(report))
      return failure();
    matrix.use->set(makeWeight(op, *params));
    double mean = report->meanRelative(), largest = report->maxRelative();
    setRelativeError(params->bases, mean, largest);
    auto type = cast<WeightType>(params->factor.getType());
    Decision::taken(op.getLoc(), passName)
        << matrix.role << ": " << bases << " bases of rank "
        << (params->side == Side::input ? type.getRows() : type.getCols())
        << llvm::formatv("; relative error {0:F4} mean, {1:F4} largest", mean,
                         largest)
               .str();
    return success();
  }

  /// Params of the parts, in front of the layer.
  FailureOr<MixParams> declare(ExpertsOp op, const ExpertMatrix &matrix) {
    ParamOp param = matrix.param;
    auto type = cast<WeightType>(param.getType());
    int64_t most = std::min(type.getRows(), type.getCols());
    int64_t chosen = rank ? rank : most;
    if (bases < 1 || bases > type.getCount())
      return op.emitOpError("option bases: expected 1 to ")
             << type.getCount() << ", found " << int64_t(bases);
    if (chosen < 1 || chosen > most)
      return op.emitOpError("option rank: expected 1 to ")
             << most << " for " << matrix.role << ", found " << chosen;
    // Bases are stored once for all: they take the larger side, factors the
    // smaller one.
    bool isInput = type.getRows() >= type.getCols();
    Side side = isInput ? Side::input : Side::output;
    WeightType left = type.withShape(type.getRows(), chosen);
    WeightType right = type.withShape(chosen, type.getCols());
    auto symbol = [](ParamOp of) {
      return FlatSymbolRefAttr::get(of.getSymNameAttr());
    };
    EncodingAttr own = param.getEncodingAttr();
    EncodingAttr ofBases = baseAttr ? baseAttr : own;
    EncodingAttr ofFactors = factorAttr ? factorAttr : own;
    FloatAttr noise = maxNoise(getNoise(ofBases), getNoise(ofFactors));
    auto fit = [&](MixPart part) {
      return BasisMixAttr::get(&getContext(), part, bases, side, chosen, phi,
                               noise, symbol(param));
    };
    MixParams result;
    result.side = side;
    result.bases =
        addParam(op, matrix.role + ".bases",
                 (isInput ? left : right).withAxis(Axis::basis, bases),
                 fit(MixPart::bases), ofBases);
    // Few numbers, each of which moves a whole expert: as they are.
    result.coefficients =
        addParam(op, matrix.role + ".mix", type.withShape(1, bases),
                 fit(MixPart::coefficients));
    result.factor =
        addParam(op, matrix.role + ".own", isInput ? right : left,
                 MixFactorAttr::get(&getContext(), side, phi, noise,
                                    symbol(result.bases),
                                    symbol(result.coefficients), symbol(param)),
                 ofFactors);
    return result;
  }

  /// What is lost, encodings included.
  FailureOr<weights::ErrorReport> measure(const ExpertMatrix &matrix,
                                          const MixParams &params,
                                          ParamSources &sources) {
    auto of = sources.openLeaf(matrix.param);
    auto mixed = sources.openMix(params.bases, params.coefficients, phi);
    auto factor = sources.openLeaf(params.factor);
    if (failed(of) || failed(mixed) || failed(factor))
      return failure();
    auto nothing = sources.openBase(**of, ParamOp(), ParamOp());
    weights::LowRankSources product{*mixed, *factor};
    if (params.side == Side::output)
      std::swap(product.input, product.output);
    auto report = weights::measureExperts(*of, nothing->matrices,
                                          nothing->table, product);
    ParamOp param = matrix.param;
    if (!report)
      return param.emitOpError(report.error());
    return *std::move(report);
  }

  Value makeWeight(ExpertsOp op, const MixParams &params) {
    OpBuilder builder(op);
    auto leafOf = [&](ParamOp of) -> Value {
      return LeafOp::create(builder, op.getLoc(), of.getType(),
                            FlatSymbolRefAttr::get(of.getSymNameAttr()));
    };
    Value mixed =
        WeightMixOp::create(builder, op.getLoc(), leafOf(params.bases),
                            leafOf(params.coefficients), phi);
    Value factor = leafOf(params.factor);
    if (params.side == Side::output)
      std::swap(mixed, factor);
    return WeightMulOp::create(builder, op.getLoc(), mixed, factor);
  }

  EncodingAttr baseAttr, factorAttr;
};
} // namespace
