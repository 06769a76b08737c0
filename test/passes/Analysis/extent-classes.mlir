// Classes of extents, as moe-export-entries tells them: -2, -3, … are equal within a call, -1 is tied to no other.
// RUN: moe-opt %s --moe-export-entries --split-input-file | FileCheck %s

// All tensors of a router and an expert layer count the same tokens; a hash table does not.
// CHECK-LABEL: func.func @layer
// CHECK-SAME: name = "x", role = "input", shape = array<i64: -2, 4>
// CHECK-SAME: name = "logits", role = "input", shape = array<i64: -2, 2>
// CHECK-SAME: name = "rows", role = "input", shape = array<i64: -1, 1>
// CHECK-SAME: name = "tokens", role = "input", shape = array<i64: -2>
// CHECK-SAME: name = "result0", role = "output", shape = array<i64: -2, 4>
// CHECK-SAME: name = "result1", role = "output", shape = array<i64: -2, 1>
!ids = tensor<?x1x!moe.id<expert[2]>>
!up = !moe.weight<4x3xf32, expert[2]>
!down = !moe.weight<3x4xf32, expert[2]>
func.func @layer(%x: tensor<?x4xf32> {moec.name = "x"}, %l: tensor<?x2xf32> {moec.name = "logits"},
    %table: !ids {moec.name = "rows"}, %tokens: tensor<?xi32> {moec.name = "tokens"},
    %u: tensor<2x4x3xf32>, %d: tensor<2x3x4xf32>) -> (tensor<?x4xf32>, tensor<?x1xf32>) {
  %up = moe.wrap %u : tensor<2x4x3xf32> to !up
  %down = moe.wrap %d : tensor<2x3x4xf32> to !down
  %ids, %p = moe.route %l score softmax choose <hash 1> from %table at %tokens gates <scores>
    : (tensor<?x2xf32>, !ids, tensor<?xi32>) -> (!ids, tensor<?x1xf32>)
  %y = moe.experts %x to %ids weighted %p up %up down %down act <silu> : (tensor<?x4xf32>, !ids, tensor<?x1xf32>, !up, !down) -> tensor<?x4xf32>
  return %y, %p : tensor<?x4xf32>, tensor<?x1xf32>
}

// -----

// Slot form: every op keeps the tokens.
// CHECK-LABEL: func.func @slots
// CHECK-SAME: name = "arg0", role = "input", shape = array<i64: -2, 4>
// CHECK-SAME: name = "arg1", role = "input", shape = array<i64: -2, 2>
// CHECK-SAME: name = "arg2", role = "input", shape = array<i64: -2, 2>
// CHECK-SAME: name = "result0", role = "output", shape = array<i64: -2, 4>
!e = !moe.weight<4x4xf32, expert[4]>
!b = !moe.weight<1x4xf32, expert[4]>
!eids = tensor<?x2x!moe.id<expert[4]>>
func.func @slots(%x: tensor<?x4xf32>, %ids: !eids, %p: tensor<?x2xf32>, %w: tensor<4x4x4xf32>, %bias: tensor<4x1x4xf32>, %t: tensor<4xi32>) -> tensor<?x4xf32> {
  %weight = moe.wrap %w : tensor<4x4x4xf32> to !e
  %b = moe.wrap %bias : tensor<4x1x4xf32> to !b
  %table = moe.wrap %t : tensor<4xi32> to !moe.table<expert[4] -> cluster[2]>
  %c, %slot = moe.clusters_of %ids by %table : !eids, !moe.table<expert[4] -> cluster[2]> -> tensor<?x2x!moe.id<cluster[2]>>, tensor<?x2xi32>
  %y = moe.apply %x, %weight at %ids : tensor<?x4xf32>, !e at !eids -> tensor<?x2x4xf32>
  %l = moe.lookup %b at %ids : !b, !eids -> tensor<?x2x4xf32>
  %h = moe.activate <silu> %y gated by %l : tensor<?x2x4xf32>
  %s = moe.scale_rows %h by %p : tensor<?x2x4xf32>, tensor<?x2xf32> -> tensor<?x2x4xf32>
  %m = moe.combine %s into %slot : tensor<?x2x4xf32> into tensor<?x2xi32> -> tensor<?x2x4xf32>
  %z = moe.spread %m at %slot : tensor<?x2x4xf32> at tensor<?x2xi32> -> tensor<?x2x4xf32>
  %r = moe.combine %z : tensor<?x2x4xf32> -> tensor<?x4xf32>
  return %r : tensor<?x4xf32>
}

// -----

