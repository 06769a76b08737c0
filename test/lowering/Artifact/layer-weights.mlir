// A layer with its weights in an archive computes, bit for bit, what it computes with them compiled in; every encoding,
// with and without an axis, at graph form and after moe-optimize.
// REQUIRES: moe-compile, moe-run
// RUN: rm -rf %t && mkdir %t
// RUN: moe-compile %s -o %t/inside
// RUN: moe-compile %s --pipeline=reference --separate-weights -o %t/beside
// RUN: moe-run %t/inside --entry formats --tokens 5 --compare-with=%t/beside --max-error 0 | FileCheck %s --check-prefix=SAME
// RUN: moe-run %t/inside --entry layer0 --int-range 4 --tokens 9 --compare-with=%t/beside --max-error 0 | FileCheck %s --check-prefix=SAME
// RUN: moe-run %t/inside --entry layer1 --int-range 4 --tokens 9 --compare-with=%t/beside --max-error 0 | FileCheck %s --check-prefix=SAME
// SAME: max abs 0 max rel 0 rms rel 0, no NaN

// RUN: moe-compile %s --optimize --pipeline=reference --separate-weights -o %t/shared
// RUN: moe-run %t/beside --layer layer1 --int-range 4 --tokens 9 --compare-with=%t/shared --max-error 1e-5 | FileCheck %s --check-prefix=NEAR
// NEAR: max abs {{.+}} no NaN

// So it does with matrices in panels, whose columns are here never a multiple of 16, and chosen so by moe-select-layout.
// RUN: sed '/= #moe/s/$/ layout panel16/' %s > %t/panels.mlir
// RUN: moe-compile %t/panels.mlir --pipeline=reference --separate-weights -o %t/panels
// RUN: moe-run %t/inside --entry formats --tokens 5 --compare-with=%t/panels --max-error 0 | FileCheck %s --check-prefix=SAME
// RUN: moe-run %t/inside --entry layer0 --int-range 4 --tokens 9 --compare-with=%t/panels --max-error 0 | FileCheck %s --check-prefix=SAME
// RUN: moe-run %t/inside --entry layer1 --int-range 4 --tokens 9 --compare-with=%t/panels --max-error 0 | FileCheck %s --check-prefix=SAME
// RUN: moe-archive list %t/panels/weights.safetensors | FileCheck %s --check-prefix=STORED
// STORED-COUNT-10: panel16
// RUN: moe-compile %s --optimize --pipeline=reference --separate-weights --layout=panel16 -o %t/chosen --report=- | FileCheck %s --check-prefix=CHOSEN
// CHOSEN: panel16 for {{[0-9]+}} weights
// RUN: moe-run %t/shared --layer layer1 --int-range 4 --tokens 9 --compare-with=%t/chosen --max-error 0 | FileCheck %s --check-prefix=SAME

// Fast kernels, which are what is made without --pipeline, read the same archive.
// RUN: moe-compile %s --optimize --separate-weights --isas=portable,x86-64-v3 -o %t/fast
// RUN: FileCheck %s --check-prefix=FAST < %t/fast/manifest.json
// FAST: "pipeline": "cpu"
// FAST: "portable"
// FAST: "x86-64-v3"
// RUN: cmp %t/fast/weights.safetensors %t/chosen/weights.safetensors
// RUN: moe-run %t/shared --layer layer1 --int-range 4 --tokens 9 --isa=portable --compare-with=%t/fast --max-error 1e-5 | FileCheck %s --check-prefix=NEAR

// Layers of one shape run one entry, whatever their tables say.
// RUN: moe-run %t/beside --list | FileCheck %s --check-prefix=LIST
// LIST: formats runs block0, {{[0-9]+}} bytes of weights
// LIST-NEXT: layer0 runs block1, [[BYTES:[0-9]+]] bytes of weights
// LIST-NEXT: layer1 runs block1, [[BYTES]] bytes of weights

