// RUN: moe-opt %s --moe-decompose-experts --moe-verify-slot-form | FileCheck %s

!x = tensor<?x64xf32>
!ids = tensor<?x4x!moe.id<expert[8]>>
!p = tensor<?x4xf32>
!in = !moe.weight<64x32xf32, expert[8]>
!out = !moe.weight<32x64xf32, expert[8]>
!in_bias = !moe.weight<1x32xf32, expert[8]>
!out_bias = !moe.weight<1x64xf32, expert[8]>

// Ids and weights of one router: every slot of id -1 has weight 0 already.
// CHECK-LABEL: func.func @gated
// CHECK-SAME: %[[X:.+]]: tensor<?x64xf32>, %{{.+}}: tensor<?x8xf32>, %[[GATE:.+]]: {{.*}}, %[[UP:.+]]: {{.*}}, %[[DOWN:.+]]: {{.*}}expert[8]>)
func.func @gated(%x: !x, %l: tensor<?x8xf32>, %g: !in, %u: !in, %d: !out) -> !x {
  // CHECK: %[[IDS:.+]], %[[P:.+]] = moe.route
  %ids, %p = moe.route %l score softmax choose <top_k 4> gates <scores> : (tensor<?x8xf32>) -> (!ids, !p)
  // CHECK-NOT: moe.real_experts
  // CHECK-DAG: %[[A:.+]] = moe.apply %[[X]], %[[UP]] at %[[IDS]] {{.*}} -> tensor<?x4x32xf32>
  // CHECK-DAG: %[[B:.+]] = moe.apply %[[X]], %[[GATE]] at %[[IDS]]
  // CHECK: %[[H:.+]] = moe.activate <silu clamp 7.0 offset 1.0> %[[A]] gated by %[[B]]
  // CHECK: %[[C:.+]] = moe.apply %[[H]], %[[DOWN]] at %[[IDS]] {{.*}} -> tensor<?x4x64xf32>
  // CHECK: %[[Y:.+]] = moe.combine %[[C]] weighted %[[P]] {{.*}} -> tensor<?x64xf32>
  // CHECK: return %[[Y]]
  %y = moe.experts %x to %ids weighted %p gate %g up %u down %d act <silu clamp 7.0 offset 1.0> : (!x, !ids, !p, !in, !in, !out) -> !x
  return %y : !x
}

// Without a gate; ids and weights that come from outside are masked.
// CHECK-LABEL: func.func @plain
// CHECK-SAME: %{{.+}}: {{.*}}, %[[FREE_IDS:.+]]: {{.*}}, %[[FREE_P:.+]]: tensor<?x4xf32>, %
func.func @plain(%x: !x, %ids: !ids, %p: !p, %u: !in, %d: !out) -> !x {
  // CHECK: %[[IDS:.+]], %[[P:.+]] = moe.real_experts %[[FREE_IDS]], %[[FREE_P]]
  // CHECK: %[[A:.+]] = moe.apply {{.*}} at %[[IDS]]
  // CHECK: moe.activate <relu2> %[[A]] :
  // CHECK: moe.combine %{{.+}} weighted %[[P]]
  %y = moe.experts %x to %ids weighted %p up %u down %d act <relu2> : (!x, !ids, !p, !in, !out) -> !x
  return %y : !x
}

// Weights of another router than the ids' say nothing about slots of id -1.
// CHECK-LABEL: func.func @two_routers
// CHECK: %[[IDS:.+]], %{{.+}} = moe.route
// CHECK: %{{.+}}, %[[P:.+]] = moe.route
// CHECK: moe.real_experts %[[IDS]], %[[P]]
func.func @two_routers(%x: !x, %l: tensor<?x8xf32>, %m: tensor<?x8xf32>, %u: !in, %d: !out) -> !x {
  %ids, %q = moe.route %l score softmax choose <top_k 4> gates <scores> : (tensor<?x8xf32>) -> (!ids, !p)
  %jds, %p = moe.route %m score softmax choose <top_k 4> gates <scores> : (tensor<?x8xf32>) -> (!ids, !p)
  %y = moe.experts %x to %ids weighted %p up %u down %d act <silu> : (!x, !ids, !p, !in, !out) -> !x
  return %y : !x
}

