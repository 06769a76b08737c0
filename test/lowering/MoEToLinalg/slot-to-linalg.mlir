// Slot form on dense tensors. Whatever number an id or a slot is, nothing is read outside.
// RUN: moe-opt %s --convert-moe-to-linalg --canonicalize --cse | FileCheck %s --implicit-check-not="moe."

!ids = tensor<?x2x!moe.id<expert[8]>>
!special = tensor<?x2x!moe.id<expert[8+4]>>
!e = !moe.weight<16x6xf32, expert[8]>

// CHECK-DAG: #[[$ROW:.*]] = affine_map<(d0, d1, d2, d3) -> (d0, d3)>
// CHECK-DAG: #[[$SLOT_ROW:.*]] = affine_map<(d0, d1, d2, d3) -> (d0, d1, d3)>
// CHECK-DAG: #[[$ID:.*]] = affine_map<(d0, d1, d2, d3) -> (d0, d1)>
// CHECK-DAG: #[[$OUT:.*]] = affine_map<(d0, d1, d2, d3) -> (d0, d1, d2)>

// Ids are compared unsigned with the number of entries, read at 0 if none, and add nothing then.
// CHECK-LABEL: func.func @apply
// CHECK-SAME: (%[[X:.*]]: tensor<?x16xf32>, %[[W:.*]]: tensor<8x16x6xf32>, %[[IDS:.*]]: tensor<?x2xi32>)
// CHECK: %[[ZERO:.*]] = linalg.fill
// CHECK: linalg.generic {indexing_maps = [#[[$ROW]], #[[$ID]], #[[$OUT]]], iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%[[X]], %[[IDS]] : tensor<?x16xf32>, tensor<?x2xi32>) outs(%[[ZERO]]
// CHECK: ^bb0(%[[A:.*]]: f32, %[[I:.*]]: i32, %[[ACC:.*]]: f32):
// CHECK: %[[KNOWN:.*]] = arith.cmpi ult, %[[I]], %c8_i32
// CHECK: %[[SAFE:.*]] = arith.select %[[KNOWN]], %[[I]], %c0_i32
// CHECK: %[[AT:.*]] = arith.index_cast %[[SAFE]]
// CHECK: %[[B:.*]] = tensor.extract %[[W]][%[[AT]],
// CHECK: %[[P:.*]] = arith.mulf %[[A]], %[[B]]
// CHECK: %[[SUM:.*]] = arith.addf %[[ACC]], %[[P]]
// CHECK: arith.select %[[KNOWN]], %[[SUM]], %[[ACC]]
func.func @apply(%x: tensor<?x16xf32>, %w: !e, %ids: !ids) -> tensor<?x2x6xf32> {
  %0 = moe.apply %x, %w at %ids : tensor<?x16xf32>, !e at !ids -> tensor<?x2x6xf32>
  return %0 : tensor<?x2x6xf32>
}

// CHECK-LABEL: func.func @apply_slots
// CHECK: linalg.generic {indexing_maps = [#[[$SLOT_ROW]], #[[$ID]], #[[$OUT]]]
// CHECK: arith.extf {{.*}} : bf16 to f32
// CHECK: arith.truncf {{.*}} : f32 to bf16
func.func @apply_slots(%x: tensor<?x2x16xbf16>, %w: !moe.weight<16x6xbf16, expert[8]>, %ids: !ids) -> tensor<?x2x6xbf16> {
  %0 = moe.apply %x, %w at %ids : tensor<?x2x16xbf16>, !moe.weight<16x6xbf16, expert[8]> at !ids -> tensor<?x2x6xbf16>
  return %0 : tensor<?x2x6xbf16>
}

// One matrix for all: ids only mask.
// CHECK-LABEL: func.func @apply_masked
// CHECK-SAME: (%{{.*}}: tensor<?x16xf32>, %[[W:.*]]: tensor<16x6xf32>, %{{.*}}: tensor<?x2xi32>)
// CHECK: arith.cmpi ult, %{{.*}}, %c8_i32
// CHECK: tensor.extract %[[W]][%{{.*}}, %{{.*}}] : tensor<16x6xf32>
// CHECK: arith.select
func.func @apply_masked(%x: tensor<?x16xf32>, %w: !moe.weight<16x6xf32>, %ids: !ids) -> tensor<?x2x6xf32> {
  %0 = moe.apply %x, %w at %ids : tensor<?x16xf32>, !moe.weight<16x6xf32> at !ids -> tensor<?x2x6xf32>
  return %0 : tensor<?x2x6xf32>
}

// CHECK-LABEL: func.func @apply_all
// CHECK: iterator_types = ["parallel", "parallel", "reduction"]
// CHECK-NOT: arith.cmpi
// CHECK: return
func.func @apply_all(%x: tensor<?x16xf32>, %w: !moe.weight<16x6xf32>) -> tensor<?x6xf32> {
  %0 = moe.apply %x, %w : tensor<?x16xf32>, !moe.weight<16x6xf32> -> tensor<?x6xf32>
  return %0 : tensor<?x6xf32>
}

