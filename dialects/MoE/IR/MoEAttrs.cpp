// Attributes of the moe dialect: syntax and verification (constraints N1–N3, A1 and those of single stages).
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "dialects/MoE/IR/MoE.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/TypeSwitch.h"
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <string>

using namespace mlir;
using namespace moec::moe;

//===----------------------------------------------------------------------===//
// Pieces of syntax
//===----------------------------------------------------------------------===//

/// Real numbers are f64 attributes (a plain double parameter has no hash), printed with the fewest digits that read back.
static ParseResult parseReal(AsmParser &parser, FloatAttr &value) {
  double number;
  if (parser.parseFloat(number))
    return failure();
  value = parser.getBuilder().getF64FloatAttr(number);
  return success();
}

static void printReal(AsmPrinter &printer, FloatAttr value) {
  double number = value.getValueAsDouble();
  char text[40];
  for (int digits = 1; digits <= 17; ++digits) {
    snprintf(text, sizeof(text), "%.*g", digits, number);
    if (strtod(text, nullptr) == number)
      break;
  }
  std::string literal(text);
  // MLIR reads a float only with a point before the exponent.
  if (literal.find('.') == std::string::npos)
    literal.insert(std::min(literal.find('e'), literal.size()), ".0");
  printer << literal;
}

static ParseResult parseOptionalReal(AsmParser &parser, StringRef keyword,
                                     FloatAttr &value) {
  if (failed(parser.parseOptionalKeyword(keyword)))
    return success();
  return parseReal(parser, value);
}

static void printOptionalReal(AsmPrinter &printer, StringRef keyword,
                              FloatAttr value) {
  if (!value)
    return;
  printer << " " << keyword << " ";
  printReal(printer, value);
}

static ParseResult parseOptionalInteger(AsmParser &parser, StringRef keyword,
                                        int64_t &value) {
  if (failed(parser.parseOptionalKeyword(keyword)))
    return success();
  return parser.parseInteger(value);
}

/// Parses one keyword of an enumeration; `symbolize` is the generated function.
template <typename Enum>
static ParseResult
parseEnum(AsmParser &parser, StringRef what, Enum &value,
          std::optional<Enum> (*symbolize)(StringRef)) {
  StringRef keyword;
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseKeyword(&keyword))
    return failure();
  std::optional<Enum> parsed = symbolize(keyword);
  if (!parsed)
    return parser.emitError(loc)
           << "expected " << what << ", found '" << keyword << "'";
  value = *parsed;
  return success();
}

static bool isFinite(FloatAttr value) {
  return !value || std::isfinite(value.getValueAsDouble());
}

#define GET_ATTRDEF_CLASSES
#include "dialects/MoE/IR/MoEAttrs.cpp.inc"
#include "dialects/MoE/IR/MoEEnums.cpp.inc"

void MoEDialect::registerAttributes() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/MoE/IR/MoEAttrs.cpp.inc"
      >();
}

/// Builds a checked attribute at the place its text began.
template <typename Attr, typename... Args>
static Attribute getCheckedAt(AsmParser &parser, SMLoc loc, Args &&...args) {
  return Attr::getChecked([&] { return parser.emitError(loc); },
                          parser.getContext(), std::forward<Args>(args)...);
}

//===----------------------------------------------------------------------===//
// Sources
//===----------------------------------------------------------------------===//

Attribute EncodingAttr::parse(AsmParser &parser, Type) {
  SMLoc loc = parser.getCurrentLocation();
  Format format = Format::f32;
  int64_t group = 0;
  ScaleType scale = ScaleType::f32;
  Side along = Side::input;
  if (parser.parseLess() ||
      parseEnum<Format>(parser, "a format", format, symbolizeFormat) ||
      parseOptionalInteger(parser, "group", group))
    return {};
  bool zeroPoint = succeeded(parser.parseOptionalKeyword("zero_point"));
  if (succeeded(parser.parseOptionalKeyword("scale")) &&
      parseEnum<ScaleType>(parser, "a scale type", scale, symbolizeScaleType))
    return {};
  if (succeeded(parser.parseOptionalKeyword("along")) &&
      parseEnum<Side>(parser, "input or output", along, symbolizeSide))
    return {};
  if (parser.parseGreater())
    return {};
  return getCheckedAt<EncodingAttr>(parser, loc, format, group, zeroPoint,
                                    scale, along);
}

