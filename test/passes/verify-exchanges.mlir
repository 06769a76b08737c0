// RUN: moe-opt %s --moe-verify-exchanges --split-input-file --verify-diagnostics

!x = tensor<8x16xf32>
!ids = tensor<8x2xi32>
!p = tensor<8x2xf32>

// Two exchanges, the first one in parts that overlap.
func.func @right(%x: !x, %ids: !ids, %p: !p, %o: !x, %n: index) -> !x {
  %e, %sums = moert.begin ins(%x, %ids, %p : !x, !ids, !p) outs(%o : !x) parts 2 -> !x
  moert.dispatch %e part 0
  moert.dispatch %e part 1
  %c0, %r0 = moert.receive %e part 0
  scf.for %i = %n to %c0 step %n {
    moert.write %r0[%i] ins(%x : !x)
  }
  moert.send_back %r0
  %c1, %r1 = moert.receive %e part 1
  moert.send_back %r1
  %y0 = moert.collect %e part 0 ins(%x, %ids, %p : !x, !ids, !p) outs(%sums : !x) -> !x
  %y1 = moert.collect %e part 1 ins(%x, %ids, %p : !x, !ids, !p) outs(%y0 : !x) -> !x
  %f, %more = moert.begin ins(%y1, %ids, %p : !x, !ids, !p) outs(%o : !x) parts 1 -> !x
  moert.dispatch %f part 0
  %c2, %r2 = moert.receive %f part 0
  moert.send_back %r2
  %z = moert.collect %f part 0 ins(%y1, %ids, %p : !x, !ids, !p) outs(%more : !x) -> !x
  return %z : !x
}

// -----

func.func @never_collected(%x: tensor<8x16xf32>, %ids: tensor<8x2xi32>, %p: tensor<8x2xf32>) {
  // expected-error @+1 {{'moert.begin' op expected all parts to be collected before the next exchange, or the function's end}}
  %e, %sums = moert.begin ins(%x, %ids, %p : tensor<8x16xf32>, tensor<8x2xi32>, tensor<8x2xf32>) outs(%x : tensor<8x16xf32>) parts 1 -> tensor<8x16xf32>
  moert.dispatch %e part 0
  %c, %r = moert.receive %e part 0
  moert.send_back %r
  return
}

// -----

func.func @began_twice(%x: tensor<8x16xf32>, %ids: tensor<8x2xi32>, %p: tensor<8x2xf32>) {
  // expected-error @+1 {{'moert.begin' op expected all parts to be collected before the next exchange, or the function's end}}
  %e, %sums = moert.begin ins(%x, %ids, %p : tensor<8x16xf32>, tensor<8x2xi32>, tensor<8x2xf32>) outs(%x : tensor<8x16xf32>) parts 1 -> tensor<8x16xf32>
  moert.dispatch %e part 0
  %f, %more = moert.begin ins(%x, %ids, %p : tensor<8x16xf32>, tensor<8x2xi32>, tensor<8x2xf32>) outs(%x : tensor<8x16xf32>) parts 1 -> tensor<8x16xf32>
  return
}

// -----

func.func @wrong_order(%x: tensor<8x16xf32>, %ids: tensor<8x2xi32>, %p: tensor<8x2xf32>) {
  %e, %sums = moert.begin ins(%x, %ids, %p : tensor<8x16xf32>, tensor<8x2xi32>, tensor<8x2xf32>) outs(%x : tensor<8x16xf32>) parts 2 -> tensor<8x16xf32>
  // expected-error @+1 {{'moert.dispatch' op part 1 is dispatched, expected part 0: parts go in their order}}
  moert.dispatch %e part 1
  return
}

// -----

func.func @not_sent(%x: tensor<8x16xf32>, %ids: tensor<8x2xi32>, %p: tensor<8x2xf32>) {
  %e, %sums = moert.begin ins(%x, %ids, %p : tensor<8x16xf32>, tensor<8x2xi32>, tensor<8x2xf32>) outs(%x : tensor<8x16xf32>) parts 1 -> tensor<8x16xf32>
  // expected-error @+1 {{'moert.receive' op part 0 is received before the step in front of that}}
  %c, %r = moert.receive %e part 0
  return
}

// -----

func.func @not_sent_back(%x: tensor<8x16xf32>, %ids: tensor<8x2xi32>, %p: tensor<8x2xf32>) {
  %e, %sums = moert.begin ins(%x, %ids, %p : tensor<8x16xf32>, tensor<8x2xi32>, tensor<8x2xf32>) outs(%x : tensor<8x16xf32>) parts 1 -> tensor<8x16xf32>
  moert.dispatch %e part 0
  %c, %r = moert.receive %e part 0
  // expected-error @+1 {{'moert.collect' op part 0 is collected before the step in front of that}}
  %y = moert.collect %e part 0 ins(%x, %ids, %p : tensor<8x16xf32>, tensor<8x2xi32>, tensor<8x2xf32>) outs(%sums : tensor<8x16xf32>) -> tensor<8x16xf32>
  return
}

