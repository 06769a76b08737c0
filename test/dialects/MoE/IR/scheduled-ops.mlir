// RUN: moe-opt %s -o %t && FileCheck %s --input-file=%t
// RUN: moe-opt %t | diff %t -
// RUN: moe-opt %s --mlir-print-op-generic | moe-opt | diff %t -
// RUN: moe-opt %s --emit-bytecode | moe-opt | diff %t -
// Scheduled form: destination style, on tensors and on buffers.

!id4 = !moe.id<expert[4]>
!w = !moe.weight<64x32xf32, cluster[2]>
!a = !moe.weight<64x4xf32, expert[4]>
!b = !moe.weight<4x32xf32, expert[4]>

// CHECK-LABEL: func.func @group
// CHECK: moe.group ins(%{{.*}}, %{{.*}}, %{{.*}} : tensor<8x1x!moe.id<cluster[2]>>, tensor<8x2x!moe.id<expert[4]>>, tensor<8x2xf32>) slots(%{{.*}} : tensor<8x2xi32>) outs(%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} : tensor<8xi32>, tensor<3xi32>, tensor<16xi32>, tensor<16x!moe.id<expert[4]>>, tensor<16xf32>) -> tensor<8xi32>, tensor<3xi32>, tensor<16xi32>, tensor<16x!moe.id<expert[4]>>, tensor<16xf32>
func.func @group(%c: tensor<8x1x!moe.id<cluster[2]>>, %ids: tensor<8x2x!id4>, %p: tensor<8x2xf32>, %slot: tensor<8x2xi32>,
                 %r: tensor<8xi32>, %o: tensor<3xi32>, %pr: tensor<16xi32>, %pe: tensor<16x!id4>, %pw: tensor<16xf32>) {
  %0:5 = moe.group ins(%c, %ids, %p : tensor<8x1x!moe.id<cluster[2]>>, tensor<8x2x!id4>, tensor<8x2xf32>) slots(%slot : tensor<8x2xi32>)
    outs(%r, %o, %pr, %pe, %pw : tensor<8xi32>, tensor<3xi32>, tensor<16xi32>, tensor<16x!id4>, tensor<16xf32>)
    -> tensor<8xi32>, tensor<3xi32>, tensor<16xi32>, tensor<16x!id4>, tensor<16xf32>
  return
}

// Experts that share nothing: each is its own cluster, choice j has row j, no slots.
// CHECK-LABEL: func.func @group_choices
// CHECK: moe.group ins(%{{.*}}) outs(
func.func @group_choices(%ids: tensor<?x2x!id4>, %p: tensor<?x2xf32>, %r: tensor<?xi32>, %o: tensor<5xi32>, %pr: tensor<?xi32>,
                         %pe: tensor<?x!id4>, %pw: tensor<?xf32>) {
  %0:5 = moe.group ins(%ids, %ids, %p : tensor<?x2x!id4>, tensor<?x2x!id4>, tensor<?x2xf32>)
    outs(%r, %o, %pr, %pe, %pw : tensor<?xi32>, tensor<5xi32>, tensor<?xi32>, tensor<?x!id4>, tensor<?xf32>)
    -> tensor<?xi32>, tensor<5xi32>, tensor<?xi32>, tensor<?x!id4>, tensor<?xf32>
  return
}

// CHECK-LABEL: func.func @group_buffers
// CHECK: moe.group ins(%{{.*}} : memref<?x1x!moe.id<cluster[2]>>, {{.*}}) slots(%{{.*}} : memref<?x2xi32>) outs({{.*}} : memref<?xi32>, memref<3xi32>, memref<?xi32>, memref<?x!moe.id<expert[4]>>, memref<?xf32>){{$}}
func.func @group_buffers(%c: memref<?x1x!moe.id<cluster[2]>>, %ids: memref<?x2x!id4>, %p: memref<?x2xf32>, %slot: memref<?x2xi32>,
                         %r: memref<?xi32>, %o: memref<3xi32>, %pr: memref<?xi32>, %pe: memref<?x!id4>, %pw: memref<?xf32>) {
  moe.group ins(%c, %ids, %p : memref<?x1x!moe.id<cluster[2]>>, memref<?x2x!id4>, memref<?x2xf32>) slots(%slot : memref<?x2xi32>)
    outs(%r, %o, %pr, %pe, %pw : memref<?xi32>, memref<3xi32>, memref<?xi32>, memref<?x!id4>, memref<?xf32>)
  return
}

