// RUN: moe-opt %s --convert-moe-to-cpu --split-input-file --verify-diagnostics
// RUN: not moe-opt %s --convert-moe-to-cpu=isa=avx9 2>&1 | FileCheck %s

// CHECK: option isa: expected portable, x86-64-v3, x86-64-v4 or sapphirerapids, found 'avx9'
func.func @wide(%x: memref<8x32xf64>, %i: memref<8xi32>, %y: memref<8x32xf64>) attributes {moec.arguments = []} {
  // expected-error@+1 {{cannot become a kernel: it computes in f64}}
  moe.gather ins(%x, %i : memref<8x32xf64>, memref<8xi32>) outs(%y : memref<8x32xf64>)
  return
}

// -----

func.func @tensors(%x: tensor<8x32xf32>, %i: tensor<8xi32>, %y: tensor<8x32xf32>) -> tensor<8x32xf32> attributes {moec.arguments = []} {
  // expected-error@+1 {{is on tensors: expected buffers}}
  %0 = moe.gather ins(%x, %i : tensor<8x32xf32>, tensor<8xi32>) outs(%y : tensor<8x32xf32>) -> tensor<8x32xf32>
  return %0 : tensor<8x32xf32>
}