// -----

func.func @back_twice(%x: tensor<8x16xf32>, %ids: tensor<8x2xi32>, %p: tensor<8x2xf32>) {
  %e, %sums = moert.begin ins(%x, %ids, %p : tensor<8x16xf32>, tensor<8x2xi32>, tensor<8x2xf32>) outs(%x : tensor<8x16xf32>) parts 1 -> tensor<8x16xf32>
  moert.dispatch %e part 0
  %c, %r = moert.receive %e part 0
  moert.send_back %r
  // expected-error @+1 {{'moert.send_back' op part 0 is sent back, expected part 1: parts go in their order}}
  moert.send_back %r
  return
}

// -----

func.func @late(%x: tensor<8x16xf32>, %ids: tensor<8x2xi32>, %p: tensor<8x2xf32>, %n: index) {
  %e, %sums = moert.begin ins(%x, %ids, %p : tensor<8x16xf32>, tensor<8x2xi32>, tensor<8x2xf32>) outs(%x : tensor<8x16xf32>) parts 1 -> tensor<8x16xf32>
  moert.dispatch %e part 0
  %c, %r = moert.receive %e part 0
  moert.send_back %r
  scf.for %i = %n to %c step %n {
    // expected-error @+1 {{'moert.write' op uses what has been sent back}}
    moert.write %r[%i] ins(%x : tensor<8x16xf32>)
  }
  return
}

// -----

func.func @elsewhere(%x: tensor<8x16xf32>, %ids: tensor<8x2xi32>, %p: tensor<8x2xf32>, %o: tensor<8x16xf32>) {
  %e, %sums = moert.begin ins(%x, %ids, %p : tensor<8x16xf32>, tensor<8x2xi32>, tensor<8x2xf32>) outs(%x : tensor<8x16xf32>) parts 1 -> tensor<8x16xf32>
  moert.dispatch %e part 0
  %c, %r = moert.receive %e part 0
  moert.send_back %r
  // expected-error @+1 {{'moert.collect' op expected the destination that its moert.begin names}}
  %y = moert.collect %e part 0 ins(%x, %ids, %p : tensor<8x16xf32>, tensor<8x2xi32>, tensor<8x2xf32>) outs(%o : tensor<8x16xf32>) -> tensor<8x16xf32>
  return
}

// -----

func.func @in_a_branch(%if: i1, %e: !moert.exchange) {
  scf.if %if {
    // expected-error @+1 {{'moert.dispatch' op stands in control flow: expected ranks to do it in one order}}
    moert.dispatch %e part 0
  }
  return
}

// -----

func.func @from_outside(%e: !moert.exchange) {
  // expected-error @+1 {{'moert.dispatch' op expected the exchange that began last}}
  moert.dispatch %e part 0
  return
}

// -----

func.func @received_outside(%r: !moert.received) {
  // expected-error @+1 {{'moert.send_back' op expected what a moert.receive of this function yields}}
  moert.send_back %r
  return
}

// -----

// On buffers: who writes to what is under way, by a view of it too; and where sums are.
!x = memref<8x16xf32>
!ids = memref<8x2xi32>
!p = memref<8x2xf32>
func.func @written_over(%x: !x, %ids: !ids, %p: !p, %o: !x, %v: f32) {
  %c0 = arith.constant 0 : index
  %e = moert.begin ins(%x, %ids, %p : !x, !ids, !p) outs(%o : !x) parts 1
  %half = memref.subview %x[0, 0] [4, 16] [1, 1] : !x to memref<4x16xf32, strided<[16, 1]>>
  // expected-error @+1 {{'memref.store' writes to what an exchange names, of which 1 of 1 parts are not collected}}
  memref.store %v, %half[%c0, %c0] : memref<4x16xf32, strided<[16, 1]>>
  return
}

// -----

!x = memref<8x16xf32>
!ids = memref<8x2xi32>
!p = memref<8x2xf32>
func.func @right_on_buffers(%x: !x, %ids: !ids, %p: !p, %o: !x, %v: f32) {
  %c0 = arith.constant 0 : index
  memref.store %v, %x[%c0, %c0] : !x
  %e = moert.begin ins(%x, %ids, %p : !x, !ids, !p) outs(%o : !x) parts 1
  moert.dispatch %e part 0
  %c, %r = moert.receive %e part 0
  moert.send_back %r
  moert.collect %e part 0 ins(%x, %ids, %p : !x, !ids, !p) outs(%o : !x)
  memref.store %v, %x[%c0, %c0] : !x
  return
}
