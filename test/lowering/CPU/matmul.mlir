// The micro-kernel: register tiles of each instruction set, loop orders, decoding.
// RUN: moe-opt %s --pass-pipeline='builtin.module(moe-export-entries,moe-select-cpu-kernels,convert-moe-to-linalg,canonicalize,one-shot-bufferize,canonicalize,cse,convert-moe-to-cpu{isa=x86-64-v3},canonicalize,cse)' | FileCheck %s --check-prefixes=CHECK,AVX2
// RUN: moe-opt %s --pass-pipeline='builtin.module(moe-export-entries,moe-select-cpu-kernels,convert-moe-to-linalg,canonicalize,one-shot-bufferize,canonicalize,cse,convert-moe-to-cpu{isa=x86-64-v4},canonicalize,cse)' | FileCheck %s --check-prefixes=CHECK,AVX512
// RUN: moe-opt %s --pass-pipeline='builtin.module(moe-export-entries,moe-select-cpu-kernels,convert-moe-to-linalg,canonicalize,one-shot-bufferize,canonicalize,cse,convert-moe-to-cpu{isa=portable},canonicalize,cse)' | FileCheck %s --check-prefix=PORTABLE

// Kernels are unrolled as they should be: LLVM is not to look for more.
// CHECK-DAG: #[[UNROLL:.*]] = #llvm.loop_unroll<disable = true>
// CHECK-DAG: #[[$ONCE:.*]] = #llvm.loop_annotation<unroll = #[[UNROLL]]>

// Rows are transposed tile by tile, so that a tile reads one stream.
// CHECK-LABEL: func.func private @pack_rows
// CHECK:         memref.load
// CHECK:         memref.store
// CHECK:         } {loop_annotation = #[[$ONCE]]}
// Wide registers are asked for: LLVM would use half of them.
// CHECK-LABEL: func.func private @matmul_f16(
// AVX2-SAME:     i1) {
// AVX512-SAME:   passthrough = {{.*}}"512"{{.*}}"512"
// A row at a time with many panels beside each other, over the whole reduction.
// In 16 registers one step of codes at a time: more would be spilled.
// AVX2:          scf.for {{.*}} -> (vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>) {
// AVX2-COUNT-4:    llvm.intr.fma
// AVX2-NOT:        llvm.intr.fma
// AVX2:            scf.yield
// Few rows: as the codes lie; many: a block is decoded once for all tiles.
// CHECK:         vector.load {{.*}} vector<16xf16>
// CHECK:         arith.extf {{.*}} : vector<16xf16> to vector<16xf32>
// CHECK:         vector.store {{.*}} : memref<{{.*}}xf32{{.*}}>, vector<16xf32>
// The largest tile: 6 rows of one panel in 16 registers, 12 of two in 32; four steps in a turn, two of a large tile.
// AVX2:          case 6 {
// AVX2-COUNT-24:   llvm.intr.fma
// AVX2-NOT:        llvm.intr.fma
// AVX2:            scf.yield
// AVX512:        case 12 {
// AVX512-COUNT-48: llvm.intr.fma
// AVX512-NOT:      llvm.intr.fma
// AVX512:          scf.yield

// Without an instruction for it products are rounded: no call of the C library in a loop.
// PORTABLE-NOT:  llvm.intr.fma
// PORTABLE:      arith.mulf {{.*}} : vector<16xf32>
// PORTABLE:      arith.addf {{.*}} : vector<16xf32>

func.func @product(%x: tensor<?x256xf32>, %codes: tensor<4x256x16xf16>) -> tensor<?x64xf32> {
  %c0 = arith.constant 0 : index
  %w = moe.wrap %codes encoding <f16> layout panel16 : tensor<4x256x16xf16> to !moe.weight<256x64xf32>
  %d = tensor.dim %x, %c0 : tensor<?x256xf32>
  %e = tensor.empty(%d) : tensor<?x64xf32>
  %y = moe.grouped_matmul ins(%x : tensor<?x256xf32>) weights(%w : !moe.weight<256x64xf32>) outs(%e : tensor<?x64xf32>) -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}