// Biases are looked up by the same ids, so that slots of id -1 stay zero.
// CHECK-LABEL: func.func @biases
// CHECK: %[[IDS:.+]], %{{.+}} = moe.real_experts
// CHECK: %[[A:.+]] = moe.apply %{{.+}}, %[[UP:.+]] at %[[IDS]]
// CHECK: %[[AB:.+]] = moe.lookup %{{.+}} at %[[IDS]] {{.*}} -> tensor<?x4x32xf32>
// CHECK: %[[U:.+]] = arith.addf %[[A]], %[[AB]]
// CHECK: %[[G:.+]] = arith.addf
// CHECK: moe.activate <silu> %[[U]] gated by %[[G]]
// CHECK: %[[C:.+]] = moe.apply {{.*}} -> tensor<?x4x64xf32>
// CHECK: %[[CB:.+]] = moe.lookup %{{.+}} at %[[IDS]] {{.*}} -> tensor<?x4x64xf32>
// CHECK: %[[D:.+]] = arith.addf %[[C]], %[[CB]]
// CHECK: moe.combine %[[D]]
func.func @biases(%x: !x, %ids: !ids, %p: !p, %g: !in, %u: !in, %d: !out, %gb: !in_bias, %ub: !in_bias, %db: !out_bias) -> !x {
  %y = moe.experts %x to %ids weighted %p gate %g up %u down %d gate_bias %gb up_bias %ub down_bias %db act <silu>
    : (!x, !ids, !p, !in, !in, !out, !in_bias, !in_bias, !out_bias) -> !x
  return %y : !x
}

// The gate weight on the input: rows are scaled once, for gate and up, and not again behind.
// CHECK-LABEL: func.func @on_input
// CHECK-SAME: %[[X:.+]]: tensor<?x64xf32>,
// CHECK: %[[IDS:.+]], %[[P:.+]] = moe.real_experts
// CHECK: %[[S:.+]] = moe.scale_rows %[[X]] by %[[P]] {{.*}} -> tensor<?x4x64xf32>
// CHECK-COUNT-2: moe.apply %[[S]], %{{.+}} at %[[IDS]]
// CHECK: moe.combine
// CHECK-NOT: weighted
// CHECK: return
func.func @on_input(%x: !x, %ids: !ids, %p: !p, %g: !in, %u: !in, %d: !out) -> !x {
  %y = moe.experts %x to %ids weighted %p gated on_input gate %g up %u down %d act <silu> : (!x, !ids, !p, !in, !in, !out) -> !x
  return %y : !x
}

// Special experts read the ids before they are masked, and always gate on output.
// CHECK-LABEL: func.func @specials
// CHECK: %[[IDS:.+]], %[[P:.+]] = moe.route
// CHECK: %[[REAL:.+]], %[[Q:.+]] = moe.real_experts %[[IDS]], %[[P]] {{.*}} -> tensor<?x4x!moe.id<expert[8]>>
// CHECK: moe.apply {{.*}} at %[[REAL]]
// CHECK: %[[Y:.+]] = moe.combine %{{.+}} weighted %[[Q]]
// CHECK: %[[Z:.+]] = moe.special_experts %{{.+}} to %[[IDS]] weighted %[[P]] specials <zero 1 constant 2> constants %{{.+}} mixed by
// CHECK: arith.addf %[[Y]], %[[Z]]
func.func @specials(%x: !x, %l: tensor<?x11xf32>, %u: !in, %d: !out, %c: tensor<2x64xf32>, %m: tensor<2x64x2xf32>) -> !x {
  %ids, %p = moe.route %l score softmax choose <top_k 4> gates <scores> specials <zero 1 constant 2>
    : (tensor<?x11xf32>) -> (tensor<?x4x!moe.id<expert[8+3]>>, !p)
  %y = moe.experts %x to %ids weighted %p up %u down %d act <silu> specials <zero 1 constant 2> constants %c mixed by %m
    : (!x, tensor<?x4x!moe.id<expert[8+3]>>, !p, !in, !out, tensor<2x64xf32>, tensor<2x64x2xf32>) -> !x
  return %y : !x
}

// Weights without axis go with any ids, which still mask.
// CHECK-LABEL: func.func @no_axis
// CHECK: moe.apply {{.*}} at %{{.+}} : tensor<?x64xf32>, !moe.weight<64x32xf32> at
func.func @no_axis(%x: !x, %ids: !ids, %p: !p, %u: !moe.weight<64x32xf32>, %d: !moe.weight<32x64xf32>) -> !x {
  %y = moe.experts %x to %ids weighted %p up %u down %d act <silu> : (!x, !ids, !p, !moe.weight<64x32xf32>, !moe.weight<32x64xf32>) -> !x
  return %y : !x
}

