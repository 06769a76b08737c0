// RUN: moe-opt %s --resolve-ranked-shaped-type-result-dims --canonicalize --cse | FileCheck %s
// Extents of results follow from operands, so that asking for them does not keep an op alive.

!id8 = !moe.id<expert[8]>

// Ops on tokens: the first extent is the number of tokens, all others are static.
// CHECK-LABEL: func.func @tokens
// CHECK-SAME: (%[[L:.*]]: tensor<?x8xf32>, %[[X:[a-z0-9]+]]: tensor<?x64xf32>
// CHECK-NOT: = moe.
// CHECK-DAG: %[[C0:.*]] = arith.constant 0 : index
// CHECK-DAG: %[[C2:.*]] = arith.constant 2 : index
// CHECK-DAG: %[[T:.*]] = tensor.dim %[[L]], %[[C0]]
// CHECK-DAG: %[[TX:.*]] = tensor.dim %[[X]], %[[C0]]
// CHECK-NOT: = moe.
// CHECK: return %[[T]], %[[T]], %[[C2]], %[[TX]], %[[TX]], %[[TX]], %[[TX]], %[[TX]] :
func.func @tokens(%l: tensor<?x8xf32>, %x: tensor<?x64xf32>, %ids: tensor<?x2x!id8>, %w: !moe.weight<64x32xf32, expert[8]>,
                  %d: !moe.weight<32x64xf32, expert[8]>) -> (index, index, index, index, index, index, index, index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %i, %p = moe.route %l score softmax choose <top_k 2> gates <scores> : (tensor<?x8xf32>) -> (tensor<?x2x!id8>, tensor<?x2xf32>)
  %y = moe.experts %x to %i weighted %p up %w down %d act <silu>
    : (tensor<?x64xf32>, tensor<?x2x!id8>, tensor<?x2xf32>, !moe.weight<64x32xf32, expert[8]>, !moe.weight<32x64xf32, expert[8]>) -> tensor<?x64xf32>
  %u = moe.apply %x, %w at %ids : tensor<?x64xf32>, !moe.weight<64x32xf32, expert[8]> at tensor<?x2x!id8> -> tensor<?x2x32xf32>
  %h = moe.activate <silu> %u : tensor<?x2x32xf32>
  %s = moe.combine %h : tensor<?x2x32xf32> -> tensor<?x32xf32>
  %e = moe.spread %s : tensor<?x32xf32> -> tensor<?x2x32xf32>
  %r0 = tensor.dim %i, %c0 : tensor<?x2x!id8>
  %r1 = tensor.dim %p, %c0 : tensor<?x2xf32>
  %r2 = tensor.dim %p, %c1 : tensor<?x2xf32>
  %r3 = tensor.dim %y, %c0 : tensor<?x64xf32>
  %r4 = tensor.dim %u, %c0 : tensor<?x2x32xf32>
  %r5 = tensor.dim %h, %c0 : tensor<?x2x32xf32>
  %r6 = tensor.dim %s, %c0 : tensor<?x32xf32>
  %r7 = tensor.dim %e, %c0 : tensor<?x2x32xf32>
  return %r0, %r1, %r2, %r3, %r4, %r5, %r6, %r7 : index, index, index, index, index, index, index, index
}

// The first operand that is a tensor says it, wherever it stands.
// CHECK-LABEL: func.func @ids
// CHECK-SAME: %[[IDS:[a-z0-9]+]]: tensor<?x2x!moe.id<expert[8]>>
// CHECK-NOT: = moe.
// CHECK: %[[T:.*]] = tensor.dim %[[IDS]]
// CHECK: return %[[T]], %[[T]], %[[T]], %[[T]], %[[T]], %[[T]] :
func.func @ids(%b: !moe.weight<1x32xf32, expert[8]>, %ids: tensor<?x2x!id8>, %t: !moe.table<expert[8] -> cluster[2]>, %p: tensor<?x2xf32>)
    -> (index, index, index, index, index, index) {
  %c0 = arith.constant 0 : index
  %y = moe.lookup %b at %ids : !moe.weight<1x32xf32, expert[8]>, tensor<?x2x!id8> -> tensor<?x2x32xf32>
  %c, %s = moe.clusters_of %ids by %t : tensor<?x2x!id8>, !moe.table<expert[8] -> cluster[2]> -> tensor<?x1x!moe.id<cluster[2]>>, tensor<?x2xi32>
  %n = moe.id_cast %ids : tensor<?x2x!id8> to tensor<?x2xi32>
  %i, %q = moe.real_experts %ids, %p : tensor<?x2x!id8>, tensor<?x2xf32> -> tensor<?x2x!id8>
  %r0 = tensor.dim %y, %c0 : tensor<?x2x32xf32>
  %r1 = tensor.dim %c, %c0 : tensor<?x1x!moe.id<cluster[2]>>
  %r2 = tensor.dim %s, %c0 : tensor<?x2xi32>
  %r3 = tensor.dim %n, %c0 : tensor<?x2xi32>
  %r4 = tensor.dim %i, %c0 : tensor<?x2x!id8>
  %r5 = tensor.dim %q, %c0 : tensor<?x2xf32>
  return %r0, %r1, %r2, %r3, %r4, %r5 : index, index, index, index, index, index
}

