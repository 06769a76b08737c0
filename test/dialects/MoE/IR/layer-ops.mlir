// moe.layer and the tensors that moe.wrap takes: round trip, and what is refused.
// RUN: moe-opt %s --split-input-file --verify-diagnostics | FileCheck %s

moe.param @layer0.w : !moe.weight<4x4xf32, cluster[2]> = #moe.seeded<1> encoding <int8 group 4 scale f16>
moe.param @layer0.t : !moe.table<expert[4] -> cluster[2]> = dense<0> : tensor<4xi32>
// CHECK: func.func @block
// CHECK: moe.wrap %{{.+}} scales(%{{.+}} : tensor<2x1x4xf16>) slots(%{{.+}} : tensor<2xi32>) encoding <int8 group 4 scale f16> : tensor<2x4x4xi8> to !moe.weight<4x4xf32, cluster[2]>
func.func @block(%c: tensor<2x4x4xi8> {moec.binding = "w", moec.part = "codes"}, %s: tensor<2x1x4xf16> {moec.binding = "w", moec.part = "scales"},
                 %p: tensor<2xi32> {moec.binding = "w", moec.part = "slots"}, %t: tensor<4xi32> {moec.binding = "t", moec.part = "table"}) {
  %w = moe.wrap %c scales(%s : tensor<2x1x4xf16>) slots(%p : tensor<2xi32>) encoding <int8 group 4 scale f16> : tensor<2x4x4xi8> to !moe.weight<4x4xf32, cluster[2]>
  return
}
// CHECK: moe.layer @layer0 runs @block {t = @layer0.t, w = @layer0.w}
moe.layer @layer0 runs @block {t = @layer0.t, w = @layer0.w}

// -----

// expected-error @below {{B1: no function named @absent}}
moe.layer @l runs @absent {}

// -----

func.func private @f(tensor<4x4xf32> {moec.binding = "w", moec.part = "codes"})
// expected-error @below {{B1: @f reads 'w', which is not bound}}
moe.layer @l runs @f {}

// -----

func.func private @f(tensor<4x4xf32> {moec.binding = "w", moec.part = "codes"})
// expected-error @below {{B1: no moe.param named @p}}
moe.layer @l runs @f {w = @p}

// -----

moe.param @p : !moe.weight<4x4xf32> = #moe.seeded<1>
func.func private @f(tensor<4x4xf32> {moec.binding = "w", moec.part = "scales"})
// expected-error @below {{B1: @p has no part 'scales'}}
moe.layer @l runs @f {w = @p}

// -----

moe.param @p : !moe.weight<4x5xf32> = #moe.seeded<1>
func.func private @f(tensor<4x4xf32> {moec.binding = "w", moec.part = "codes"})
// expected-error @below {{B1: 'w' of @f is 'tensor<4x4xf32>', but @p is 'tensor<4x5xf32>'}}
moe.layer @l runs @f {w = @p}

// -----

moe.param @p : !moe.weight<4x4xf32> = #moe.seeded<1>
func.func private @f(tensor<4x4xf32>)
// expected-error @below {{B1: @f does not read 'w'}}
moe.layer @l runs @f {w = @p}

// -----

func.func @f(%c: tensor<4x4xi8>) {
  // expected-error @below {{L2: expected 'tensor<1x4xf32>' of scales, found none}}
  %w = moe.wrap %c encoding <int8 group 4> : tensor<4x4xi8> to !moe.weight<4x4xf32>
  return
}

// -----

func.func @f(%c: tensor<4x4xf32>, %s: tensor<1x4xf32>) {
  // expected-error @below {{L2: expected no scales, found 'tensor<1x4xf32>'}}
  %w = moe.wrap %c scales(%s : tensor<1x4xf32>) : tensor<4x4xf32> to !moe.weight<4x4xf32>
  return
}

// -----

func.func @f(%c: tensor<4x4xi8>, %s: tensor<1x4xf32>) {
  // expected-error @below {{L2: expected 'tensor<8xi8>', found 'tensor<4x4xi8>'}}
  %w = moe.wrap %c scales(%s : tensor<1x4xf32>) encoding <int4 group 4> : tensor<4x4xi8> to !moe.weight<4x4xf32>
  return
}

// -----

func.func @f(%c: tensor<4x4xi8>, %s: tensor<1x4xf32>) {
  // expected-error @below {{L2: group 3 does not divide 4 of '!moe.weight<4x4xf32>'}}
  %w = moe.wrap %c scales(%s : tensor<1x4xf32>) encoding <int8 group 3> : tensor<4x4xi8> to !moe.weight<4x4xf32>
  return
}

