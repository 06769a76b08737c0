// Values of moe types cross functions, control flow and ops of other dialects; no moe type stays anywhere.
// RUN: moe-opt %s --allow-unregistered-dialect --convert-moe-to-linalg | FileCheck %s --implicit-check-not="moe." --implicit-check-not=unrealized

!ids = tensor<?x2x!moe.id<expert[8]>>
!w = !moe.weight<4x6xf32, expert[8]>
!t = !moe.table<expert[8] -> cluster[2]>

// An indexed weight has an extent for its entries, one without axis has not; a table is a list.
// CHECK-LABEL: func.func @signature
// CHECK-SAME: (%[[W:.*]]: tensor<8x4x6xf32>, %[[ONE:.*]]: tensor<4x6xbf16>, %[[T:.*]]: tensor<8xi32>, %[[IDS:.*]]: tensor<?x2xi32>)
// CHECK-SAME: -> (tensor<?x2xi32>, tensor<8x4x6xf32>)
// CHECK: return %[[IDS]], %[[W]] : tensor<?x2xi32>, tensor<8x4x6xf32>
func.func @signature(%w: !w, %one: !moe.weight<4x6xbf16>, %t: !t, %ids: !ids) -> (!ids, !w) {
  return %ids, %w : !ids, !w
}

// CHECK: func.func private @declared(tensor<8xi32>, memref<?xi32, strided<[?], offset: ?>>) -> tensor<?xi32>
func.func private @declared(!t, memref<?x!moe.id<expert[8]>, strided<[?], offset: ?>>) -> tensor<?x!moe.id<cluster[2]>>

