// A layer of shared bases: the base product once for all experts of a row, however many each token chooses.
// RUN: moe-opt %s --pass-pipeline='builtin.module(moe-optimize,moe-select-layout,moe-bind-params,moe-export-entries,moe-select-cpu-kernels,convert-moe-to-linalg,canonicalize,one-shot-bufferize,canonicalize,cse,convert-moe-to-cpu{isa=x86-64-v3},canonicalize,cse)' | FileCheck %s
// RUN: sed 's/x2x/x4x/g; s/x2xf32/x4xf32/g; s/top_k 2/top_k 4/' %s | moe-opt --pass-pipeline='builtin.module(moe-optimize,moe-select-layout,moe-bind-params,moe-export-entries,moe-select-cpu-kernels,convert-moe-to-linalg,canonicalize,one-shot-bufferize,canonicalize,cse,convert-moe-to-cpu{isa=x86-64-v3},canonicalize,cse)' | FileCheck %s
// RUN: moe-opt %S/../../passes/Inputs/two_layers.mlir --pass-pipeline='builtin.module(moe-optimize,moe-select-layout,moe-plan-residency,moe-bind-params,convert-moe-to-moert,moe-export-entries,moe-select-cpu-kernels,convert-moe-to-linalg,canonicalize,one-shot-bufferize,canonicalize,cse,convert-moe-to-cpu{isa=x86-64-v3},canonicalize,cse)' | FileCheck %s --check-prefix=PAGED

// A paged pool's places are as far from each other as its first stride says, and as many as its first extent.
// PAGED-LABEL: func.func @block0(
// PAGED: moert.acquire
// PAGED-DAG: %[[PLACES:.+]] = memref.dim %arg{{[0-9]+}}, %c0 : memref<?x3x32x16xi8,
// PAGED-DAG: %{{.+}}, %{{.+}}, %{{.+}}:4, %[[STRIDES:.+]]:4 = memref.extract_strided_metadata %arg{{[0-9]+}} : memref<?x3x32x16xi8,
// PAGED: func.call @block0_up{{[0-9]+}}({{.*}}%[[PLACES]]
// PAGED: moert.release

// CHECK-LABEL: func.func @block0(
// CHECK:         call @block0_moert_plan_groups
// CHECK:         call @block0_moert_plan_pairs
// CHECK:         call @block0_pack
// CHECK:         call @block0_shrink
// CHECK:         call @block0_up
// CHECK:         call @block0_reduce
// CHECK:         call @block0_scale
// CHECK:         call @block0_matmul
// CHECK:         call @block0_scatter

// T = x·[Au | Ag], by expert.
// CHECK-LABEL: func.func private @block0_shrink
// CHECK-COUNT-2: call @matmul_f32_loose(
// CHECK-NOT:     call @
// CHECK:         return

// Per run of panels: up and gate of the base for all rows of the block. Behind it the experts: T·B twice, activation, the sum
// into the row, v.
// CHECK-LABEL: func.func private @block0_up
// CHECK:         scf.for
// CHECK-COUNT-2:   call @matmul_f32(
// CHECK-NOT:       call @matmul_f32(
// CHECK:           scf.for
// CHECK:             scf.for
// CHECK-COUNT-2:       call @matmul_f32_loose(
// CHECK:               arith.divf {{.*}} : vector<16xf32>
// CHECK:               call @matmul_f32_loose(
// CHECK-NOT:           call @
// CHECK:         return

// Runs of panels are added in their order, whoever computed them.
// CHECK-LABEL: func.func private @block0_reduce
// CHECK:         arith.addf {{.*}} : vector<16xf32>

// The down-projection is once per row too; the experts' part is a second segment of its reduction.
// CHECK-LABEL: func.func private @block0_matmul
// CHECK:           call @matmul_f32(
// CHECK-NOT:       call @matmul_f32(
// CHECK:           scf.for
// CHECK:             call @matmul_f32_loose(
// CHECK-NOT:         call @
// CHECK:         return

!table = !moe.table<expert[8] -> cluster[2]>
!in = !moe.weight<64x160xf32, expert[8]>
!out = !moe.weight<160x64xf32, expert[8]>
moe.param private @t : !table = dense<[0, 1, 0, 1, 0, 1, 0, 1]> : tensor<8xi32>
moe.param private @gate_base : !moe.weight<64x160xf32, cluster[2]> = #moe.seeded<1>
moe.param private @gate_a : !moe.weight<64x16xf32, expert[8]> = #moe.seeded<2>
moe.param private @gate_b : !moe.weight<16x160xf32, expert[8]> = #moe.seeded<3>
moe.param private @up_base : !moe.weight<64x160xf32, cluster[2]> = #moe.seeded<4>
moe.param private @up_a : !moe.weight<64x16xf32, expert[8]> = #moe.seeded<5>
moe.param private @up_b : !moe.weight<16x160xf32, expert[8]> = #moe.seeded<6>
moe.param private @down_base : !moe.weight<160x64xf32, cluster[2]> = #moe.seeded<7>
moe.param private @down_a : !moe.weight<160x16xf32, expert[8]> = #moe.seeded<8>
moe.param private @down_b : !moe.weight<16x64xf32, expert[8]> = #moe.seeded<9>
func.func @layer(%x: tensor<?x64xf32>, %l: tensor<?x8xf32>) -> tensor<?x64xf32> {
  %t = moe.leaf @t : !table
  %ids, %p = moe.route %l score softmax limit <keep 1 of 2 by max> clusters %t choose <top_k 2> gates <scores, l1>
    : (tensor<?x8xf32>, !table) -> (tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>)
  %gb = moe.leaf @gate_base : !moe.weight<64x160xf32, cluster[2]>
  %ga = moe.leaf @gate_a : !moe.weight<64x16xf32, expert[8]>
  %gB = moe.leaf @gate_b : !moe.weight<16x160xf32, expert[8]>
  %ub = moe.leaf @up_base : !moe.weight<64x160xf32, cluster[2]>
  %ua = moe.leaf @up_a : !moe.weight<64x16xf32, expert[8]>
  %uB = moe.leaf @up_b : !moe.weight<16x160xf32, expert[8]>
  %db = moe.leaf @down_base : !moe.weight<160x64xf32, cluster[2]>
  %da = moe.leaf @down_a : !moe.weight<160x16xf32, expert[8]>
  %dB = moe.leaf @down_b : !moe.weight<16x64xf32, expert[8]>
  %gs = moe.weight.select %gb by %t : !moe.weight<64x160xf32, cluster[2]>, !table
  %gr = moe.weight.mul %ga, %gB : !moe.weight<64x16xf32, expert[8]>, !moe.weight<16x160xf32, expert[8]>
  %g = moe.weight.add %gs, %gr : !in, !in
  %us = moe.weight.select %ub by %t : !moe.weight<64x160xf32, cluster[2]>, !table
  %ur = moe.weight.mul %ua, %uB : !moe.weight<64x16xf32, expert[8]>, !moe.weight<16x160xf32, expert[8]>
  %u = moe.weight.add %us, %ur : !in, !in
  %ds = moe.weight.select %db by %t : !moe.weight<160x64xf32, cluster[2]>, !table
  %dr = moe.weight.mul %da, %dB : !moe.weight<160x16xf32, expert[8]>, !moe.weight<16x64xf32, expert[8]>
  %d = moe.weight.add %ds, %dr : !out, !out
  %y = moe.experts %x to %ids weighted %p gate %g up %u down %d act <silu>
    : (tensor<?x64xf32>, tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>, !in, !in, !out) -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}
