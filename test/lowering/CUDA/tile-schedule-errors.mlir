// Sizes that there are no kernels of.
// RUN: moe-opt %s --convert-moe-to-cuda --split-input-file --verify-diagnostics

func.func @case(%x: memref<?x32xf16>, %w: memref<2x32x16xf16>, %off: memref<3xi32>, %out: memref<?x16xf16>) attributes {moec.arguments = [
    {dtype = "float16", name = "x", role = "input", shape = array<i64: -2, 32>},
    {dtype = "float16", name = "w", role = "input", shape = array<i64: 2, 32, 16>},
    {dtype = "int32", name = "off", role = "input", shape = array<i64: 3>},
    {dtype = "float16", name = "out", role = "output", shape = array<i64: -2, 16>}]} {
  %0 = moe.wrap %w {moe.kernel} : memref<2x32x16xf16> to !moe.weight<32x16xf16, cluster[2]>
  // expected-error@+1 {{moe.schedule: expected one of most_rows, rows, columns, depth, stages, warps_down, warps_across, runs, warpgroups, blocks, cluster, residual_form, shrink_rows, found 'row'}}
  moe.grouped_matmul ins(%x : memref<?x32xf16>) weights(%0 : !moe.weight<32x16xf16, cluster[2]>) groups(%off : memref<3xi32>)
    outs(%out : memref<?x16xf16>) {moe.kernel, moe.schedule = [{row = 4}]}
  return
}

// -----

func.func @case(%x: memref<?x32xf16>, %w: memref<2x32x16xf16>, %off: memref<3xi32>, %out: memref<?x16xf16>) attributes {moec.arguments = [
    {dtype = "float16", name = "x", role = "input", shape = array<i64: -2, 32>},
    {dtype = "float16", name = "w", role = "input", shape = array<i64: 2, 32, 16>},
    {dtype = "int32", name = "off", role = "input", shape = array<i64: 3>},
    {dtype = "float16", name = "out", role = "output", shape = array<i64: -2, 16>}]} {
  %0 = moe.wrap %w {moe.kernel} : memref<2x32x16xf16> to !moe.weight<32x16xf16, cluster[2]>
  // expected-error@+1 {{moe.schedule: expected a number from 2 to 8 for stages, found 1 : i64}}
  moe.grouped_matmul ins(%x : memref<?x32xf16>) weights(%0 : !moe.weight<32x16xf16, cluster[2]>) groups(%off : memref<3xi32>)
    outs(%out : memref<?x16xf16>) {moe.kernel, moe.schedule = [{stages = 1}]}
  return
}

// -----

func.func @case(%x: memref<?x32xf16>, %w: memref<2x32x16xf16>, %off: memref<3xi32>, %out: memref<?x16xf16>) attributes {moec.arguments = [
    {dtype = "float16", name = "x", role = "input", shape = array<i64: -2, 32>},
    {dtype = "float16", name = "w", role = "input", shape = array<i64: 2, 32, 16>},
    {dtype = "int32", name = "off", role = "input", shape = array<i64: 3>},
    {dtype = "float16", name = "out", role = "output", shape = array<i64: -2, 16>}]} {
  %0 = moe.wrap %w {moe.kernel} : memref<2x32x16xf16> to !moe.weight<32x16xf16, cluster[2]>
  // expected-error@+1 {{moe.schedule: expected a list of dictionaries for a GPU, found {rows = 64 : i64}}}
  moe.grouped_matmul ins(%x : memref<?x32xf16>) weights(%0 : !moe.weight<32x16xf16, cluster[2]>) groups(%off : memref<3xi32>)
    outs(%out : memref<?x16xf16>) {moe.kernel, moe.schedule = {rows = 64}}
  return
}

// -----

func.func @case(%x: memref<?x32xf16>, %w: memref<2x32x16xf16>, %off: memref<3xi32>, %out: memref<?x16xf16>) attributes {moec.arguments = [
    {dtype = "float16", name = "x", role = "input", shape = array<i64: -2, 32>},
    {dtype = "float16", name = "w", role = "input", shape = array<i64: 2, 32, 16>},
    {dtype = "int32", name = "off", role = "input", shape = array<i64: 3>},
    {dtype = "float16", name = "out", role = "output", shape = array<i64: -2, 16>}]} {
  %0 = moe.wrap %w {moe.kernel} : memref<2x32x16xf16> to !moe.weight<32x16xf16, cluster[2]>
  // expected-error@+1 {{moe.schedule: expected a list of dictionaries for a GPU, found []}}
  moe.grouped_matmul ins(%x : memref<?x32xf16>) weights(%0 : !moe.weight<32x16xf16, cluster[2]>) groups(%off : memref<3xi32>)
    outs(%out : memref<?x16xf16>) {moe.kernel, moe.schedule = []}
  return
}

