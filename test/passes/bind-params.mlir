// Params become arguments that layers bind; layers of one shape run one function.
// RUN: moe-opt %s --moe-bind-params --split-input-file --verify-diagnostics | FileCheck %s

// Clusters lie in a pool behind slots; a table has a bound; experts and plain matrices come as they are.
!base = !moe.weight<8x4xf32, cluster[2]>
!own = !moe.weight<8x4xf32, expert[4]>
!t = !moe.table<expert[4] -> cluster[2]>

// CHECK: func.func @block0(%[[X:.+]]: tensor<?x8xf32>, %[[I:.+]]: tensor<?x1x!moe.id<expert[4]>>,
// CHECK-SAME: %[[BASE:.+]]: tensor<2x16xi8> {moec.binding = "base", moec.name = "base", moec.part = "codes"},
// CHECK-SAME: %[[SCALES:.+]]: tensor<2x1x4xf16> {moec.binding = "base", moec.name = "base.scales", moec.part = "scales"},
// CHECK-SAME: %[[ZERO:.+]]: tensor<2x1x4xi8> {moec.binding = "base", moec.name = "base.zero_points", moec.part = "zero_points"},
// CHECK-SAME: %[[SLOTS:.+]]: tensor<2xi32> {moec.below = 2 : i64, moec.binding = "base", moec.name = "base.slots", moec.part = "slots"},
// CHECK-SAME: %[[T:.+]]: tensor<4xi32> {moec.below = 2 : i64, moec.binding = "cluster", moec.name = "cluster", moec.part = "table"},
// CHECK-SAME: %[[OWN:.+]]: tensor<4x8x4xbf16> {moec.binding = "own", moec.name = "own", moec.part = "codes"})
// CHECK-DAG: moe.wrap %[[BASE]] scales(%[[SCALES]] : tensor<2x1x4xf16>) zero_points(%[[ZERO]] : tensor<2x1x4xi8>) slots(%[[SLOTS]] : tensor<2xi32>) encoding <int4 group 8 zero_point scale f16> : tensor<2x16xi8> to !moe.weight<8x4xf32, cluster[2]>
// CHECK-DAG: moe.wrap %[[T]] : tensor<4xi32> to !moe.table<expert[4] -> cluster[2]>
// CHECK-DAG: moe.wrap %[[OWN]] encoding <bf16> : tensor<4x8x4xbf16> to !moe.weight<8x4xf32, expert[4]>
// CHECK: moe.layer @layer0 runs @block0 {base = @layer0.base, cluster = @layer0.cluster, own = @layer0.own}
// CHECK-NOT: func.func
// CHECK: moe.layer @layer1 runs @block0 {base = @layer1.base, cluster = @layer1.cluster, own = @layer1.own}
moe.param private @layer0.base : !base = #moe.seeded<1> encoding <int4 group 8 zero_point scale f16>
moe.param private @layer0.cluster : !t = dense<[0, 1, 1, 0]> : tensor<4xi32>
moe.param private @layer0.own : !own = #moe.seeded<2> encoding <bf16>
func.func @layer0(%x: tensor<?x8xf32>, %i: tensor<?x1x!moe.id<expert[4]>>) -> tensor<?x1x4xf32> {
  %b = moe.leaf @layer0.base : !base
  %t = moe.leaf @layer0.cluster : !t
  %o = moe.leaf @layer0.own : !own
  %s = moe.weight.select %b by %t : !base, !t
  %w = moe.weight.add %s, %o : !own, !own
  %y = moe.apply %x, %w at %i : tensor<?x8xf32>, !own at tensor<?x1x!moe.id<expert[4]>> -> tensor<?x1x4xf32>
  return %y : tensor<?x1x4xf32>
}
moe.param private @layer1.base : !base = #moe.seeded<3> encoding <int4 group 8 zero_point scale f16>
moe.param private @layer1.cluster : !t = dense<[1, 1, 0, 0]> : tensor<4xi32>
moe.param private @layer1.own : !own = #moe.seeded<4> encoding <bf16>
func.func @layer1(%x: tensor<?x8xf32>, %i: tensor<?x1x!moe.id<expert[4]>>) -> tensor<?x1x4xf32> {
  %b = moe.leaf @layer1.base : !base
  %t = moe.leaf @layer1.cluster : !t
  %o = moe.leaf @layer1.own : !own
  %s = moe.weight.select %b by %t : !base, !t
  %w = moe.weight.add %s, %o : !own, !own
  %y = moe.apply %x, %w at %i : tensor<?x8xf32>, !own at tensor<?x1x!moe.id<expert[4]>> -> tensor<?x1x4xf32>
  return %y : tensor<?x1x4xf32>
}

// -----

// Other encodings are other functions; a function without params stays what it is; a name that is taken is left.
!w = !moe.weight<4x4xf32>
// CHECK: func.func @block0(%{{.+}}: tensor<?x4xf32>) -> tensor<?x4xf32>
// CHECK: func.func @block1(%{{.+}}: tensor<?x4xf32>, %{{.+}}: tensor<4x4xf16> {moec.binding = "p"
// CHECK: moe.layer @f runs @block1 {p = @p}
// CHECK: func.func @block2(%{{.+}}: tensor<?x4xf32>, %{{.+}}: tensor<4x4xf32> {moec.binding = "q"
// CHECK: moe.layer @g runs @block2 {q = @q}
func.func @block0(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  return %x : tensor<?x4xf32>
}
moe.param private @p : !w = #moe.seeded<1> encoding <f16>
func.func @f(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %w = moe.leaf @p : !w
  %y = moe.apply %x, %w : tensor<?x4xf32>, !w -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}