// CHECK-LABEL: func.func @call
// CHECK: call @signature({{.*}}) : (tensor<8x4x6xf32>, tensor<4x6xbf16>, tensor<8xi32>, tensor<?x2xi32>) -> (tensor<?x2xi32>, tensor<8x4x6xf32>)
// CHECK: constant @signature : (tensor<8x4x6xf32>, tensor<4x6xbf16>, tensor<8xi32>, tensor<?x2xi32>) -> (tensor<?x2xi32>, tensor<8x4x6xf32>)
func.func @call(%w: !w, %one: !moe.weight<4x6xbf16>, %t: !t, %ids: !ids) -> !ids {
  %0:2 = call @signature(%w, %one, %t, %ids) : (!w, !moe.weight<4x6xbf16>, !t, !ids) -> (!ids, !w)
  %f = constant @signature : (!w, !moe.weight<4x6xbf16>, !t, !ids) -> (!ids, !w)
  %1:2 = call_indirect %f(%w, %one, %t, %0#0) : (!w, !moe.weight<4x6xbf16>, !t, !ids) -> (!ids, !w)
  return %1#0 : !ids
}

// CHECK-LABEL: func.func @structured
// CHECK: scf.if {{.*}} -> (tensor<?x2xi32>)
// CHECK: scf.for {{.*}} iter_args({{.*}}) -> (tensor<?x2xi32>)
// CHECK: scf.while ({{.*}}) : (tensor<?x2xi32>) -> tensor<?x2xi32>
// CHECK: ^bb0(%{{.*}}: tensor<?x2xi32>):
func.func @structured(%a: !ids, %b: !ids, %c: i1, %n: index) -> !ids {
  %zero = arith.constant 0 : index
  %one = arith.constant 1 : index
  %0 = scf.if %c -> !ids {
    scf.yield %a : !ids
  } else {
    scf.yield %b : !ids
  }
  %1 = scf.for %i = %zero to %n step %one iter_args(%x = %0) -> !ids {
    scf.yield %x : !ids
  }
  %2 = scf.while (%x = %1) : (!ids) -> !ids {
    scf.condition(%c) %x : !ids
  } do {
  ^bb0(%x: !ids):
    scf.yield %x : !ids
  }
  return %2 : !ids
}

// CHECK-LABEL: func.func @branches
// CHECK: cf.cond_br %{{.*}}, ^bb1(%{{.*}} : tensor<?x2xi32>), ^bb2
// CHECK: ^bb1(%[[X:.*]]: tensor<?x2xi32>):
// CHECK: return %[[X]]
func.func @branches(%a: !ids, %b: !ids, %c: i1) -> !ids {
  cf.cond_br %c, ^first(%a : !ids), ^second
^first(%x: !ids):
  return %x : !ids
^second:
  cf.br ^first(%b : !ids)
}

// Whatever other dialects do with ids they do with their numbers.
// CHECK-LABEL: func.func @carried
// CHECK: tensor.extract_slice {{.*}} : tensor<?x2xi32> to tensor<?x1xi32>
// CHECK: tensor.extract {{.*}} : tensor<?x2xi32>
// CHECK: tensor.insert {{.*}} : tensor<?x2xi32>
// CHECK: tensor.empty({{.*}}) : tensor<?x2xi32>
// CHECK: linalg.copy ins({{.*}} : tensor<?x2xi32>)
// CHECK: linalg.transpose
// CHECK: tensor.generate
// CHECK: tensor.yield %{{.*}} : i32
// CHECK: linalg.generic
// CHECK: ^bb0(%{{.*}}: i32, %{{.*}}: i32):
// CHECK: arith.select {{.*}} : tensor<?x2xi32>
// CHECK: tensor.dim {{.*}} : tensor<?x2xi32>
func.func @carried(%a: !ids, %c: i1, %i: index) -> (tensor<?x1x!moe.id<expert[8]>>, tensor<2x?x!moe.id<expert[8]>>, !ids, index) {
  %zero = arith.constant 0 : index
  %0 = tensor.extract_slice %a[0, 0] [%i, 1] [1, 1] : !ids to tensor<?x1x!moe.id<expert[8]>>
  %id = tensor.extract %a[%zero, %zero] : !ids
  %1 = tensor.insert %id into %a[%i, %zero] : !ids
  %2 = tensor.empty(%i) : !ids
  %3 = linalg.copy ins(%1 : !ids) outs(%2 : !ids) -> !ids
  %4 = tensor.empty(%i) : tensor<2x?x!moe.id<expert[8]>>
  %5 = linalg.transpose ins(%3 : !ids) outs(%4 : tensor<2x?x!moe.id<expert[8]>>) permutation = [1, 0]
  %6 = tensor.generate %i {
  ^bb0(%r: index, %s: index):
    tensor.yield %id : !moe.id<expert[8]>
  } : !ids
  %7 = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
      ins(%6 : !ids) outs(%3 : !ids) {
  ^bb0(%x: !moe.id<expert[8]>, %y: !moe.id<expert[8]>):
    linalg.yield %x : !moe.id<expert[8]>
  } -> !ids
  %8 = arith.select %c, %7, %3 : !ids
  %d = tensor.dim %8, %zero : !ids
  return %0, %5, %8, %d : tensor<?x1x!moe.id<expert[8]>>, tensor<2x?x!moe.id<expert[8]>>, !ids, index
}

// Buffers and globals of ids, weights chosen by control flow, ops nobody registered, types in attributes.
// CHECK: memref.global "private" @kept : memref<4xi32>
memref.global "private" @kept : memref<4x!moe.id<expert[8]>>
// CHECK-LABEL: func.func @others
// CHECK: memref.get_global @kept : memref<4xi32>
// CHECK: memref.load {{.*}} : memref<4xi32>
// CHECK: arith.select {{.*}} : tensor<8x4x6xf32>
// CHECK: "unknown.op"(%{{.*}}) ({
// CHECK: ^bb0(%{{.*}}: tensor<8x4x6xf32>):
// CHECK: }) {about = tensor<8xi32>} : (tensor<8x4x6xf32>) -> i32
func.func @others(%v: !w, %w: !w, %c: i1, %i: index) -> !moe.id<expert[8]> {
  %m = memref.get_global @kept : memref<4x!moe.id<expert[8]>>
  %0 = memref.load %m[%i] : memref<4x!moe.id<expert[8]>>
  %1 = arith.select %c, %v, %w : !w
  %2 = "unknown.op"(%1) ({
  ^bb0(%x: !w):
    "unknown.end"(%x) : (!w) -> ()
  }) {about = !t} : (!w) -> !moe.id<expert[8]>
  return %0 : !moe.id<expert[8]>
}

// moe.wrap and moe.id_cast only change what numbers are called.
// CHECK-LABEL: func.func @renamed
// CHECK-SAME: (%[[N:.*]]: tensor<?x2xi32>, %[[W:.*]]: tensor<8x4x6xf32>, %[[T:.*]]: tensor<8xi32>)
// CHECK-NEXT: return %[[N]], %[[N]], %[[W]], %[[T]]
func.func @renamed(%n: tensor<?x2xi32>, %w: tensor<8x4x6xf32>, %t: tensor<8xi32>) -> (!ids, tensor<?x2xi32>, !w, !t) {
  %0 = moe.id_cast %n : tensor<?x2xi32> to !ids
  %1 = moe.id_cast %0 : !ids to tensor<?x2xi32>
  %2 = moe.wrap %w : tensor<8x4x6xf32> to !w
  %3 = moe.wrap %t : tensor<8xi32> to !t
  return %0, %1, %2, %3 : !ids, tensor<?x2xi32>, !w, !t
}
