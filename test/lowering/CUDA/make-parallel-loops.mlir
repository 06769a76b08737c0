// Structured operations as loops: the free ones as one outside, sums in registers inside.
// RUN: moe-opt %s --moe-make-parallel-loops | FileCheck %s

// CHECK-LABEL: func.func @sums(
// CHECK-SAME:    %[[M:[a-z0-9]+]]: memref<4x?xf32>, %[[SUMS:[a-z0-9]+]]: memref<?xf32>
// The reduction stood outside.
// CHECK:         scf.parallel (%[[C:.*]]) = (%{{.*}}) to (%{{.*}}) step (%{{.*}}) {
// CHECK-NEXT:      %[[BEFORE:.*]] = memref.load %[[SUMS]][%[[C]]]
// CHECK-NEXT:      %[[SUM:.*]] = scf.for %[[R:.*]] = %{{.*}} to %{{.*}} step %{{.*}} iter_args(%[[CARRIED:.*]] = %[[BEFORE]]) -> (f32) {
// CHECK-NEXT:        %[[A:.*]] = memref.load %[[M]][%[[R]], %[[C]]]
// CHECK-NEXT:        %[[ROW:.*]] = arith.index_cast %[[R]] : index to i32
// CHECK:             %[[NEXT:.*]] = arith.addf %[[CARRIED]], %{{.*}} : f32
// CHECK-NEXT:        scf.yield %[[NEXT]]
// CHECK-NEXT:      }
// CHECK-NEXT:      memref.store %[[SUM]], %[[SUMS]][%[[C]]]
func.func @sums(%m: memref<4x?xf32>, %sums: memref<?xf32>) attributes {moec.arguments = []} {
  linalg.generic {indexing_maps = [affine_map<(r, c) -> (r, c)>, affine_map<(r, c) -> (c)>], iterator_types = ["reduction", "parallel"]}
      ins(%m : memref<4x?xf32>) outs(%sums : memref<?xf32>) {
  ^bb0(%a: f32, %sum: f32):
    %i = linalg.index 0 : index
    %row = arith.index_cast %i : index to i32
    %weight = arith.sitofp %row : i32 to f32
    %term = arith.mulf %a, %weight : f32
    %next = arith.addf %sum, %term : f32
    linalg.yield %next : f32
  }
  return
}

// Places that are constants or sums of turns; no free loop at all; results whose places a reduction moves, in plain loops.
// CHECK-LABEL: func.func @places(
// CHECK:         scf.parallel
// CHECK:           affine.apply
// CHECK:           memref.load %{{.*}}[%{{.*}}, %c0{{.*}}]
// CHECK:         %{{.*}} = scf.for {{.*}} iter_args
// CHECK:         memref.store %{{.*}}, %{{.*}}[] : memref<f32>
// CHECK:         scf.for
// CHECK:           memref.store %{{.*}}, %{{.*}}[%{{.*}}] : memref<4xf32>
func.func @places(%x: memref<4x1xf32>, %y: memref<7xf32>, %z: memref<4x4xf32>, %sum: memref<f32>, %v: memref<4xf32>) attributes {moec.arguments = []} {
  linalg.generic {indexing_maps = [affine_map<(i, j) -> (i + j)>, affine_map<(i, j) -> (i, 0)>, affine_map<(i, j) -> (i, j)>],
                  iterator_types = ["parallel", "parallel"]}
      ins(%y, %x : memref<7xf32>, memref<4x1xf32>) outs(%z : memref<4x4xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %d = arith.addf %a, %b : f32
    linalg.yield %d : f32
  }
  linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> ()>], iterator_types = ["reduction"]}
      ins(%v : memref<4xf32>) outs(%sum : memref<f32>) {
  ^bb0(%a: f32, %before: f32):
    %d = arith.addf %before, %a : f32
    linalg.yield %d : f32
  }
  linalg.generic {indexing_maps = [affine_map<(i) -> (i, 0)>, affine_map<(i) -> (i)>], iterator_types = ["reduction"]}
      ins(%x : memref<4x1xf32>) outs(%v : memref<4xf32>) {
  ^bb0(%a: f32, %before: f32):
    linalg.yield %a : f32
  }
  return
}

// Turns that the reference lowering calls free, unless scratch of one would be that of all.
// CHECK-LABEL: func.func @free(
// CHECK:         scf.parallel
// CHECK:         scf.for
// CHECK:           memref.alloc
func.func @free(%x: memref<8xf32>) attributes {moec.arguments = []} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c8 = arith.constant 8 : index
  %zero = arith.constant 0.0 : f32
  scf.for %i = %c0 to %c8 step %c1 {
    memref.store %zero, %x[%i] : memref<8xf32>
  } {moec.free_turns}
  scf.for %i = %c0 to %c8 step %c1 {
    %scratch = memref.alloc() : memref<1xf32>
    memref.store %zero, %scratch[%c0] : memref<1xf32>
    %v = memref.load %scratch[%c0] : memref<1xf32>
    memref.store %v, %x[%i] : memref<8xf32>
  } {moec.free_turns}
  return
}
