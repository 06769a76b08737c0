// RUN: moe-opt %s --moe-outline-kernels --split-input-file --verify-diagnostics

func.func @vectors(%x: memref<8xf32>, %v: vector<8xf32>) attributes {moec.arguments = []} {
  %c0 = arith.constant 0 : index
  // expected-error@+1 {{a kernel needs a value of type 'vector<8xf32>': expected buffers and scalars}}
  vector.store %v, %x[%c0] : memref<8xf32>, vector<8xf32>
  return
}
