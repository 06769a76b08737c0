// RUN: moe-opt %s --moe-verify-graph-form --split-input-file --verify-diagnostics

// All that graph form may hold, beside other dialects' operations; a declaration.
moe.param private @w : !moe.weight<8x8xf32, cluster[2]> = #moe.seeded<1>
func.func @allowed(%x: tensor<?x8xf32>, %r: !moe.weight<8x4xf32>, %i: tensor<4xi32>, %n: tensor<4xi32>, %b: !moe.weight<8x8xf32, basis[2]>, %a: !moe.weight<1x2xf32, expert[4]>,
    %d: !moe.weight<1x8xf32>, %v: !moe.weight<1x2xf32, expert[4]>, %at: tensor<4x2x2xi32>, %o: index) -> (tensor<?x8xf32>, tensor<?x2xi32>) {
  %w = moe.leaf @w : !moe.weight<8x8xf32, cluster[2]>
  %t = moe.wrap %i : tensor<4xi32> to !moe.table<expert[4] -> cluster[2]>
  %0 = moe.weight.select %w by %t : !moe.weight<8x8xf32, cluster[2]>, !moe.table<expert[4] -> cluster[2]>
  %1 = moe.weight.mix %b, %a : !moe.weight<8x8xf32, basis[2]>, !moe.weight<1x2xf32, expert[4]>
  %2 = moe.weight.mul %0, %1 : !moe.weight<8x8xf32, expert[4]>, !moe.weight<8x8xf32, expert[4]>
  %3 = moe.weight.scale input %2, %d : !moe.weight<8x8xf32, expert[4]>, !moe.weight<1x8xf32>
  %4 = moe.weight.ragged output %3 to %n : !moe.weight<8x8xf32, expert[4]>, tensor<4xi32>
  %5 = moe.weight.sparse %v at %at : !moe.weight<1x2xf32, expert[4]>, tensor<4x2x2xi32> -> !moe.weight<8x8xf32, expert[4]>
  %6 = moe.weight.add %4, %5 : !moe.weight<8x8xf32, expert[4]>, !moe.weight<8x8xf32, expert[4]>
  %7 = moe.weight.slice output %6[%o] : !moe.weight<8x8xf32, expert[4]> -> !moe.weight<8x8xf32, expert[4]>
  %l = moe.apply %x, %r : tensor<?x8xf32>, !moe.weight<8x4xf32> -> tensor<?x4xf32>
  %ids, %p = moe.route %l score softmax choose <top_k 2> gates <scores> : (tensor<?x4xf32>) -> (tensor<?x2x!moe.id<expert[4]>>, tensor<?x2xf32>)
  %y = moe.experts %x to %ids weighted %p up %7 down %7 act <silu>
    : (tensor<?x8xf32>, tensor<?x2x!moe.id<expert[4]>>, tensor<?x2xf32>, !moe.weight<8x8xf32, expert[4]>, !moe.weight<8x8xf32, expert[4]>) -> tensor<?x8xf32>
  %z = arith.addf %x, %y : tensor<?x8xf32>
  %numbers = moe.id_cast %ids : tensor<?x2x!moe.id<expert[4]>> to tensor<?x2xi32>
  return %z, %numbers : tensor<?x8xf32>, tensor<?x2xi32>
}
func.func private @elsewhere(tensor<?x8xf32>) -> tensor<?x8xf32>

// -----

// Each operation of slot form is refused, not only the first.
func.func @slot_form(%x: tensor<?x8xf32>, %ids: tensor<?x2x!moe.id<expert[4]>>, %p: tensor<?x2xf32>, %w: !moe.weight<8x8xf32, expert[4]>, %plain: !moe.weight<8x8xf32>, %b: !moe.weight<1x8xf32>, %t: !moe.table<expert[4] -> cluster[2]>) {
  // expected-error @below {{'moe.apply' op is not part of graph form}}
  %0 = moe.apply %x, %w at %ids : tensor<?x8xf32>, !moe.weight<8x8xf32, expert[4]> at tensor<?x2x!moe.id<expert[4]>> -> tensor<?x2x8xf32>
  // expected-error @below {{'moe.apply' op is not part of graph form}}
  %without_axis = moe.apply %x, %plain at %ids : tensor<?x8xf32>, !moe.weight<8x8xf32> at tensor<?x2x!moe.id<expert[4]>> -> tensor<?x2x8xf32>
  // expected-error @below {{'moe.lookup' op is not part of graph form}}
  %1 = moe.lookup %b at %ids : !moe.weight<1x8xf32>, tensor<?x2x!moe.id<expert[4]>> -> tensor<?x2x8xf32>
  // expected-error @below {{'moe.clusters_of' op is not part of graph form}}
  %c, %slot = moe.clusters_of %ids by %t : tensor<?x2x!moe.id<expert[4]>>, !moe.table<expert[4] -> cluster[2]> -> tensor<?x2x!moe.id<cluster[2]>>, tensor<?x2xi32>
  // expected-error @below {{'moe.spread' op is not part of graph form}}
  %2 = moe.spread %x for %ids : tensor<?x8xf32> for tensor<?x2x!moe.id<expert[4]>> -> tensor<?x2x8xf32>
  // expected-error @below {{'moe.scale_rows' op is not part of graph form}}
  %3 = moe.scale_rows %2 by %p : tensor<?x2x8xf32>, tensor<?x2xf32> -> tensor<?x2x8xf32>
  // expected-error @below {{'moe.activate' op is not part of graph form}}
  %4 = moe.activate <silu> %3 : tensor<?x2x8xf32>
  // expected-error @below {{'moe.combine' op is not part of graph form}}
  %5 = moe.combine %4 weighted %p : tensor<?x2x8xf32> weighted tensor<?x2xf32> -> tensor<?x8xf32>
  // expected-error @below {{'moe.real_experts' op is not part of graph form}}
  %6, %7 = moe.real_experts %ids, %p : tensor<?x2x!moe.id<expert[4]>>, tensor<?x2xf32> -> tensor<?x2x!moe.id<expert[4]>>
  return
}

// -----

// In nested regions too; special experts by themselves.
func.func @nested(%c: i1, %x: tensor<?x8xf32>, %ids: tensor<?x2x!moe.id<expert[4+1]>>, %p: tensor<?x2xf32>) {
  scf.if %c {
    // expected-error @below {{'moe.special_experts' op is not part of graph form}}
    %0 = moe.special_experts %x to %ids weighted %p specials <identity 1> : (tensor<?x8xf32>, tensor<?x2x!moe.id<expert[4+1]>>, tensor<?x2xf32>) -> tensor<?x8xf32>
  }
  return
}

// -----

// Scheduled form.
func.func @scheduled_form(%x: tensor<?x8xf32>, %i: tensor<?xi32>) -> tensor<?x8xf32> {
  // expected-error @below {{'moe.gather' op is not part of graph form}}
  %0 = moe.gather ins(%x, %i : tensor<?x8xf32>, tensor<?xi32>) outs(%x : tensor<?x8xf32>) -> tensor<?x8xf32>
  return %0 : tensor<?x8xf32>
}
