// RUN: moe-opt %s --moe-count-multiply-adds --verify-diagnostics --remarks-filter='.*' | FileCheck %s
// Multiply-adds per token of each operation that multiplies, in the three forms.

!x = tensor<?x8xf32>
!in = !moe.weight<8x4xf32, expert[4]>
!out = !moe.weight<4x8xf32, expert[4]>

// Graph form: choices times the matrices there are, with or without a gate.
// CHECK: @graph_form{{.*}}moe.multiply_adds_per_token = 320 :
func.func @graph_form(%x: !x, %ids: tensor<?x2x!moe.id<expert[4]>>, %p: tensor<?x2xf32>, %u: !in, %d: !out) -> !x {
  // expected-remark @below {{192 multiply-adds per token}}
  %0 = moe.experts %x to %ids weighted %p gate %u up %u down %d act <silu> : (!x, tensor<?x2x!moe.id<expert[4]>>, tensor<?x2xf32>, !in, !in, !out) -> !x
  // expected-remark @below {{128 multiply-adds per token}}
  %1 = moe.experts %0 to %ids weighted %p up %u down %d act <silu> : (!x, tensor<?x2x!moe.id<expert[4]>>, tensor<?x2xf32>, !in, !out) -> !x
  return %1 : !x
}

// Slot form: the slots of a product, one for a token without; a weight counts as it would be built.
// CHECK: @slot_form{{.*}}moe.multiply_adds_per_token = 96 :
func.func @slot_form(%x: !x, %ids: tensor<2x2x!moe.id<expert[4]>>, %u: !in, %w: !moe.weight<8x4xf32>) -> (tensor<2x2x4xf32>, tensor<?x4xf32>) {
  %s = moe.weight.add %u, %u : !in, !in
  // expected-remark @below {{64 multiply-adds per token}}
  %0 = moe.apply %x, %s at %ids : !x, !in at tensor<2x2x!moe.id<expert[4]>> -> tensor<2x2x4xf32>
  // expected-remark @below {{32 multiply-adds per token}}
  %1 = moe.apply %x, %w : !x, !moe.weight<8x4xf32> -> tensor<?x4xf32>
  return %0, %1 : tensor<2x2x4xf32>, tensor<?x4xf32>
}

