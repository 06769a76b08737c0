// Experts 0 and 2 hold one matrix, 1 and 3 another; the pass finds that, and changes nothing else.
// RUN: moe-opt %s --moe-cluster-experts="clusters=2 threshold=-1 remove-mean=false" --remarks-filter='.*' 2>%t.remarks | FileCheck %s
// RUN: FileCheck %s --check-prefix=REMARK < %t.remarks
// RUN: moe-opt %s --moe-cluster-experts="clusters=2 threshold=-1 remove-mean=false" | moe-opt --moe-verify-graph-form

// At random, by the seed: groups as even as they get, and the remark says how alike their members are.
// RUN: moe-opt %s --moe-cluster-experts="clusters=2 clustering=random seed=1 remove-mean=false" --remarks-filter='.*' 2>&1 | FileCheck %s --check-prefix=RANDOM
// RANDOM-DAG: 4 experts in 2 clusters of 2, 2; similarity -1.000 within, 0.000 between, alpha 1.00 (no profile), at random
// RANDOM-DAG: moe.param private @layer0.cluster : !moe.table<expert[4] -> cluster[2]> = dense<[0, 0, 1, 1]> : tensor<4xi32>
// RUN: not moe-opt %s --moe-cluster-experts="clusters=5 clustering=random" 2>&1 | FileCheck %s --check-prefix=MANY
// MANY: error: 'moe.experts' op expected 1 to 4 clusters, found 5

!up = !moe.weight<2x3xf32, expert[4]>
!down = !moe.weight<3x2xf32, expert[4]>

// REMARK-DAG: [Passed] cluster-experts{{.+}}4 experts in 2 clusters of 2, 2; similarity 1.000 within, -1.000 between, alpha 1.00 (no profile)
// CHECK: moe.param private @layer0.cluster : !moe.table<expert[4] -> cluster[2]> = dense<[0, 1, 0, 1]> : tensor<4xi32>
// CHECK: moe.experts
// CHECK-SAME: {moe.clusters = @layer0.cluster}
moe.param private @layer0.up : !up = dense<[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], [[-1.0, -2.0, -3.0], [-4.0, -5.0, -6.0]],
                                            [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], [[-1.0, -2.0, -3.0], [-4.0, -5.0, -6.0]]]> : tensor<4x2x3xf32>
moe.param private @layer0.down : !down = dense<[[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], [[-1.0, -2.0], [-3.0, -4.0], [-5.0, -6.0]],
                                                [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], [[-1.0, -2.0], [-3.0, -4.0], [-5.0, -6.0]]]> : tensor<4x3x2xf32>
func.func @layer0(%x: tensor<?x2xf32>, %ids: tensor<?x2x!moe.id<expert[4]>>, %p: tensor<?x2xf32>) -> tensor<?x2xf32> {
  %u = moe.leaf @layer0.up : !up
  %d = moe.leaf @layer0.down : !down
  %y = moe.experts %x to %ids weighted %p up %u down %d act <silu>
    : (tensor<?x2xf32>, tensor<?x2x!moe.id<expert[4]>>, tensor<?x2xf32>, !up, !down) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

// Weights that are arguments are nobody's to cluster.
// REMARK-DAG: [Missed] cluster-experts{{.+}}layer left as it is: its weights are expressions already, or arguments
// CHECK-LABEL: func.func @argument
// CHECK-NOT: moe.clusters
func.func @argument(%x: tensor<?x2xf32>, %ids: tensor<?x2x!moe.id<expert[4]>>, %p: tensor<?x2xf32>, %u: !up, %d: !down) -> tensor<?x2xf32> {
  %y = moe.experts %x to %ids weighted %p up %u down %d act <silu>
    : (tensor<?x2xf32>, tensor<?x2x!moe.id<expert[4]>>, tensor<?x2xf32>, !up, !down) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}
