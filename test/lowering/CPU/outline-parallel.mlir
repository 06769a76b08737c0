// RUN: moe-opt %s --moe-outline-parallel --split-input-file | FileCheck %s

// A loop becomes a function of a range, and a call. What it uses travels in a struct; constants do not.
// CHECK-LABEL: func.func @entry(
// CHECK-SAME: %[[X:.+]]: memref<?xf32>, %[[S:.+]]: f32, %[[N:.+]]: index, %[[W:.+]]: memref<?xi8>, %[[EXECUTOR:.+]]: !llvm.ptr)
// CHECK: %[[DATA:.+]] = llvm.alloca %{{.+}} x !llvm.struct<([[FIELDS:.+]])> : (i64) -> !llvm.ptr
// CHECK-DAG: %[[X_STRUCT:.+]] = builtin.unrealized_conversion_cast %[[X]] : memref<?xf32> to !llvm.struct<(ptr, ptr, i64, array<1 x i64>, array<1 x i64>)>
// CHECK-DAG: %[[X_PLACE:.+]] = llvm.getelementptr %[[DATA]]
// CHECK-DAG: llvm.store %[[X_STRUCT]], %[[X_PLACE]]
// CHECK-DAG: llvm.store %[[S]], %{{.+}} : f32, !llvm.ptr
// CHECK: %[[COUNT:.+]] = arith.subi %{{.+}}, %{{.+}} : i64
// CHECK: %[[BODY:.+]] = constant @entry.parallel : (!llvm.ptr, i64, i64) -> ()
// CHECK: %[[ADDRESS:.+]] = builtin.unrealized_conversion_cast %[[BODY]] : (!llvm.ptr, i64, i64) -> () to !llvm.ptr
// CHECK: %[[GRAIN:.+]] = arith.constant 1 : i64
// CHECK: call @moert_parallel_for(%[[EXECUTOR]], %[[COUNT]], %[[GRAIN]], %[[ADDRESS]], %[[DATA]])
// CHECK-NOT: scf.parallel
// CHECK-LABEL: func.func private @entry.parallel(
// CHECK-SAME: %[[DATA:.+]]: !llvm.ptr, %[[FIRST:.+]]: i64, %[[LAST:.+]]: i64)
// CHECK: %[[TWO:.+]] = arith.constant 2.000000e+00 : f32
// CHECK: llvm.load %{{.+}} -> !llvm.struct<(ptr, ptr, i64, array<1 x i64>, array<1 x i64>)>
// CHECK: llvm.load %{{.+}} -> f32
// CHECK: scf.for %[[I:.+]] = %{{.+}} to %{{.+}} step
// CHECK: memref.load %{{.+}}[%[[I]]]
// CHECK: arith.mulf %{{.+}}, %[[TWO]]
// CHECK: func.func private @moert_parallel_for(!llvm.ptr, i64, i64, !llvm.ptr, !llvm.ptr)
func.func @entry(%x: memref<?xf32>, %s: f32, %n: index, %workspace: memref<?xi8>) attributes {moec.arguments = []} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %two = arith.constant 2.0 : f32
  scf.parallel (%i) = (%c0) to (%n) step (%c1) {
    %0 = memref.load %x[%i] : memref<?xf32>
    %1 = arith.mulf %0, %two : f32
    %2 = arith.addf %1, %s : f32
    memref.store %2, %x[%i] : memref<?xf32>
  }
  return
}

// -----

// The number of turns comes from both bounds, turns count from the lower one, and the grain is the loop's.
// CHECK-LABEL: func.func @bounds(
// CHECK-SAME: %[[LOWER:.+]]: index, %[[UPPER:.+]]: index, %{{.+}}: !llvm.ptr)
// CHECK-DAG: %[[UPPER_INTEGER:.+]] = arith.index_cast %[[UPPER]] : index to i64
// CHECK-DAG: %[[LOWER_INTEGER:.+]] = arith.index_cast %[[LOWER]] : index to i64
// CHECK: %[[COUNT:.+]] = arith.subi %[[UPPER_INTEGER]], %[[LOWER_INTEGER]]
// CHECK: %[[GRAIN:.+]] = arith.constant 16 : i64
// CHECK: call @moert_parallel_for(%{{.+}}, %[[COUNT]], %[[GRAIN]],
// CHECK-LABEL: func.func private @bounds.parallel(
// CHECK-SAME: %{{.+}}: !llvm.ptr, %[[FIRST:.+]]: i64, %[[LAST:.+]]: i64)
// CHECK: %[[LOADED:.+]] = llvm.load %{{.+}} -> i64
// CHECK: %[[LOWER:.+]] = builtin.unrealized_conversion_cast %[[LOADED]] : i64 to index
// CHECK: %[[FIRST_INDEX:.+]] = arith.index_cast %[[FIRST]] : i64 to index
// CHECK: %[[FROM:.+]] = arith.addi %[[LOWER]], %[[FIRST_INDEX]]
// CHECK: %[[LAST_INDEX:.+]] = arith.index_cast %[[LAST]] : i64 to index
// CHECK: %[[TO:.+]] = arith.addi %[[LOWER]], %[[LAST_INDEX]]
// CHECK: scf.for %[[I:.+]] = %[[FROM]] to %[[TO]]
// CHECK: call @task(%[[I]])
func.func private @task(index)
func.func @bounds(%lower: index, %upper: index) attributes {moec.arguments = []} {
  %c1 = arith.constant 1 : index
  scf.parallel (%i) = (%lower) to (%upper) step (%c1) {
    func.call @task(%i) : (index) -> ()
  } {moe.grain = 16 : i64}
  return
}

