// Each matrix becomes a base by the table plus a residual, as recipes; the decision states what it loses.
// RUN: moe-opt %s --moe-cluster-experts="clusters=2 threshold=-1" --moe-factorize-experts="rank=16 base-encoding='int8 group 8' residual-encoding=bf16" --remarks-filter='.*' 2>%t.remarks | FileCheck %s
// RUN: FileCheck %s --check-prefix=REMARK < %t.remarks
// RUN: moe-opt %s --moe-cluster-experts="clusters=2 threshold=-1" --moe-factorize-experts="rank=16" | moe-opt --moe-optimize -o %t.optimized

// Rank 24 is full for 24 x 32: nothing is lost, so a bound of 1e-4 takes it; a bound of 2 takes the base alone.
// RUN: moe-opt %s --moe-cluster-experts="clusters=2 threshold=-1" --moe-factorize-experts="error-bound=0.0001" | FileCheck %s --check-prefix=FULL
// RUN: moe-opt %s --moe-cluster-experts="clusters=2 threshold=-1" --moe-factorize-experts="error-bound=2" | FileCheck %s --check-prefix=ALONE
// 4 experts, both matrices, rank 16, f32: 4·2·16·(24 + 32)·4 bytes.
// RUN: moe-opt %s --moe-cluster-experts="clusters=2 threshold=-1" --moe-factorize-experts="bytes=28672" | FileCheck %s --check-prefix=BYTES

// Without a base an expert is a product alone, and needs no clusters; without a residual it is the base of its cluster.
// RUN: moe-opt %s --moe-factorize-experts="base=none rank=16" --remarks-filter='.*' 2>&1 | FileCheck %s --check-prefix=NOBASE --implicit-check-not=select
// RUN: moe-opt %s --moe-cluster-experts="clusters=2 threshold=-1" --moe-factorize-experts="residual=none" --remarks-filter='.*' 2>&1 | FileCheck %s --check-prefix=MERGED --implicit-check-not=svd

!up = !moe.weight<24x32xf32, expert[4]>
!down = !moe.weight<32x24xf32, expert[4]>

// REMARK: factorize-experts{{.+}}up: base of 2 clusters and residuals of rank 16; relative error 0.{{[0-9]+}} mean, 0.{{[0-9]+}} largest
// REMARK: factorize-experts{{.+}}down: base of 2 clusters and residuals of rank 16; relative error 0.{{[0-9]+}} mean, 0.{{[0-9]+}} largest

// CHECK: moe.param private @layer0.cluster : !moe.table<expert[4] -> cluster[2]>
// CHECK: moe.param private @layer0.up.base : !moe.weight<24x32xf32, cluster[2]> = #moe.mean<@layer0.up by @layer0.cluster> encoding <int8 group 8> {moe.relative_error = array<f64: 0.{{[0-9]+}}, 0.{{[0-9]+}}>}
// CHECK: moe.param private @layer0.down.base : !moe.weight<32x24xf32, cluster[2]>
// CHECK: moe.param private @layer0.up.a : !moe.weight<24x16xf32, expert[4]> = #moe.svd<input rank 16 of @layer0.up minus @layer0.up.base by @layer0.cluster> encoding <bf16>
// CHECK: moe.param private @layer0.up.b : !moe.weight<16x32xf32, expert[4]> = #moe.svd<output rank 16 of @layer0.up minus @layer0.up.base by @layer0.cluster> encoding <bf16>
// CHECK-LABEL: func.func @layer0
// CHECK-DAG: %[[BASE:.+]] = moe.leaf @layer0.up.base
// CHECK-DAG: %[[TABLE:.+]] = moe.leaf @layer0.cluster
// CHECK: %[[SHARED:.+]] = moe.weight.select %[[BASE]] by %[[TABLE]]
// CHECK-DAG: %[[A:.+]] = moe.leaf @layer0.up.a
// CHECK-DAG: %[[B:.+]] = moe.leaf @layer0.up.b
// CHECK: %[[OWN:.+]] = moe.weight.mul %[[A]], %[[B]]
// CHECK: %[[UP:.+]] = moe.weight.add %[[SHARED]], %[[OWN]]
// CHECK: moe.experts %{{.+}} up %[[UP]]

// NOBASE-DAG: factorize-experts{{.+}}up: products of rank 16 alone; relative error 0.{{[0-9]+}} mean, 0.{{[0-9]+}} largest
// NOBASE-DAG: moe.param private @layer0.up.a : !moe.weight<24x16xf32, expert[4]> = #moe.svd<input rank 16 of @layer0.up> {moe.relative_error
// NOBASE-DAG: moe.param private @layer0.up.b : !moe.weight<16x32xf32, expert[4]> = #moe.svd<output rank 16 of @layer0.up>
// NOBASE: func.func @layer0
// NOBASE: %[[UP:.+]] = moe.weight.mul
// NOBASE: moe.experts %{{.+}} up %[[UP]]

// MERGED-DAG: factorize-experts{{.+}}up: base of 2 clusters alone; relative error 0.{{[0-9]+}} mean, 0.{{[0-9]+}} largest
// MERGED: func.func @layer0
// MERGED: %[[UP:.+]] = moe.weight.select
// MERGED: moe.experts %{{.+}} up %[[UP]]

// FULL: @layer0.up.a : !moe.weight<24x24xf32, expert[4]>
// ALONE-NOT: #moe.svd
// ALONE: moe.experts
// BYTES: @layer0.up.a : !moe.weight<24x16xf32, expert[4]>
// BYTES: @layer0.down.a : !moe.weight<32x16xf32, expert[4]>
moe.param private @layer0.up : !up = #moe.seeded<1>
moe.param private @layer0.down : !down = #moe.seeded<2>
func.func @layer0(%x: tensor<?x24xf32>, %ids: tensor<?x2x!moe.id<expert[4]>>, %p: tensor<?x2xf32>) -> tensor<?x24xf32> {
  %u = moe.leaf @layer0.up : !up
  %d = moe.leaf @layer0.down : !down
  %y = moe.experts %x to %ids weighted %p up %u down %d act <silu>
    : (tensor<?x24xf32>, tensor<?x2x!moe.id<expert[4]>>, tensor<?x2xf32>, !up, !down) -> tensor<?x24xf32>
  return %y : tensor<?x24xf32>
}
