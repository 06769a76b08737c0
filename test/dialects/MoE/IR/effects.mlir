// RUN: moe-opt %s --cse --canonicalize | FileCheck %s --check-prefixes=CHECK,SAME
// RUN: moe-opt %s --loop-invariant-code-motion | FileCheck %s --check-prefixes=CHECK,LOOP
// RUN: moe-opt %s --gpu-eliminate-barriers | FileCheck %s --check-prefix=READS
// RUN: moe-opt %s --symbol-dce | FileCheck %s --check-prefix=SYMBOLS
// What may be merged, moved and erased.

// A private param lives as long as a leaf or a recipe names it.
// SYMBOLS-NOT: @unused
// SYMBOLS: moe.param private @of
// SYMBOLS: moe.param private @table
// SYMBOLS: moe.param @public
// SYMBOLS-NOT: @unused
// SYMBOLS: moe.param private @leaf
moe.param private @unused : !moe.weight<4x4xf32> = #moe.seeded<1>
moe.param private @of : !moe.weight<4x4xf32, expert[4]> = #moe.seeded<1>
moe.param private @table : !moe.table<expert[4] -> cluster[2]> = dense<0> : tensor<4xi32>
moe.param @public : !moe.weight<4x4xf32, cluster[2]> = #moe.mean<@of by @table>
moe.param private @unused_recipe : !moe.weight<4x4xf32, cluster[2]> = #moe.mean<@of by @table>
moe.param private @leaf : !moe.weight<4x4xf32> = #moe.seeded<1>

// Pure ops: equal ones are merged, unused ones go.
// CHECK-LABEL: func.func @pure
// SAME-COUNT-1: moe.leaf
// SAME-COUNT-1: moe.apply
// SAME-NOT: {{= moe\.}}
// SAME: return
func.func @pure(%x: tensor<?x4xf32>) -> (tensor<?x4xf32>, tensor<?x4xf32>) {
  %w = moe.leaf @leaf : !moe.weight<4x4xf32>
  %v = moe.leaf @leaf : !moe.weight<4x4xf32>
  %0 = moe.apply %x, %w : tensor<?x4xf32>, !moe.weight<4x4xf32> -> tensor<?x4xf32>
  %1 = moe.apply %x, %v : tensor<?x4xf32>, !moe.weight<4x4xf32> -> tensor<?x4xf32>
  %2 = moe.activate <silu> %1 : tensor<?x4xf32>
  return %0, %1 : tensor<?x4xf32>, tensor<?x4xf32>
}

// Destination style on tensors is a value too.
// CHECK-LABEL: func.func @tensors
// SAME-COUNT-1: moe.gather
// SAME-NOT: {{= moe\.}}
// SAME: return
func.func @tensors(%x: tensor<?x4xf32>, %i: tensor<?xi32>, %o: tensor<?x4xf32>, %w: !moe.weight<4x4xf32>) -> (tensor<?x4xf32>, tensor<?x4xf32>) {
  %0 = moe.gather ins(%x, %i : tensor<?x4xf32>, tensor<?xi32>) outs(%o : tensor<?x4xf32>) -> tensor<?x4xf32>
  %1 = moe.gather ins(%x, %i : tensor<?x4xf32>, tensor<?xi32>) outs(%o : tensor<?x4xf32>) -> tensor<?x4xf32>
  %2 = moe.grouped_matmul ins(%0 : tensor<?x4xf32>) weights(%w : !moe.weight<4x4xf32>) outs(%o : tensor<?x4xf32>) -> tensor<?x4xf32>
  %3 = moe.scatter_combine accumulate ins(%2, %i : tensor<?x4xf32>, tensor<?xi32>) outs(%o : tensor<?x4xf32>) -> tensor<?x4xf32>
  return %0, %1 : tensor<?x4xf32>, tensor<?x4xf32>
}

// On buffers every op writes: none is erased, none is merged.
// CHECK-LABEL: func.func @buffers
// SAME-COUNT-2: moe.gather
// SAME-COUNT-2: moe.grouped_matmul accumulate
// SAME-COUNT-1: moe.scatter_combine
// SAME-COUNT-1: moe.grouped_up
// SAME: return
func.func @buffers(%x: memref<?x4xf32>, %i: memref<?xi32>, %o: memref<?x4xf32>, %w: !moe.weight<4x4xf32>, %e: memref<?x!moe.id<expert[4]>>, %p: memref<?xf32>) {
  moe.gather ins(%x, %i : memref<?x4xf32>, memref<?xi32>) outs(%o : memref<?x4xf32>)
  moe.gather ins(%x, %i : memref<?x4xf32>, memref<?xi32>) outs(%o : memref<?x4xf32>)
  moe.grouped_matmul accumulate ins(%x : memref<?x4xf32>) weights(%w : !moe.weight<4x4xf32>) outs(%o : memref<?x4xf32>)
  moe.grouped_matmul accumulate ins(%x : memref<?x4xf32>) weights(%w : !moe.weight<4x4xf32>) outs(%o : memref<?x4xf32>)
  moe.scatter_combine ins(%x, %i : memref<?x4xf32>, memref<?xi32>) outs(%o : memref<?x4xf32>)
  moe.grouped_up ins(%x : memref<?x4xf32>) weights(%w : !moe.weight<4x4xf32>) pair_rows(%i : memref<?xi32>) pair_experts(%e : memref<?x!moe.id<expert[4]>>)
    weighted(%p : memref<?xf32>) act <silu> outs(%o : memref<?x4xf32>)
  return
}

