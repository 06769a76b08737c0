// Rows are rounded before they are packed: a group's largest magnitude gives its scale, or a number's bits do.
// RUN: moe-opt %s --pass-pipeline='builtin.module(moe-export-entries,moe-select-cpu-kernels,convert-moe-to-linalg,canonicalize,one-shot-bufferize,canonicalize,cse,convert-moe-to-cpu{isa=x86-64-v3})' | FileCheck %s
!x = tensor<?x72xf32>
!y = tensor<?x16xf32>
!w = !moe.weight<72x16xf32>

// CHECK-LABEL: func.func private @int8_round
// CHECK:         scf.for
// CHECK:         math.absf {{.*}} : vector<16xf32>
// CHECK:         vector.reduction <maximumf>
// CHECK:         math.absf {{.*}} : f32
// CHECK-DAG:     arith.cmpf oge
// CHECK-DAG:     arith.cmpf olt
// CHECK:         arith.divf
// CHECK:         %[[SHIFTED:.*]] = arith.addf {{.*}} : vector<16xf32>
// CHECK:         arith.subf %[[SHIFTED]], {{.*}} : vector<16xf32>
// CHECK:         vector.store {{.*}} vector<16xf32>
// CHECK-LABEL: func.func private @int8_pack
// CHECK:         call @pack_rows6(
func.func @int8(%x: !x, %codes: tensor<1x72x16xf32>, %e: !y) -> !y {
  %w = moe.wrap %codes layout panel16 : tensor<1x72x16xf32> to !w
  %y = moe.grouped_matmul ins(%x : !x) rounded <int8 group 24> weights(%w : !w) outs(%e : !y) -> !y
  return %y : !y
}

// CHECK-LABEL: func.func private @bf16_round
// CHECK:         arith.truncf {{.*}} : vector<16xf32> to vector<16xbf16>
// CHECK-NEXT:    arith.extf {{.*}} : vector<16xbf16> to vector<16xf32>
// CHECK:         arith.truncf {{.*}} : f32 to bf16
func.func @bf16(%x: !x, %codes: tensor<1x72x16xf32>, %e: !y) -> !y {
  %w = moe.wrap %codes layout panel16 : tensor<1x72x16xf32> to !w
  %y = moe.grouped_matmul ins(%x : !x) rounded <bf16> weights(%w : !w) outs(%e : !y) -> !y
  return %y : !y
}
