// What rows are rounded to, and which stay as they are.
// RUN: moe-opt %s --split-input-file --moe-round-activations=to=int8 --remarks-filter='.*' 2>&1 | FileCheck %s --check-prefixes=CHECK,INT8
// RUN: moe-opt %s --split-input-file --moe-round-activations=to=bf16 --remarks-filter='.*' 2>&1 | FileCheck %s --check-prefixes=CHECK,BF16
// RUN: moe-opt %s --split-input-file --moe-round-activations | FileCheck %s --check-prefix=PLAIN
// PLAIN-NOT: rounded

// Groups are the weights' where all have the same, else a row has one scale.
// INT8: rows of 64 numbers are rounded to int8 in groups of 32: by 1/254 of a group's largest at most
// INT8: rows of 64 numbers are rounded to int8: by 1/254 of a row's largest at most
// INT8: rows stay as they are: entries pick the factors of residuals
// BF16: rows of 64 numbers are rounded to bf16: by 1/512 of each at most
// Rows that are bf16 need no rounding to it; a layer that stayed in slot form has none.
// BF16: rows stay as they are: they are bf16
// CHECK: rows stay as they are: the layer is not in scheduled form
// CHECK-LABEL: func.func @groups
// INT8: moe.grouped_matmul ins({{.*}}) rounded <int8 group 32> weights(
// INT8: moe.grouped_matmul ins({{.*}}) rounded <int8> weights(
// BF16-COUNT-2: moe.grouped_matmul ins({{.*}}) rounded <bf16> weights(
// CHECK: moe.grouped_matmul ins({{[^)]*}}) weights({{.*}} entries(
!w = !moe.weight<64x32xf32>
!we = !moe.weight<32x4xf32, expert[4]>
moe.param private @coded : !w = #moe.seeded<0> encoding <int4 group 32>
moe.param private @plain : !w = #moe.seeded<1>
moe.param private @factor : !we = #moe.seeded<2>
func.func @groups(%x: tensor<8x64xf32>, %o: tensor<8x32xf32>, %e: tensor<8x!moe.id<expert[4]>>, %v: tensor<8x4xf32>) -> (tensor<8x32xf32>, tensor<8x4xf32>) {
  %coded = moe.leaf @coded : !w
  %plain = moe.leaf @plain : !w
  %factor = moe.leaf @factor : !we
  %0 = moe.grouped_matmul ins(%x : tensor<8x64xf32>) weights(%coded : !w) outs(%o : tensor<8x32xf32>) -> tensor<8x32xf32>
  %1 = moe.grouped_matmul ins(%x : tensor<8x64xf32>) weights(%coded, %plain : !w, !w) act <silu> outs(%0 : tensor<8x32xf32>) -> tensor<8x32xf32>
  %2 = moe.grouped_matmul ins(%1 : tensor<8x32xf32>) weights(%factor : !we) entries(%e : tensor<8x!moe.id<expert[4]>>) outs(%v : tensor<8x4xf32>) -> tensor<8x4xf32>
  return %1, %2 : tensor<8x32xf32>, tensor<8x4xf32>
}

// -----

// CHECK-LABEL: func.func @others
// BF16-NOT: rounded
// INT8: moe.grouped_matmul ins({{.*}}) rounded <int8 group 8> weights(
func.func @others(%x: tensor<8x64xbf16>, %o: tensor<8x32xbf16>, %codes: tensor<2x64x16xi8>, %scales: tensor<2x8x16xf32>, %y: tensor<8x64xf32>,
                  %ids: tensor<8x1x!moe.id<expert[4]>>, %w: !moe.weight<64x32xf32, expert[4]>) -> (tensor<8x32xbf16>, tensor<8x1x32xf32>) {
  %c = moe.wrap %codes scales(%scales : tensor<2x8x16xf32>) encoding <int8 group 8> layout panel16 : tensor<2x64x16xi8> to !moe.weight<64x32xbf16>
  %0 = moe.grouped_matmul ins(%x : tensor<8x64xbf16>) weights(%c : !moe.weight<64x32xbf16>) outs(%o : tensor<8x32xbf16>) -> tensor<8x32xbf16>
  %1 = moe.apply %y, %w at %ids : tensor<8x64xf32>, !moe.weight<64x32xf32, expert[4]> at tensor<8x1x!moe.id<expert[4]>> -> tensor<8x1x32xf32>
  return %0, %1 : tensor<8x32xbf16>, tensor<8x1x32xf32>
}
