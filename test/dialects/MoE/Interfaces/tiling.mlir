// RUN: moe-opt %s --transform-interpreter --canonicalize --split-input-file --verify-diagnostics | FileCheck %s
// A grouped matmul is tiled by columns; only what has columns of the result is sliced.

!id4 = !moe.id<expert[4]>
!w = !moe.weight<64x32xf32, cluster[2]>

// Everything at once: two weights, biases, residuals, an activation. Left factors and lists are used whole.
// CHECK-LABEL: func.func @pairs
// CHECK-SAME: (%[[X:.*]]: tensor<8x64xf32>, %[[U:.*]]: !moe.weight<64x32xf32, cluster[2]>, %[[G:.*]]: !moe.weight<64x32xf32, cluster[2]>, %[[BIAS:.*]]: !moe.weight<1x32xf32, expert[4]>, %[[OFF:.*]]: tensor<3xi32>, %[[ROW:.*]]: tensor<16xi32>, %[[E:.*]]: tensor<16x!moe.id<expert[4]>>, %[[A:.*]]: !moe.weight<64x4xf32, expert[4]>, %[[B:.*]]: !moe.weight<4x32xf32, expert[4]>, %[[O:.*]]: tensor<16x32xf32>)
// CHECK-DAG: %[[C0:.*]] = arith.constant 0 : index
// CHECK-DAG: %[[C8:.*]] = arith.constant 8 : index
// CHECK-DAG: %[[C32:.*]] = arith.constant 32 : index
// CHECK: scf.for %[[J:.*]] = %[[C0]] to %[[C32]] step %[[C8]] iter_args(%[[ACC:.*]] = %[[O]])
// CHECK-DAG: %[[UJ:.*]] = moe.weight.slice output %[[U]][%[[J]]] : !moe.weight<64x32xf32, cluster[2]> -> !moe.weight<64x8xf32, cluster[2]>
// CHECK-DAG: %[[GJ:.*]] = moe.weight.slice output %[[G]][%[[J]]]
// CHECK-DAG: %[[BIASJ:.*]] = moe.weight.slice output %[[BIAS]][%[[J]]] : !moe.weight<1x32xf32, expert[4]> -> !moe.weight<1x8xf32, expert[4]>
// CHECK-DAG: %[[BJ:.*]] = moe.weight.slice output %[[B]][%[[J]]] : !moe.weight<4x32xf32, expert[4]> -> !moe.weight<4x8xf32, expert[4]>
// CHECK-DAG: %[[OJ:.*]] = tensor.extract_slice %[[ACC]][0, %[[J]]] [16, 8] [1, 1]
// CHECK: %[[YJ:.*]] = moe.grouped_matmul ins(%[[X]] : tensor<8x64xf32>) weights(%[[UJ]], %[[GJ]] : {{.*}}) bias(%[[BIASJ]], %[[BIASJ1:.*]] : {{.*}}) groups(%[[OFF]] : {{.*}}) pair_rows(%[[ROW]] : {{.*}}) pair_experts(%[[E]] : {{.*}}) residual(%[[A]], %[[BJ]], %[[A]], %[[BJ1:.*]] : {{.*}}) act <silu> outs(%[[OJ]] : tensor<16x8xf32>) -> tensor<16x8xf32>
// CHECK: tensor.insert_slice %[[YJ]] into %[[ACC]][0, %[[J]]] [16, 8] [1, 1]
func.func @pairs(%x: tensor<8x64xf32>, %u: !w, %g: !w, %bias: !moe.weight<1x32xf32, expert[4]>, %off: tensor<3xi32>, %row: tensor<16xi32>, %e: tensor<16x!id4>,
                 %a: !moe.weight<64x4xf32, expert[4]>, %b: !moe.weight<4x32xf32, expert[4]>, %o: tensor<16x32xf32>) -> tensor<16x32xf32> {
  %0 = moe.grouped_matmul ins(%x : tensor<8x64xf32>) weights(%u, %g : !w, !w) bias(%bias, %bias : !moe.weight<1x32xf32, expert[4]>, !moe.weight<1x32xf32, expert[4]>)
    groups(%off : tensor<3xi32>) pair_rows(%row : tensor<16xi32>) pair_experts(%e : tensor<16x!id4>)
    residual(%a, %b, %a, %b : !moe.weight<64x4xf32, expert[4]>, !moe.weight<4x32xf32, expert[4]>, !moe.weight<64x4xf32, expert[4]>, !moe.weight<4x32xf32, expert[4]>)
    act <silu> outs(%o : tensor<16x32xf32>) -> tensor<16x32xf32>
  return %0 : tensor<16x32xf32>
}

