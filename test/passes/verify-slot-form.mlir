// RUN: moe-opt %s --moe-verify-slot-form --split-input-file --verify-diagnostics

// All of slot form, with routers and expressions.
func.func @allowed(%x: tensor<?x8xf32>, %l: tensor<?x5xf32>, %w: !moe.weight<8x8xf32, expert[4]>, %b: !moe.weight<1x8xf32>, %t: !moe.table<expert[4] -> cluster[2]>) -> tensor<?x8xf32> {
  %free, %q = moe.route %l score softmax choose <top_k 2> gates <scores> specials <identity 1> : (tensor<?x5xf32>) -> (tensor<?x2x!moe.id<expert[4+1]>>, tensor<?x2xf32>)
  %ids, %p = moe.real_experts %free, %q : tensor<?x2x!moe.id<expert[4+1]>>, tensor<?x2xf32> -> tensor<?x2x!moe.id<expert[4]>>
  %c, %slot = moe.clusters_of %ids by %t : tensor<?x2x!moe.id<expert[4]>>, !moe.table<expert[4] -> cluster[2]> -> tensor<?x2x!moe.id<cluster[2]>>, tensor<?x2xi32>
  %s = moe.weight.add %w, %w : !moe.weight<8x8xf32, expert[4]>, !moe.weight<8x8xf32, expert[4]>
  %0 = moe.apply %x, %s at %ids : tensor<?x8xf32>, !moe.weight<8x8xf32, expert[4]> at tensor<?x2x!moe.id<expert[4]>> -> tensor<?x2x8xf32>
  %1 = moe.lookup %b at %ids : !moe.weight<1x8xf32>, tensor<?x2x!moe.id<expert[4]>> -> tensor<?x2x8xf32>
  %2 = moe.spread %x for %ids : tensor<?x8xf32> for tensor<?x2x!moe.id<expert[4]>> -> tensor<?x2x8xf32>
  %3 = arith.addf %0, %1 : tensor<?x2x8xf32>
  %4 = moe.activate <silu> %3 gated by %2 : tensor<?x2x8xf32>
  %5 = moe.scale_rows %4 by %p : tensor<?x2x8xf32>, tensor<?x2xf32> -> tensor<?x2x8xf32>
  %6 = moe.combine %5 : tensor<?x2x8xf32> -> tensor<?x8xf32>
  %7 = moe.special_experts %x to %free weighted %q specials <identity 1> : (tensor<?x8xf32>, tensor<?x2x!moe.id<expert[4+1]>>, tensor<?x2xf32>) -> tensor<?x8xf32>
  %8 = arith.addf %6, %7 : tensor<?x8xf32>
  return %8 : tensor<?x8xf32>
}

// -----

// A layer that was not decomposed.
func.func @graph_form(%x: tensor<?x8xf32>, %ids: tensor<?x2x!moe.id<expert[4]>>, %p: tensor<?x2xf32>, %w: !moe.weight<8x8xf32, expert[4]>) -> tensor<?x8xf32> {
  // expected-error @below {{'moe.experts' op is not part of slot form}}
  %y = moe.experts %x to %ids weighted %p up %w down %w act <silu>
    : (tensor<?x8xf32>, tensor<?x2x!moe.id<expert[4]>>, tensor<?x2xf32>, !moe.weight<8x8xf32, expert[4]>, !moe.weight<8x8xf32, expert[4]>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// Each operation of scheduled form.
func.func @scheduled_form(%x: tensor<4x8xf32>, %ids: tensor<4x2x!moe.id<expert[4]>>, %p: tensor<4x2xf32>, %w: !moe.weight<8x8xf32>,
    %r: tensor<8xi32>, %o: tensor<5xi32>, %e: tensor<8x!moe.id<expert[4]>>, %l: tensor<8xf32>, %h: tensor<8x8xf32>) {
  // expected-error @below {{'moe.group' op is not part of slot form}}
  %g:5 = moe.group ins(%ids, %ids, %p : tensor<4x2x!moe.id<expert[4]>>, tensor<4x2x!moe.id<expert[4]>>, tensor<4x2xf32>)
    outs(%r, %o, %r, %e, %l : tensor<8xi32>, tensor<5xi32>, tensor<8xi32>, tensor<8x!moe.id<expert[4]>>, tensor<8xf32>)
    -> tensor<8xi32>, tensor<5xi32>, tensor<8xi32>, tensor<8x!moe.id<expert[4]>>, tensor<8xf32>
  // expected-error @below {{'moe.gather' op is not part of slot form}}
  %0 = moe.gather ins(%x, %g#0 : tensor<4x8xf32>, tensor<8xi32>) outs(%h : tensor<8x8xf32>) -> tensor<8x8xf32>
  // expected-error @below {{'moe.grouped_matmul' op is not part of slot form}}
  %1 = moe.grouped_matmul ins(%0 : tensor<8x8xf32>) weights(%w : !moe.weight<8x8xf32>) outs(%h : tensor<8x8xf32>) -> tensor<8x8xf32>
  // expected-error @below {{'moe.scatter_combine' op is not part of slot form}}
  %2 = moe.scatter_combine ins(%1, %g#0 : tensor<8x8xf32>, tensor<8xi32>) outs(%x : tensor<4x8xf32>) -> tensor<4x8xf32>
  return
}