moe.param private @q : !w = #moe.seeded<1>
func.func @g(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %w = moe.leaf @q : !w
  %y = moe.apply %x, %w : tensor<?x4xf32>, !w -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

// A layout other than row_major goes to the argument and the wrap; row_major is what an argument has anyway.
// CHECK: func.func @block0(%{{.+}}: tensor<?x9xf32>,
// CHECK-SAME: %[[P:.+]]: tensor<2x5x16xi8> {{{.+}}moec.part = "codes"}, %[[S:.+]]: tensor<2x3x16xf32> {{{.+}}moec.part = "scales"},
// CHECK-SAME: %[[Q:.+]]: tensor<9x20xf32>
// CHECK-DAG: moe.wrap %[[P]] scales(%[[S]] : tensor<2x3x16xf32>) encoding <int4 group 3> layout panel16 : tensor<2x5x16xi8> to !moe.weight<9x20xf32>
// CHECK-DAG: moe.wrap %[[Q]] : tensor<9x20xf32> to !moe.weight<9x20xf32>
!w = !moe.weight<9x20xf32>
moe.param private @p : !w = #moe.seeded<1> encoding <int4 group 3> layout panel16
moe.param private @q : !w = #moe.seeded<1> layout row_major
func.func @f(%x: tensor<?x9xf32>) -> (tensor<?x20xf32>, tensor<?x20xf32>) {
  %p = moe.leaf @p : !w
  %q = moe.leaf @q : !w
  %y = moe.apply %x, %p : tensor<?x9xf32>, !w -> tensor<?x20xf32>
  %z = moe.apply %x, %q : tensor<?x9xf32>, !w -> tensor<?x20xf32>
  return %y, %z : tensor<?x20xf32>, tensor<?x20xf32>
}

// -----

// Pools of what is paged have as many places as memory is given. A param that is cached but has no clusters is not paged.
// CHECK: func.func @block0(%{{.+}}: tensor<?x4xf32>, %{{.+}}: tensor<?x!moe.id<cluster[2]>>,
// CHECK-SAME: %[[UP:.+]]: tensor<?x4x4xi8> {moec.binding = "up", moec.name = "up", moec.paged, moec.part = "codes"},
// CHECK-SAME: %[[SCALES:.+]]: tensor<?x1x1xf32> {moec.binding = "up", moec.name = "up.scales", moec.paged, moec.part = "scales"},
// CHECK-SAME: %[[SLOTS:.+]]: tensor<2xi32> {moec.below = 2 : i64, moec.binding = "up", moec.name = "up.slots", moec.part = "slots"},
// CHECK-SAME: %[[DOWN:.+]]: tensor<?x4x4xf32> {moec.binding = "down", moec.name = "down", moec.paged, moec.part = "codes"},
// CHECK-SAME: %[[OTHERS:.+]]: tensor<2xi32> {moec.below = 2 : i64, moec.binding = "down", moec.name = "down.slots", moec.part = "slots"},
// CHECK-SAME: %{{.+}}: tensor<2x4x4xf32> {moec.binding = "next.up", moec.name = "next.up", moec.part = "codes"},
// CHECK-SAME: %[[PINNED:.+]]: tensor<2xi32> {moec.below = 2 : i64, moec.binding = "next.up", moec.name = "next.up.slots", moec.part = "slots"},
// CHECK-SAME: %{{.+}}: tensor<4x4xf32> {moec.binding = "up_", moec.name = "up_", moec.part = "codes"})
// CHECK-DAG: moe.wrap %[[UP]] scales(%[[SCALES]] : tensor<?x1x1xf32>) slots(%[[SLOTS]] : tensor<2xi32>)
// CHECK-DAG: moe.wrap %[[DOWN]] slots(%[[OTHERS]] : tensor<2xi32>)
// CHECK: moe.layer @f runs @block0 {down = @f.down, next.up = @g.up, up = @f.up, up_ = @up}
!c = !moe.weight<4x4xf32, cluster[2]>
!w = !moe.weight<4x4xf32>
moe.param private @f.up : !c = #moe.seeded<1> encoding <int8> residency cached
moe.param private @f.down : !c = #moe.seeded<1> residency cached
moe.param private @g.up : !c = #moe.seeded<1> residency pinned
moe.param private @up : !w = #moe.seeded<1> residency cached
func.func @f(%x: tensor<?x4xf32>, %e: tensor<?x!moe.id<cluster[2]>>) -> (!c, !c, !c, !w) {
  %up = moe.leaf @f.up : !c
  %down = moe.leaf @f.down : !c
  // Another layer's, by the name that it is asked to have here; and a name that is taken.
  %next = moe.leaf @g.up {moec.bound_as = "next.up"} : !c
  %other = moe.leaf @up : !w
  return %up, %down, %next, %other : !c, !c, !c, !w
}

// -----

// expected-error @below {{expected layout row_major or panel16 of a weight that layers bind, found vnni2}}
moe.param private @p : !moe.weight<4x4xf32> = #moe.seeded<1> layout vnni2
func.func @f() -> !moe.weight<4x4xf32> {
  %p = moe.leaf @p : !moe.weight<4x4xf32>
  return %p : !moe.weight<4x4xf32>
}
