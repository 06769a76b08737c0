// Kernels let the next one begin at once, and wait in front of the first look at device memory: behind what a block prepares of its
// own, and at the end at the latest.
// RUN: moe-opt %s --allow-unregistered-dialect --moe-overlap-kernels | FileCheck %s

// CHECK-LABEL: gpu.func @reads
// CHECK-NEXT:    llvm.inline_asm has_side_effects asm_dialect = att "griddepcontrol.launch_dependents;", "~{memory}"
// CHECK:         gpu.thread_id
// CHECK:         scf.if
// CHECK:           memref.store
// CHECK:         gpu.barrier
// CHECK-NEXT:    llvm.inline_asm has_side_effects asm_dialect = att "griddepcontrol.wait;", "~{memory}"
// CHECK:         memref.load
// CHECK-LABEL: gpu.func @copies
// CHECK:         nvvm.prefetch tensormap
// CHECK:         nvvm.fence.mbarrier.init
// CHECK:         nvvm.cluster.wait
// CHECK-NEXT:    llvm.inline_asm has_side_effects asm_dialect = att "griddepcontrol.wait;", "~{memory}"
// CHECK-NEXT:    scf.if
// CHECK-LABEL: gpu.func @nothing
// CHECK-NEXT:    llvm.inline_asm has_side_effects asm_dialect = att "griddepcontrol.launch_dependents;", "~{memory}"
// CHECK-NEXT:    llvm.inline_asm has_side_effects asm_dialect = att "griddepcontrol.wait;", "~{memory}"
// CHECK-NEXT:    gpu.return
// What nobody knows may touch anything.
// CHECK-LABEL: gpu.func @unknown
// CHECK-NEXT:    llvm.inline_asm has_side_effects asm_dialect = att "griddepcontrol.launch_dependents;", "~{memory}"
// CHECK-NEXT:    llvm.inline_asm has_side_effects asm_dialect = att "griddepcontrol.wait;", "~{memory}"
// CHECK-NEXT:    "test.unknown"
// CHECK:       func.func private @moec.launch.reads(index) attributes {moec.is_dependent, moec.kernel = 0 : i64}
// CHECK:       func.func private @other(index){{$}}
module attributes {gpu.container_module} {
  gpu.module @moec_kernels {
    gpu.func @reads(%list: memref<?xi32>) workgroup(%shared: memref<4xi32, #gpu.address_space<workgroup>>) kernel {
      %zero = arith.constant 0 : i32
      %i = gpu.thread_id x
      %four = arith.constant 4 : index
      %few = arith.cmpi ult, %i, %four : index
      scf.if %few {
        memref.store %zero, %shared[%i] : memref<4xi32, #gpu.address_space<workgroup>>
      }
      gpu.barrier
      %x = memref.load %list[%i] : memref<?xi32>
      memref.store %x, %shared[%i] : memref<4xi32, #gpu.address_space<workgroup>>
      gpu.return
    }
    gpu.func @copies(%list: memref<?xi32>, %barrier: !llvm.ptr<3>, %map: !llvm.ptr, %go: i1) kernel {
      %one = arith.constant 1 : i32
      %i = gpu.thread_id x
      scf.if %go {
        nvvm.prefetch tensormap, %map : !llvm.ptr
        nvvm.mbarrier.init %barrier, %one : !llvm.ptr<3>, i32
        nvvm.fence.mbarrier.init
      }
      nvvm.cluster.arrive
      nvvm.cluster.wait
      scf.if %go {
        memref.store %one, %list[%i] : memref<?xi32>
      }
      gpu.return
    }
    gpu.func @nothing() kernel {
      gpu.return
    }
    gpu.func @unknown() kernel {
      "test.unknown"() : () -> ()
      gpu.return
    }
  }
  func.func private @moec.launch.reads(index) attributes {moec.kernel = 0 : i64}
  func.func private @other(index)
}
