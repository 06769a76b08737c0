// RUN: moe-opt %s -o %t && FileCheck %s --input-file=%t
// RUN: moe-opt %t | diff %t -
// RUN: moe-opt %s --mlir-print-op-generic | moe-opt | diff %t -
// RUN: moe-opt %s --emit-bytecode | moe-opt | diff %t -
// Slot form: dense [token, slot, feature] tensors.

!w = !moe.weight<64x32xf32, cluster[2]>
!ids = tensor<?x2x!moe.id<expert[8]>>

// CHECK-LABEL: func.func @apply
func.func @apply(%x: tensor<?x64xf32>, %xs: tensor<?x2x64xf32>, %w: !w, %one: !moe.weight<64x32xf32>,
                 %c: tensor<?x2x!moe.id<cluster[2]>>) {
  // The same row in every slot.
  // CHECK: moe.apply %{{.*}}, %{{.*}} at %{{.*}} : tensor<?x64xf32>, !moe.weight<64x32xf32, cluster[2]> at tensor<?x2x!moe.id<cluster[2]>> -> tensor<?x2x32xf32>
  %0 = moe.apply %x, %w at %c : tensor<?x64xf32>, !w at tensor<?x2x!moe.id<cluster[2]>> -> tensor<?x2x32xf32>
  // A row for each slot.
  // CHECK: moe.apply %{{.*}} : tensor<?x2x64xf32>, !moe.weight<64x32xf32, cluster[2]> at
  %1 = moe.apply %xs, %w at %c : tensor<?x2x64xf32>, !w at tensor<?x2x!moe.id<cluster[2]>> -> tensor<?x2x32xf32>
  // One matrix for all, with and without slots.
  // CHECK: moe.apply %{{.*}}, %{{[a-z0-9]+}} : tensor<?x64xf32>, !moe.weight<64x32xf32> -> tensor<?x32xf32>
  %2 = moe.apply %x, %one : tensor<?x64xf32>, !moe.weight<64x32xf32> -> tensor<?x32xf32>
  // CHECK: moe.apply %{{.*}}, %{{[a-z0-9]+}} : tensor<?x2x64xf32>, !moe.weight<64x32xf32> -> tensor<?x2x32xf32>
  %3 = moe.apply %xs, %one : tensor<?x2x64xf32>, !moe.weight<64x32xf32> -> tensor<?x2x32xf32>
  // One matrix for all, where ids only say which rows there are.
  // CHECK: moe.apply %{{.*}}, %{{.*}} at %{{.*}} : tensor<?x64xf32>, !moe.weight<64x32xf32> at tensor<?x2x!moe.id<cluster[2]>>
  %4 = moe.apply %x, %one at %c : tensor<?x64xf32>, !moe.weight<64x32xf32> at tensor<?x2x!moe.id<cluster[2]>> -> tensor<?x2x32xf32>
  return
}

// Ids are [token, slot], or the plain list that the scheduled form has.
// CHECK-LABEL: func.func @lookup
// CHECK: moe.lookup %{{.*}} at %{{.*}} : !moe.weight<1x32xf32, expert[8]>, tensor<?x2x!moe.id<expert[8]>> -> tensor<?x2x32xf32>
// CHECK: moe.lookup %{{.*}} at %{{.*}} : !moe.weight<1x32xf32>, tensor<?x!moe.id<expert[8]>> -> tensor<?x32xf32>
func.func @lookup(%b: !moe.weight<1x32xf32, expert[8]>, %one: !moe.weight<1x32xf32>, %ids: !ids, %list: tensor<?x!moe.id<expert[8]>>) {
  %0 = moe.lookup %b at %ids : !moe.weight<1x32xf32, expert[8]>, !ids -> tensor<?x2x32xf32>
  %1 = moe.lookup %one at %list : !moe.weight<1x32xf32>, tensor<?x!moe.id<expert[8]>> -> tensor<?x32xf32>
  return
}

