// A pre-norm transformer block whose 16 experts share 4 bases: RMSNorm, two-stage router, SwiGLU experts, residual add.
// Each matrix of an expert is the base of its cluster plus a residual of rank 4 of its own. Each token meets one cluster and
// four of its experts, so the base is worth computing once instead of four times.

!tokens = tensor<?x64xf32>
!ids = tensor<?x4x!moe.id<expert[16]>>
!table = !moe.table<expert[16] -> cluster[4]>
!up_base = !moe.weight<64x48xf32, cluster[4]>
!up_a = !moe.weight<64x4xf32, expert[16]>
!up_b = !moe.weight<4x48xf32, expert[16]>
!up = !moe.weight<64x48xf32, expert[16]>
!down_base = !moe.weight<48x64xf32, cluster[4]>
!down_a = !moe.weight<48x4xf32, expert[16]>
!down_b = !moe.weight<4x64xf32, expert[16]>
!down = !moe.weight<48x64xf32, expert[16]>

moe.param private @cluster : !table = dense<[0, 1, 2, 3, 0, 1, 2, 3, 3, 2, 1, 0, 3, 2, 1, 0]> : tensor<16xi32>
moe.param private @gate.base : !up_base = #moe.seeded<1 scale 0.2>
moe.param private @gate.a : !up_a = #moe.seeded<2 scale 0.1>
moe.param private @gate.b : !up_b = #moe.seeded<3 scale 0.1>
moe.param private @up.base : !up_base = #moe.seeded<4 scale 0.2>
moe.param private @up.a : !up_a = #moe.seeded<5 scale 0.1>
moe.param private @up.b : !up_b = #moe.seeded<6 scale 0.1>
moe.param private @down.base : !down_base = #moe.seeded<7 scale 0.2>
moe.param private @down.a : !down_a = #moe.seeded<8 scale 0.1>
moe.param private @down.b : !down_b = #moe.seeded<9 scale 0.1>

#row = affine_map<(t, d) -> (t, d)>
#token = affine_map<(t, d) -> (t)>
#feature = affine_map<(t, d) -> (d)>

func.func @block(%x: !tokens {moec.name = "x"}, %norm: tensor<64xf32> {moec.name = "norm"},
                 %router: tensor<64x16xf32> {moec.name = "router"}, %prototypes: tensor<64x4xf32> {moec.name = "prototypes"})
    -> (!tokens {moec.name = "y"}) {
  // RMSNorm: x / sqrt(mean(x²) + 1e-6) · norm
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0.0 : f32
  %width = arith.constant 64.0 : f32
  %epsilon = arith.constant 1.0e-6 : f32
  %tokens = tensor.dim %x, %c0 : !tokens
  %sums = tensor.empty(%tokens) : tensor<?xf32>
  %no_sums = linalg.fill ins(%zero : f32) outs(%sums : tensor<?xf32>) -> tensor<?xf32>
  %squares = linalg.generic {indexing_maps = [#row, #token], iterator_types = ["parallel", "reduction"]}
      ins(%x : !tokens) outs(%no_sums : tensor<?xf32>) {
  ^bb0(%a: f32, %sum: f32):
    %square = arith.mulf %a, %a : f32
    %next = arith.addf %sum, %square : f32
    linalg.yield %next : f32
  } -> tensor<?xf32>
  %like_x = tensor.empty(%tokens) : !tokens
  %n = linalg.generic {indexing_maps = [#row, #token, #feature, #row], iterator_types = ["parallel", "parallel"]}
      ins(%x, %squares, %norm : !tokens, tensor<?xf32>, tensor<64xf32>) outs(%like_x : !tokens) {
  ^bb0(%a: f32, %sum: f32, %weight: f32, %unused: f32):
    %mean = arith.divf %sum, %width : f32
    %safe = arith.addf %mean, %epsilon : f32
    %scale = math.rsqrt %safe : f32
    %scaled = arith.mulf %a, %scale : f32
    %weighted = arith.mulf %scaled, %weight : f32
    linalg.yield %weighted : f32
  } -> !tokens

  // Router: the best of four clusters by prototype, then the best four experts in it.
  %like_logits = tensor.empty(%tokens) : tensor<?x16xf32>
  %no_logits = linalg.fill ins(%zero : f32) outs(%like_logits : tensor<?x16xf32>) -> tensor<?x16xf32>
  %logits = linalg.matmul ins(%n, %router : !tokens, tensor<64x16xf32>) outs(%no_logits : tensor<?x16xf32>) -> tensor<?x16xf32>
  %like_scores = tensor.empty(%tokens) : tensor<?x4xf32>
  %no_scores = linalg.fill ins(%zero : f32) outs(%like_scores : tensor<?x4xf32>) -> tensor<?x4xf32>
  %scores = linalg.matmul ins(%n, %prototypes : !tokens, tensor<64x4xf32>) outs(%no_scores : tensor<?x4xf32>) -> tensor<?x4xf32>
  %cluster = moe.leaf @cluster : !table
  %ids, %p = moe.route %logits score softmax limit <keep 1 of 4 by logits> clusters %cluster scored by %scores
    choose <top_k 4> gates <scores, l1> : (tensor<?x16xf32>, !table, tensor<?x4xf32>) -> (!ids, tensor<?x4xf32>)

  // Experts: base of the cluster + residual of the expert, for each of the three matrices.
  %gate_base = moe.leaf @gate.base : !up_base
  %gate_a = moe.leaf @gate.a : !up_a
  %gate_b = moe.leaf @gate.b : !up_b
  %gate_shared = moe.weight.select %gate_base by %cluster : !up_base, !table
  %gate_own = moe.weight.mul %gate_a, %gate_b : !up_a, !up_b
  %gate = moe.weight.add %gate_shared, %gate_own : !up, !up
  %up_base = moe.leaf @up.base : !up_base
  %up_a = moe.leaf @up.a : !up_a
  %up_b = moe.leaf @up.b : !up_b
  %up_shared = moe.weight.select %up_base by %cluster : !up_base, !table
  %up_own = moe.weight.mul %up_a, %up_b : !up_a, !up_b
  %up = moe.weight.add %up_shared, %up_own : !up, !up
  %down_base = moe.leaf @down.base : !down_base
  %down_a = moe.leaf @down.a : !down_a
  %down_b = moe.leaf @down.b : !down_b
  %down_shared = moe.weight.select %down_base by %cluster : !down_base, !table
  %down_own = moe.weight.mul %down_a, %down_b : !down_a, !down_b
  %down = moe.weight.add %down_shared, %down_own : !down, !down
  %y = moe.experts %n to %ids weighted %p gate %gate up %up down %down act <silu>
    : (!tokens, !ids, tensor<?x4xf32>, !up, !up, !down) -> !tokens

  %result = arith.addf %x, %y : !tokens
  return %result : !tokens
}