// -----

// In a loop the place for what is captured stays in front of it; with nothing to capture there is none.
// CHECK-LABEL: func.func @in_a_loop(
// CHECK: llvm.alloca
// CHECK-NOT: llvm.alloca
// CHECK: scf.for
// CHECK-NOT: llvm.alloca
// CHECK: constant @in_a_loop.parallel :
// CHECK: llvm.mlir.zero
// CHECK: constant @in_a_loop.parallel_0 :
// CHECK-LABEL: func.func private @in_a_loop.parallel_0(
// CHECK-NEXT: arith.constant
// CHECK-NOT: llvm.load
// CHECK-LABEL: func.func private @in_a_loop.parallel(
// CHECK: call @task(%{{.+}}, %{{.+}})
func.func private @task(index, index)
func.func @in_a_loop(%n: index) attributes {moec.arguments = []} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c8 = arith.constant 8 : index
  scf.for %j = %c0 to %n step %c1 {
    scf.parallel (%i) = (%c0) to (%n) step (%c1) {
      func.call @task(%i, %j) : (index, index) -> ()
    }
    scf.parallel (%i) = (%c0) to (%c8) step (%c1) {
      func.call @task(%i, %c0) : (index, index) -> ()
    }
  }
  return
}

// -----

// Scratch of a turn comes to the start of its function, from inside loops too. Globals are found again.
// CHECK-LABEL: func.func private @scratch.parallel(
// CHECK-DAG: memref.alloca() : memref<4xf32>
// CHECK-DAG: memref.alloca() : memref<2xf32>
// CHECK-DAG: memref.get_global @table
// CHECK: scf.for
// CHECK: scf.for
// CHECK-NOT: memref.alloca
func.func private @task(memref<4xf32>, memref<2xf32>, memref<3xf32>)
memref.global "private" constant @table : memref<3xf32> = dense<1.0>
func.func @scratch() attributes {moec.arguments = []} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c8 = arith.constant 8 : index
  %table = memref.get_global @table : memref<3xf32>
  scf.parallel (%i) = (%c0) to (%c8) step (%c1) {
    %a = memref.alloca() : memref<4xf32>
    scf.for %j = %c0 to %c8 step %c1 {
      %b = memref.alloca() : memref<2xf32>
      func.call @task(%a, %b, %table) : (memref<4xf32>, memref<2xf32>, memref<3xf32>) -> ()
    }
  }
  return
}

// -----

// Loops inside shared loops stay; so do those of two dimensions, of other steps, and with reductions.
// CHECK-LABEL: func.func @stays(
// CHECK: call @moert_parallel_for
// CHECK: scf.parallel (%{{.+}}, %{{.+}}) =
// CHECK: scf.parallel (%{{.+}}) = (%{{.+}}) to (%{{.+}}) step (%{{.+}}) {
// CHECK: scf.parallel (%{{.+}}) = {{.+}} init
// CHECK-LABEL: func.func private @stays.parallel(
// CHECK: scf.for
// CHECK: scf.parallel
func.func private @task(index)
func.func @stays(%x: memref<?xf32>, %zero: f32) attributes {moec.arguments = []} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %c8 = arith.constant 8 : index
  scf.parallel (%i) = (%c0) to (%c8) step (%c1) {
    scf.parallel (%j) = (%c0) to (%c8) step (%c1) {
      func.call @task(%j) : (index) -> ()
    }
  }
  scf.parallel (%i, %j) = (%c0, %c0) to (%c8, %c8) step (%c1, %c1) {
    func.call @task(%j) : (index) -> ()
  }
  scf.parallel (%i) = (%c0) to (%c8) step (%c2) {
    func.call @task(%i) : (index) -> ()
  }
  %sum = scf.parallel (%i) = (%c0) to (%c8) step (%c1) init (%zero) -> f32 {
    %0 = memref.load %x[%i] : memref<?xf32>
    scf.reduce(%0 : f32) {
    ^bb0(%a: f32, %b: f32):
      %1 = arith.addf %a, %b : f32
      scf.reduce.return %1 : f32
    }
  }
  memref.store %sum, %x[%c0] : memref<?xf32>
  return
}

// -----

// Functions that are no entries, and entries without such loops, stay as they are.
// CHECK-LABEL: func.func private @helper(%{{.+}}: index)
// CHECK: scf.parallel
// CHECK-LABEL: func.func @plain(%{{.+}}: index) attributes
// CHECK-NOT: moert_parallel_for
func.func private @task(index)
func.func private @helper(%n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  scf.parallel (%i) = (%c0) to (%n) step (%c1) {
    func.call @task(%i) : (index) -> ()
  }
  return
}
func.func @plain(%n: index) attributes {moec.arguments = []} {
  return
}
