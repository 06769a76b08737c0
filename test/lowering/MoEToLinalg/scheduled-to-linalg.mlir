// Scheduled form on tensors. Destinations only say how large results are, unless the op adds to them; whatever number
// an index, an id or an offset is, nothing is read or written outside.
// RUN: moe-opt %s --convert-moe-to-linalg --canonicalize --cse | FileCheck %s --implicit-check-not="moe."

!list = tensor<?xi32>
!experts = tensor<?x!moe.id<expert[4]>>
!w = !moe.weight<16x6xf32, cluster[3]>
!a = !moe.weight<16x2xf32, expert[4]>
!b = !moe.weight<2x6xf32, expert[4]>

// Rows by cluster, token, place; the pairs of a row by slot. Past the end stand -1, -1 and 0.
// CHECK-LABEL: func.func @group
// CHECK-SAME: (%[[C:.*]]: tensor<?x1xi32>, %[[IDS:.*]]: tensor<?x2xi32>, %[[P:.*]]: tensor<?x2xf32>, %[[SLOT:.*]]: tensor<?x2xi32>
// CHECK: linalg.fill ins(%c-1_i32
// CHECK: linalg.fill ins(%c0_i32 {{.*}} -> tensor<4xi32>
// CHECK: linalg.fill ins(%c-1_i32
// CHECK: linalg.fill ins(%cst : f32)
// CHECK: scf.for %[[G:.*]] = %c0 to %c3
// CHECK: scf.for %[[T:.*]] = %c0 to %{{.*}}
// CHECK: %[[CLUSTER:.*]] = tensor.extract %[[C]][%[[T]],
// CHECK: %[[MINE:.*]] = arith.cmpi eq, %[[CLUSTER]],
// CHECK: tensor.insert
// CHECK: scf.for %[[J:.*]] = %c0 to
// CHECK-DAG: %[[ID:.*]] = tensor.extract %[[IDS]][%[[T]], %[[J]]]
// CHECK-DAG: %[[PLACE:.*]] = tensor.extract %[[SLOT]][%[[T]], %[[J]]]
// CHECK-DAG: %[[HERE:.*]] = arith.cmpi eq, %[[PLACE]],
// CHECK-DAG: %[[KNOWN:.*]] = arith.cmpi ult, %[[ID]], %c4_i32
// CHECK: arith.andi %[[HERE]], %[[KNOWN]]
// CHECK: tensor.extract %[[P]][%[[T]], %[[J]]]
// CHECK-COUNT-3: tensor.insert
// CHECK: %[[NEXT:.*]] = arith.addi %[[G]], %c1
// CHECK: tensor.insert %{{.*}} into %{{.*}}[%[[NEXT]]] : tensor<4xi32>
func.func @group(%c: tensor<?x1x!moe.id<cluster[3]>>, %ids: tensor<?x2x!moe.id<expert[4]>>, %p: tensor<?x2xf32>, %slot: tensor<?x2xi32>,
    %rt: !list, %ro: tensor<4xi32>, %pr: !list, %pe: !experts, %pw: tensor<?xf32>) -> (!list, tensor<4xi32>, !list, !experts, tensor<?xf32>) {
  %0:5 = moe.group ins(%c, %ids, %p : tensor<?x1x!moe.id<cluster[3]>>, tensor<?x2x!moe.id<expert[4]>>, tensor<?x2xf32>) slots(%slot : tensor<?x2xi32>)
    outs(%rt, %ro, %pr, %pe, %pw : !list, tensor<4xi32>, !list, !experts, tensor<?xf32>) -> !list, tensor<4xi32>, !list, !experts, tensor<?xf32>
  return %0#0, %0#1, %0#2, %0#3, %0#4 : !list, tensor<4xi32>, !list, !experts, tensor<?xf32>
}