module attributes {transform.with_named_sequence} {
  transform.named_sequence @__transform_main(%m: !transform.any_op {transform.readonly}) {
    %g = transform.structured.match ops{["moe.grouped_matmul"]} in %m : (!transform.any_op) -> !transform.any_op
    %t, %l = transform.structured.tile_using_for %g tile_sizes [8] : (!transform.any_op) -> (!transform.any_op, !transform.any_op)
    transform.yield
  }
}

// -----

!w = !moe.weight<64x32xf32, cluster[2]>

// A segment: expand is sliced, the rows of pairs are not. accumulate stays.
// CHECK-LABEL: func.func @segment
// CHECK: scf.for
// CHECK-DAG: %[[EXPAND:.*]] = moe.weight.slice output %{{.*}} : !moe.weight<4x32xf32, expert[4]> -> !moe.weight<4x16xf32, expert[4]>
// CHECK-DAG: %[[WEIGHT:.*]] = moe.weight.slice output %{{.*}} : !moe.weight<64x32xf32, cluster[2]> -> !moe.weight<64x16xf32, cluster[2]>
// CHECK: moe.grouped_matmul accumulate {{.*}} weights(%[[WEIGHT]] : {{.*}} segment(%{{.*}} : tensor<16x4xf32>) expand(%[[EXPAND]] : {{.*}}) weighted(%{{.*}} : tensor<16xf32>) outs(
func.func @segment(%x: tensor<8x64xf32>, %w: !w, %off: tensor<3xi32>, %row: tensor<16xi32>, %e: tensor<16x!moe.id<expert[4]>>, %v: tensor<16x4xf32>,
                   %b: !moe.weight<4x32xf32, expert[4]>, %p: tensor<16xf32>, %o: tensor<8x32xf32>) -> tensor<8x32xf32> {
  %0 = moe.grouped_matmul accumulate ins(%x : tensor<8x64xf32>) weights(%w : !w) groups(%off : tensor<3xi32>) pair_rows(%row : tensor<16xi32>)
    pair_experts(%e : tensor<16x!moe.id<expert[4]>>) segment(%v : tensor<16x4xf32>) expand(%b : !moe.weight<4x32xf32, expert[4]>)
    weighted(%p : tensor<16xf32>) outs(%o : tensor<8x32xf32>) -> tensor<8x32xf32>
  return %0 : tensor<8x32xf32>
}

// Rows and columns that the destination does not know: the weight knows the columns.
// CHECK-LABEL: func.func @dynamic
// CHECK-DAG: %[[C32:.*]] = arith.constant 32 : index
// CHECK: scf.for %{{.*}} = %{{.*}} to %[[C32]] step
// CHECK: %[[ROWS:.*]] = tensor.dim
// CHECK: tensor.extract_slice %{{.*}} [%[[ROWS]], 16] [1, 1] : tensor<?x?xf32> to tensor<?x16xf32>
// CHECK: moe.grouped_matmul ins(%{{.*}} : tensor<?x64xf32>) {{.*}} outs(%{{.*}} : tensor<?x16xf32>)
func.func @dynamic(%x: tensor<?x64xf32>, %w: !moe.weight<64x32xf32>, %o: tensor<?x?xf32>) -> tensor<?x?xf32> {
  %0 = moe.grouped_matmul ins(%x : tensor<?x64xf32>) weights(%w : !moe.weight<64x32xf32>) outs(%o : tensor<?x?xf32>) -> tensor<?x?xf32>
  return %0 : tensor<?x?xf32>
}