// Scheduled form, 3 clusters and 4 choices of a token: rows of clusters, of pairs and of tokens are told apart by the lists
// that made them, through gathers, look-ups and element-wise work.
// CHECK: @scheduled_form{{.*}}moe.multiply_adds_per_token = 1088 :
func.func @scheduled_form(%x: tensor<2x8xf32>, %c: tensor<2x3x!moe.id<cluster[4]>>, %slot: tensor<2x4xi32>, %ids: tensor<2x4x!moe.id<expert[4]>>, %p: tensor<2x4xf32>,
    %r: tensor<6xi32>, %o: tensor<5xi32>, %q: tensor<8xi32>, %ex: tensor<8x!moe.id<expert[4]>>, %l: tensor<8xf32>, %rx: tensor<6x8xf32>, %rh: tensor<6x4xf32>, %ph: tensor<8x4xf32>, %pv: tensor<8x2xf32>, %px: tensor<8x8xf32>,
    %w: !moe.weight<8x4xf32, cluster[4]>, %a: !moe.weight<8x2xf32, expert[4]>, %b: !moe.weight<2x4xf32, expert[4]>, %s: !moe.weight<4x2xf32, expert[4]>, %e: !moe.weight<2x8xf32, expert[4]>,
    %d: !moe.weight<4x8xf32, cluster[4]>, %all: !moe.weight<8x8xf32>, %bias: !moe.weight<1x4xf32, expert[4]>) -> tensor<2x8xf32> {
  %g:5 = moe.group ins(%c, %ids, %p : tensor<2x3x!moe.id<cluster[4]>>, tensor<2x4x!moe.id<expert[4]>>, tensor<2x4xf32>) slots(%slot : tensor<2x4xi32>)
    outs(%r, %o, %q, %ex, %l : tensor<6xi32>, tensor<5xi32>, tensor<8xi32>, tensor<8x!moe.id<expert[4]>>, tensor<8xf32>)
    -> tensor<6xi32>, tensor<5xi32>, tensor<8xi32>, tensor<8x!moe.id<expert[4]>>, tensor<8xf32>
  %rows = moe.gather ins(%x, %g#0 : tensor<2x8xf32>, tensor<6xi32>) outs(%rx : tensor<6x8xf32>) -> tensor<6x8xf32>
  // Two weights on 3 rows, two residuals on 4 pairs: 2·3·32 + 2·4·(16 + 8).
  // expected-remark @below {{384 multiply-adds per token}}
  %0 = moe.grouped_matmul ins(%rows : tensor<6x8xf32>) weights(%w, %w : !moe.weight<8x4xf32, cluster[4]>, !moe.weight<8x4xf32, cluster[4]>) groups(%g#1 : tensor<5xi32>)
    pair_rows(%g#2 : tensor<8xi32>) pair_experts(%g#3 : tensor<8x!moe.id<expert[4]>>)
    residual(%a, %b, %a, %b : !moe.weight<8x2xf32, expert[4]>, !moe.weight<2x4xf32, expert[4]>, !moe.weight<8x2xf32, expert[4]>, !moe.weight<2x4xf32, expert[4]>)
    act <silu> outs(%ph : tensor<8x4xf32>) -> tensor<8x4xf32>
  %1 = moe.lookup %bias at %g#3 : !moe.weight<1x4xf32, expert[4]>, tensor<8x!moe.id<expert[4]>> -> tensor<8x4xf32>
  %2 = arith.addf %1, %0 : tensor<8x4xf32>
  // 4 pairs.
  // expected-remark @below {{32 multiply-adds per token}}
  %3 = moe.grouped_matmul ins(%2 : tensor<8x4xf32>) weights(%s : !moe.weight<4x2xf32, expert[4]>) entries(%g#3 : tensor<8x!moe.id<expert[4]>>) outs(%pv : tensor<8x2xf32>) -> tensor<8x2xf32>
  %4 = moe.scatter_combine ins(%2, %g#2 : tensor<8x4xf32>, tensor<8xi32>) outs(%rh : tensor<6x4xf32>) -> tensor<6x4xf32>
  // 3 rows, and a segment of 4 pairs: 3·32 + 4·16.
  // expected-remark @below {{160 multiply-adds per token}}
  %5 = moe.grouped_matmul ins(%4 : tensor<6x4xf32>) weights(%d : !moe.weight<4x8xf32, cluster[4]>) groups(%g#1 : tensor<5xi32>)
    pair_rows(%g#2 : tensor<8xi32>) pair_experts(%g#3 : tensor<8x!moe.id<expert[4]>>) segment(%3 : tensor<8x2xf32>) expand(%e : !moe.weight<2x8xf32, expert[4]>)
    outs(%rx : tensor<6x8xf32>) -> tensor<6x8xf32>
  // 3 rows: what a segment made has rows, not pairs.
  // expected-remark @below {{192 multiply-adds per token}}
  %6 = moe.grouped_matmul ins(%5 : tensor<6x8xf32>) weights(%all : !moe.weight<8x8xf32>) outs(%rx : tensor<6x8xf32>) -> tensor<6x8xf32>
  // 4 pairs of rows.
  %pairs = moe.gather ins(%6, %g#2 : tensor<6x8xf32>, tensor<8xi32>) outs(%px : tensor<8x8xf32>) -> tensor<8x8xf32>
  // expected-remark @below {{256 multiply-adds per token}}
  %7 = moe.grouped_matmul ins(%pairs : tensor<8x8xf32>) weights(%all : !moe.weight<8x8xf32>) outs(%px : tensor<8x8xf32>) -> tensor<8x8xf32>
  %8 = moe.scatter_combine ins(%5, %g#0 : tensor<6x8xf32>, tensor<6xi32>) outs(%x : tensor<2x8xf32>) -> tensor<2x8xf32>
  %y = arith.addf %8, %x : tensor<2x8xf32>
  // One row a token.
  // expected-remark @below {{64 multiply-adds per token}}
  %9 = moe.grouped_matmul ins(%y : tensor<2x8xf32>) weights(%all : !moe.weight<8x8xf32>) outs(%x : tensor<2x8xf32>) -> tensor<2x8xf32>
  return %9 : tensor<2x8xf32>
}

// Too large to count.
// CHECK: @huge{{.*}}moe.multiply_adds_per_token = 9223372036854775807 :
func.func @huge(%x: tensor<?x2147483647xf32>, %ids: tensor<?x8x!moe.id<expert[8]>>, %a: !moe.weight<2147483647x2147483647xf32, expert[8]>) -> tensor<?x8x2147483647xf32> {
  // expected-remark @below {{9223372036854775807 multiply-adds per token}}
  %0 = moe.apply %x, %a at %ids : tensor<?x2147483647xf32>, !moe.weight<2147483647x2147483647xf32, expert[8]> at tensor<?x8x!moe.id<expert[8]>> -> tensor<?x8x2147483647xf32>
  return %0 : tensor<?x8x2147483647xf32>
}

// The fused up-projection: two weights on 3 rows, their residuals and the shrink on 4 pairs: 2·3·32 + 2·4·(16 + 8) + 4·8. What
// it makes has rows, and pairs.
// CHECK: @grouped_up{{.*}}moe.multiply_adds_per_token = 576 :
func.func @grouped_up(%c: tensor<2x3x!moe.id<cluster[4]>>, %ids: tensor<2x4x!moe.id<expert[4]>>, %p: tensor<2x4xf32>, %slot: tensor<2x4xi32>, %x: tensor<2x8xf32>,
    %r: tensor<6xi32>, %o: tensor<5xi32>, %q: tensor<8xi32>, %e: tensor<8x!moe.id<expert[4]>>, %l: tensor<8xf32>, %w: !moe.weight<8x4xf32, cluster[4]>,
    %a: !moe.weight<8x2xf32, expert[4]>, %b: !moe.weight<2x4xf32, expert[4]>, %s: !moe.weight<4x2xf32, expert[4]>, %d: !moe.weight<4x8xf32, cluster[4]>,
    %t: !moe.weight<2x8xf32>, %rx: tensor<6x8xf32>, %rh: tensor<6x4xf32>, %pv: tensor<8x2xf32>, %px: tensor<8x8xf32>) -> (tensor<6x8xf32>, tensor<8x8xf32>) {
  %g:5 = moe.group ins(%c, %ids, %p : tensor<2x3x!moe.id<cluster[4]>>, tensor<2x4x!moe.id<expert[4]>>, tensor<2x4xf32>) slots(%slot : tensor<2x4xi32>)
    outs(%r, %o, %q, %e, %l : tensor<6xi32>, tensor<5xi32>, tensor<8xi32>, tensor<8x!moe.id<expert[4]>>, tensor<8xf32>)
    -> tensor<6xi32>, tensor<5xi32>, tensor<8xi32>, tensor<8x!moe.id<expert[4]>>, tensor<8xf32>
  %rows = moe.gather ins(%x, %g#0 : tensor<2x8xf32>, tensor<6xi32>) outs(%rx : tensor<6x8xf32>) -> tensor<6x8xf32>
  // expected-remark @below {{416 multiply-adds per token}}
  %0:2 = moe.grouped_up ins(%rows : tensor<6x8xf32>) weights(%w, %w : !moe.weight<8x4xf32, cluster[4]>, !moe.weight<8x4xf32, cluster[4]>) groups(%g#1 : tensor<5xi32>)
    pair_rows(%g#2 : tensor<8xi32>) pair_experts(%g#3 : tensor<8x!moe.id<expert[4]>>)
    residual(%a, %b, %a, %b : !moe.weight<8x2xf32, expert[4]>, !moe.weight<2x4xf32, expert[4]>, !moe.weight<8x2xf32, expert[4]>, !moe.weight<2x4xf32, expert[4]>)
    weighted(%g#4 : tensor<8xf32>) act <silu> shrink(%s : !moe.weight<4x2xf32, expert[4]>) outs(%rh, %pv : tensor<6x4xf32>, tensor<8x2xf32>) -> tensor<6x4xf32>, tensor<8x2xf32>
  // 3 rows.
  // expected-remark @below {{96 multiply-adds per token}}
  %1 = moe.grouped_matmul ins(%0#0 : tensor<6x4xf32>) weights(%d : !moe.weight<4x8xf32, cluster[4]>) groups(%g#1 : tensor<5xi32>) outs(%rx : tensor<6x8xf32>) -> tensor<6x8xf32>
  // 4 pairs.
  // expected-remark @below {{64 multiply-adds per token}}
  %2 = moe.grouped_matmul ins(%0#1 : tensor<8x2xf32>) weights(%t : !moe.weight<2x8xf32>) outs(%px : tensor<8x8xf32>) -> tensor<8x8xf32>
  return %1, %2 : tensor<6x8xf32>, tensor<8x8xf32>
}
