// Activations on vectors: polynomials all, without the C library.
// RUN: moe-opt %s --pass-pipeline='builtin.module(moe-export-entries,moe-select-cpu-kernels,convert-moe-to-linalg,canonicalize,one-shot-bufferize,canonicalize,cse,convert-moe-to-cpu{isa=x86-64-v3},canonicalize,cse)' | FileCheck %s

!w = !moe.weight<16x16xf32>
!x = tensor<?x16xf32>
// CHECK-LABEL: func.func private @silu_matmul
// CHECK-NOT:     math.
// CHECK-DAG:     arith.constant dense<1.44269502> : vector<16xf32>
// CHECK:         arith.maximumf
// CHECK:         arith.minimumf
// CHECK:         arith.shli {{.*}} : vector<16xi32>
// CHECK:         arith.bitcast {{.*}} : vector<16xi32> to vector<16xf32>
// CHECK:         arith.divf {{.*}} : vector<16xf32>
// CHECK-NOT:     math.
// CHECK:         return
func.func @silu(%x: !x, %codes: tensor<1x16x16xf32>, %e: !x) -> !x {
  %w = moe.wrap %codes layout panel16 : tensor<1x16x16xf32> to !w
  %y = moe.grouped_matmul ins(%x : !x) weights(%w, %w : !w, !w) act <silu> outs(%e : !x) -> !x
  return %y : !x
}

// CHECK-LABEL: func.func private @clamped_matmul
// CHECK-DAG:     arith.constant dense<7.000000e+00> : vector<16xf32>
// CHECK-DAG:     arith.constant dense<-7.000000e+00> : vector<16xf32>
// CHECK-DAG:     arith.constant dense<1.702000e+00> : vector<16xf32>
// CHECK:         return
func.func @clamped(%x: !x, %codes: tensor<1x16x16xf32>, %e: !x) -> !x {
  %w = moe.wrap %codes layout panel16 : tensor<1x16x16xf32> to !w
  %y = moe.grouped_matmul ins(%x : !x) weights(%w, %w : !w, !w) act <sigmoid_alpha alpha 1.702 clamp 7.0 offset 1.0> outs(%e : !x) -> !x
  return %y : !x
}

// CHECK-LABEL: func.func private @gelu_matmul
// CHECK-NOT:     math.
// CHECK:         llvm.intr.fma({{.*}}) : (vector<16xf32>
// CHECK-NOT:     math.
// CHECK:         return
func.func @gelu(%x: !x, %codes: tensor<1x16x16xf32>, %e: !x) -> !x {
  %w = moe.wrap %codes layout panel16 : tensor<1x16x16xf32> to !w
  %y = moe.grouped_matmul ins(%x : !x) weights(%w : !w) act <gelu> outs(%e : !x) -> !x
  return %y : !x
}

// CHECK-LABEL: func.func private @relu2_matmul
// CHECK:         %[[RELU:.*]] = arith.maximumf {{.*}} : vector<16xf32>
// CHECK:         arith.mulf %[[RELU]], %[[RELU]]
func.func @relu2(%x: !x, %codes: tensor<1x16x16xf32>, %e: !x) -> !x {
  %w = moe.wrap %codes layout panel16 : tensor<1x16x16xf32> to !w
  %y = moe.grouped_matmul ins(%x : !x) weights(%w : !w) act <relu2> outs(%e : !x) -> !x
  return %y : !x
}
