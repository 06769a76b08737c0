// What a compiled function says about its arguments: `moec.arguments`, from moe-export-entries to the entry table.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_LOWERING_LIBRARY_ENTRYARGUMENTS_H
#define MOEC_LOWERING_LIBRARY_ENTRYARGUMENTS_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/BuiltinTypes.h"

#include <optional>
#include <string>

namespace moec::lowering {

/// What names of compiled functions start with, behind moe-prefix-entries.
inline constexpr llvm::StringLiteral entryPrefix = "moec.";

/// On an entry: it sends rows to other ranks, where there are any. convert-moert-to-llvm sets it, the manifest says so.
inline constexpr llvm::StringLiteral exchangesAttrName = "moec.exchanges";

/// An element type that may cross the C ABI.
struct EntryElementType {
  /// As the manifest spells it: "float32".
  llvm::StringRef name;
  /// DLPack's type code and size in bits.
  uint8_t code;
  uint8_t bits;
};

/// The element type as DLPack has it, or nothing if there is none.
std::optional<EntryElementType> entryElementType(mlir::Type type);

/// Who hands an argument in: moert_role_t, and as the manifest spells it.
enum class EntryRole : uint8_t { input, output, binding };
llvm::StringRef entryRoleName(EntryRole role);

/// One argument of a compiled function. Functions carry theirs as an array of dictionaries, outputs last:
/// {dtype = "float32", name = "x", role = "input", shape = array<i64: -2, 64>}, `below = 4 : i64` for tables, and
/// `contiguous` for panels, `paged` for paged pools.
struct EntryArgument {
  std::string name;
  EntryElementType type;
  /// An extent, MOERT_DYNAMIC, or a class of equal extents below it (moert/abi.h).
  llvm::SmallVector<int64_t> shape;
  EntryRole role;
  /// Of a table: each value is at least 0 and below this. 0 for others.
  int64_t below = 0;
  /// Whether elements must lie one behind the other: kernels read panels so. Of a paged pool each place's.
  bool isContiguous = false;
  /// Whether it is a pool of as many places as memory is given, at any distance from each other.
  bool isPaged = false;
};

/// Whether the operation is a function that was exported.
bool hasEntryArguments(mlir::Operation *function);

/// The exported functions of a module that have bodies, in its order.
llvm::SmallVector<mlir::func::FuncOp> findEntries(mlir::ModuleOp module);

/// The name that a function has in its model: without the prefix that moe-prefix-entries gives.
llvm::StringRef entryNameOf(mlir::func::FuncOp entry);

/// Records the arguments on a function.
void setEntryArguments(mlir::Operation *function,
                       llvm::ArrayRef<EntryArgument> arguments);

/// Reads the arguments of a function; fails with a diagnostic if the attribute is missing or malformed.
mlir::FailureOr<llvm::SmallVector<EntryArgument>>
getEntryArguments(mlir::Operation *function);

} // namespace moec::lowering

#endif // MOEC_LOWERING_LIBRARY_ENTRYARGUMENTS_H
