// What slot form, scheduled form and expert layers share: activations of every kind, special experts.
// RUN: moe-opt %s --convert-moe-to-linalg --canonicalize --cse | FileCheck %s --implicit-check-not="moe."

!special = tensor<?x2x!moe.id<expert[8+4]>>

// f(min(gate, c))·(clamp(up, -c, c) + o), in f32, rounded once.
// CHECK-LABEL: func.func @activate
// CHECK: ^bb0(%[[U:.*]]: bf16, %[[G:.*]]: bf16, %{{.*}}: bf16):
// CHECK-DAG: %[[UP:.*]] = arith.extf %[[U]]
// CHECK-DAG: %[[GATE:.*]] = arith.extf %[[G]]
// CHECK: %[[X:.*]] = arith.minimumf %[[GATE]], %cst
// CHECK: %[[BELOW:.*]] = arith.minimumf %[[UP]]
// CHECK: %[[CLAMPED:.*]] = arith.maximumf %[[BELOW]]
// CHECK: math.exp
// CHECK: %[[Y:.*]] = arith.mulf %[[X]],
// CHECK: %[[MOVED:.*]] = arith.addf %[[CLAMPED]]
// CHECK: %[[R:.*]] = arith.mulf %[[Y]], %[[MOVED]]
// CHECK-NEXT: arith.truncf %[[R]] : f32 to bf16
func.func @activate(%u: tensor<?x2x6xbf16>, %g: tensor<?x2x6xbf16>) -> tensor<?x2x6xbf16> {
  %0 = moe.activate <sigmoid_alpha alpha 1.702 clamp 7.0 offset 1.0> %u gated by %g : tensor<?x2x6xbf16>
  return %0 : tensor<?x2x6xbf16>
}

// CHECK-LABEL: func.func @kinds
// CHECK: arith.negf
// CHECK: math.erf
// CHECK: math.tanh
// CHECK: arith.maximumf
// CHECK: %[[R:.*]] = arith.maximumf
// CHECK-NEXT: arith.mulf %[[R]], %[[R]]
// CHECK: math.tanh
// CHECK: arith.minimumf
func.func @kinds(%x: tensor<?x6xf64>) -> (tensor<?x6xf64>, tensor<?x6xf64>, tensor<?x6xf64>, tensor<?x6xf64>, tensor<?x6xf64>, tensor<?x6xf64>, tensor<?x6xf64>) {
  %0 = moe.activate <silu> %x : tensor<?x6xf64>
  %1 = moe.activate <gelu> %x : tensor<?x6xf64>
  %2 = moe.activate <gelu_tanh> %x : tensor<?x6xf64>
  %3 = moe.activate <relu> %x : tensor<?x6xf64>
  %4 = moe.activate <relu2> %x : tensor<?x6xf64>
  %5 = moe.activate <tanh> %x : tensor<?x6xf64>
  %6 = moe.activate <identity clamp 2.0> %x : tensor<?x6xf64>
  return %0, %1, %2, %3, %4, %5, %6 : tensor<?x6xf64>, tensor<?x6xf64>, tensor<?x6xf64>, tensor<?x6xf64>, tensor<?x6xf64>, tensor<?x6xf64>, tensor<?x6xf64>
}

// Ids 8: zero; 9: identity; 10, 11: constants, mixed with x by a softmax of two.
// CHECK-LABEL: func.func @special_experts
// CHECK: math.exp
// CHECK: linalg.generic
// CHECK: %[[I:.*]] = arith.{{subi|addi}} %{{.*}}, %c{{-?}}9_i32
// CHECK: arith.cmpi {{ult|eq}}, %[[I]], %c{{[01]}}_i32
// CHECK: %[[C:.*]] = arith.{{subi|addi}} %{{.*}}, %c{{-?}}10_i32
// CHECK: arith.cmpi ult, %[[C]], %c2_i32
func.func @special_experts(%x: tensor<?x6xf32>, %ids: !special, %p: tensor<?x2xf32>, %c: tensor<2x6xf32>, %m: tensor<2x6x2xf32>) -> tensor<?x6xf32> {
  %0 = moe.special_experts %x to %ids weighted %p specials <zero 1 identity 1 constant 2> constants %c mixed by %m
    : (tensor<?x6xf32>, !special, tensor<?x2xf32>, tensor<2x6xf32>, tensor<2x6x2xf32>) -> tensor<?x6xf32>
  return %0 : tensor<?x6xf32>
}