// Without slots choice j belongs to row j.
// CHECK-LABEL: func.func @group_choices
// CHECK: scf.for %{{.*}} = %c0 to %c3
// CHECK: scf.for
// CHECK: scf.for %[[M:.*]] = %c0 to %c2
// CHECK: scf.for %[[J:.*]] = %c0 to
// CHECK: %[[CHOICE:.*]] = arith.index_cast %[[J]]
// CHECK: %[[ROW:.*]] = arith.index_cast %[[M]]
// CHECK: arith.cmpi eq, %[[CHOICE]], %[[ROW]]
func.func @group_choices(%c: tensor<8x2x!moe.id<cluster[3]>>, %ids: tensor<8x2x!moe.id<expert[4]>>, %p: tensor<8x2xbf16>,
    %rt: tensor<16xi32>, %ro: tensor<4xi32>, %pr: tensor<16xi32>, %pe: tensor<16x!moe.id<expert[4]>>, %pw: tensor<16xbf16>) -> tensor<16xi32> {
  %0:5 = moe.group ins(%c, %ids, %p : tensor<8x2x!moe.id<cluster[3]>>, tensor<8x2x!moe.id<expert[4]>>, tensor<8x2xbf16>)
    outs(%rt, %ro, %pr, %pe, %pw : tensor<16xi32>, tensor<4xi32>, tensor<16xi32>, tensor<16x!moe.id<expert[4]>>, tensor<16xbf16>)
    -> tensor<16xi32>, tensor<4xi32>, tensor<16xi32>, tensor<16x!moe.id<expert[4]>>, tensor<16xbf16>
  return %0#2 : tensor<16xi32>
}

// Rows: zero first, then each row whose index is inside. Without rows nothing is read.
// CHECK-LABEL: func.func @gather
// CHECK-SAME: (%[[X:.*]]: tensor<?x6xf32>, %[[I:.*]]: tensor<?xi32>, %[[O:.*]]: tensor<?x6xf32>)
// CHECK: %[[COUNT:.*]] = tensor.dim %[[O]], %c0
// CHECK: %[[EMPTY:.*]] = tensor.empty(%[[COUNT]])
// CHECK: linalg.fill ins(%cst : f32) outs(%[[EMPTY]]
// CHECK: %[[N:.*]] = tensor.dim %[[X]], %c0
// CHECK: scf.for %[[R:.*]] = %c0 to %[[COUNT]]
// CHECK: %[[FROM:.*]] = tensor.extract %[[I]][%[[R]]]
// CHECK: %[[AT:.*]] = arith.index_cast %[[FROM]]
// CHECK: %[[INSIDE:.*]] = arith.cmpi ult, %[[AT]], %[[N]] : index
// CHECK: %[[COLUMNS:.*]] = arith.select %[[INSIDE]], %c6, %c0
// CHECK: scf.for %[[J:.*]] = %c0 to %[[COLUMNS]]
// CHECK: %[[V:.*]] = tensor.extract %[[X]][%[[AT]], %[[J]]]
// CHECK: tensor.insert %[[V]] into %{{.*}}[%[[R]], %[[J]]]
func.func @gather(%x: tensor<?x6xf32>, %i: !list, %o: tensor<?x6xf32>) -> tensor<?x6xf32> {
  %0 = moe.gather ins(%x, %i : tensor<?x6xf32>, !list) outs(%o : tensor<?x6xf32>) -> tensor<?x6xf32>
  return %0 : tensor<?x6xf32>
}

// Ids and integers that are missing are -1.
// CHECK-LABEL: func.func @gather_ids
// CHECK: linalg.fill ins(%c-1_i32 : i32)
// CHECK: linalg.fill ins(%c-1_i64 : i64)
func.func @gather_ids(%x: !experts, %y: tensor<?x2xi64>, %i: !list, %o: !experts, %q: tensor<?x2xi64>) -> (!experts, tensor<?x2xi64>) {
  %0 = moe.gather ins(%x, %i : !experts, !list) outs(%o : !experts) -> !experts
  %1 = moe.gather ins(%y, %i : tensor<?x2xi64>, !list) outs(%q : tensor<?x2xi64>) -> tensor<?x2xi64>
  return %0, %1 : !experts, tensor<?x2xi64>
}

// Sums of narrow types are kept in f32 until the end.
// CHECK-LABEL: func.func @scatter
// CHECK-SAME: (%[[X:.*]]: tensor<?x6xbf16>, %[[I:.*]]: tensor<?xi32>, %[[P:.*]]: tensor<?xbf16>, %[[O:.*]]: tensor<?x6xbf16>)
// CHECK: linalg.fill ins(%cst : f32)
// CHECK: scf.for
// CHECK: %[[INSIDE:.*]] = arith.cmpi ult
// CHECK: %[[COLUMNS:.*]] = arith.select %[[INSIDE]], %c6, %c0
// CHECK: scf.for %{{.*}} = %c0 to %[[COLUMNS]]
// CHECK: arith.mulf {{.*}} : f32
// CHECK: arith.addf {{.*}} : f32
// CHECK: arith.truncf {{.*}} : f32 to bf16
func.func @scatter(%x: tensor<?x6xbf16>, %i: !list, %p: tensor<?xbf16>, %o: tensor<?x6xbf16>) -> tensor<?x6xbf16> {
  %0 = moe.scatter_combine ins(%x, %i : tensor<?x6xbf16>, !list) weighted(%p : tensor<?xbf16>) outs(%o : tensor<?x6xbf16>) -> tensor<?x6xbf16>
  return %0 : tensor<?x6xbf16>
}

