// What moe-select-precision takes for matrices of experts, and what it leaves.
// DEFINE: %{cluster} = --moe-cluster-experts="clusters=2 threshold=-1"
// DEFINE: %{select} = --moe-select-precision="preset=paper" --remarks-filter='.*'
// RUN: moe-opt %s %{cluster} --moe-factorize-experts=rank=16 %{select} 2>&1 -o /dev/null | FileCheck %s --check-prefix=SHARED
// RUN: moe-opt %s %{cluster} --moe-factorize-experts=residual=none %{select} 2>&1 -o /dev/null | FileCheck %s --check-prefix=MERGED
// RUN: moe-opt %s --moe-factorize-experts="base=none rank=16" %{select} 2>&1 -o /dev/null | FileCheck %s --check-prefix=PRODUCT
// RUN: moe-opt %s --moe-mix-experts=bases=2 %{select} 2>&1 -o /dev/null | FileCheck %s --check-prefix=MIXED
// RUN: moe-opt %s %{select} 2>&1 -o /dev/null | FileCheck %s --check-prefix=PLAIN
// SHARED: [Passed] select-precision{{.+}}gate: base f16, residual int4 group 16 scale f16, 12032 bytes
// MERGED: [Passed] select-precision{{.+}}gate: base f16, 8192 bytes
// PRODUCT: [Passed] select-precision{{.+}}gate: residual int4 group 16 scale f16, 3840 bytes
// MIXED-COUNT-3: [Missed] select-precision{{.+}}left as it is
// MIXED: 0 matrices: 0 bytes
// PLAIN: [Passed] select-precision{{.+}}gate: f16, 16384 bytes

// A token that is limited to one cluster of the table reads one base: its time is that of half the bytes of two.
// RUN: moe-opt %s %{cluster} --moe-factorize-experts=residual=none --moe-select-precision="preset=paper target-tokens=100" --remarks-filter='.*' 2>&1 -o /dev/null | FileCheck %s --check-prefix=FLAT
// RUN: moe-opt %s %{cluster} --moe-route-two-stage=clusters-per-token=1 --moe-factorize-experts=residual=none --moe-select-precision="preset=paper target-tokens=100" --remarks-filter='.*' 2>&1 -o /dev/null | FileCheck %s --check-prefix=LIMITED
// Of 4 experts in 2 clusters 2 choices meet 5/3 clusters: 100·5/3·2·2048 operations at 190 GFLOP/s.
// FLAT: [Passed] select-precision{{.+}}gate: base f16, 8192 bytes, error {{[0-9.]+}}, 3.59 us
// LIMITED: [Passed] select-precision{{.+}}gate: base f16, 8192 bytes, error {{[0-9.]+}}, 2.16 us

!in = !moe.weight<32x64xf32, expert[4]>
!out = !moe.weight<64x32xf32, expert[4]>
!ids = tensor<?x2x!moe.id<expert[4]>>

moe.param private @router : !moe.weight<32x4xf32> = #moe.seeded<4>
moe.param private @gate : !in = #moe.seeded<1>
moe.param private @up : !in = #moe.seeded<2>
moe.param private @down : !out = #moe.seeded<3>
func.func @layer0(%x: tensor<?x32xf32>) -> tensor<?x32xf32> {
  %r = moe.leaf @router : !moe.weight<32x4xf32>
  %g = moe.leaf @gate : !in
  %u = moe.leaf @up : !in
  %d = moe.leaf @down : !out
  %l = moe.apply %x, %r : tensor<?x32xf32>, !moe.weight<32x4xf32> -> tensor<?x4xf32>
  %ids, %p = moe.route %l score softmax choose <top_k 2> gates <scores, l1> : (tensor<?x4xf32>) -> (!ids, tensor<?x2xf32>)
  %y = moe.experts %x to %ids weighted %p gate %g up %u down %d act <silu> : (tensor<?x32xf32>, !ids, tensor<?x2xf32>, !in, !in, !out) -> tensor<?x32xf32>
  return %y : tensor<?x32xf32>
}