// Rows, plain lists, ids and integers; buffers may be strided.
// CHECK-LABEL: func.func @gather
// CHECK: moe.gather ins(%{{.*}}, %{{.*}} : tensor<?x64xf32>, tensor<?xi32>) outs(%{{.*}} : tensor<?x64xf32>) -> tensor<?x64xf32>
// CHECK: moe.gather ins({{.*}} : tensor<?xf32>, tensor<?xi32>)
// CHECK: moe.gather ins({{.*}} : tensor<?x!moe.id<expert[4]>>, tensor<?xi32>)
// CHECK: moe.gather ins({{.*}} : tensor<?xi32>, tensor<?xi32>)
// CHECK: moe.gather ins(%{{.*}}, %{{.*}} : memref<?x64xf32, strided<[128, 1], offset: ?>>, memref<?xi32>) outs(%{{.*}} : memref<8x64xf32>){{$}}
func.func @gather(%x: tensor<?x64xf32>, %i: tensor<?xi32>, %o: tensor<?x64xf32>, %p: tensor<?xf32>, %po: tensor<?xf32>, %e: tensor<?x!id4>,
                  %eo: tensor<?x!id4>, %bx: memref<?x64xf32, strided<[128, 1], offset: ?>>, %bi: memref<?xi32>, %bo: memref<8x64xf32>) {
  %0 = moe.gather ins(%x, %i : tensor<?x64xf32>, tensor<?xi32>) outs(%o : tensor<?x64xf32>) -> tensor<?x64xf32>
  %1 = moe.gather ins(%p, %i : tensor<?xf32>, tensor<?xi32>) outs(%po : tensor<?xf32>) -> tensor<?xf32>
  %2 = moe.gather ins(%e, %i : tensor<?x!id4>, tensor<?xi32>) outs(%eo : tensor<?x!id4>) -> tensor<?x!id4>
  %3 = moe.gather ins(%i, %i : tensor<?xi32>, tensor<?xi32>) outs(%i : tensor<?xi32>) -> tensor<?xi32>
  moe.gather ins(%bx, %bi : memref<?x64xf32, strided<[128, 1], offset: ?>>, memref<?xi32>) outs(%bo : memref<8x64xf32>)
  return
}

// CHECK-LABEL: func.func @scatter_combine
// CHECK: moe.scatter_combine ins(%{{.*}}, %{{.*}} : tensor<?x64xf32>, tensor<?xi32>) outs(%{{.*}} : tensor<?x64xf32>) -> tensor<?x64xf32>
// CHECK: moe.scatter_combine accumulate ins({{.*}}) weighted(%{{.*}} : tensor<?xf32>) outs(%{{.*}} : tensor<?x64xf32>) -> tensor<?x64xf32>
// CHECK: moe.scatter_combine ins({{.*}}) weighted(%{{.*}} : memref<?xf32>) outs(%{{.*}} : memref<?x64xf32>){{$}}
// CHECK: moe.scatter_combine accumulate ins({{.*}}) outs(%{{.*}} : memref<?x64xf32>){{$}}
func.func @scatter_combine(%x: tensor<?x64xf32>, %i: tensor<?xi32>, %p: tensor<?xf32>, %o: tensor<?x64xf32>,
                           %bx: memref<?x64xf32>, %bi: memref<?xi32>, %bp: memref<?xf32>, %bo: memref<?x64xf32>) {
  %0 = moe.scatter_combine ins(%x, %i : tensor<?x64xf32>, tensor<?xi32>) outs(%o : tensor<?x64xf32>) -> tensor<?x64xf32>
  %1 = moe.scatter_combine accumulate ins(%x, %i : tensor<?x64xf32>, tensor<?xi32>) weighted(%p : tensor<?xf32>) outs(%0 : tensor<?x64xf32>) -> tensor<?x64xf32>
  moe.scatter_combine ins(%bx, %bi : memref<?x64xf32>, memref<?xi32>) weighted(%bp : memref<?xf32>) outs(%bo : memref<?x64xf32>)
  moe.scatter_combine accumulate ins(%bx, %bi : memref<?x64xf32>, memref<?xi32>) outs(%bo : memref<?x64xf32>)
  return
}

