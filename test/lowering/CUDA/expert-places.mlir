// Experts of each cluster in a row, for the dense form: once for all products of the same pairs, and only where that form is taken.
// RUN: moe-compile %S/Inputs/layer.mlir --optimize --separate-weights --target=cuda --isas=sm_80 --residual-form=dense --emit=loops -o %t.mlir
// RUN: FileCheck %s < %t.mlir
// RUN: moe-compile %S/Inputs/layer.mlir --optimize --separate-weights --target=cuda --isas=sm_80 --residual-form=present --emit=loops -o %t.mlir
// RUN: FileCheck %s --check-prefix=PRESENT < %t.mlir

// PRESENT-NOT: places
// PRESENT: gpu.func @block0_up_64

// A block for each of four clusters.
// CHECK:      call @moec.launch.block0_places_{{[0-9]+}}(%{{[^,]*}}, %c4,

// Counts of sixteen experts: how many pairs of a row have each, at most.
// CHECK:      gpu.func @block0_places_{{.*}} : memref<16xi32, #gpu.address_space<workgroup>>
// CHECK:      gpu.barrier
// CHECK:      memref.atomic_rmw maxs
// CHECK:      gpu.barrier
// The row of experts, how many there are, and behind another barrier the place of each pair.
// CHECK:      gpu.shuffle up
// CHECK-COUNT-2: memref.store %{{.*}} : memref<?xi32, strided<[1], offset: ?>>
// CHECK:      gpu.barrier
// CHECK:      memref.store %{{.*}} : memref<?xi32, strided<[1], offset: ?>>
// CHECK-NOT:  gpu.func @block0_places
