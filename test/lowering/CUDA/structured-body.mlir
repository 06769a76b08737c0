// One turn of a structured operation: where it reads and writes, and its body with the turn's numbers.
// RUN: moe-opt %s --moe-make-parallel-loops | FileCheck %s

// Places that are dimensions, sums of them, and constants; linalg.index becomes the variable.
// CHECK-LABEL: func.func @turn(
// CHECK-SAME:    %[[X:[a-z0-9]+]]: memref<7xf32>, %[[Y:[a-z0-9]+]]: memref<4x1xf32>
// CHECK:         scf.parallel (%[[I:.*]], %[[J:.*]]) =
// CHECK:           %[[AT:.*]] = affine.apply #{{.*}}(%[[I]], %[[J]])
// CHECK:           memref.load %[[X]][%[[AT]]]
// CHECK:           memref.load %[[Y]][%[[I]], %c0
// CHECK:           arith.index_cast %[[J]]
func.func @turn(%x: memref<7xf32>, %y: memref<4x1xf32>, %z: memref<4x4xf32>) attributes {moec.arguments = []} {
  linalg.generic {indexing_maps = [affine_map<(i, j) -> (i + j)>, affine_map<(i, j) -> (i, 0)>, affine_map<(i, j) -> (i, j)>],
                  iterator_types = ["parallel", "parallel"]} ins(%x, %y : memref<7xf32>, memref<4x1xf32>) outs(%z : memref<4x4xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %j = linalg.index 1 : index
    %number = arith.index_cast %j : index to i32
    %real = arith.sitofp %number : i32 to f32
    %s = arith.addf %a, %b : f32
    %t = arith.addf %s, %real : f32
    linalg.yield %t : f32
  }
  return
}