// What picks the matrix of a row: nothing, its group, its entry.
// CHECK-LABEL: func.func @matmul_rows
// CHECK: moe.grouped_matmul ins(%{{.*}} : tensor<?x64xf32>) weights(%{{.*}} : !moe.weight<64x32xf32>) outs(%{{.*}} : tensor<?x32xf32>) -> tensor<?x32xf32>
// CHECK: weights(%{{.*}} : !moe.weight<64x32xf32, cluster[2]>) groups(%{{.*}} : tensor<3xi32>) outs(
// CHECK: weights(%{{.*}} : !moe.weight<64x32xf32, cluster[2]>) entries(%{{.*}} : tensor<?x!moe.id<cluster[2]>>) outs(
// CHECK: moe.grouped_matmul accumulate ins(
func.func @matmul_rows(%x: tensor<?x64xf32>, %one: !moe.weight<64x32xf32>, %w: !w, %off: tensor<3xi32>, %e: tensor<?x!moe.id<cluster[2]>>, %o: tensor<?x32xf32>) {
  %0 = moe.grouped_matmul ins(%x : tensor<?x64xf32>) weights(%one : !moe.weight<64x32xf32>) outs(%o : tensor<?x32xf32>) -> tensor<?x32xf32>
  %1 = moe.grouped_matmul ins(%x : tensor<?x64xf32>) weights(%w : !w) groups(%off : tensor<3xi32>) outs(%o : tensor<?x32xf32>) -> tensor<?x32xf32>
  %2 = moe.grouped_matmul ins(%x : tensor<?x64xf32>) weights(%w : !w) entries(%e : tensor<?x!moe.id<cluster[2]>>) outs(%o : tensor<?x32xf32>) -> tensor<?x32xf32>
  %3 = moe.grouped_matmul accumulate ins(%x : tensor<?x64xf32>) weights(%one : !moe.weight<64x32xf32>) outs(%o : tensor<?x32xf32>) -> tensor<?x32xf32>
  return
}

// A bias is indexed like what picks it, or the same for all.
// CHECK-LABEL: func.func @matmul_bias
// CHECK: bias(%{{.*}} : !moe.weight<1x32xf32, cluster[2]>) groups(
// CHECK: bias(%{{.*}} : !moe.weight<1x32xf32>) groups(
// CHECK: bias(%{{.*}} : !moe.weight<1x32xf32, expert[4]>) groups({{.*}} pair_rows({{.*}} pair_experts(
func.func @matmul_bias(%x: tensor<?x64xf32>, %w: !w, %off: tensor<3xi32>, %bc: !moe.weight<1x32xf32, cluster[2]>, %b1: !moe.weight<1x32xf32>,
                       %be: !moe.weight<1x32xf32, expert[4]>, %row: tensor<?xi32>, %e: tensor<?x!id4>, %o: tensor<?x32xf32>) {
  %0 = moe.grouped_matmul ins(%x : tensor<?x64xf32>) weights(%w : !w) bias(%bc : !moe.weight<1x32xf32, cluster[2]>) groups(%off : tensor<3xi32>)
    outs(%o : tensor<?x32xf32>) -> tensor<?x32xf32>
  %1 = moe.grouped_matmul ins(%x : tensor<?x64xf32>) weights(%w : !w) bias(%b1 : !moe.weight<1x32xf32>) groups(%off : tensor<3xi32>)
    outs(%o : tensor<?x32xf32>) -> tensor<?x32xf32>
  %2 = moe.grouped_matmul ins(%x : tensor<?x64xf32>) weights(%w : !w) bias(%be : !moe.weight<1x32xf32, expert[4]>) groups(%off : tensor<3xi32>)
    pair_rows(%row : tensor<?xi32>) pair_experts(%e : tensor<?x!id4>) outs(%o : tensor<?x32xf32>) -> tensor<?x32xf32>
  return
}