// Special ids are of no cluster.
// CHECK-LABEL: func.func @clusters_of
// CHECK: %{{.*}}, %{{.*}} = moe.clusters_of %{{.*}} by %{{.*}} : tensor<?x4x!moe.id<expert[8]>>, !moe.table<expert[8] -> cluster[2]> -> tensor<?x2x!moe.id<cluster[2]>>, tensor<?x4xi32>
// CHECK: moe.clusters_of %{{.*}} : tensor<?x4x!moe.id<expert[8+1]>>, !moe.table<expert[8] -> cluster[2]> -> tensor<?x1x!moe.id<cluster[2]>>, tensor<?x4xi32>
func.func @clusters_of(%ids: tensor<?x4x!moe.id<expert[8]>>, %special: tensor<?x4x!moe.id<expert[8+1]>>, %t: !moe.table<expert[8] -> cluster[2]>) {
  %c, %slot = moe.clusters_of %ids by %t : tensor<?x4x!moe.id<expert[8]>>, !moe.table<expert[8] -> cluster[2]> -> tensor<?x2x!moe.id<cluster[2]>>, tensor<?x4xi32>
  %d, %s = moe.clusters_of %special by %t : tensor<?x4x!moe.id<expert[8+1]>>, !moe.table<expert[8] -> cluster[2]> -> tensor<?x1x!moe.id<cluster[2]>>, tensor<?x4xi32>
  return
}

// CHECK-LABEL: func.func @spread
// CHECK: moe.spread %{{.*}} at %{{.*}} : tensor<?x1x32xf32> at tensor<?x2xi32> -> tensor<?x2x32xf32>
// CHECK: moe.spread %{{.*}} for %{{.*}} : tensor<?x32xf32> for tensor<?x2x!moe.id<expert[8]>> -> tensor<?x2x32xf32>
// CHECK: moe.spread %{{[a-z0-9]+}} : tensor<?x32xf32> -> tensor<?x2x32xf32>
func.func @spread(%x: tensor<?x1x32xf32>, %rows: tensor<?x32xf32>, %slot: tensor<?x2xi32>, %ids: !ids) {
  %0 = moe.spread %x at %slot : tensor<?x1x32xf32> at tensor<?x2xi32> -> tensor<?x2x32xf32>
  %1 = moe.spread %rows for %ids : tensor<?x32xf32> for !ids -> tensor<?x2x32xf32>
  %2 = moe.spread %rows : tensor<?x32xf32> -> tensor<?x2x32xf32>
  return
}

// CHECK-LABEL: func.func @scale_rows
// CHECK: moe.scale_rows %{{.*}} by %{{.*}} : tensor<?x2x32xf32>, tensor<?x2xf32> -> tensor<?x2x32xf32>
// CHECK: moe.scale_rows %{{.*}} by %{{.*}} : tensor<?x32xf32>, tensor<?x2xf32> -> tensor<?x2x32xf32>
// CHECK: moe.scale_rows %{{.*}} by %{{.*}} : tensor<?x32xf32>, tensor<?xf32> -> tensor<?x32xf32>
func.func @scale_rows(%x: tensor<?x2x32xf32>, %rows: tensor<?x32xf32>, %p: tensor<?x2xf32>, %q: tensor<?xf32>) {
  %0 = moe.scale_rows %x by %p : tensor<?x2x32xf32>, tensor<?x2xf32> -> tensor<?x2x32xf32>
  %1 = moe.scale_rows %rows by %p : tensor<?x32xf32>, tensor<?x2xf32> -> tensor<?x2x32xf32>
  %2 = moe.scale_rows %rows by %q : tensor<?x32xf32>, tensor<?xf32> -> tensor<?x32xf32>
  return
}

// CHECK-LABEL: func.func @combine
// CHECK: moe.combine %{{.*}} weighted %{{.*}} into %{{.*}} : tensor<?x2x32xf32> weighted tensor<?x2xf32> into tensor<?x2xi32> -> tensor<?x1x32xf32>
// CHECK: moe.combine %{{.*}} into %{{.*}} : tensor<?x2x32xf32> into tensor<?x2xi32> -> tensor<?x2x32xf32>
// CHECK: moe.combine %{{.*}} weighted %{{.*}} : tensor<?x2x32xf32> weighted tensor<?x2xf32> -> tensor<?x32xf32>
// CHECK: moe.combine %{{[a-z0-9]+}} : tensor<?x2x32xf32> -> tensor<?x32xf32>
func.func @combine(%x: tensor<?x2x32xf32>, %p: tensor<?x2xf32>, %slot: tensor<?x2xi32>) {
  %0 = moe.combine %x weighted %p into %slot : tensor<?x2x32xf32> weighted tensor<?x2xf32> into tensor<?x2xi32> -> tensor<?x1x32xf32>
  %1 = moe.combine %x into %slot : tensor<?x2x32xf32> into tensor<?x2xi32> -> tensor<?x2x32xf32>
  %2 = moe.combine %x weighted %p : tensor<?x2x32xf32> weighted tensor<?x2xf32> -> tensor<?x32xf32>
  %3 = moe.combine %x : tensor<?x2x32xf32> -> tensor<?x32xf32>
  return
}