// -----

func.func @case(%x: memref<?x32xf16>, %w: memref<2x32x16xf16>, %off: memref<3xi32>, %out: memref<?x16xf16>) attributes {moec.arguments = [
    {dtype = "float16", name = "x", role = "input", shape = array<i64: -2, 32>},
    {dtype = "float16", name = "w", role = "input", shape = array<i64: 2, 32, 16>},
    {dtype = "int32", name = "off", role = "input", shape = array<i64: 3>},
    {dtype = "float16", name = "out", role = "output", shape = array<i64: -2, 16>}]} {
  %0 = moe.wrap %w {moe.kernel} : memref<2x32x16xf16> to !moe.weight<32x16xf16, cluster[2]>
  // expected-error@+1 {{moe.schedule: expected a dictionary, found 64 : i64}}
  moe.grouped_matmul ins(%x : memref<?x32xf16>) weights(%0 : !moe.weight<32x16xf16, cluster[2]>) groups(%off : memref<3xi32>)
    outs(%out : memref<?x16xf16>) {moe.kernel, moe.schedule = [64]}
  return
}

// -----

func.func @case(%x: memref<?x32xf16>, %w: memref<2x32x16xf16>, %off: memref<3xi32>, %out: memref<?x16xf16>) attributes {moec.arguments = [
    {dtype = "float16", name = "x", role = "input", shape = array<i64: -2, 32>},
    {dtype = "float16", name = "w", role = "input", shape = array<i64: 2, 32, 16>},
    {dtype = "int32", name = "off", role = "input", shape = array<i64: 3>},
    {dtype = "float16", name = "out", role = "output", shape = array<i64: -2, 16>}]} {
  %0 = moe.wrap %w {moe.kernel} : memref<2x32x16xf16> to !moe.weight<32x16xf16, cluster[2]>
  // expected-error@+1 {{moe.schedule: expected rows to be a multiple of 16 for each of warps_down, found 48 for 2}}
  moe.grouped_matmul ins(%x : memref<?x32xf16>) weights(%0 : !moe.weight<32x16xf16, cluster[2]>) groups(%off : memref<3xi32>)
    outs(%out : memref<?x16xf16>) {moe.kernel, moe.schedule = [{rows = 48}]}
  return
}

// -----

func.func @case(%x: memref<?x32xf16>, %w: memref<2x32x16xf16>, %off: memref<3xi32>, %out: memref<?x16xf16>) attributes {moec.arguments = [
    {dtype = "float16", name = "x", role = "input", shape = array<i64: -2, 32>},
    {dtype = "float16", name = "w", role = "input", shape = array<i64: 2, 32, 16>},
    {dtype = "int32", name = "off", role = "input", shape = array<i64: 3>},
    {dtype = "float16", name = "out", role = "output", shape = array<i64: -2, 16>}]} {
  %0 = moe.wrap %w {moe.kernel} : memref<2x32x16xf16> to !moe.weight<32x16xf16, cluster[2]>
  // expected-error@+1 {{moe.schedule: expected columns to be a multiple of 32, and of 16 for each of warps_across, found 48 for 2}}
  moe.grouped_matmul ins(%x : memref<?x32xf16>) weights(%0 : !moe.weight<32x16xf16, cluster[2]>) groups(%off : memref<3xi32>)
    outs(%out : memref<?x16xf16>) {moe.kernel, moe.schedule = [{columns = 48}]}
  return
}

// -----

func.func @case(%x: memref<?x32xf16>, %w: memref<2x32x16xf16>, %off: memref<3xi32>, %out: memref<?x16xf16>) attributes {moec.arguments = [
    {dtype = "float16", name = "x", role = "input", shape = array<i64: -2, 32>},
    {dtype = "float16", name = "w", role = "input", shape = array<i64: 2, 32, 16>},
    {dtype = "int32", name = "off", role = "input", shape = array<i64: 3>},
    {dtype = "float16", name = "out", role = "output", shape = array<i64: -2, 16>}]} {
  %0 = moe.wrap %w {moe.kernel} : memref<2x32x16xf16> to !moe.weight<32x16xf16, cluster[2]>
  // expected-error@+1 {{moe.schedule: expected rows to be a multiple of the warps, found 16 for 3}}
  moe.grouped_matmul ins(%x : memref<?x32xf16>) weights(%0 : !moe.weight<32x16xf16, cluster[2]>) groups(%off : memref<3xi32>)
    outs(%out : memref<?x16xf16>) {moe.kernel, moe.schedule = [{rows = 16, warps_down = 1, columns = 96, warps_across = 3}]}
  return
}

