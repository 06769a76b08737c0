// What has kernels, what has not, and why.
// RUN: moe-opt %s --moe-select-cuda-kernels --split-input-file --remarks-filter=moe 2>&1 | FileCheck %s

// CHECK: moe.gather is lowered plainly: it only copies
// CHECK: moe.grouped_matmul is lowered plainly: tensor cores take f16 and bf16
// CHECK: moe.grouped_matmul is lowered plainly: its rows are not those of a moe.group
// CHECK: moe.grouped_matmul is lowered plainly: it has a bias
// CHECK: moe.grouped_matmul is lowered plainly: a weight is not of the type of the rows it is multiplied by
// CHECK: moe.grouped_matmul is lowered plainly: extents of a weight are not multiples of 8
// CHECK: moe.grouped_matmul is lowered plainly: a weight is not stored as floats in row_major
// CHECK: moe.grouped_matmul is lowered plainly: its weights are expressions, not stored matrices
// CHECK: moe.grouped_matmul is lowered plainly: only rows of groups, and what pairs add to them, have one
// CHECK: moe.grouped_matmul is lowered plainly: its rows are rounded to int8
// CHECK: moe.scatter_combine is lowered plainly: its rows are not those of a moe.group
// CHECK: 4 operations become kernels

!ids = tensor<8x2x!moe.id<expert[2]>>
!x = tensor<16x32xbf16>
!w = !moe.weight<32x32xbf16, expert[2]>
// CHECK-LABEL: func.func @kernels(
func.func @kernels(%ids: !ids, %p: tensor<8x2xbf16>, %x: !x, %single: tensor<16x32xf32>, %rows: tensor<2x32x32xbf16>, %floats: tensor<2x32x32xf32>,
                   %bias: tensor<2x1x32xbf16>, %odd: tensor<2x32x36xbf16>, %panels: tensor<2x2x32x16xbf16>, %other: tensor<3xi32>, %e: tensor<16x!moe.id<expert[2]>>,
                   %i: tensor<16xi32>)
    -> (!x, tensor<16x32xf32>, !x, !x, !x, tensor<16x36xbf16>, !x, !x, !x, !x, tensor<8x32xbf16>, tensor<8x32xbf16>, !x, tensor<16x32xf32>) {
  %a = tensor.empty() : tensor<16xi32>
  %b = tensor.empty() : tensor<3xi32>
  %c = tensor.empty() : tensor<16x!moe.id<expert[2]>>
  %d = tensor.empty() : tensor<16xbf16>
  %out = tensor.empty() : !x
  %out_f32 = tensor.empty() : tensor<16x32xf32>
  %out_odd = tensor.empty() : tensor<16x36xbf16>
  %y = tensor.empty() : tensor<8x32xbf16>
  // CHECK: moe.group {{.*}}{moe.kernel}
  %g:5 = moe.group ins(%ids, %ids, %p : !ids, !ids, tensor<8x2xbf16>) outs(%a, %b, %a, %c, %d : tensor<16xi32>, tensor<3xi32>, tensor<16xi32>, tensor<16x!moe.id<expert[2]>>, tensor<16xbf16>)
    -> tensor<16xi32>, tensor<3xi32>, tensor<16xi32>, tensor<16x!moe.id<expert[2]>>, tensor<16xbf16>
  %w = moe.wrap %rows : tensor<2x32x32xbf16> to !w
  %w_f32 = moe.wrap %floats : tensor<2x32x32xf32> to !moe.weight<32x32xf32, expert[2]>
  %w_stored = moe.wrap %floats encoding <f32> : tensor<2x32x32xf32> to !w
  %w_bias = moe.wrap %bias : tensor<2x1x32xbf16> to !moe.weight<1x32xbf16, expert[2]>
  %w_odd = moe.wrap %odd : tensor<2x32x36xbf16> to !moe.weight<32x36xbf16, expert[2]>
  %w_panels = moe.wrap %panels layout panel16 : tensor<2x2x32x16xbf16> to !w
  %w_sum = moe.weight.add %w, %w : !w, !w
  %0 = moe.gather ins(%x, %g#0 : !x, tensor<16xi32>) outs(%out : !x) -> !x
  %1 = moe.grouped_matmul ins(%single : tensor<16x32xf32>) weights(%w_f32 : !moe.weight<32x32xf32, expert[2]>) groups(%g#1 : tensor<3xi32>) outs(%out_f32 : tensor<16x32xf32>) -> tensor<16x32xf32>
  %2 = moe.grouped_matmul ins(%x : !x) weights(%w : !w) groups(%other : tensor<3xi32>) outs(%out : !x) -> !x
  %3 = moe.grouped_matmul ins(%x : !x) weights(%w : !w) bias(%w_bias : !moe.weight<1x32xbf16, expert[2]>) groups(%g#1 : tensor<3xi32>) outs(%out : !x) -> !x
  %4 = moe.grouped_matmul ins(%x : !x) weights(%w_stored : !w) groups(%g#1 : tensor<3xi32>) outs(%out : !x) -> !x
  %5 = moe.grouped_matmul ins(%x : !x) weights(%w_odd : !moe.weight<32x36xbf16, expert[2]>) groups(%g#1 : tensor<3xi32>) outs(%out_odd : tensor<16x36xbf16>) -> tensor<16x36xbf16>
  %6 = moe.grouped_matmul ins(%x : !x) weights(%w_panels : !w) groups(%g#1 : tensor<3xi32>) outs(%out : !x) -> !x
  %7 = moe.grouped_matmul ins(%x : !x) weights(%w_sum : !w) groups(%g#1 : tensor<3xi32>) outs(%out : !x) -> !x
  %8 = moe.grouped_matmul ins(%x : !x) weights(%w : !w) entries(%e : tensor<16x!moe.id<expert[2]>>) outs(%out : !x) -> !x
  // CHECK: moe.grouped_matmul {{.*}}{moe.kernel}
  %9 = moe.grouped_matmul ins(%x : !x) weights(%w : !w) groups(%g#1 : tensor<3xi32>) outs(%out : !x) -> !x
  %12 = moe.grouped_matmul ins(%x : !x) rounded <int8> weights(%w : !w) groups(%g#1 : tensor<3xi32>) outs(%out : !x) -> !x
  // Rounded rows are what weights are multiplied by.
  // CHECK: moe.grouped_matmul ins(%{{.*}} : tensor<16x32xf32>) rounded <bf16> {{.*}}{moe.kernel}
  %w_rounded = moe.wrap %rows encoding <bf16> : tensor<2x32x32xbf16> to !moe.weight<32x32xf32, expert[2]>
  %13 = moe.grouped_matmul ins(%single : tensor<16x32xf32>) rounded <bf16> weights(%w_rounded : !moe.weight<32x32xf32, expert[2]>) groups(%g#1 : tensor<3xi32>) outs(%out_f32 : tensor<16x32xf32>) -> tensor<16x32xf32>
  // CHECK: moe.scatter_combine {{.*}}{moe.kernel, moe.rows_per_token = 2 : i64}
  %10 = moe.scatter_combine ins(%9, %g#0 : !x, tensor<16xi32>) outs(%y : tensor<8x32xbf16>) -> tensor<8x32xbf16>
  %11 = moe.scatter_combine ins(%9, %i : !x, tensor<16xi32>) outs(%y : tensor<8x32xbf16>) -> tensor<8x32xbf16>
  return %0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13 : !x, tensor<16x32xf32>, !x, !x, !x, tensor<16x36xbf16>, !x, !x, !x, !x, tensor<8x32xbf16>, tensor<8x32xbf16>, !x, tensor<16x32xf32>
}
