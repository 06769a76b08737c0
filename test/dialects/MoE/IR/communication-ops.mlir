// Rows that leave and come back: round trip, effects, extents.
// RUN: moe-opt %s | moe-opt | FileCheck %s
// RUN: moe-opt %s --mlir-print-op-generic | moe-opt | FileCheck %s
// RUN: moe-opt %s --cse --canonicalize | FileCheck %s --check-prefix=EFFECTS
// RUN: moe-opt %s --resolve-ranked-shaped-type-result-dims | FileCheck %s --check-prefix=EXTENTS

!x = tensor<?x64xf32>
!ids = tensor<?x2x!moe.id<expert[4]>>
!p = tensor<?x2xf32>
!t = !moe.table<expert[4] -> cluster[2]>

// CHECK-LABEL: func.func @clusters
// CHECK: %[[ROWS:.*]], %{{.*}}, %{{.*}}, %[[EXCHANGE:.*]] = moe.dispatch %{{.*}}, %{{.*}}, %{{.*}} by %{{.*}} : tensor<?x64xf32>, tensor<?x2x!moe.id<expert[4]>>, tensor<?x2xf32> by !moe.table<expert[4] -> cluster[2]>
// CHECK: moe.return %[[ROWS]], %[[EXCHANGE]] : tensor<?x64xf32> -> tensor<?x64xf32>
func.func @clusters(%x: !x, %ids: !ids, %p: !p, %t: !t) -> !x {
  %rows, %row_ids, %row_weights, %exchange = moe.dispatch %x, %ids, %p by %t : !x, !ids, !p by !t
  %y = moe.return %rows, %exchange : !x -> !x
  return %y : !x
}

// However many tokens there are, any number of rows may come.
// CHECK-LABEL: func.func @static
// CHECK: moe.dispatch %{{.*}} : tensor<8x64xbf16>, tensor<8x2x!moe.id<expert[4]>>, tensor<8x2xbf16>
// CHECK: moe.return %{{.*}}, %{{.*}} : tensor<?x64xbf16> -> tensor<8x64xbf16>
func.func @static(%x: tensor<8x64xbf16>, %ids: tensor<8x2x!moe.id<expert[4]>>, %p: tensor<8x2xbf16>) -> tensor<8x64xbf16> {
  %rows, %row_ids, %row_weights, %exchange = moe.dispatch %x, %ids, %p : tensor<8x64xbf16>, tensor<8x2x!moe.id<expert[4]>>, tensor<8x2xbf16>
  %y = moe.return %rows, %exchange : tensor<?x64xbf16> -> tensor<8x64xbf16>
  return %y : tensor<8x64xbf16>
}

// Ranks wait for each other: what is not used, and what looks the same, is sent all the same.
// EFFECTS-LABEL: func.func @unused
// EFFECTS-COUNT-2: moe.dispatch
// EFFECTS-COUNT-2: moe.return
func.func @unused(%x: !x, %ids: !ids, %p: !p) {
  %rows, %row_ids, %row_weights, %exchange = moe.dispatch %x, %ids, %p : !x, !ids, !p
  %others, %other_ids, %other_weights, %other = moe.dispatch %x, %ids, %p : !x, !ids, !p
  %y = moe.return %rows, %exchange : !x -> !x
  %z = moe.return %others, %other : !x -> !x
  return
}

// As many rows come back as were sent.
// EXTENTS-LABEL: func.func @extents
// EXTENTS-SAME: %[[X:[^:]*]]: tensor<?x64xf32>
// EXTENTS: %[[N:.*]] = tensor.dim %[[X]]
// EXTENTS: return %[[N]]
func.func @extents(%x: !x, %ids: !ids, %p: !p) -> index {
  %c0 = arith.constant 0 : index
  %rows, %row_ids, %row_weights, %exchange = moe.dispatch %x, %ids, %p : !x, !ids, !p
  %y = moe.return %rows, %exchange : !x -> !x
  %n = tensor.dim %y, %c0 : !x
  return %n : index
}
