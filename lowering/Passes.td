// Passes that change the level: reference lowering and library emission.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_LOWERING_PASSES_TD
#define MOEC_LOWERING_PASSES_TD

include "mlir/Pass/PassBase.td"

def ExportEntriesPass : Pass<"moe-export-entries", "::mlir::ModuleOp"> {
  let summary = "gives public functions a destination-passing form on buffers";
  let description = [{
    Each public function with a body becomes a function on strided memrefs, inputs first, then one destination for each
    result: what a caller of the library passes. Which extents must be equal within a call, and which of the inputs'
    extents each result has, is worked out from the body and recorded in `moec.arguments`; a result whose extent is not
    one of the inputs' is refused. Private functions are left to the inliner.
  }];
  let dependentDialects = ["::mlir::bufferization::BufferizationDialect", "::mlir::memref::MemRefDialect",
                           "::mlir::tensor::TensorDialect", "::mlir::func::FuncDialect"];
}

def ConvertMoEToLinalgPass : Pass<"convert-moe-to-linalg", "::mlir::ModuleOp"> {
  let summary = "the reference lowering: plain linalg, scf and tensor operations";
  let description = [{
    Defines what moe operations mean; every other path is compared with it. Plain and slow on purpose: each weight
    expression is built as a dense tensor, each matmul is one linalg.generic. Takes any of the three forms, or a mix.
    Params are evaluated at compile time: seeded values, recipes, and what each encoding makes of them.

    Afterwards no moe operation or type is left.
  }];
  let options = [
    ListOption<"weights", "weights", "std::string",
               "Binds a scope of external params: scope=file.safetensors, scope=splat:V or scope=seeded:S[:scale]">,
    Option<"maxBytes", "max-bytes", "int64_t", "/*default=*/1073741824",
           "Most bytes that the values of all params may take; more is refused">
  ];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::linalg::LinalgDialect", "::mlir::math::MathDialect",
                           "::mlir::scf::SCFDialect", "::mlir::tensor::TensorDialect"];
}

def PlanWorkspacePass : Pass<"moe-plan-workspace", "::mlir::ModuleOp"> {
  let summary = "takes all scratch memory from one buffer that the caller hands in";
  let description = [{
    Runs on bufferised entries. Every memref.alloc becomes a view into a workspace argument, aligned to 64 bytes; a
    second function, `<name>_workspace`, says how many bytes the given shapes need. Allocations whose size depends on
    data, or that stand in a loop and cannot be hoisted, are refused.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::memref::MemRefDialect", "::mlir::func::FuncDialect"];
}

#endif // MOEC_LOWERING_PASSES_TD
