// Choices in the reference lowering. Values are compared in test/e2e/test_route_values.py.
// RUN: moe-opt %s --convert-moe-to-linalg | FileCheck %s --implicit-check-not=moe.

!ids = tensor<?x2x!moe.id<expert[8]>>
!gates = tensor<?x2xf32>

// CHECK-DAG: #[[$ROW:.*]] = affine_map<(d0, d1, d2) -> (d0, d1)>
// CHECK-DAG: #[[$OTHER_TOKEN:.*]] = affine_map<(d0, d1, d2) -> (d2, d1)>

// The best so far are kept in order: a key gets in when it is larger than the last, and moves in front of those it is larger
// than; so equal ones stay in the order of their columns. -inf never gets in.
// CHECK-LABEL: func.func @top_k(
// CHECK:         arith.constant 0xFF800000 : f32
// CHECK:         linalg.fill {{.*}} outs(%{{.*}} : tensor<?x2xf32>)
// CHECK:         scf.for
// CHECK:           scf.for %[[COLUMN:.*]] = %{{.*}} to %{{.*}} step %{{.*}} iter_args(%[[COLUMNS:.*]] = %{{.*}}, %[[KEYS:.*]] = %{{.*}})
// CHECK:             %[[KEY:.*]] = tensor.extract
// CHECK:             %[[LAST:.*]] = tensor.extract %[[KEYS]]
// CHECK:             %[[ENTERS:.*]] = arith.cmpf ogt, %[[KEY]], %[[LAST]] : f32
// CHECK:             %[[STEPS:.*]] = arith.select %[[ENTERS]],
// CHECK:             scf.for %{{.*}} = %{{.*}} to %[[STEPS]]
// CHECK:               arith.cmpf ogt, %[[KEY]],
// CHECK:               tensor.insert %{{.*}} : tensor<?x2xi32>
// CHECK:               tensor.insert %{{.*}} : tensor<?x2xf32>
func.func @top_k(%l: tensor<?x8xf32>) -> (!ids, !gates) {
  %ids, %p = moe.route %l score identity choose <top_k 2> gates <softmax> : (tensor<?x8xf32>) -> (!ids, !gates)
  return %ids, %p : !ids, !gates
}

// The first slot is taken in any case, others while the scores before add up to less.
// CHECK-LABEL: func.func @top_p(
// CHECK:         %[[IS_FIRST:.*]] = arith.cmpi eq, %{{.*}}, %c0_i32{{.*}} : i32
// CHECK:         %[[P:.*]] = arith.constant 6.250000e-01 : f32
// CHECK:         %[[IS_BELOW:.*]] = arith.cmpf olt, %{{.*}}, %[[P]] : f32
// CHECK:         arith.ori %[[IS_FIRST]], %[[IS_BELOW]] : i1
func.func @top_p(%l: tensor<?x8xf32>) -> (!ids, !gates) {
  %ids, %p = moe.route %l score softmax choose <top_p 2 at 0.625> gates <scores, l1> : (tensor<?x8xf32>) -> (!ids, !gates)
  return %ids, %p : !ids, !gates
}

// CHECK-LABEL: func.func @threshold(
// CHECK:         %[[BOUND:.*]] = arith.constant 6.250000e-01 : f32
// CHECK:         arith.cmpf oge, %{{.*}}, %[[BOUND]] : f32
func.func @threshold(%l: tensor<?x8xf32>) -> (!ids, !gates) {
  %ids, %p = moe.route %l score sigmoid choose <threshold 2 at 0.625> gates <scores> : (tensor<?x8xf32>) -> (!ids, !gates)
  return %ids, %p : !ids, !gates
}

