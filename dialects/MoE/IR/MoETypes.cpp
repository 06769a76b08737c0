// Types of the moe dialect: syntax and verification (constraints T1–T3).
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "dialects/MoE/IR/MoE.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"
#include <limits>

using namespace mlir;
using namespace moec::moe;

#define GET_TYPEDEF_CLASSES
#include "dialects/MoE/IR/MoETypes.cpp.inc"

void MoEDialect::registerTypes() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialects/MoE/IR/MoETypes.cpp.inc"
      >();
}

/// Ids are i32, so sizes and numbers of entries stay within it.
static bool isSize(int64_t size) {
  return size > 0 && size <= std::numeric_limits<int32_t>::max();
}

//===----------------------------------------------------------------------===//
// Syntax of an axis: expert[8], and expert[8+1] for ids
//===----------------------------------------------------------------------===//

static ParseResult parseAxis(AsmParser &parser, Axis &axis, int64_t &count,
                             int64_t *specials = nullptr) {
  StringRef keyword;
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseKeyword(&keyword))
    return failure();
  std::optional<Axis> parsed = symbolizeAxis(keyword);
  if (!parsed || *parsed == Axis::none)
    return parser.emitError(loc)
           << "expected cluster, expert or basis, found '" << keyword << "'";
  axis = *parsed;
  if (parser.parseLSquare() || parser.parseInteger(count))
    return failure();
  if (specials && succeeded(parser.parseOptionalPlus()) &&
      parser.parseInteger(*specials))
    return failure();
  return parser.parseRSquare();
}

static void printAxis(AsmPrinter &printer, Axis axis, int64_t count,
                      int64_t specials = 0) {
  printer << stringifyAxis(axis) << "[" << count;
  if (specials)
    printer << "+" << specials;
  printer << "]";
}

//===----------------------------------------------------------------------===//
// WeightType
//===----------------------------------------------------------------------===//

Type WeightType::parse(AsmParser &parser) {
  SmallVector<int64_t> extents;
  Type elementType;
  Axis axis = Axis::none;
  int64_t count = 1;
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseLess() ||
      parser.parseDimensionList(extents, /*allowDynamic=*/false) ||
      parser.parseType(elementType))
    return {};
  if (extents.size() != 2) {
    parser.emitError(loc) << "T1: expected IN x OUT, found " << extents.size()
                          << " extents";
    return {};
  }
  if (succeeded(parser.parseOptionalComma()) &&
      parseAxis(parser, axis, count))
    return {};
  if (parser.parseGreater())
    return {};
  return getChecked([&] { return parser.emitError(loc); }, parser.getContext(),
                    extents[0], extents[1], elementType, axis, count);
}

void WeightType::print(AsmPrinter &printer) const {
  printer << "<" << getRows() << "x" << getCols() << "x" << getElementType();
  if (isIndexed()) {
    printer << ", ";
    printAxis(printer, getAxis(), getCount());
  }
  printer << ">";
}

LogicalResult WeightType::verify(function_ref<InFlightDiagnostic()> emitError,
                                 int64_t rows, int64_t cols, Type elementType,
                                 Axis axis, int64_t count) {
  if (!isSize(rows) || !isSize(cols))
    return emitError() << "T1: matrix sizes must be positive i32, found "
                       << rows << "x" << cols;
  if (!elementType.isF64() && !elementType.isF32() && !elementType.isF16() &&
      !elementType.isBF16())
    return emitError() << "T1: element type is the type of computation, one of "
                          "f64, f32, f16, bf16; found "
                       << elementType;
  if (!isSize(count) || (axis == Axis::none && count != 1))
    return emitError() << "T1: number of entries must be a positive i32, found "
                       << count;
  return success();
}

WeightType WeightType::withAxis(Axis axis, int64_t count) const {
  return get(getContext(), getRows(), getCols(), getElementType(), axis, count);
}

WeightType WeightType::withShape(int64_t rows, int64_t cols) const {
  return get(getContext(), rows, cols, getElementType(), getAxis(), getCount());
}

SmallVector<int64_t> WeightType::getStoredShape() const {
  if (isIndexed())
    return {getCount(), getRows(), getCols()};
  return {getRows(), getCols()};
}

//===----------------------------------------------------------------------===//
// TableType
//===----------------------------------------------------------------------===//

Type TableType::parse(AsmParser &parser) {
  Axis from, to;
  int64_t fromCount, toCount;
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseLess() || parseAxis(parser, from, fromCount) ||
      parser.parseArrow() || parseAxis(parser, to, toCount) ||
      parser.parseGreater())
    return {};
  return getChecked([&] { return parser.emitError(loc); }, parser.getContext(),
                    from, fromCount, to, toCount);
}

void TableType::print(AsmPrinter &printer) const {
  printer << "<";
  printAxis(printer, getFrom(), getFromCount());
  printer << " -> ";
  printAxis(printer, getTo(), getToCount());
  printer << ">";
}

LogicalResult TableType::verify(function_ref<InFlightDiagnostic()> emitError,
                                Axis from, int64_t fromCount, Axis to,
                                int64_t toCount) {
  if (!isSize(fromCount) || !isSize(toCount))
    return emitError() << "T1: table sizes must be positive i32, found "
                       << fromCount << " and " << toCount;
  for (Axis axis : {from, to})
    if (axis != Axis::cluster && axis != Axis::expert)
      return emitError() << "T2: a table connects clusters and experts, found "
                         << stringifyAxis(axis);
  return success();
}

//===----------------------------------------------------------------------===//
// IdType
//===----------------------------------------------------------------------===//

Type IdType::parse(AsmParser &parser) {
  Axis axis;
  int64_t count, specials = 0;
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseLess() || parseAxis(parser, axis, count, &specials) ||
      parser.parseGreater())
    return {};
  return getChecked([&] { return parser.emitError(loc); }, parser.getContext(),
                    axis, count, specials);
}

void IdType::print(AsmPrinter &printer) const {
  printer << "<";
  printAxis(printer, getAxis(), getCount(), getSpecials());
  printer << ">";
}

LogicalResult IdType::verify(function_ref<InFlightDiagnostic()> emitError,
                             Axis axis, int64_t count, int64_t specials) {
  if (!isSize(count) || specials < 0 ||
      (specials && (!isSize(specials) || !isSize(count + specials))))
    return emitError() << "T3: an id counts at least one entry and fits i32, "
                          "found "
                       << count << "+" << specials;
  if (axis == Axis::none || axis == Axis::basis)
    return emitError() << "T3: ids name clusters or experts, found "
                       << stringifyAxis(axis);
  if (specials && axis != Axis::expert)
    return emitError() << "T3: only experts have special ones";
  return success();
}

IdType IdType::withoutSpecials() const {
  return get(getContext(), getAxis(), getCount(), 0);
}
