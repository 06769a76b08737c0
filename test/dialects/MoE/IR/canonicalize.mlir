// RUN: moe-opt %s --canonicalize --split-input-file | FileCheck %s
// Folds and patterns of the dialect, and where they must not apply.

//===----------------------------------------------------------------------===//
// moe.weight.mul, moe.weight.add: select outermost
//===----------------------------------------------------------------------===//

!c = !moe.weight<8x8xf32, cluster[2]>
!e = !moe.weight<8x8xf32, expert[4]>
!one = !moe.weight<8x8xf32>
!t = !moe.table<expert[4] -> cluster[2]>

// Both sides by the same table.
// CHECK-LABEL: func.func @mul_of_selects
// CHECK-SAME: (%[[A:.*]]: !moe.weight<8x8xf32, cluster[2]>, %[[B:.*]]: !moe.weight<8x8xf32, cluster[2]>, %[[T:.*]]: !moe.table
// CHECK-NEXT: %[[MUL:.*]] = moe.weight.mul %[[A]], %[[B]] : !moe.weight<8x8xf32, cluster[2]>, !moe.weight<8x8xf32, cluster[2]>
// CHECK-NEXT: %[[SELECT:.*]] = moe.weight.select %[[MUL]] by %[[T]]
// CHECK-NEXT: return %[[SELECT]]
func.func @mul_of_selects(%a: !c, %b: !c, %t: !t) -> !e {
  %0 = moe.weight.select %a by %t : !c, !t
  %1 = moe.weight.select %b by %t : !c, !t
  %2 = moe.weight.mul %0, %1 : !e, !e
  return %2 : !e
}

// CHECK-LABEL: func.func @add_of_selects
// CHECK-SAME: (%[[A:.*]]: !moe.weight<8x8xf32, cluster[2]>, %[[B:.*]]: !moe.weight<8x8xf32, cluster[2]>, %[[T:.*]]: !moe.table
// CHECK-NEXT: %[[ADD:.*]] = moe.weight.add %[[A]], %[[B]]
// CHECK-NEXT: moe.weight.select %[[ADD]] by %[[T]]
func.func @add_of_selects(%a: !c, %b: !c, %t: !t) -> !e {
  %0 = moe.weight.select %a by %t : !c, !t
  %1 = moe.weight.select %b by %t : !c, !t
  %2 = moe.weight.add %0, %1 : !e, !e
  return %2 : !e
}

// A product with a matrix for all, on either side; operands keep their order.
// CHECK-LABEL: func.func @mul_with_one
// CHECK-SAME: (%[[A:.*]]: !moe.weight<8x8xf32, cluster[2]>, %[[ONE:.*]]: !moe.weight<8x8xf32>, %[[T:.*]]: !moe.table
// CHECK-DAG: %[[RIGHT:.*]] = moe.weight.mul %[[A]], %[[ONE]]
// CHECK-DAG: %[[LEFT:.*]] = moe.weight.mul %[[ONE]], %[[A]]
// CHECK-DAG: moe.weight.select %[[RIGHT]] by %[[T]]
// CHECK-DAG: moe.weight.select %[[LEFT]] by %[[T]]
func.func @mul_with_one(%a: !c, %one: !one, %t: !t) -> (!e, !e) {
  %0 = moe.weight.select %a by %t : !c, !t
  %1 = moe.weight.mul %0, %one : !e, !one
  %2 = moe.weight.mul %one, %0 : !one, !e
  return %1, %2 : !e, !e
}

// Through a chain, until one select is left.
// CHECK-LABEL: func.func @chain
// CHECK-COUNT-1: moe.weight.select
// CHECK-NOT: moe.weight.select
func.func @chain(%a: !c, %b: !c, %one: !one, %t: !t) -> !e {
  %0 = moe.weight.select %a by %t : !c, !t
  %1 = moe.weight.select %b by %t : !c, !t
  %2 = moe.weight.mul %0, %one : !e, !one
  %3 = moe.weight.add %2, %1 : !e, !e
  %4 = moe.weight.mul %3, %one : !e, !one
  return %4 : !e
}

// A sum with a matrix for all needs a table that stays inside its target: that of a param does.
// CHECK-LABEL: func.func @add_with_one_by_param
// CHECK: %[[T:.*]] = moe.leaf @table
// CHECK: %[[ADD:.*]] = moe.weight.add %{{.*}}, %{{.*}} : !moe.weight<8x8xf32, cluster[2]>, !moe.weight<8x8xf32>
// CHECK: moe.weight.select %[[ADD]] by %[[T]]
moe.param @table : !t = dense<[0, 1, 0, 1]> : tensor<4xi32>
func.func @add_with_one_by_param(%a: !c, %one: !one) -> !e {
  %t = moe.leaf @table : !t
  %0 = moe.weight.select %a by %t : !c, !t
  %1 = moe.weight.add %0, %one : !e, !one
  return %1 : !e
}

