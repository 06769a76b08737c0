// What params are worth, one matrix at a time: their sources and recipes as streams.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "passes/Analysis/ParamSources.h"

#include "weights/CalibratedRounding.h"

using namespace mlir;
using namespace moec;
using namespace moec::moe;

weights::Encoding moec::getPlainEncoding(EncodingAttr encoding) {
  weights::Encoding plain;
  // Both sides spell formats alike, and the dialect's are verified.
  plain.format =
      *weights::formatFromName(stringifyFormat(encoding.getFormat()));
  plain.scale =
      *weights::scaleTypeFromName(stringifyScaleType(encoding.getScale()));
  plain.group = encoding.getGroup();
  plain.zeroPoint = encoding.getZeroPoint();
  plain.along = encoding.getAlong() == Side::input ? weights::GroupAxis::Input
                                                   : weights::GroupAxis::Output;
  return plain;
}

FailureOr<weights::Encoding> moec::getStoredEncoding(ParamOp param) {
  if (EncodingAttr encoding = param.getEncodingAttr())
    return getPlainEncoding(encoding);
  weights::Encoding plain;
  Type element = cast<WeightType>(param.getType()).getElementType();
  if (element.isBF16())
    plain.format = weights::Format::BF16;
  else if (element.isF16())
    plain.format = weights::Format::F16;
  else if (!element.isF32())
    return param.emitOpError("cannot be stored: expected a weight of f32, bf16 "
                             "or f16, or one with an encoding, found ")
           << element;
  return plain;
}

FailureOr<weights::TensorForm> moec::getStoredForm(ParamOp param) {
  FailureOr<weights::Encoding> encoding = getStoredEncoding(param);
  if (failed(encoding))
    return failure();
  auto type = cast<WeightType>(param.getType());
  weights::TensorForm form;
  form.values = *encoding;
  form.layout = param.getLayout() == Layout::panel16
                    ? weights::Layout::Panel16
                    : weights::Layout::RowMajor;
  form.shape = {type.getRows(), type.getCols()};
  return form;
}

/// The value of a result, or a diagnostic at the param.
template <typename T>
static FailureOr<T> take(ParamOp param, weights::Result<T> result) {
  if (!result)
    return param.emitOpError(result.error());
  return *std::move(result);
}

weights::MatrixShape moec::matrixShape(WeightType type) {
  return {type.getCount(), type.getRows(), type.getCols()};
}

static weights::MatrixSide getPlainSide(Side side) {
  return side == Side::input ? weights::MatrixSide::Input
                             : weights::MatrixSide::Output;
}

static ParamOp lookup(ParamOp user, FlatSymbolRefAttr name) {
  return SymbolTable::lookupNearestSymbolFrom<ParamOp>(user, name);
}

FailureOr<std::vector<int32_t>> ParamSources::loadTable(ParamOp param) {
  auto table = cast<TableType>(param.getType());
  if (auto values = dyn_cast<DenseElementsAttr>(param.getSource())) {
    auto range = values.getValues<int32_t>();
    return std::vector<int32_t>(range.begin(), range.end());
  }
  auto external = cast<ExternalAttr>(param.getSource());
  int64_t shape[] = {table.getFromCount()};
  FailureOr<std::vector<int32_t>> numbers =
      take(param, provider.loadIntegers(external.getScope().getValue(),
                                        external.getKey().getValue(), shape));
  if (failed(numbers))
    return failure();
  for (int32_t number : *numbers)
    if (number < 0 || number >= table.getToCount())
      return param.emitOpError("table entry ")
             << number << " of " << external << " is outside "
             << stringifyAxis(table.getTo()) << "[" << table.getToCount()
             << "]";
  return numbers;
}

FailureOr<weights::MatrixSourcePtr> ParamSources::makeMean(ParamOp param) {
  auto mean = cast<MeanAttr>(param.getSource());
  FailureOr<weights::MatrixSourcePtr> of =
      openLeaf(lookup(param, mean.getOf()));
  FailureOr<std::vector<int32_t>> table =
      loadTable(lookup(param, mean.getTable()));
  if (failed(of) || failed(table))
    return failure();
  std::vector<double> weights;
  if (DenseF64ArrayAttr given = mean.getWeights())
    weights.assign(given.asArrayRef().begin(), given.asArrayRef().end());
  return take(
      param, weights::meanMatrices(param.getSymName().str(), *of, *table,
                                   cast<WeightType>(param.getType()).getCount(),
                                   weights));
}

