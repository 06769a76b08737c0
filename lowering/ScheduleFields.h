// Sizes of kernels by name: tables in C++, `moe.schedule` in IR.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_LOWERING_SCHEDULEFIELDS_H
#define MOEC_LOWERING_SCHEDULEFIELDS_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/Operation.h"
#include "llvm/ADT/STLExtras.h"

namespace moec::lowering {

/// On an operation of the scheduled form: sizes that its kernels get.
inline constexpr llvm::StringLiteral scheduleAttrName = "moe.schedule";

/// A number of a schedule, by its name in IR, and what it may be.
template <typename Schedule> struct ScheduleField {
  llvm::StringLiteral name;
  int64_t Schedule::*place;
  int64_t least, most;
};

/// Puts the numbers of a dictionary into a schedule. A name that there is not, or a number out of bounds, is an error at `op`.
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
    auto value = mlir::dyn_cast<mlir::IntegerAttr>(each.getValue());
    if (!value || value.getInt() < field->least || value.getInt() > field->most)
      return op->emitError("moe.schedule: expected a number from ")
             << field->least << " to " << field->most << " for " << field->name
             << ", found " << each.getValue();
    schedule.*field->place = value.getInt();
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
  for (const auto &field : fields)
    numbers.push_back(builder.getNamedAttr(
        field.name, builder.getI64IntegerAttr(schedule.*field.place)));
  return builder.getDictionaryAttr(numbers);
}

} // namespace moec::lowering

#endif // MOEC_LOWERING_SCHEDULEFIELDS_H