// One result row for each pair, with the residual of its expert; a factor may be the same for all.
// CHECK-LABEL: func.func @matmul_pairs
// CHECK: pair_rows(%{{.*}} : tensor<16xi32>) pair_experts(%{{.*}} : tensor<16x!moe.id<expert[4]>>) outs(
// CHECK: residual(%{{.*}}, %{{.*}} : !moe.weight<64x4xf32, expert[4]>, !moe.weight<4x32xf32, expert[4]>) outs(
// CHECK: residual(%{{.*}}, %{{.*}} : !moe.weight<64x4xf32>, !moe.weight<4x32xf32, expert[4]>) outs(
func.func @matmul_pairs(%x: tensor<8x64xf32>, %w: !w, %off: tensor<3xi32>, %row: tensor<16xi32>, %e: tensor<16x!id4>, %a: !a, %a1: !moe.weight<64x4xf32>, %b: !b, %o: tensor<16x32xf32>) {
  %0 = moe.grouped_matmul ins(%x : tensor<8x64xf32>) weights(%w : !w) groups(%off : tensor<3xi32>) pair_rows(%row : tensor<16xi32>)
    pair_experts(%e : tensor<16x!id4>) outs(%o : tensor<16x32xf32>) -> tensor<16x32xf32>
  %1 = moe.grouped_matmul ins(%x : tensor<8x64xf32>) weights(%w : !w) groups(%off : tensor<3xi32>) pair_rows(%row : tensor<16xi32>)
    pair_experts(%e : tensor<16x!id4>) residual(%a, %b : !a, !b) outs(%o : tensor<16x32xf32>) -> tensor<16x32xf32>
  %2 = moe.grouped_matmul ins(%x : tensor<8x64xf32>) weights(%w : !w) groups(%off : tensor<3xi32>) pair_rows(%row : tensor<16xi32>)
    pair_experts(%e : tensor<16x!id4>) residual(%a1, %b : !moe.weight<64x4xf32>, !b) outs(%o : tensor<16x32xf32>) -> tensor<16x32xf32>
  return
}

// Up and gate together, and an activation of one weight.
// CHECK-LABEL: func.func @matmul_act
// CHECK: weights(%{{.*}}, %{{.*}} : {{.*}}) bias(%{{.*}}, %{{.*}} : {{.*}}) groups({{.*}} residual(%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} : {{.*}}) act <silu> outs(
// CHECK: weights(%{{[a-z0-9]+}} : {{.*}}) groups(%{{.*}}) act <relu2> outs(
func.func @matmul_act(%x: tensor<8x64xf32>, %w: !w, %g: !w, %off: tensor<3xi32>, %row: tensor<16xi32>, %e: tensor<16x!id4>, %a: !a, %b: !b,
                      %bias: !moe.weight<1x32xf32, expert[4]>, %b1: !moe.weight<1x32xf32>, %o: tensor<16x32xf32>, %o8: tensor<8x32xf32>) {
  %0 = moe.grouped_matmul ins(%x : tensor<8x64xf32>) weights(%w, %g : !w, !w) bias(%bias, %b1 : !moe.weight<1x32xf32, expert[4]>, !moe.weight<1x32xf32>)
    groups(%off : tensor<3xi32>) pair_rows(%row : tensor<16xi32>) pair_experts(%e : tensor<16x!id4>)
    residual(%a, %b, %a, %b : !a, !b, !a, !b) act <silu> outs(%o : tensor<16x32xf32>) -> tensor<16x32xf32>
  %1 = moe.grouped_matmul ins(%x : tensor<8x64xf32>) weights(%w : !w) groups(%off : tensor<3xi32>) act <relu2> outs(%o8 : tensor<8x32xf32>) -> tensor<8x32xf32>
  return
}

