// Scheduled operations on buffers, as tasks that call matmul kernels.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_LOWERING_CPU_LAYEREMITTER_H
#define MOEC_LOWERING_CPU_LAYEREMITTER_H

#include "lowering/CPU/Matmul.h"
#include "mlir/IR/IRMapping.h"

namespace moec::lowering {

/// Why an operation cannot be made of CPU kernels; empty if it can. Works on
/// tensors and on buffers.
std::string reasonAgainstKernels(mlir::Operation *op);

/// The schedule of an operation: the instruction set's, with what its attribute
/// `moe.schedule` says otherwise. A wrong field is an error at the operation.
mlir::FailureOr<Schedule> scheduleOf(mlir::Operation *op,
                                     const InstructionSet &isa);

/// Replaces scheduled operations of one function by loops. Each becomes a few
/// stages; a stage is a scf.parallel whose body is one call: a task.
class LayerEmitter {
public:
  LayerEmitter(mlir::func::FuncOp entry, MatmulKernels &kernels)
      : entry(entry), kernels(kernels) {}

  mlir::LogicalResult emit(moe::GroupOp op);
  mlir::LogicalResult emit(moe::GatherOp op);
  mlir::LogicalResult emit(moe::ScatterCombineOp op);
  mlir::LogicalResult emit(moe::GroupedMatmulOp op);
  mlir::LogicalResult emit(moe::GroupedUpOp op);

private:
  friend class MatmulStages;
  using Body =
      llvm::function_ref<void(Code &, const mlir::IRMapping &, mlir::Value)>;

  /// A stage of `count` tasks. What the body uses it finds in its mapping.
  void stage(Code &c, llvm::StringRef name, mlir::Value count,
             mlir::ValueRange used, Body body);
  /// Calls a function of the runtime's entry archive; buffers become pointers.
  mlir::Value callRuntime(Code &c, llvm::StringRef name,
                          mlir::ValueRange arguments, bool returnsIndex);
  /// The buffer as a list, copied together first where a caller's strides are
  /// wide.
  mlir::Value contiguous(Code &c, mlir::Value buffer);
  /// The same as f32: a copy of what is f16 or bf16.
  mlir::Value floats(Code &c, mlir::Value buffer);
  /// A stage that copies all of a list into another: floats of one type become
  /// those of another.
  void convert(Code &c, llvm::StringRef name, mlir::Value from, mlir::Value to,
               mlir::Value count);

  mlir::func::FuncOp entry;
  MatmulKernels &kernels;
  llvm::DenseMap<mlir::Value, mlir::Value> compacted;
  unsigned tasks = 0;
};

} // namespace moec::lowering

#endif // MOEC_LOWERING_CPU_LAYEREMITTER_H
