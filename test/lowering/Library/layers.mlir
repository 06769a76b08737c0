// Layers in the manifest, in the order of the entry's bindings; a layer runs a public function.
// RUN: moe-opt %s --moe-export-entries --split-input-file --verify-diagnostics | FileCheck %s

// CHECK: module attributes {moec.layers = [{binding = [{argument = "w", part = "codes", tensor = "l0.cluster.*.w"}, {argument = "w.slots", part = "slots", tensor = "l0.cluster.*.w"}, {argument = "arg3", part = "codes", tensor = "l0.v"}], entry = "f", name = "l0"}]}
// CHECK-NOT: moe.layer
// CHECK: {below = 2 : i64, dtype = "int32", name = "w.slots", role = "binding", shape = array<i64: 2>}
moe.param @p : !moe.weight<4x4xf32, cluster[2]> = #moe.seeded<1>
moe.param @q : !moe.weight<4x4xf32> = #moe.seeded<1>
func.func @f(%x: tensor<?x4xf32>, %w: tensor<2x4x4xf32> {moec.binding = "w", moec.name = "w", moec.part = "codes"},
             %s: tensor<2xi32> {moec.below = 2 : i64, moec.binding = "w", moec.name = "w.slots", moec.part = "slots"},
             %v: tensor<4x4xf32> {moec.binding = "v", moec.part = "codes"}) -> tensor<?x4xf32> {
  return %x : tensor<?x4xf32>
}
moe.layer @l0 runs @f {w = @p, v = @q}

// -----

func.func private @f(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  return %x : tensor<?x4xf32>
}
// expected-error @below {{'moe.layer' op expected a public function with a body to run, found @f}}
moe.layer @l0 runs @f {}