// -----

func.func @case(%x: memref<?x32xf16>, %w: memref<2x32x16xf16>, %off: memref<3xi32>, %out: memref<?x16xf16>) attributes {moec.arguments = [
    {dtype = "float16", name = "x", role = "input", shape = array<i64: -2, 32>},
    {dtype = "float16", name = "w", role = "input", shape = array<i64: 2, 32, 16>},
    {dtype = "int32", name = "off", role = "input", shape = array<i64: 3>},
    {dtype = "float16", name = "out", role = "output", shape = array<i64: -2, 16>}]} {
  %0 = moe.wrap %w {moe.kernel} : memref<2x32x16xf16> to !moe.weight<32x16xf16, cluster[2]>
  // expected-error@+1 {{moe.schedule: expected depth to be a multiple of 16, found 24}}
  moe.grouped_matmul ins(%x : memref<?x32xf16>) weights(%0 : !moe.weight<32x16xf16, cluster[2]>) groups(%off : memref<3xi32>)
    outs(%out : memref<?x16xf16>) {moe.kernel, moe.schedule = [{depth = 24}]}
  return
}

// -----

func.func @case(%x: memref<?x32xf16>, %w: memref<2x32x16xf16>, %off: memref<3xi32>, %out: memref<?x16xf16>) attributes {moec.arguments = [
    {dtype = "float16", name = "x", role = "input", shape = array<i64: -2, 32>},
    {dtype = "float16", name = "w", role = "input", shape = array<i64: 2, 32, 16>},
    {dtype = "int32", name = "off", role = "input", shape = array<i64: 3>},
    {dtype = "float16", name = "out", role = "output", shape = array<i64: -2, 16>}]} {
  %0 = moe.wrap %w {moe.kernel} : memref<2x32x16xf16> to !moe.weight<32x16xf16, cluster[2]>
  // expected-error@+1 {{moe.schedule: expected at most 49152 bytes of shared memory, found 107520}}
  moe.grouped_matmul ins(%x : memref<?x32xf16>) weights(%0 : !moe.weight<32x16xf16, cluster[2]>) groups(%off : memref<3xi32>)
    outs(%out : memref<?x16xf16>) {moe.kernel, moe.schedule = [{depth = 128}]}
  return
}

// -----

func.func @case(%x: memref<?x32xf16>, %w: memref<2x32x16xf16>, %off: memref<3xi32>, %out: memref<?x16xf16>) attributes {moec.arguments = [
    {dtype = "float16", name = "x", role = "input", shape = array<i64: -2, 32>},
    {dtype = "float16", name = "w", role = "input", shape = array<i64: 2, 32, 16>},
    {dtype = "int32", name = "off", role = "input", shape = array<i64: 3>},
    {dtype = "float16", name = "out", role = "output", shape = array<i64: -2, 16>}]} {
  %0 = moe.wrap %w {moe.kernel} : memref<2x32x16xf16> to !moe.weight<32x16xf16, cluster[2]>
  // expected-error@+1 {{moe.schedule: expected most_rows to grow from one to the next, found 8 behind 8}}
  moe.grouped_matmul ins(%x : memref<?x32xf16>) weights(%0 : !moe.weight<32x16xf16, cluster[2]>) groups(%off : memref<3xi32>)
    outs(%out : memref<?x16xf16>) {moe.kernel, moe.schedule = [{most_rows = 8}, {most_rows = 8}]}
  return
}

// -----

func.func @case(%x: memref<?x32xf16>, %w: memref<2x32x16xf16>, %off: memref<3xi32>, %out: memref<?x16xf16>) attributes {moec.arguments = [
    {dtype = "float16", name = "x", role = "input", shape = array<i64: -2, 32>},
    {dtype = "float16", name = "w", role = "input", shape = array<i64: 2, 32, 16>},
    {dtype = "int32", name = "off", role = "input", shape = array<i64: 3>},
    {dtype = "float16", name = "out", role = "output", shape = array<i64: -2, 16>}]} {
  %0 = moe.wrap %w {moe.kernel} : memref<2x32x16xf16> to !moe.weight<32x16xf16, cluster[2]>
  // expected-error@+1 {{moe.schedule: expected 64 rows for each of warpgroups, found 64 for 2}}
  moe.grouped_matmul ins(%x : memref<?x32xf16>) weights(%0 : !moe.weight<32x16xf16, cluster[2]>) groups(%off : memref<3xi32>)
    outs(%out : memref<?x16xf16>) {moe.kernel, moe.schedule = [{warpgroups = 2}]}
  return
}

