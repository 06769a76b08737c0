// Hopper's instructions: barriers that count bytes, copies by tensor maps, products of warpgroups, registers that move.
// RUN: moe-compile %S/Inputs/layer.mlir --optimize --separate-weights --target=cuda --isas=sm_90a --emit=ptx -o %t.ptx
// RUN: awk '/entry block0_up_128/ {found = 1} found' %t.ptx | FileCheck %s
// RUN: FileCheck %s --input-file=%t.ptx --check-prefix=SHARED
// RUN: grep -c '\.extern' %t.ptx | FileCheck %s --check-prefix=ONCE

// What a launch gives beyond what kernels know of is the one thing that PTX does not define itself.
// SHARED: .extern .shared .align 1024 .b8 [[SHARED:[a-z_0-9]+]][];
// ONCE: {{^}}1{{$}}

// Maps of x and of the two weights are handed over by value.
// CHECK-COUNT-3: .param .align 64 .b8 block0_up_128_{{[0-9]+}}_param_{{[0-9]}}[128]
// CHECK:      .maxntid 384, 1, 1
// One thread brings them near, in front of the wait for the kernel before.
// CHECK-NOT:  griddepcontrol.wait
// CHECK-COUNT-3: prefetch.param.tensormap
// CHECK-NOT:  prefetch.param.tensormap
// CHECK-NOT:  griddepcontrol.wait
// Full and empty for each of four stages; eight warps empty one.
// CHECK-COUNT-8: mbarrier.init.shared.b64
// CHECK:      fence.mbarrier_init.release.cluster
// CHECK:      bar.sync 0
// CHECK:      griddepcontrol.wait
// CHECK:      setmaxnreg.dec.sync.aligned.u32 40
// CHECK:      elect.sync
// CHECK:      mbarrier.try_wait.parity.shared.b64
// CHECK:      mbarrier.arrive.expect_tx.shared.b64
// CHECK:      cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes
// CHECK-COUNT-2: cp.async.bulk.tensor.3d.shared::cluster.global.tile.mbarrier::complete_tx::bytes
// Who multiplies.
// CHECK:      setmaxnreg.inc.sync.aligned.u32 232
// CHECK:      mbarrier.try_wait.parity.shared.b64
// Gate and up at once, 16 of the reduction at a time; x row by row, weights as they lie: column by column of the product.
// CHECK:      wgmma.fence.sync.aligned
// CHECK-COUNT-4: wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {{.*}} 1, 1, 0, 1;
// CHECK:      wgmma.commit_group.sync.aligned
// CHECK:      wgmma.wait_group.sync.aligned 0
// CHECK:      elect.sync
// CHECK:      mbarrier.arrive.shared.b64
// CHECK:      bar.warp.sync
