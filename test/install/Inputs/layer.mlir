// An expert layer with the arguments that docs/artifact.md calls it with.
!x = tensor<?x64xf32>
!ids = tensor<?x2x!moe.id<expert[4]>>
!gates = tensor<?x2xf32>
!up = !moe.weight<64x8xf32, expert[4]>
!down = !moe.weight<8x64xf32, expert[4]>

moe.param private @up : !up = #moe.seeded<1>
moe.param private @down : !down = #moe.seeded<2>

func.func @layer(%x: !x, %ids: !ids) -> !x {
  %up = moe.leaf @up : !up
  %down = moe.leaf @down : !down
  %c0 = arith.constant 0 : index
  %one = arith.constant 1.0 : f32
  %tokens = tensor.dim %x, %c0 : !x
  %empty = tensor.empty(%tokens) : !gates
  %ones = linalg.fill ins(%one : f32) outs(%empty : !gates) -> !gates
  %y = moe.experts %x to %ids weighted %ones up %up down %down act <relu> : (!x, !ids, !gates, !up, !down) -> !x
  return %y : !x
}