// Down: rows of pairs added as a second segment, weighted or not; one result row for each row.
// CHECK-LABEL: func.func @matmul_segment
// CHECK: segment(%{{.*}} : tensor<16x4xf32>) expand(%{{.*}} : !moe.weight<4x32xf32, expert[4]>) outs(
// CHECK: segment(%{{.*}} : tensor<16x4xf32>) expand(%{{.*}} : !moe.weight<4x32xf32, expert[4]>) weighted(%{{.*}} : tensor<16xf32>) outs(
func.func @matmul_segment(%x: tensor<8x64xf32>, %w: !w, %off: tensor<3xi32>, %row: tensor<16xi32>, %e: tensor<16x!id4>, %v: tensor<16x4xf32>, %b: !b, %p: tensor<16xf32>, %o: tensor<8x32xf32>) {
  %0 = moe.grouped_matmul ins(%x : tensor<8x64xf32>) weights(%w : !w) groups(%off : tensor<3xi32>) pair_rows(%row : tensor<16xi32>)
    pair_experts(%e : tensor<16x!id4>) segment(%v : tensor<16x4xf32>) expand(%b : !b) outs(%o : tensor<8x32xf32>) -> tensor<8x32xf32>
  %1 = moe.grouped_matmul ins(%x : tensor<8x64xf32>) weights(%w : !w) groups(%off : tensor<3xi32>) pair_rows(%row : tensor<16xi32>)
    pair_experts(%e : tensor<16x!id4>) segment(%v : tensor<16x4xf32>) expand(%b : !b) weighted(%p : tensor<16xf32>) outs(%o : tensor<8x32xf32>) -> tensor<8x32xf32>
  return
}

// The same on buffers, without results.
// CHECK-LABEL: func.func @matmul_buffers
// CHECK: moe.grouped_matmul ins(%{{.*}} : memref<?x64xf32>) weights({{.*}}) groups(%{{.*}} : memref<3xi32>) outs(%{{.*}} : memref<?x32xf32>){{$}}
// CHECK: moe.grouped_matmul accumulate ins({{.*}}) weights({{.*}}) entries(%{{.*}} : memref<?x!moe.id<cluster[2]>>) outs(
// CHECK: moe.grouped_matmul ins({{.*}} residual({{.*}} act <silu> outs(%{{.*}} : memref<?x32xf32>){{$}}
// CHECK: moe.grouped_matmul ins({{.*}} segment(%{{.*}} : memref<?x4xf32>) expand({{.*}}) weighted(%{{.*}} : memref<?xf32>) outs(
func.func @matmul_buffers(%x: memref<?x64xf32>, %w: !w, %g: !w, %off: memref<3xi32>, %c: memref<?x!moe.id<cluster[2]>>, %row: memref<?xi32>, %e: memref<?x!id4>,
                          %a: !a, %b: !b, %v: memref<?x4xf32>, %p: memref<?xf32>, %o: memref<?x32xf32>) {
  moe.grouped_matmul ins(%x : memref<?x64xf32>) weights(%w : !w) groups(%off : memref<3xi32>) outs(%o : memref<?x32xf32>)
  moe.grouped_matmul accumulate ins(%x : memref<?x64xf32>) weights(%w : !w) entries(%c : memref<?x!moe.id<cluster[2]>>) outs(%o : memref<?x32xf32>)
  moe.grouped_matmul ins(%x : memref<?x64xf32>) weights(%w, %g : !w, !w) groups(%off : memref<3xi32>) pair_rows(%row : memref<?xi32>)
    pair_experts(%e : memref<?x!id4>) residual(%a, %b, %a, %b : !a, !b, !a, !b) act <silu> outs(%o : memref<?x32xf32>)
  moe.grouped_matmul ins(%x : memref<?x64xf32>) weights(%w : !w) groups(%off : memref<3xi32>) pair_rows(%row : memref<?xi32>)
    pair_experts(%e : memref<?x!id4>) segment(%v : memref<?x4xf32>) expand(%b : !b) weighted(%p : memref<?xf32>) outs(%o : memref<?x32xf32>)
  return
}