// CHECK-LABEL: func.func @activate
// CHECK: moe.activate <silu> %{{.*}} gated by %{{.*}} : tensor<?x2x32xf32>
// CHECK: moe.activate <relu2 clamp 6.0> %{{[a-z0-9]+}} : tensor<?x32xf32>
func.func @activate(%u: tensor<?x2x32xf32>, %g: tensor<?x2x32xf32>, %rows: tensor<?x32xf32>) {
  %0 = moe.activate <silu> %u gated by %g : tensor<?x2x32xf32>
  %1 = moe.activate <relu2 clamp 6.0> %rows : tensor<?x32xf32>
  return
}

// CHECK-LABEL: func.func @specials
// CHECK: moe.real_experts %{{.*}}, %{{.*}} : tensor<?x2x!moe.id<expert[8+3]>>, tensor<?x2xf32> -> tensor<?x2x!moe.id<expert[8]>>
// CHECK: moe.special_experts %{{.*}} to %{{.*}} weighted %{{.*}} specials <zero 1 identity 1 constant 1> constants %{{[a-z0-9]+}} :
// CHECK: moe.special_experts {{.*}} constants %{{.*}} mixed by %{{.*}} :
// CHECK: moe.special_experts %{{.*}} to %{{.*}} weighted %{{.*}} specials <identity 3> :
func.func @specials(%x: tensor<?x64xf32>, %ids: tensor<?x2x!moe.id<expert[8+3]>>, %p: tensor<?x2xf32>, %c: tensor<1x64xf32>, %m: tensor<1x64x2xf32>) {
  %i, %q = moe.real_experts %ids, %p : tensor<?x2x!moe.id<expert[8+3]>>, tensor<?x2xf32> -> !ids
  %0 = moe.special_experts %x to %ids weighted %p specials <zero 1 identity 1 constant 1> constants %c
    : (tensor<?x64xf32>, tensor<?x2x!moe.id<expert[8+3]>>, tensor<?x2xf32>, tensor<1x64xf32>) -> tensor<?x64xf32>
  %1 = moe.special_experts %x to %ids weighted %p specials <zero 1 identity 1 constant 1> constants %c mixed by %m
    : (tensor<?x64xf32>, tensor<?x2x!moe.id<expert[8+3]>>, tensor<?x2xf32>, tensor<1x64xf32>, tensor<1x64x2xf32>) -> tensor<?x64xf32>
  %2 = moe.special_experts %x to %ids weighted %p specials <identity 3>
    : (tensor<?x64xf32>, tensor<?x2x!moe.id<expert[8+3]>>, tensor<?x2xf32>) -> tensor<?x64xf32>
  return
}

// Any shape, either way, or to the same.
// CHECK-LABEL: func.func @id_cast
// CHECK: moe.id_cast %{{.*}} : tensor<?x2x!moe.id<expert[8]>> to tensor<?x2xi32>
// CHECK: moe.id_cast %{{.*}} : tensor<?x?xi32> to tensor<?x?x!moe.id<cluster[2]>>
// CHECK: moe.id_cast %{{.*}} : tensor<i32> to tensor<i32>
func.func @id_cast(%ids: !ids, %n: tensor<?x?xi32>, %one: tensor<i32>) {
  %0 = moe.id_cast %ids : !ids to tensor<?x2xi32>
  %1 = moe.id_cast %n : tensor<?x?xi32> to tensor<?x?x!moe.id<cluster[2]>>
  %2 = moe.id_cast %one : tensor<i32> to tensor<i32>
  return
}

// No tokens at all, and one of everything.
// CHECK-LABEL: func.func @extremes
// CHECK-COUNT-2: moe.apply
// CHECK-COUNT-2: moe.combine
func.func @extremes(%none: tensor<0x64xf32>, %no_ids: tensor<0x2x!moe.id<cluster[2]>>, %w: !w, %x: tensor<1x1xf16>,
                    %v: !moe.weight<1x1xf16, expert[1]>, %id: tensor<1x1x!moe.id<expert[1]>>) {
  %0 = moe.apply %none, %w at %no_ids : tensor<0x64xf32>, !w at tensor<0x2x!moe.id<cluster[2]>> -> tensor<0x2x32xf32>
  %1 = moe.apply %x, %v at %id : tensor<1x1xf16>, !moe.weight<1x1xf16, expert[1]> at tensor<1x1x!moe.id<expert[1]>> -> tensor<1x1x1xf16>
  %2 = moe.combine %0 : tensor<0x2x32xf32> -> tensor<0x32xf32>
  %3 = moe.combine %1 : tensor<1x1x1xf16> -> tensor<?x1xf16>
  return
}
