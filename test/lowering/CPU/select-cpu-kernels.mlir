// What kernels do, what they do not, and why. A wrap that both read is there twice.
// RUN: moe-opt %s --moe-select-cpu-kernels --split-input-file --remarks-filter=moe 2>&1 | FileCheck %s

// CHECK: moe.gather is lowered plainly: it computes in f64
// CHECK: moe.grouped_matmul is lowered plainly: a weight is not stored in panels of 16 that kernels read
// CHECK: moe.grouped_matmul is lowered plainly: its weights are expressions, not stored matrices
// CHECK: moe.grouped_matmul is lowered plainly: rows of entries have pairs, a bias or an activation
// CHECK: moe.grouped_matmul is lowered plainly: a bias is not stored as plain floats
// CHECK: moe.scatter_combine is lowered plainly: it computes in f64
// CHECK: 1 operations become kernels

!x = tensor<8x32xf32>
!w = !moe.weight<32x32xf32>
// CHECK-LABEL: func.func @kernels(
// CHECK-SAME:    %[[X:[a-z0-9]+]]: tensor<8x32xf32>, %[[PANELS:[a-z0-9]+]]: tensor<2x32x16xf32>
func.func @kernels(%x: !x, %panels: tensor<2x32x16xf32>, %rows: tensor<32x32xf32>, %h: tensor<8x32xf64>, %i: tensor<8xi32>,
                   %e: tensor<8x!moe.id<expert[2]>>, %experts: tensor<2x2x32x16xf32>, %coded: tensor<2x1x32xi8>, %scales: tensor<2x1x1xf32>, %off: tensor<3xi32>)
    -> (!x, !x, !x, !x, !x, tensor<8x32xf64>, tensor<8x32xf64>, !w) {
  %out = tensor.empty() : !x
  %half = tensor.empty() : tensor<8x32xf64>
  // CHECK-DAG: %[[KEPT:.*]] = moe.wrap %[[PANELS]] layout panel16 {moe.kernel}
  // CHECK-DAG: moe.wrap %[[PANELS]] layout panel16 : tensor
  %w = moe.wrap %panels layout panel16 : tensor<2x32x16xf32> to !w
  %r = moe.wrap %rows : tensor<32x32xf32> to !w
  %s = moe.weight.add %w, %w : !w, !w
  %we = moe.wrap %experts layout panel16 : tensor<2x2x32x16xf32> to !moe.weight<32x32xf32, expert[2]>
  %b = moe.wrap %coded scales(%scales : tensor<2x1x1xf32>) encoding <int8> : tensor<2x1x32xi8> to !moe.weight<1x32xf32, expert[2]>
  %g = moe.gather ins(%h, %i : tensor<8x32xf64>, tensor<8xi32>) outs(%half : tensor<8x32xf64>) -> tensor<8x32xf64>
  %0 = moe.grouped_matmul ins(%x : !x) weights(%r : !w) outs(%out : !x) -> !x
  %1 = moe.grouped_matmul ins(%x : !x) weights(%s : !w) outs(%out : !x) -> !x
  %2 = moe.grouped_matmul ins(%x : !x) weights(%we : !moe.weight<32x32xf32, expert[2]>) entries(%e : tensor<8x!moe.id<expert[2]>>) act <relu> outs(%out : !x) -> !x
  // CHECK: moe.grouped_matmul ins(%[[X]] : tensor<8x32xf32>) weights(%[[KEPT]] : {{.*}}) outs({{.*}}) {moe.kernel}
  %3 = moe.grouped_matmul ins(%x : !x) weights(%w : !w) outs(%out : !x) -> !x
  %4 = moe.grouped_matmul ins(%x : !x) weights(%we : !moe.weight<32x32xf32, expert[2]>) bias(%b : !moe.weight<1x32xf32, expert[2]>)
    groups(%off : tensor<3xi32>) outs(%out : !x) -> !x
  %c = moe.scatter_combine ins(%h, %i : tensor<8x32xf64>, tensor<8xi32>) outs(%half : tensor<8x32xf64>) -> tensor<8x32xf64>
  return %0, %1, %2, %3, %4, %g, %c, %w : !x, !x, !x, !x, !x, tensor<8x32xf64>, tensor<8x32xf64>, !w
}
