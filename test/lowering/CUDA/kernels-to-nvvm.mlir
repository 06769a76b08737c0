// What the toolkit has in a library becomes arithmetic; what GPUs have becomes an instruction.
// RUN: moe-opt %s --convert-kernels-to-nvvm | FileCheck %s --implicit-check-not=__nv --implicit-check-not='math.'

// CHECK: #[[$UNROLL:.*]] = #llvm.loop_unroll<disable = true>
// CHECK: #[[$ROLLED:.*]] = #llvm.loop_annotation<unroll = #[[$UNROLL]]>
gpu.module @moec_kernels {
  // CHECK: llvm.mlir.global external @{{.*}}() {addr_space = 3 : i32, alignment = 1024 : i64} : !llvm.array<0 x i8>
  // CHECK-LABEL: llvm.func @functions(
  // CHECK-SAME:    attributes {gpu.kernel, {{.*}}nvvm.kernel
  // CHECK:         nvvm.read.ptx.sreg.tid.x
  // CHECK:         llvm.intr.sqrt
  // CHECK:         llvm.intr.fma
  // CHECK:         llvm.store
  gpu.func @functions(%x: memref<64xf32>) kernel attributes {known_block_size = array<i32: 64, 1, 1>} {
    %i = gpu.thread_id x
    %v = memref.load %x[%i] : memref<64xf32>
    %a = math.sqrt %v : f32
    %b = math.exp %a : f32
    %c = math.tanh %b : f32
    %d = math.erf %c : f32
    %e = math.rsqrt %d : f32
    %f = math.log1p %e : f32
    %g = math.absf %f : f32
    memref.store %g, %x[%i] : memref<64xf32>
    gpu.return
  }

  // A loop that is not to be unrolled says so where LLVM looks for it.
  // CHECK-LABEL: llvm.func @rolled(
  // CHECK:         llvm.br ^{{.*}} {loop_annotation = #[[$ROLLED]]}
  gpu.func @rolled(%x: memref<64xf32>) kernel attributes {known_block_size = array<i32: 64, 1, 1>} {
    %v = arith.constant 1.0 : f32
    %i = gpu.thread_id x
    cf.br ^body
  ^body:
    memref.store %v, %x[%i] : memref<64xf32>
    cf.br ^body {llvm.loop_annotation = #llvm.loop_annotation<unroll = <disable = true>>}
  }

  // A view that the kernel has a tensor map of becomes the map, handed over by value. What the launch gives of shared memory is
  // nobody's own, and aligned as swizzled boxes need it.
  // CHECK-LABEL: llvm.func @mapped(
  // CHECK-SAME:    %[[MAP:[a-z0-9]+]]: !llvm.ptr {llvm.align = 64 : i64, llvm.byval = !llvm.array<128 x i8>, nvvm.grid_constant}, %{{[a-z0-9]+}}: i64)
  // CHECK:         nvvm.cp.async.bulk.tensor.shared.cluster.global %{{.*}}, %[[MAP]], %{{.*}}, box
  gpu.func @mapped(%x: memref<?x64xbf16>, %row: index) kernel attributes {known_block_size = array<i32: 128, 1, 1>,
      moec.tensor_maps = [{bits = 16 : i32, box = array<i64: 64, 64>, code = 4 : i32}]} {
    %map = builtin.unrealized_conversion_cast %x : memref<?x64xbf16> to !llvm.ptr {moec.tensor_map = array<i64: 64, 64>}
    %shared = gpu.dynamic_shared_memory : memref<?xi8, #gpu.address_space<workgroup>>
    %place = memref.extract_aligned_pointer_as_index %shared : memref<?xi8, #gpu.address_space<workgroup>> -> index
    %number = arith.index_cast %place : index to i64
    %barrier = llvm.inttoptr %number : i64 to !llvm.ptr<3>
    %to = llvm.addrspacecast %barrier : !llvm.ptr<3> to !llvm.ptr<7>
    %i = arith.index_cast %row : index to i32
    nvvm.cp.async.bulk.tensor.shared.cluster.global %to, %map, %barrier, box[%i, %i] : !llvm.ptr<7>, !llvm.ptr
    gpu.return
  }
}
