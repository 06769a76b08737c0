// RUN: moe-opt %s --pass-pipeline='builtin.module(moe-export-entries,moe-select-cpu-kernels,convert-moe-to-linalg,canonicalize,one-shot-bufferize,canonicalize,cse,convert-moe-to-cpu{isa=x86-64-v3})' --split-input-file --verify-diagnostics

func.func @name(%x: tensor<8x16xf32>, %codes: tensor<1x16x16xf32>) -> tensor<8x16xf32> {
  %w = moe.wrap %codes layout panel16 : tensor<1x16x16xf32> to !moe.weight<16x16xf32>
  %e = tensor.empty() : tensor<8x16xf32>
  // expected-error@+1 {{moe.schedule: expected one of tile_rows, tile_panels, panels_at_1, panels_at_2, loose_rows, loose_panels, k_block, stream_rows, decode_rows, task_rows, task_panels, splits, prefetch_rows, unroll, bf16_dot, amx_rows, amx_block, amx_int8_rows, found 'tile_row'}}
  %y = moe.grouped_matmul ins(%x : tensor<8x16xf32>) weights(%w : !moe.weight<16x16xf32>) outs(%e : tensor<8x16xf32>) {moe.schedule = {tile_row = 4}} -> tensor<8x16xf32>
  return %y : tensor<8x16xf32>
}

// -----

func.func @number(%x: tensor<8x16xf32>, %codes: tensor<1x16x16xf32>) -> tensor<8x16xf32> {
  %w = moe.wrap %codes layout panel16 : tensor<1x16x16xf32> to !moe.weight<16x16xf32>
  %e = tensor.empty() : tensor<8x16xf32>
  // expected-error@+1 {{moe.schedule: expected a number from 1 to 1024 for k_block, found 0 : i64}}
  %y = moe.grouped_matmul ins(%x : tensor<8x16xf32>) weights(%w : !moe.weight<16x16xf32>) outs(%e : tensor<8x16xf32>) {moe.schedule = {k_block = 0}} -> tensor<8x16xf32>
  return %y : tensor<8x16xf32>
}

// -----

func.func @task(%x: tensor<8x16xf32>, %codes: tensor<1x16x16xf32>) -> tensor<8x16xf32> {
  %w = moe.wrap %codes layout panel16 : tensor<1x16x16xf32> to !moe.weight<16x16xf32>
  %e = tensor.empty() : tensor<8x16xf32>
  // expected-error@+1 {{moe.schedule: expected task_rows times task_panels to be at most 8192, found 32768}}
  %y = moe.grouped_matmul ins(%x : tensor<8x16xf32>) weights(%w : !moe.weight<16x16xf32>) outs(%e : tensor<8x16xf32>) {moe.schedule = {task_rows = 512, task_panels = 64}} -> tensor<8x16xf32>
  return %y : tensor<8x16xf32>
}