// -----

func.func @case(%x: memref<?x32xf16>, %w: memref<2x32x16xf16>, %off: memref<3xi32>, %out: memref<?x16xf16>) attributes {moec.arguments = [
    {dtype = "float16", name = "x", role = "input", shape = array<i64: -2, 32>},
    {dtype = "float16", name = "w", role = "input", shape = array<i64: 2, 32, 16>},
    {dtype = "int32", name = "off", role = "input", shape = array<i64: 3>},
    {dtype = "float16", name = "out", role = "output", shape = array<i64: -2, 16>}]} {
  %0 = moe.wrap %w {moe.kernel} : memref<2x32x16xf16> to !moe.weight<32x16xf16, cluster[2]>
  // expected-error@+1 {{moe.schedule: expected 4 warps_down for each of warpgroups and 1 warps_across, found 2 and 2}}
  moe.grouped_matmul ins(%x : memref<?x32xf16>) weights(%0 : !moe.weight<32x16xf16, cluster[2]>) groups(%off : memref<3xi32>)
    outs(%out : memref<?x16xf16>) {moe.kernel, moe.schedule = [{warpgroups = 2, rows = 128}]}
  return
}

// -----

func.func @case(%x: memref<?x32xf16>, %w: memref<2x32x16xf16>, %off: memref<3xi32>, %out: memref<?x16xf16>) attributes {moec.arguments = [
    {dtype = "float16", name = "x", role = "input", shape = array<i64: -2, 32>},
    {dtype = "float16", name = "w", role = "input", shape = array<i64: 2, 32, 16>},
    {dtype = "int32", name = "off", role = "input", shape = array<i64: 3>},
    {dtype = "float16", name = "out", role = "output", shape = array<i64: -2, 16>}]} {
  %0 = moe.wrap %w {moe.kernel} : memref<2x32x16xf16> to !moe.weight<32x16xf16, cluster[2]>
  // expected-error@+1 {{moe.schedule: expected a depth of 64 for warpgroups, found 32}}
  moe.grouped_matmul ins(%x : memref<?x32xf16>) weights(%0 : !moe.weight<32x16xf16, cluster[2]>) groups(%off : memref<3xi32>)
    outs(%out : memref<?x16xf16>) {moe.kernel, moe.schedule = [{warpgroups = 2, rows = 128, warps_down = 8, warps_across = 1}]}
  return
}

// -----

func.func @case(%x: memref<?x32xf16>, %w: memref<2x32x16xf16>, %off: memref<3xi32>, %out: memref<?x16xf16>) attributes {moec.arguments = [
    {dtype = "float16", name = "x", role = "input", shape = array<i64: -2, 32>},
    {dtype = "float16", name = "w", role = "input", shape = array<i64: 2, 32, 16>},
    {dtype = "int32", name = "off", role = "input", shape = array<i64: 3>},
    {dtype = "float16", name = "out", role = "output", shape = array<i64: -2, 16>}]} {
  %0 = moe.wrap %w {moe.kernel} : memref<2x32x16xf16> to !moe.weight<32x16xf16, cluster[2]>
  // expected-error@+1 {{moe.schedule: expected columns to be a multiple of 64, and at most 256 of all matrices, found 32 of 1}}
  moe.grouped_matmul ins(%x : memref<?x32xf16>) weights(%0 : !moe.weight<32x16xf16, cluster[2]>) groups(%off : memref<3xi32>)
    outs(%out : memref<?x16xf16>) {moe.kernel, moe.schedule = [{warpgroups = 2, rows = 128, warps_down = 8, warps_across = 1, depth = 64, columns = 32}]}
  return
}

// -----