// Where an operand knows the number of tokens, the result does.
// CHECK-LABEL: func.func @known
// CHECK: %[[C4:.*]] = arith.constant 4 : index
// CHECK-NEXT: return %[[C4]], %[[C4]]
func.func @known(%x: tensor<4x32xf32>, %p: tensor<?x2xf32>, %y: tensor<?x64xf32>, %ids: tensor<?x2x!moe.id<expert[8+1]>>) -> (index, index) {
  %c0 = arith.constant 0 : index
  %0 = moe.scale_rows %x by %p : tensor<4x32xf32>, tensor<?x2xf32> -> tensor<?x2x32xf32>
  %1 = moe.special_experts %x to %ids weighted %p specials <identity 1> : (tensor<4x32xf32>, tensor<?x2x!moe.id<expert[8+1]>>, tensor<?x2xf32>) -> tensor<4x32xf32>
  %r0 = tensor.dim %0, %c0 : tensor<?x2x32xf32>
  %r1 = tensor.dim %1, %c0 : tensor<4x32xf32>
  return %r0, %r1 : index, index
}

// Scheduled ops: each result has the extents of its destination.
// CHECK-LABEL: func.func @destinations
// CHECK-SAME: %[[R:[a-z0-9]+]]: tensor<?xi32>, %[[O:[a-z0-9]+]]: tensor<5xi32>, %[[PR:[a-z0-9]+]]: tensor<?xi32>, %[[PE:[a-z0-9]+]]: tensor<?x!moe.id<expert[4]>>, %[[PW:[a-z0-9]+]]: tensor<?xf32>, %[[D:[a-z0-9]+]]: tensor<?x?xf32>
// CHECK-NOT: = moe.
// CHECK-DAG: %[[C0:.*]] = arith.constant 0 : index
// CHECK-DAG: %[[C1:.*]] = arith.constant 1 : index
// CHECK-DAG: %[[C5:.*]] = arith.constant 5 : index
// CHECK-DAG: %[[ROWS:.*]] = tensor.dim %[[R]], %[[C0]]
// CHECK-DAG: %[[PAIRS:.*]] = tensor.dim %[[PR]], %[[C0]]
// CHECK-DAG: %[[WEIGHTS:.*]] = tensor.dim %[[PW]], %[[C0]]
// CHECK-DAG: %[[D0:.*]] = tensor.dim %[[D]], %[[C0]]
// CHECK-DAG: %[[D1:.*]] = tensor.dim %[[D]], %[[C1]]
// CHECK: return %[[ROWS]], %[[C5]], %[[PAIRS]], %[[WEIGHTS]], %[[D0]], %[[D1]], %[[D0]], %[[D1]]
func.func @destinations(%ids: tensor<?x2x!moe.id<expert[4]>>, %p: tensor<?x2xf32>, %r: tensor<?xi32>, %o: tensor<5xi32>, %pr: tensor<?xi32>,
                        %pe: tensor<?x!moe.id<expert[4]>>, %pw: tensor<?xf32>, %d: tensor<?x?xf32>, %x: tensor<?x64xf32>, %w: !moe.weight<64x32xf32>)
    -> (index, index, index, index, index, index, index, index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %g:5 = moe.group ins(%ids, %ids, %p : tensor<?x2x!moe.id<expert[4]>>, tensor<?x2x!moe.id<expert[4]>>, tensor<?x2xf32>)
    outs(%r, %o, %pr, %pe, %pw : tensor<?xi32>, tensor<5xi32>, tensor<?xi32>, tensor<?x!moe.id<expert[4]>>, tensor<?xf32>)
    -> tensor<?xi32>, tensor<5xi32>, tensor<?xi32>, tensor<?x!moe.id<expert[4]>>, tensor<?xf32>
  %m = moe.grouped_matmul ins(%x : tensor<?x64xf32>) weights(%w : !moe.weight<64x32xf32>) outs(%d : tensor<?x?xf32>) -> tensor<?x?xf32>
  %s = moe.scatter_combine ins(%m, %pr : tensor<?x?xf32>, tensor<?xi32>) outs(%d : tensor<?x?xf32>) -> tensor<?x?xf32>
  %y = moe.gather ins(%s, %pr : tensor<?x?xf32>, tensor<?xi32>) outs(%s : tensor<?x?xf32>) -> tensor<?x?xf32>
  %r0 = tensor.dim %g#0, %c0 : tensor<?xi32>
  %r1 = tensor.dim %g#1, %c0 : tensor<5xi32>
  %r2 = tensor.dim %g#2, %c0 : tensor<?xi32>
  %r3 = tensor.dim %g#4, %c0 : tensor<?xf32>
  %r4 = tensor.dim %s, %c0 : tensor<?x?xf32>
  %r5 = tensor.dim %s, %c1 : tensor<?x?xf32>
  %r6 = tensor.dim %y, %c0 : tensor<?x?xf32>
  %r7 = tensor.dim %y, %c1 : tensor<?x?xf32>
  return %r0, %r1, %r2, %r3, %r4, %r5, %r6, %r7 : index, index, index, index, index, index, index, index
}