// A token id outside the table reads nothing, even if the table has no rows; neither does an entry that is no column.
// CHECK-LABEL: func.func @hash(
// CHECK-SAME:    %[[LOGITS:.*]]: tensor<?x8xf32>, %[[TABLE:.*]]: tensor<?x2xi32>, %[[TOKENS:.*]]: tensor<?xi32>)
// CHECK:         %[[ROWS:.*]] = arith.index_cast %{{.*}} : index to i32
// CHECK:         linalg.generic {{.*}} ins(%[[TOKENS]] :
// CHECK-NEXT:    ^bb0(%[[TOKEN:.*]]: i32, %[[NONE:.*]]: i32):
// CHECK:           %[[IS_ROW:.*]] = arith.cmpi ult, %[[TOKEN]], %[[ROWS]] : i32
// CHECK:           %[[COLUMN:.*]] = scf.if %[[IS_ROW]] -> (i32) {
// CHECK:             tensor.extract %[[TABLE]]
// CHECK:           } else {
// CHECK:             scf.yield %[[NONE]] : i32
// CHECK:           arith.cmpi ult, %[[COLUMN]], %c8_i32{{.*}} : i32
func.func @hash(%l: tensor<?x8xf32>, %h: tensor<?x2x!moe.id<expert[8]>>, %t: tensor<?xi32>) -> (!ids, !gates) {
  %ids, %p = moe.route %l score sqrt_softplus choose <hash 2> from %h at %t gates <scores, l1>
    : (tensor<?x8xf32>, tensor<?x2x!moe.id<expert[8]>>, tensor<?xi32>) -> (!ids, !gates)
  return %ids, %p : !ids, !gates
}

// Ranks among tokens say what a column takes; a token keeps the best of those.
// CHECK-LABEL: func.func @expert_choice(
// CHECK:         math.ceil %{{.*}} : f64
// CHECK:         %[[ACCEPTED:.*]] = arith.fptosi %{{.*}} : f64 to i32
// CHECK:         linalg.generic {indexing_maps = [#[[$ROW]], #[[$OTHER_TOKEN]], #[[$ROW]]]
// CHECK:         arith.cmpi ult, %{{.*}}, %[[ACCEPTED]] : i32
// CHECK:         tensor.insert %{{.*}} : tensor<?x2xi32>
func.func @expert_choice(%l: tensor<?x8xf32>) -> (!ids, !gates) {
  %ids, %p = moe.route %l score softmax choose <expert_choice 2 at 1.5> gates <scores> : (tensor<?x8xf32>) -> (!ids, !gates)
  return %ids, %p : !ids, !gates
}

// A candidate that is no id has no part in the softmax and is never chosen; chosen ids are the candidates' values.
// CHECK-LABEL: func.func @candidates(
// CHECK-SAME:    %[[LOGITS:.*]]: tensor<?x3xf32>, %[[CANDIDATES:.*]]: tensor<?x3xi32>)
// CHECK:         %[[PRESENT:.*]] = linalg.generic {{.*}} ins(%[[LOGITS]], %[[CANDIDATES]] :
// CHECK:           arith.cmpi ult, %{{.*}}, %c8_i32{{.*}} : i32
// CHECK:         linalg.generic {{.*}} ins(%[[PRESENT]] :
// CHECK:         linalg.generic {{.*}} ins(%{{.*}}, %[[CANDIDATES]] :
// CHECK:         %[[COLUMNS:.*]]:2 = scf.for {{.*}} -> (tensor<?x2xi32>, tensor<?x2xf32>) {
// CHECK:         %[[IDS:.*]] = linalg.generic {{.*}} ins(%[[COLUMNS]]#0 : tensor<?x2xi32>) outs(%{{.*}} : tensor<?x2xi32>)
// CHECK:           tensor.extract %[[CANDIDATES]]
// CHECK:         return %[[IDS]],
func.func @candidates(%l: tensor<?x3xf32>, %c: tensor<?x3x!moe.id<expert[8]>>) -> (!ids, !gates) {
  %ids, %p = moe.route %l score softmax candidates %c choose <top_k 2> gates <scores, l1>
    : (tensor<?x3xf32>, tensor<?x3x!moe.id<expert[8]>>) -> (!ids, !gates)
  return %ids, %p : !ids, !gates
}
