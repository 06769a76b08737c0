// Sums that are no layer's: a router's logits by weights of either layout, squares of rows.
!x = tensor<?x4096xbf16>
func.func @block0(%x: !x {moec.name = "x"}, %w: tensor<4096x64xbf16> {moec.name = "w"}, %v: tensor<64x4096xbf16> {moec.name = "v"},
                  %y: tensor<?x64xf32> {moec.name = "y"}, %s: tensor<?xf32> {moec.name = "s"})
    -> (tensor<?x64xf32> {moec.name = "logits"}, tensor<?x64xf32> {moec.name = "others"}, tensor<?xf32> {moec.name = "squares"}) {
  %logits = linalg.matmul ins(%x, %w : !x, tensor<4096x64xbf16>) outs(%y : tensor<?x64xf32>) -> tensor<?x64xf32>
  %others = linalg.matmul indexing_maps = [affine_map<(t, e, d) -> (t, d)>, affine_map<(t, e, d) -> (e, d)>, affine_map<(t, e, d) -> (t, e)>]
    ins(%x, %v : !x, tensor<64x4096xbf16>) outs(%y : tensor<?x64xf32>) -> tensor<?x64xf32>
  %squares = linalg.generic {indexing_maps = [affine_map<(t, d) -> (t, d)>, affine_map<(t, d) -> (t)>], iterator_types = ["parallel", "reduction"]}
      ins(%x : !x) outs(%s : tensor<?xf32>) {
  ^bb0(%a: bf16, %sum: f32):
    %wide = arith.extf %a : bf16 to f32
    %square = arith.mulf %wide, %wide : f32
    %next = arith.addf %sum, %square : f32
    linalg.yield %next : f32
  } -> tensor<?xf32>
  return %logits, %others, %squares : tensor<?x64xf32>, tensor<?x64xf32>, tensor<?xf32>
}