!ids = tensor<?x2x!moe.id<expert[4]>>
!table = !moe.table<expert[4] -> cluster[2]>
!base = !moe.weight<8x6xf32, cluster[2]>
!a = !moe.weight<8x2xf32, expert[4]>
!b = !moe.weight<2x6xf32, expert[4]>
!w = !moe.weight<8x6xf32, expert[4]>
!d = !moe.weight<6x8xf32, expert[4]>

moe.param private @f32 : !moe.weight<8x8xf32> = #moe.seeded<1> encoding <f32>
moe.param private @f16 : !moe.weight<8x8xf32> = #moe.seeded<2> encoding <f16>
moe.param private @bf16 : !moe.weight<8x8xf32> = #moe.seeded<3> encoding <bf16>
moe.param private @narrow : !moe.weight<8x8xbf16> = #moe.seeded<4>
moe.param private @f8 : !moe.weight<8x8xf32> = #moe.seeded<5> encoding <f8e4m3>
moe.param private @f8_group : !moe.weight<8x8xf32> = #moe.seeded<6> encoding <f8e4m3 group 4>
moe.param private @int8 : !moe.weight<8x8xf32> = #moe.seeded<7> encoding <int8>
moe.param private @int8_group : !moe.weight<8x8xf32> = #moe.seeded<8> encoding <int8 group 4 scale f16 along output>
moe.param private @int8_zero : !moe.weight<8x8xf32> = #moe.seeded<9> encoding <int8 group 2 zero_point scale bf16>
moe.param private @int4 : !moe.weight<8x7xf32> = #moe.seeded<10> encoding <int4 group 8>
moe.param private @int4_zero : !moe.weight<7x8xf32> = #moe.seeded<11> encoding <int4 group 4 zero_point along output>
moe.param private @mx : !moe.weight<8x32xf32> = #moe.seeded<12> encoding <mxfp4 group 32 along output>
moe.param private @mx_input : !moe.weight<32x20xf32> = #moe.seeded<13> encoding <mxfp4 group 32>

func.func @formats(%x: tensor<?x8xf32> {moec.name = "x"}) -> (tensor<?x20xf32> {moec.name = "y"}) {
  %0 = moe.leaf @f32 : !moe.weight<8x8xf32>
  %1 = moe.leaf @f16 : !moe.weight<8x8xf32>
  %2 = moe.leaf @bf16 : !moe.weight<8x8xf32>
  %3 = moe.leaf @narrow : !moe.weight<8x8xbf16>
  %4 = moe.leaf @f8 : !moe.weight<8x8xf32>
  %5 = moe.leaf @f8_group : !moe.weight<8x8xf32>
  %6 = moe.leaf @int8 : !moe.weight<8x8xf32>
  %7 = moe.leaf @int8_group : !moe.weight<8x8xf32>
  %8 = moe.leaf @int8_zero : !moe.weight<8x8xf32>
  %9 = moe.leaf @int4 : !moe.weight<8x7xf32>
  %10 = moe.leaf @int4_zero : !moe.weight<7x8xf32>
  %11 = moe.leaf @mx : !moe.weight<8x32xf32>
  %12 = moe.leaf @mx_input : !moe.weight<32x20xf32>
  %a = moe.weight.add %0, %1 : !moe.weight<8x8xf32>, !moe.weight<8x8xf32>
  %b = moe.weight.add %a, %2 : !moe.weight<8x8xf32>, !moe.weight<8x8xf32>
  %c = moe.weight.add %b, %4 : !moe.weight<8x8xf32>, !moe.weight<8x8xf32>
  %d = moe.weight.add %c, %5 : !moe.weight<8x8xf32>, !moe.weight<8x8xf32>
  %e = moe.weight.add %d, %6 : !moe.weight<8x8xf32>, !moe.weight<8x8xf32>
  %f = moe.weight.add %e, %7 : !moe.weight<8x8xf32>, !moe.weight<8x8xf32>
  %g = moe.weight.add %f, %8 : !moe.weight<8x8xf32>, !moe.weight<8x8xf32>
  %h = moe.weight.mul %9, %10 : !moe.weight<8x7xf32>, !moe.weight<7x8xf32>
  %i = moe.weight.add %g, %h : !moe.weight<8x8xf32>, !moe.weight<8x8xf32>
  %n = arith.truncf %x : tensor<?x8xf32> to tensor<?x8xbf16>
  %m = moe.apply %n, %3 : tensor<?x8xbf16>, !moe.weight<8x8xbf16> -> tensor<?x8xbf16>
  %o = arith.extf %m : tensor<?x8xbf16> to tensor<?x8xf32>
  %p = moe.apply %o, %i : tensor<?x8xf32>, !moe.weight<8x8xf32> -> tensor<?x8xf32>
  %q = moe.apply %p, %11 : tensor<?x8xf32>, !moe.weight<8x32xf32> -> tensor<?x32xf32>
  %y = moe.apply %q, %12 : tensor<?x32xf32>, !moe.weight<32x20xf32> -> tensor<?x20xf32>
  return %y : tensor<?x20xf32>
}

