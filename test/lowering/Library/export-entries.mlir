// RUN: moe-opt %s --moe-export-entries --split-input-file | FileCheck %s

// Inputs, then a destination for each result, of any strides. Extents that must be equal share a class from -2 down.
// CHECK-LABEL: func.func @sum
// CHECK-SAME: (%[[X:.+]]: memref<?x8xf32, {{.*}}>, %[[Y:.+]]: memref<?x8xf32, {{.*}}>, %[[SUM:.+]]: memref<?x8xf32, {{.*}}>)
// CHECK-SAME: moec.arguments = [
// CHECK-SAME: {dtype = "float32", name = "x", role = "input", shape = array<i64: -2, 8>},
// CHECK-SAME: {dtype = "float32", name = "arg1", role = "input", shape = array<i64: -2, 8>},
// CHECK-SAME: {dtype = "float32", name = "sum", role = "output", shape = array<i64: -2, 8>}]
// CHECK: %[[TX:.+]] = bufferization.to_tensor %[[X]] restrict :
// CHECK: %[[TY:.+]] = bufferization.to_tensor %[[Y]] restrict :
// CHECK: %[[R:.+]] = arith.addf %[[TX]], %[[TY]]
// CHECK: bufferization.materialize_in_destination %[[R]] in restrict writable %[[SUM]]
// CHECK: return{{$}}
func.func @sum(%x: tensor<?x8xf32> {moec.name = "x"}, %y: tensor<?x8xf32>) -> (tensor<?x8xf32> {moec.name = "sum"}) {
  %r = arith.addf %x, %y : tensor<?x8xf32>
  return %r : tensor<?x8xf32>
}

// -----

// Ids cross the boundary as numbers.
// CHECK-LABEL: func.func @ids
// CHECK-SAME: (%[[IN:.+]]: memref<?x2xi32, {{.*}}>, %[[OUT:.+]]: memref<?x2xi32, {{.*}}>)
// CHECK-SAME: dtype = "int32", name = "arg0", role = "input", shape = array<i64: -2, 2>
// CHECK: %[[NUMBERS:.+]] = bufferization.to_tensor %[[IN]]
// CHECK: %[[IDS:.+]] = moe.id_cast %[[NUMBERS]] : tensor<?x2xi32> to tensor<?x2x!moe.id<expert[4]>>
// CHECK: %[[BACK:.+]] = moe.id_cast %[[IDS]] : tensor<?x2x!moe.id<expert[4]>> to tensor<?x2xi32>
// CHECK: bufferization.materialize_in_destination %[[BACK]] in restrict writable %[[OUT]]
func.func @ids(%ids: tensor<?x2x!moe.id<expert[4]>>) -> tensor<?x2x!moe.id<expert[4]>> {
  return %ids : tensor<?x2x!moe.id<expert[4]>>
}

// -----

// Every element type that may cross; an extent tied to no other is -1; no dimension at all is a shape too.
// CHECK-LABEL: func.func @types
// CHECK-SAME: dtype = "float64", name = "arg0", role = "input", shape = array<i64: -1>
// CHECK-SAME: dtype = "float16", name = "arg1", role = "input", shape = array<i64: 2>
// CHECK-SAME: dtype = "bfloat16", name = "arg2", role = "input", shape = array<i64: 0>
// CHECK-SAME: dtype = "int64", name = "arg3", role = "input", shape = array<i64>
// CHECK-SAME: dtype = "int8", name = "arg4", role = "input", shape = array<i64: 3>
// CHECK-SAME: dtype = "bool", name = "arg5", role = "input", shape = array<i64: -2>
// CHECK-SAME: dtype = "bool", name = "result0", role = "output", shape = array<i64: -2>
func.func @types(%a: tensor<?xf64>, %b: tensor<2xf16>, %c: tensor<0xbf16>, %d: tensor<i64>, %e: tensor<3xi8>, %f: tensor<?xi1>) -> tensor<?xi1> {
  return %f : tensor<?xi1>
}

// -----