// A load after a write is another than one before; two after it are the same.
// CHECK-LABEL: func.func @loads
// SAME: memref.load %[[O:.*]][
// SAME: moe.gather
// SAME: %[[AFTER:.*]] = memref.load %[[O]][
// SAME-NOT: memref.load
// SAME: return %{{.*}}, %[[AFTER]], %[[AFTER]]
func.func @loads(%x: memref<?x4xf32>, %i: memref<?xi32>, %o: memref<?x4xf32>) -> (f32, f32, f32) {
  %c0 = arith.constant 0 : index
  %0 = memref.load %o[%c0, %c0] : memref<?x4xf32>
  moe.gather ins(%x, %i : memref<?x4xf32>, memref<?xi32>) outs(%o : memref<?x4xf32>)
  %1 = memref.load %o[%c0, %c0] : memref<?x4xf32>
  %2 = memref.load %o[%c0, %c0] : memref<?x4xf32>
  return %0, %1, %2 : f32, f32, f32
}

// What an op reads is said too: a barrier between a store and the op that reads it stays, one in front of an op on other
// buffers goes.
// CHECK-LABEL: func.func @inputs
// READS-LABEL: func.func @inputs
// READS: memref.store
// READS-NEXT: gpu.barrier
// READS-NEXT: moe.gather
// READS-LABEL: func.func @other_inputs
// READS: memref.store
// READS-NEXT: moe.gather
func.func @inputs(%i: memref<?xi32>, %v: f32) -> memref<8x4xf32> {
  %c0 = arith.constant 0 : index
  %x = memref.alloc() : memref<8x4xf32>
  %o = memref.alloc() : memref<8x4xf32>
  memref.store %v, %x[%c0, %c0] : memref<8x4xf32>
  gpu.barrier
  moe.gather ins(%x, %i : memref<8x4xf32>, memref<?xi32>) outs(%o : memref<8x4xf32>)
  return %o : memref<8x4xf32>
}

func.func @other_inputs(%v: f32) -> (memref<8x4xf32>, memref<8x4xf32>) {
  %c0 = arith.constant 0 : index
  %x = memref.alloc() : memref<8x4xf32>
  %y = memref.alloc() : memref<8x4xf32>
  %i = memref.alloc() : memref<8xi32>
  %o = memref.alloc() : memref<8x4xf32>
  memref.store %v, %x[%c0, %c0] : memref<8x4xf32>
  gpu.barrier
  moe.gather ins(%y, %i : memref<8x4xf32>, memref<8xi32>) outs(%o : memref<8x4xf32>)
  return %x, %o : memref<8x4xf32>, memref<8x4xf32>
}

// Pure ops leave a loop. Those with a destination stay: whether dynamic extents agree is not checked, so they are not
// run where the program would not.
// CHECK-LABEL: func.func @loop
// LOOP: %[[W:.*]] = moe.leaf
// LOOP: %[[Y:.*]] = moe.apply %{{.*}}, %[[W]]
// LOOP: scf.for
// LOOP: moe.gather
// LOOP: moe.gather
// LOOP: scf.yield
func.func @loop(%n: index, %x: tensor<?x4xf32>, %i: tensor<?xi32>, %o: tensor<?x4xf32>, %bx: memref<?x4xf32>, %bi: memref<?xi32>, %bo: memref<?x4xf32>)
    -> (tensor<?x4xf32>, tensor<?x4xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %r:2 = scf.for %k = %c0 to %n step %c1 iter_args(%a = %o, %b = %o) -> (tensor<?x4xf32>, tensor<?x4xf32>) {
    %w = moe.leaf @leaf : !moe.weight<4x4xf32>
    %y = moe.apply %x, %w : tensor<?x4xf32>, !moe.weight<4x4xf32> -> tensor<?x4xf32>
    %g = moe.gather ins(%x, %i : tensor<?x4xf32>, tensor<?xi32>) outs(%o : tensor<?x4xf32>) -> tensor<?x4xf32>
    moe.gather ins(%bx, %bi : memref<?x4xf32>, memref<?xi32>) outs(%bo : memref<?x4xf32>)
    scf.yield %y, %g : tensor<?x4xf32>, tensor<?x4xf32>
  }
  return %r#0, %r#1 : tensor<?x4xf32>, tensor<?x4xf32>
}