// Scheduled form: rows and pairs count differently; a product of extents that appears twice is one extent.
// CHECK-LABEL: func.func @scheduled
// CHECK-SAME: name = "x", role = "input", shape = array<i64: -2, 4>
// CHECK-SAME: name = "row_token", role = "input", shape = array<i64: -3>
// CHECK-SAME: name = "rows", role = "input", shape = array<i64: -3, 4>
// CHECK-SAME: name = "pair_row", role = "input", shape = array<i64: -4>
// CHECK-SAME: name = "pair_expert", role = "input", shape = array<i64: -4>
// CHECK-SAME: name = "pairs", role = "input", shape = array<i64: -4, 4>
// CHECK-SAME: name = "back", role = "input", shape = array<i64: -5, 4>
// CHECK-SAME: name = "result0", role = "output", shape = array<i64: -4, 4>
// CHECK-SAME: name = "result1", role = "output", shape = array<i64: -5, 4>
!c = !moe.weight<4x4xf32, cluster[2]>
func.func @scheduled(%x: tensor<?x4xf32> {moec.name = "x"}, %row_token: tensor<?xi32> {moec.name = "row_token"}, %o: tensor<?x4xf32> {moec.name = "rows"},
    %off: tensor<3xi32>, %pr: tensor<?xi32> {moec.name = "pair_row"}, %pe: tensor<?x!moe.id<expert[4]>> {moec.name = "pair_expert"},
    %po: tensor<?x4xf32> {moec.name = "pairs"}, %w: tensor<2x4x4xf32>, %back: tensor<?x4xf32> {moec.name = "back"}, %use_x: tensor<?x4xf32>) -> (tensor<?x4xf32>, tensor<?x4xf32>) {
  %weight = moe.wrap %w : tensor<2x4x4xf32> to !c
  %same = arith.addf %x, %use_x : tensor<?x4xf32>
  %g = moe.gather ins(%same, %row_token : tensor<?x4xf32>, tensor<?xi32>) outs(%o : tensor<?x4xf32>) -> tensor<?x4xf32>
  %y = moe.grouped_matmul ins(%g : tensor<?x4xf32>) weights(%weight : !c) groups(%off : tensor<3xi32>)
    pair_rows(%pr : tensor<?xi32>) pair_experts(%pe : tensor<?x!moe.id<expert[4]>>) outs(%po : tensor<?x4xf32>) -> tensor<?x4xf32>
  %z = moe.scatter_combine ins(%y, %pr : tensor<?x4xf32>, tensor<?xi32>) outs(%back : tensor<?x4xf32>) -> tensor<?x4xf32>
  return %y, %z : tensor<?x4xf32>, tensor<?x4xf32>
}

// -----

// moe.group: R = T·M rows and P = T·k pairs. The second call's tokens follow from its rows.
// CHECK-LABEL: func.func @group
// CHECK-SAME: name = "arg0", role = "input", shape = array<i64: -2, 2>
// CHECK-SAME: name = "result0", role = "output", shape = array<i64: -3>
func.func @group(%c: tensor<?x2x!moe.id<cluster[2]>>, %ids: tensor<?x3x!moe.id<expert[4]>>, %p: tensor<?x3xf32>, %slot: tensor<?x3xi32>,
    %a: tensor<?xi32>, %b: tensor<3xi32>, %d: tensor<?xi32>, %e: tensor<?x!moe.id<expert[4]>>, %f: tensor<?xf32>) -> tensor<?xi32> {
  %0:5 = moe.group ins(%c, %ids, %p : tensor<?x2x!moe.id<cluster[2]>>, tensor<?x3x!moe.id<expert[4]>>, tensor<?x3xf32>) slots(%slot : tensor<?x3xi32>)
    outs(%a, %b, %d, %e, %f : tensor<?xi32>, tensor<3xi32>, tensor<?xi32>, tensor<?x!moe.id<expert[4]>>, tensor<?xf32>)
    -> tensor<?xi32>, tensor<3xi32>, tensor<?xi32>, tensor<?x!moe.id<expert[4]>>, tensor<?xf32>
  return %0#0 : tensor<?xi32>
}

// -----

