// RUN: moe-opt %s --moe-fuse-combine --split-input-file --verify-diagnostics --remarks-filter='.*' | FileCheck %s

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
!s = !moe.weight<32x4xf32, expert[8]>

// Product, weighted sum and the second product become one; 4 pairs of 32 numbers.
// CHECK-LABEL: func.func @layer
// CHECK: %[[G:.+]]:5 = moe.group
// CHECK: %[[X:.+]] = moe.gather
// CHECK: %[[Y:.+]]:2 = moe.grouped_up ins(%[[X]] {{.*}} weights(%{{.+}}, %{{.+}} : {{.*}} groups(%[[G]]#1 {{.*}} pair_rows(%[[G]]#2 {{.*}} pair_experts(%[[G]]#3 {{.*}} residual({{.*}} weighted(%[[G]]#4 {{.*}} act <silu> shrink(
// CHECK-NOT: moe.grouped_matmul
// CHECK-NOT: moe.scatter_combine
// CHECK: return %[[Y]]#0, %[[Y]]#1
func.func @layer(%c: tensor<?x2x!moe.id<cluster[2]>>, %slot: tensor<?x4xi32>, %ids: tensor<?x4x!moe.id<expert[8]>>, %p: tensor<?x4xf32>,
    %r: !rows, %o: !offsets, %q: !rows, %ex: !experts, %l: !list, %tokens: !x, %w: !base, %a: !a, %b: !b, %s: !s) -> (!h, !low) {
  %g:5 = moe.group ins(%c, %ids, %p : tensor<?x2x!moe.id<cluster[2]>>, tensor<?x4x!moe.id<expert[8]>>, tensor<?x4xf32>) slots(%slot : tensor<?x4xi32>)
    outs(%r, %o, %q, %ex, %l : !rows, !offsets, !rows, !experts, !list) -> !rows, !offsets, !rows, !experts, !list
  %c0 = arith.constant 0 : index
  %nr = tensor.dim %g#0, %c0 : !rows
  %np = tensor.dim %g#2, %c0 : !rows
  %ix = tensor.empty(%nr) : !x
  %x = moe.gather ins(%tokens, %g#0 : !x, !rows) outs(%ix : !x) -> !x
  %ih = tensor.empty(%np) : !h
  // expected-remark @below {{hidden activations summed in the up product, with the down residual's first factor: 512 bytes per token not stored}}
  %h = moe.grouped_matmul ins(%x : !x) weights(%w, %w : !base, !base) groups(%g#1 : !offsets) pair_rows(%g#2 : !rows) pair_experts(%g#3 : !experts)
    residual(%a, %b, %a, %b : !a, !b, !a, !b) act <silu> outs(%ih : !h) -> !h
  %is = tensor.empty(%nr) : !h
  %sum = moe.scatter_combine ins(%h, %g#2 : !h, !rows) weighted(%g#4 : !list) outs(%is : !h) -> !h
  %il = tensor.empty(%np) : !low
  %v = moe.grouped_matmul ins(%h : !h) weights(%s : !s) entries(%g#3 : !experts) outs(%il : !low) -> !low
  return %sum, %v : !h, !low
}

// The order of what reads the activations is free: destinations are made in time.
// CHECK-LABEL: func.func @shrink_first
// CHECK: tensor.empty
// CHECK: %[[Y:.+]]:2 = moe.grouped_up
// CHECK: %[[USED:.+]] = arith.negf %[[Y]]#1
// CHECK: return %[[Y]]#0, %[[USED]]
func.func @shrink_first(%c: tensor<?x2x!moe.id<cluster[2]>>, %slot: tensor<?x4xi32>, %ids: tensor<?x4x!moe.id<expert[8]>>, %p: tensor<?x4xf32>,
    %r: !rows, %o: !offsets, %q: !rows, %ex: !experts, %l: !list, %tokens: !x, %w: !base, %a: !a, %b: !b, %s: !s) -> (!h, !low) {
  %g:5 = moe.group ins(%c, %ids, %p : tensor<?x2x!moe.id<cluster[2]>>, tensor<?x4x!moe.id<expert[8]>>, tensor<?x4xf32>) slots(%slot : tensor<?x4xi32>)
    outs(%r, %o, %q, %ex, %l : !rows, !offsets, !rows, !experts, !list) -> !rows, !offsets, !rows, !experts, !list
  %c0 = arith.constant 0 : index
  %nr = tensor.dim %g#0, %c0 : !rows
  %np = tensor.dim %g#2, %c0 : !rows
  %ix = tensor.empty(%nr) : !x
  %x = moe.gather ins(%tokens, %g#0 : !x, !rows) outs(%ix : !x) -> !x
  %ih = tensor.empty(%np) : !h
  // expected-remark @below {{hidden activations summed in the up product, with the down residual's first factor: 512 bytes per token not stored}}
  %h = moe.grouped_matmul ins(%x : !x) weights(%w, %w : !base, !base) groups(%g#1 : !offsets) pair_rows(%g#2 : !rows) pair_experts(%g#3 : !experts)
    residual(%a, %b, %a, %b : !a, !b, !a, !b) act <silu> outs(%ih : !h) -> !h
  %il = tensor.empty(%np) : !low
  %v = moe.grouped_matmul ins(%h : !h) weights(%s : !s) entries(%g#3 : !experts) outs(%il : !low) -> !low
  %used = arith.negf %v : !low
  %is = tensor.empty(%nr) : !h
  %sum = moe.scatter_combine ins(%h, %g#2 : !h, !rows) weighted(%g#4 : !list) outs(%is : !h) -> !h
  return %sum, %used : !h, !low
}

// Without a second product.
// CHECK-LABEL: func.func @no_residual
// CHECK: %[[Y:.+]] = moe.grouped_up {{.*}} act <silu> outs(
// CHECK: return %[[Y]]
func.func @no_residual(%c: tensor<?x2x!moe.id<cluster[2]>>, %slot: tensor<?x4xi32>, %ids: tensor<?x4x!moe.id<expert[8]>>, %p: tensor<?x4xf32>,
    %r: !rows, %o: !offsets, %q: !rows, %ex: !experts, %l: !list, %tokens: !x, %w: !base, %a: !a, %b: !b, %s: !s) -> !h {
  %g:5 = moe.group ins(%c, %ids, %p : tensor<?x2x!moe.id<cluster[2]>>, tensor<?x4x!moe.id<expert[8]>>, tensor<?x4xf32>) slots(%slot : tensor<?x4xi32>)
    outs(%r, %o, %q, %ex, %l : !rows, !offsets, !rows, !experts, !list) -> !rows, !offsets, !rows, !experts, !list
  %c0 = arith.constant 0 : index
  %nr = tensor.dim %g#0, %c0 : !rows
  %np = tensor.dim %g#2, %c0 : !rows
  %ix = tensor.empty(%nr) : !x
  %x = moe.gather ins(%tokens, %g#0 : !x, !rows) outs(%ix : !x) -> !x
  %ih = tensor.empty(%np) : !h
  // expected-remark @below {{hidden activations summed in the up product: 512 bytes per token not stored}}
  %h = moe.grouped_matmul ins(%x : !x) weights(%w, %w : !base, !base) groups(%g#1 : !offsets) pair_rows(%g#2 : !rows) pair_experts(%g#3 : !experts)
    residual(%a, %b, %a, %b : !a, !b, !a, !b) act <silu> outs(%ih : !h) -> !h
  %is = tensor.empty(%nr) : !h
  %sum = moe.scatter_combine ins(%h, %g#2 : !h, !rows) weighted(%g#4 : !list) outs(%is : !h) -> !h
  return %sum : !h
}

// Something else reads the activations.
// CHECK-LABEL: func.func @other_use
// CHECK: moe.grouped_matmul
// CHECK: moe.scatter_combine
// CHECK-NOT: moe.grouped_up
// CHECK: return
func.func @other_use(%c: tensor<?x2x!moe.id<cluster[2]>>, %slot: tensor<?x4xi32>, %ids: tensor<?x4x!moe.id<expert[8]>>, %p: tensor<?x4xf32>,
    %r: !rows, %o: !offsets, %q: !rows, %ex: !experts, %l: !list, %tokens: !x, %w: !base, %a: !a, %b: !b, %s: !s) -> (!h, !h) {
  %g:5 = moe.group ins(%c, %ids, %p : tensor<?x2x!moe.id<cluster[2]>>, tensor<?x4x!moe.id<expert[8]>>, tensor<?x4xf32>) slots(%slot : tensor<?x4xi32>)
    outs(%r, %o, %q, %ex, %l : !rows, !offsets, !rows, !experts, !list) -> !rows, !offsets, !rows, !experts, !list
  %c0 = arith.constant 0 : index
  %nr = tensor.dim %g#0, %c0 : !rows
  %np = tensor.dim %g#2, %c0 : !rows
  %ix = tensor.empty(%nr) : !x
  %x = moe.gather ins(%tokens, %g#0 : !x, !rows) outs(%ix : !x) -> !x
  %ih = tensor.empty(%np) : !h
  // expected-remark @below {{hidden activations are stored: they have another use}}
  %h = moe.grouped_matmul ins(%x : !x) weights(%w, %w : !base, !base) groups(%g#1 : !offsets) pair_rows(%g#2 : !rows) pair_experts(%g#3 : !experts)
    residual(%a, %b, %a, %b : !a, !b, !a, !b) act <silu> outs(%ih : !h) -> !h
  %is = tensor.empty(%nr) : !h
  %sum = moe.scatter_combine ins(%h, %g#2 : !h, !rows) weighted(%g#4 : !list) outs(%is : !h) -> !h
  return %sum, %h : !h, !h
}

// Two products read them.
// CHECK-LABEL: func.func @two_products
// CHECK-NOT: moe.grouped_up
// CHECK: return
func.func @two_products(%c: tensor<?x2x!moe.id<cluster[2]>>, %slot: tensor<?x4xi32>, %ids: tensor<?x4x!moe.id<expert[8]>>, %p: tensor<?x4xf32>,
    %r: !rows, %o: !offsets, %q: !rows, %ex: !experts, %l: !list, %tokens: !x, %w: !base, %a: !a, %b: !b, %s: !s) -> (!h, !low) {
  %g:5 = moe.group ins(%c, %ids, %p : tensor<?x2x!moe.id<cluster[2]>>, tensor<?x4x!moe.id<expert[8]>>, tensor<?x4xf32>) slots(%slot : tensor<?x4xi32>)
    outs(%r, %o, %q, %ex, %l : !rows, !offsets, !rows, !experts, !list) -> !rows, !offsets, !rows, !experts, !list
  %c0 = arith.constant 0 : index
  %nr = tensor.dim %g#0, %c0 : !rows
  %np = tensor.dim %g#2, %c0 : !rows
  %ix = tensor.empty(%nr) : !x
  %x = moe.gather ins(%tokens, %g#0 : !x, !rows) outs(%ix : !x) -> !x
  %ih = tensor.empty(%np) : !h
  // expected-remark @below {{hidden activations are stored: they have another use}}
  %h = moe.grouped_matmul ins(%x : !x) weights(%w, %w : !base, !base) groups(%g#1 : !offsets) pair_rows(%g#2 : !rows) pair_experts(%g#3 : !experts)
    residual(%a, %b, %a, %b : !a, !b, !a, !b) act <silu> outs(%ih : !h) -> !h
  %is = tensor.empty(%nr) : !h
  %sum = moe.scatter_combine ins(%h, %g#2 : !h, !rows) weighted(%g#4 : !list) outs(%is : !h) -> !h
  %il = tensor.empty(%np) : !low
  %v = moe.grouped_matmul ins(%h : !h) weights(%s : !s) entries(%g#3 : !experts) outs(%il : !low) -> !low
  %v2 = moe.grouped_matmul ins(%h : !h) weights(%s : !s) entries(%g#3 : !experts) outs(%v : !low) -> !low
  return %sum, %v2 : !h, !low
}

// The second product follows rows, not pairs.
// CHECK-LABEL: func.func @by_row
// CHECK-NOT: moe.grouped_up
// CHECK: return
func.func @by_row(%c: tensor<?x2x!moe.id<cluster[2]>>, %slot: tensor<?x4xi32>, %ids: tensor<?x4x!moe.id<expert[8]>>, %p: tensor<?x4xf32>,
    %r: !rows, %o: !offsets, %q: !rows, %ex: !experts, %l: !list, %tokens: !x, %w: !base, %a: !a, %b: !b, %s: !s) -> (!h, !low) {
  %g:5 = moe.group ins(%c, %ids, %p : tensor<?x2x!moe.id<cluster[2]>>, tensor<?x4x!moe.id<expert[8]>>, tensor<?x4xf32>) slots(%slot : tensor<?x4xi32>)
    outs(%r, %o, %q, %ex, %l : !rows, !offsets, !rows, !experts, !list) -> !rows, !offsets, !rows, !experts, !list
  %c0 = arith.constant 0 : index
  %nr = tensor.dim %g#0, %c0 : !rows
  %np = tensor.dim %g#2, %c0 : !rows
  %ix = tensor.empty(%nr) : !x
  %x = moe.gather ins(%tokens, %g#0 : !x, !rows) outs(%ix : !x) -> !x
  %ih = tensor.empty(%np) : !h
  // expected-remark @below {{hidden activations are stored: they have another use}}
  %h = moe.grouped_matmul ins(%x : !x) weights(%w, %w : !base, !base) groups(%g#1 : !offsets) pair_rows(%g#2 : !rows) pair_experts(%g#3 : !experts)
    residual(%a, %b, %a, %b : !a, !b, !a, !b) act <silu> outs(%ih : !h) -> !h
  %is = tensor.empty(%nr) : !h
  %sum = moe.scatter_combine ins(%h, %g#2 : !h, !rows) weighted(%g#4 : !list) outs(%is : !h) -> !h
  %il = tensor.empty(%np) : !low
  %v = moe.grouped_matmul ins(%h : !h) weights(%s : !s) entries(%ex : !experts) outs(%il : !low) -> !low
  return %sum, %v : !h, !low
}

// Nothing sums them.
// CHECK-LABEL: func.func @no_sum
// CHECK-NOT: moe.grouped_up
// CHECK: return
func.func @no_sum(%c: tensor<?x2x!moe.id<cluster[2]>>, %slot: tensor<?x4xi32>, %ids: tensor<?x4x!moe.id<expert[8]>>, %p: tensor<?x4xf32>,
    %r: !rows, %o: !offsets, %q: !rows, %ex: !experts, %l: !list, %tokens: !x, %w: !base, %a: !a, %b: !b, %s: !s) -> !low {
  %g:5 = moe.group ins(%c, %ids, %p : tensor<?x2x!moe.id<cluster[2]>>, tensor<?x4x!moe.id<expert[8]>>, tensor<?x4xf32>) slots(%slot : tensor<?x4xi32>)
    outs(%r, %o, %q, %ex, %l : !rows, !offsets, !rows, !experts, !list) -> !rows, !offsets, !rows, !experts, !list
  %c0 = arith.constant 0 : index
  %nr = tensor.dim %g#0, %c0 : !rows
  %np = tensor.dim %g#2, %c0 : !rows
  %ix = tensor.empty(%nr) : !x
  %x = moe.gather ins(%tokens, %g#0 : !x, !rows) outs(%ix : !x) -> !x
  %ih = tensor.empty(%np) : !h
  // expected-remark @below {{hidden activations are stored: nothing sums them}}
  %h = moe.grouped_matmul ins(%x : !x) weights(%w, %w : !base, !base) groups(%g#1 : !offsets) pair_rows(%g#2 : !rows) pair_experts(%g#3 : !experts)
    residual(%a, %b, %a, %b : !a, !b, !a, !b) act <silu> outs(%ih : !h) -> !h
  %il = tensor.empty(%np) : !low
  %v = moe.grouped_matmul ins(%h : !h) weights(%s : !s) entries(%g#3 : !experts) outs(%il : !low) -> !low
  return %v : !low
}

// They are summed by something else than their rows.
// CHECK-LABEL: func.func @other_index
// CHECK-NOT: moe.grouped_up
// CHECK: return
func.func @other_index(%c: tensor<?x2x!moe.id<cluster[2]>>, %slot: tensor<?x4xi32>, %ids: tensor<?x4x!moe.id<expert[8]>>, %p: tensor<?x4xf32>,
    %r: !rows, %o: !offsets, %q: !rows, %ex: !experts, %l: !list, %tokens: !x, %w: !base, %a: !a, %b: !b, %s: !s) -> !h {
  %g:5 = moe.group ins(%c, %ids, %p : tensor<?x2x!moe.id<cluster[2]>>, tensor<?x4x!moe.id<expert[8]>>, tensor<?x4xf32>) slots(%slot : tensor<?x4xi32>)
    outs(%r, %o, %q, %ex, %l : !rows, !offsets, !rows, !experts, !list) -> !rows, !offsets, !rows, !experts, !list
  %c0 = arith.constant 0 : index
  %nr = tensor.dim %g#0, %c0 : !rows
  %np = tensor.dim %g#2, %c0 : !rows
  %ix = tensor.empty(%nr) : !x
  %x = moe.gather ins(%tokens, %g#0 : !x, !rows) outs(%ix : !x) -> !x
  %ih = tensor.empty(%np) : !h
  // expected-remark @below {{hidden activations are stored: they are not summed by the pairs' rows}}
  %h = moe.grouped_matmul ins(%x : !x) weights(%w, %w : !base, !base) groups(%g#1 : !offsets) pair_rows(%g#2 : !rows) pair_experts(%g#3 : !experts)
    residual(%a, %b, %a, %b : !a, !b, !a, !b) act <silu> outs(%ih : !h) -> !h
  %is = tensor.empty(%nr) : !h
  %sum = moe.scatter_combine ins(%h, %q : !h, !rows) weighted(%g#4 : !list) outs(%is : !h) -> !h
  return %sum : !h
}

// They are added to something.
// CHECK-LABEL: func.func @accumulated_sum
// CHECK-NOT: moe.grouped_up
// CHECK: return
func.func @accumulated_sum(%c: tensor<?x2x!moe.id<cluster[2]>>, %slot: tensor<?x4xi32>, %ids: tensor<?x4x!moe.id<expert[8]>>, %p: tensor<?x4xf32>,
    %r: !rows, %o: !offsets, %q: !rows, %ex: !experts, %l: !list, %tokens: !x, %w: !base, %a: !a, %b: !b, %s: !s) -> !h {
  %g:5 = moe.group ins(%c, %ids, %p : tensor<?x2x!moe.id<cluster[2]>>, tensor<?x4x!moe.id<expert[8]>>, tensor<?x4xf32>) slots(%slot : tensor<?x4xi32>)
    outs(%r, %o, %q, %ex, %l : !rows, !offsets, !rows, !experts, !list) -> !rows, !offsets, !rows, !experts, !list
  %c0 = arith.constant 0 : index
  %nr = tensor.dim %g#0, %c0 : !rows
  %np = tensor.dim %g#2, %c0 : !rows
  %ix = tensor.empty(%nr) : !x
  %x = moe.gather ins(%tokens, %g#0 : !x, !rows) outs(%ix : !x) -> !x
  %ih = tensor.empty(%np) : !h
  // expected-remark @below {{hidden activations are stored: they are not summed by the pairs' rows}}
  %h = moe.grouped_matmul ins(%x : !x) weights(%w, %w : !base, !base) groups(%g#1 : !offsets) pair_rows(%g#2 : !rows) pair_experts(%g#3 : !experts)
    residual(%a, %b, %a, %b : !a, !b, !a, !b) act <silu> outs(%ih : !h) -> !h
  %is = tensor.empty(%nr) : !h
  %sum = moe.scatter_combine accumulate ins(%h, %g#2 : !h, !rows) weighted(%g#4 : !list) outs(%is : !h) -> !h
  return %sum : !h
}

// They are summed without gate weights: those were on the input.
// CHECK-LABEL: func.func @unweighted
// CHECK-NOT: moe.grouped_up
// CHECK: return
func.func @unweighted(%c: tensor<?x2x!moe.id<cluster[2]>>, %slot: tensor<?x4xi32>, %ids: tensor<?x4x!moe.id<expert[8]>>, %p: tensor<?x4xf32>,
    %r: !rows, %o: !offsets, %q: !rows, %ex: !experts, %l: !list, %tokens: !x, %w: !base, %a: !a, %b: !b, %s: !s) -> !h {
  %g:5 = moe.group ins(%c, %ids, %p : tensor<?x2x!moe.id<cluster[2]>>, tensor<?x4x!moe.id<expert[8]>>, tensor<?x4xf32>) slots(%slot : tensor<?x4xi32>)
    outs(%r, %o, %q, %ex, %l : !rows, !offsets, !rows, !experts, !list) -> !rows, !offsets, !rows, !experts, !list
  %c0 = arith.constant 0 : index
  %nr = tensor.dim %g#0, %c0 : !rows
  %np = tensor.dim %g#2, %c0 : !rows
  %ix = tensor.empty(%nr) : !x
  %x = moe.gather ins(%tokens, %g#0 : !x, !rows) outs(%ix : !x) -> !x
  %ih = tensor.empty(%np) : !h
  // expected-remark @below {{hidden activations are stored: they are summed without gate weights}}
  %h = moe.grouped_matmul ins(%x : !x) weights(%w, %w : !base, !base) groups(%g#1 : !offsets) pair_rows(%g#2 : !rows) pair_experts(%g#3 : !experts)
    residual(%a, %b, %a, %b : !a, !b, !a, !b) act <silu> outs(%ih : !h) -> !h
  %is = tensor.empty(%nr) : !h
  %sum = moe.scatter_combine ins(%h, %g#2 : !h, !rows) outs(%is : !h) -> !h
  return %sum : !h
}

// The product is added to its destination.
// CHECK-LABEL: func.func @accumulated
// CHECK-NOT: moe.grouped_up
// CHECK: return
func.func @accumulated(%c: tensor<?x2x!moe.id<cluster[2]>>, %slot: tensor<?x4xi32>, %ids: tensor<?x4x!moe.id<expert[8]>>, %p: tensor<?x4xf32>,
    %r: !rows, %o: !offsets, %q: !rows, %ex: !experts, %l: !list, %tokens: !x, %w: !base, %a: !a, %b: !b, %s: !s) -> !h {
  %g:5 = moe.group ins(%c, %ids, %p : tensor<?x2x!moe.id<cluster[2]>>, tensor<?x4x!moe.id<expert[8]>>, tensor<?x4xf32>) slots(%slot : tensor<?x4xi32>)
    outs(%r, %o, %q, %ex, %l : !rows, !offsets, !rows, !experts, !list) -> !rows, !offsets, !rows, !experts, !list
  %c0 = arith.constant 0 : index
  %nr = tensor.dim %g#0, %c0 : !rows
  %np = tensor.dim %g#2, %c0 : !rows
  %ix = tensor.empty(%nr) : !x
  %x = moe.gather ins(%tokens, %g#0 : !x, !rows) outs(%ix : !x) -> !x
  %ih = tensor.empty(%np) : !h
  // expected-remark @below {{hidden activations are stored: they are added to what was there}}
  %h = moe.grouped_matmul accumulate ins(%x : !x) weights(%w, %w : !base, !base) groups(%g#1 : !offsets) pair_rows(%g#2 : !rows) pair_experts(%g#3 : !experts)
    residual(%a, %b, %a, %b : !a, !b, !a, !b) act <silu> outs(%ih : !h) -> !h
  %is = tensor.empty(%nr) : !h
  %sum = moe.scatter_combine ins(%h, %g#2 : !h, !rows) weighted(%g#4 : !list) outs(%is : !h) -> !h
  return %sum : !h
}

// Rows pick their matrix by entries.
// CHECK-LABEL: func.func @entries
// CHECK-NOT: moe.grouped_up
// CHECK: return
func.func @entries(%c: tensor<?x2x!moe.id<cluster[2]>>, %slot: tensor<?x4xi32>, %ids: tensor<?x4x!moe.id<expert[8]>>, %p: tensor<?x4xf32>,
    %r: !rows, %o: !offsets, %q: !rows, %ex: !experts, %l: !list, %tokens: !x, %w: !base, %a: !a, %b: !b, %s: !s) -> !h {
  %g:5 = moe.group ins(%c, %ids, %p : tensor<?x2x!moe.id<cluster[2]>>, tensor<?x4x!moe.id<expert[8]>>, tensor<?x4xf32>) slots(%slot : tensor<?x4xi32>)
    outs(%r, %o, %q, %ex, %l : !rows, !offsets, !rows, !experts, !list) -> !rows, !offsets, !rows, !experts, !list
  %c0 = arith.constant 0 : index
  %nr = tensor.dim %g#0, %c0 : !rows
  %np = tensor.dim %g#2, %c0 : !rows
  %ix = tensor.empty(%nr) : !x
  %x = moe.gather ins(%tokens, %g#0 : !x, !rows) outs(%ix : !x) -> !x
  %ih = tensor.empty(%np) : !h
  %clusters = tensor.empty(%nr) : tensor<?x!moe.id<cluster[2]>>
  // expected-remark @below {{hidden activations are stored: rows pick their matrix by entries}}
  %h = moe.grouped_matmul ins(%x : !x) weights(%w, %w : !base, !base) entries(%clusters : tensor<?x!moe.id<cluster[2]>>) pair_rows(%g#2 : !rows) pair_experts(%g#3 : !experts)
    residual(%a, %b, %a, %b : !a, !b, !a, !b) act <silu> outs(%ih : !h) -> !h
  %is = tensor.empty(%nr) : !h
  %sum = moe.scatter_combine ins(%h, %g#2 : !h, !rows) weighted(%g#4 : !list) outs(%is : !h) -> !h
  return %sum : !h
}

// They are summed in a branch.
// CHECK-LABEL: func.func @another_block
// CHECK-NOT: moe.grouped_up
// CHECK: return
func.func @another_block(%c: tensor<?x2x!moe.id<cluster[2]>>, %slot: tensor<?x4xi32>, %ids: tensor<?x4x!moe.id<expert[8]>>, %p: tensor<?x4xf32>,
    %r: !rows, %o: !offsets, %q: !rows, %ex: !experts, %l: !list, %tokens: !x, %w: !base, %a: !a, %b: !b, %s: !s) -> !h {
  %g:5 = moe.group ins(%c, %ids, %p : tensor<?x2x!moe.id<cluster[2]>>, tensor<?x4x!moe.id<expert[8]>>, tensor<?x4xf32>) slots(%slot : tensor<?x4xi32>)
    outs(%r, %o, %q, %ex, %l : !rows, !offsets, !rows, !experts, !list) -> !rows, !offsets, !rows, !experts, !list
  %c0 = arith.constant 0 : index
  %nr = tensor.dim %g#0, %c0 : !rows
  %np = tensor.dim %g#2, %c0 : !rows
  %ix = tensor.empty(%nr) : !x
  %x = moe.gather ins(%tokens, %g#0 : !x, !rows) outs(%ix : !x) -> !x
  %ih = tensor.empty(%np) : !h
  // expected-remark @below {{hidden activations are stored: they are used in another block}}
  %h = moe.grouped_matmul ins(%x : !x) weights(%w, %w : !base, !base) groups(%g#1 : !offsets) pair_rows(%g#2 : !rows) pair_experts(%g#3 : !experts)
    residual(%a, %b, %a, %b : !a, !b, !a, !b) act <silu> outs(%ih : !h) -> !h
  %is = tensor.empty(%nr) : !h
  %zero = arith.cmpi eq, %nr, %c0 : index
  %sum = scf.if %zero -> !h {
    scf.yield %is : !h
  } else {
    %inner = moe.scatter_combine ins(%h, %g#2 : !h, !rows) weighted(%g#4 : !list) outs(%is : !h) -> !h
    scf.yield %inner : !h
  }
  return %sum : !h
}

// The gate weights come from what the second product made.
// CHECK-LABEL: func.func @late_weights
// CHECK-NOT: moe.grouped_up
// CHECK: return
func.func @late_weights(%c: tensor<?x2x!moe.id<cluster[2]>>, %slot: tensor<?x4xi32>, %ids: tensor<?x4x!moe.id<expert[8]>>, %p: tensor<?x4xf32>,
    %r: !rows, %o: !offsets, %q: !rows, %ex: !experts, %l: !list, %tokens: !x, %w: !base, %a: !a, %b: !b, %s: !s) -> !h {
  %g:5 = moe.group ins(%c, %ids, %p : tensor<?x2x!moe.id<cluster[2]>>, tensor<?x4x!moe.id<expert[8]>>, tensor<?x4xf32>) slots(%slot : tensor<?x4xi32>)
    outs(%r, %o, %q, %ex, %l : !rows, !offsets, !rows, !experts, !list) -> !rows, !offsets, !rows, !experts, !list
  %c0 = arith.constant 0 : index
  %nr = tensor.dim %g#0, %c0 : !rows
  %np = tensor.dim %g#2, %c0 : !rows
  %ix = tensor.empty(%nr) : !x
  %x = moe.gather ins(%tokens, %g#0 : !x, !rows) outs(%ix : !x) -> !x
  %ih = tensor.empty(%np) : !h
  // expected-remark @below {{hidden activations are stored: gate weights or destinations come after their first use}}
  %h = moe.grouped_matmul ins(%x : !x) weights(%w, %w : !base, !base) groups(%g#1 : !offsets) pair_rows(%g#2 : !rows) pair_experts(%g#3 : !experts)
    residual(%a, %b, %a, %b : !a, !b, !a, !b) act <silu> outs(%ih : !h) -> !h
  %is = tensor.empty(%nr) : !h
  %il = tensor.empty(%np) : !low
  %v = moe.grouped_matmul ins(%h : !h) weights(%s : !s) entries(%g#3 : !experts) outs(%il : !low) -> !low
  %late = tensor.extract_slice %v[0, 0] [%np, 1] [1, 1] : !low to !list
  %sum = moe.scatter_combine ins(%h, %g#2 : !h, !rows) weighted(%late : !list) outs(%is : !h) -> !h
  return %sum : !h
}

// Products of rows, and those without an activation, are none of this pass's business.
// CHECK-LABEL: func.func @rows
// CHECK-NOT: moe.grouped_up
// CHECK: return
func.func @rows(%x: !x, %row: !rows, %e: !experts, %p: !list, %w: !moe.weight<64x32xf32>, %h: !h) -> (!h, !h) {
  %0 = moe.grouped_matmul ins(%x : !x) weights(%w : !moe.weight<64x32xf32>) act <silu> outs(%h : !h) -> !h
  %1 = moe.scatter_combine ins(%0, %row : !h, !rows) weighted(%p : !list) outs(%h : !h) -> !h
  %2 = moe.grouped_matmul ins(%x : !x) weights(%w : !moe.weight<64x32xf32>) pair_rows(%row : !rows) pair_experts(%e : !experts) outs(%h : !h) -> !h
  %3 = moe.scatter_combine ins(%2, %row : !h, !rows) weighted(%p : !list) outs(%h : !h) -> !h
  return %1, %3 : !h, !h
}

// D2-MoE: no clusters, and groups are experts where each choice is a row of its own; a shrink for all; pairs of unknown number.
// CHECK-LABEL: func.func @no_clusters
// CHECK: moe.grouped_up {{.*}} shrink(%{{.+}} : !moe.weight<32x4xf32, expert[8]>)
// CHECK: return
func.func @no_clusters(%x: !x, %ids: tensor<?x4x!moe.id<expert[8]>>, %p: tensor<?x4xf32>, %r: !rows, %o: tensor<9xi32>, %q: !rows, %ex: !experts, %l: !list,
    %w: !moe.weight<64x32xf32>, %s: !s) -> (!h, !low) {
  %g:5 = moe.group ins(%ids, %ids, %p : tensor<?x4x!moe.id<expert[8]>>, tensor<?x4x!moe.id<expert[8]>>, tensor<?x4xf32>)
    outs(%r, %o, %q, %ex, %l : !rows, tensor<9xi32>, !rows, !experts, !list) -> !rows, tensor<9xi32>, !rows, !experts, !list
  %c0 = arith.constant 0 : index
  %nt = tensor.dim %x, %c0 : !x
  %np = tensor.dim %g#0, %c0 : !rows
  %ih = tensor.empty(%np) : !h
  // expected-remark @below {{512 bytes per token not stored}}
  %h = moe.grouped_matmul ins(%x : !x) weights(%w : !moe.weight<64x32xf32>) pair_rows(%g#0 : !rows) pair_experts(%g#3 : !experts) act <silu> outs(%ih : !h) -> !h
  %is = tensor.empty(%nt) : !h
  %sum = moe.scatter_combine ins(%h, %g#0 : !h, !rows) weighted(%g#4 : !list) outs(%is : !h) -> !h
  %il = tensor.empty(%np) : !low
  %v = moe.grouped_matmul ins(%h : !h) weights(%s : !s) groups(%g#1 : tensor<9xi32>) outs(%il : !low) -> !low
  return %sum, %v : !h, !low
}

// CHECK-LABEL: func.func @lists
// CHECK: moe.grouped_up {{.*}} shrink(%{{.+}} : !moe.weight<32x4xf16>)
// CHECK: return
func.func @lists(%x: tensor<4x64xf16>, %row: tensor<8xi32>, %e: tensor<8x!moe.id<expert[8]>>, %p: tensor<8xf16>, %w: !moe.weight<64x32xf16>, %s: !moe.weight<32x4xf16>)
    -> (tensor<4x32xf16>, tensor<8x4xf16>) {
  %ih = tensor.empty() : tensor<8x32xf16>
  // expected-remark @below {{64 bytes per pair not stored}}
  %h = moe.grouped_matmul ins(%x : tensor<4x64xf16>) weights(%w : !moe.weight<64x32xf16>) pair_rows(%row : tensor<8xi32>) pair_experts(%e : tensor<8x!moe.id<expert[8]>>)
    act <silu> outs(%ih : tensor<8x32xf16>) -> tensor<8x32xf16>
  %is = tensor.empty() : tensor<4x32xf16>
  %sum = moe.scatter_combine ins(%h, %row : tensor<8x32xf16>, tensor<8xi32>) weighted(%p : tensor<8xf16>) outs(%is : tensor<4x32xf16>) -> tensor<4x32xf16>
  %il = tensor.empty() : tensor<8x4xf16>
  %v = moe.grouped_matmul ins(%h : tensor<8x32xf16>) weights(%s : !moe.weight<32x4xf16>) outs(%il : tensor<8x4xf16>) -> tensor<8x4xf16>
  return %sum, %v : tensor<4x32xf16>, tensor<8x4xf16>
}