FailureOr<weights::MatrixSourcePtr> ParamSources::makePermuted(ParamOp param) {
  auto permuted = cast<PermutedAttr>(param.getSource());
  FailureOr<weights::MatrixSourcePtr> of =
      openLeaf(lookup(param, permuted.getOf()));
  if (failed(of))
    return failure();
  auto range = permuted.getPermutations().getValues<int32_t>();
  return take(param, weights::permutedMatrices(
                         param.getSymName().str(), *of,
                         std::vector<int32_t>(range.begin(), range.end()),
                         getPlainSide(permuted.getSide())));
}

FailureOr<ParamSources::Base>
ParamSources::openBase(const weights::MatrixSource &of, ParamOp base,
                       ParamOp table) {
  if (!base) {
    weights::MatrixShape shape = of.shape();
    std::vector<int32_t> first(size_t(shape.entries), 0);
    shape.entries = 1;
    return Base{weights::splatMatrices("no base", shape, 0), std::move(first)};
  }
  FailureOr<weights::MatrixSourcePtr> matrices = openLeaf(base);
  FailureOr<std::vector<int32_t>> entries = loadTable(table);
  if (failed(matrices) || failed(entries))
    return failure();
  return Base{*matrices, *std::move(entries)};
}

FailureOr<weights::MatrixSourcePtr> ParamSources::makeFactor(ParamOp param) {
  auto svd = cast<SvdAttr>(param.getSource());
  bool isInput = svd.getFactor() == Side::input;
  auto inputSide =
      SvdAttr::get(param.getContext(), Side::input, svd.getRank(), svd.getOf(),
                   svd.getMinus(), svd.getTable(), svd.getMoments());
  std::pair<Operation *, Attribute> key(param->getParentOp(), inputSide);
  auto known = factors.find(key);
  if (known == factors.end()) {
    FailureOr<weights::MatrixSourcePtr> of =
        openLeaf(lookup(param, svd.getOf()));
    if (failed(of))
      return failure();
    FailureOr<Base> base = openBase(
        **of, svd.getMinus() ? lookup(param, svd.getMinus()) : ParamOp(),
        svd.getMinus() ? lookup(param, svd.getTable()) : ParamOp());
    if (failed(base))
      return failure();
    weights::ResidualOptions options;
    options.factorization.rank = svd.getRank();
    if (svd.getMoments()) {
      FailureOr<weights::MatrixSourcePtr> moments =
          openLeaf(lookup(param, svd.getMoments()));
      if (failed(moments))
        return failure();
      options.inputs.moments = *moments;
    }
    FailureOr<weights::LowRankSources> made = take(
        param, weights::residualFactors(param.getSymName().str(), *of,
                                        base->matrices, base->table, options));
    if (failed(made))
      return failure();
    known = factors.try_emplace(key, *std::move(made)).first;
  }
  return isInput ? known->second.input : known->second.output;
}

static weights::MixMap getMixMap(Phi phi) {
  switch (phi) {
  case Phi::identity:
    return weights::MixMap::Identity;
  case Phi::silu:
    return weights::MixMap::Silu;
  case Phi::tanh:
    return weights::MixMap::Tanh;
  }
  llvm_unreachable("unknown map");
}

static double getNoise(FloatAttr noise) {
  return noise ? noise.getValueAsDouble() : weights::defaultMixNoise;
}

FailureOr<weights::MatrixSourcePtr> ParamSources::makeMixPart(ParamOp param) {
  auto mix = cast<BasisMixAttr>(param.getSource());
  auto ofBases = BasisMixAttr::get(param.getContext(), MixPart::bases,
                                   mix.getBases(), mix.getSide(), mix.getRank(),
                                   mix.getPhi(), mix.getNoise(), mix.getOf());
  std::pair<Operation *, Attribute> key(param->getParentOp(), ofBases);
  auto known = mixes.find(key);
  if (known == mixes.end()) {
    FailureOr<weights::MatrixSourcePtr> of =
        openLeaf(lookup(param, mix.getOf()));
    if (failed(of))
      return failure();
    weights::BasisMixOptions options;
    options.bases = mix.getBases();
    options.rank = mix.getRank();
    options.side = getPlainSide(mix.getSide());
    options.map = getMixMap(mix.getPhi());
    options.noise = getNoise(mix.getNoise());
    auto fit = [cache = cache, of = *of,
                options]() -> weights::Result<weights::BasisMix> {
      auto found = weights::cachedBasisMix(cache, of, options);
      if (!found)
        return weights::Error{found.error()};
      return std::move(found->value);
    };
    known = mixes
                .try_emplace(
                    key, weights::basisMixSources(param.getSymName().str(),
                                                  (*of)->shape(), options, fit))
                .first;
  }
  return mix.getPart() == MixPart::bases ? known->second.bases
                                         : known->second.coefficients;
}