// CHECK-LABEL: func.func @lookup
// CHECK-SAME: (%[[W:.*]]: tensor<8x1x6xf32>, %{{.*}}: tensor<?x2xi32>, %{{.*}}: tensor<?xi32>) -> (tensor<?x2x6xf32>, tensor<?x6xf32>)
// CHECK: %[[KNOWN:.*]] = arith.cmpi ult, %{{.*}}, %c8_i32
// CHECK: %[[B:.*]] = tensor.extract %[[W]][%{{.*}}, %c0, %{{.*}}]
// CHECK: arith.select %[[KNOWN]], %[[B]], %cst
// CHECK: iterator_types = ["parallel", "parallel"]
func.func @lookup(%w: !moe.weight<1x6xf32, expert[8]>, %ids: !ids, %list: tensor<?x!moe.id<expert[8]>>) -> (tensor<?x2x6xf32>, tensor<?x6xf32>) {
  %0 = moe.lookup %w at %ids : !moe.weight<1x6xf32, expert[8]>, !ids -> tensor<?x2x6xf32>
  %1 = moe.lookup %w at %list : !moe.weight<1x6xf32, expert[8]>, tensor<?x!moe.id<expert[8]>> -> tensor<?x6xf32>
  return %0, %1 : tensor<?x2x6xf32>, tensor<?x6xf32>
}

// Special ids have no cluster: they are beyond the table's 8 entries. A target outside is no cluster either. A new
// cluster is appended where there is room.
// CHECK-LABEL: func.func @clusters_of
// CHECK-SAME: (%[[IDS:.*]]: tensor<?x2xi32>, %[[T:.*]]: tensor<8xi32>) -> (tensor<?x2xi32>, tensor<?x2xi32>)
// CHECK: linalg.fill ins(%c-1_i32
// CHECK: scf.for
// CHECK: scf.for
// CHECK: %[[ID:.*]] = tensor.extract %[[IDS]]
// CHECK: %[[REAL:.*]] = arith.cmpi ult, %[[ID]], %c8_i32
// CHECK: %[[CLUSTER:.*]] = tensor.extract %[[T]]
// CHECK: %[[TARGET:.*]] = arith.cmpi ult, %[[CLUSTER]], %c3_i32
// CHECK: %[[HAS:.*]] = arith.andi %[[REAL]], %[[TARGET]]
// CHECK: %[[PLACE:.*]] = scf.for
// CHECK-DAG: %[[ABSENT:.*]] = arith.cmpi slt, %[[PLACE]], %c0_i32
// CHECK-DAG: %[[ROOM:.*]] = arith.cmpi slt, %{{.*}}, %c2_i32
// CHECK: tensor.insert
// CHECK: tensor.insert
func.func @clusters_of(%ids: !special, %t: !moe.table<expert[8] -> cluster[3]>) -> (tensor<?x2x!moe.id<cluster[3]>>, tensor<?x2xi32>) {
  %0, %1 = moe.clusters_of %ids by %t : !special, !moe.table<expert[8] -> cluster[3]> -> tensor<?x2x!moe.id<cluster[3]>>, tensor<?x2xi32>
  return %0, %1 : tensor<?x2x!moe.id<cluster[3]>>, tensor<?x2xi32>
}

// CHECK-LABEL: func.func @spread
// CHECK: arith.cmpi ult, %{{.*}}, %c3_i32
// CHECK: tensor.extract
// CHECK: linalg.generic
// CHECK-NEXT: ^bb0(%[[X:.*]]: f32, %{{.*}}: f32):
// CHECK-NEXT: linalg.yield %[[X]]
// CHECK: arith.cmpi ult, %{{.*}}, %c12_i32
func.func @spread(%m: tensor<?x3x6xf32>, %slot: tensor<?x2xi32>, %x: tensor<?x6xf32>, %ids: !special) -> (tensor<?x2x6xf32>, tensor<?x2x6xf32>, tensor<?x2x6xf32>) {
  %0 = moe.spread %m at %slot : tensor<?x3x6xf32> at tensor<?x2xi32> -> tensor<?x2x6xf32>
  %1 = moe.spread %x : tensor<?x6xf32> -> tensor<?x2x6xf32>
  %2 = moe.spread %x for %ids : tensor<?x6xf32> for !special -> tensor<?x2x6xf32>
  return %0, %1, %2 : tensor<?x2x6xf32>, tensor<?x2x6xf32>, tensor<?x2x6xf32>
}

