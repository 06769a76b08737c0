// Exchanges of rows: round trip on tensors and on buffers; nothing erases, merges or moves what ranks wait for.
// RUN: moe-opt %s | moe-opt | FileCheck %s
// RUN: moe-opt %s --mlir-print-op-generic | moe-opt | FileCheck %s
// RUN: moe-opt %s --cse --canonicalize --loop-invariant-code-motion | FileCheck %s --check-prefix=EFFECTS

!x = tensor<?x64xbf16>
!ids = tensor<?x2xi32>
!p = tensor<?x2xf32>

// CHECK-LABEL: func.func @tensors
// CHECK: %[[E:.*]], %[[SUMS:.*]] = moert.begin ins(%{{.*}}, %{{.*}}, %{{.*}} : tensor<?x64xbf16>, tensor<?x2xi32>, tensor<?x2xf32>) by(%{{.*}} : tensor<?x2xi32>) outs(%{{.*}} : tensor<?x64xbf16>) parts 2 -> tensor<?x64xbf16>
// CHECK: moert.dispatch %[[E]] part 0
// CHECK: moert.dispatch %[[E]] part 1
// CHECK: %[[COUNT:.*]], %[[R:.*]] = moert.receive %[[E]] part 0
// CHECK: %[[READ:.*]]:3 = moert.read %[[R]][%{{.*}}] outs(%{{.*}}, %{{.*}}, %{{.*}} : tensor<8x64xbf16>, tensor<8x2xi32>, tensor<8x2xf32>) -> tensor<8x64xbf16>, tensor<8x2xi32>, tensor<8x2xf32>
// CHECK: moert.write %[[R]][%{{.*}}] ins(%[[READ]]#0 : tensor<8x64xbf16>)
// CHECK: moert.send_back %[[R]]
// CHECK: moert.collect %[[E]] part 0 ins(%{{.*}}) by(%{{.*}} : tensor<?x2xi32>) outs(%[[SUMS]] : tensor<?x64xbf16>) -> tensor<?x64xbf16>
func.func @tensors(%x: !x, %ids: !ids, %p: !p, %c: !ids, %o: !x, %r: tensor<8x64xbf16>, %i: tensor<8x2xi32>, %q: tensor<8x2xf32>) -> !x {
  %c0 = arith.constant 0 : index
  %e, %sums = moert.begin ins(%x, %ids, %p : !x, !ids, !p) by(%c : !ids) outs(%o : !x) parts 2 -> !x
  moert.dispatch %e part 0
  moert.dispatch %e part 1
  %count, %received = moert.receive %e part 0
  %read:3 = moert.read %received[%c0] outs(%r, %i, %q : tensor<8x64xbf16>, tensor<8x2xi32>, tensor<8x2xf32>) -> tensor<8x64xbf16>, tensor<8x2xi32>, tensor<8x2xf32>
  moert.write %received[%c0] ins(%read#0 : tensor<8x64xbf16>)
  moert.send_back %received
  %y = moert.collect %e part 0 ins(%x, %ids, %p : !x, !ids, !p) by(%c : !ids) outs(%sums : !x) -> !x
  return %y : !x
}

// CHECK-LABEL: func.func @buffers
// CHECK: moert.begin ins({{.*}}) outs(%{{.*}} : memref<8x64xf32>) parts 1{{$}}
// CHECK: moert.read %{{.*}}[%{{.*}}] outs(%{{.*}}, %{{.*}}, %{{.*}} : memref<4x64xf32>, memref<4x2xi32>, memref<4x2xf32>){{$}}
// CHECK: moert.collect {{.*}} outs(%{{.*}} : memref<8x64xf32>){{$}}
func.func @buffers(%x: memref<8x64xf32>, %ids: memref<8x2xi32>, %p: memref<8x2xf32>, %o: memref<8x64xf32>, %r: memref<4x64xf32>, %i: memref<4x2xi32>, %q: memref<4x2xf32>, %n: index) {
  %e = moert.begin ins(%x, %ids, %p : memref<8x64xf32>, memref<8x2xi32>, memref<8x2xf32>) outs(%o : memref<8x64xf32>) parts 1
  moert.dispatch %e part 0
  %count, %received = moert.receive %e part 0
  moert.read %received[%n] outs(%r, %i, %q : memref<4x64xf32>, memref<4x2xi32>, memref<4x2xf32>)
  moert.write %received[%n] ins(%r : memref<4x64xf32>)
  moert.send_back %received
  moert.collect %e part 0 ins(%x, %ids, %p : memref<8x64xf32>, memref<8x2xi32>, memref<8x2xf32>) outs(%o : memref<8x64xf32>)
  return
}

// Nobody uses what is received, and all operands are those of the turn before.
// EFFECTS-LABEL: func.func @unused
// EFFECTS: scf.for
// EFFECTS-NEXT: moert.begin
// EFFECTS-NEXT: moert.dispatch
// EFFECTS-NEXT: moert.receive
// EFFECTS-NEXT: moert.send_back
// EFFECTS-NEXT: moert.collect
// EFFECTS-NEXT: }
func.func @unused(%n: index, %x: !x, %ids: !ids, %p: !p, %o: !x) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  scf.for %i = %c0 to %n step %c1 {
    %e, %sums = moert.begin ins(%x, %ids, %p : !x, !ids, !p) outs(%o : !x) parts 1 -> !x
    moert.dispatch %e part 0
    %count, %received = moert.receive %e part 0
    moert.send_back %received
    %y = moert.collect %e part 0 ins(%x, %ids, %p : !x, !ids, !p) outs(%sums : !x) -> !x
  }
  return
}

// A buffer that is being sent is not written over early, and what comes back is not read early.
// EFFECTS-LABEL: func.func @order
// EFFECTS-SAME: %[[X:[^:]*]]: memref<8x64xf32>
// EFFECTS: %[[BEFORE:.*]] = memref.load
// EFFECTS: moert.collect
// EFFECTS: %[[BEHIND:.*]] = memref.load
// EFFECTS: return %[[BEFORE]], %[[BEHIND]]
func.func @order(%x: memref<8x64xf32>, %ids: memref<8x2xi32>, %p: memref<8x2xf32>, %o: memref<8x64xf32>, %e: !moert.exchange) -> (f32, f32) {
  %c0 = arith.constant 0 : index
  %before = memref.load %o[%c0, %c0] : memref<8x64xf32>
  moert.collect %e part 0 ins(%x, %ids, %p : memref<8x64xf32>, memref<8x2xi32>, memref<8x2xf32>) outs(%o : memref<8x64xf32>)
  %behind = memref.load %o[%c0, %c0] : memref<8x64xf32>
  return %before, %behind : f32, f32
}