func.func @case(%x: memref<?x32xf16>, %w: memref<2x32x16xf16>, %off: memref<3xi32>, %out: memref<?x16xf16>) attributes {moec.arguments = [
    {dtype = "float16", name = "x", role = "input", shape = array<i64: -2, 32>},
    {dtype = "float16", name = "w", role = "input", shape = array<i64: 2, 32, 16>},
    {dtype = "int32", name = "off", role = "input", shape = array<i64: 3>},
    {dtype = "float16", name = "out", role = "output", shape = array<i64: -2, 16>}]} {
  %0 = moe.wrap %w {moe.kernel} : memref<2x32x16xf16> to !moe.weight<32x16xf16, cluster[2]>
  // expected-error@+1 {{moe.schedule: expected at most 232448 bytes of shared memory, found 262272}}
  moe.grouped_matmul ins(%x : memref<?x32xf16>) weights(%0 : !moe.weight<32x16xf16, cluster[2]>) groups(%off : memref<3xi32>)
    outs(%out : memref<?x16xf16>) {moe.kernel, moe.schedule = [{warpgroups = 2, rows = 128, warps_down = 8, warps_across = 1, depth = 64, columns = 128, stages = 8}]}
  return
}

// -----

func.func @case(%x: memref<?x32xf16>, %w: memref<2x32x16xf16>, %off: memref<3xi32>, %out: memref<?x16xf16>) attributes {moec.arguments = [
    {dtype = "float16", name = "x", role = "input", shape = array<i64: -2, 32>},
    {dtype = "float16", name = "w", role = "input", shape = array<i64: 2, 32, 16>},
    {dtype = "int32", name = "off", role = "input", shape = array<i64: 3>},
    {dtype = "float16", name = "out", role = "output", shape = array<i64: -2, 16>}]} {
  %0 = moe.wrap %w {moe.kernel} : memref<2x32x16xf16> to !moe.weight<32x16xf16, cluster[2]>
  // expected-error@+1 {{moe.schedule: expected blocks to be a multiple of cluster, found 7 for 2}}
  moe.grouped_matmul ins(%x : memref<?x32xf16>) weights(%0 : !moe.weight<32x16xf16, cluster[2]>) groups(%off : memref<3xi32>)
    outs(%out : memref<?x16xf16>) {moe.kernel, moe.schedule = [{warpgroups = 2, rows = 128, warps_down = 8, warps_across = 1, depth = 64, columns = 128, stages = 4, cluster = 2, blocks = 7}]}
  return
}

// -----

func.func @case(%x: memref<?x32xf16>, %w: memref<2x32x16xf16>, %off: memref<3xi32>, %out: memref<?x16xf16>) attributes {moec.arguments = [
    {dtype = "float16", name = "x", role = "input", shape = array<i64: -2, 32>},
    {dtype = "float16", name = "w", role = "input", shape = array<i64: 2, 32, 16>},
    {dtype = "int32", name = "off", role = "input", shape = array<i64: 3>},
    {dtype = "float16", name = "out", role = "output", shape = array<i64: -2, 16>}]} {
  %0 = moe.wrap %w {moe.kernel} : memref<2x32x16xf16> to !moe.weight<32x16xf16, cluster[2]>
  // expected-error@+1 {{moe.schedule: expected warpgroups for a cluster of blocks, found a cluster of 2 without}}
  moe.grouped_matmul ins(%x : memref<?x32xf16>) weights(%0 : !moe.weight<32x16xf16, cluster[2]>) groups(%off : memref<3xi32>)
    outs(%out : memref<?x16xf16>) {moe.kernel, moe.schedule = [{cluster = 2}]}
  return
}

// -----

func.func @case(%x: memref<?x32xf16>, %w: memref<2x32x16xf16>, %off: memref<3xi32>, %out: memref<?x16xf16>) attributes {moec.arguments = [
    {dtype = "float16", name = "x", role = "input", shape = array<i64: -2, 32>},
    {dtype = "float16", name = "w", role = "input", shape = array<i64: 2, 32, 16>},
    {dtype = "int32", name = "off", role = "input", shape = array<i64: 3>},
    {dtype = "float16", name = "out", role = "output", shape = array<i64: -2, 16>}]} {
  %0 = moe.wrap %w {moe.kernel} : memref<2x32x16xf16> to !moe.weight<32x16xf16, cluster[2]>
  // expected-error@+1 {{moe.schedule: expected a word of dense, present, slot for residual_form, found "sparse"}}
  moe.grouped_matmul ins(%x : memref<?x32xf16>) weights(%0 : !moe.weight<32x16xf16, cluster[2]>) groups(%off : memref<3xi32>)
    outs(%out : memref<?x16xf16>) {moe.kernel, moe.schedule = [{residual_form = "sparse"}]}
  return
}

// -----