// CHECK-LABEL: func.func @scatter_accumulate
// CHECK-SAME: %[[O:[a-z0-9]*]]: tensor<?x6xf32>)
// CHECK-NOT: linalg.fill
// CHECK: scf.for {{.*}} iter_args(%{{.*}} = %[[O]])
// CHECK-NOT: arith.mulf
// CHECK: return
func.func @scatter_accumulate(%x: tensor<?x6xf32>, %i: !list, %o: tensor<?x6xf32>) -> tensor<?x6xf32> {
  %0 = moe.scatter_combine accumulate ins(%x, %i : tensor<?x6xf32>, !list) outs(%o : tensor<?x6xf32>) -> tensor<?x6xf32>
  return %0 : tensor<?x6xf32>
}

// A row belongs to the first group that holds it, to none past the last offset.
// CHECK-LABEL: func.func @grouped
// CHECK: linalg.fill ins(%c-1_i32
// CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "reduction"]
// CHECK-DAG: %[[STARTED:.*]] = arith.cmpi sle
// CHECK-DAG: %[[OPEN:.*]] = arith.cmpi slt
// CHECK-DAG: %[[IN:.*]] = arith.andi %[[STARTED]], %[[OPEN]]
// CHECK-DAG: %[[FIRST:.*]] = arith.cmpi slt, %[[BEFORE:.*]], %c0_i32
// CHECK: %[[TAKES:.*]] = arith.andi %[[IN]], %[[FIRST]]
// CHECK: arith.select %[[TAKES]], %{{.*}}, %[[BEFORE]]
// CHECK: iterator_types = ["parallel", "parallel", "reduction"]
// CHECK: arith.cmpi ult, %{{.*}}, %c3_i32
func.func @grouped(%x: tensor<?x16xf32>, %w: !w, %off: tensor<4xi32>, %o: tensor<?x6xf32>) -> tensor<?x6xf32> {
  %0 = moe.grouped_matmul ins(%x : tensor<?x16xf32>) weights(%w : !w) groups(%off : tensor<4xi32>) outs(%o : tensor<?x6xf32>) -> tensor<?x6xf32>
  return %0 : tensor<?x6xf32>
}

// CHECK-LABEL: func.func @entries_with_bias
// CHECK: iterator_types = ["parallel", "parallel", "reduction"]
// CHECK: arith.cmpi ult, %{{.*}}, %c4_i32
// CHECK: iterator_types = ["parallel", "parallel"]
// CHECK: arith.cmpi ult, %{{.*}}, %c4_i32
// CHECK: arith.addf
func.func @entries_with_bias(%x: tensor<?x2xf32>, %w: !b, %e: !experts, %bias: !moe.weight<1x6xf32, expert[4]>, %o: tensor<?x6xf32>) -> tensor<?x6xf32> {
  %0 = moe.grouped_matmul ins(%x : tensor<?x2xf32>) weights(%w : !b) bias(%bias : !moe.weight<1x6xf32, expert[4]>) entries(%e : !experts) outs(%o : tensor<?x6xf32>) -> tensor<?x6xf32>
  return %0 : tensor<?x6xf32>
}

// One matrix for all rows, added to the destination.
// CHECK-LABEL: func.func @accumulate
// CHECK-SAME: %[[O:[a-z0-9]*]]: tensor<?x6xf32>)
// CHECK: %[[Y:.*]] = linalg.generic {{.*}} iterator_types = ["parallel", "parallel", "reduction"]
// CHECK: linalg.generic {{.*}} ins(%[[Y]], %[[O]] : tensor<?x6xf32>, tensor<?x6xf32>)
// CHECK: arith.addf
func.func @accumulate(%x: tensor<?x16xf32>, %w: !moe.weight<16x6xf32>, %o: tensor<?x6xf32>) -> tensor<?x6xf32> {
  %0 = moe.grouped_matmul accumulate ins(%x : tensor<?x16xf32>) weights(%w : !moe.weight<16x6xf32>) outs(%o : tensor<?x6xf32>) -> tensor<?x6xf32>
  return %0 : tensor<?x6xf32>
}

