// RUN: moe-opt %s --moe-outline-kernels --split-input-file --verify-diagnostics

func.func @tensors(%x: tensor<8xf32>, %y: memref<8xf32>) attributes {moec.arguments = []} {
  %zero = arith.constant 0.0 : f32
  // expected-error@+1 {{is on tensors: expected buffers}}
  %0 = linalg.fill ins(%zero : f32) outs(%x : tensor<8xf32>) -> tensor<8xf32>
  return
}

// -----

func.func @vectors(%x: memref<8xf32>, %v: vector<8xf32>) attributes {moec.arguments = []} {
  %c0 = arith.constant 0 : index
  // expected-error@+1 {{a kernel needs a value of type 'vector<8xf32>': expected buffers and scalars}}
  vector.store %v, %x[%c0] : memref<8xf32>, vector<8xf32>
  return
}
