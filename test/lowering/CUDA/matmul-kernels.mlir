// The kernels of a whole layer, in order, and what the two that multiply are made of: one of each for few rows, one for many.
// RUN: moe-compile %S/Inputs/layer.mlir --optimize --separate-weights --target=cuda --residual-form=present --emit=ptx -o %t.ptx
// RUN: grep -o 'entry block0_[a-z_]*' %t.ptx | FileCheck %s --check-prefix=KERNELS
// RUN: awk '/entry block0_up_16/ {found = 1} found' %t.ptx | FileCheck %s --check-prefix=UP
// RUN: awk '/entry block0_matmul_16/ {found = 1} found' %t.ptx | FileCheck %s --check-prefix=DOWN
// RUN: FileCheck %s --input-file=%t.ptx --check-prefix=NOTHING --allow-empty --implicit-check-not=.extern --implicit-check-not=__nv --implicit-check-not=.local

// Products of one group share its plans: tiles and pairs are counted once.
// KERNELS:      block0_group_rows
// KERNELS-NEXT: block0_group_order
// KERNELS-NEXT: block0_group_pairs
// KERNELS-NEXT: block0_tiles
// KERNELS-NEXT: block0_shrink
// KERNELS-NEXT: block0_up
// KERNELS-NEXT: block0_up
// KERNELS-NEXT: block0_add_parts
// KERNELS-NEXT: block0_matmul
// KERNELS-NEXT: block0_matmul
// KERNELS-NEXT: block0_combine
// KERNELS-NOT:  block0_up
// KERNELS-NOT:  block0_matmul

// Gate and up of a tile, for all experts of the cluster at once. Few rows: half of the warps copy a tile's x, and each warp multiplies
// 16 columns; LLVM unrolls the two steps of the reduction. Two products for each 16 columns are an expert's gate, its up, and h·A.
// UP:              .shared .align {{[0-9]+}} .b8 {{.*}}[41984]
// UP-COUNT-22:     mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32
// UP-NOT:          mma.sync
// UP:              .visible .entry block0_up_64
// UP:              .shared .align {{[0-9]+}} .b8 {{.*}}[43008]
// UP-COUNT-12:     cp.async.cg.shared.global
// UP:              cp.async.wait_group 1
// UP-COUNT-16:     mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32
// UP:              cp.async.wait_group 0
// The warp looks for the next expert.
// UP-COUNT-5:      shfl.sync.bfly
// UP:              .visible .entry block0_add_parts

// DOWN:            .shared .align {{[0-9]+}} .b8 {{.*}}[23552]
// DOWN-COUNT-14:   mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32
// DOWN-NOT:        mma.sync
// DOWN:            .visible .entry block0_matmul_64
// DOWN:            .shared .align {{[0-9]+}} .b8 {{.*}}[29184]
// DOWN-COUNT-8:    mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32
// DOWN:            .visible .entry block0_combine

// NOTHING-NOT: __nv
