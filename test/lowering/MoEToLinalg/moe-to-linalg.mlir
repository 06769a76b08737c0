// The three forms, mixed in one function: nothing of them is left, and what belongs to no form stays as it is.
// RUN: moe-opt %s --convert-moe-to-linalg | FileCheck %s --implicit-check-not="moe."
// Already lowered: the pass changes nothing.
// RUN: moe-opt %s --convert-moe-to-linalg -o %t.once
// RUN: moe-opt %t.once --convert-moe-to-linalg | diff %t.once -

!e = !moe.weight<16x8xf32, expert[4]>
!d = !moe.weight<8x16xf32, expert[4]>
!ids = tensor<?x2x!moe.id<expert[4]>>

// CHECK: module attributes {test.about = "kept"}
module attributes {test.about = "kept"} {
  // Params are gone, also those that nothing reads, and in nested modules.
  moe.param @up : !e = #moe.seeded<1 scale 0.25>
  moe.param private @down : !d = #moe.seeded<2 scale 0.25> encoding <int4 group 8>
  moe.param private @unread : !d = #moe.seeded<2>
  // CHECK: module @nested
  // CHECK-NEXT: func.func @leaf
  // CHECK-NEXT: arith.constant dense<1.500000e+00> : tensor<1x1xf32>
  module @nested {
    moe.param @up : !moe.weight<1x1xf32> = dense<1.5> : tensor<1x1xf32>
    func.func @leaf() -> !moe.weight<1x1xf32> {
      %0 = moe.leaf @up : !moe.weight<1x1xf32>
      return %0 : !moe.weight<1x1xf32>
    }
  }

  // CHECK-LABEL: func.func @layer
  // CHECK-SAME: (%[[X:.*]]: tensor<?x16xf32>, %[[L:.*]]: tensor<?x4xf32>) -> (tensor<?x16xf32>, tensor<?x2x8xf32>, tensor<?x16xf32>)
  // CHECK-DAG: arith.constant dense<{{.*}}> : tensor<4x16x8xf32>
  // CHECK-DAG: arith.constant dense<{{.*}}> : tensor<4x8x16xf32>
  // CHECK: linalg.generic
  // CHECK: return
  func.func @layer(%x: tensor<?x16xf32>, %logits: tensor<?x4xf32>) -> (tensor<?x16xf32>, tensor<?x2x8xf32>, tensor<?x16xf32>) {
    %up = moe.leaf @up : !e
    %down = moe.leaf @down : !d
    %ids, %p = moe.route %logits score softmax choose <top_k 2> gates <scores, l1> : (tensor<?x4xf32>) -> (!ids, tensor<?x2xf32>)
    %y = moe.experts %x to %ids weighted %p up %up down %down act <silu> : (tensor<?x16xf32>, !ids, tensor<?x2xf32>, !e, !d) -> tensor<?x16xf32>
    %h = moe.apply %x, %up at %ids : tensor<?x16xf32>, !e at !ids -> tensor<?x2x8xf32>
    %zero = arith.constant 0 : index
    %n = tensor.dim %x, %zero : tensor<?x16xf32>
    %o = tensor.empty(%n) : tensor<?x16xf32>
    %i = tensor.empty(%n) : tensor<?xi32>
    %g = moe.gather ins(%y, %i : tensor<?x16xf32>, tensor<?xi32>) outs(%o : tensor<?x16xf32>) -> tensor<?x16xf32>
    return %y, %h, %g : tensor<?x16xf32>, tensor<?x2x8xf32>, tensor<?x16xf32>
  }
}
