// Sizes of kernels by name: tables in C++, `moe.schedule` in IR.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_LOWERING_SCHEDULEFIELDS_H
#define MOEC_LOWERING_SCHEDULEFIELDS_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/Operation.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

#include <optional>

namespace moec::lowering {

/// On an operation of the scheduled form: sizes that its kernels get.
inline constexpr llvm::StringLiteral scheduleAttrName = "moe.schedule";

/// A number of a schedule, by its name in IR, and what it may be.
template <typename Schedule> struct ScheduleField {
  llvm::StringLiteral name;
  int64_t Schedule::*place;
  int64_t least, most;
  /// What IR says for the numbers from 0 on; none: the number itself.
  llvm::ArrayRef<llvm::StringLiteral> words = {};
};

/// The number that a field is said to have, or nothing if it cannot be.
template <typename Field>
std::optional<int64_t> readField(const Field &field, mlir::Attribute from) {
  if (field.words.empty()) {
    auto number = mlir::dyn_cast<mlir::IntegerAttr>(from);
    if (!number || number.getInt() < field.least ||
        number.getInt() > field.most)
      return std::nullopt;
    return number.getInt();
  }
  auto word = mlir::dyn_cast<mlir::StringAttr>(from);
  const auto *found =
      word ? llvm::find(field.words, word.getValue()) : field.words.end();
  if (found == field.words.end())
    return std::nullopt;
  return found - field.words.begin();
}

/// Puts the numbers of a dictionary into a schedule. A name that there is not,
/// or a number out of bounds, is an error at `op`.
template <typename Schedule, typename Fields>
mlir::LogicalResult readFields(mlir::Operation *op, mlir::DictionaryAttr from,
                               const Fields &fields, Schedule &schedule) {
  for (mlir::NamedAttribute each : from) {
    const auto *field = llvm::find_if(fields, [&](const auto &known) {
      return known.name == each.getName().getValue();
    });
    if (field == std::end(fields)) {
      auto error = op->emitError("moe.schedule: expected one of ");
      llvm::interleaveComma(fields, error,
                            [&](const auto &known) { error << known.name; });
      return error << ", found '" << each.getName().getValue() << "'";
    }
    std::optional<int64_t> number = readField(*field, each.getValue());
    if (!number && !field->words.empty())
      return op->emitError("moe.schedule: expected a word of ")
             << llvm::join(field->words, ", ") << " for " << field->name
             << ", found " << each.getValue();
    if (!number)
      return op->emitError("moe.schedule: expected a number from ")
             << field->least << " to " << field->most << " for " << field->name
             << ", found " << each.getValue();
    schedule.*field->place = *number;
  }
  return mlir::success();
}

/// A schedule as a dictionary.
template <typename Schedule, typename Fields>
mlir::DictionaryAttr writeFields(mlir::MLIRContext *context,
                                 const Fields &fields,
                                 const Schedule &schedule) {
  mlir::Builder builder(context);
  llvm::SmallVector<mlir::NamedAttribute> numbers;
  for (const auto &field : fields) {
    int64_t number = schedule.*field.place;
    mlir::Attribute value = builder.getI64IntegerAttr(number);
    if (!field.words.empty())
      value = builder.getStringAttr(field.words[number]);
    numbers.push_back(builder.getNamedAttr(field.name, value));
  }
  return builder.getDictionaryAttr(numbers);
}

} // namespace moec::lowering

#endif // MOEC_LOWERING_SCHEDULEFIELDS_H