// An extent that a cast fixes is told to the caller as a number.
// CHECK-LABEL: func.func @fixed
// CHECK-SAME: (%{{.+}}: memref<?xf32, {{.*}}>, %{{.+}}: memref<4xf32, {{.*}}>)
// CHECK-SAME: name = "arg0", role = "input", shape = array<i64: 4>
func.func @fixed(%x: tensor<?xf32>) -> tensor<4xf32> {
  %y = tensor.cast %x : tensor<?xf32> to tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

// Private functions and declarations stay as they are; other attributes stay too.
// CHECK-LABEL: func.func private @helper(%{{.+}}: tensor<?xf32>) -> tensor<?xf32>
func.func private @helper(%x: tensor<?xf32>) -> tensor<?xf32> {
  return %x : tensor<?xf32>
}
// CHECK-LABEL: func.func private @declared(tensor<?xf32>)
func.func private @declared(tensor<?xf32>)
// CHECK-LABEL: func.func @nothing() attributes {moec.arguments = [], note = 1 : i32}
func.func @nothing() attributes {note = 1 : i32} {
  return
}

// -----

// Pools that are paged are said to be; what the runtime reads as a list lies one behind the other.
// CHECK-LABEL: func.func @paged
// CHECK-SAME: {below = 4 : i64, contiguous, dtype = "int32", name = "arg0", role = "input", shape = array<i64: -1, 2>}
// CHECK-SAME: {contiguous, dtype = "int32", name = "arg1", role = "input", shape = array<i64: -1>}
// CHECK-SAME: {below = 4 : i64, contiguous, dtype = "int32", name = "base.slots", role = "binding", shape = array<i64: 4>}
// CHECK-SAME: {contiguous, dtype = "float32", name = "base", paged, role = "binding", shape = array<i64: -1, 1, 16, 16>}
func.func @paged(%c: tensor<?x2x!moe.id<cluster[4]>>, %hint: tensor<?xi32>, %table: tensor<4xi32> {moec.binding = "base", moec.name = "base.slots", moec.part = "slots", moec.below = 4},
                 %pool: tensor<?x1x16x16xf32> {moec.binding = "base", moec.name = "base", moec.part = "codes", moec.paged}) {
  %ids = moe.id_cast %c : tensor<?x2x!moe.id<cluster[4]>> to tensor<?x2xi32>
  %o = tensor.empty() : tensor<4xi32>
  moert.prefetch %hint ahead 1 : tensor<?xi32>
  %lease, %slots = moert.acquire ins(%ids, %table : tensor<?x2xi32>, tensor<4xi32>) pools(%pool : tensor<?x1x16x16xf32>) outs(%o : tensor<4xi32>) -> tensor<4xi32>
  %w = moe.wrap %pool slots(%slots : tensor<4xi32>) layout panel16 : tensor<?x1x16x16xf32> to !moe.weight<16x16xf32, cluster[4]>
  moert.release %lease slots(%slots : tensor<4xi32>)
  return
}

// -----

// What is sent to other ranks too.
// CHECK-LABEL: func.func @sent
// CHECK-SAME: {contiguous, dtype = "float32", name = "x", role = "input", shape = array<i64: -2, 16>}
// CHECK-SAME: {below = 4 : i64, contiguous, dtype = "int32", name = "ids", role = "input", shape = array<i64: -2, 2>}
// CHECK-SAME: {contiguous, dtype = "float32", name = "p", role = "input", shape = array<i64: -2, 2>}
func.func @sent(%x: tensor<?x16xf32> {moec.name = "x"}, %ids: tensor<?x2x!moe.id<expert[4]>> {moec.name = "ids"}, %p: tensor<?x2xf32> {moec.name = "p"})
    -> (tensor<?x16xf32> {moec.name = "y"}) {
  %c0 = arith.constant 0 : index
  %tokens = tensor.dim %x, %c0 : tensor<?x16xf32>
  %o = tensor.empty(%tokens) : tensor<?x16xf32>
  %i = moe.id_cast %ids : tensor<?x2x!moe.id<expert[4]>> to tensor<?x2xi32>
  %e, %sums = moert.begin ins(%x, %i, %p : tensor<?x16xf32>, tensor<?x2xi32>, tensor<?x2xf32>) outs(%o : tensor<?x16xf32>) parts 1 -> tensor<?x16xf32>
  moert.dispatch %e part 0
  %count, %received = moert.receive %e part 0
  moert.send_back %received
  %y = moert.collect %e part 0 ins(%x, %i, %p : tensor<?x16xf32>, tensor<?x2xi32>, tensor<?x2xf32>) outs(%sums : tensor<?x16xf32>) -> tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}
