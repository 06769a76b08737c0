// The vocabulary in use: constants fold, scratch stands at a function's beginning and is aligned, lists begin at a pointer.
// RUN: moe-opt %s --pass-pipeline='builtin.module(moe-export-entries,moe-select-cpu-kernels,convert-moe-to-linalg,canonicalize,one-shot-bufferize,canonicalize,cse,convert-moe-to-cpu{isa=x86-64-v3})' | FileCheck %s

// CHECK-LABEL: func.func private @f_matmul
// CHECK:         memref.alloca() {alignment = 64 : i64}
// CHECK-NOT:     scf.
// CHECK:         arith.divui
// CHECK:         scf.if
// CHECK-NOT:     memref.alloca
// CHECK-LABEL: func.func private @matmul_f32(
// CHECK-SAME:    %[[X:[a-z0-9]+]]: !llvm.ptr
// CHECK:         %[[LIST:.*]] = llvm.insertvalue %{{.*}}, %{{.*}}[4, 0]
// CHECK-NEXT:    builtin.unrealized_conversion_cast %[[LIST]] : {{.*}} to memref<?xf32>
func.func @f(%x: tensor<?x16xf32>, %codes: tensor<1x16x16xf32>, %e: tensor<?x16xf32>) -> tensor<?x16xf32> {
  %w = moe.wrap %codes layout panel16 : tensor<1x16x16xf32> to !moe.weight<16x16xf32>
  %y = moe.grouped_matmul ins(%x : tensor<?x16xf32>) weights(%w : !moe.weight<16x16xf32>) act <relu> outs(%e : tensor<?x16xf32>) -> tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}
