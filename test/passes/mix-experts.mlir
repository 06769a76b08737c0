// Each matrix becomes a mix of bases times a factor; what that loses is said.
// RUN: moe-opt %s --moe-mix-experts="bases=2 rank=6" --remarks-filter='.*' 2>%t.remarks | FileCheck %s
// RUN: FileCheck %s --check-prefix=REMARK < %t.remarks
// The same through a map, in few bits, of full rank: fits mind what rounding does.
// RUN: moe-opt %s --moe-mix-experts="bases=4 phi=tanh base-encoding='int8 group 8' factor-encoding='int4 group 8'" --remarks-filter='.*' 2>%t.remarks | FileCheck %s --check-prefix=FULL
// RUN: FileCheck %s --check-prefix=ERRORS < %t.remarks
// A fit that is kept is the same.
// RUN: rm -rf %t.cache && moe-opt %s --moe-mix-experts="bases=3 cache=%t.cache" -o %t.first
// RUN: ls %t.cache | FileCheck %s --check-prefix=CACHE
// RUN: moe-opt %s --moe-mix-experts="bases=3 cache=%t.cache" -o %t.again && diff %t.first %t.again
// RUN: moe-opt %s --moe-mix-experts=bases=3 -o %t.again && diff %t.first %t.again

// RUN: not moe-opt %s --moe-mix-experts=bases=5 2>&1 | FileCheck %s --check-prefix=MANY
// MANY: error: 'moe.experts' op option bases: expected 1 to 4, found 5
// RUN: not moe-opt %s --moe-mix-experts=rank=25 2>&1 | FileCheck %s --check-prefix=WIDE
// WIDE: error: 'moe.experts' op option rank: expected 1 to 24 for up, found 25
// RUN: not moe-opt %s --moe-mix-experts=base-encoding=int5 2>&1 | FileCheck %s --check-prefix=ENCODING
// ENCODING: error: option base-encoding: expected an encoding, for example 'int8 group 32', found 'int5'
// RUN: not moe-opt %s --moe-mix-experts=weights=nonsense 2>&1 | FileCheck %s --check-prefix=SCOPE
// SCOPE: error: option weights: expected scope=

!up = !moe.weight<24x32xf32, expert[4]>
!down = !moe.weight<32x24xf32, expert[4]>

// REMARK: [Missed] mix-experts{{.+}}layer left as it is: its weights are expressions already, or arguments
// REMARK: [Passed] mix-experts{{.+}}up: 2 bases of rank 6; relative error 0.7{{[0-9]+}} mean, 0.{{[0-9]+}} largest
// REMARK: [Passed] mix-experts{{.+}}down: 2 bases of rank 6; relative error 0.7{{[0-9]+}} mean, 0.{{[0-9]+}} largest
// REMARK-NOT: mix-experts
// As many bases as experts, of full rank: encodings alone are left.
// ERRORS: [Passed] mix-experts{{.+}}up: 4 bases of rank 24; relative error 0.0{{[0-9]+}} mean, 0.0{{[0-9]+}} largest
// CACHE-COUNT-2: .safetensors

// The larger side is the bases'.
// CHECK: moe.param private @layer0.up.bases : !moe.weight<6x32xf32, basis[2]> = #moe.basis_mix<bases of 2 on output rank 6 of @up> {moe.relative_error = array<f64: 0.7{{[0-9]+}}, 0.{{[0-9]+}}>}
// CHECK: moe.param private @layer0.up.mix : !moe.weight<1x2xf32, expert[4]> = #moe.basis_mix<coefficients of 2 on output rank 6 of @up>
// CHECK: moe.param private @layer0.up.own : !moe.weight<24x6xf32, expert[4]> = #moe.mix_factor<on output @layer0.up.bases by @layer0.up.mix of @up>
// CHECK: moe.param private @layer0.down.bases : !moe.weight<32x6xf32, basis[2]> = #moe.basis_mix<bases of 2 on input rank 6 of @down> encoding <bf16>
// CHECK: moe.param private @layer0.down.own : !moe.weight<6x24xf32, expert[4]> = #moe.mix_factor<on input @layer0.down.bases by @layer0.down.mix of @down> encoding <bf16>
// CHECK-LABEL: @layer0(
// CHECK-DAG: %[[BASES:.+]] = moe.leaf @layer0.up.bases
// CHECK-DAG: %[[MIX:.+]] = moe.leaf @layer0.up.mix
// CHECK: %[[MIXED:.+]] = moe.weight.mix %[[BASES]], %[[MIX]]
// CHECK: %[[OWN:.+]] = moe.leaf @layer0.up.own
// CHECK: %[[UP:.+]] = moe.weight.mul %[[OWN]], %[[MIXED]]
// CHECK: %[[DOWN_MIXED:.+]] = moe.weight.mix
// CHECK: %[[DOWN:.+]] = moe.weight.mul %[[DOWN_MIXED]],
// CHECK: moe.experts {{.+}} up %[[UP]] down %[[DOWN]]
// FULL: moe.param private @layer0.up.bases : !moe.weight<24x32xf32, basis[4]> = #moe.basis_mix<bases of 4 on output rank 24 phi tanh noise 7.000000e-02 : f64 of @up> encoding <int8 group 8>
// FULL: moe.param private @layer0.up.mix : !moe.weight<1x4xf32, expert[4]> = #moe.basis_mix<coefficients of 4 on output rank 24 phi tanh noise 7.000000e-02 : f64 of @up>{{$}}
// FULL: moe.param private @layer0.up.own : !moe.weight<24x24xf32, expert[4]> = #moe.mix_factor<on output phi tanh noise 7.000000e-02 : f64 @layer0.up.bases by @layer0.up.mix of @up> encoding <int4 group 8>
// FULL: moe.weight.mix phi tanh
moe.param private @up : !up = #moe.seeded<1>
moe.param private @down : !down = #moe.seeded<2> encoding <bf16>
func.func @layer0(%x: tensor<?x24xf32>, %l: tensor<?x4xf32>) -> tensor<?x24xf32> {
  %u = moe.leaf @up : !up
  %d = moe.leaf @down : !down
  %ids, %p = moe.route %l score softmax choose <top_k 2> gates <scores, l1>
    : (tensor<?x4xf32>) -> (tensor<?x2x!moe.id<expert[4]>>, tensor<?x2xf32>)
  %y = moe.experts %x to %ids weighted %p up %u down %d act <silu>
    : (tensor<?x24xf32>, tensor<?x2x!moe.id<expert[4]>>, tensor<?x2xf32>, !up, !down) -> tensor<?x24xf32>
  return %y : tensor<?x24xf32>
}

func.func @arguments(%x: tensor<?x24xf32>, %ids: tensor<?x2x!moe.id<expert[4]>>, %p: tensor<?x2xf32>, %u: !up, %d: !down) -> tensor<?x24xf32> {
  %y = moe.experts %x to %ids weighted %p up %u down %d act <silu>
    : (tensor<?x24xf32>, tensor<?x2x!moe.id<expert[4]>>, tensor<?x2xf32>, !up, !down) -> tensor<?x24xf32>
  return %y : tensor<?x24xf32>
}
