// A wrap that a kernel and others read is there twice; what nobody reads any more goes.
// RUN: moe-opt %s --moe-select-cpu-kernels | FileCheck %s

// CHECK-LABEL: func.func @shared(
// CHECK-DAG:     %[[OWN:.*]] = moe.wrap %{{.*}} layout panel16 {moe.kernel}
// CHECK-DAG:     %[[OTHER:.*]] = moe.wrap %{{.*}} layout panel16 : tensor
// CHECK:         moe.grouped_matmul ins(%{{.*}}) weights(%[[OWN]] : {{.*}}{moe.kernel}
// CHECK:         moe.weight.add %[[OTHER]], %[[OTHER]]
!w = !moe.weight<32x32xf32>
func.func @shared(%x: tensor<8x32xf32>, %panels: tensor<2x32x16xf32>, %out: tensor<8x32xf32>) -> (tensor<8x32xf32>, !w) {
  %w = moe.wrap %panels layout panel16 : tensor<2x32x16xf32> to !w
  %0 = moe.grouped_matmul ins(%x : tensor<8x32xf32>) weights(%w : !w) outs(%out : tensor<8x32xf32>) -> tensor<8x32xf32>
  %1 = moe.weight.add %w, %w : !w, !w
  return %0, %1 : tensor<8x32xf32>, !w
}

// CHECK-LABEL: func.func @alone(
// CHECK-COUNT-1: moe.wrap
// CHECK-NOT:     moe.wrap
func.func @alone(%x: tensor<8x32xf32>, %panels: tensor<2x32x16xf32>, %out: tensor<8x32xf32>) -> tensor<8x32xf32> {
  %w = moe.wrap %panels layout panel16 : tensor<2x32x16xf32> to !w
  %0 = moe.grouped_matmul ins(%x : tensor<8x32xf32>) weights(%w : !w) outs(%out : tensor<8x32xf32>) -> tensor<8x32xf32>
  return %0 : tensor<8x32xf32>
}