func.func @case(%x: memref<?x32xf16>, %w: memref<2x32x16xf16>, %off: memref<3xi32>, %out: memref<?x16xf16>) attributes {moec.arguments = [
    {dtype = "float16", name = "x", role = "input", shape = array<i64: -2, 32>},
    {dtype = "float16", name = "w", role = "input", shape = array<i64: 2, 32, 16>},
    {dtype = "int32", name = "off", role = "input", shape = array<i64: 3>},
    {dtype = "float16", name = "out", role = "output", shape = array<i64: -2, 16>}]} {
  %0 = moe.wrap %w {moe.kernel} : memref<2x32x16xf16> to !moe.weight<32x16xf16, cluster[2]>
  // expected-error@+1 {{moe.schedule: expected a word of dense, present, slot for residual_form, found 1 : i64}}
  moe.grouped_matmul ins(%x : memref<?x32xf16>) weights(%0 : !moe.weight<32x16xf16, cluster[2]>) groups(%off : memref<3xi32>)
    outs(%out : memref<?x16xf16>) {moe.kernel, moe.schedule = [{residual_form = 1}]}
  return
}

// -----

func.func @case(%x: memref<?x32xf16>, %w: memref<2x32x16xf16>, %off: memref<3xi32>, %out: memref<?x16xf16>) attributes {moec.arguments = [
    {dtype = "float16", name = "x", role = "input", shape = array<i64: -2, 32>},
    {dtype = "float16", name = "w", role = "input", shape = array<i64: 2, 32, 16>},
    {dtype = "int32", name = "off", role = "input", shape = array<i64: 3>},
    {dtype = "float16", name = "out", role = "output", shape = array<i64: -2, 16>}]} {
  %0 = moe.wrap %w {moe.kernel} : memref<2x32x16xf16> to !moe.weight<32x16xf16, cluster[2]>
  // expected-error@+1 {{moe.schedule: expected residual_form present or slot for these types and ranks, found dense}}
  moe.grouped_matmul ins(%x : memref<?x32xf16>) weights(%0 : !moe.weight<32x16xf16, cluster[2]>) groups(%off : memref<3xi32>)
    outs(%out : memref<?x16xf16>) {moe.kernel, moe.schedule = [{residual_form = "dense"}]}
  return
}

// -----

func.func @case(%x: memref<?x32xf16>, %w: memref<2x32x16xf16>, %off: memref<3xi32>, %out: memref<?x16xf16>) attributes {moec.arguments = [
    {dtype = "float16", name = "x", role = "input", shape = array<i64: -2, 32>},
    {dtype = "float16", name = "w", role = "input", shape = array<i64: 2, 32, 16>},
    {dtype = "int32", name = "off", role = "input", shape = array<i64: 3>},
    {dtype = "float16", name = "out", role = "output", shape = array<i64: -2, 16>}]} {
  %0 = moe.wrap %w {moe.kernel} : memref<2x32x16xf16> to !moe.weight<32x16xf16, cluster[2]>
  // expected-error@+1 {{moe.schedule: expected shrink_rows 0 for these types and ranks, found 32}}
  moe.grouped_matmul ins(%x : memref<?x32xf16>) weights(%0 : !moe.weight<32x16xf16, cluster[2]>) groups(%off : memref<3xi32>)
    outs(%out : memref<?x16xf16>) {moe.kernel, moe.schedule = [{shrink_rows = 32}]}
  return
}

// -----

func.func @case(%x: memref<?x32xf16>, %w: memref<2x32x16xf16>, %off: memref<3xi32>, %out: memref<?x16xf16>) attributes {moec.arguments = [
    {dtype = "float16", name = "x", role = "input", shape = array<i64: -2, 32>},
    {dtype = "float16", name = "w", role = "input", shape = array<i64: 2, 32, 16>},
    {dtype = "int32", name = "off", role = "input", shape = array<i64: 3>},
    {dtype = "float16", name = "out", role = "output", shape = array<i64: -2, 16>}]} {
  %0 = moe.wrap %w {moe.kernel} : memref<2x32x16xf16> to !moe.weight<32x16xf16, cluster[2]>
  // expected-error@+1 {{moe.schedule: expected shrink_rows to be a multiple of 16, found 8}}
  moe.grouped_matmul ins(%x : memref<?x32xf16>) weights(%0 : !moe.weight<32x16xf16, cluster[2]>) groups(%off : memref<3xi32>)
    outs(%out : memref<?x16xf16>) {moe.kernel, moe.schedule = [{shrink_rows = 8}]}
  return
}
