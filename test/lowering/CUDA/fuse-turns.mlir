// Loops over the same rows become one, a block for each row.
// RUN: moe-opt %s --moe-fuse-turns --split-input-file | FileCheck %s
// RUN: moe-opt %s --moe-fuse-turns --moe-plan-workspace --moe-outline-kernels --canonicalize --cse --split-input-file | FileCheck %s --check-prefix=KERNEL

// Two stages of a row, and one that has a single turn for each. What stands between moves in front.
// CHECK-LABEL: func.func @stages(
// CHECK-SAME:    %[[X:[a-z0-9]+]]: memref<?x40xf32>, %[[TABLE:[a-z0-9]+]]: memref<40xi32>
// CHECK:         %[[Y:.*]] = memref.alloc(%[[ROWS:.*]]) : memref<?x40xf32>
// CHECK:         %[[SUMS:.*]] = memref.alloc(%[[ROWS]]) : memref<?xf32>
// CHECK:         %[[OWN:.*]] = memref.alloc() : memref<40xi32>
// CHECK:         scf.parallel (%{{.*}}) = (%c0) to (%c40) step (%c1) {
// CHECK-NEXT:      memref.load %[[TABLE]]
// CHECK:         scf.parallel (%[[T:.*]]) = (%c0) to (%[[ROWS]]) step (%c1) {
// CHECK-NEXT:      scf.parallel (%[[E:.*]]) = (%c0) to (%c40) step (%c1) {
// CHECK-NEXT:        memref.load %[[X]][%[[T]], %[[E]]]
// CHECK:             memref.store %{{.*}}, %[[Y]][%[[T]], %[[E]]]
// CHECK:           scf.parallel (%{{.*}}) = (%c0) to (%c1) step (%c1) {
// CHECK:             scf.for
// CHECK:               memref.load %[[Y]][%[[T]], %{{.*}}]
// CHECK:             memref.store %{{.*}}, %[[SUMS]][%[[T]]]
// CHECK:         } {moec.turn_of_block}
// Arguments may be one buffer, so what is written to them stays alone.
// CHECK-NEXT:    scf.parallel
// CHECK:           memref.store %{{.*}}, %arg2

// 40 turns: two warps. All have met before the sum is taken, by one.
// KERNEL-LABEL: func.func @stages(
// KERNEL:         %[[ROWS:.*]] = memref.dim
// KERNEL:         call @moec.launch.stages_1(%{{.*}}, %[[ROWS]], {{.*}})
// KERNEL:       gpu.func @stages_1({{.*}} kernel attributes {known_block_size = array<i32: 64, 1, 1>}
// KERNEL:         %[[TURN:.*]] = gpu.block_id  x
// KERNEL:         %[[THREAD:.*]] = gpu.thread_id  x
// KERNEL:         scf.for %[[I:.*]] = %[[THREAD]] to %{{.*}} step %c64{{.*}} {
// KERNEL:           memref.load %{{.*}}[%[[TURN]], %{{.*}}]
// KERNEL:         gpu.barrier
// KERNEL:         scf.for %{{.*}} = %[[THREAD]] to %{{.*}} step %c64{{.*}} {
// KERNEL:         gpu.return
func.func @stages(%x: memref<?x40xf32>, %table: memref<40xi32>, %out: memref<?xf32>) attributes {moec.arguments = []} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c40 = arith.constant 40 : index
  %zero = arith.constant 0.0 : f32
  %rows = memref.dim %x, %c0 : memref<?x40xf32>
  %y = memref.alloc(%rows) : memref<?x40xf32>
  scf.parallel (%t, %e) = (%c0, %c0) to (%rows, %c40) step (%c1, %c1) {
    %v = memref.load %x[%t, %e] : memref<?x40xf32>
    %w = arith.addf %v, %v : f32
    memref.store %w, %y[%t, %e] : memref<?x40xf32>
  }
  %sums = memref.alloc(%rows) : memref<?xf32>
  %own = memref.alloc() : memref<40xi32>
  scf.parallel (%e) = (%c0) to (%c40) step (%c1) {
    %v = memref.load %table[%e] : memref<40xi32>
    memref.store %v, %own[%e] : memref<40xi32>
  }
  scf.parallel (%t) = (%c0) to (%rows) step (%c1) {
    %sum = scf.for %e = %c0 to %c40 step %c1 iter_args(%before = %zero) -> (f32) {
      %v = memref.load %y[%t, %e] : memref<?x40xf32>
      %next = arith.addf %before, %v : f32
      scf.yield %next : f32
    }
    memref.store %sum, %sums[%t] : memref<?xf32>
  }
  scf.parallel (%t) = (%c0) to (%rows) step (%c1) {
    %v = memref.load %sums[%t] : memref<?xf32>
    memref.store %v, %out[%t] : memref<?xf32>
  }
  return
}

