// RUN: moe-opt %s --moe-verify-leases --split-input-file --verify-diagnostics
// One release on every path, no use behind it, one lease at a time.

!pool = tensor<?x64x32xf32>
!w = !moe.weight<64x32xf32, cluster[4]>

// One lease after the other, in both branches and in a loop.
func.func @allowed(%c: tensor<?xi32>, %t: tensor<4xi32>, %pool: !pool, %x: tensor<?x64xf32>, %e: tensor<?x!moe.id<cluster[4]>>, %o: tensor<?x32xf32>,
                   %which: i1, %n: index) -> tensor<?x32xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %lease, %slots = moert.acquire ins(%c, %t : tensor<?xi32>, tensor<4xi32>) pools(%pool : !pool) outs(%t : tensor<4xi32>) -> tensor<4xi32>
  %w = moe.wrap %pool slots(%slots : tensor<4xi32>) : !pool to !w
  %y = moe.grouped_matmul ins(%x : tensor<?x64xf32>) weights(%w : !w) entries(%e : tensor<?x!moe.id<cluster[4]>>) outs(%o : tensor<?x32xf32>) -> tensor<?x32xf32>
  scf.if %which {
    moert.release %lease slots(%slots : tensor<4xi32>) pools(%pool : !pool)
  } else {
    moert.release %lease slots(%slots : tensor<4xi32>) pools(%pool : !pool)
  }
  scf.for %i = %c0 to %n step %c1 {
    %turn, %places = moert.acquire ins(%c, %t : tensor<?xi32>, tensor<4xi32>) outs(%t : tensor<4xi32>) -> tensor<4xi32>
    moert.release %turn slots(%places : tensor<4xi32>)
  }
  return %y : tensor<?x32xf32>
}

// On buffers the destination may be a view of other strides, and be freed behind the release.
func.func @buffers(%c: memref<?xi32>, %t: memref<4xi32>, %at: index) -> i32 {
  %o = memref.alloc() : memref<4xi32>
  %any = memref.cast %o : memref<4xi32> to memref<4xi32, strided<[?], offset: ?>>
  %lease = moert.acquire ins(%c, %t : memref<?xi32>, memref<4xi32>) outs(%o : memref<4xi32>)
  %place = memref.load %any[%at] : memref<4xi32, strided<[?], offset: ?>>
  moert.release %lease slots(%any : memref<4xi32, strided<[?], offset: ?>>)
  memref.dealloc %o : memref<4xi32>
  return %place : i32
}

// Blocks: each of two ways on releases it.
func.func @blocks(%c: tensor<?xi32>, %t: tensor<4xi32>, %which: i1) {
  %lease, %slots = moert.acquire ins(%c, %t : tensor<?xi32>, tensor<4xi32>) outs(%t : tensor<4xi32>) -> tensor<4xi32>
  cf.cond_br %which, ^left, ^right
^left:
  moert.release %lease slots(%slots : tensor<4xi32>)
  cf.br ^end
^right:
  moert.release %lease slots(%slots : tensor<4xi32>)
  cf.br ^end
^end:
  return
}

// -----

func.func @never_released(%c: tensor<?xi32>, %t: tensor<4xi32>) {
  // expected-error @+1 {{'moert.acquire' op is not released on every path}}
  %lease, %slots = moert.acquire ins(%c, %t : tensor<?xi32>, tensor<4xi32>) outs(%t : tensor<4xi32>) -> tensor<4xi32>
  return
}

// -----

func.func @released_in_one_branch(%c: tensor<?xi32>, %t: tensor<4xi32>, %which: i1) {
  // expected-error @+1 {{is not released on every path}}
  %lease, %slots = moert.acquire ins(%c, %t : tensor<?xi32>, tensor<4xi32>) outs(%t : tensor<4xi32>) -> tensor<4xi32>
  scf.if %which {
    moert.release %lease slots(%slots : tensor<4xi32>)
  }
  return
}

// -----

func.func @released_on_one_way(%c: tensor<?xi32>, %t: tensor<4xi32>, %which: i1) {
  // expected-error @+1 {{is not released on every path}}
  %lease, %slots = moert.acquire ins(%c, %t : tensor<?xi32>, tensor<4xi32>) outs(%t : tensor<4xi32>) -> tensor<4xi32>
  cf.cond_br %which, ^left, ^end
^left:
  moert.release %lease slots(%slots : tensor<4xi32>)
  cf.br ^end
^end:
  return
}

// -----

func.func @released_twice(%c: tensor<?xi32>, %t: tensor<4xi32>) {
  %lease, %slots = moert.acquire ins(%c, %t : tensor<?xi32>, tensor<4xi32>) outs(%t : tensor<4xi32>) -> tensor<4xi32>
  moert.release %lease slots(%slots : tensor<4xi32>)
  // expected-error @+1 {{'moert.release' op ends a lease that may have been released}}
  moert.release %lease slots(%slots : tensor<4xi32>)
  return
}

