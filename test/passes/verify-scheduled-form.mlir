// RUN: not moe-opt %s --moe-verify-scheduled-form --split-input-file 2>&1 | FileCheck %s
// RUN: not moe-opt %s --moe-verify-scheduled-form=strict --split-input-file 2>&1 | FileCheck %s --check-prefix=STRICT

// Scheduled form, with what masks ids, and slot operations on lists: strictly, too.
// CHECK-NOT: is not part of
// STRICT-NOT: is not part of
func.func @allowed(%x: tensor<4x8xf32>, %l: tensor<4x5xf32>, %t: !moe.table<expert[4] -> cluster[2]>, %w: !moe.weight<8x8xf32, cluster[2]>, %b: !moe.weight<1x8xf32, expert[4]>,
    %r: tensor<8xi32>, %o: tensor<3xi32>, %e: tensor<8x!moe.id<expert[4]>>, %v: tensor<8xf32>, %h: tensor<8x8xf32>) -> tensor<4x8xf32> {
  %free, %q = moe.route %l score softmax choose <top_k 2> gates <scores> specials <identity 1> : (tensor<4x5xf32>) -> (tensor<4x2x!moe.id<expert[4+1]>>, tensor<4x2xf32>)
  %ids, %p = moe.real_experts %free, %q : tensor<4x2x!moe.id<expert[4+1]>>, tensor<4x2xf32> -> tensor<4x2x!moe.id<expert[4]>>
  %c, %slot = moe.clusters_of %ids by %t : tensor<4x2x!moe.id<expert[4]>>, !moe.table<expert[4] -> cluster[2]> -> tensor<4x2x!moe.id<cluster[2]>>, tensor<4x2xi32>
  %g:5 = moe.group ins(%c, %ids, %p : tensor<4x2x!moe.id<cluster[2]>>, tensor<4x2x!moe.id<expert[4]>>, tensor<4x2xf32>) slots(%slot : tensor<4x2xi32>)
    outs(%r, %o, %r, %e, %v : tensor<8xi32>, tensor<3xi32>, tensor<8xi32>, tensor<8x!moe.id<expert[4]>>, tensor<8xf32>)
    -> tensor<8xi32>, tensor<3xi32>, tensor<8xi32>, tensor<8x!moe.id<expert[4]>>, tensor<8xf32>
  %0 = moe.gather ins(%x, %g#0 : tensor<4x8xf32>, tensor<8xi32>) outs(%h : tensor<8x8xf32>) -> tensor<8x8xf32>
  %1 = moe.grouped_matmul ins(%0 : tensor<8x8xf32>) weights(%w : !moe.weight<8x8xf32, cluster[2]>) groups(%g#1 : tensor<3xi32>) outs(%h : tensor<8x8xf32>) -> tensor<8x8xf32>
  %10 = moe.grouped_up ins(%0 : tensor<8x8xf32>) weights(%w : !moe.weight<8x8xf32, cluster[2]>) groups(%g#1 : tensor<3xi32>) pair_rows(%g#2 : tensor<8xi32>)
    pair_experts(%g#3 : tensor<8x!moe.id<expert[4]>>) weighted(%g#4 : tensor<8xf32>) act <silu> outs(%h : tensor<8x8xf32>) -> tensor<8x8xf32>
  %2 = moe.lookup %b at %g#3 : !moe.weight<1x8xf32, expert[4]>, tensor<8x!moe.id<expert[4]>> -> tensor<8x8xf32>
  %3 = moe.scale_rows %2 by %g#4 : tensor<8x8xf32>, tensor<8xf32> -> tensor<8x8xf32>
  %4 = moe.activate <silu> %1 gated by %3 : tensor<8x8xf32>
  %5 = moe.scatter_combine ins(%4, %g#0 : tensor<8x8xf32>, tensor<8xi32>) outs(%x : tensor<4x8xf32>) -> tensor<4x8xf32>
  %6 = moe.special_experts %x to %free weighted %q specials <identity 1> : (tensor<4x8xf32>, tensor<4x2x!moe.id<expert[4+1]>>, tensor<4x2xf32>) -> tensor<4x8xf32>
  %7 = arith.addf %5, %6 : tensor<4x8xf32>
  return %7 : tensor<4x8xf32>
}

// -----

// A layer in graph form, strictly or not.
func.func @graph_form(%x: tensor<?x8xf32>, %ids: tensor<?x2x!moe.id<expert[4]>>, %p: tensor<?x2xf32>, %w: !moe.weight<8x8xf32, expert[4]>) -> tensor<?x8xf32> {
  // STRICT: 'moe.experts' op is not part of scheduled form
  // CHECK: 'moe.experts' op is not part of scheduled form
  %y = moe.experts %x to %ids weighted %p up %w down %w act <silu>
    : (tensor<?x8xf32>, tensor<?x2x!moe.id<expert[4]>>, tensor<?x2xf32>, !moe.weight<8x8xf32, expert[4]>, !moe.weight<8x8xf32, expert[4]>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// A layer that moe-group-tokens declined may stay, but not strictly.
// CHECK-NOT: is not part of
// STRICT: 'moe.apply' op is not part of scheduled form
// STRICT: 'moe.lookup' op is not part of scheduled form
// STRICT: 'moe.spread' op is not part of scheduled form
// STRICT: 'moe.scale_rows' op is not part of scheduled form
// STRICT: 'moe.activate' op is not part of scheduled form
// STRICT: 'moe.combine' op is not part of scheduled form
// STRICT-NOT: is not part of
func.func @declined(%x: tensor<?x8xf32>, %ids: tensor<?x2x!moe.id<expert[4]>>, %p: tensor<?x2xf32>, %w: !moe.weight<8x8xf32, expert[4]>, %b: !moe.weight<1x8xf32>) -> tensor<?x8xf32> {
  %0 = moe.apply %x, %w at %ids : tensor<?x8xf32>, !moe.weight<8x8xf32, expert[4]> at tensor<?x2x!moe.id<expert[4]>> -> tensor<?x2x8xf32>
  %1 = moe.lookup %b at %ids : !moe.weight<1x8xf32>, tensor<?x2x!moe.id<expert[4]>> -> tensor<?x2x8xf32>
  %2 = moe.spread %x for %ids : tensor<?x8xf32> for tensor<?x2x!moe.id<expert[4]>> -> tensor<?x2x8xf32>
  %3 = arith.addf %0, %1 : tensor<?x2x8xf32>
  %4 = moe.scale_rows %2 by %p : tensor<?x2x8xf32>, tensor<?x2xf32> -> tensor<?x2x8xf32>
  %5 = moe.activate <silu> %3 gated by %4 : tensor<?x2x8xf32>
  %6 = moe.combine %5 : tensor<?x2x8xf32> -> tensor<?x8xf32>
  return %6 : tensor<?x8xf32>
}
