// RUN: moe-opt %s --moe-make-parallel-loops --moe-outline-kernels --canonicalize --cse | FileCheck %s

// A thread for each turn of the free loops; what is added up, it adds in order. The bounds are the host's.
// CHECK-LABEL: func.func @matmul(
// CHECK-SAME:    %[[A:[a-z0-9]+]]: memref<?x8xf32>, %[[B:[a-z0-9]+]]: memref<8x16xf32>, %[[C:[a-z0-9]+]]: memref<?x16xf32>, %[[CONTEXT:[a-z0-9]+]]: !llvm.ptr
// CHECK:         %[[ROWS:.*]] = memref.dim %[[A]]
// CHECK:         %[[BLOCKS:.*]] = arith.ceildivui %{{.*}}, %c128
// CHECK:         call @moec.launch.matmul_0(%[[CONTEXT]], %[[BLOCKS]], %{{.*}}) : (!llvm.ptr, index, {{.*}}) -> ()
// CHECK-NEXT:    return
func.func @matmul(%a: memref<?x8xf32>, %b: memref<8x16xf32>, %c: memref<?x16xf32>) attributes {moec.arguments = []} {
  linalg.matmul ins(%a, %b : memref<?x8xf32>, memref<8x16xf32>) outs(%c : memref<?x16xf32>)
  return
}

// Loops that are not free run in one thread, and so does what needs a number from memory.
// CHECK-LABEL: func.func @serial(
// CHECK-SAME:    %[[X:[a-z0-9]+]]: memref<8xf32>, %[[Y:[a-z0-9]+]]: memref<8xf32>, %[[CONTEXT:[a-z0-9]+]]: !llvm.ptr
// CHECK:         call @moec.launch.serial_1(%[[CONTEXT]], %c1, {{.*}})
// CHECK-NEXT:    call @moec.launch.serial_2(%[[CONTEXT]], %c1, {{.*}})
// CHECK-NEXT:    return
func.func @serial(%x: memref<8xf32>, %y: memref<8xf32>) attributes {moec.arguments = []} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c7 = arith.constant 7 : index
  scf.for %i = %c0 to %c7 step %c1 {
    %next = arith.addi %i, %c1 : index
    %before = memref.load %x[%i] : memref<8xf32>
    memref.store %before, %x[%next] : memref<8xf32>
  }
  %scale = memref.load %x[%c0] : memref<8xf32>
  %last = memref.subview %y[7] [1] [1] : memref<8xf32> to memref<1xf32, strided<[1], offset: 7>>
  scf.for %i = %c0 to %c7 step %c1 {
    %v = memref.load %x[%i] : memref<8xf32>
    %scaled = arith.mulf %v, %scale : f32
    memref.store %scaled, %y[%i] : memref<8xf32>
  }
  return
}

// A loop around structured operations stays on the host; its turns have a kernel each.
// CHECK-LABEL: func.func @host_loop(
// CHECK:         scf.for %[[I:.*]] = %c0 to %c4 step %c1 {
// CHECK:           call @moec.launch.host_loop_3(
func.func @host_loop(%x: memref<4x8xf32>) attributes {moec.arguments = []} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %zero = arith.constant 0.0 : f32
  scf.for %i = %c0 to %c4 step %c1 {
    %row = memref.subview %x[%i, 0] [1, 8] [1, 1] : memref<4x8xf32> to memref<8xf32, strided<[1], offset: ?>>
    linalg.fill ins(%zero : f32) outs(%row : memref<8xf32, strided<[1], offset: ?>>)
  }
  return
}

// Turns that the reference lowering calls free; copies; loops whose reduction stood outside.
// CHECK-LABEL: func.func @free(
// CHECK:         call @moec.launch.free_4(%{{.*}}, %c1,
// CHECK:         call @moec.launch.free_5(%{{.*}}, %c2,
// CHECK:         call @moec.launch.free_6(%{{.*}}, %c1,
memref.global "private" constant @table : memref<256xf32> = dense<2.0>
func.func @free(%x: memref<256xf32>, %y: memref<256xf32>, %m: memref<4x8xf32>, %sums: memref<8xf32>) attributes {moec.arguments = []} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c100 = arith.constant 100 : index
  %t = memref.get_global @table : memref<256xf32>
  scf.for %i = %c0 to %c100 step %c1 {
    %v = memref.load %t[%i] : memref<256xf32>
    memref.store %v, %x[%i] : memref<256xf32>
  } {moec.free_turns}
  memref.copy %x, %y : memref<256xf32> to memref<256xf32>
  linalg.generic {indexing_maps = [affine_map<(r, c) -> (r, c)>, affine_map<(r, c) -> (c)>], iterator_types = ["reduction", "parallel"]}
      ins(%m : memref<4x8xf32>) outs(%sums : memref<8xf32>) {
  ^bb0(%a: f32, %sum: f32):
    %next = arith.addf %sum, %a : f32
    linalg.yield %next : f32
  }
  return
}

// CHECK: gpu.module @moec_kernels
// The global that a kernel reads is the device's too.
// CHECK:   memref.global "private" constant @table : memref<256xf32>
// CHECK:   gpu.func @matmul_0({{.*}}) kernel attributes {known_block_size = array<i32: 128, 1, 1>} {
// CHECK:     %[[BLOCK:.*]] = gpu.block_id x
// CHECK:     %[[THREAD:.*]] = gpu.thread_id x
// CHECK:     scf.if
// CHECK:       scf.for
// CHECK:         arith.mulf
// CHECK:   gpu.func @serial_1({{.*}}) kernel attributes {known_block_size = array<i32: 1, 1, 1>} {
// CHECK:   gpu.func @serial_2(
// CHECK:     memref.load
// CHECK:     scf.for
// CHECK:       arith.mulf
// CHECK:   gpu.func @host_loop_3(
// CHECK:   gpu.func @free_4(
// CHECK:     memref.get_global @table
// CHECK:   gpu.func @free_5(
// CHECK:   gpu.func @free_6(
// CHECK:     scf.if
// CHECK:       scf.for %{{.*}} = %c0 to %c4
