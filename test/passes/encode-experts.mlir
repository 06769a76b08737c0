// Params of plain experts get another encoding; the decision states what it rounds away.
// RUN: moe-opt %s --moe-encode-experts="encoding='int4 group 8 scale f16'" --remarks-filter='.*' 2>%t.remarks | FileCheck %s
// RUN: FileCheck %s --check-prefix=REMARK < %t.remarks
// RUN: moe-opt %s --moe-encode-experts="encoding=f32" --remarks-filter='.*' 2>&1 >/dev/null | FileCheck %s --check-prefix=EXACT
// What it makes runs through the rest.
// RUN: moe-opt %s --moe-encode-experts="encoding='int8 group 8'" | moe-opt --moe-optimize -o %t.optimized

// RUN: not moe-opt %s --moe-encode-experts 2>&1 | FileCheck %s --check-prefix=ABSENT
// ABSENT: error: expected the option encoding, found none
// RUN: not moe-opt %s --moe-encode-experts=encoding=int5 2>&1 | FileCheck %s --check-prefix=WRONG
// WRONG: error: option encoding: expected an encoding, for example 'int8 group 32', found 'int5'
// RUN: not moe-opt %s --moe-encode-experts="encoding='int8 group 16'" 2>&1 | FileCheck %s --check-prefix=GROUP
// GROUP: error: 'moe.experts' op option encoding: expected a group that divides 24 of up, found 16
// RUN: not moe-opt %s --moe-encode-experts="encoding=bf16 weights=nonsense" 2>&1 | FileCheck %s --check-prefix=SCOPE
// SCOPE: error: option weights: expected scope=

!up = !moe.weight<24x32xf32, expert[4]>
!down = !moe.weight<32x24xf32, expert[4]>

// Weights that are arguments are nobody's to encode, and those that layers share are encoded once.
// REMARK: [Missed] encode-experts{{.+}}layer left as it is: its weights are expressions already, or arguments
// REMARK: [Passed] encode-experts{{.+}}up: int4 group 8 scale f16; relative error 0.0{{[0-9]+}} mean, 0.{{[0-9]+}} largest
// REMARK: [Passed] encode-experts{{.+}}down: int4 group 8 scale f16; relative error 0.0{{[0-9]+}} mean, 0.{{[0-9]+}} largest
// REMARK-NOT: encode-experts
// EXACT: up: f32; relative error 0.0000 mean, 0.0000 largest

// CHECK: moe.param private @layer0.up : !moe.weight<24x32xf32, expert[4]> = #moe.seeded<1> encoding <int4 group 8 scale f16> {moe.relative_error = array<f64: 0.0{{[0-9]+}}, 0.{{[0-9]+}}>}
// CHECK: moe.param private @layer0.down : !moe.weight<32x24xf32, expert[4]> = #moe.seeded<2> encoding <int4 group 8 scale f16>
moe.param private @layer0.up : !up = #moe.seeded<1>
moe.param private @layer0.down : !down = #moe.seeded<2> encoding <bf16>
// A param of something else keeps its encoding.
// CHECK: moe.param private @layer0.router : !moe.weight<24x4xf32> = #moe.seeded<3> encoding <bf16>
moe.param private @layer0.router : !moe.weight<24x4xf32> = #moe.seeded<3> encoding <bf16>
func.func @layer0(%x: tensor<?x24xf32>) -> tensor<?x24xf32> {
  %r = moe.leaf @layer0.router : !moe.weight<24x4xf32>
  %u = moe.leaf @layer0.up : !up
  %d = moe.leaf @layer0.down : !down
  %l = moe.apply %x, %r : tensor<?x24xf32>, !moe.weight<24x4xf32> -> tensor<?x4xf32>
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
func.func @layer1(%x: tensor<?x24xf32>, %ids: tensor<?x2x!moe.id<expert[4]>>, %p: tensor<?x2xf32>) -> tensor<?x24xf32> {
  %u = moe.leaf @layer0.up : !up
  %d = moe.leaf @layer0.down : !down
  %y = moe.experts %x to %ids weighted %p up %u down %d act <silu>
    : (tensor<?x24xf32>, tensor<?x2x!moe.id<expert[4]>>, tensor<?x2xf32>, !up, !down) -> tensor<?x24xf32>
  return %y : tensor<?x24xf32>
}