// -----

func.func @f(%c: tensor<4x4xf32>, %s: tensor<4xi32>) {
  // expected-error @below {{L2: '!moe.weight<4x4xf32>' has no axis to look up slots by}}
  %w = moe.wrap %c slots(%s : tensor<4xi32>) : tensor<4x4xf32> to !moe.weight<4x4xf32>
  return
}

// -----

func.func @f(%c: tensor<0x4x4xf32>, %s: tensor<4xi32>) {
  // expected-error @below {{L2: expected a pool of at least one place, found 'tensor<0x4x4xf32>'}}
  %w = moe.wrap %c slots(%s : tensor<4xi32>) : tensor<0x4x4xf32> to !moe.weight<4x4xf32, cluster[4]>
  return
}

// -----

func.func @f(%t: tensor<4xi32>) {
  // expected-error @below {{L2: a table has no encoding}}
  %w = moe.wrap %t encoding <int8> : tensor<4xi32> to !moe.table<expert[4] -> cluster[2]>
  return
}

// -----

moe.param @w : !moe.weight<4x4xf32, expert[4]> = #moe.seeded<1>
moe.param @t : !moe.table<expert[4] -> cluster[2]> = dense<0> : tensor<4xi32>
// expected-error @below {{P4: expected 4 weights of the mean, found 3}}
moe.param @base : !moe.weight<4x4xf32, cluster[2]> = #moe.mean<@w by @t weighted [1.0, 2.0, 3.0]>

// -----

moe.param @w : !moe.weight<4x4xf32, expert[4]> = #moe.seeded<1>
moe.param @t : !moe.table<expert[4] -> cluster[2]> = dense<0> : tensor<4xi32>
moe.param @base : !moe.weight<4x4xf32, cluster[2]> = #moe.mean<@w by @t>
moe.param @m : !moe.weight<1x5xf32> = #moe.seeded<1>
// expected-error @below {{P4: expected moments of 4 inputs, 1 or as many rows, for one or each expert, found '!moe.weight<1x5xf32>'}}
moe.param @a : !moe.weight<4x1xf32, expert[4]> = #moe.svd<input rank 1 of @w minus @base by @t whitened by @m>

// -----

func.func @f(%t: tensor<4xi32>) {
  // expected-error @below {{L2: a table has no layout}}
  %w = moe.wrap %t layout panel16 : tensor<4xi32> to !moe.table<expert[4] -> cluster[2]>
  return
}

// -----

func.func @f(%c: tensor<4x4xf32>) {
  // expected-error @below {{L2: expected layout row_major or panel16, found vnni2}}
  %w = moe.wrap %c layout vnni2 : tensor<4x4xf32> to !moe.weight<4x4xf32>
  return
}

// -----

func.func @f(%c: tensor<4x20xf32>) {
  // expected-error @below {{L2: expected 'tensor<2x4x16xf32>', found 'tensor<4x20xf32>'}}
  %w = moe.wrap %c layout panel16 : tensor<4x20xf32> to !moe.weight<4x20xf32>
  return
}

// -----

func.func @f(%c: tensor<3x2x2x16xi8>, %s: tensor<3x1x20xf32>) {
  // expected-error @below {{L2: expected 'tensor<3x2x1x16xf32>', found 'tensor<3x1x20xf32>'}}
  %w = moe.wrap %c scales(%s : tensor<3x1x20xf32>) encoding <int4 group 3> layout panel16 : tensor<3x2x2x16xi8> to !moe.weight<3x20xf32, expert[3]>
  return
}

// -----

func.func @f(%c: memref<4x4xf32>, %s: tensor<4xi32>) {
  // expected-error @below {{L2: operands must be all tensors or all buffers}}
  %w = moe.wrap %c slots(%s : tensor<4xi32>) : memref<4x4xf32> to !moe.weight<4x4xf32, cluster[4]>
  return
}

// -----

func.func @f(%c: memref<4x6xf32>) {
  // expected-error @below {{L2: expected 'tensor<4x4xf32>', found 'memref<4x6xf32>'}}
  %w = moe.wrap %c : memref<4x6xf32> to !moe.weight<4x4xf32>
  return
}

// -----

func.func @f(%s: tensor<4xi32>) {
  // expected-error @below {{'moe.wrap' op failed to verify that operands that are not optional must be there}}
  %w = "moe.wrap"(%s) {operandSegmentSizes = array<i32: 0, 0, 0, 1>} : (tensor<4xi32>) -> !moe.weight<4x4xf32, cluster[4]>
  return
}
