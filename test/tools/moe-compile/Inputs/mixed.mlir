// A layer small enough for its experts to be fitted in a test.
!up = !moe.weight<24x32xf32, expert[4]>
!down = !moe.weight<32x24xf32, expert[4]>
moe.param private @up : !up = #moe.seeded<1 scale 0.3>
moe.param private @down : !down = #moe.seeded<2 scale 0.3>
moe.param private @router : !moe.weight<24x4xf32> = #moe.seeded<3>
func.func @layer0(%x: tensor<?x24xf32>) -> tensor<?x24xf32> {
  %r = moe.leaf @router : !moe.weight<24x4xf32>
  %u = moe.leaf @up : !up
  %d = moe.leaf @down : !down
  %l = moe.apply %x, %r : tensor<?x24xf32>, !moe.weight<24x4xf32> -> tensor<?x4xf32>
  %ids, %p = moe.route %l score softmax choose <top_k 2> gates <scores, l1>
    : (tensor<?x4xf32>) -> (tensor<?x2x!moe.id<expert[4]>>, tensor<?x2xf32>)
  %y = moe.experts %x to %ids weighted %p up %u down %d act <silu>
    : (tensor<?x24xf32>, tensor<?x2x!moe.id<expert[4]>>, tensor<?x2xf32>, !up, !down) -> tensor<?x24xf32>
  return %y : tensor<?x24xf32>
}