// One that is given at run time may point outside, where the select is zero but the sum is not.
// CHECK-LABEL: func.func @add_with_one_by_argument
// CHECK: %[[SELECT:.*]] = moe.weight.select
// CHECK: moe.weight.add %[[SELECT]], %{{.*}} : !moe.weight<8x8xf32, expert[4]>, !moe.weight<8x8xf32>
// CHECK: moe.weight.add %{{.*}}, %[[SELECT]] : !moe.weight<8x8xf32>, !moe.weight<8x8xf32, expert[4]>
func.func @add_with_one_by_argument(%a: !c, %one: !one, %t: !t) -> (!e, !e) {
  %0 = moe.weight.select %a by %t : !c, !t
  %1 = moe.weight.add %0, %one : !e, !one
  %2 = moe.weight.add %one, %0 : !one, !e
  return %1, %2 : !e, !e
}

// Two tables may differ.
// CHECK-LABEL: func.func @two_tables
// CHECK-COUNT-2: moe.weight.select
// CHECK: moe.weight.add
func.func @two_tables(%a: !c, %b: !c, %t: !t, %s: !t) -> !e {
  %0 = moe.weight.select %a by %t : !c, !t
  %1 = moe.weight.select %b by %s : !c, !t
  %2 = moe.weight.add %0, %1 : !e, !e
  return %2 : !e
}

// What is an expert's own stays an expert's.
// CHECK-LABEL: func.func @own
// CHECK: %[[SELECT:.*]] = moe.weight.select
// CHECK: moe.weight.add %[[SELECT]], %{{.*}}
// CHECK: moe.weight.mul %{{.*}}, %[[SELECT]]
func.func @own(%a: !c, %own: !e, %t: !t) -> (!e, !e) {
  %0 = moe.weight.select %a by %t : !c, !t
  %1 = moe.weight.add %0, %own : !e, !e
  %2 = moe.weight.mul %own, %0 : !e, !e
  return %1, %2 : !e, !e
}

// CHECK-LABEL: func.func @no_select
// CHECK-NEXT: moe.weight.add
// CHECK-NEXT: return
func.func @no_select(%a: !c, %one: !one) -> !c {
  %0 = moe.weight.add %a, %one : !c, !one
  return %0 : !c
}

// -----

//===----------------------------------------------------------------------===//
// moe.weight.slice
//===----------------------------------------------------------------------===//

// CHECK-LABEL: func.func @whole_slice
// CHECK-SAME: (%[[W:.*]]: !moe.weight
// CHECK-NEXT: return %[[W]], %[[W]]
func.func @whole_slice(%w: !moe.weight<8x8xf32>) -> (!moe.weight<8x8xf32>, !moe.weight<8x8xf32>) {
  %c0 = arith.constant 0 : index
  %0 = moe.weight.slice input %w[%c0] : !moe.weight<8x8xf32> -> !moe.weight<8x8xf32>
  %1 = moe.weight.slice output %0[%c0] : !moe.weight<8x8xf32> -> !moe.weight<8x8xf32>
  return %1, %0 : !moe.weight<8x8xf32>, !moe.weight<8x8xf32>
}

// Beyond the matrix reads zero, so an offset that is another, or unknown, keeps the slice; and so does a smaller size.
// CHECK-LABEL: func.func @part_of_slice
// CHECK-COUNT-3: moe.weight.slice
func.func @part_of_slice(%w: !moe.weight<8x8xf32>, %o: index) -> (!moe.weight<8x8xf32>, !moe.weight<8x8xf32>, !moe.weight<8x4xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %0 = moe.weight.slice input %w[%c1] : !moe.weight<8x8xf32> -> !moe.weight<8x8xf32>
  %1 = moe.weight.slice input %w[%o] : !moe.weight<8x8xf32> -> !moe.weight<8x8xf32>
  %2 = moe.weight.slice output %w[%c0] : !moe.weight<8x8xf32> -> !moe.weight<8x4xf32>
  return %0, %1, %2 : !moe.weight<8x8xf32>, !moe.weight<8x8xf32>, !moe.weight<8x4xf32>
}

// -----

//===----------------------------------------------------------------------===//
// moe.id_cast
//===----------------------------------------------------------------------===//

!ids = tensor<?x2x!moe.id<expert[8]>>

// CHECK-LABEL: func.func @id_casts
// CHECK-SAME: (%[[IDS:.*]]: tensor<?x2x!moe.id<expert[8]>>, %[[N:.*]]: tensor<?x2xi32>)
// CHECK-NEXT: return %[[IDS]], %[[IDS]], %[[N]]
func.func @id_casts(%ids: !ids, %n: tensor<?x2xi32>) -> (!ids, !ids, tensor<?x2xi32>) {
  %0 = moe.id_cast %ids : !ids to !ids
  %1 = moe.id_cast %ids : !ids to tensor<?x2xi32>
  %2 = moe.id_cast %1 : tensor<?x2xi32> to !ids
  %3 = moe.id_cast %n : tensor<?x2xi32> to !ids
  %4 = moe.id_cast %3 : !ids to tensor<?x2xi32>
  return %0, %2, %4 : !ids, !ids, tensor<?x2xi32>
}

