// Innermost loops of the kernels as machine code: as many sums as the largest tile has, in registers as wide as there are, and
// nothing spilled.
// REQUIRES: moe-compile
// RUN: moe-compile %s --optimize --separate-weights --emit=object --isas=x86-64-v3 -o %t.v3.o
// RUN: %python %S/Inputs/innermost_loops.py %t.v3.o ymm 12 | FileCheck %s
// RUN: moe-compile %s --optimize --separate-weights --emit=object --isas=x86-64-v4 -o %t.v4.o
// RUN: %python %S/Inputs/innermost_loops.py %t.v4.o zmm 24 | FileCheck %s
// RUN: moe-compile %s --optimize --separate-weights --emit=llvm --isas=x86-64-v4 -o %t.ll
// RUN: FileCheck %s --input-file=%t.ll --check-prefix=LOOPS
// LOOPS-LABEL: define {{.*}} @moec.matmul_f32(
// LOOPS:         br label %{{.*}}, !llvm.loop ![[ONCE:[0-9]+]]
// LOOPS:       ![[ONCE]] = distinct !{![[ONCE]], ![[UNROLL:[0-9]+]]}
// LOOPS:       ![[UNROLL]] = !{!"llvm.loop.unroll.disable"}
// CHECK-DAG: moec.matmul_f32:
// CHECK-DAG: moec.matmul_f16:
// CHECK-DAG: moec.matmul_f16_loose:
// CHECK-DAG: moec.matmul_bf16:
// CHECK-DAG: moec.matmul_int8_g32_f32:
// CHECK-DAG: moec.matmul_int4_g32_f32:

!x = tensor<?x256xf32>
!p = tensor<?x2xf32>
!choices = tensor<?x2xi32>
!ids = tensor<?x2x!moe.id<expert[4]>>
!w = !moe.weight<256x64xf32, expert[4]>
!d = !moe.weight<64x256xf32, expert[4]>
!a = !moe.weight<256x16xf32, expert[4]>
!b = !moe.weight<16x64xf32, expert[4]>
!base = !moe.weight<256x64xf32, cluster[2]>
!t = !moe.table<expert[4] -> cluster[2]>

moe.param private @up_f32 : !w = #moe.seeded<0> encoding <f32>
moe.param private @down_f32 : !d = #moe.seeded<1> encoding <f32>
func.func @layer_f32(%x: !x, %choices: !choices, %p: !p) -> !x {
  %ids = moe.id_cast %choices : !choices to !ids
  %up = moe.leaf @up_f32 : !w
  %down = moe.leaf @down_f32 : !d
  %y = moe.experts %x to %ids weighted %p up %up down %down act <relu> : (!x, !ids, !p, !w, !d) -> !x
  return %y : !x
}

moe.param private @up_f16 : !w = #moe.seeded<2> encoding <f16>
moe.param private @down_f16 : !d = #moe.seeded<3> encoding <f16>
func.func @layer_f16(%x: !x, %choices: !choices, %p: !p) -> !x {
  %ids = moe.id_cast %choices : !choices to !ids
  %up = moe.leaf @up_f16 : !w
  %down = moe.leaf @down_f16 : !d
  %y = moe.experts %x to %ids weighted %p up %up down %down act <relu> : (!x, !ids, !p, !w, !d) -> !x
  return %y : !x
}

moe.param private @up_bf16 : !w = #moe.seeded<4> encoding <bf16>
moe.param private @down_bf16 : !d = #moe.seeded<5> encoding <bf16>
func.func @layer_bf16(%x: !x, %choices: !choices, %p: !p) -> !x {
  %ids = moe.id_cast %choices : !choices to !ids
  %up = moe.leaf @up_bf16 : !w
  %down = moe.leaf @down_bf16 : !d
  %y = moe.experts %x to %ids weighted %p up %up down %down act <relu> : (!x, !ids, !p, !w, !d) -> !x
  return %y : !x
}

moe.param private @up_int8 : !w = #moe.seeded<6> encoding <int8 group 32>
moe.param private @down_int8 : !d = #moe.seeded<7> encoding <int8 group 32>
func.func @layer_int8(%x: !x, %choices: !choices, %p: !p) -> !x {
  %ids = moe.id_cast %choices : !choices to !ids
  %up = moe.leaf @up_int8 : !w
  %down = moe.leaf @down_int8 : !d
  %y = moe.experts %x to %ids weighted %p up %up down %down act <relu> : (!x, !ids, !p, !w, !d) -> !x
  return %y : !x
}

moe.param private @up_int4 : !w = #moe.seeded<8> encoding <int4 group 32>
moe.param private @down_int4 : !d = #moe.seeded<9> encoding <int4 group 32>
func.func @layer_int4(%x: !x, %choices: !choices, %p: !p) -> !x {
  %ids = moe.id_cast %choices : !choices to !ids
  %up = moe.leaf @up_int4 : !w
  %down = moe.leaf @down_int4 : !d
  %y = moe.experts %x to %ids weighted %p up %up down %down act <relu> : (!x, !ids, !p, !w, !d) -> !x
  return %y : !x
}

// Rows of residuals are read where they lie.
moe.param private @t : !t = dense<[0, 1, 0, 1]> : tensor<4xi32>
moe.param private @base : !base = #moe.seeded<20> encoding <f16>
moe.param private @residual_a : !a = #moe.seeded<21> encoding <f16>
moe.param private @residual_b : !b = #moe.seeded<22>
func.func @layer_of_a_base(%x: !x, %choices: !choices, %p: !p) -> !x {
  %ids = moe.id_cast %choices : !choices to !ids
  %t = moe.leaf @t : !t
  %base = moe.leaf @base : !base
  %a = moe.leaf @residual_a : !a
  %b = moe.leaf @residual_b : !b
  %down = moe.leaf @down_f16 : !d
  %s = moe.weight.select %base by %t : !base, !t
  %m = moe.weight.mul %a, %b : !a, !b
  %up = moe.weight.add %s, %m : !w, !w
  %y = moe.experts %x to %ids weighted %p up %up down %down act <relu> : (!x, !ids, !p, !w, !d) -> !x
  return %y : !x
}
