// Norms and element-wise operations as loops of vectors of 16; what is the same along a row is computed in front of it.
// RUN: moe-opt %s --moe-vectorize-loops --canonicalize --cse | FileCheck %s
#row = affine_map<(t, d) -> (t, d)>
#token = affine_map<(t, d) -> (t)>
#feature = affine_map<(t, d) -> (d)>
#across = affine_map<(t, d) -> (d, t)>

// Sixteen partial sums, then the rest. Rows are shared among threads.
// CHECK-LABEL: func.func @sum_of_squares
// CHECK-SAME:    %[[X:.*]]: memref<?x40xf32>, %[[SUMS:.*]]: memref<?xf32>)
// CHECK:         scf.parallel (%[[T:.*]]) =
// CHECK:           %[[BEFORE:.*]] = memref.load %[[SUMS]][%[[T]]]
// CHECK:           %[[PARTIAL:.*]] = scf.for %{{.*}} = %c0 to %c32 step %c16 iter_args({{.*}}) -> (vector<16xf32>)
// CHECK:             vector.load %[[X]][%[[T]], {{.*}} vector<16xf32>
// CHECK:             arith.mulf {{.*}} : vector<16xf32>
// CHECK:             arith.addf {{.*}} : vector<16xf32>
// CHECK:           %[[START:.*]] = vector.reduction <add>, %[[PARTIAL]], %[[BEFORE]]
// CHECK:           %[[SUM:.*]] = scf.for %{{.*}} = %c32 to %c40 step %c1 iter_args(%{{.*}} = %[[START]]) -> (f32)
// CHECK:           memref.store %[[SUM]], %[[SUMS]][%[[T]]]
// CHECK:         {moe.grain = 8 : i64}
func.func @sum_of_squares(%x: memref<?x40xf32>, %sums: memref<?xf32>) {
  linalg.generic {indexing_maps = [#row, #token], iterator_types = ["parallel", "reduction"]} ins(%x : memref<?x40xf32>) outs(%sums : memref<?xf32>) {
  ^bb0(%a: f32, %sum: f32):
    %square = arith.mulf %a, %a : f32
    %next = arith.addf %sum, %square : f32
    linalg.yield %next : f32
  }
  return
}

// CHECK-LABEL: func.func @scale
// CHECK:         scf.parallel
// CHECK:           arith.divf {{.*}} : f32
// CHECK:           %[[SCALE:.*]] = math.rsqrt {{.*}} : f32
// CHECK:           scf.for %{{.*}} = %c0 to %c32 step %c16
// CHECK-DAG:         vector.broadcast %[[SCALE]]
// CHECK:             vector.store
// CHECK:           scf.for %{{.*}} = %c32 to %c40 step %c1
// CHECK:             memref.store
func.func @scale(%x: memref<?x40xf32>, %sums: memref<?xf32>, %weight: memref<40xf32>, %y: memref<?x40xf32>) {
  %width = arith.constant 40.0 : f32
  linalg.generic {indexing_maps = [#row, #token, #feature, #row], iterator_types = ["parallel", "parallel"]}
      ins(%x, %sums, %weight : memref<?x40xf32>, memref<?xf32>, memref<40xf32>) outs(%y : memref<?x40xf32>) {
  ^bb0(%a: f32, %sum: f32, %w: f32, %unused: f32):
    %mean = arith.divf %sum, %width : f32
    %scale = math.rsqrt %mean : f32
    %scaled = arith.mulf %a, %scale : f32
    %weighted = arith.mulf %scaled, %w : f32
    linalg.yield %weighted : f32
  }
  return
}

// A caller's numbers: together or apart, the partial sums are the same.
// CHECK-LABEL: func.func @any_strides
// CHECK:         %[[TOGETHER:.*]] = arith.cmpi eq, %{{.*}}#1, %c1
// CHECK:         scf.if %[[TOGETHER]] -> (vector<16xf32>)
// CHECK:           vector.load {{.*}} strided<[?, 1], offset: ?>>, vector<16xf32>
// CHECK:         } else {
// CHECK-COUNT-16:  memref.load
// CHECK:           vector.from_elements
// CHECK:           arith.maximumf {{.*}} : vector<16xf32>
func.func @any_strides(%x: memref<?x40xf32, strided<[?, ?], offset: ?>>, %most: memref<?xf32>) {
  linalg.generic {indexing_maps = [#row, #token], iterator_types = ["parallel", "reduction"]}
      ins(%x : memref<?x40xf32, strided<[?, ?], offset: ?>>) outs(%most : memref<?xf32>) {
  ^bb0(%a: f32, %before: f32):
    %next = arith.maximumf %before, %a : f32
    linalg.yield %next : f32
  }
  return
}

// Narrow floats: each operation rounds as it did, which later passes spell out.
// CHECK-LABEL: func.func @narrow
// CHECK:         vector.load {{.*}} vector<16xbf16>
// CHECK:         arith.extf {{.*}} : vector<16xbf16> to vector<16xf32>
// CHECK:         arith.truncf {{.*}} : vector<16xf32> to vector<16xbf16>
// CHECK:         arith.mulf {{.*}} : vector<16xbf16>
// CHECK:         vector.store {{.*}} vector<16xbf16>
func.func @narrow(%x: memref<?x40xbf16>, %weight: memref<40xbf16>, %y: memref<?x40xbf16>) {
  linalg.generic {indexing_maps = [#row, #feature, #row], iterator_types = ["parallel", "parallel"]}
      ins(%x, %weight : memref<?x40xbf16>, memref<40xbf16>) outs(%y : memref<?x40xbf16>) {
  ^bb0(%a: bf16, %w: bf16, %unused: bf16):
    %wide = arith.extf %a : bf16 to f32
    %square = arith.mulf %wide, %wide : f32
    %rounded = arith.truncf %square : f32 to bf16
    %weighted = arith.mulf %rounded, %w : bf16
    linalg.yield %weighted : bf16
  }
  return
}

// CHECK-LABEL: func.func @others
// CHECK-NOT:     vector
// CHECK-COUNT-7: linalg.generic
// CHECK-NOT:     vector
// CHECK:         return
func.func @others(%x: memref<64x40xf32>, %d: memref<64x40xf64>, %narrow: memref<64x8xf32>, %s: memref<64xf64>, %t: memref<40x64xf32>, %sums: memref<64xf32>, %h: memref<64x40xf16>, %hs: memref<64xf16>) {
  // A function of the C library; the loop's index; few columns; a sum in f64; columns; a difference is no sum; a sum in f16.
  linalg.generic {indexing_maps = [#row], iterator_types = ["parallel", "parallel"]} outs(%x : memref<64x40xf32>) {
  ^bb0(%a: f32):
    %r = math.exp %a : f32
    linalg.yield %r : f32
  }
  linalg.generic {indexing_maps = [#row], iterator_types = ["parallel", "parallel"]} outs(%x : memref<64x40xf32>) {
  ^bb0(%a: f32):
    %i = linalg.index 1 : index
    %j = arith.index_cast %i : index to i32
    %r = arith.sitofp %j : i32 to f32
    linalg.yield %r : f32
  }
  linalg.generic {indexing_maps = [#row], iterator_types = ["parallel", "parallel"]} outs(%narrow : memref<64x8xf32>) {
  ^bb0(%a: f32):
    %r = arith.negf %a : f32
    linalg.yield %r : f32
  }
  linalg.generic {indexing_maps = [#row, #token], iterator_types = ["parallel", "reduction"]} ins(%d : memref<64x40xf64>) outs(%s : memref<64xf64>) {
  ^bb0(%a: f64, %sum: f64):
    %r = arith.addf %sum, %a : f64
    linalg.yield %r : f64
  }
  linalg.generic {indexing_maps = [#across, #row], iterator_types = ["parallel", "parallel"]} ins(%t : memref<40x64xf32>) outs(%x : memref<64x40xf32>) {
  ^bb0(%a: f32, %unused: f32):
    linalg.yield %a : f32
  }
  linalg.generic {indexing_maps = [#row, #token], iterator_types = ["parallel", "reduction"]} ins(%x : memref<64x40xf32>) outs(%sums : memref<64xf32>) {
  ^bb0(%a: f32, %sum: f32):
    %r = arith.subf %sum, %a : f32
    linalg.yield %r : f32
  }
  linalg.generic {indexing_maps = [#row, #token], iterator_types = ["parallel", "reduction"]} ins(%h : memref<64x40xf16>) outs(%hs : memref<64xf16>) {
  ^bb0(%a: f16, %sum: f16):
    %r = arith.addf %sum, %a : f16
    linalg.yield %r : f16
  }
  return
}
