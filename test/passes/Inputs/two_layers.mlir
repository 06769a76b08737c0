// Two layers of one shape: a router, and 8 experts whose matrices are the base of their cluster and a residual of rank 4.
!tokens = tensor<?x32xf32>
!ids = tensor<?x2x!moe.id<expert[8]>>
!table = !moe.table<expert[8] -> cluster[4]>
!base = !moe.weight<32x48xf32, cluster[4]>
!a = !moe.weight<32x4xf32, expert[8]>
!b = !moe.weight<4x48xf32, expert[8]>
!own = !moe.weight<32x48xf32, expert[8]>
!down_base = !moe.weight<48x32xf32, cluster[4]>
!down_a = !moe.weight<48x4xf32, expert[8]>
!down_b = !moe.weight<4x32xf32, expert[8]>
!down_own = !moe.weight<48x32xf32, expert[8]>

moe.param private @layer0.router : !moe.weight<32x8xf32> = #moe.seeded<1>
moe.param private @layer0.cluster : !table = dense<[0, 1, 2, 3, 0, 1, 2, 3]> : tensor<8xi32>
moe.param private @layer0.gate.base : !base = #moe.seeded<2 scale 0.2> encoding <int8 group 16 scale f16>
moe.param private @layer0.gate.a : !a = #moe.seeded<3 scale 0.1>
moe.param private @layer0.gate.b : !b = #moe.seeded<4 scale 0.1>
moe.param private @layer0.up.base : !base = #moe.seeded<5 scale 0.2> encoding <int8 group 16 scale f16>
moe.param private @layer0.up.a : !a = #moe.seeded<6 scale 0.1>
moe.param private @layer0.up.b : !b = #moe.seeded<7 scale 0.1>
moe.param private @layer0.down.base : !down_base = #moe.seeded<8 scale 0.2> encoding <int8 group 16 scale f16>
moe.param private @layer0.down.a : !down_a = #moe.seeded<9 scale 0.1>
moe.param private @layer0.down.b : !down_b = #moe.seeded<10 scale 0.1>
func.func @layer0(%x: !tokens {moec.name = "x"}) -> (!tokens {moec.name = "y"}) {
  %router = moe.leaf @layer0.router : !moe.weight<32x8xf32>
  %logits = moe.apply %x, %router : !tokens, !moe.weight<32x8xf32> -> tensor<?x8xf32>
  %ids, %p = moe.route %logits score softmax choose <top_k 2> gates <scores, l1> : (tensor<?x8xf32>) -> (!ids, tensor<?x2xf32>)
  %cluster = moe.leaf @layer0.cluster : !table
  %gate_base = moe.leaf @layer0.gate.base : !base
  %gate_a = moe.leaf @layer0.gate.a : !a
  %gate_b = moe.leaf @layer0.gate.b : !b
  %gate_shared = moe.weight.select %gate_base by %cluster : !base, !table
  %gate_own = moe.weight.mul %gate_a, %gate_b : !a, !b
  %gate = moe.weight.add %gate_shared, %gate_own : !own, !own
  %up_base = moe.leaf @layer0.up.base : !base
  %up_a = moe.leaf @layer0.up.a : !a
  %up_b = moe.leaf @layer0.up.b : !b
  %up_shared = moe.weight.select %up_base by %cluster : !base, !table
  %up_own = moe.weight.mul %up_a, %up_b : !a, !b
  %up = moe.weight.add %up_shared, %up_own : !own, !own
  %down_base = moe.leaf @layer0.down.base : !down_base
  %down_a = moe.leaf @layer0.down.a : !down_a
  %down_b = moe.leaf @layer0.down.b : !down_b
  %down_shared = moe.weight.select %down_base by %cluster : !down_base, !table
  %down_own = moe.weight.mul %down_a, %down_b : !down_a, !down_b
  %down = moe.weight.add %down_shared, %down_own : !down_own, !down_own
  %y = moe.experts %x to %ids weighted %p gate %gate up %up down %down act <silu>
    : (!tokens, !ids, tensor<?x2xf32>, !own, !own, !down_own) -> !tokens
  return %y : !tokens
}

moe.param private @layer1.router : !moe.weight<32x8xf32> = #moe.seeded<11>
moe.param private @layer1.cluster : !table = dense<[0, 1, 2, 3, 0, 1, 2, 3]> : tensor<8xi32>
moe.param private @layer1.gate.base : !base = #moe.seeded<12 scale 0.2> encoding <int8 group 16 scale f16>
moe.param private @layer1.gate.a : !a = #moe.seeded<13 scale 0.1>
moe.param private @layer1.gate.b : !b = #moe.seeded<14 scale 0.1>
moe.param private @layer1.up.base : !base = #moe.seeded<15 scale 0.2> encoding <int8 group 16 scale f16>
moe.param private @layer1.up.a : !a = #moe.seeded<16 scale 0.1>
moe.param private @layer1.up.b : !b = #moe.seeded<17 scale 0.1>
moe.param private @layer1.down.base : !down_base = #moe.seeded<18 scale 0.2> encoding <int8 group 16 scale f16>
moe.param private @layer1.down.a : !down_a = #moe.seeded<19 scale 0.1>
moe.param private @layer1.down.b : !down_b = #moe.seeded<20 scale 0.1>
func.func @layer1(%x: !tokens {moec.name = "x"}) -> (!tokens {moec.name = "y"}) {
  %router = moe.leaf @layer1.router : !moe.weight<32x8xf32>
  %logits = moe.apply %x, %router : !tokens, !moe.weight<32x8xf32> -> tensor<?x8xf32>
  %ids, %p = moe.route %logits score softmax choose <top_k 2> gates <scores, l1> : (tensor<?x8xf32>) -> (!ids, tensor<?x2xf32>)
  %cluster = moe.leaf @layer1.cluster : !table
  %gate_base = moe.leaf @layer1.gate.base : !base
  %gate_a = moe.leaf @layer1.gate.a : !a
  %gate_b = moe.leaf @layer1.gate.b : !b
  %gate_shared = moe.weight.select %gate_base by %cluster : !base, !table
  %gate_own = moe.weight.mul %gate_a, %gate_b : !a, !b
  %gate = moe.weight.add %gate_shared, %gate_own : !own, !own
  %up_base = moe.leaf @layer1.up.base : !base
  %up_a = moe.leaf @layer1.up.a : !a
  %up_b = moe.leaf @layer1.up.b : !b
  %up_shared = moe.weight.select %up_base by %cluster : !base, !table
  %up_own = moe.weight.mul %up_a, %up_b : !a, !b
  %up = moe.weight.add %up_shared, %up_own : !own, !own
  %down_base = moe.leaf @layer1.down.base : !down_base
  %down_a = moe.leaf @layer1.down.a : !down_a
  %down_b = moe.leaf @layer1.down.b : !down_b
  %down_shared = moe.weight.select %down_base by %cluster : !down_base, !table
  %down_own = moe.weight.mul %down_a, %down_b : !down_a, !down_b
  %down = moe.weight.add %down_shared, %down_own : !down_own, !down_own
  %y = moe.experts %x to %ids weighted %p gate %gate up %up down %down act <silu>
    : (!tokens, !ids, tensor<?x2xf32>, !own, !own, !down_own) -> !tokens
  return %y : !tokens
}