// To ids of another axis, by way of numbers.
// CHECK-LABEL: func.func @other_ids
// CHECK-COUNT-2: moe.id_cast
func.func @other_ids(%ids: !ids) -> tensor<?x2x!moe.id<cluster[8]>> {
  %0 = moe.id_cast %ids : !ids to tensor<?x2xi32>
  %1 = moe.id_cast %0 : tensor<?x2xi32> to tensor<?x2x!moe.id<cluster[8]>>
  return %1 : tensor<?x2x!moe.id<cluster[8]>>
}

// -----

//===----------------------------------------------------------------------===//
// moe.activate
//===----------------------------------------------------------------------===//

// CHECK-LABEL: func.func @identity
// CHECK-SAME: (%[[U:.*]]: tensor<?x32xf32>)
// CHECK-NEXT: return %[[U]]
func.func @identity(%u: tensor<?x32xf32>) -> tensor<?x32xf32> {
  %0 = moe.activate <identity> %u : tensor<?x32xf32>
  return %0 : tensor<?x32xf32>
}

// A gate multiplies, a clamp cuts, another function computes.
// CHECK-LABEL: func.func @not_identity
// CHECK-COUNT-3: moe.activate
func.func @not_identity(%u: tensor<?x32xf32>, %g: tensor<?x32xf32>) -> (tensor<?x32xf32>, tensor<?x32xf32>, tensor<?x32xf32>) {
  %0 = moe.activate <identity> %u gated by %g : tensor<?x32xf32>
  %1 = moe.activate <identity clamp 7.0> %u : tensor<?x32xf32>
  %2 = moe.activate <relu> %u : tensor<?x32xf32>
  return %0, %1, %2 : tensor<?x32xf32>, tensor<?x32xf32>, tensor<?x32xf32>
}

// -----

//===----------------------------------------------------------------------===//
// moe.real_experts
//===----------------------------------------------------------------------===//

!ids = tensor<?x2x!moe.id<expert[8]>>
!some = tensor<?x2x!moe.id<expert[6+2]>>

// Behind a route without special experts there is nothing to mask.
// CHECK-LABEL: func.func @real_route
// CHECK: %[[IDS:.*]], %[[P:.*]] = moe.route
// CHECK-NEXT: return %[[IDS]], %[[P]]
func.func @real_route(%l: tensor<?x8xf32>) -> (!ids, tensor<?x2xf32>) {
  %ids, %p = moe.route %l score softmax choose <top_k 2> gates <scores> : (tensor<?x8xf32>) -> (!ids, tensor<?x2xf32>)
  %i, %q = moe.real_experts %ids, %p : !ids, tensor<?x2xf32> -> !ids
  return %i, %q : !ids, tensor<?x2xf32>
}

// With special experts there is; so there may be in ids from elsewhere, and in weights that are not the route's.
// CHECK-LABEL: func.func @special_route
// CHECK: moe.real_experts
func.func @special_route(%l: tensor<?x8xf32>) -> (tensor<?x2x!moe.id<expert[6]>>, tensor<?x2xf32>) {
  %ids, %p = moe.route %l score softmax choose <top_k 2> gates <scores> specials <zero 2> : (tensor<?x8xf32>) -> (!some, tensor<?x2xf32>)
  %i, %q = moe.real_experts %ids, %p : !some, tensor<?x2xf32> -> tensor<?x2x!moe.id<expert[6]>>
  return %i, %q : tensor<?x2x!moe.id<expert[6]>>, tensor<?x2xf32>
}

// CHECK-LABEL: func.func @ids_from_elsewhere
// CHECK: moe.real_experts
func.func @ids_from_elsewhere(%ids: !ids, %p: tensor<?x2xf32>) -> (!ids, tensor<?x2xf32>) {
  %i, %q = moe.real_experts %ids, %p : !ids, tensor<?x2xf32> -> !ids
  return %i, %q : !ids, tensor<?x2xf32>
}

// CHECK-LABEL: func.func @other_weights
// CHECK: moe.real_experts
func.func @other_weights(%l: tensor<?x8xf32>, %own: tensor<?x2xf32>) -> (!ids, tensor<?x2xf32>) {
  %ids, %p = moe.route %l score softmax choose <top_k 2> gates <scores> : (tensor<?x8xf32>) -> (!ids, tensor<?x2xf32>)
  %i, %q = moe.real_experts %ids, %own : !ids, tensor<?x2xf32> -> !ids
  return %i, %q : !ids, tensor<?x2xf32>
}
