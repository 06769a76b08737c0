// RUN: moe-compile %s -o %t.before
// RUN: moe-compile %s --passes='func.func(moe-distribute-weights{always=true})' -o %t.after
// RUN: moe-run %t.before --compare-with=%t.after --tokens 7 --max-error 1e-5 | FileCheck %s
// CHECK-COUNT-3: max rel {{.*}}, no NaN
// Several results that share a value: each must keep its own memory.
// tokens: 7
module {
  moe.param private @p0 : !moe.weight<8x1xf32, expert[4]> = #moe.seeded<316 scale 0.5>
  moe.param private @p1 : !moe.weight<1x8xf32, expert[4]> = #moe.seeded<879 scale 0.5>
  moe.param private @p2 : !moe.weight<1x8xf32> = #moe.seeded<698 scale 0.5>
  moe.param private @p3 : !moe.weight<8x8xf32, expert[4]> = #moe.seeded<980 scale 0.5>
  moe.param private @p4 : !moe.weight<8x1xf32, expert[4]> = #moe.seeded<197 scale 0.5>
  moe.param private @p5 : !moe.weight<1x8xf32, expert[4]> = #moe.seeded<545 scale 0.5>
  moe.param private @p6 : !moe.weight<8x8xf32, basis[3]> = #moe.seeded<836 scale 0.5>
  moe.param private @p7 : !moe.weight<1x3xf32, expert[4]> = #moe.seeded<257 scale 0.5>
  moe.param private @p8 : !moe.weight<1x1xf32, expert[4]> = #moe.seeded<859 scale 0.5> encoding <int8>
  moe.param private @p9 : !moe.weight<1x8xf32, expert[4]> = #moe.seeded<589 scale 0.5>
  moe.param private @p10 : !moe.weight<1x1xf32, expert[4]> = #moe.seeded<600 scale 0.5> encoding <int8 zero_point>
  moe.param private @p11 : !moe.weight<1x1xf32> = #moe.seeded<417 scale 0.5>
  func.func @f(%a0: tensor<?x4xf32>, %a1: tensor<4xi32>, %a2: tensor<?x8xf32>, %a3: tensor<4x8x8xf32>) -> (tensor<?x3x8xf32>, tensor<?x3x8xf32>, tensor<?x3x8xf32>) {
    %v1, %v2 = moe.route %a0 score softmax choose <top_k 3> gates <scores, l2> : (tensor<?x4xf32>) -> (tensor<?x3x!moe.id<expert[4]>>, tensor<?x3xf32>)
    %v3 = moe.wrap %a1 : tensor<4xi32> to !moe.table<expert[4] -> cluster[3]>
    %v4, %v5 = moe.clusters_of %v1 by %v3 : tensor<?x3x!moe.id<expert[4]>>, !moe.table<expert[4] -> cluster[3]> -> tensor<?x3x!moe.id<cluster[3]>>, tensor<?x3xi32>
    %v6 = moe.leaf @p0 : !moe.weight<8x1xf32, expert[4]>
    %v7 = moe.leaf @p1 : !moe.weight<1x8xf32, expert[4]>
    %v8 = moe.weight.mul %v6, %v7 : !moe.weight<8x1xf32, expert[4]>, !moe.weight<1x8xf32, expert[4]>
    %v9 = moe.leaf @p2 : !moe.weight<1x8xf32>
    %v10 = moe.weight.scale input %v8, %v9 : !moe.weight<8x8xf32, expert[4]>, !moe.weight<1x8xf32>
    %v11 = moe.apply %a2, %v10 at %v1 : tensor<?x8xf32>, !moe.weight<8x8xf32, expert[4]> at tensor<?x3x!moe.id<expert[4]>> -> tensor<?x3x8xf32>
    %v12 = moe.wrap %a3 : tensor<4x8x8xf32> to !moe.weight<8x8xf32, expert[4]>
    %v13 = moe.leaf @p3 : !moe.weight<8x8xf32, expert[4]>
    %v14 = moe.weight.add %v12, %v13 : !moe.weight<8x8xf32, expert[4]>, !moe.weight<8x8xf32, expert[4]>
    %v15 = moe.leaf @p4 : !moe.weight<8x1xf32, expert[4]>
    %v16 = moe.leaf @p5 : !moe.weight<1x8xf32, expert[4]>
    %v17 = moe.weight.mul %v15, %v16 : !moe.weight<8x1xf32, expert[4]>, !moe.weight<1x8xf32, expert[4]>
    %v18 = moe.weight.add %v14, %v17 : !moe.weight<8x8xf32, expert[4]>, !moe.weight<8x8xf32, expert[4]>
    %v19 = moe.apply %v11, %v18 at %v1 : tensor<?x3x8xf32>, !moe.weight<8x8xf32, expert[4]> at tensor<?x3x!moe.id<expert[4]>> -> tensor<?x3x8xf32>
    %v20 = arith.mulf %a2, %a2 : tensor<?x8xf32>
    %v21 = moe.spread %a2 for %v1 : tensor<?x8xf32> for tensor<?x3x!moe.id<expert[4]>> -> tensor<?x3x8xf32>
    %v22 = moe.scale_rows %v19 by %v2 : tensor<?x3x8xf32>, tensor<?x3xf32> -> tensor<?x3x8xf32>
    %v23 = moe.leaf @p6 : !moe.weight<8x8xf32, basis[3]>
    %v24 = moe.leaf @p7 : !moe.weight<1x3xf32, expert[4]>
    %v25 = moe.weight.mix %v23, %v24 : !moe.weight<8x8xf32, basis[3]>, !moe.weight<1x3xf32, expert[4]>
    %v26 = arith.constant dense<[[[2, -1]], [[7, 3]], [[4, 4]], [[-1, 1]]]> : tensor<4x1x2xi32>
    %v27 = moe.leaf @p8 : !moe.weight<1x1xf32, expert[4]>
    %v28 = moe.weight.sparse %v27 at %v26 : !moe.weight<1x1xf32, expert[4]>, tensor<4x1x2xi32> -> !moe.weight<8x8xf32, expert[4]>
    %v29 = moe.weight.add %v25, %v28 : !moe.weight<8x8xf32, expert[4]>, !moe.weight<8x8xf32, expert[4]>
    %v30 = moe.apply %v11, %v29 at %v1 : tensor<?x3x8xf32>, !moe.weight<8x8xf32, expert[4]> at tensor<?x3x!moe.id<expert[4]>> -> tensor<?x3x8xf32>
    %v31 = moe.leaf @p9 : !moe.weight<1x8xf32, expert[4]>
    %v32 = moe.leaf @p10 : !moe.weight<1x1xf32, expert[4]>
    %v33 = moe.weight.scale input %v31, %v32 : !moe.weight<1x8xf32, expert[4]>, !moe.weight<1x1xf32, expert[4]>
    %v34 = moe.leaf @p11 : !moe.weight<1x1xf32>
    %v35 = moe.weight.scale input %v33, %v34 : !moe.weight<1x8xf32, expert[4]>, !moe.weight<1x1xf32>
    %v36 = moe.lookup %v35 at %v1 : !moe.weight<1x8xf32, expert[4]>, tensor<?x3x!moe.id<expert[4]>> -> tensor<?x3x8xf32>
    %v37 = arith.addf %v11, %v19 : tensor<?x3x8xf32>
    return %v37, %v19, %v11 : tensor<?x3x8xf32>, tensor<?x3x8xf32>, tensor<?x3x8xf32>
  }
}
