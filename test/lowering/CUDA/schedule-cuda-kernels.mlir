// The target's table becomes visible where kernels are made, and gives way to what stands in IR.
// RUN: moe-opt %s --moe-schedule-cuda-kernels | FileCheck %s
// RUN: moe-opt %s --moe-schedule-cuda-kernels=target=sm_90a | FileCheck %s --check-prefix=HOPPER
// RUN: moe-opt %s --moe-schedule-cuda-kernels=fast-activations=true | FileCheck %s --check-prefix=FAST
// RUN: moe-compile %S/Inputs/layer.mlir --optimize --separate-weights --target=cuda --isas=sm_80 --emit=linalg -o %t.mlir
// RUN: moe-opt %t.mlir --moe-schedule-cuda-kernels=atomic-sums=true | FileCheck %s --check-prefix=ATOMIC
// RUN: sed -f %S/Inputs/rank16.sed %S/Inputs/layer.mlir | moe-compile - --optimize --separate-weights --target=cuda --isas=sm_80 --emit=linalg -o %t16.mlir
// RUN: moe-opt %t16.mlir --moe-schedule-cuda-kernels | FileCheck %s --check-prefix=SHRINK
// RUN: not moe-opt %s --moe-schedule-cuda-kernels=target=sm_70 2>&1 | FileCheck %s --check-prefix=TARGET

// Of up alone blocks have parts of a sum.
// ATOMIC-NOT: moe.atomic_sums
// ATOMIC: moe.grouped_up {{.*}}moe.atomic_sums
// ATOMIC-NOT: moe.atomic_sums

// Of many rows, pairs of one expert are tiles of x·A: where copies can bring eight numbers of the factors.
// ATOMIC-NOT: shrink_rows = 32
// SHRINK: moe.grouped_up {{.*}}most_rows = 16 : i64{{[^}]*}}shrink_rows = 0 : i64{{.*}}most_rows = 2147483647 : i64{{[^}]*}}shrink_rows = 32 : i64

// TARGET: option target: expected sm_80, sm_90a, found 'sm_70'