// CHECK-LABEL: func.func @spread_nothing
// CHECK-NOT: tensor.extract
// CHECK: return
func.func @spread_nothing(%m: tensor<?x0x6xf32>, %slot: tensor<?x2xi32>) -> tensor<?x2x6xf32> {
  %0 = moe.spread %m at %slot : tensor<?x0x6xf32> at tensor<?x2xi32> -> tensor<?x2x6xf32>
  return %0 : tensor<?x2x6xf32>
}

// CHECK-LABEL: func.func @scale_rows
// CHECK: arith.mulf {{.*}} : f32
// CHECK: arith.truncf {{.*}} : f32 to f16
// CHECK: iterator_types = ["parallel", "parallel"]
// CHECK: arith.mulf
func.func @scale_rows(%x: tensor<?x6xf16>, %p: tensor<?x2xf16>, %y: tensor<?x6xf32>, %q: tensor<?xf32>) -> (tensor<?x2x6xf16>, tensor<?x6xf32>) {
  %0 = moe.scale_rows %x by %p : tensor<?x6xf16>, tensor<?x2xf16> -> tensor<?x2x6xf16>
  %1 = moe.scale_rows %y by %q : tensor<?x6xf32>, tensor<?xf32> -> tensor<?x6xf32>
  return %0, %1 : tensor<?x2x6xf16>, tensor<?x6xf32>
}

// CHECK-LABEL: func.func @combine
// CHECK: iterator_types = ["parallel", "parallel", "reduction"]
// CHECK-NEXT: ^bb0(%[[X:.*]]: f32, %[[P:.*]]: f32, %[[ACC:.*]]: f32):
// CHECK-NEXT: %[[PX:.*]] = arith.mulf %[[P]], %[[X]]
// CHECK-NEXT: arith.addf %[[ACC]], %[[PX]]
func.func @combine(%x: tensor<?x2x6xf32>, %p: tensor<?x2xf32>) -> tensor<?x6xf32> {
  %0 = moe.combine %x weighted %p : tensor<?x2x6xf32> weighted tensor<?x2xf32> -> tensor<?x6xf32>
  return %0 : tensor<?x6xf32>
}

// CHECK-LABEL: func.func @combine_into
// CHECK: iterator_types = ["parallel", "parallel", "parallel", "reduction"]
// CHECK-NEXT: ^bb0(%[[X:.*]]: f32, %[[S:.*]]: i32, %[[ACC:.*]]: f32):
// CHECK: %[[SUM:.*]] = arith.addf %[[ACC]], %[[X]]
// CHECK: %[[MINE:.*]] = arith.cmpi eq, %[[S]],
// CHECK: arith.select %[[MINE]], %[[SUM]], %[[ACC]]
func.func @combine_into(%x: tensor<?x2x6xf32>, %slot: tensor<?x2xi32>) -> tensor<?x3x6xf32> {
  %0 = moe.combine %x into %slot : tensor<?x2x6xf32> into tensor<?x2xi32> -> tensor<?x3x6xf32>
  return %0 : tensor<?x3x6xf32>
}

// CHECK-LABEL: func.func @activate
// CHECK: iterator_types = ["parallel", "parallel", "parallel"]} ins(%{{.*}}, %{{.*}} : tensor<?x2x6xf32>, tensor<?x2x6xf32>)
// CHECK: math.exp
func.func @activate(%u: tensor<?x2x6xf32>, %g: tensor<?x2x6xf32>) -> tensor<?x2x6xf32> {
  %0 = moe.activate <silu> %u gated by %g : tensor<?x2x6xf32>
  return %0 : tensor<?x2x6xf32>
}

// CHECK-LABEL: func.func @real_experts
// CHECK: %[[REAL:.*]] = arith.cmpi ult, %[[I:.*]], %c8_i32
// CHECK-NEXT: arith.select %[[REAL]], %[[I]], %c-1_i32
// CHECK: %[[AGAIN:.*]] = arith.cmpi ult, %{{.*}}, %c8_i32
// CHECK-NEXT: arith.select %[[AGAIN]], %{{.*}}, %cst
func.func @real_experts(%ids: !special, %p: tensor<?x2xf32>) -> (!ids, tensor<?x2xf32>) {
  %0, %1 = moe.real_experts %ids, %p : !special, tensor<?x2xf32> -> !ids
  return %0, %1 : !ids, tensor<?x2xf32>
}

// CHECK-LABEL: func.func @special_experts
// CHECK: iterator_types = ["parallel", "parallel", "reduction"]
// CHECK: return {{.*}} : tensor<?x6xf32>
func.func @special_experts(%x: tensor<?x6xf32>, %ids: !special, %p: tensor<?x2xf32>) -> tensor<?x6xf32> {
  %0 = moe.special_experts %x to %ids weighted %p specials <zero 3 identity 1> : (tensor<?x6xf32>, !special, tensor<?x2xf32>) -> tensor<?x6xf32>
  return %0 : tensor<?x6xf32>
}
