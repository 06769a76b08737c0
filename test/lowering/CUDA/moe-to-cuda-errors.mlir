// RUN: moe-opt %s --convert-moe-to-cuda --split-input-file --verify-diagnostics

func.func @unmarked(%x: memref<8x32xf32>, %i: memref<8xi32>, %y: memref<8x32xf32>) attributes {moec.arguments = []} {
  // expected-error@+1 {{has no kernel: expected one that moe-select-cuda-kernels marked, on buffers}}
  moe.gather ins(%x, %i : memref<8x32xf32>, memref<8xi32>) outs(%y : memref<8x32xf32>)
  return
}

// -----

func.func @tensors(%x: tensor<8x32xf32>, %i: tensor<8xi32>, %y: tensor<8x32xf32>) -> tensor<8x32xf32> attributes {moec.arguments = []} {
  // expected-error@+1 {{has no kernel: expected one that moe-select-cuda-kernels marked, on buffers}}
  %0 = moe.scatter_combine ins(%x, %i : tensor<8x32xf32>, tensor<8xi32>) outs(%y : tensor<8x32xf32>) {moe.kernel} -> tensor<8x32xf32>
  return %0 : tensor<8x32xf32>
}

// -----

func.func @rows_of_nobody(%x: memref<8x32xf32>, %i: memref<8xi32>, %y: memref<8x32xf32>) attributes {moec.arguments = []} {
  // expected-error@+1 {{adds up rows of no moe.group that has kernels in this function}}
  moe.scatter_combine ins(%x, %i : memref<8x32xf32>, memref<8xi32>) outs(%y : memref<8x32xf32>) {moe.kernel, moe.rows_per_token = 1 : i64}
  return
}

// -----

func.func @pairs_of_nobody(%x: memref<8x32xbf16>, %off: memref<3xi32>, %pair: memref<8xi32>, %expert: memref<8xi32>, %p: memref<8xbf16>,
                           %w: memref<2x32x16xbf16>, %y: memref<8x16xbf16>) attributes {moec.arguments = [
    {dtype = "bfloat16", name = "x", role = "input", shape = array<i64: 8, 32>}, {dtype = "int32", name = "off", role = "input", shape = array<i64: 3>},
    {dtype = "int32", name = "pair", role = "input", shape = array<i64: 8>}, {dtype = "int32", name = "expert", role = "input", shape = array<i64: 8>},
    {dtype = "bfloat16", name = "p", role = "input", shape = array<i64: 8>}, {dtype = "bfloat16", name = "w", role = "input", shape = array<i64: 2, 32, 16>},
    {dtype = "bfloat16", name = "y", role = "output", shape = array<i64: 8, 16>}]} {
  %experts = moe.id_cast %expert : memref<8xi32> to memref<8x!moe.id<expert[4]>>
  %0 = moe.wrap %w {moe.kernel} : memref<2x32x16xbf16> to !moe.weight<32x16xbf16, cluster[2]>
  // expected-error@+1 {{has pairs of no moe.group that has kernels in this function}}
  moe.grouped_up ins(%x : memref<8x32xbf16>) weights(%0 : !moe.weight<32x16xbf16, cluster[2]>) groups(%off : memref<3xi32>)
    pair_rows(%pair : memref<8xi32>) pair_experts(%experts : memref<8x!moe.id<expert[4]>>) weighted(%p : memref<8xbf16>) act <silu> outs(%y : memref<8x16xbf16>) {moe.kernel}
  return
}

// -----

// expected-error@+1 {{expected moec.arguments to describe each argument, found 0 of 7}}
func.func @undescribed(%x: memref<8x32xbf16>, %off: memref<3xi32>, %pair: memref<8xi32>, %expert: memref<8xi32>, %p: memref<8xbf16>,
                           %w: memref<2x32x16xbf16>, %y: memref<8x16xbf16>) attributes {moec.arguments = []} {
  %experts = moe.id_cast %expert : memref<8xi32> to memref<8x!moe.id<expert[4]>>
  %0 = moe.wrap %w {moe.kernel} : memref<2x32x16xbf16> to !moe.weight<32x16xbf16, cluster[2]>
  moe.grouped_up ins(%x : memref<8x32xbf16>) weights(%0 : !moe.weight<32x16xbf16, cluster[2]>) groups(%off : memref<3xi32>)
    pair_rows(%pair : memref<8xi32>) pair_experts(%experts : memref<8x!moe.id<expert[4]>>) weighted(%p : memref<8xbf16>) act <silu> outs(%y : memref<8x16xbf16>) {moe.kernel}
  return
}
