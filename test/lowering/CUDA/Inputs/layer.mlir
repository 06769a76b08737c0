// A layer of bf16: two of four clusters for a token, four of sixteen experts, gate, up and down of rank 4.
!tokens = tensor<?x64xbf16>
!up_base = !moe.weight<64x96xbf16, cluster[4]>
!up_a = !moe.weight<64x4xbf16, expert[16]>
!up_b = !moe.weight<4x96xbf16, expert[16]>
!up = !moe.weight<64x96xbf16, expert[16]>
!down_base = !moe.weight<96x64xbf16, cluster[4]>
!down_a = !moe.weight<96x4xbf16, expert[16]>
!down_b = !moe.weight<4x64xbf16, expert[16]>
!down = !moe.weight<96x64xbf16, expert[16]>
!table = !moe.table<expert[16] -> cluster[4]>
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
func.func @layer(%x: !tokens {moec.name = "x"}, %logits: tensor<?x16xbf16> {moec.name = "logits"}) -> (!tokens {moec.name = "y"}) {
  %cluster = moe.leaf @cluster : !table
  %ids, %p = moe.route %logits score softmax limit <keep 2 of 4 by max> clusters %cluster
    choose <top_k 4> gates <scores, l1> : (tensor<?x16xbf16>, !table) -> (tensor<?x4x!moe.id<expert[16]>>, tensor<?x4xbf16>)
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
  %y = moe.experts %x to %ids weighted %p gate %gate up %up down %down act <silu>
    : (!tokens, tensor<?x4x!moe.id<expert[16]>>, tensor<?x4xbf16>, !up, !up, !down) -> !tokens
  return %y : !tokens
}
