// An operation's own sizes replace those of the table; what tasks are made of does not make kernels of its own.
// RUN: moe-opt %s --pass-pipeline='builtin.module(moe-export-entries,moe-select-cpu-kernels,convert-moe-to-linalg,canonicalize,one-shot-bufferize,canonicalize,cse,convert-moe-to-cpu{isa=x86-64-v3},canonicalize,cse)' | FileCheck %s

// CHECK-DAG: func.func private @matmul_f32(
// CHECK-DAG: func.func private @matmul_f32_tile_rows4_k_block64(
// CHECK-DAG: %{{.*}} = arith.constant 24 : index
func.func @sizes(%x: tensor<?x256xf32>, %codes: tensor<16x256x16xf32>) -> tensor<?x256xf32> {
  %c0 = arith.constant 0 : index
  %w = moe.wrap %codes layout panel16 : tensor<16x256x16xf32> to !moe.weight<256x256xf32>
  %d = tensor.dim %x, %c0 : tensor<?x256xf32>
  %e = tensor.empty(%d) : tensor<?x256xf32>
  %y = moe.grouped_matmul ins(%x : tensor<?x256xf32>) weights(%w : !moe.weight<256x256xf32>) outs(%e : tensor<?x256xf32>)
    {moe.schedule = {tile_rows = 4, k_block = 64}} -> tensor<?x256xf32>
  %z = moe.grouped_matmul ins(%y : tensor<?x256xf32>) weights(%w : !moe.weight<256x256xf32>) outs(%e : tensor<?x256xf32>)
    {moe.schedule = {task_rows = 24, task_panels = 2, splits = 4}} -> tensor<?x256xf32>
  return %z : tensor<?x256xf32>
}
