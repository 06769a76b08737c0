// Memory of ids becomes memory of numbers, and what looked at them looks at these.
// RUN: moe-opt %s --convert-moe-to-cpu --canonicalize | FileCheck %s --implicit-check-not=moe.wrap --implicit-check-not=id_cast

// CHECK-LABEL: func.func @ids(
// CHECK:         memref.alloc(%{{.*}}) {{.*}}: memref<?xi32>
// CHECK:         func.call @ids_gather
func.func @ids(%x: memref<?x!moe.id<expert[4]>>, %i: memref<?xi32>, %n: index, %sizes: memref<1xindex>) attributes {moec.arguments = []} {
  %c0 = arith.constant 0 : index
  %numbers = memref.alloc(%n) : memref<?xi32>
  %ids = moe.id_cast %numbers : memref<?xi32> to memref<?x!moe.id<expert[4]>>
  %to = memref.alloc(%n) {alignment = 64 : i64} : memref<?x!moe.id<expert[4]>>
  moe.gather ins(%ids, %i : memref<?x!moe.id<expert[4]>>, memref<?xi32>) outs(%to : memref<?x!moe.id<expert[4]>>)
  %d = memref.dim %ids, %c0 : memref<?x!moe.id<expert[4]>>
  memref.store %d, %sizes[%c0] : memref<1xindex>
  return
}

// A function that is no entry stays as it is.
// CHECK-LABEL: func.func private @other(
// CHECK:         moe.gather
func.func private @other(%x: memref<?x16xf32>, %i: memref<?xi32>, %y: memref<?x16xf32>) {
  moe.gather ins(%x, %i : memref<?x16xf32>, memref<?xi32>) outs(%y : memref<?x16xf32>)
  return
}