moe.param private @layer0.cluster : !table = dense<[0, 1, 0, 1]> : tensor<4xi32>
moe.param private @layer0.up : !w = #moe.seeded<20>
moe.param private @layer0.up.base : !base = #moe.mean<@layer0.up by @layer0.cluster> encoding <int8 group 4>
moe.param private @layer0.up.a : !a = #moe.svd<input rank 2 of @layer0.up minus @layer0.up.base by @layer0.cluster> encoding <bf16>
moe.param private @layer0.up.b : !b = #moe.svd<output rank 2 of @layer0.up minus @layer0.up.base by @layer0.cluster> encoding <int4 group 2>
moe.param private @layer0.down : !d = #moe.seeded<21>
func.func @layer0(%x: tensor<?x8xf32> {moec.name = "x"}, %ids: !ids {moec.name = "ids"}, %p: tensor<?x2xf32> {moec.name = "p"})
    -> (tensor<?x8xf32> {moec.name = "y"}) {
  %t = moe.leaf @layer0.cluster : !table
  %base = moe.leaf @layer0.up.base : !base
  %shared = moe.weight.select %base by %t : !base, !table
  %a = moe.leaf @layer0.up.a : !a
  %b = moe.leaf @layer0.up.b : !b
  %own = moe.weight.mul %a, %b : !a, !b
  %up = moe.weight.add %shared, %own : !w, !w
  %down = moe.leaf @layer0.down : !d
  %y = moe.experts %x to %ids weighted %p up %up down %down act <silu>
    : (tensor<?x8xf32>, !ids, tensor<?x2xf32>, !w, !d) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

moe.param private @layer1.cluster : !table = dense<[1, 1, 0, 0]> : tensor<4xi32>
moe.param private @layer1.up : !w = #moe.seeded<30>
moe.param private @layer1.up.base : !base = #moe.mean<@layer1.up by @layer1.cluster weighted [1.0, 2.0, 0.0, 0.0]> encoding <int8 group 4>
moe.param private @layer1.up.a : !a = #moe.svd<input rank 2 of @layer1.up minus @layer1.up.base by @layer1.cluster> encoding <bf16>
moe.param private @layer1.up.b : !b = #moe.svd<output rank 2 of @layer1.up minus @layer1.up.base by @layer1.cluster> encoding <int4 group 2>
moe.param private @layer1.down : !d = #moe.seeded<31>
func.func @layer1(%x: tensor<?x8xf32> {moec.name = "x"}, %ids: !ids {moec.name = "ids"}, %p: tensor<?x2xf32> {moec.name = "p"})
    -> (tensor<?x8xf32> {moec.name = "y"}) {
  %t = moe.leaf @layer1.cluster : !table
  %base = moe.leaf @layer1.up.base : !base
  %shared = moe.weight.select %base by %t : !base, !table
  %a = moe.leaf @layer1.up.a : !a
  %b = moe.leaf @layer1.up.b : !b
  %own = moe.weight.mul %a, %b : !a, !b
  %up = moe.weight.add %shared, %own : !w, !w
  %down = moe.leaf @layer1.down : !d
  %y = moe.experts %x to %ids weighted %p up %up down %down act <silu>
    : (tensor<?x8xf32>, !ids, tensor<?x2xf32>, !w, !d) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