void EncodingAttr::print(AsmPrinter &printer) const {
  printer << "<" << stringifyFormat(getFormat());
  if (getGroup())
    printer << " group " << getGroup();
  if (getZeroPoint())
    printer << " zero_point";
  if (getScale() != ScaleType::f32)
    printer << " scale " << stringifyScaleType(getScale());
  if (getAlong() != Side::input)
    printer << " along " << stringifySide(getAlong());
  printer << ">";
}

LogicalResult EncodingAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                   Format format, int64_t group, bool zeroPoint,
                                   ScaleType scale, Side along) {
  bool integer = format == Format::int8 || format == Format::int4;
  bool grouped =
      integer || format == Format::f8e4m3 || format == Format::mxfp4;
  if (group < 0)
    return emitError() << "N1: a group must be positive, found " << group;
  if (!grouped && group)
    return emitError() << "N1: encoding " << stringifyFormat(format)
                       << " has no groups, found group " << group;
  if (format == Format::int4 && group == 0)
    return emitError() << "N2: int4 needs a group size";
  if (format == Format::mxfp4 && group != 32)
    return emitError() << "N2: mxfp4 has groups of 32, found " << group;
  if (zeroPoint && !integer)
    return emitError() << "N3: a zero point needs int8 or int4, found "
                       << stringifyFormat(format);
  bool scaled = integer || (format == Format::f8e4m3 && group);
  if (scale != ScaleType::f32 && !scaled)
    return emitError() << "N3: encoding " << stringifyFormat(format)
                       << " has no scale of its own choice";
  return success();
}

bool EncodingAttr::hasScales() const {
  // int4 and mxfp4 have groups, and no other format without scales has.
  return getFormat() == Format::int8 || getGroup() != 0;
}

Attribute ExternalAttr::parse(AsmParser &parser, Type) {
  std::string scope, key;
  // The lexer reads `::` as two colons.
  if (parser.parseLess() || parser.parseString(&scope) ||
      parser.parseColon() || parser.parseColon() || parser.parseString(&key) ||
      parser.parseGreater())
    return {};
  Builder &builder = parser.getBuilder();
  return ExternalAttr::get(parser.getContext(), builder.getStringAttr(scope),
                           builder.getStringAttr(key));
}

void ExternalAttr::print(AsmPrinter &printer) const {
  printer << "<" << getScope() << "::" << getKey() << ">";
}

Attribute SeededAttr::parse(AsmParser &parser, Type) {
  SMLoc loc = parser.getCurrentLocation();
  int64_t seed;
  FloatAttr scale;
  if (parser.parseLess() || parser.parseInteger(seed) ||
      parseOptionalReal(parser, "scale", scale) || parser.parseGreater())
    return {};
  return getCheckedAt<SeededAttr>(parser, loc, seed, scale);
}

void SeededAttr::print(AsmPrinter &printer) const {
  printer << "<" << getSeed();
  printOptionalReal(printer, "scale", getScale());
  printer << ">";
}

LogicalResult SeededAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                 int64_t, FloatAttr scale) {
  if (!isFinite(scale))
    return emitError() << "P1: the scale of seeded values must be finite";
  return success();
}

//===----------------------------------------------------------------------===//
// Stages of a router
//===----------------------------------------------------------------------===//

Attribute LimitAttr::parse(AsmParser &parser, Type) {
  SMLoc loc = parser.getCurrentLocation();
  int64_t keep, groups;
  GroupBy by = GroupBy::max;
  Masked masked = Masked::neg_inf;
  if (parser.parseLess() || parser.parseKeyword("keep") ||
      parser.parseInteger(keep) || parser.parseKeyword("of") ||
      parser.parseInteger(groups) || parser.parseKeyword("by") ||
      parseEnum<GroupBy>(parser, "max, top2_sum, sum or logits", by,
                         symbolizeGroupBy))
    return {};
  if (succeeded(parser.parseOptionalKeyword("masked")) &&
      parseEnum<Masked>(parser, "neg_inf or zero", masked, symbolizeMasked))
    return {};
  if (parser.parseGreater())
    return {};
  return getCheckedAt<LimitAttr>(parser, loc, keep, groups, by, masked);
}