// -----

// In the second turn it has been released.
func.func @released_in_each_turn(%c: tensor<?xi32>, %t: tensor<4xi32>, %n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  // expected-error @+1 {{is not released on every path}}
  %lease, %slots = moert.acquire ins(%c, %t : tensor<?xi32>, tensor<4xi32>) outs(%t : tensor<4xi32>) -> tensor<4xi32>
  scf.for %i = %c0 to %n step %c1 {
    // expected-error @+1 {{ends a lease that may have been released}}
    moert.release %lease slots(%slots : tensor<4xi32>)
  }
  return
}

// -----

func.func @used_behind(%c: tensor<?xi32>, %t: tensor<4xi32>, %pool: tensor<?x64x32xf32>, %x: tensor<?x64xf32>, %e: tensor<?x!moe.id<cluster[4]>>,
                       %o: tensor<?x32xf32>) -> tensor<?x32xf32> {
  %lease, %slots = moert.acquire ins(%c, %t : tensor<?xi32>, tensor<4xi32>) outs(%t : tensor<4xi32>) -> tensor<4xi32>
  %w = moe.wrap %pool slots(%slots : tensor<4xi32>) : tensor<?x64x32xf32> to !moe.weight<64x32xf32, cluster[4]>
  moert.release %lease slots(%slots : tensor<4xi32>)
  // expected-error @+1 {{'moe.grouped_matmul' uses the places of a lease that may have been released}}
  %y = moe.grouped_matmul ins(%x : tensor<?x64xf32>) weights(%w : !moe.weight<64x32xf32, cluster[4]>) entries(%e : tensor<?x!moe.id<cluster[4]>>)
    outs(%o : tensor<?x32xf32>) -> tensor<?x32xf32>
  return %y : tensor<?x32xf32>
}

// -----

// A view of the places, in a region.
func.func @view_behind(%c: memref<?xi32>, %t: memref<4xi32>, %o: memref<4xi32>, %at: index, %which: i1) {
  %lease = moert.acquire ins(%c, %t : memref<?xi32>, memref<4xi32>) outs(%o : memref<4xi32>)
  %view = memref.subview %o[0] [2] [1] : memref<4xi32> to memref<2xi32, strided<[1]>>
  moert.release %lease slots(%o : memref<4xi32>)
  scf.if %which {
    // expected-error @+1 {{'memref.load' uses the places of a lease that may have been released}}
    %place = memref.load %view[%at] : memref<2xi32, strided<[1]>>
  }
  return
}

// -----

func.func @two_at_once(%c: tensor<?xi32>, %t: tensor<4xi32>) {
  %lease, %slots = moert.acquire ins(%c, %t : tensor<?xi32>, tensor<4xi32>) outs(%t : tensor<4xi32>) -> tensor<4xi32>
  // expected-error @+1 {{'moert.acquire' op takes a lease while another one may be held: who waits must hold nothing that others wait for}}
  %other, %places = moert.acquire ins(%c, %t : tensor<?xi32>, tensor<4xi32>) outs(%t : tensor<4xi32>) -> tensor<4xi32>
  moert.release %other slots(%places : tensor<4xi32>)
  moert.release %lease slots(%slots : tensor<4xi32>)
  return
}

// -----

// Kept from one turn to the next.
func.func @taken_in_each_turn(%c: tensor<?xi32>, %t: tensor<4xi32>, %n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  scf.for %i = %c0 to %n step %c1 {
    // expected-error @+1 {{takes a lease while another one may be held}}
    %lease, %slots = moert.acquire ins(%c, %t : tensor<?xi32>, tensor<4xi32>) outs(%t : tensor<4xi32>) -> tensor<4xi32>
  }
  return
}

// -----

func.func @passed_on(%c: tensor<?xi32>, %t: tensor<4xi32>) -> !moert.lease {
  %lease, %slots = moert.acquire ins(%c, %t : tensor<?xi32>, tensor<4xi32>) outs(%t : tensor<4xi32>) -> tensor<4xi32>
  // expected-error @+1 {{expected a lease to be used by moert.release alone, found 'func.return'}}
  return %lease : !moert.lease
}

// -----

func.func @from_elsewhere(%lease: !moert.lease, %t: tensor<4xi32>) {
  // expected-error @+1 {{'moert.release' op expected a lease that a moert.acquire of this function yields}}
  moert.release %lease slots(%t : tensor<4xi32>)
  return
}

// -----

func.func @other_places(%c: tensor<?xi32>, %t: tensor<4xi32>) {
  %lease, %slots = moert.acquire ins(%c, %t : tensor<?xi32>, tensor<4xi32>) outs(%t : tensor<4xi32>) -> tensor<4xi32>
  // expected-error @+1 {{'moert.release' op expected the places that its moert.acquire yields}}
  moert.release %lease slots(%t : tensor<4xi32>)
  return
}
