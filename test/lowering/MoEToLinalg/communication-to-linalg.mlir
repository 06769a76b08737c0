// On one rank all tokens stay: an expert layer with communication is the layer without.
// RUN: moe-opt %s --convert-moe-to-linalg --canonicalize | FileCheck %s

!x = tensor<?x64xf32>
!ids = tensor<?x2x!moe.id<expert[4]>>
!p = tensor<?x2xf32>
!t = !moe.table<expert[4] -> cluster[2]>

// CHECK-LABEL: func.func @rows
// CHECK-SAME: %[[X:[^:]*]]: tensor<?x64xf32>
// CHECK-NEXT: return %[[X]] : tensor<?x64xf32>
func.func @rows(%x: !x, %ids: !ids, %p: !p, %t: !t) -> !x {
  %rows, %row_ids, %row_weights, %exchange = moe.dispatch %x, %ids, %p by %t : !x, !ids, !p by !t
  %y = moe.return %rows, %exchange : !x -> !x
  return %y : !x
}

// CHECK-LABEL: func.func @choices
// CHECK-SAME: %{{[^:]*}}: tensor<8x64xf32>, %[[IDS:[^:]*]]: tensor<8x2xi32>, %[[P:[^:]*]]: tensor<8x2xf32>
// CHECK-DAG: %[[I:.*]] = tensor.cast %[[IDS]] : tensor<8x2xi32> to tensor<?x2xi32>
// CHECK-DAG: %[[W:.*]] = tensor.cast %[[P]] : tensor<8x2xf32> to tensor<?x2xf32>
// CHECK: return %[[I]], %[[W]]
func.func @choices(%x: tensor<8x64xf32>, %ids: tensor<8x2x!moe.id<expert[4]>>, %p: tensor<8x2xf32>) -> (!ids, !p) {
  %rows, %row_ids, %row_weights, %exchange = moe.dispatch %x, %ids, %p : tensor<8x64xf32>, tensor<8x2x!moe.id<expert[4]>>, tensor<8x2xf32>
  %y = moe.return %rows, %exchange : tensor<?x64xf32> -> tensor<8x64xf32>
  return %row_ids, %row_weights : !ids, !p
}