// What a group's row_token counts are the group's tokens, gathered or scattered to; what its pair_row counts are its rows.
// Numbers that are no group's say nothing.
// CHECK-LABEL: func.func @counted
// CHECK-SAME: name = "x", role = "input", shape = array<i64: -2, 4>
// CHECK-SAME: name = "ids", role = "input", shape = array<i64: -2, 3>
// CHECK-SAME: name = "rows", role = "input", shape = array<i64: -3, 4>
// CHECK-SAME: name = "table", role = "input", shape = array<i64: -1, 4>
// CHECK-SAME: name = "row_token", role = "input", shape = array<i64: -3>
// CHECK-SAME: name = "pair_row", role = "input", shape = array<i64: -5>
// CHECK-SAME: name = "tokens", role = "output", shape = array<i64: -2, 4>
func.func @counted(%x: tensor<?x4xf32> {moec.name = "x"}, %c: tensor<?x2x!moe.id<cluster[2]>>, %ids: tensor<?x3x!moe.id<expert[4]>> {moec.name = "ids"},
    %p: tensor<?x3xf32>, %slot: tensor<?x3xi32>, %rows: tensor<?x4xf32> {moec.name = "rows"}, %table: tensor<?x4xf32> {moec.name = "table"},
    %any: tensor<?xi32>, %a: tensor<?xi32> {moec.name = "row_token"}, %b: tensor<3xi32>, %d: tensor<?xi32> {moec.name = "pair_row"},
    %e: tensor<?x!moe.id<expert[4]>>, %f: tensor<?xf32>, %ro: tensor<?x4xf32>, %to: tensor<?x4xf32>, %po: tensor<?x4xf32>, %so: tensor<?x4xf32>)
    -> (tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4xf32> {moec.name = "tokens"}) {
  %0:5 = moe.group ins(%c, %ids, %p : tensor<?x2x!moe.id<cluster[2]>>, tensor<?x3x!moe.id<expert[4]>>, tensor<?x3xf32>) slots(%slot : tensor<?x3xi32>)
    outs(%a, %b, %d, %e, %f : tensor<?xi32>, tensor<3xi32>, tensor<?xi32>, tensor<?x!moe.id<expert[4]>>, tensor<?xf32>)
    -> tensor<?xi32>, tensor<3xi32>, tensor<?xi32>, tensor<?x!moe.id<expert[4]>>, tensor<?xf32>
  %cast = tensor.cast %0#0 : tensor<?xi32> to tensor<?xi32>
  %g = moe.gather ins(%x, %cast : tensor<?x4xf32>, tensor<?xi32>) outs(%ro : tensor<?x4xf32>) -> tensor<?x4xf32>
  %h = moe.gather ins(%rows, %0#2 : tensor<?x4xf32>, tensor<?xi32>) outs(%po : tensor<?x4xf32>) -> tensor<?x4xf32>
  %l = moe.gather ins(%table, %any : tensor<?x4xf32>, tensor<?xi32>) outs(%so : tensor<?x4xf32>) -> tensor<?x4xf32>
  %s = moe.scatter_combine ins(%g, %0#0 : tensor<?x4xf32>, tensor<?xi32>) outs(%to : tensor<?x4xf32>) -> tensor<?x4xf32>
  return %g, %h, %l, %s : tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4xf32>
}

// -----

// Structured ops: dimensions of one loop are equal; those of different loops are not.
// CHECK-LABEL: func.func @matmul
// CHECK-SAME: name = "arg0", role = "input", shape = array<i64: -2, -3>
// CHECK-SAME: name = "arg1", role = "input", shape = array<i64: -3, -4>
// CHECK-SAME: name = "arg2", role = "input", shape = array<i64: -2, -4>
// CHECK-SAME: name = "result0", role = "output", shape = array<i64: -2, -4>
func.func @matmul(%x: tensor<?x?xf32>, %y: tensor<?x?xf32>, %o: tensor<?x?xf32>) -> tensor<?x?xf32> {
  %r = linalg.matmul ins(%x, %y : tensor<?x?xf32>, tensor<?x?xf32>) outs(%o : tensor<?x?xf32>) -> tensor<?x?xf32>
  return %r : tensor<?x?xf32>
}

// -----

// Shapes that are taken apart and put together, cut and joined.
// CHECK-LABEL: func.func @shapes
// CHECK-SAME: name = "arg0", role = "input", shape = array<i64: -2, 4>
// CHECK-SAME: name = "arg1", role = "input", shape = array<i64: -2, 4>
// CHECK-SAME: name = "result0", role = "output", shape = array<i64: -2, 4>
// CHECK-SAME: name = "result1", role = "output", shape = array<i64: -2, 8>
// CHECK-SAME: name = "result2", role = "output", shape = array<i64: -2, 6>
// CHECK-SAME: name = "result3", role = "output", shape = array<i64: -2, 2>
func.func @shapes(%x: tensor<?x4xf32>, %z: tensor<?x4xf32>) -> (tensor<?x4xf32>, tensor<?x8xf32>, tensor<?x6xf32>, tensor<?x2xf32>) {
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0.0 : f32
  %flat = tensor.collapse_shape %x [[0, 1]] : tensor<?x4xf32> into tensor<?xf32>
  %t = tensor.dim %x, %c0 : tensor<?x4xf32>
  %again = tensor.expand_shape %flat [[0, 1]] output_shape [%t, 4] : tensor<?xf32> into tensor<?x4xf32>
  %both = tensor.concat dim(1) %again, %z : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x8xf32>
  %wide = tensor.pad %x low[0, 1] high[0, 1] {
  ^bb0(%i: index, %j: index):
    tensor.yield %zero : f32
  } : tensor<?x4xf32> to tensor<?x6xf32>
  %half = tensor.extract_slice %x[0, 0] [%t, 2] [1, 1] : tensor<?x4xf32> to tensor<?x2xf32>
  return %again, %both, %wide, %half : tensor<?x4xf32>, tensor<?x8xf32>, tensor<?x6xf32>, tensor<?x2xf32>
}

// -----

// Sizes that are computed alike are equal; T + 1 is an extent of its own.
// CHECK-LABEL: func.func @arithmetic
// CHECK-SAME: name = "arg0", role = "input", shape = array<i64: -2>
// CHECK-SAME: name = "arg1", role = "input", shape = array<i64: -3>
// CHECK-SAME: name = "result0", role = "output", shape = array<i64: -3>
func.func @arithmetic(%x: tensor<?xf32>, %y: tensor<?xf32>, %same: tensor<?xf32>) -> tensor<?xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %s = arith.addf %x, %same : tensor<?xf32>
  %t = tensor.dim %x, %c0 : tensor<?xf32>
  %u = tensor.dim %same, %c0 : tensor<?xf32>
  %t1 = arith.addi %t, %c1 : index
  %u1 = arith.addi %c1, %u : index
  %e = tensor.empty(%t1) : tensor<?xf32>
  %f = tensor.empty(%u1) : tensor<?xf32>
  %a = arith.addf %e, %y : tensor<?xf32>
  return %f : tensor<?xf32>
}

// -----

// Loops and branches keep extents that are the same on every way.
// CHECK-LABEL: func.func @control
// CHECK-SAME: name = "arg0", role = "input", shape = array<i64: -2>
// CHECK-SAME: name = "arg1", role = "input", shape = array<i64: -3>
// CHECK-SAME: name = "result0", role = "output", shape = array<i64: -2>
// CHECK-SAME: name = "result1", role = "output", shape = array<i64: -2>
// CHECK-SAME: name = "result2", role = "output", shape = array<i64: -3>
func.func @control(%x: tensor<?xf32>, %y: tensor<?xf32>, %n: tensor<1xi1>) -> (tensor<?xf32>, tensor<?xf32>, tensor<?xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %t = tensor.dim %x, %c0 : tensor<?xf32>
  %e = tensor.empty(%t) : tensor<?xf32>
  %p = tensor.extract %n[%c0] : tensor<1xi1>
  %a = scf.for %i = %c0 to %t step %c1 iter_args(%acc = %e) -> tensor<?xf32> {
    %s = arith.addf %acc, %acc : tensor<?xf32>
    scf.yield %s : tensor<?xf32>
  }
  %b = scf.if %p -> tensor<?xf32> {
    scf.yield %x : tensor<?xf32>
  } else {
    scf.yield %a : tensor<?xf32>
  }
  %c = scf.while (%v = %y) : (tensor<?xf32>) -> tensor<?xf32> {
    scf.condition(%p) %v : tensor<?xf32>
  } do {
  ^bb0(%v: tensor<?xf32>):
    %s = arith.addf %v, %v : tensor<?xf32>
    scf.yield %s : tensor<?xf32>
  }
  return %a, %b, %c : tensor<?xf32>, tensor<?xf32>, tensor<?xf32>
}

// -----

// Flattened alike and added: T·4 = U·4, so T = U. A cast to 12 elements says that V = 3.
// CHECK-LABEL: func.func @flattened
// CHECK-SAME: name = "arg0", role = "input", shape = array<i64: -2, 4>
// CHECK-SAME: name = "arg1", role = "input", shape = array<i64: -2, 4>
// CHECK-SAME: name = "arg2", role = "input", shape = array<i64: 3, 4>
func.func @flattened(%x: tensor<?x4xf32>, %y: tensor<?x4xf32>, %z: tensor<?x4xf32>) {
  %fx = tensor.collapse_shape %x [[0, 1]] : tensor<?x4xf32> into tensor<?xf32>
  %fy = tensor.collapse_shape %y [[0, 1]] : tensor<?x4xf32> into tensor<?xf32>
  %fz = tensor.collapse_shape %z [[0, 1]] : tensor<?x4xf32> into tensor<?xf32>
  %s = arith.addf %fx, %fy : tensor<?xf32>
  %c = tensor.cast %fz : tensor<?xf32> to tensor<12xf32>
  return
}

// -----

// Ids that only mask count the same tokens too.
// CHECK-LABEL: func.func @spread
// CHECK-SAME: name = "arg0", role = "input", shape = array<i64: -2, 4>
// CHECK-SAME: name = "arg1", role = "input", shape = array<i64: -2, 2>
func.func @spread(%x: tensor<?x4xf32>, %ids: tensor<?x2x!moe.id<expert[4]>>) -> tensor<?x2x4xf32> {
  %y = moe.spread %x for %ids : tensor<?x4xf32> for tensor<?x2x!moe.id<expert[4]>> -> tensor<?x2x4xf32>
  return %y : tensor<?x2x4xf32>
}

// -----

// Code that can never run, for an extent cannot be 8 and 4, tells nothing about others.
// CHECK-LABEL: func.func @contradiction
// CHECK-SAME: name = "arg0", role = "input", shape = array<i64: 8>
// CHECK-SAME: name = "arg1", role = "input", shape = array<i64: 4>
func.func @contradiction(%x: tensor<?xf32>, %y: tensor<?xf32>) {
  %a = tensor.cast %x : tensor<?xf32> to tensor<8xf32>
  %b = tensor.cast %x : tensor<?xf32> to tensor<4xf32>
  %c = tensor.cast %y : tensor<?xf32> to tensor<4xf32>
  return
}

// -----

// Pairs are as many as their weights and the rows of the second result; the first one's are those of its destination.
// CHECK-LABEL: func.func @grouped_up
// CHECK-SAME: name = "arg0", role = "input", shape = array<i64: -1, 4>
// CHECK-SAME: name = "arg1", role = "input", shape = array<i64: -2>
// CHECK-SAME: name = "arg2", role = "input", shape = array<i64: -2>
// CHECK-SAME: name = "arg3", role = "input", shape = array<i64: -2>
// CHECK-SAME: shape = array<i64: -3, 6>
// CHECK-SAME: shape = array<i64: -2, 2>
func.func @grouped_up(%x: tensor<?x4xf32>, %row: tensor<?xi32>, %e: tensor<?x!moe.id<expert[4]>>, %p: tensor<?xf32>, %w: tensor<4x6xf32>, %a: tensor<6x2xf32>,
    %h: tensor<?x6xf32>, %v: tensor<?x2xf32>) -> (tensor<?x6xf32>, tensor<?x2xf32>) {
  %up = moe.wrap %w : tensor<4x6xf32> to !moe.weight<4x6xf32>
  %shrink = moe.wrap %a : tensor<6x2xf32> to !moe.weight<6x2xf32>
  %0:2 = moe.grouped_up ins(%x : tensor<?x4xf32>) weights(%up : !moe.weight<4x6xf32>) pair_rows(%row : tensor<?xi32>) pair_experts(%e : tensor<?x!moe.id<expert[4]>>)
    weighted(%p : tensor<?xf32>) act <silu> shrink(%shrink : !moe.weight<6x2xf32>) outs(%h, %v : tensor<?x6xf32>, tensor<?x2xf32>) -> tensor<?x6xf32>, tensor<?x2xf32>
  return %0#0, %0#1 : tensor<?x6xf32>, tensor<?x2xf32>
}

// -----

// As many rows come back as were sent; how many are received in between is another matter.
// CHECK-LABEL: func.func @dispatched
// CHECK-SAME: name = "arg0", role = "input", shape = array<i64: -2, 4>
// CHECK-SAME: name = "arg1", role = "input", shape = array<i64: -2, 1>
// CHECK-SAME: name = "arg2", role = "input", shape = array<i64: -2, 1>
// CHECK-SAME: name = "arg3", role = "input", shape = array<i64: -1, 4>
// CHECK-SAME: name = "result0", role = "output", shape = array<i64: -2, 4>
func.func @dispatched(%x: tensor<?x4xf32>, %ids: tensor<?x1x!moe.id<expert[2]>>, %p: tensor<?x1xf32>, %z: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %rows, %row_ids, %row_p, %exchange = moe.dispatch %x, %ids, %p : tensor<?x4xf32>, tensor<?x1x!moe.id<expert[2]>>, tensor<?x1xf32>
  %sum = arith.addf %rows, %z : tensor<?x4xf32>
  %y = moe.return %sum, %exchange : tensor<?x4xf32> -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}
