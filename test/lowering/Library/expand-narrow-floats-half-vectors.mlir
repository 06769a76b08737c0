// RUN: moe-opt %s --moe-expand-narrow-floats=keep-half-vectors | FileCheck %s
// Where one instruction widens a vector of f16 to f32, or rounds it, that stays; everything else is expanded as without the option.

// CHECK-LABEL: func.func @kept
// CHECK-NEXT: %[[WIDE:.+]] = arith.extf %{{.+}} : vector<16xf16> to vector<16xf32>
// CHECK-NEXT: return %[[WIDE]]
func.func @kept(%a: vector<16xf16>) -> vector<16xf32> {
  %x = arith.extf %a : vector<16xf16> to vector<16xf32>
  return %x : vector<16xf32>
}

// CHECK-LABEL: func.func @kept_rounding
// CHECK-NEXT: %[[NARROW:.+]] = arith.truncf %{{.+}} : vector<16xf32> to vector<16xf16>
// CHECK-NEXT: return %[[NARROW]]
func.func @kept_rounding(%a: vector<16xf32>) -> vector<16xf16> {
  %x = arith.truncf %a : vector<16xf32> to vector<16xf16>
  return %x : vector<16xf16>
}

// Flags that would let LLVM drop both do not stay.
// CHECK-LABEL: func.func @rounded
// CHECK-NEXT: %[[NARROW:.+]] = arith.truncf %{{.+}} : vector<16xf32> to vector<16xf16>
// CHECK-NEXT: arith.extf %[[NARROW]] : vector<16xf16> to vector<16xf32>
func.func @rounded(%a: vector<16xf32>) -> vector<16xf32> {
  %x = arith.truncf %a fastmath<contract> : vector<16xf32> to vector<16xf16>
  %y = arith.extf %x fastmath<contract> : vector<16xf16> to vector<16xf32>
  return %y : vector<16xf32>
}

// CHECK-LABEL: func.func @expanded
// CHECK: arith.bitcast %{{.+}} : f16 to i16
// CHECK: arith.bitcast %{{.+}} : vector<16xbf16> to vector<16xi16>
// CHECK: arith.bitcast %{{.+}} : vector<4xf16> to vector<4xi16>
// CHECK: arith.extf %{{.+}} : vector<4xf32> to vector<4xf64>
// CHECK: arith.trunci %{{.+}} : vector<16xi32> to vector<16xi16>
// CHECK: return
func.func @expanded(%a: f16, %b: vector<16xbf16>, %c: vector<4xf16>, %d: vector<16xf32>)
    -> (f32, vector<16xf32>, vector<4xf64>, vector<16xbf16>) {
  %x = arith.extf %a : f16 to f32
  %y = arith.extf %b : vector<16xbf16> to vector<16xf32>
  %z = arith.extf %c : vector<4xf16> to vector<4xf64>
  %w = arith.truncf %d : vector<16xf32> to vector<16xbf16>
  return %x, %y, %z, %w : f32, vector<16xf32>, vector<4xf64>, vector<16xbf16>
}
