// Matrices of products get the layout of the target; what others read, vectors and tables stay as they are.
// RUN: moe-opt %s --moe-select-layout=for=cpu --remarks-filter=.* -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK --implicit-check-not=remark:
// RUN: moe-opt %s --moe-select-layout | FileCheck %s
// RUN: moe-opt %s --moe-select-layout | moe-opt --moe-select-layout --remarks-filter=.* -o /dev/null 2>&1 | FileCheck %s --check-prefix=AGAIN --allow-empty
// RUN: not moe-opt %s --moe-select-layout=for=gpu 2>&1 | FileCheck %s --check-prefix=UNKNOWN

// AGAIN-NOT: panel16 for
// UNKNOWN: 'gpu'

!id = !moe.id<expert[4]>
!w = !moe.weight<8x6xf32, expert[4]>
!d = !moe.weight<6x8xf32, expert[4]>
!a = !moe.weight<8x2xf32, expert[4]>
!b = !moe.weight<2x6xf32, expert[4]>
!v = !moe.weight<1x6xf32, expert[4]>

// REMARK: remark: {{.+}}@built stays row_major: moe.weight.mul does not read it in panels
// REMARK: remark: {{.+}}@both stays row_major: func.call does not read it in panels
// REMARK: remark: {{.+}}"panel16 for 11 weights"

// Scheduled form: weights, residual factors, what a segment is expanded by; a bias is a vector.
// CHECK: @up : {{.+}} encoding <int8 group 4> layout panel16
// CHECK: @a : {{.+}} layout panel16
// CHECK: @b : {{.+}} layout panel16
// CHECK: @down : {{.+}} layout panel16
// CHECK: @expand : {{.+}} layout panel16
// CHECK: @bias : {{.+}} = #moe.seeded<6>{{$}}
moe.param private @up : !w = #moe.seeded<1> encoding <int8 group 4>
moe.param private @a : !a = #moe.seeded<2>
moe.param private @b : !b = #moe.seeded<3>
moe.param private @down : !d = #moe.seeded<4>
moe.param private @expand : !moe.weight<2x8xf32, expert[4]> = #moe.seeded<5>
moe.param private @bias : !v = #moe.seeded<6>
func.func @scheduled(%x: tensor<8x8xf32>, %off: tensor<5xi32>, %row: tensor<8xi32>, %e: tensor<8x!id>, %v: tensor<8x2xf32>,
                     %o: tensor<8x6xf32>, %p: tensor<8x8xf32>) -> tensor<8x8xf32> {
  %up = moe.leaf @up : !w
  %a = moe.leaf @a : !a
  %b = moe.leaf @b : !b
  %bias = moe.leaf @bias : !v
  %down = moe.leaf @down : !d
  %expand = moe.leaf @expand : !moe.weight<2x8xf32, expert[4]>
  %h = moe.grouped_matmul ins(%x : tensor<8x8xf32>) weights(%up : !w) bias(%bias : !v) groups(%off : tensor<5xi32>) pair_rows(%row : tensor<8xi32>)
    pair_experts(%e : tensor<8x!id>) residual(%a, %b : !a, !b) outs(%o : tensor<8x6xf32>) -> tensor<8x6xf32>
  %y = moe.grouped_matmul ins(%h : tensor<8x6xf32>) weights(%down : !d) groups(%off : tensor<5xi32>) pair_rows(%row : tensor<8xi32>)
    pair_experts(%e : tensor<8x!id>) segment(%v : tensor<8x2xf32>) expand(%expand : !moe.weight<2x8xf32, expert[4]>)
    outs(%p : tensor<8x8xf32>) -> tensor<8x8xf32>
  return %y : tensor<8x8xf32>
}