module attributes {transform.with_named_sequence} {
  transform.named_sequence @__transform_main(%m: !transform.any_op {transform.readonly}) {
    %g = transform.structured.match ops{["moe.grouped_matmul"]} in %m : (!transform.any_op) -> !transform.any_op
    %t, %l = transform.structured.tile_using_for %g tile_sizes [16] : (!transform.any_op) -> (!transform.any_op, !transform.any_op)
    transform.yield
  }
}

// -----

// A tile of all columns needs no slice of the weight.
// CHECK-LABEL: func.func @one_tile
// CHECK-NOT: scf.for
// CHECK-NOT: moe.weight.slice
// CHECK: moe.grouped_matmul
func.func @one_tile(%x: tensor<8x64xf32>, %w: !moe.weight<64x32xf32>, %o: tensor<8x32xf32>) -> tensor<8x32xf32> {
  %0 = moe.grouped_matmul ins(%x : tensor<8x64xf32>) weights(%w : !moe.weight<64x32xf32>) outs(%o : tensor<8x32xf32>) -> tensor<8x32xf32>
  return %0 : tensor<8x32xf32>
}

module attributes {transform.with_named_sequence} {
  transform.named_sequence @__transform_main(%m: !transform.any_op {transform.readonly}) {
    %g = transform.structured.match ops{["moe.grouped_matmul"]} in %m : (!transform.any_op) -> !transform.any_op
    %t, %l = transform.structured.tile_using_for %g tile_sizes [32] : (!transform.any_op) -> (!transform.any_op, !transform.any_op)
    transform.yield
  }
}

// -----

// Weights have static sizes, so a tile that does not divide the columns is refused.
func.func @uneven(%x: tensor<8x64xf32>, %w: !moe.weight<64x32xf32>, %o: tensor<8x32xf32>) -> tensor<8x32xf32> {
  // expected-error @below {{'moe.grouped_matmul' op column tile must divide the columns: the sizes of weights are static}}
  // expected-error @below {{tile operation}}
  // expected-error @below {{failed to generate tiling loops}}
  %0 = moe.grouped_matmul ins(%x : tensor<8x64xf32>) weights(%w : !moe.weight<64x32xf32>) outs(%o : tensor<8x32xf32>) -> tensor<8x32xf32>
  return %0 : tensor<8x32xf32>
}

module attributes {transform.with_named_sequence} {
  transform.named_sequence @__transform_main(%m: !transform.any_op {transform.readonly}) {
    %g = transform.structured.match ops{["moe.grouped_matmul"]} in %m : (!transform.any_op) -> !transform.any_op
    %t, %l = transform.structured.tile_using_for %g tile_sizes [5] : (!transform.any_op) -> (!transform.any_op, !transform.any_op)
    transform.yield
  }
}

// -----

func.func @buffers(%x: memref<8x64xf32>, %w: !moe.weight<64x32xf32>, %o: memref<8x32xf32>) {
  // expected-error @below {{'moe.grouped_matmul' op is tiled on tensors, before bufferisation}}
  // expected-error @below {{tile operation}}
  // expected-error @below {{failed to generate tiling loops}}
  moe.grouped_matmul ins(%x : memref<8x64xf32>) weights(%w : !moe.weight<64x32xf32>) outs(%o : memref<8x32xf32>)
  return
}

module attributes {transform.with_named_sequence} {
  transform.named_sequence @__transform_main(%m: !transform.any_op {transform.readonly}) {
    %g = transform.structured.match ops{["moe.grouped_matmul"]} in %m : (!transform.any_op) -> !transform.any_op
    %t, %l = transform.structured.tile_using_for %g tile_sizes [8] : (!transform.any_op) -> (!transform.any_op, !transform.any_op)
    transform.yield
  }
}
