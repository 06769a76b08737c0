// A layer of examples/tiny-mixtral with its router.
!in = !moe.weight<96x160xf32, expert[16]>
!out = !moe.weight<160x96xf32, expert[16]>
!ids = tensor<?x2x!moe.id<expert[16]>>
moe.param private @layer0.router : !moe.weight<96x16xf32> = #moe.external<"model"::"layers.0.router"> encoding <bf16>
moe.param private @layer0.gate : !in = #moe.external<"model"::"layers.0.gate"> encoding <bf16>
moe.param private @layer0.up : !in = #moe.external<"model"::"layers.0.up"> encoding <bf16>
moe.param private @layer0.down : !out = #moe.external<"model"::"layers.0.down"> encoding <bf16>
func.func @layer0(%x: tensor<?x96xf32>) -> tensor<?x96xf32> {
  %r = moe.leaf @layer0.router : !moe.weight<96x16xf32>
  %l = moe.apply %x, %r : tensor<?x96xf32>, !moe.weight<96x16xf32> -> tensor<?x16xf32>
  %ids, %p = moe.route %l score softmax choose <top_k 2> gates <scores, l1> : (tensor<?x16xf32>) -> (!ids, tensor<?x2xf32>)
  %g = moe.leaf @layer0.gate : !in
  %u = moe.leaf @layer0.up : !in
  %d = moe.leaf @layer0.down : !out
  %y = moe.experts %x to %ids weighted %p gate %g up %u down %d act <silu>
    : (tensor<?x96xf32>, !ids, tensor<?x2xf32>, !in, !in, !out) -> tensor<?x96xf32>
  return %y : tensor<?x96xf32>
}
func.func @from_elsewhere(%x: tensor<?x96xf32>, %l: tensor<?x16xf32>) -> tensor<?x96xf32> {
  %ids, %p = moe.route %l score softmax choose <top_k 2> gates <scores, l1> : (tensor<?x16xf32>) -> (!ids, tensor<?x2xf32>)
  %g = moe.leaf @layer0.gate : !in
  %u = moe.leaf @layer0.up : !in
  %d = moe.leaf @layer0.down : !out
  %y = moe.experts %x to %ids weighted %p gate %g up %u down %d act <silu>
    : (tensor<?x96xf32>, !ids, tensor<?x2xf32>, !in, !in, !out) -> tensor<?x96xf32>
  return %y : tensor<?x96xf32>
}
