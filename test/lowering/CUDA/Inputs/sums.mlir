// Sums that are no layer's: a router's logits by weights of either layout, squares of rows, a product of many columns.
!x = tensor<?x4096xbf16>
!wide = tensor<?x1024xf32>
func.func @block0(%x: !x {moec.name = "x"}, %w: tensor<4096x64xbf16> {moec.name = "w"}, %v: tensor<64x4096xbf16> {moec.name = "v"},
                  %y: tensor<?x64xf32> {moec.name = "y"}, %s: tensor<?xf32> {moec.name = "s"}, %u: tensor<4096x1024xbf16> {moec.name = "u"},
                  %t: !wide {moec.name = "t"})
    -> (tensor<?x64xf32> {moec.name = "logits"}, tensor<?x64xf32> {moec.name = "others"}, tensor<?xf32> {moec.name = "squares"},
        !wide {moec.name = "wide"}) {
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
  %z = linalg.matmul ins(%x, %u : !x, tensor<4096x1024xbf16>) outs(%t : !wide) -> !wide
  return %logits, %others, %squares, %z : tensor<?x64xf32>, tensor<?x64xf32>, tensor<?xf32>, !wide
}