// Up and gate of each pair: base product of the pair's row, two-step residual of its expert, then the activation of the
// rounded sums.
// CHECK-LABEL: func.func @pairs
// CHECK: iterator_types = ["parallel", "reduction"]
// CHECK: scf.for
// CHECK: scf.for
// CHECK-COUNT-6: iterator_types = ["parallel", "parallel", "reduction"]
// CHECK: math.exp
// CHECK: return
func.func @pairs(%x: tensor<?x16xf32>, %u: !w, %g: !w, %off: tensor<4xi32>, %row: !list, %e: !experts, %au: !a, %bu: !b, %ag: !moe.weight<16x2xf32>, %bg: !b, %o: tensor<?x6xf32>) -> tensor<?x6xf32> {
  %0 = moe.grouped_matmul ins(%x : tensor<?x16xf32>) weights(%u, %g : !w, !w) groups(%off : tensor<4xi32>) pair_rows(%row : !list) pair_experts(%e : !experts)
    residual(%au, %bu, %ag, %bg : !a, !b, !moe.weight<16x2xf32>, !b) act <silu> outs(%o : tensor<?x6xf32>) -> tensor<?x6xf32>
  return %0 : tensor<?x6xf32>
}

// CHECK-LABEL: func.func @pairs_narrow
// CHECK: arith.truncf {{.*}} : f32 to f16
// CHECK: arith.maximumf {{.*}} : f32
// CHECK: arith.truncf {{.*}} : f32 to f16
func.func @pairs_narrow(%x: tensor<?x16xf16>, %w: !moe.weight<16x6xf16>, %row: !list, %e: !experts, %o: tensor<?x6xf16>) -> tensor<?x6xf16> {
  %0 = moe.grouped_matmul ins(%x : tensor<?x16xf16>) weights(%w : !moe.weight<16x6xf16>) pair_rows(%row : !list) pair_experts(%e : !experts)
    act <relu> outs(%o : tensor<?x6xf16>) -> tensor<?x6xf16>
  return %0 : tensor<?x6xf16>
}

// Base product of each row, expanded pairs, then the weighted pairs added to their rows in increasing order.
// CHECK-LABEL: func.func @segment
// CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "parallel", "reduction"]
// CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "parallel", "reduction"]
// CHECK: arith.cmpi ult, %{{.*}}, %c4_i32
// CHECK: scf.for
// CHECK: scf.for
// CHECK: arith.mulf
// CHECK: arith.addf
// CHECK: tensor.insert
// CHECK: linalg.generic
// CHECK: arith.cmpi ult, %{{.*}}, %c3_i32
// CHECK-NEXT: arith.select
func.func @segment(%x: tensor<?x16xf32>, %w: !w, %off: tensor<4xi32>, %row: !list, %e: !experts, %v: tensor<?x2xf32>, %b: !b, %p: tensor<?xf32>, %o: tensor<?x6xf32>) -> tensor<?x6xf32> {
  %0 = moe.grouped_matmul ins(%x : tensor<?x16xf32>) weights(%w : !w) groups(%off : tensor<4xi32>) pair_rows(%row : !list) pair_experts(%e : !experts)
    segment(%v : tensor<?x2xf32>) expand(%b : !b) weighted(%p : tensor<?xf32>) outs(%o : tensor<?x6xf32>) -> tensor<?x6xf32>
  return %0 : tensor<?x6xf32>
}

// moe.grouped_up is its three operations: product and activation of pairs, their weighted sum, the second product.
// CHECK-LABEL: func.func @up
// CHECK-COUNT-1: iterator_types = ["parallel", "parallel", "reduction"]
// CHECK: math.exp
// CHECK: scf.for
// CHECK: arith.mulf
// CHECK: tensor.insert
// CHECK-COUNT-1: iterator_types = ["parallel", "parallel", "reduction"]
// CHECK-NOT: "reduction"
// CHECK: return
func.func @up(%x: tensor<?x16xf32>, %w: !moe.weight<16x6xf32>, %row: !list, %e: !experts, %p: tensor<?xf32>, %a: !moe.weight<6x2xf32>, %h: tensor<?x6xf32>, %v: tensor<?x2xf32>)
    -> (tensor<?x6xf32>, tensor<?x2xf32>) {
  %0:2 = moe.grouped_up ins(%x : tensor<?x16xf32>) weights(%w : !moe.weight<16x6xf32>) pair_rows(%row : !list) pair_experts(%e : !experts) weighted(%p : tensor<?xf32>)
    act <silu> shrink(%a : !moe.weight<6x2xf32>) outs(%h, %v : tensor<?x6xf32>, tensor<?x2xf32>) -> tensor<?x6xf32>, tensor<?x2xf32>
  return %0#0, %0#1 : tensor<?x6xf32>, tensor<?x2xf32>
}
