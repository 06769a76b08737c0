// Device code that a module carries is put into the library: image, kernels' names, the runtime that launches them.
// RUN: moe-compile %S/../CUDA/Inputs/layer.mlir --optimize --separate-weights --no-archive --target=cuda --residual-form=present --emit=llvm -o - | FileCheck %s

// CHECK-DAG: @moec.image = internal constant {{.*}}.target sm_80
// CHECK-DAG: @moec.kernel{{.*}} = internal constant {{.*}}c"block0_up_16_{{[0-9]+}}\00"
// CHECK-DAG: @moec.device.sm_80 = {{.*}}constant %moert_device_code { i32 {{[0-9]+}}, i32 80, i8 0, i32 1,
// CHECK-DAG: declare void @moert_cuda_launch(ptr, i32, i64, i64, i64, i64, i64, i64, i64, ptr)
