// The tables of moert/abi.h as LLVM IR, and their layout against the C header.
// REQUIRES: moe-compile
// RUN: rm -rf %t && mkdir %t
// RUN: cc -I %source_root/runtime/include %S/Inputs/entry-table-layout.c -o %t/layout
// RUN: %t/layout > %t/in-c && moe-compile --print-abi-layout > %t/in-code
// RUN: diff %t/in-c %t/in-code
// RUN: FileCheck %s --check-prefix=LAYOUT < %t/in-code
// LAYOUT: moert_argument.name 0
// LAYOUT: moert_variant.workspace {{[0-9]+}}

// RUN: moe-compile %s -o - --emit=llvm | FileCheck %s

// What code for a CPU needs of it: bits of MOERT_CPU_*, which are all of x86-64-v4 and three quarters of them x86-64-v3.
// RUN: moe-compile %s -o - --emit=llvm --target=x86_64-linux-gnu --cpu=x86-64-v3 | FileCheck %s --check-prefix=THIRD
// RUN: moe-compile %s -o - --emit=llvm --target=x86_64-linux-gnu --isas=x86-64-v4 | FileCheck %s --check-prefix=FOURTH
// RUN: moe-compile %s -o - --emit=llvm --target=x86_64-linux-gnu --cpu=core2 | FileCheck %s --check-prefix=OLD
// THIRD: c"x86-64-v3\00"
// THIRD: @moec.variants.layer = internal constant [1 x %moert_variant] [%moert_variant { ptr @{{.+}}, i64 32767, ptr @moec.kernel.layer.x86-64-v3, ptr @moec.workspace.layer.x86-64-v3, ptr null }]
// What runs before the check does not need it.
// THIRD: define i32 @moec_layer({{.+}}) #[[ANY:[0-9]+]]
// THIRD: attributes #[[ANY]] = { nounwind "target-cpu"="x86-64" }
// FOURTH: @moec.variants.layer = {{.+}} i64 1048575, ptr @moec.kernel.layer.x86-64-v4,
// OLD: @moec.variants.layer = {{.+}} i64 99, ptr @moec.kernel.layer.core2,

// Types and constants.
// CHECK-DAG: %moert_argument = type { ptr, i8, i8, i8, i8, [8 x i64], i8, i32 }
// CHECK-DAG: %moert_entry = type { i32, i32, ptr, ptr, ptr, i32 }
// CHECK-DAG: %moert_variant = type { ptr, i64, ptr, ptr, ptr }
// CHECK-DAG: @[[X:.+]] = internal constant [2 x i8] c"x\00"
// CHECK-DAG: @[[IDS:.+]] = internal constant [4 x i8] c"ids\00"
// CHECK-DAG: @[[Y:.+]] = internal constant [8 x i8] c"result0\00"
// CHECK: @moec.arguments.layer = internal constant [3 x %moert_argument]
// CHECK-SAME: %moert_argument { ptr @[[X]], i8 4, i8 16, i8 0, i8 2, [8 x i64] [i64 -2, i64 4, i64 0, i64 0, i64 0, i64 0, i64 0, i64 0], i8 0, i32 0 }
// CHECK-SAME: %moert_argument { ptr @[[IDS]], i8 0, i8 32, i8 0, i8 1, [8 x i64] [i64 -1, {{[i640, ]*}}], i8 0, i32 0 }
// CHECK-SAME: %moert_argument { ptr @[[Y]], i8 4, i8 16, i8 1, i8 2, [8 x i64] [i64 -2, i64 4, {{[i640, ]*}}], i8 0, i32 0 }
// CHECK: @[[ISA:.+]] = internal constant [9 x i8] c"portable\00"
// CHECK: @moec.variants.layer = internal constant [1 x %moert_variant] [%moert_variant { ptr @[[ISA]], i64 0, ptr @moec.kernel.layer.portable, ptr @moec.workspace.layer.portable, ptr null }]
// CHECK: @[[SYMBOL:.+]] = internal constant [11 x i8] c"moec_layer\00"
// CHECK: @moec.entry.layer = internal constant %moert_entry { i32 40, i32 3, ptr @[[SYMBOL]], ptr @moec.arguments.layer, ptr @moec.variants.layer, i32 1 }

// What came from MLIR is hidden.
// CHECK: define internal void @moec.layer(
// CHECK: define internal i64 @moec.layer_workspace(

// The packed form: pointers to descriptors, the workspace last; for the query a place for the answer last.
// CHECK: define internal void @moec.kernel.layer.portable(ptr %[[ALL:.+]])
// CHECK: %[[D0:.+]] = load ptr, ptr %{{.+}}
// CHECK: %[[D1:.+]] = load ptr, ptr %{{.+}}
// CHECK: %[[D2:.+]] = load ptr, ptr %{{.+}}
// CHECK: %[[D3:.+]] = load ptr, ptr %{{.+}}
// CHECK: call void @_mlir_ciface_moec.layer(ptr %[[D0]], ptr %[[D1]], ptr %[[D2]], ptr %[[D3]])
// CHECK: define internal void @moec.workspace.layer.portable(ptr %{{.+}})
// CHECK: %[[BYTES:.+]] = call i64 @_mlir_ciface_moec.layer_workspace(ptr %{{.+}}, ptr %{{.+}}, ptr %{{.+}})
// CHECK: store i64 %[[BYTES]], ptr %{{.+}}

// The visible functions go through the check.
// CHECK: declare hidden i32 @moert_entry_call(ptr, ptr, ptr, i32)
// CHECK: define i32 @moec_layer(ptr %[[CALL:.+]], ptr %[[ARGS:.+]], i32 %[[COUNT:.+]])
// CHECK: call i32 @moert_entry_call(ptr @moec.entry.layer, ptr %[[CALL]], ptr %[[ARGS]], i32 %[[COUNT]])
// CHECK: define i32 @moec_layer_workspace(ptr %{{.+}}, ptr %{{.+}}, i32 %{{.+}}, ptr %{{.+}})
// CHECK: call i32 @moert_entry_workspace(ptr @moec.entry.layer,
// What tvm-ffi calls.
// CHECK: define i32 @__tvm_ffi_layer(ptr %{{.+}}, ptr %{{.+}}, i32 %{{.+}}, ptr %{{.+}})
// CHECK: call i32 @moert_entry_tvm_ffi(ptr @moec.entry.layer,
// CHECK: define i32 @__tvm_ffi_layer_workspace(ptr %{{.+}}, ptr %{{.+}}, i32 %{{.+}}, ptr %{{.+}})
// CHECK: call i32 @moert_entry_tvm_ffi_workspace(ptr @moec.entry.layer,
// CHECK: define ptr @moec_manifest()
// CHECK: define i32 @moec_abi_version()
// CHECK: ret i32 6{{$}}
func.func @layer(%x: tensor<?x4xbf16> {moec.name = "x"}, %ids: tensor<?x!moe.id<expert[4]>> {moec.name = "ids"}) -> tensor<?x4xbf16> {
  return %x : tensor<?x4xbf16>
}
