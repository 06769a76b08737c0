// RUN: moe-opt %s --moe-make-parallel-loops --verify-diagnostics

func.func @tensors(%x: tensor<8xf32>, %y: memref<8xf32>) attributes {moec.arguments = []} {
  %zero = arith.constant 0.0 : f32
  // expected-error@+1 {{is on tensors: expected buffers}}
  %0 = linalg.fill ins(%zero : f32) outs(%x : tensor<8xf32>) -> tensor<8xf32>
  return
}
