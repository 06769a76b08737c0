// The micro-kernel: rows times panels of a stored weight, as a function that
// every step of a layer calls.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_LOWERING_CPU_MATMUL_H
#define MOEC_LOWERING_CPU_MATMUL_H

#include "lowering/CPU/Schedule.h"
#include "lowering/CPU/StoredWeight.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/SymbolTable.h"

namespace moec::lowering {

/// Where rows of floats are: row i begins at `data` + number(i)·stride,
/// number(i) being list[i].
struct Rows {
  mlir::Value data, stride;
  /// A pointer to i32; only of loose rows.
  mlir::Value list;
};

/// Panels of a stored weight, for a call: pointers at the first row that
/// counts, elements from panel to panel, and in row_major from row to row.
struct Panels {
  mlir::Value codes, scales, zeroPoints, stride, scaleStride, rowStride;
};

/// Reads `count` of them, from `panel` on.
llvm::SmallVector<PanelReader> readersOf(Code &c, const StoredForm &form,
                                         const Panels &w, mlir::Value panel,
                                         int64_t count);

/// A name for a schedule that differs from the instruction set's in what
/// kernels are made of.
std::string scheduleSuffix(const Schedule &schedule, const Schedule &standard);

/// Keeps LLVM from spreading a kernel that is called once over its caller.
void neverInline(mlir::func::FuncOp function);

/// Makes and calls y[i, :] = init[i, :] + x[i, 0 ... k)·W for `panels` panels;
/// without init it starts from zero. `init` may be `y`.
class MatmulKernels {
public:
  MatmulKernels(mlir::ModuleOp module, const InstructionSet &isa);

  /// x as packRows lays it out; rows of init and y are consecutive.
  void callPacked(Code &c, const StoredForm &form, const Schedule &schedule,
                  mlir::Value x, const Panels &w, const Rows &init,
                  mlir::Value hasInit, const Rows &y, mlir::Value rows,
                  mlir::Value panels, mlir::Value k);
  /// Rows wherever they lie. Rows of y must differ from each other.
  void callLoose(Code &c, const StoredForm &form, const Schedule &schedule,
                 const Rows &x, const Panels &w, const Rows &init,
                 mlir::Value hasInit, const Rows &y, mlir::Value rows,
                 mlir::Value panels, mlir::Value k);
  /// Copies rows [first, first + rows) of x [.., k], floats of that type, to
  /// the place that callPacked reads: tile by tile, [k][rows of the tile] of
  /// f32.
  void callPack(Code &c, const Schedule &schedule, mlir::Type element,
                mlir::Value x, mlir::Value rows, mlir::Value k,
                mlir::Value packed);

  mlir::SymbolTable &symbols() { return symbolTable; }
  const InstructionSet &instructionSet() const { return isa; }
  /// A private function of that name, made by `emit` in its body where there is
  /// none yet.
  mlir::func::FuncOp
  function(llvm::StringRef name, mlir::TypeRange inputs,
           llvm::function_ref<void(Code &, mlir::ValueRange)> emit);

private:
  mlir::func::FuncOp matmul(const StoredForm &form, const Schedule &schedule,
                            bool isPacked);

  mlir::ModuleOp module;
  mlir::SymbolTable symbolTable;
  const InstructionSet &isa;
};

} // namespace moec::lowering

#endif // MOEC_LOWERING_CPU_MATMUL_H