// Up and gate with all there may be; one weight without axis; buffers.
// CHECK-LABEL: func.func @grouped_up
// CHECK: moe.grouped_up ins(%{{.*}} : tensor<8x64xf32>) weights(%{{.*}}, %{{.*}} : !moe.weight<64x32xf32, cluster[2]>, {{.*}}) bias(%{{.*}}, %{{.*}} : {{.*}}) groups(%{{.*}} : tensor<3xi32>) pair_rows(%{{.*}} : tensor<16xi32>) pair_experts(%{{.*}} : tensor<16x!moe.id<expert[4]>>) residual(%{{.*}} : {{.*}}) weighted(%{{.*}} : tensor<16xf32>) act <silu> shrink(%{{.*}} : !moe.weight<32x4xf32, expert[4]>) outs(%{{.*}}, %{{.*}} : tensor<8x32xf32>, tensor<16x4xf32>) -> tensor<8x32xf32>, tensor<16x4xf32>
// CHECK: moe.grouped_up ins(%{{.*}} : tensor<8x64xf32>) weights(%{{.*}} : !moe.weight<64x32xf32>) pair_rows({{.*}}) pair_experts({{.*}}) weighted({{.*}}) act <relu> outs(%{{.*}} : tensor<8x32xf32>) -> tensor<8x32xf32>
// CHECK: moe.grouped_up {{.*}} shrink({{.*}}) outs(%{{.*}}, %{{.*}} : memref<?x32xf32>, memref<?x4xf32>){{$}}
func.func @grouped_up(%x: tensor<8x64xf32>, %w: !w, %wb: !moe.weight<1x32xf32, expert[4]>, %one: !moe.weight<64x32xf32>, %off: tensor<3xi32>, %row: tensor<16xi32>,
                      %e: tensor<16x!id4>, %a: !a, %b: !b, %p: tensor<16xf32>, %s: !moe.weight<32x4xf32, expert[4]>, %h: tensor<8x32xf32>, %v: tensor<16x4xf32>,
                      %mx: memref<?x64xf32>, %mrow: memref<?xi32>, %me: memref<?x!id4>, %mp: memref<?xf32>, %mh: memref<?x32xf32>, %mv: memref<?x4xf32>) {
  %0:2 = moe.grouped_up ins(%x : tensor<8x64xf32>) weights(%w, %w : !w, !w) bias(%wb, %wb : !moe.weight<1x32xf32, expert[4]>, !moe.weight<1x32xf32, expert[4]>)
    groups(%off : tensor<3xi32>) pair_rows(%row : tensor<16xi32>) pair_experts(%e : tensor<16x!id4>) residual(%a, %b, %a, %b : !a, !b, !a, !b)
    weighted(%p : tensor<16xf32>) act <silu> shrink(%s : !moe.weight<32x4xf32, expert[4]>) outs(%h, %v : tensor<8x32xf32>, tensor<16x4xf32>)
    -> tensor<8x32xf32>, tensor<16x4xf32>
  %1 = moe.grouped_up ins(%x : tensor<8x64xf32>) weights(%one : !moe.weight<64x32xf32>) pair_rows(%row : tensor<16xi32>) pair_experts(%e : tensor<16x!id4>)
    weighted(%p : tensor<16xf32>) act <relu> outs(%h : tensor<8x32xf32>) -> tensor<8x32xf32>
  moe.grouped_up ins(%mx : memref<?x64xf32>) weights(%one : !moe.weight<64x32xf32>) pair_rows(%mrow : memref<?xi32>) pair_experts(%me : memref<?x!id4>)
    weighted(%mp : memref<?xf32>) act <relu> shrink(%s : !moe.weight<32x4xf32, expert[4]>) outs(%mh, %mv : memref<?x32xf32>, memref<?x4xf32>)
  return
}
