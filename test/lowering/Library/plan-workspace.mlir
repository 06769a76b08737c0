// RUN: moe-opt %s --moe-plan-workspace --split-input-file | FileCheck %s

// A buffer of T rows becomes a view into the workspace; the query computes its bytes from T alone, in steps of 64.
// CHECK-LABEL: func.func @one
// CHECK-SAME: (%[[X:.+]]: memref<?x8xf32>, %[[WORKSPACE:.+]]: memref<?xi8>)
// CHECK: %[[T:.+]] = memref.dim %[[X]], %{{.+}}
// CHECK: %[[VIEW:.+]] = memref.view %[[WORKSPACE]][%{{.+}}][%{{.+}}] : memref<?xi8> to memref<?x8xf32>
// CHECK: memref.copy %[[X]], %[[VIEW]]
// CHECK-NOT: memref.alloc
// CHECK-NOT: memref.dealloc
// CHECK: return
// CHECK-LABEL: func.func @one_workspace
// CHECK-SAME: (%[[X:.+]]: memref<?x8xf32>) -> i64
// CHECK: %[[T:.+]] = memref.dim %[[X]], %{{.+}}
// CHECK: %[[ROW:.+]] = arith.constant 32 : i64
// CHECK: %[[T64:.+]] = arith.index_cast %[[T]] : index to i64
// CHECK: %{{.+}}, %[[HIGH:.+]] = arith.mului_extended %[[ROW]], %[[T64]] : i64
// CHECK: arith.cmpi ne, %[[HIGH]], %{{.+}} : i64
// CHECK: arith.constant 63 : i64
// CHECK: arith.constant -64 : i64
// CHECK: %[[LARGEST:.+]] = arith.constant 2147483647 : index
// CHECK: %[[TOO_LARGE:.+]] = arith.cmpi ugt, %[[T]], %[[LARGEST]] : index
// CHECK: %[[ALL:.+]] = arith.constant 9223372036854775807 : i64
// CHECK: %[[BYTES:.+]] = arith.select %[[TOO_LARGE]], %[[ALL]], %{{.+}} : i64
// CHECK: return %[[BYTES]]
func.func @one(%x: memref<?x8xf32>) attributes {moec.arguments = []} {
  %c0 = arith.constant 0 : index
  %t = memref.dim %x, %c0 : memref<?x8xf32>
  %a = memref.alloc(%t) {alignment = 64 : i64} : memref<?x8xf32>
  memref.copy %x, %a : memref<?x8xf32> to memref<?x8xf32>
  memref.dealloc %a : memref<?x8xf32>
  return
}

// -----

// No scratch memory: the workspace argument is there all the same.
// CHECK-LABEL: func.func @none
// CHECK-SAME: (%{{.+}}: memref<4xf32>, %{{.+}}: memref<?xi8>)
// CHECK-LABEL: func.func @none_workspace
// CHECK: %[[ZERO:.+]] = arith.constant 0 : i64
// CHECK: return %[[ZERO]]
func.func @none(%x: memref<4xf32>) attributes {moec.arguments = []} {
  return
}

// -----

// %a is done when %c begins: they share a place, as large as the larger one. %b lives beside both.
// CHECK-LABEL: func.func @reuse
// CHECK-SAME: %[[WORKSPACE:[a-z0-9]+]]: memref<?xi8>)
// CHECK: %[[FIRST:.+]] = arith.constant 0 : index
// CHECK: %[[SIZE:.+]] = arith.constant 128 : index
// CHECK: %[[SECOND:.+]] = arith.addi %[[FIRST]], %{{.+}} : index
// CHECK: memref.view %[[WORKSPACE]][%[[FIRST]]][] : memref<?xi8> to memref<16xf32>
// CHECK: memref.view %[[WORKSPACE]][%[[SECOND]]][] : memref<?xi8> to memref<16xf32>
// CHECK: memref.view %[[WORKSPACE]][%[[FIRST]]][] : memref<?xi8> to memref<16xf64>
func.func @reuse(%x: memref<16xf32>, %y: memref<16xf64>) attributes {moec.arguments = []} {
  %a = memref.alloc() : memref<16xf32>
  memref.copy %x, %a : memref<16xf32> to memref<16xf32>
  %b = memref.alloc() : memref<16xf32>
  memref.copy %a, %b : memref<16xf32> to memref<16xf32>
  %c = memref.alloc() : memref<16xf64>
  memref.copy %y, %c : memref<16xf64> to memref<16xf64>
  memref.copy %b, %x : memref<16xf32> to memref<16xf32>
  memref.copy %c, %y : memref<16xf64> to memref<16xf64>
  return
}

// -----

// A use through a view, even in a branch, keeps the place occupied.
// CHECK-LABEL: func.func @alias
// CHECK: %[[FIRST:.+]] = arith.constant 0 : index
// CHECK: %[[SECOND:.+]] = arith.addi %[[FIRST]], %{{.+}} : index
// CHECK: memref.view %{{.+}}[%[[FIRST]]][]
// CHECK: memref.view %{{.+}}[%[[SECOND]]][]
func.func @alias(%x: memref<16xf32>) attributes {moec.arguments = []} {
  %c0 = arith.constant 0 : index
  %a = memref.alloc() : memref<16xf32>
  memref.copy %x, %a : memref<16xf32> to memref<16xf32>
  %half = memref.subview %a[0] [8] [1] : memref<16xf32> to memref<8xf32>
  %v = memref.load %x[%c0] : memref<16xf32>
  %p = arith.cmpf ogt, %v, %v : f32
  %either = scf.if %p -> memref<8xf32> {
    scf.yield %half : memref<8xf32>
  } else {
    %q = memref.subview %x[0] [8] [1] : memref<16xf32> to memref<8xf32>
    scf.yield %q : memref<8xf32>
  }
  %b = memref.alloc() : memref<16xf32>
  memref.copy %x, %b : memref<16xf32> to memref<16xf32>
  %w = memref.load %either[%c0] : memref<8xf32>
  memref.store %w, %x[%c0] : memref<16xf32>
  return
}

