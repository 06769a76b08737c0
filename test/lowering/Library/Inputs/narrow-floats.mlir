// Conversions from and to f16 and bf16, each as an entry.
func.func @f16_to_f32(%x: tensor<?xf16>) -> tensor<?xf32> {
  %r = arith.extf %x : tensor<?xf16> to tensor<?xf32>
  return %r : tensor<?xf32>
}
func.func @bf16_to_f32(%x: tensor<?xbf16>) -> tensor<?xf32> {
  %r = arith.extf %x : tensor<?xbf16> to tensor<?xf32>
  return %r : tensor<?xf32>
}
func.func @f32_to_f16(%x: tensor<?xf32>) -> tensor<?xf16> {
  %r = arith.truncf %x : tensor<?xf32> to tensor<?xf16>
  return %r : tensor<?xf16>
}
func.func @f32_to_bf16(%x: tensor<?xf32>) -> tensor<?xbf16> {
  %r = arith.truncf %x : tensor<?xf32> to tensor<?xbf16>
  return %r : tensor<?xbf16>
}
func.func @f64_to_f16(%x: tensor<?xf64>) -> tensor<?xf16> {
  %r = arith.truncf %x : tensor<?xf64> to tensor<?xf16>
  return %r : tensor<?xf16>
}
func.func @f64_to_bf16(%x: tensor<?xf64>) -> tensor<?xbf16> {
  %r = arith.truncf %x : tensor<?xf64> to tensor<?xbf16>
  return %r : tensor<?xbf16>
}
