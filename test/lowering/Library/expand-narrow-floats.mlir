// RUN: moe-opt %s --moe-expand-narrow-floats | FileCheck %s
// The numbers that come out are checked in expand-narrow-floats-values.test.

// CHECK-LABEL: func.func @widen
// CHECK-NOT: arith.extf {{.*}}16 to
// CHECK: %[[BITS:.+]] = arith.bitcast %{{.+}} : bf16 to i16
// CHECK: %[[WIDE:.+]] = arith.extui %[[BITS]] : i16 to i32
// CHECK: %[[SIXTEEN:.+]] = arith.constant 16 : i32
// CHECK: %[[SHIFTED:.+]] = arith.shli %[[WIDE]], %[[SIXTEEN]] : i32
// CHECK: arith.bitcast %[[SHIFTED]] : i32 to f32
// CHECK: arith.bitcast %{{.+}} : f16 to i16
// CHECK: arith.extf %{{.+}} : f32 to f64
// CHECK: return
func.func @widen(%a: bf16, %b: f16) -> (f32, f64) {
  %x = arith.extf %a : bf16 to f32
  %y = arith.extf %b : f16 to f64
  return %x, %y : f32, f64
}

// From f64 the first rounding is to odd.
// CHECK-LABEL: func.func @narrow
// CHECK-NOT: arith.truncf {{.*}}16
// CHECK: arith.trunci %{{.+}} : i32 to i16
// CHECK: arith.bitcast %{{.+}} : i16 to f16
// CHECK: arith.truncf %{{.+}} : f64 to f32
// CHECK: arith.bitcast %{{.+}} : i16 to bf16
// CHECK: return
func.func @narrow(%a: f32, %b: f64) -> (f16, bf16) {
  %x = arith.truncf %a : f32 to f16
  %y = arith.truncf %b : f64 to bf16
  return %x, %y : f16, bf16
}

// Vectors are converted element by element.
// CHECK-LABEL: func.func @vectors
// CHECK: arith.bitcast %{{.+}} : vector<8xf16> to vector<8xi16>
// CHECK: arith.constant dense<32768> : vector<8xi32>
// CHECK-NOT: arith.extf
// CHECK: return
func.func @vectors(%a: vector<8xf16>) -> vector<8xf32> {
  %x = arith.extf %a : vector<8xf16> to vector<8xf32>
  return %x : vector<8xf32>
}

// What other passes or the machine take care of stays: wide conversions, other types, another rounding.
// CHECK-LABEL: func.func @others
// CHECK: arith.extf %{{.+}} : f32 to f64
// CHECK: arith.truncf %{{.+}} : f64 to f32
// CHECK: arith.truncf %{{.+}} : f32 to f8E4M3FN
// CHECK: arith.truncf %{{.+}} toward_zero : f32 to f16
func.func @others(%a: f32, %b: f64) -> (f64, f32, f8E4M3FN, f16) {
  %x = arith.extf %a : f32 to f64
  %y = arith.truncf %b : f64 to f32
  %z = arith.truncf %a : f32 to f8E4M3FN
  %w = arith.truncf %a toward_zero : f32 to f16
  return %x, %y, %z, %w : f64, f32, f8E4M3FN, f16
}
