// RUN: moe-opt %s --inline | FileCheck %s
// Functions with moe operations, and with weights as arguments and results, are inlined; also into regions.

!w = !moe.weight<64x32xf32, expert[8]>
!ids = tensor<?x2x!moe.id<expert[8]>>

moe.param private @up : !w = #moe.seeded<1>

func.func private @weight() -> !w {
  %0 = moe.leaf @up : !w
  return %0 : !w
}

func.func private @apply(%x: tensor<?x64xf32>, %w: !w, %ids: !ids) -> tensor<?x32xf32> {
  %0 = moe.apply %x, %w at %ids : tensor<?x64xf32>, !w at !ids -> tensor<?x2x32xf32>
  %1 = moe.combine %0 : tensor<?x2x32xf32> -> tensor<?x32xf32>
  return %1 : tensor<?x32xf32>
}

func.func private @add_rows(%x: memref<?x32xf32>, %i: memref<?xi32>, %y: memref<?x32xf32>) {
  moe.scatter_combine accumulate ins(%x, %i : memref<?x32xf32>, memref<?xi32>) outs(%y : memref<?x32xf32>)
  return
}

// CHECK-LABEL: func.func @layer
// CHECK-NOT: call @
// CHECK: moe.leaf @up
// CHECK: moe.apply
// CHECK: moe.combine
// CHECK: scf.if
// CHECK: moe.scatter_combine accumulate
// CHECK-NOT: call @
func.func @layer(%x: tensor<?x64xf32>, %ids: !ids, %again: i1, %a: memref<?x32xf32>, %i: memref<?xi32>, %y: memref<?x32xf32>) -> tensor<?x32xf32> {
  %w = call @weight() : () -> !w
  %0 = call @apply(%x, %w, %ids) : (tensor<?x64xf32>, !w, !ids) -> tensor<?x32xf32>
  scf.if %again {
    func.call @add_rows(%a, %i, %y) : (memref<?x32xf32>, memref<?xi32>, memref<?x32xf32>) -> ()
  }
  return %0 : tensor<?x32xf32>
}