void LimitAttr::print(AsmPrinter &printer) const {
  printer << "<keep " << getKeep() << " of " << getGroups() << " by "
          << stringifyGroupBy(getBy());
  if (getMasked() != Masked::neg_inf)
    printer << " masked " << stringifyMasked(getMasked());
  printer << ">";
}

LogicalResult LimitAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                int64_t keep, int64_t groups, GroupBy, Masked) {
  if (keep < 1 || keep > groups)
    return emitError() << "R5: cannot keep " << keep << " of " << groups
                       << " groups";
  return success();
}

Attribute ChoiceAttr::parse(AsmParser &parser, Type) {
  SMLoc loc = parser.getCurrentLocation();
  ChoiceKind kind = ChoiceKind::top_k;
  int64_t k;
  FloatAttr value;
  if (parser.parseLess() ||
      parseEnum<ChoiceKind>(parser, "a choice rule", kind,
                            symbolizeChoiceKind) ||
      parser.parseInteger(k) || parseOptionalReal(parser, "at", value) ||
      parser.parseGreater())
    return {};
  return getCheckedAt<ChoiceAttr>(parser, loc, kind, k, value);
}

void ChoiceAttr::print(AsmPrinter &printer) const {
  printer << "<" << stringifyChoiceKind(getKind()) << " " << getK();
  printOptionalReal(printer, "at", getValue());
  printer << ">";
}

LogicalResult ChoiceAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                 ChoiceKind kind, int64_t k, FloatAttr value) {
  if (k < 1)
    return emitError() << "R3: must choose at least 1, found " << k;
  bool takesValue = kind != ChoiceKind::top_k && kind != ChoiceKind::hash;
  if (takesValue != bool(value))
    return emitError() << stringifyChoiceKind(kind)
                       << (takesValue ? " needs" : " takes no")
                       << " 'at' value";
  if (!isFinite(value))
    return emitError() << "'at' value must be finite";
  double number = value ? value.getValueAsDouble() : 0;
  if (kind == ChoiceKind::top_p && !(number > 0 && number <= 1))
    return emitError() << "top_p needs a value in (0, 1], found " << number;
  if (kind == ChoiceKind::expert_choice && !(number > 0))
    return emitError() << "expert_choice needs a positive factor, found "
                       << number;
  if (kind == ChoiceKind::sparsemixer && !(number >= 0))
    return emitError() << "sparsemixer needs a jitter of at least 0, found "
                       << number;
  return success();
}

Attribute GatesAttr::parse(AsmParser &parser, Type) {
  SMLoc loc = parser.getCurrentLocation();
  GateSource source = GateSource::scores;
  Norm norm = Norm::keep;
  FloatAttr eps, scale;
  if (parser.parseLess() || parseEnum<GateSource>(parser, "a gate source",
                                                  source, symbolizeGateSource))
    return {};
  if (succeeded(parser.parseOptionalComma()) &&
      parseEnum<Norm>(parser, "a norm", norm, symbolizeNorm))
    return {};
  if (parseOptionalReal(parser, "eps", eps) ||
      parseOptionalReal(parser, "scale", scale) || parser.parseGreater())
    return {};
  return getCheckedAt<GatesAttr>(parser, loc, source, norm, eps, scale);
}

void GatesAttr::print(AsmPrinter &printer) const {
  printer << "<" << stringifyGateSource(getSource());
  if (getNorm() != Norm::keep)
    printer << ", " << stringifyNorm(getNorm());
  printOptionalReal(printer, "eps", getEps());
  printOptionalReal(printer, "scale", getScale());
  printer << ">";
}

LogicalResult GatesAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                GateSource, Norm norm, FloatAttr eps,
                                FloatAttr scale) {
  if (!isFinite(eps) || !isFinite(scale))
    return emitError() << "eps and scale must be finite";
  if (eps && eps.getValueAsDouble() < 0)
    return emitError() << "eps must not be negative";
  if (norm == Norm::keep && eps)
    return emitError() << "eps without a norm";
  if (norm == Norm::l1_floor && (!eps || eps.getValueAsDouble() == 0))
    return emitError() << "l1_floor needs a floor (eps)";
  return success();
}

