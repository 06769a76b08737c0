// RUN: moe-opt %s --convert-moe-to-cuda --split-input-file --verify-diagnostics

func.func @unmarked(%x: memref<8x32xf32>, %i: memref<8xi32>, %y: memref<8x32xf32>) attributes {moec.arguments = []} {
  // expected-error@+1 {{has no kernel: expected one that moe-select-cuda-kernels marked, on buffers}}
  moe.gather ins(%x, %i : memref<8x32xf32>, memref<8xi32>) outs(%y : memref<8x32xf32>)
  return
}

// -----

func.func @tensors(%x: tensor<8x32xf32>, %i: tensor<8xi32>, %y: tensor<8x32xf32>) -> tensor<8x32xf32> attributes {moec.arguments = []} {
  // expected-error@+1 {{has no kernel: expected one that moe-select-cuda-kernels marked, on buffers}}
  %0 = moe.scatter_combine ins(%x, %i : tensor<8x32xf32>, tensor<8xi32>) outs(%y : tensor<8x32xf32>) {moe.kernel} -> tensor<8x32xf32>
  return %0 : tensor<8x32xf32>
}