// -----

// What reads another row stays behind; so does what is too wide for a block, and what has other rows.
// CHECK-LABEL: func.func @alone(
// CHECK-NOT:     moec.turn_of_block
// CHECK:         return
func.func @alone(%x: memref<?x8xf32>, %wide: memref<?x1025xf32>) attributes {moec.arguments = []} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c8 = arith.constant 8 : index
  %c1025 = arith.constant 1025 : index
  %rows = memref.dim %x, %c0 : memref<?x8xf32>
  %others = memref.dim %wide, %c0 : memref<?x1025xf32>
  %y = memref.alloc(%rows) : memref<?x8xf32>
  %z = memref.alloc(%rows) : memref<?x8xf32>
  %w = memref.alloc(%others) : memref<?x1025xf32>
  scf.parallel (%t, %e) = (%c0, %c0) to (%rows, %c8) step (%c1, %c1) {
    %v = memref.load %x[%t, %e] : memref<?x8xf32>
    memref.store %v, %y[%t, %e] : memref<?x8xf32>
  }
  scf.parallel (%t, %e) = (%c0, %c0) to (%rows, %c8) step (%c1, %c1) {
    %v = memref.load %y[%e, %t] : memref<?x8xf32>
    memref.store %v, %z[%t, %e] : memref<?x8xf32>
  }
  scf.parallel (%t, %e) = (%c0, %c0) to (%others, %c1025) step (%c1, %c1) {
    %v = memref.load %wide[%t, %e] : memref<?x1025xf32>
    memref.store %v, %w[%t, %e] : memref<?x1025xf32>
  }
  scf.parallel (%t) = (%c0) to (%rows) step (%c1) {
    %v = memref.load %z[%t, %c0] : memref<?x8xf32>
    memref.store %v, %y[%t, %c0] : memref<?x8xf32>
  }
  return
}

// -----

// Another view of the same bytes has its rows elsewhere.
// CHECK-LABEL: func.func @views(
// CHECK-NOT:     moec.turn_of_block
// CHECK:         return
func.func @views(%x: memref<8x4xf32>) attributes {moec.arguments = []} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %c8 = arith.constant 8 : index
  %y = memref.alloc() : memref<8x8xf32>
  %halves = memref.reinterpret_cast %y to offset: [0], sizes: [8, 4], strides: [4, 1] : memref<8x8xf32> to memref<8x4xf32, strided<[4, 1]>>
  scf.parallel (%t, %e) = (%c0, %c0) to (%c8, %c4) step (%c1, %c1) {
    %v = memref.load %x[%t, %e] : memref<8x4xf32>
    memref.store %v, %halves[%t, %e] : memref<8x4xf32, strided<[4, 1]>>
  }
  scf.parallel (%t, %e) = (%c0, %c0) to (%c8, %c8) step (%c1, %c1) {
    %v = memref.load %y[%t, %e] : memref<8x8xf32>
    %w = arith.addf %v, %v : f32
    memref.store %w, %y[%t, %e] : memref<8x8xf32>
  }
  return
}

// -----

// What reads the rows of one loop in the middle of two ends the run: it cannot move in front.
// CHECK-LABEL: func.func @between(
// CHECK:         scf.parallel
// CHECK:         scf.for
// CHECK:         scf.parallel
// CHECK-NOT:     moec.turn_of_block
// CHECK:         return
func.func @between(%x: memref<8xf32>) attributes {moec.arguments = []} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c7 = arith.constant 7 : index
  %c8 = arith.constant 8 : index
  %y = memref.alloc() : memref<8xf32>
  scf.parallel (%t) = (%c0) to (%c8) step (%c1) {
    %v = memref.load %x[%t] : memref<8xf32>
    memref.store %v, %y[%t] : memref<8xf32>
  }
  scf.for %i = %c0 to %c7 step %c1 {
    %next = arith.addi %i, %c1 : index
    %v = memref.load %y[%i] : memref<8xf32>
    memref.store %v, %y[%next] : memref<8xf32>
  }
  scf.parallel (%t) = (%c0) to (%c8) step (%c1) {
    %v = memref.load %y[%t] : memref<8xf32>
    %w = arith.addf %v, %v : f32
    memref.store %w, %y[%t] : memref<8xf32>
  }
  return
}
