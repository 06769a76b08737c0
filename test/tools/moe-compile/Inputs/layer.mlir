// Two experts that share an up matrix, from outside, and have a down matrix of their own.
!base = !moe.weight<4x4xf32, cluster[1]>
!own = !moe.weight<4x4xf32, expert[2]>
!ids = tensor<?x2x!moe.id<expert[2]>>
moe.param private @up : !base = #moe.external<"model"::"up">
moe.param private @down : !own = #moe.seeded<7>
moe.param private @cluster : !moe.table<expert[2] -> cluster[1]> = dense<0> : tensor<2xi32>
func.func @layer(%x: tensor<?x4xf32> {moec.name = "x"}, %ids: !ids {moec.name = "ids"}, %p: tensor<?x2xf32> {moec.name = "p"}) -> (tensor<?x4xf32> {moec.name = "y"}) {
  %b = moe.leaf @up : !base
  %t = moe.leaf @cluster : !moe.table<expert[2] -> cluster[1]>
  %u = moe.weight.select %b by %t : !base, !moe.table<expert[2] -> cluster[1]>
  %d = moe.leaf @down : !own
  %y = moe.experts %x to %ids weighted %p up %u down %d act <identity> : (tensor<?x4xf32>, !ids, tensor<?x2xf32>, !own, !own) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}
