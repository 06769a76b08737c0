// RUN: moe-opt %s --moe-fuse-residual --split-input-file --verify-diagnostics --remarks-filter='.*' | FileCheck %s

!x = tensor<?x64xf32>
!rows = tensor<?xi32>
!offsets = tensor<3xi32>
!experts = tensor<?x!moe.id<expert[8]>>
!list = tensor<?xf32>
!h = tensor<?x32xf32>
!low = tensor<?x4xf32>
!base = !moe.weight<64x32xf32, cluster[2]>
!a = !moe.weight<64x4xf32, expert[8]>
!b = !moe.weight<4x32xf32, expert[8]>
!down = !moe.weight<32x64xf32, cluster[2]>
!e = !moe.weight<4x64xf32, expert[8]>
!bias = !moe.weight<1x32xf32, expert[8]>

// Up: base by group and residual by pair become one product, whichever side of the sum they stand on.
// CHECK-LABEL: func.func @up
// CHECK: %[[G:.+]]:5 = moe.group
// CHECK: %[[ROWS:.+]] = moe.gather
// CHECK: %[[Y:.+]] = moe.grouped_matmul ins(%[[ROWS]] {{.*}} weights(%[[W:.+]] : {{.*}}) groups(%[[G]]#1 {{.*}} pair_rows(%[[G]]#2 {{.*}} pair_experts(%[[G]]#3 {{.*}} residual(%{{.+}}, %{{.+}} :
// CHECK-NOT: arith.addf
// CHECK-NOT: moe.gather
// CHECK: return %[[Y]]
func.func @up(%x: !x, %c: tensor<?x2x!moe.id<cluster[2]>>, %slot: tensor<?x4xi32>, %ids: tensor<?x4x!moe.id<expert[8]>>, %p: tensor<?x4xf32>,
    %r: !rows, %o: !offsets, %q: !rows, %ex: !experts, %l: !list, %ix: !x, %ih: !h, %il: !low, %w: !base, %a: !a, %b: !b) -> !h {
  %g:5 = moe.group ins(%c, %ids, %p : tensor<?x2x!moe.id<cluster[2]>>, tensor<?x4x!moe.id<expert[8]>>, tensor<?x4xf32>) slots(%slot : tensor<?x4xi32>)
    outs(%r, %o, %q, %ex, %l : !rows, !offsets, !rows, !experts, !list) -> !rows, !offsets, !rows, !experts, !list
  %rows = moe.gather ins(%x, %g#0 : !x, !rows) outs(%ix : !x) -> !x
  %0 = moe.grouped_matmul ins(%rows : !x) weights(%w : !base) groups(%g#1 : !offsets) outs(%ih : !h) -> !h
  %1 = moe.gather ins(%0, %g#2 : !h, !rows) outs(%ih : !h) -> !h
  %pairs = moe.gather ins(%rows, %g#2 : !x, !rows) outs(%ix : !x) -> !x
  %2 = moe.grouped_matmul ins(%pairs : !x) weights(%a : !a) entries(%g#3 : !experts) outs(%il : !low) -> !low
  %3 = moe.grouped_matmul ins(%2 : !low) weights(%b : !b) entries(%g#3 : !experts) outs(%ih : !h) -> !h
  // expected-remark @below {{residual fused into the base product, up}}
  %4 = arith.addf %3, %1 : !h
  return %4 : !h
}

// One factor of the residual may be shared by all experts.
// CHECK-LABEL: func.func @shared_factor
// CHECK: moe.grouped_matmul {{.*}} residual(%{{.+}}, %{{.+}} : !moe.weight<64x4xf32, expert[8]>, !moe.weight<4x32xf32>)
// CHECK-NOT: arith.addf
// CHECK: return
func.func @shared_factor(%x: !x, %c: tensor<?x2x!moe.id<cluster[2]>>, %slot: tensor<?x4xi32>, %ids: tensor<?x4x!moe.id<expert[8]>>, %p: tensor<?x4xf32>,
    %r: !rows, %o: !offsets, %q: !rows, %ex: !experts, %l: !list, %ix: !x, %ih: !h, %il: !low, %w: !base, %a: !a, %b: !moe.weight<4x32xf32>) -> !h {
  %g:5 = moe.group ins(%c, %ids, %p : tensor<?x2x!moe.id<cluster[2]>>, tensor<?x4x!moe.id<expert[8]>>, tensor<?x4xf32>) slots(%slot : tensor<?x4xi32>)
    outs(%r, %o, %q, %ex, %l : !rows, !offsets, !rows, !experts, !list) -> !rows, !offsets, !rows, !experts, !list
  %rows = moe.gather ins(%x, %g#0 : !x, !rows) outs(%ix : !x) -> !x
  %0 = moe.grouped_matmul ins(%rows : !x) weights(%w : !base) groups(%g#1 : !offsets) outs(%ih : !h) -> !h
  %1 = moe.gather ins(%0, %g#2 : !h, !rows) outs(%ih : !h) -> !h
  %pairs = moe.gather ins(%rows, %g#2 : !x, !rows) outs(%ix : !x) -> !x
  %2 = moe.grouped_matmul ins(%pairs : !x) weights(%a : !a) entries(%g#3 : !experts) outs(%il : !low) -> !low
  %3 = moe.grouped_matmul ins(%2 : !low) weights(%b : !moe.weight<4x32xf32>) outs(%ih : !h) -> !h
  // expected-remark @below {{residual fused into the base product, up}}
  %4 = arith.addf %1, %3 : !h
  return %4 : !h
}

// D2-MoE: a base for all tokens, no clusters; pairs are rows, listed by token.
// CHECK-LABEL: func.func @without_clusters
// CHECK-SAME: %[[X:.+]]: tensor<?x64xf32>, %{{.+}}: tensor<?x4x!moe.id
// CHECK: %[[G:.+]]:5 = moe.group
// CHECK: moe.grouped_matmul ins(%[[X]] : {{.*}} weights(%{{.+}} : !moe.weight<64x32xf32>) pair_rows(%[[G]]#0 {{.*}} pair_experts(%[[G]]#3 {{.*}} residual(
// CHECK-NOT: arith.addf
// CHECK: return
func.func @without_clusters(%x: !x, %ids: tensor<?x4x!moe.id<expert[8]>>, %p: tensor<?x4xf32>, %r: !rows, %o: tensor<9xi32>, %q: !rows, %ex: !experts, %l: !list,
    %ix: !x, %ih: !h, %il: !low, %w: !moe.weight<64x32xf32>, %a: !a, %b: !moe.weight<4x32xf32>) -> !h {
  %g:5 = moe.group ins(%ids, %ids, %p : tensor<?x4x!moe.id<expert[8]>>, tensor<?x4x!moe.id<expert[8]>>, tensor<?x4xf32>)
    outs(%r, %o, %q, %ex, %l : !rows, tensor<9xi32>, !rows, !experts, !list) -> !rows, tensor<9xi32>, !rows, !experts, !list
  %0 = moe.grouped_matmul ins(%x : !x) weights(%w : !moe.weight<64x32xf32>) outs(%ih : !h) -> !h
  %1 = moe.gather ins(%0, %g#0 : !h, !rows) outs(%ih : !h) -> !h
  %rows = moe.gather ins(%x, %g#0 : !x, !rows) outs(%ix : !x) -> !x
  %2 = moe.grouped_matmul ins(%rows : !x) weights(%a : !a) groups(%g#1 : tensor<9xi32>) outs(%il : !low) -> !low
  %3 = moe.grouped_matmul ins(%2 : !low) weights(%b : !moe.weight<4x32xf32>) outs(%ih : !h) -> !h
  // expected-remark @below {{residual fused into the base product, up}}
  %4 = arith.addf %1, %3 : !h
  return %4 : !h
}

// Down: rows of the residual are a second segment of the base's reduction, with their gate weights.
// CHECK-LABEL: func.func @down
// CHECK: %[[G:.+]]:5 = moe.group
// CHECK: %[[Y:.+]] = moe.grouped_matmul {{.*}} groups(%[[G]]#1 {{.*}} pair_rows(%[[G]]#2 {{.*}} pair_experts(%[[G]]#3 {{.*}} segment(%[[V:.+]] : tensor<?x4xf32>) expand(%{{.+}} weighted(%[[G]]#4
// CHECK-NOT: arith.addf
// CHECK: return %[[Y]]
func.func @down(%z: !h, %v: !low, %c: tensor<?x2x!moe.id<cluster[2]>>, %slot: tensor<?x4xi32>, %ids: tensor<?x4x!moe.id<expert[8]>>, %p: tensor<?x4xf32>,
    %r: !rows, %o: !offsets, %q: !rows, %ex: !experts, %l: !list, %ix: !x, %w: !down, %b: !e) -> !x {
  %g:5 = moe.group ins(%c, %ids, %p : tensor<?x2x!moe.id<cluster[2]>>, tensor<?x4x!moe.id<expert[8]>>, tensor<?x4xf32>) slots(%slot : tensor<?x4xi32>)
    outs(%r, %o, %q, %ex, %l : !rows, !offsets, !rows, !experts, !list) -> !rows, !offsets, !rows, !experts, !list
  %0 = moe.grouped_matmul ins(%z : !h) weights(%w : !down) groups(%g#1 : !offsets) outs(%ix : !x) -> !x
  %1 = moe.grouped_matmul ins(%v : !low) weights(%b : !e) entries(%g#3 : !experts) outs(%ix : !x) -> !x
  %2 = moe.scatter_combine ins(%1, %g#2 : !x, !rows) weighted(%g#4 : !list) outs(%ix : !x) -> !x
  // expected-remark @below {{residual fused into the base product, down}}
  %3 = arith.addf %0, %2 : !x
  return %3 : !x
}

// A bias picked as the matrix is, by groups of experts or by entries; gate and up meet in their activation.
// CHECK-LABEL: func.func @bias_and_activation
// CHECK: %[[G:.+]]:5 = moe.group
// CHECK: %[[Y:.+]] = moe.grouped_matmul {{.*}} weights(%[[U:.+]], %[[V:.+]] : {{.*}} bias(%{{.+}}, %{{.+}} : {{.*}} groups(%[[G]]#1 {{.*}} act <silu clamp 7.0>
// CHECK: %[[Z:.+]] = moe.grouped_matmul {{.*}} bias(%{{.+}} entries(%[[G]]#3
// CHECK-NOT: moe.activate
// CHECK: return %[[Y]], %[[Z]]
func.func @bias_and_activation(%x: !x, %ids: tensor<?x4x!moe.id<expert[8]>>, %p: tensor<?x4xf32>, %r: !rows, %o: tensor<9xi32>, %q: !rows, %ex: !experts, %l: !list,
    %ih: !h, %u: !moe.weight<64x32xf32, expert[8]>, %v: !moe.weight<64x32xf32, expert[8]>, %ub: !bias, %vb: !bias) -> (!h, !h) {
  %g:5 = moe.group ins(%ids, %ids, %p : tensor<?x4x!moe.id<expert[8]>>, tensor<?x4x!moe.id<expert[8]>>, tensor<?x4xf32>)
    outs(%r, %o, %q, %ex, %l : !rows, tensor<9xi32>, !rows, !experts, !list) -> !rows, tensor<9xi32>, !rows, !experts, !list
  %0 = moe.grouped_matmul ins(%x : !x) weights(%u : !moe.weight<64x32xf32, expert[8]>) groups(%g#1 : tensor<9xi32>) outs(%ih : !h) -> !h
  %1 = moe.lookup %ub at %g#3 : !bias, !experts -> !h
  // expected-remark @below {{bias fused into the product}}
  %2 = arith.addf %0, %1 : !h
  %3 = moe.grouped_matmul ins(%x : !x) weights(%v : !moe.weight<64x32xf32, expert[8]>) groups(%g#1 : tensor<9xi32>) outs(%ih : !h) -> !h
  %4 = moe.lookup %vb at %g#3 : !bias, !experts -> !h
  // expected-remark @below {{bias fused into the product}}
  %5 = arith.addf %3, %4 : !h
  // expected-remark @below {{activation fused into the product}}
  %6 = moe.activate <silu clamp 7.0> %2 gated by %5 : !h
  %7 = moe.grouped_matmul ins(%x : !x) weights(%v : !moe.weight<64x32xf32, expert[8]>) entries(%g#3 : !experts) outs(%ih : !h) -> !h
  %8 = moe.lookup %vb at %g#3 : !bias, !experts -> !h
  // expected-remark @below {{bias fused into the product}}
  %9 = arith.addf %7, %8 : !h
  return %6, %9 : !h, !h
}

// An activation of one product; sums meet before they are scattered.
// CHECK-LABEL: func.func @one_product
// CHECK: moe.grouped_matmul {{.*}} act <relu2> outs
// CHECK: %[[S:.+]] = arith.addf
// CHECK: %[[Y:.+]] = moe.scatter_combine ins(%[[S]],
// CHECK: return %{{.+}}, %[[Y]]
func.func @one_product(%x: !x, %a: !h, %b: !h, %i: !rows, %w: !moe.weight<64x32xf32>, %ih: !h) -> (!h, !h) {
  %0 = moe.grouped_matmul ins(%x : !x) weights(%w : !moe.weight<64x32xf32>) outs(%ih : !h) -> !h
  // expected-remark @below {{activation fused into the product}}
  %1 = moe.activate <relu2> %0 : !h
  %2 = moe.scatter_combine ins(%a, %i : !h, !rows) outs(%ih : !h) -> !h
  %3 = moe.scatter_combine ins(%b, %i : !h, !rows) outs(%ih : !h) -> !h
  %4 = arith.addf %2, %3 : !h
  return %1, %4 : !h, !h
}

//===----------------------------------------------------------------------===//
// Declined
//===----------------------------------------------------------------------===//

// The residual reads rows that were changed on the way (a scale of the expert's own).
// CHECK-LABEL: func.func @other_rows
// CHECK-COUNT-3: moe.grouped_matmul
// CHECK: arith.addf
func.func @other_rows(%rows: !x, %other: !x, %c: tensor<?x2x!moe.id<cluster[2]>>, %slot: tensor<?x4xi32>, %ids: tensor<?x4x!moe.id<expert[8]>>, %p: tensor<?x4xf32>,
    %r: !rows, %o: !offsets, %q: !rows, %ex: !experts, %l: !list, %ix: !x, %ih: !h, %il: !low, %w: !base, %a: !a, %b: !b) -> !h {
  %g:5 = moe.group ins(%c, %ids, %p : tensor<?x2x!moe.id<cluster[2]>>, tensor<?x4x!moe.id<expert[8]>>, tensor<?x4xf32>) slots(%slot : tensor<?x4xi32>)
    outs(%r, %o, %q, %ex, %l : !rows, !offsets, !rows, !experts, !list) -> !rows, !offsets, !rows, !experts, !list
  %0 = moe.grouped_matmul ins(%rows : !x) weights(%w : !base) groups(%g#1 : !offsets) outs(%ih : !h) -> !h
  %1 = moe.gather ins(%0, %g#2 : !h, !rows) outs(%ih : !h) -> !h
  %pairs = moe.gather ins(%other, %g#2 : !x, !rows) outs(%ix : !x) -> !x
  %2 = moe.grouped_matmul ins(%pairs : !x) weights(%a : !a) entries(%g#3 : !experts) outs(%il : !low) -> !low
  %3 = moe.grouped_matmul ins(%2 : !low) weights(%b : !b) entries(%g#3 : !experts) outs(%ih : !h) -> !h
  // expected-remark @below {{residual not fused: base and residual read different rows}}
  %4 = arith.addf %1, %3 : !h
  return %4 : !h
}

// Lists from anywhere, or from two groups: nothing says that a pair's row and expert belong together.
// CHECK-LABEL: func.func @other_groups
// CHECK-COUNT-3: moe.grouped_matmul
// CHECK: arith.addf
func.func @other_groups(%rows: !x, %o: !offsets, %q: !rows, %e0: !experts, %e1: !experts, %ix: !x, %ih: !h, %il: !low, %w: !base, %a: !a, %b: !b) -> !h {
  %0 = moe.grouped_matmul ins(%rows : !x) weights(%w : !base) groups(%o : !offsets) outs(%ih : !h) -> !h
  %1 = moe.gather ins(%0, %q : !h, !rows) outs(%ih : !h) -> !h
  %pairs = moe.gather ins(%rows, %q : !x, !rows) outs(%ix : !x) -> !x
  %2 = moe.grouped_matmul ins(%pairs : !x) weights(%a : !a) entries(%e0 : !experts) outs(%il : !low) -> !low
  %3 = moe.grouped_matmul ins(%2 : !low) weights(%b : !b) entries(%e1 : !experts) outs(%ih : !h) -> !h
  // expected-remark @below {{residual not fused: base and residual belong to different groups}}
  %4 = arith.addf %1, %3 : !h
  return %4 : !h
}

// A group's pairs, but a second factor picked by other experts; down likewise, or with other gate weights.
// CHECK-LABEL: func.func @other_experts
// CHECK-COUNT-3: arith.addf
func.func @other_experts(%rows: !x, %z: !h, %v: !low, %c: tensor<?x2x!moe.id<cluster[2]>>, %slot: tensor<?x4xi32>, %ids: tensor<?x4x!moe.id<expert[8]>>, %p: tensor<?x4xf32>,
    %r: !rows, %o: !offsets, %q: !rows, %ex: !experts, %l: !list, %ix: !x, %ih: !h, %il: !low, %w: !base, %a: !a, %b: !b, %d: !down, %e: !e) -> (!h, !x, !x) {
  %g:5 = moe.group ins(%c, %ids, %p : tensor<?x2x!moe.id<cluster[2]>>, tensor<?x4x!moe.id<expert[8]>>, tensor<?x4xf32>) slots(%slot : tensor<?x4xi32>)
    outs(%r, %o, %q, %ex, %l : !rows, !offsets, !rows, !experts, !list) -> !rows, !offsets, !rows, !experts, !list
  %0 = moe.grouped_matmul ins(%rows : !x) weights(%w : !base) groups(%g#1 : !offsets) outs(%ih : !h) -> !h
  %1 = moe.gather ins(%0, %g#2 : !h, !rows) outs(%ih : !h) -> !h
  %pairs = moe.gather ins(%rows, %g#2 : !x, !rows) outs(%ix : !x) -> !x
  %2 = moe.grouped_matmul ins(%pairs : !x) weights(%a : !a) entries(%g#3 : !experts) outs(%il : !low) -> !low
  %3 = moe.grouped_matmul ins(%2 : !low) weights(%b : !b) entries(%ex : !experts) outs(%ih : !h) -> !h
  // expected-remark @below {{residual not fused: base and residual belong to different groups}}
  %4 = arith.addf %1, %3 : !h
  %5 = moe.grouped_matmul ins(%z : !h) weights(%d : !down) groups(%g#1 : !offsets) outs(%ix : !x) -> !x
  %6 = moe.grouped_matmul ins(%v : !low) weights(%e : !e) entries(%ex : !experts) outs(%ix : !x) -> !x
  %7 = moe.scatter_combine ins(%6, %g#2 : !x, !rows) weighted(%g#4 : !list) outs(%ix : !x) -> !x
  // expected-remark @below {{residual not fused: base and residual belong to different groups}}
  %8 = arith.addf %5, %7 : !x
  %9 = moe.grouped_matmul ins(%z : !h) weights(%d : !down) groups(%o : !offsets) outs(%ix : !x) -> !x
  %10 = moe.grouped_matmul ins(%v : !low) weights(%e : !e) entries(%g#3 : !experts) outs(%ix : !x) -> !x
  %11 = moe.scatter_combine ins(%10, %g#2 : !x, !rows) weighted(%l : !list) outs(%ix : !x) -> !x
  // expected-remark @below {{residual not fused: base and residual belong to different groups}}
  %12 = arith.addf %9, %11 : !x
  return %4, %8, %12 : !h, !x, !x
}

// Products with another use, up and down.
// CHECK-LABEL: func.func @other_uses
// CHECK-COUNT-2: arith.addf
func.func @other_uses(%rows: !x, %z: !h, %v: !low, %c: tensor<?x2x!moe.id<cluster[2]>>, %slot: tensor<?x4xi32>, %ids: tensor<?x4x!moe.id<expert[8]>>, %p: tensor<?x4xf32>,
    %r: !rows, %o: !offsets, %q: !rows, %ex: !experts, %l: !list, %ix: !x, %ih: !h, %il: !low, %w: !base, %a: !a, %b: !b, %d: !down, %e: !e) -> (!h, !h, !x, !x) {
  %g:5 = moe.group ins(%c, %ids, %p : tensor<?x2x!moe.id<cluster[2]>>, tensor<?x4x!moe.id<expert[8]>>, tensor<?x4xf32>) slots(%slot : tensor<?x4xi32>)
    outs(%r, %o, %q, %ex, %l : !rows, !offsets, !rows, !experts, !list) -> !rows, !offsets, !rows, !experts, !list
  %0 = moe.grouped_matmul ins(%rows : !x) weights(%w : !base) groups(%g#1 : !offsets) outs(%ih : !h) -> !h
  %1 = moe.gather ins(%0, %g#2 : !h, !rows) outs(%ih : !h) -> !h
  %pairs = moe.gather ins(%rows, %g#2 : !x, !rows) outs(%ix : !x) -> !x
  %2 = moe.grouped_matmul ins(%pairs : !x) weights(%a : !a) entries(%g#3 : !experts) outs(%il : !low) -> !low
  %3 = moe.grouped_matmul ins(%2 : !low) weights(%b : !b) entries(%g#3 : !experts) outs(%ih : !h) -> !h
  // expected-remark @below {{residual not fused: the base product has another use}}
  %4 = arith.addf %1, %3 : !h
  %5 = moe.grouped_matmul ins(%z : !h) weights(%d : !down) groups(%g#1 : !offsets) outs(%ix : !x) -> !x
  %6 = moe.grouped_matmul ins(%v : !low) weights(%e : !e) entries(%g#3 : !experts) outs(%ix : !x) -> !x
  %7 = moe.scatter_combine ins(%6, %g#2 : !x, !rows) weighted(%g#4 : !list) outs(%ix : !x) -> !x
  // expected-remark @below {{residual not fused: the residual has another use}}
  %8 = arith.addf %5, %7 : !x
  return %0, %4, %7, %8 : !h, !h, !x, !x
}

// A bias picked by other ids than the matrix, or one that only masks; gate and up that read other rows, or are one value.
// CHECK-LABEL: func.func @other_biases
// CHECK-COUNT-2: arith.addf
// CHECK-COUNT-2: moe.activate
func.func @other_biases(%x: !x, %y: !x, %e0: !experts, %e1: !experts, %w: !moe.weight<64x32xf32, expert[8]>, %v: !moe.weight<64x32xf32>, %b: !bias, %c: !moe.weight<1x32xf32>, %ih: !h) -> (!h, !h, !h, !h) {
  %0 = moe.grouped_matmul ins(%x : !x) weights(%w : !moe.weight<64x32xf32, expert[8]>) entries(%e0 : !experts) outs(%ih : !h) -> !h
  %1 = moe.lookup %b at %e1 : !bias, !experts -> !h
  %2 = arith.addf %0, %1 : !h
  %3 = moe.grouped_matmul ins(%x : !x) weights(%w : !moe.weight<64x32xf32, expert[8]>) entries(%e0 : !experts) outs(%ih : !h) -> !h
  %4 = moe.lookup %c at %e0 : !moe.weight<1x32xf32>, !experts -> !h
  %5 = arith.addf %3, %4 : !h
  %6 = moe.grouped_matmul ins(%x : !x) weights(%v : !moe.weight<64x32xf32>) outs(%ih : !h) -> !h
  %7 = moe.grouped_matmul ins(%y : !x) weights(%v : !moe.weight<64x32xf32>) outs(%ih : !h) -> !h
  %8 = moe.activate <silu> %6 gated by %7 : !h
  %9 = moe.grouped_matmul ins(%y : !x) weights(%v : !moe.weight<64x32xf32>) outs(%ih : !h) -> !h
  %10 = moe.activate <silu> %9 gated by %9 : !h
  return %2, %5, %8, %10 : !h, !h, !h, !h
}

// What adds to its destination is left alone.
// CHECK-LABEL: func.func @accumulate
// CHECK: moe.activate
// CHECK: arith.addf
func.func @accumulate(%x: !x, %a: !h, %i: !rows, %w: !moe.weight<64x32xf32>, %ih: !h) -> (!h, !h) {
  %0 = moe.grouped_matmul accumulate ins(%x : !x) weights(%w : !moe.weight<64x32xf32>) outs(%ih : !h) -> !h
  %1 = moe.activate <relu2> %0 : !h
  %2 = moe.scatter_combine accumulate ins(%a, %i : !h, !rows) outs(%ih : !h) -> !h
  %3 = moe.scatter_combine ins(%a, %i : !h, !rows) outs(%ih : !h) -> !h
  %4 = arith.addf %2, %3 : !h
  return %1, %4 : !h, !h
}