// -----

// In a loop there is one place for all turns. A size that the turn decides is taken at its bound.
// CHECK-LABEL: func.func @loop
// CHECK-SAME: (%[[X:.+]]: memref<?x8xf32>, %[[WORKSPACE:.+]]: memref<?xi8>)
// CHECK: scf.for
// CHECK: %[[TILE:.+]] = affine.min
// CHECK: memref.view %[[WORKSPACE]][%{{.+}}][%[[TILE]]] : memref<?xi8> to memref<?x8xf32>
// CHECK-LABEL: func.func @loop_workspace
// CHECK-NOT: memref.dim
// CHECK: arith.constant 512 : i64
func.func @loop(%x: memref<?x8xf32>) attributes {moec.arguments = []} {
  %c0 = arith.constant 0 : index
  %c16 = arith.constant 16 : index
  %t = memref.dim %x, %c0 : memref<?x8xf32>
  scf.for %i = %c0 to %t step %c16 {
    %n = affine.min affine_map<(d0)[s0] -> (16, s0 - d0)>(%i)[%t]
    %a = memref.alloc(%n) : memref<?x8xf32>
    %s = memref.subview %x[%i, 0] [%n, 8] [1, 1] : memref<?x8xf32> to memref<?x8xf32, strided<[8, 1], offset: ?>>
    memref.copy %s, %a : memref<?x8xf32, strided<[8, 1], offset: ?>> to memref<?x8xf32>
  }
  return
}

// -----

// Extents of other buffers are traced to the arguments': through views, products and branches. Two arguments whose
// extents must agree count as one.
// CHECK-LABEL: func.func @traced
// CHECK-LABEL: func.func @traced_workspace
// CHECK-SAME: (%[[X:.+]]: memref<?x4xf32>, %[[Y:.+]]: memref<?x4xf32>) -> i64
// CHECK: %[[T:.+]] = memref.dim %[[X]], %{{.+}}
// CHECK: %[[FOUR:.+]] = arith.constant 4 : index
// CHECK: %[[FLAT:.+]] = arith.muli %[[T]], %[[FOUR]] : index
// CHECK-NOT: memref.dim %[[Y]]
// CHECK: return
func.func @traced(%x: memref<?x4xf32>, %y: memref<?x4xf32>) attributes {moec.arguments = []} {
  %c0 = arith.constant 0 : index
  memref.copy %x, %y : memref<?x4xf32> to memref<?x4xf32>
  %flat = memref.collapse_shape %y [[0, 1]] : memref<?x4xf32> into memref<?xf32>
  %n = memref.dim %flat, %c0 : memref<?xf32>
  %a = memref.alloc(%n) : memref<?xf32>
  %v = memref.load %x[%c0, %c0] : memref<?x4xf32>
  %p = arith.cmpf ogt, %v, %v : f32
  %either = scf.if %p -> memref<?x4xf32> {
    scf.yield %x : memref<?x4xf32>
  } else {
    scf.yield %y : memref<?x4xf32>
  }
  %m = memref.dim %either, %c0 : memref<?x4xf32>
  %b = memref.alloc(%m) : memref<?x4xf32>
  return
}

// -----

// A choice between buffers keeps both places occupied; so does a buffer that a loop carries.
// CHECK-LABEL: func.func @choice
// CHECK: %[[FIRST:.+]] = arith.constant 0 : index
// CHECK: %[[SECOND:.+]] = arith.addi %[[FIRST]], %{{.+}} : index
// CHECK: %[[THIRD:.+]] = arith.addi %[[SECOND]], %{{.+}} : index
// CHECK: memref.view %{{.+}}[%[[FIRST]]][]
// CHECK: memref.view %{{.+}}[%[[SECOND]]][]
// CHECK: memref.view %{{.+}}[%[[THIRD]]][]
func.func @choice(%x: memref<16xf32>, %p: memref<i1>) attributes {moec.arguments = []} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %a = memref.alloc() : memref<16xf32>
  %b = memref.alloc() : memref<16xf32>
  memref.copy %x, %a : memref<16xf32> to memref<16xf32>
  memref.copy %x, %b : memref<16xf32> to memref<16xf32>
  %q = memref.load %p[] : memref<i1>
  %either = arith.select %q, %a, %x : memref<16xf32>
  %carried = scf.for %i = %c0 to %c4 step %c1 iter_args(%d = %b) -> memref<16xf32> {
    scf.yield %d : memref<16xf32>
  }
  %c = memref.alloc() : memref<16xf32>
  memref.copy %x, %c : memref<16xf32> to memref<16xf32>
  memref.copy %either, %x : memref<16xf32> to memref<16xf32>
  memref.copy %carried, %x : memref<16xf32> to memref<16xf32>
  return
}

// -----

// A zero extent takes no room and does no harm.
// CHECK-LABEL: func.func @zero
// CHECK: memref.view %{{.+}}[%{{.+}}][%{{.+}}] : memref<?xi8> to memref<?x0xf32>
// CHECK-LABEL: func.func @zero_workspace
// CHECK: arith.constant 0 : i64
func.func @zero(%x: memref<?x0xf32>) attributes {moec.arguments = []} {
  %c0 = arith.constant 0 : index
  %t = memref.dim %x, %c0 : memref<?x0xf32>
  %a = memref.alloc(%t) : memref<?x0xf32>
  memref.copy %x, %a : memref<?x0xf32> to memref<?x0xf32>
  return
}