// Few rows: weights on as many blocks as there are tiles of columns. Many: tiles of 64 rows.
// CHECK-LABEL: func.func @marked
// CHECK:      moe.grouped_matmul
// CHECK-SAME:   moe.schedule = [{blocks = 132 : i64, cluster = 1 : i64, columns = 64 : i64, depth = 32 : i64, most_rows = 16 : i64, residual_form = "present", rows = 16 : i64, runs = 65536 : i64, shrink_rows = 0 : i64, stages = 4 : i64, warpgroups = 0 : i64, warps_across = 4 : i64, warps_down = 1 : i64},
// CHECK-SAME:                   {blocks = 132 : i64, cluster = 1 : i64, columns = 64 : i64, depth = 32 : i64, most_rows = 2147483647 : i64, residual_form = "present", rows = 64 : i64, runs = 16 : i64, shrink_rows = 0 : i64, stages = 3 : i64, warpgroups = 0 : i64, warps_across = 2 : i64, warps_down = 2 : i64}]
// Hopper multiplies many rows by warpgroups: of one matrix 256 columns, of two 64 each and more stages. Of still more, pairs of blocks
// share weights. Rows that are rounded share their sums.
// HOPPER-LABEL: func.func @marked
// HOPPER:      moe.grouped_matmul
// HOPPER-SAME:   moe.schedule = [{{{.*}}most_rows = 16 : i64, residual_form = "present", rows = 16 : i64{{.*}}warpgroups = 0 : i64{{.*}}}, {{{.*}}most_rows = 64 : i64, residual_form = "present", rows = 64 : i64{{[^}]*}}warpgroups = 0 : i64{{[^}]*}}},
// HOPPER-SAME:                   {blocks = 132 : i64, cluster = 1 : i64, columns = 256 : i64, depth = 64 : i64, most_rows = 256 : i64, residual_form = "present", rows = 128 : i64, runs = 16 : i64, shrink_rows = 0 : i64, stages = 4 : i64, warpgroups = 2 : i64, warps_across = 1 : i64, warps_down = 8 : i64},
// HOPPER-SAME:                   {blocks = 132 : i64, cluster = 2 : i64, columns = 256 : i64, depth = 64 : i64, most_rows = 2147483647 : i64, residual_form = "present", rows = 128 : i64, runs = 16 : i64, shrink_rows = 0 : i64, stages = 4 : i64, warpgroups = 2 : i64, warps_across = 1 : i64, warps_down = 8 : i64}]
// HOPPER:      moe.grouped_matmul
// HOPPER-SAME:   cluster = 2 : i64, columns = 64 : i64, depth = 64 : i64, most_rows = 2147483647 : i64, residual_form = "present", rows = 128 : i64, runs = 16 : i64, shrink_rows = 0 : i64, stages = 6 : i64
// HOPPER:      moe.grouped_matmul
// HOPPER-SAME:   cluster = 2 : i64, columns = 128 : i64, depth = 64 : i64, most_rows = 2147483647 : i64, residual_form = "slot", rows = 128 : i64, runs = 16 : i64, shrink_rows = 0 : i64, stages = 4 : i64
// Only what has an activation has a fast one.
// FAST-LABEL: func.func @marked
// FAST-NOT:   moe.fast_activations
// FAST:       act <silu> {{.*}}moe.fast_activations
// FAST-NOT:   moe.fast_activations
func.func @marked(%x: tensor<?x32xf16>, %w: tensor<2x32x16xf16>, %off: tensor<3xi32>, %e: tensor<?x16xf16>,
    %r: tensor<?x32xf32>, %b: tensor<2x32x16xbf16>, %f: tensor<?x16xf32>)
    -> (tensor<?x16xf16>, tensor<?x16xf16>, tensor<?x16xf32>) {
  %0 = moe.wrap %w {moe.kernel} : tensor<2x32x16xf16> to !moe.weight<32x16xf16, cluster[2]>
  %y = moe.grouped_matmul ins(%x : tensor<?x32xf16>) weights(%0 : !moe.weight<32x16xf16, cluster[2]>) groups(%off : tensor<3xi32>)
    outs(%e : tensor<?x16xf16>) {moe.kernel} -> tensor<?x16xf16>
  %z = moe.grouped_matmul ins(%x : tensor<?x32xf16>) weights(%0, %0 : !moe.weight<32x16xf16, cluster[2]>, !moe.weight<32x16xf16, cluster[2]>)
    groups(%off : tensor<3xi32>) act <silu> outs(%e : tensor<?x16xf16>) {moe.kernel} -> tensor<?x16xf16>
  %1 = moe.wrap %b encoding <bf16> {moe.kernel} : tensor<2x32x16xbf16> to !moe.weight<32x16xf32, cluster[2]>
  %u = moe.grouped_matmul ins(%r : tensor<?x32xf32>) rounded <bf16> weights(%1 : !moe.weight<32x16xf32, cluster[2]>)
    groups(%off : tensor<3xi32>) outs(%f : tensor<?x16xf32>) {moe.kernel} -> tensor<?x16xf32>
  return %y, %z, %u : tensor<?x16xf16>, tensor<?x16xf16>, tensor<?x16xf32>
}

// CHECK-LABEL: func.func @chosen
// CHECK:      moe.grouped_matmul {{.*}} {moe.kernel, moe.schedule = [{rows = 32 : i64}]}
// What has no kernel gets no sizes.
// CHECK:      moe.grouped_matmul
// CHECK-NOT:  moe.schedule
func.func @chosen(%x: tensor<?x32xf16>, %w: tensor<2x32x16xf16>, %off: tensor<3xi32>, %e: tensor<?x16xf16>)
    -> (tensor<?x16xf16>, tensor<?x16xf16>) {
  %0 = moe.wrap %w {moe.kernel} : tensor<2x32x16xf16> to !moe.weight<32x16xf16, cluster[2]>
  %y = moe.grouped_matmul ins(%x : tensor<?x32xf16>) weights(%0 : !moe.weight<32x16xf16, cluster[2]>) groups(%off : tensor<3xi32>)
    outs(%e : tensor<?x16xf16>) {moe.kernel, moe.schedule = [{rows = 32}]} -> tensor<?x16xf16>
  %z = moe.grouped_matmul ins(%x : tensor<?x32xf16>) weights(%0 : !moe.weight<32x16xf16, cluster[2]>) groups(%off : tensor<3xi32>)
    outs(%e : tensor<?x16xf16>) -> tensor<?x16xf16>
  return %y, %z : tensor<?x16xf16>, tensor<?x16xf16>
}