// What is known of the number of tokens may differ from value to value.
// CHECK-LABEL: func.func @mixed_extents
// CHECK: moe.real_experts {{.*}} -> tensor<?x4x!moe.id<expert[8]>>
// CHECK: moe.apply {{.*}} -> tensor<4x4x32xf32>
// CHECK: moe.lookup {{.*}} -> tensor<4x4x32xf32>
// CHECK: moe.combine {{.*}} -> tensor<4x64xf32>
// CHECK: moe.apply {{.*}} -> tensor<?x4x32xf32>
// CHECK: moe.combine {{.*}} -> tensor<?x64xf32>
func.func @mixed_extents(%x: tensor<4x64xf32>, %y: !x, %ids: !ids, %p: !p, %jds: tensor<4x4x!moe.id<expert[8]>>, %u: !in, %b: !in_bias, %d: !out) -> (tensor<4x64xf32>, !x) {
  %0 = moe.experts %x to %ids weighted %p up %u down %d up_bias %b act <silu> : (tensor<4x64xf32>, !ids, !p, !in, !out, !in_bias) -> tensor<4x64xf32>
  %1 = moe.experts %y to %jds weighted %p gated on_input up %u down %d up_bias %b act <silu>
    : (!x, tensor<4x4x!moe.id<expert[8]>>, !p, !in, !out, !in_bias) -> !x
  return %0, %1 : tensor<4x64xf32>, !x
}

// No tokens; one expert, chosen always; as many choices as experts.
// CHECK-LABEL: func.func @extremes
// CHECK: moe.combine {{.*}} -> tensor<0x64xf32>
// CHECK: moe.combine {{.*}}tensor<?x1x64xf64>
// CHECK-NOT: moe.experts
func.func @extremes(%none: tensor<0x64xf32>, %ids: tensor<0x8x!moe.id<expert[8]>>, %p: tensor<0x8xf32>, %u: !in, %d: !out,
    %x: tensor<?x64xf64>, %one: tensor<?x1x!moe.id<expert[1]>>, %q: tensor<?x1xf64>, %v: !moe.weight<64x32xf64, expert[1]>, %w: !moe.weight<32x64xf64, expert[1]>)
    -> (tensor<0x64xf32>, tensor<?x64xf64>) {
  %0 = moe.experts %none to %ids weighted %p up %u down %d act <silu> : (tensor<0x64xf32>, tensor<0x8x!moe.id<expert[8]>>, tensor<0x8xf32>, !in, !out) -> tensor<0x64xf32>
  %1 = moe.experts %x to %one weighted %q up %v down %w act <silu>
    : (tensor<?x64xf64>, tensor<?x1x!moe.id<expert[1]>>, tensor<?x1xf64>, !moe.weight<64x32xf64, expert[1]>, !moe.weight<32x64xf64, expert[1]>) -> tensor<?x64xf64>
  return %0, %1 : tensor<0x64xf32>, tensor<?x64xf64>
}

// A layer in a loop, where it stands.
// CHECK-LABEL: func.func @loop
// CHECK: scf.for {{.*}} iter_args(%[[H:.+]] = %
// CHECK: moe.apply %[[H]]
// CHECK: %[[Y:.+]] = moe.combine
// CHECK: scf.yield %[[Y]]
func.func @loop(%x: !x, %ids: !ids, %p: !p, %u: !in, %d: !out, %n: index) -> !x {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %y = scf.for %i = %c0 to %n step %c1 iter_args(%h = %x) -> !x {
    %0 = moe.experts %h to %ids weighted %p up %u down %d act <silu> : (!x, !ids, !p, !in, !out) -> !x
    scf.yield %0 : !x
  }
  return %y : !x
}

// Nothing to do: no layer, no body.
// CHECK-LABEL: func.func @other
// CHECK-NEXT: %[[Y:.+]] = arith.addf
// CHECK-NEXT: return %[[Y]]
func.func @other(%x: !x) -> !x {
  %y = arith.addf %x, %x : !x
  return %y : !x
}
func.func private @elsewhere(!x) -> !x
