// RUN: moe-opt %s --one-shot-bufferize="bufferize-function-boundaries function-boundary-type-conversion=identity-layout-map" --canonicalize | FileCheck %s
// Scheduled ops overwrite their destination in place; weights and ids stay what they are.

!id4 = !moe.id<expert[4]>
!gu = !moe.weight<64x32xf32, cluster[2]>
!dn = !moe.weight<32x64xf32, cluster[2]>
!a = !moe.weight<64x4xf32, expert[4]>
!b = !moe.weight<4x32xf32, expert[4]>

// A whole layer: rows by cluster, gate and up with residuals, weighted sum into rows, down, back to tokens. No copy.
// CHECK-LABEL: func.func @layer
// CHECK-SAME: %[[X:[a-z0-9]+]]: memref<?x64xf32>,
// CHECK-NOT: memref.copy
// CHECK: moe.group ins(%{{.*}} : memref<?x1x!moe.id<cluster[2]>>, memref<?x2x!moe.id<expert[4]>>, memref<?x2xf32>) slots(%{{.*}} : memref<?x2xi32>) outs(%[[TOKEN:.*]], %[[OFF:.*]], %[[ROW:.*]], %[[E:.*]], %[[P:[a-z0-9_]+]] :
// CHECK-NOT: memref.copy
// CHECK: moe.gather ins(%[[X]], %[[TOKEN]] : {{.*}}) outs(%[[ROWS:[a-z0-9_]+]] :
// CHECK-NOT: memref.copy
// CHECK: moe.grouped_matmul ins(%[[ROWS]] : {{.*}}) weights({{.*}}!moe.weight<64x32xf32, cluster[2]>{{.*}}) groups(%[[OFF]] : {{.*}}) pair_rows(%[[ROW]] : {{.*}}) pair_experts(%[[E]] : {{.*}}) residual({{.*}}) act <silu> outs(%[[H:[a-z0-9_]+]] :
// CHECK-NOT: memref.copy
// CHECK: moe.scatter_combine ins(%[[H]], %[[ROW]] : {{.*}}) weighted(%[[P]] : {{.*}}) outs(%[[SUM:[a-z0-9_]+]] :
// CHECK-NOT: memref.copy
// CHECK: moe.grouped_matmul ins(%[[SUM]] : {{.*}}) weights({{.*}}) groups(%[[OFF]] : {{.*}}) outs(%[[D:[a-z0-9_]+]] :
// CHECK-NOT: memref.copy
// CHECK: moe.scatter_combine ins(%[[D]], %[[TOKEN]] : {{.*}}) outs(%[[Y:[a-z0-9_]+]] :
// CHECK-NOT: memref.copy
// CHECK: return %[[Y]]
func.func @layer(%x: tensor<?x64xf32>, %c: tensor<?x1x!moe.id<cluster[2]>>, %ids: tensor<?x2x!id4>, %p: tensor<?x2xf32>, %slot: tensor<?x2xi32>,
                 %g: !gu, %u: !gu, %d: !dn, %a: !a, %b: !b) -> tensor<?x64xf32> {
  %c0 = arith.constant 0 : index
  %c2 = arith.constant 2 : index
  %t = tensor.dim %x, %c0 : tensor<?x64xf32>
  %pairs = arith.muli %t, %c2 : index
  %e0 = tensor.empty(%t) : tensor<?xi32>
  %e1 = tensor.empty() : tensor<3xi32>
  %e2 = tensor.empty(%pairs) : tensor<?xi32>
  %e3 = tensor.empty(%pairs) : tensor<?x!id4>
  %e4 = tensor.empty(%pairs) : tensor<?xf32>
  %token, %off, %row, %e, %w = moe.group ins(%c, %ids, %p : tensor<?x1x!moe.id<cluster[2]>>, tensor<?x2x!id4>, tensor<?x2xf32>) slots(%slot : tensor<?x2xi32>)
    outs(%e0, %e1, %e2, %e3, %e4 : tensor<?xi32>, tensor<3xi32>, tensor<?xi32>, tensor<?x!id4>, tensor<?xf32>)
    -> tensor<?xi32>, tensor<3xi32>, tensor<?xi32>, tensor<?x!id4>, tensor<?xf32>
  %e5 = tensor.empty(%t) : tensor<?x64xf32>
  %rows = moe.gather ins(%x, %token : tensor<?x64xf32>, tensor<?xi32>) outs(%e5 : tensor<?x64xf32>) -> tensor<?x64xf32>
  %e6 = tensor.empty(%pairs) : tensor<?x32xf32>
  %h = moe.grouped_matmul ins(%rows : tensor<?x64xf32>) weights(%u, %g : !gu, !gu) groups(%off : tensor<3xi32>) pair_rows(%row : tensor<?xi32>)
    pair_experts(%e : tensor<?x!id4>) residual(%a, %b, %a, %b : !a, !b, !a, !b) act <silu> outs(%e6 : tensor<?x32xf32>) -> tensor<?x32xf32>
  %e7 = tensor.empty(%t) : tensor<?x32xf32>
  %sum = moe.scatter_combine ins(%h, %row : tensor<?x32xf32>, tensor<?xi32>) weighted(%w : tensor<?xf32>) outs(%e7 : tensor<?x32xf32>) -> tensor<?x32xf32>
  %e8 = tensor.empty(%t) : tensor<?x64xf32>
  %down = moe.grouped_matmul ins(%sum : tensor<?x32xf32>) weights(%d : !dn) groups(%off : tensor<3xi32>) outs(%e8 : tensor<?x64xf32>) -> tensor<?x64xf32>
  %e9 = tensor.empty(%t) : tensor<?x64xf32>
  %y = moe.scatter_combine ins(%down, %token : tensor<?x64xf32>, tensor<?xi32>) outs(%e9 : tensor<?x64xf32>) -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// A destination that is overwritten is not read: what stood in it need not be kept for it.
// CHECK-LABEL: func.func @overwrite
// CHECK-SAME: memref<4xi32>, %[[O:[a-z0-9]+]]: memref<4x16xf32>
// CHECK-NOT: memref.copy
// CHECK: moe.scatter_combine ins({{.*}}) outs(%[[O]] :
// CHECK-NOT: memref.copy
// CHECK: return
func.func @overwrite(%x: tensor<4x16xf32>, %i: tensor<4xi32>, %o: tensor<4x16xf32> {bufferization.writable = true}) -> tensor<4x16xf32> {
  %0 = moe.scatter_combine ins(%x, %i : tensor<4x16xf32>, tensor<4xi32>) outs(%o : tensor<4x16xf32>) -> tensor<4x16xf32>
  return %0 : tensor<4x16xf32>
}

// accumulate reads it: a constant that two ops add to is copied for each, one that they overwrite is not copied at all.
// CHECK-LABEL: func.func @accumulate
// CHECK: %[[ZERO:.*]] = memref.get_global
// CHECK: %[[A:.*]] = memref.alloc
// CHECK: memref.copy %[[ZERO]], %[[A]]
// CHECK: moe.scatter_combine accumulate {{.*}} outs(%[[A]] :
// CHECK: %[[B:.*]] = memref.alloc
// CHECK: memref.copy %[[ZERO]], %[[B]]
// CHECK: moe.scatter_combine accumulate {{.*}} outs(%[[B]] :
// CHECK: return %[[A]], %[[B]]
func.func @accumulate(%x: tensor<4x16xf32>, %i: tensor<4xi32>) -> (tensor<4x16xf32>, tensor<4x16xf32>) {
  %zero = arith.constant dense<0.0> : tensor<4x16xf32>
  %a = moe.scatter_combine accumulate ins(%x, %i : tensor<4x16xf32>, tensor<4xi32>) outs(%zero : tensor<4x16xf32>) -> tensor<4x16xf32>
  %b = moe.scatter_combine accumulate ins(%a, %i : tensor<4x16xf32>, tensor<4xi32>) outs(%zero : tensor<4x16xf32>) -> tensor<4x16xf32>
  return %a, %b : tensor<4x16xf32>, tensor<4x16xf32>
}

// CHECK-LABEL: func.func @shared_zero
// CHECK-NOT: memref.copy
// CHECK: moe.scatter_combine ins({{.*}}) outs(%[[A:[a-z0-9_]+]] :
// CHECK: moe.scatter_combine ins(%[[A]], {{.*}}) outs(%[[B:[a-z0-9_]+]] :
// CHECK-NOT: memref.copy
// CHECK: return %[[A]], %[[B]]
func.func @shared_zero(%x: tensor<4x16xf32>, %i: tensor<4xi32>) -> (tensor<4x16xf32>, tensor<4x16xf32>) {
  %zero = arith.constant dense<0.0> : tensor<4x16xf32>
  %a = moe.scatter_combine ins(%x, %i : tensor<4x16xf32>, tensor<4xi32>) outs(%zero : tensor<4x16xf32>) -> tensor<4x16xf32>
  %b = moe.scatter_combine ins(%a, %i : tensor<4x16xf32>, tensor<4xi32>) outs(%zero : tensor<4x16xf32>) -> tensor<4x16xf32>
  return %a, %b : tensor<4x16xf32>, tensor<4x16xf32>
}

// Adding twice to one destination needs no copy: each reads what the one before wrote.
// CHECK-LABEL: func.func @accumulate_chain
// CHECK-SAME: !moe.weight<64x64xf32>, %[[O:[a-z0-9]+]]: memref<?x64xf32>
// CHECK-NOT: memref.copy
// CHECK: moe.grouped_matmul ins({{.*}} outs(%[[O]] :
// CHECK: moe.grouped_matmul accumulate ins({{.*}} outs(%[[O]] :
// CHECK-NOT: memref.copy
// CHECK: return
func.func @accumulate_chain(%x: tensor<?x64xf32>, %w: !moe.weight<64x64xf32>, %o: tensor<?x64xf32>) -> tensor<?x64xf32> {
  %0 = moe.grouped_matmul ins(%x : tensor<?x64xf32>) weights(%w : !moe.weight<64x64xf32>) outs(%o : tensor<?x64xf32>) -> tensor<?x64xf32>
  %1 = moe.grouped_matmul accumulate ins(%x : tensor<?x64xf32>) weights(%w : !moe.weight<64x64xf32>) outs(%0 : tensor<?x64xf32>) -> tensor<?x64xf32>
  return %1 : tensor<?x64xf32>
}

// Rows are read at any index, so an op must not write where it reads.
// CHECK-LABEL: func.func @in_place
// CHECK-SAME: %[[X:[a-z0-9]+]]: memref<?x64xf32>
// CHECK: %[[NEW:.*]] = memref.alloc
// CHECK: moe.gather ins(%[[X]], %{{.*}}) outs(%[[NEW]] :
// CHECK: return %[[NEW]]
func.func @in_place(%x: tensor<?x64xf32>, %i: tensor<?xi32>) -> tensor<?x64xf32> {
  %0 = moe.gather ins(%x, %i : tensor<?x64xf32>, tensor<?xi32>) outs(%x : tensor<?x64xf32>) -> tensor<?x64xf32>
  return %0 : tensor<?x64xf32>
}

// An input that is used later is left alone when another op takes it as its destination.
// CHECK-LABEL: func.func @used_later
// CHECK: moe.gather ins({{.*}}) outs(%[[ROWS:[a-z0-9_]+]] :
// CHECK: memref.copy %[[ROWS]], %[[COPY:[a-z0-9_]+]]
// CHECK: moe.scatter_combine accumulate ins({{.*}}) outs(%[[COPY]] :
// CHECK: return %[[ROWS]], %[[COPY]]
func.func @used_later(%x: tensor<4x16xf32>, %i: tensor<4xi32>) -> (tensor<4x16xf32>, tensor<4x16xf32>) {
  %e = tensor.empty() : tensor<4x16xf32>
  %rows = moe.gather ins(%x, %i : tensor<4x16xf32>, tensor<4xi32>) outs(%e : tensor<4x16xf32>) -> tensor<4x16xf32>
  %sum = moe.scatter_combine accumulate ins(%x, %i : tensor<4x16xf32>, tensor<4xi32>) outs(%rows : tensor<4x16xf32>) -> tensor<4x16xf32>
  return %rows, %sum : tensor<4x16xf32>, tensor<4x16xf32>
}

// Attributes that are not the op's own survive.
// CHECK-LABEL: func.func @annotated
// CHECK: moe.gather {{.*}} {note = "kept"}
func.func @annotated(%x: tensor<4x16xf32>, %i: tensor<4xi32>, %o: tensor<4x16xf32>) -> tensor<4x16xf32> {
  %0 = moe.gather ins(%x, %i : tensor<4x16xf32>, tensor<4xi32>) outs(%o : tensor<4x16xf32>) {note = "kept"} -> tensor<4x16xf32>
  return %0 : tensor<4x16xf32>
}

// A wrap views the buffers that its tensors are; ids are the same buffer as their numbers.
// CHECK-LABEL: func.func @views
// CHECK-SAME: %[[C:[a-z0-9]+]]: memref<3x2x32x16xi8>, %[[S:[a-z0-9]+]]: memref<3x2x2x16xf16>, %[[AT:[a-z0-9]+]]: memref<2xi32>, %[[N:[a-z0-9]+]]: memref<8xi32>
// CHECK-NOT: memref.copy
// CHECK: %[[W:.+]] = moe.wrap %[[C]] scales(%[[S]] : memref<3x2x2x16xf16>) slots(%[[AT]] : memref<2xi32>) encoding <int4 group 32 scale f16> layout panel16 : memref<3x2x32x16xi8> to !moe.weight<64x32xf32, cluster[2]>
// CHECK: %[[IDS:.+]] = moe.id_cast %[[N]] : memref<8xi32> to memref<8x!moe.id<cluster[2]>>
// CHECK: moe.grouped_matmul {{.+}} weights(%[[W]] : {{.+}}) entries(%[[IDS]] : memref<8x!moe.id<cluster[2]>>)
// CHECK-NOT: memref.copy
func.func @views(%c: tensor<3x2x32x16xi8>, %s: tensor<3x2x2x16xf16>, %at: tensor<2xi32>, %n: tensor<8xi32>, %x: tensor<8x64xf32>) -> tensor<8x32xf32> {
  %w = moe.wrap %c scales(%s : tensor<3x2x2x16xf16>) slots(%at : tensor<2xi32>) encoding <int4 group 32 scale f16> layout panel16
    : tensor<3x2x32x16xi8> to !gu
  %ids = moe.id_cast %n : tensor<8xi32> to tensor<8x!moe.id<cluster[2]>>
  %o = tensor.empty() : tensor<8x32xf32>
  %y = moe.grouped_matmul ins(%x : tensor<8x64xf32>) weights(%w : !gu) entries(%ids : tensor<8x!moe.id<cluster[2]>>)
    outs(%o : tensor<8x32xf32>) -> tensor<8x32xf32>
  return %y : tensor<8x32xf32>
}

// What is written behind a wrap is copied in front of it: the weight is what the tensor was. What is written before is not.
// CHECK-LABEL: func.func @written_later
// CHECK-SAME: %[[T:[a-z0-9]+]]: memref<4x4xf32>
// CHECK: linalg.fill {{.+}} outs(%[[T]] :
// CHECK: %[[COPY:.+]] = memref.alloc() {{.*}}: memref<4x4xf32>
// CHECK: memref.copy %[[T]], %[[COPY]]
// CHECK: moe.wrap %[[COPY]] : memref<4x4xf32>
// CHECK: linalg.fill {{.+}} outs(%[[T]] :
func.func @written_later(%t: tensor<4x4xf32> {bufferization.writable = true}, %x: tensor<4x4xf32>) -> (tensor<4x4xf32>, tensor<4x4xf32>) {
  %one = arith.constant 1.0 : f32
  %two = arith.constant 2.0 : f32
  %ones = linalg.fill ins(%one : f32) outs(%t : tensor<4x4xf32>) -> tensor<4x4xf32>
  %w = moe.wrap %ones : tensor<4x4xf32> to !moe.weight<4x4xf32>
  %twos = linalg.fill ins(%two : f32) outs(%ones : tensor<4x4xf32>) -> tensor<4x4xf32>
  %o = tensor.empty() : tensor<4x4xf32>
  %y = moe.grouped_matmul ins(%x : tensor<4x4xf32>) weights(%w : !moe.weight<4x4xf32>) outs(%o : tensor<4x4xf32>) -> tensor<4x4xf32>
  return %y, %twos : tensor<4x4xf32>, tensor<4x4xf32>
}

// CHECK-LABEL: func.func @written_before
// CHECK-SAME: %[[T:[a-z0-9]+]]: memref<4x4xf32>
// CHECK: linalg.fill {{.+}} outs(%[[T]] :
// CHECK-NOT: memref.copy
// CHECK: moe.wrap %[[T]] : memref<4x4xf32>
func.func @written_before(%t: tensor<4x4xf32> {bufferization.writable = true}) -> !moe.weight<4x4xf32> {
  %one = arith.constant 1.0 : f32
  %ones = linalg.fill ins(%one : f32) outs(%t : tensor<4x4xf32>) -> tensor<4x4xf32>
  %w = moe.wrap %ones : tensor<4x4xf32> to !moe.weight<4x4xf32>
  return %w : !moe.weight<4x4xf32>
}

// Two destinations, each written in place.
// CHECK-LABEL: func.func @grouped_up
// CHECK-NOT: memref.copy
// CHECK: moe.grouped_up ins(%{{.+}} : memref<?x64xf32>) {{.*}} outs(%[[H:[a-z0-9_]+]], %[[V:[a-z0-9_]+]] : memref<?x32xf32>, memref<?x4xf32>)
// CHECK-NOT: memref.copy
// CHECK: return %[[H]], %[[V]]
func.func @grouped_up(%x: tensor<?x64xf32>, %w: !gu, %off: tensor<3xi32>, %row: tensor<?xi32>, %e: tensor<?x!id4>, %p: tensor<?xf32>,
    %s: !moe.weight<32x4xf32, expert[4]>) -> (tensor<?x32xf32>, tensor<?x4xf32>) {
  %c0 = arith.constant 0 : index
  %rows = tensor.dim %x, %c0 : tensor<?x64xf32>
  %pairs = tensor.dim %row, %c0 : tensor<?xi32>
  %h = tensor.empty(%rows) : tensor<?x32xf32>
  %v = tensor.empty(%pairs) : tensor<?x4xf32>
  %0:2 = moe.grouped_up ins(%x : tensor<?x64xf32>) weights(%w : !gu) groups(%off : tensor<3xi32>) pair_rows(%row : tensor<?xi32>) pair_experts(%e : tensor<?x!id4>)
    weighted(%p : tensor<?xf32>) act <silu> shrink(%s : !moe.weight<32x4xf32, expert[4]>) outs(%h, %v : tensor<?x32xf32>, tensor<?x4xf32>)
    -> tensor<?x32xf32>, tensor<?x4xf32>
  return %0#0, %0#1 : tensor<?x32xf32>, tensor<?x4xf32>
}
