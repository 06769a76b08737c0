// Two mixed weights of one layer with different numbers of bases: their bases went into records of one name, which the archive refused.
// REQUIRES: moe-compile, moe-run
// RUN: rm -rf %t && mkdir %t
// RUN: moe-compile %s -o %t/inside
// RUN: moe-compile %s --pipeline=reference --separate-weights -o %t/beside
// RUN: moe-run %t/inside --compare-with=%t/beside --max-error 0 | FileCheck %s
// CHECK: max abs 0 max rel 0 rms rel 0, no NaN
// tokens: 3
!two = !moe.weight<4x4xf32, basis[2]>
!three = !moe.weight<4x4xf32, basis[3]>
moe.param private @two : !two = #moe.seeded<1>
moe.param private @three : !three = #moe.seeded<2>
moe.param private @of_two : !moe.weight<1x2xf32> = #moe.seeded<3>
moe.param private @of_three : !moe.weight<1x3xf32> = #moe.seeded<4>
func.func @f(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %two = moe.leaf @two : !two
  %three = moe.leaf @three : !three
  %a = moe.leaf @of_two : !moe.weight<1x2xf32>
  %b = moe.leaf @of_three : !moe.weight<1x3xf32>
  %u = moe.weight.mix %two, %a : !two, !moe.weight<1x2xf32>
  %v = moe.weight.mix %three, %b : !three, !moe.weight<1x3xf32>
  %h = moe.apply %x, %u : tensor<?x4xf32>, !moe.weight<4x4xf32> -> tensor<?x4xf32>
  %y = moe.apply %h, %v : tensor<?x4xf32>, !moe.weight<4x4xf32> -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}
