// What the reference lowering refuses.
// RUN: moe-opt %s --convert-moe-to-linalg --split-input-file --verify-diagnostics
// RUN: not moe-opt %s --convert-moe-to-linalg="weights=model" --split-input-file 2>&1 | FileCheck %s

// CHECK: error: option weights: expected scope=path.safetensors, scope=splat:VALUE or scope=seeded:SEED[:SCALE], found 'model'
func.func @gather(%x: memref<4x8xf32>, %i: memref<3xi32>, %o: memref<3x8xf32>) {
  // expected-error @below {{'moe.gather' op is on buffers, which the reference lowering does not take; run it before bufferization}}
  moe.gather ins(%x, %i : memref<4x8xf32>, memref<3xi32>) outs(%o : memref<3x8xf32>)
  return
}

// -----

func.func @scatter(%x: memref<3x8xf32>, %i: memref<3xi32>, %o: memref<4x8xf32>) {
  // expected-error @below {{'moe.scatter_combine' op is on buffers}}
  moe.scatter_combine ins(%x, %i : memref<3x8xf32>, memref<3xi32>) outs(%o : memref<4x8xf32>)
  return
}

// -----

func.func @matmul(%x: memref<4x8xf32>, %w: !moe.weight<8x6xf32>, %o: memref<4x6xf32>) {
  // expected-error @below {{'moe.grouped_matmul' op is on buffers}}
  moe.grouped_matmul ins(%x : memref<4x8xf32>) weights(%w : !moe.weight<8x6xf32>) outs(%o : memref<4x6xf32>)
  return
}