FailureOr<weights::MatrixSourcePtr>
ParamSources::openMix(ParamOp bases, ParamOp coefficients, Phi phi) {
  FailureOr<weights::MatrixSourcePtr> ofBases = openLeaf(bases);
  FailureOr<weights::MatrixSourcePtr> shares = openLeaf(coefficients);
  if (failed(ofBases) || failed(shares))
    return failure();
  return take(bases, weights::mixedMatrices(bases.getSymName().str() + ".mixed",
                                            *ofBases, *shares, getMixMap(phi)));
}

FailureOr<weights::MatrixSourcePtr> ParamSources::makeMixFactor(ParamOp param) {
  auto factor = cast<MixFactorAttr>(param.getSource());
  FailureOr<weights::MatrixSourcePtr> of =
      openLeaf(lookup(param, factor.getOf()));
  FailureOr<weights::MatrixSourcePtr> mixed =
      openMix(lookup(param, factor.getBases()),
              lookup(param, factor.getCoefficients()), factor.getPhi());
  if (failed(of) || failed(mixed))
    return failure();
  return take(
      param, weights::leastSquaresFactors(param.getSymName().str(), *of, *mixed,
                                          getPlainSide(factor.getSide()),
                                          getNoise(factor.getNoise())));
}

FailureOr<weights::MatrixSourcePtr> ParamSources::makeSource(ParamOp param) {
  auto weight = cast<WeightType>(param.getType());
  std::string name = param.getSymName().str();
  Attribute source = param.getSource();
  if (auto external = dyn_cast<ExternalAttr>(source))
    return take(param, provider.openMatrices(external.getScope().getValue(),
                                             external.getKey().getValue(),
                                             weight.getStoredShape()));
  if (auto seeded = dyn_cast<SeededAttr>(source)) {
    double scale = seeded.getScale() ? seeded.getScale().getValueAsDouble() : 1;
    return weights::seededMatrices(name, matrixShape(weight),
                                   uint32_t(seeded.getSeed()), scale);
  }
  if (isa<MeanAttr>(source))
    return makeMean(param);
  if (isa<PermutedAttr>(source))
    return makePermuted(param);
  if (isa<SvdAttr>(source))
    return makeFactor(param);
  if (isa<BasisMixAttr>(source))
    return makeMixPart(param);
  if (isa<MixFactorAttr>(source))
    return makeMixFactor(param);
  std::vector<float> numbers;
  for (APFloat value : cast<DenseElementsAttr>(source).getValues<APFloat>()) {
    bool losesInfo;
    value.convert(APFloat::IEEEsingle(), APFloat::rmNearestTiesToEven,
                  &losesInfo);
    numbers.push_back(value.convertToFloat());
  }
  return weights::matricesOf(name, matrixShape(weight), std::move(numbers));
}

FailureOr<weights::MatrixSourcePtr> ParamSources::openSource(ParamOp param) {
  if (weights::MatrixSourcePtr known = sources.lookup(param))
    return known;
  FailureOr<weights::MatrixSourcePtr> made = makeSource(param);
  if (succeeded(made))
    sources[param] = *made;
  return made;
}

FailureOr<weights::MatrixSourcePtr> ParamSources::openStored(ParamOp param) {
  FlatSymbolRefAttr name = param.getRoundedByAttr();
  if (!name)
    return openSource(param);
  if (weights::MatrixSourcePtr known = stored.lookup(param))
    return known;
  FailureOr<weights::MatrixSourcePtr> source = openSource(param);
  FailureOr<weights::MatrixSourcePtr> moments = openLeaf(lookup(param, name));
  if (failed(source) || failed(moments))
    return failure();
  FailureOr<weights::MatrixSourcePtr> made = take(
      param, weights::calibratedMatrices(
                 param.getSymName().str(), *source,
                 getPlainEncoding(param.getEncodingAttr()), *moments));
  if (succeeded(made))
    stored[param] = *made;
  return made;
}

FailureOr<weights::MatrixSourcePtr> ParamSources::openLeaf(ParamOp param) {
  if (weights::MatrixSourcePtr known = leaves.lookup(param))
    return known;
  FailureOr<weights::MatrixSourcePtr> made = openStored(param);
  auto encodeAs = [&](const weights::Encoding &encoding) {
    if (succeeded(made) && encoding != weights::Encoding())
      made = take(param, weights::encodedMatrices(param.getSymName().str(),
                                                  *made, encoding));
  };
  // What is rounded by moments reads as it is worth already.
  if (param.getEncodingAttr() && !param.getRoundedByAttr())
    encodeAs(getPlainEncoding(param.getEncodingAttr()));
  Type element = cast<WeightType>(param.getType()).getElementType();
  weights::Encoding rounded;
  if (element.isBF16())
    rounded.format = weights::Format::BF16;
  if (element.isF16())
    rounded.format = weights::Format::F16;
  encodeAs(rounded);
  if (failed(made))
    return failure();
  leaves[param] = *made;
  return made;
}
