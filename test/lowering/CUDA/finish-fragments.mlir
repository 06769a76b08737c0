// Sums stay in registers: activation and rounding of two columns at once; what the experts of 16 rows add, by mma.sync.
// RUN: moe-opt %s --convert-moe-to-cuda --canonicalize --cse | FileCheck %s
// RUN: sed 's/x4xbf16, expert/x16xbf16, expert/; s/<4x96/<16x96/; s/<4x64/<16x64/' %S/Inputs/layer.mlir > %t.mlir
// RUN: moe-compile %t.mlir --optimize --separate-weights --target=cuda --isas=sm_90a --emit=ptx -o %t.ptx
// RUN: awk '/entry block0_up_128/ {found = 1} found' %t.ptx | FileCheck %s --check-prefix=UP
// RUN: awk '/entry block0_matmul_128/ {found = 1} found' %t.ptx | FileCheck %s --check-prefix=DOWN
// RUN: sed 's/x4xbf16, expert/x24xbf16, expert/; s/<4x96/<24x96/; s/<4x64/<24x64/' %S/Inputs/layer.mlir > %t.mlir
// RUN: moe-compile %t.mlir --optimize --separate-weights --target=cuda --isas=sm_90a --emit=ptx -o %t.ptx
// RUN: awk '/entry block0_up_128/ {found = 1} found' %t.ptx | FileCheck %s --check-prefix=RANK24
// RUN: moe-compile %t.mlir --optimize --separate-weights --target=cuda --isas=sm_80 --emit=ptx -o %t.ptx
// RUN: awk '/entry block0_up_64/ {found = 1} found' %t.ptx | FileCheck %s --check-prefix=SM80

// CHECK-LABEL: gpu.func @act_{{.*}}matmul_128
// CHECK:      nvvm.wgmma.mma_async
// CHECK:      llvm.inline_asm has_side_effects
// CHECK-NOT:  memref.view
// Up, then gate, then what is written.
// CHECK:      llvm.inline_asm asm_dialect = att "cvt.rn.f16x2.f32 $0, $2, $1;", "=r,f,f"
// CHECK:      llvm.inline_asm asm_dialect = att "cvt.f32.f16 $0, $1;", "=f,h"
// CHECK:      arith.divf
// CHECK:      scf.if
// CHECK:        llvm.inline_asm asm_dialect = att "cvt.rn.f16x2.f32 $0, $2, $1;", "=r,f,f"
// CHECK:        llvm.store %{{.*}} {alignment = 4 : i64} : i32, !llvm.ptr<1>
// Lanes come together before the next tile is multiplied.
// CHECK:      nvvm.bar.warp.sync
func.func @act(%x: memref<?x32xf16>, %u: memref<2x32x16xf16>, %g: memref<2x32x16xf16>, %off: memref<3xi32>, %out: memref<?x16xf16>) attributes {moec.arguments = [
    {dtype = "float16", name = "x", role = "input", shape = array<i64: -2, 32>},
    {dtype = "float16", name = "u", role = "input", shape = array<i64: 2, 32, 16>},
    {dtype = "float16", name = "g", role = "input", shape = array<i64: 2, 32, 16>},
    {dtype = "int32", name = "off", role = "input", shape = array<i64: 3>},
    {dtype = "float16", name = "out", role = "output", shape = array<i64: -2, 16>}]} {
  %0 = moe.wrap %u {moe.kernel} : memref<2x32x16xf16> to !moe.weight<32x16xf16, cluster[2]>
  %1 = moe.wrap %g {moe.kernel} : memref<2x32x16xf16> to !moe.weight<32x16xf16, cluster[2]>
  moe.grouped_matmul ins(%x : memref<?x32xf16>) weights(%0, %1 : !moe.weight<32x16xf16, cluster[2]>, !moe.weight<32x16xf16, cluster[2]>)
    groups(%off : memref<3xi32>) act <silu> outs(%out : memref<?x16xf16>) {moe.kernel, moe.schedule = [
      {rows = 128, columns = 64, depth = 64, stages = 4, warps_down = 8, warps_across = 1, warpgroups = 2}]}
  return
}

// Each lane looks through the pairs of a row, and the warp takes the least expert of all.
// UP:         wgmma.wait_group.sync.aligned 0
// UP-COUNT-5: shfl.sync.bfly.b32
// Which pairs the two rows of a lane have.
// UP-COUNT-2: shfl.sync.idx.b32
// Of 16 columns the experts' up and gate are two products each, and two more are h·A.
// UP-COUNT-6: mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32
// UP:         .visible .entry block0_add_parts

// Of a larger rank there are 16 in registers at a time.
// RANK24:         wgmma.wait_group.sync.aligned 0
// RANK24:         .pragma "nounroll"
// RANK24-COUNT-4: mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32
// RANK24:         .pragma "nounroll"
// RANK24-COUNT-4: mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32

// Tiles of sm_80 too: nothing passes through shared memory, and ptxas is told how many blocks are enough.
// SM80:         .minnctapersm 2
// SM80-NOT:     st.shared
// SM80-COUNT-32: mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32
// SM80-NOT:     st.shared
// SM80-COUNT-5: shfl.sync.bfly.b32
// SM80-NOT:     st.shared
// SM80:         .pragma "nounroll"
// SM80:         mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32
// SM80-NOT:     st.shared
// SM80:         .visible .entry block0_add_parts

// DOWN:         wgmma.mma_async.sync.aligned.m64n256k16.f32.bf16.bf16
// DOWN:         wgmma.wait_group.sync.aligned 0
// DOWN-COUNT-5: shfl.sync.bfly.b32
// DOWN:         cvt.rn.bf16x2.f32
// DOWN:         prmt.b32 {{.*}}, 0x5410
// DOWN:         prmt.b32 {{.*}}, 0x7632
// DOWN-COUNT-2: mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32