// CHECK: @fused : {{.+}} layout panel16
// CHECK: @shrink : {{.+}} layout panel16
moe.param private @fused : !moe.weight<8x6xf32> = #moe.seeded<15>
moe.param private @shrink : !moe.weight<6x2xf32, expert[4]> = #moe.seeded<16>
func.func @fused_up(%x: tensor<8x8xf32>, %row: tensor<8xi32>, %e: tensor<8x!id>, %p: tensor<8xf32>, %h: tensor<8x6xf32>, %v: tensor<8x2xf32>) -> tensor<8x6xf32> {
  %up = moe.leaf @fused : !moe.weight<8x6xf32>
  %bias = moe.leaf @bias : !v
  %shrink = moe.leaf @shrink : !moe.weight<6x2xf32, expert[4]>
  %0:2 = moe.grouped_up ins(%x : tensor<8x8xf32>) weights(%up : !moe.weight<8x6xf32>) bias(%bias : !v) pair_rows(%row : tensor<8xi32>) pair_experts(%e : tensor<8x!id>)
    weighted(%p : tensor<8xf32>) act <silu> shrink(%shrink : !moe.weight<6x2xf32, expert[4]>) outs(%h, %v : tensor<8x6xf32>, tensor<8x2xf32>)
    -> tensor<8x6xf32>, tensor<8x2xf32>
  return %0#0 : tensor<8x6xf32>
}

// Graph and slot form.
// CHECK: @gate.up : {{.+}} layout panel16
// CHECK: @gate.down : {{.+}} layout panel16
// CHECK: @gate : {{.+}} layout panel16
// CHECK: @router : {{.+}} layout panel16
// CHECK: @chosen : {{.+}} layout row_major
moe.param private @gate.up : !w = #moe.seeded<7>
moe.param private @gate.down : !d = #moe.seeded<8>
moe.param private @gate : !w = #moe.seeded<9>
moe.param private @router : !moe.weight<8x4xf32> = #moe.seeded<10>
moe.param private @chosen : !moe.weight<4x4xf32> = #moe.seeded<11> layout row_major
func.func @graph(%x: tensor<?x8xf32>, %ids: tensor<?x2x!id>, %p: tensor<?x2xf32>) -> (tensor<?x8xf32>, tensor<?x4xf32>) {
  %u = moe.leaf @gate.up : !w
  %d = moe.leaf @gate.down : !d
  %g = moe.leaf @gate : !w
  %r = moe.leaf @router : !moe.weight<8x4xf32>
  %c = moe.leaf @chosen : !moe.weight<4x4xf32>
  %y = moe.experts %x to %ids weighted %p gate %g up %u down %d act <silu>
    : (tensor<?x8xf32>, tensor<?x2x!id>, tensor<?x2xf32>, !w, !w, !d) -> tensor<?x8xf32>
  %l = moe.apply %x, %r : tensor<?x8xf32>, !moe.weight<8x4xf32> -> tensor<?x4xf32>
  %m = moe.apply %l, %c : tensor<?x4xf32>, !moe.weight<4x4xf32> -> tensor<?x4xf32>
  return %y, %m : tensor<?x8xf32>, tensor<?x4xf32>
}

// Built matrices, matrices that leave the function, params that nothing reads.
// CHECK: @built : {{.+}} = #moe.seeded<12>{{$}}
// CHECK: @both : {{.+}} = #moe.seeded<13>{{$}}
// CHECK: @unread : {{.+}} = #moe.seeded<14>{{$}}
// CHECK: @table : {{.+}} = dense<0> : tensor<4xi32>{{$}}
moe.param private @built : !moe.weight<8x8xf32> = #moe.seeded<12>
moe.param private @both : !w = #moe.seeded<13>
moe.param private @unread : !w = #moe.seeded<14>
moe.param private @table : !moe.table<expert[4] -> cluster[2]> = dense<0> : tensor<4xi32>
func.func private @callee(!w)
func.func @others(%x: tensor<?x8xf32>, %ids: tensor<?x2x!id>) -> tensor<?x2x6xf32> {
  %built = moe.leaf @built : !moe.weight<8x8xf32>
  %both = moe.leaf @both : !w
  %unread = moe.leaf @unread : !w
  %product = moe.weight.mul %built, %both : !moe.weight<8x8xf32>, !w
  call @callee(%both) : (!w) -> ()
  %y = moe.apply %x, %both at %ids : tensor<?x8xf32>, !w at tensor<?x2x!id> -> tensor<?x2x6xf32>
  return %y : tensor<?x2x6xf32>
}