Attribute CapacityAttr::parse(AsmParser &parser, Type) {
  SMLoc loc = parser.getCurrentLocation();
  FloatAttr factor;
  int64_t atLeast = 0;
  Drop drop = Drop::last;
  if (parser.parseLess() || parseReal(parser, factor) ||
      parseOptionalInteger(parser, "at_least", atLeast) ||
      parser.parseKeyword("drop") ||
      parseEnum<Drop>(parser, "last or lowest", drop, symbolizeDrop) ||
      parser.parseGreater())
    return {};
  return getCheckedAt<CapacityAttr>(parser, loc, factor, atLeast, drop);
}

void CapacityAttr::print(AsmPrinter &printer) const {
  printer << "<";
  printReal(printer, getFactor());
  if (getAtLeast())
    printer << " at_least " << getAtLeast();
  printer << " drop " << stringifyDrop(getDrop()) << ">";
}

LogicalResult CapacityAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                   FloatAttr factor, int64_t atLeast, Drop) {
  if (!isFinite(factor) || factor.getValueAsDouble() <= 0)
    return emitError() << "capacity factor must be positive";
  if (atLeast < 0)
    return emitError() << "at_least must not be negative, found " << atLeast;
  return success();
}

Attribute SpecialsAttr::parse(AsmParser &parser, Type) {
  SMLoc loc = parser.getCurrentLocation();
  int64_t zero = 0, identity = 0, constant = 0;
  if (parser.parseLess() || parseOptionalInteger(parser, "zero", zero) ||
      parseOptionalInteger(parser, "identity", identity) ||
      parseOptionalInteger(parser, "constant", constant) ||
      parser.parseGreater())
    return {};
  return getCheckedAt<SpecialsAttr>(parser, loc, zero, identity, constant);
}

void SpecialsAttr::print(AsmPrinter &printer) const {
  SmallVector<std::string> parts;
  auto add = [&](StringRef name, int64_t count) {
    if (count)
      parts.push_back((name + " " + Twine(count)).str());
  };
  add("zero", getZero());
  add("identity", getIdentity());
  add("constant", getConstant());
  printer << "<" << llvm::join(parts, " ") << ">";
}

LogicalResult SpecialsAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                   int64_t zero, int64_t identity,
                                   int64_t constant) {
  // Ids are i32; this also keeps the sum from overflowing.
  for (int64_t count : {zero, identity, constant})
    if (count < 0 || count > std::numeric_limits<int32_t>::max())
      return emitError() << "R20: a count of special experts must not be "
                            "negative and fits i32, found "
                         << count;
  if (zero + identity + constant == 0)
    return emitError() << "R20: special experts without any";
  return success();
}

//===----------------------------------------------------------------------===//
// Experts
//===----------------------------------------------------------------------===//

Attribute ActivationAttr::parse(AsmParser &parser, Type) {
  SMLoc loc = parser.getCurrentLocation();
  ActivationKind kind = ActivationKind::identity;
  FloatAttr alpha, clamp, offset;
  if (parser.parseLess() ||
      parseEnum<ActivationKind>(parser, "an activation", kind,
                                symbolizeActivationKind) ||
      parseOptionalReal(parser, "alpha", alpha) ||
      parseOptionalReal(parser, "clamp", clamp) ||
      parseOptionalReal(parser, "offset", offset) || parser.parseGreater())
    return {};
  return getCheckedAt<ActivationAttr>(parser, loc, kind, alpha, clamp, offset);
}

void ActivationAttr::print(AsmPrinter &printer) const {
  printer << "<" << stringifyActivationKind(getKind());
  printOptionalReal(printer, "alpha", getAlpha());
  printOptionalReal(printer, "clamp", getClamp());
  printOptionalReal(printer, "offset", getOffset());
  printer << ">";
}

LogicalResult
ActivationAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                       ActivationKind kind, FloatAttr alpha, FloatAttr clamp,
                       FloatAttr offset) {
  if (!isFinite(alpha) || !isFinite(clamp) || !isFinite(offset))
    return emitError() << "A1: alpha, clamp and offset must be finite";
  if (alpha && kind != ActivationKind::sigmoid_alpha)
    return emitError() << "A1: alpha is for sigmoid_alpha only, found "
                       << stringifyActivationKind(kind);
  if (clamp && clamp.getValueAsDouble() <= 0)
    return emitError() << "A1: clamp must be positive";
  return success();
}
