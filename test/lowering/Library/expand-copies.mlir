// RUN: moe-opt %s --moe-expand-copies | FileCheck %s

// A strided side, on either end, makes a loop of the copy.
// CHECK-LABEL: func.func @strided
// CHECK-SAME: (%[[X:.+]]: memref<?x4xf32, strided<[?, ?], offset: ?>>, %[[Y:.+]]: memref<?x4xf32>)
// CHECK: linalg.generic {{.*}} ins(%[[X]] : {{.*}}) outs(%[[Y]] : {{.*}})
// CHECK: linalg.generic {{.*}} ins(%[[Y]] : {{.*}}) outs(%[[X]] : {{.*}})
// CHECK-NOT: memref.copy
// CHECK: return
func.func @strided(%x: memref<?x4xf32, strided<[?, ?], offset: ?>>, %y: memref<?x4xf32>) {
  memref.copy %x, %y : memref<?x4xf32, strided<[?, ?], offset: ?>> to memref<?x4xf32>
  memref.copy %y, %x : memref<?x4xf32> to memref<?x4xf32, strided<[?, ?], offset: ?>>
  return
}

// Plain copies are memcpy.
// CHECK-LABEL: func.func @plain
// CHECK: memref.copy
// CHECK: memref.copy
func.func @plain(%x: memref<?x4xf32>, %y: memref<?x4xf32>, %z: memref<f32>, %w: memref<f32>) {
  memref.copy %x, %y : memref<?x4xf32> to memref<?x4xf32>
  memref.copy %z, %w : memref<f32> to memref<f32>
  return
}
