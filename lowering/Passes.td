// Passes that change the level: reference lowering and library emission.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_LOWERING_PASSES_TD
#define MOEC_LOWERING_PASSES_TD

include "mlir/Pass/PassBase.td"

def ExportEntriesPass : Pass<"moe-export-entries", "::mlir::ModuleOp"> {
  let summary = "gives public functions a destination-passing form on buffers";
  let description = [{
    Each public function with a body becomes a function on memrefs of any strides, inputs first, then one destination for
    each result: what a caller of the library passes. Ids cross as 32-bit numbers. Names are those of the argument and
    result attributes `moec.name`, else `argN` and `resultN`.

    Which extents must be equal within a call, and which of the inputs' extents each result has, is worked out from the
    body and recorded in `moec.arguments`; a result whose extent is not one of the inputs' is refused. So are weights (a
    function takes a tensor and views it by `moe.wrap`), numbers outside tensors, calls, and bodies of several blocks.
    Private functions are left alone: the inliner comes first.

    ```mlir
    func.func @first(%x: tensor<?x8xf32>, %y: tensor<?x8xf32>) -> (tensor<?x8xf32> {moec.name = "sum"}) {
      %0 = arith.addf %x, %y : tensor<?x8xf32>
      return %0 : tensor<?x8xf32>
    }
    ```
    becomes a function of three memrefs, with `moec.arguments` naming `arg0`, `arg1` and `sum`, each of shape [-2, 8]:
    one class of extents.
  }];
  let dependentDialects = ["::mlir::bufferization::BufferizationDialect", "::mlir::memref::MemRefDialect",
                           "::mlir::tensor::TensorDialect", "::mlir::func::FuncDialect", "::moec::moe::MoEDialect"];
}

def ConvertMoEToMoERTPass : Pass<"convert-moe-to-moert", "::mlir::ModuleOp"> {
  let summary = "products read paged bases under a lease, rows go to other ranks and come back";
  let description = [{
    ```
    %w = moe.wrap %pool slots(%table) …                      %lease, %slots = moert.acquire ins(%clusters, %table) pools(%pool) outs(…)
    %h = moe.grouped_up … weights(%w) …                ->    %w = moe.wrap %pool slots(%slots) …
    %y = moe.grouped_matmul … weights(%d) …                  %h = moe.grouped_up … weights(%w) …
                                                             %y = moe.grouped_matmul … weights(%d) …
                                                             moert.release %lease slots(%slots) pools(%pool)
    ```
    Runs behind moe-bind-params, whose pools of paged bases have a first extent that is not known; a cluster moves as a whole, so that their tables of
    places say the same, and one is asked for. The lease is of the clusters that the rows' moe.group sorts by, begins
    in front of the first product that reads them and ends behind the last one. What needs none of the bases moves in front of
    it, prefetches too: a shared expert is computed, and the router of a layer beside this one asked, while bases are read. Products of
    several sortings get a lease each, one behind the other; where they wait for each other in turn, the function is refused.

    ```
    %rows, %ids, %p, %x = moe.dispatch …      %e = moert.begin …
    %out = … %rows …                          moert.dispatch %e part 0
    %y = moe.return %out, %x            ->    %count, %received = moert.receive %e part 0
                                              scf.for %first = %c0 to %count step %n {
                                                %rows, %ids, %p = moert.read %received[%first] …
                                                %out = … %rows …
                                                moert.write %received[%first] ins(%out)
                                              }
                                              moert.send_back %received
                                              %y = moert.collect %e part 0 …
    ```
    What uses received rows is done for so many of them at a time as there are tokens, or for `rows-at-a-time` if that is more: memory does not depend on how
    many come. What stands between and does not use them is done while they are on their way. With `moe.parts = n` on a moe.dispatch (moe-overlap-communication)
    tokens go in n parts, of which one is computed while the next one comes and the one before goes back.
  }];
  let options = [
    Option<"rowsAtATime", "rows-at-a-time", "int64_t", "/*default=*/64", "Fewest received rows that memory is planned for">
  ];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::linalg::LinalgDialect", "::mlir::scf::SCFDialect",
                           "::moec::moe::MoEDialect", "::moec::moert::MoERTDialect", "::mlir::tensor::TensorDialect"];
}

def ConvertMoEToLinalgPass : Pass<"convert-moe-to-linalg", "::mlir::ModuleOp"> {
  let summary = "the reference lowering: plain linalg, scf and tensor operations";
  let description = [{
    Defines what moe operations mean; every other path is compared with it. Plain and slow on purpose: each weight
    expression is built as a dense tensor, each matmul is one linalg.generic. Takes any of the three forms, or a mix.
    Params are evaluated at compile time: seeded values, recipes, and what each encoding makes of them.

    Operations with the attribute `moe.kernel` stay, between `moe.id_cast` where ids meet their numbers. Otherwise no moe
    operation or type is left afterwards.
  }];
  let options = [
    ListOption<"weights", "weights", "std::string",
               "Binds a scope of external params: scope=file.safetensors, scope=splat:V or scope=seeded:S[:scale]">,
    Option<"maxBytes", "max-bytes", "int64_t", "/*default=*/1073741824",
           "Most bytes that the values of all params may take; more is refused">
  ];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::linalg::LinalgDialect", "::mlir::math::MathDialect",
                           "::mlir::scf::SCFDialect", "::mlir::tensor::TensorDialect"];
}

def SelectCPUKernelsPass : Pass<"moe-select-cpu-kernels", "::mlir::ModuleOp"> {
  let summary = "marks the operations that CPU kernels do";
  let description = [{
    Scheduled operations that compute in f32 with stored weights of layout panel16 get the attribute `moe.kernel`, and so do
    the wraps of their weights: convert-moe-to-linalg leaves them, and convert-moe-to-cpu lowers them on buffers. A remark says
    why another operation goes through the reference lowering.
  }];
}

def ConvertMoEToCPUPass : Pass<"convert-moe-to-cpu", "::mlir::ModuleOp"> {
  let summary = "lowers scheduled operations on buffers to tasks of vector loops";
  let description = [{
    Each operation becomes a few stages: an scf.parallel whose body calls one task, a private function. Tasks call
    matmul functions, one for each encoding: register tiles of the instruction set over panels of 16 columns, blocked in the
    reduction. The attribute `moe.schedule` of an operation replaces sizes of the instruction set's table, for example
    `moe.schedule = {task_rows = 32}`. docs/cpu.md shows how a layer becomes loops.
  }];
  let options = [
    Option<"instructionSet", "isa", "std::string", "\"x86-64-v3\"",
           "Instruction set: portable, x86-64-v3 or x86-64-v4">
  ];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::func::FuncDialect", "::mlir::LLVM::LLVMDialect",
                           "::mlir::math::MathDialect", "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect",
                           "::mlir::vector::VectorDialect"];
}

def SelectCUDAKernelsPass : Pass<"moe-select-cuda-kernels", "::mlir::ModuleOp"> {
  let summary = "marks the operations that have CUDA kernels of their own";
  let description = [{
    Groups, combines, and products of f16 or bf16 rows with weights of that type in row_major get the attribute `moe.kernel`,
    and so do the wraps of their weights: convert-moe-to-linalg leaves them, and convert-moe-to-cuda makes kernels of them on
    buffers. `moe.rows_per_token` says how many rows of a group a token has. A remark says why another operation goes through
    the reference lowering.
  }];
}

def ScheduleCUDAKernelsPass : Pass<"moe-schedule-cuda-kernels", "::mlir::ModuleOp"> {
  let summary = "says with which sizes products get their CUDA kernels";
  let description = [{
    Each product that moe-select-cuda-kernels marked gets the attribute `moe.schedule`, the target's table, unless it has one: a
    list of dictionaries, of which the host takes the first whose `most_rows` the groups do not exceed on average, or the last.
    Who writes the attribute names only what differs from the last row of the table of sm_80. docs/cuda.md has the table.

    ```
    moe.schedule = [ {most_rows = 16, rows = 16, stages = 4, warps_down = 1, warps_across = 4}, {rows = 64} ]
    ```

    `residual_form` of each says how experts' residuals are added: those of all experts of a cluster (dense), of the experts that
    some of 16 rows have (present), both on tensor cores, or row by row (slot). A cost model picks the cheapest for the rows, experts and
    ranks there are, and a remark has its numbers; `residual-form` asks for one of them. docs/cuda/tile.md says what they do.

    `shrink_rows` of each is how many pairs of one expert are a tile of what its residuals start from, x·A, on tensor cores; 0: each pair for itself, without.

    With `fast-activations` those that have an activation get `moe.fast_activations`: silu, sigmoid_alpha, gelu_tanh and tanh are
    made of the GPU's instruction for tanh, whose relative error is up to 2⁻¹¹; silu(x) = x/2 + x/2·tanh(x/2).

    With `atomic-sums` up gets `moe.atomic_sums`: blocks add what the experts' factors of down make of their columns to one sum, in the order in which
    they come. That takes less memory than a part for each block, and last bits of results are others from run to run.
  }];
  let options = [
    Option<"target", "target", "std::string", "\"sm_80\"", "What GPUs the kernels are for: sm_80 or sm_90a">,
    Option<"fastActivations", "fast-activations", "bool", "false", "Whether activations are made of the instruction for tanh, which is less exact">,
    Option<"atomicSums", "atomic-sums", "bool", "false", "Whether blocks add to one sum in any order, so that results may differ in their last bits">,
    Option<"residualForm", "residual-form", "std::string", "\"auto\"", "How experts' residuals are added: auto, dense, present or slot">
  ];
}

def ConvertMoEToCUDAPass : Pass<"convert-moe-to-cuda", "::mlir::ModuleOp"> {
  let summary = "makes kernels of scheduled operations on buffers";
  let description = [{
    Each operation becomes a few kernels, `gpu.func`s of the module `@moec_kernels`, and their gpu.launch_func. Tensor cores
    multiply tiles of the base, for all rows of a cluster at once; while a tile is in shared memory, the experts of each row
    add their residuals. Rows of a cluster are sorted by their experts. Sums have one order, so results do not change from run
    to run. docs/cuda.md shows how a layer becomes kernels.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::func::FuncDialect", "::mlir::gpu::GPUDialect",
                           "::mlir::linalg::LinalgDialect", "::mlir::LLVM::LLVMDialect", "::mlir::math::MathDialect",
                           "::mlir::memref::MemRefDialect", "::mlir::NVVM::NVVMDialect", "::mlir::scf::SCFDialect"];
}

def SplitSumsPass : Pass<"moe-split-sums", "::mlir::ModuleOp"> {
  let summary = "makes kernels of long sums, whose threads share the terms";
  let description = [{
    Runs on bufferised entries. A structured operation whose only result adds up terms along one dimension becomes a kernel of
    blocks, where it would be a loop of one thread: products outside of layers, with 64 terms or more (a router's logits),
    and sums of rows, with 512 terms or more (norms). Numbers beside each other in memory are read by lanes beside each other,
    the warps of a block share the terms, and each thread adds up those of a few rows and columns at once, by rows for few and for many.
    Products of many rows whose factors are f16 or bf16 and lie row by row are tiles on tensor cores instead. Partial sums are f32, whatever the result is, and are added in one
    order: results do not change from run to run.

    Left alone: sums of f64 and of integers, and operations that do more than add a term, which may be a product and may depend on a
    condition.
  }];
  let dependentDialects = ["::mlir::affine::AffineDialect", "::mlir::arith::ArithDialect", "::mlir::gpu::GPUDialect",
                           "::mlir::LLVM::LLVMDialect", "::mlir::math::MathDialect", "::mlir::memref::MemRefDialect",
                           "::mlir::NVVM::NVVMDialect", "::mlir::scf::SCFDialect"];
}

def MakeParallelLoopsPass : Pass<"moe-make-parallel-loops", "::mlir::ModuleOp"> {
  let summary = "makes loops of structured operations in entries";
  let description = [{
    Runs on bufferised entries, the functions with `moec.arguments`. Structured operations and copies become one scf.parallel of
    their free loops, with scf.for inside that carry the sums, in the order of the reference lowering. Loops of the reference
    lowering with `moec.free_turns` become scf.parallel too.
  }];
  let dependentDialects = ["::mlir::affine::AffineDialect", "::mlir::arith::ArithDialect", "::mlir::memref::MemRefDialect",
                           "::mlir::scf::SCFDialect"];
}

def FuseTurnsPass : Pass<"moe-fuse-turns", "::mlir::ModuleOp"> {
  let summary = "makes one parallel loop of several over the same rows";
  let description = [{
    Runs on bufferised entries after moe-make-parallel-loops. Parallel loops with the same first extent, of which no turn reads
    what another turn writes – the stages of a router, for each token – become one loop over rows with
    `moec.turn_of_block`, whose body is the loops without their first dimension, one behind the other. It becomes one
    kernel, a block for each row. What stands between and has nothing to do with them moves in front.

    Loops of more than 1024 turns for each row stay alone, and so do those that write to arguments: one buffer may be handed in
    twice.
  }];
  let dependentDialects = ["::mlir::scf::SCFDialect"];
}

def OutlineKernelsPass : Pass<"moe-outline-kernels", "::mlir::ModuleOp"> {
  let summary = "makes kernels of all that touches memory in entries";
  let description = [{
    Runs on bufferised entries, the functions with `moec.arguments`, whose memory is a GPU's. What stays on the host computes
    extents and takes views. Parallel loops become kernels of one thread for each turn, those with `moec.turn_of_block` of one
    block for each turn, whose threads share the turns of the loops inside and meet behind each. Other loops, and numbers
    that are read from memory with all that needs them, become kernels of one thread.

    Kernels are `gpu.func`s of the module `@moec_kernels`. A launch is a call of a private function that has no body yet,
    with the entry's new last argument, the launch context, and the number of blocks in front of what the kernel takes:

    ```
    func.call @moec.launch.layer_0(%context, %blocks, %x, %y) : (!llvm.ptr, index, memref<?x64xf32>, memref<?x64xf32>) -> ()
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::func::FuncDialect", "::mlir::gpu::GPUDialect",
                           "::mlir::LLVM::LLVMDialect", "::mlir::memref::MemRefDialect",
                           "::mlir::scf::SCFDialect"];
}

def ConvertKernelsToNVVMPass : Pass<"convert-kernels-to-nvvm"> {
  let summary = "lowers device functions to the LLVM and NVVM dialects";
  let description = [{
    Of a gpu.module that holds gpu, memref, arith, math and cf. Functions such as exp and tanh become polynomials in f32: the
    library that CUDA has for them is not needed. Square roots and fused multiply-adds are instructions. Arguments that a kernel
    has tensor maps of (`moec.tensor_maps`) become the maps, handed over by value.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::LLVM::LLVMDialect", "::mlir::math::MathDialect",
                           "::mlir::NVVM::NVVMDialect", "::mlir::vector::VectorDialect"];
}

def KernelsToPTXPass : Pass<"moe-kernels-to-ptx", "::mlir::ModuleOp"> {
  let summary = "compiles device functions to PTX";
  let description = [{
    The module `@moec_kernels`, lowered to the LLVM and NVVM dialects, is translated by LLVM and replaced by the attribute
    `moec.device_code` of the module: target, PTX, names of kernels and the shared memory they use. Neither a GPU nor a
    CUDA toolkit is needed, so a call of a function that only the toolkit's library has is refused.
  }];
  let options = [
    Option<"target", "target", "std::string", "\"sm_80\"", "What GPUs the code is for: sm_80 or sm_90a">,
    Option<"ptxas", "ptxas", "std::string", "", "CUDA's assembler, by which the code is kept as a cubin too">
  ];
}

def OverlapKernelsPass : Pass<"moe-overlap-kernels", "::mlir::ModuleOp"> {
  let summary = "lets each kernel begin before the kernel in front of it has ended";
  let description = [{
    For GPUs from sm_90 on. A kernel lets the next one begin (`griddepcontrol.launch_dependents`) as soon as all its blocks have,
    and waits (`griddepcontrol.wait`) until the one before it is done in front of the first operation that may touch device
    memory: only what a block prepares of its own comes before. Launches get `moec.is_dependent`.
  }];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect"];
}

def DefineLaunchesPass : Pass<"moe-define-launches", "::mlir::ModuleOp"> {
  let summary = "lets functions that stand for launches call the runtime";
  let description = [{
    Runs in the LLVM dialect, where both sides of a launch have taken buffers apart in the same way: the functions
    `@moec.launch.*` put their arguments into a list of pointers and call `moert_cuda_launch` (moert/abi.h). Views that a kernel
    has tensor maps of (`moec.tensor_maps`) become maps, by `moert_cuda_tensor_map`.
  }];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect"];
}

def PlanWorkspacePass : Pass<"moe-plan-workspace", "::mlir::ModuleOp"> {
  let summary = "takes all scratch memory from one buffer that the caller hands in";
  let description = [{
    Runs on bufferised entries, the functions with `moec.arguments`. Every memref.alloc becomes a view into a last
    argument, the workspace, at a multiple of 64 bytes; buffers that are never used at the same time share a place when
    their sizes differ by a constant factor. A second function, `@<name>_workspace`, takes the same arguments, reads
    their extents alone, and returns the bytes needed: the largest number there is when an extent exceeds 2^31 - 1.

    An allocation in a loop is made once. Refused are allocations whose size depends on data and has no bound, those
    that a loop carries to its next turn, and those in parallel loops.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::memref::MemRefDialect", "::mlir::func::FuncDialect"];
}

def PrefixEntriesPass : Pass<"moe-prefix-entries", "::mlir::ModuleOp"> {
  let summary = "keeps the names of a model apart from those of C";
  let description = [{
    Each function with a body is renamed: `@tanh` becomes `@moec.tanh`. Lowering to LLVM calls functions of the C library
    by name, and a model may call its own whatever it likes.
  }];
}

def ExpandCopiesPass : Pass<"moe-expand-copies"> {
  let summary = "turns copies between strided buffers into loops";
  let description = [{
    A memref.copy with a strided side becomes a linalg.generic. Upstream's lowering would call a function of a support
    library that compiled models do not have. Copies between plain buffers stay: they are memcpy.
  }];
  let dependentDialects = ["::mlir::linalg::LinalgDialect"];
}

def WrapProductsPass : Pass<"moe-wrap-products"> {
  let summary = "products beside a layer become products of stored weights";
  let description = [{
    A linalg operation on buffers that adds to rows y the rows x times a matrix of known extents, stored as [IN, OUT] or [OUT, IN], becomes a
    `moe.grouped_matmul` of that matrix: convert-moe-to-cpu then computes a router's logits with the kernels of experts. x and y are of one type,
    f32, f16 or bf16, and the matrix of one of them. What is f16 or bf16 is summed in f32 and rounded once, with which it is nearer to the sum than
    in the order that linalg says. Anything else stays.

    ```
    linalg.matmul ins(%x, %w : memref<?x64xf32>, memref<64x32xf32>) outs(%y : memref<?x32xf32>)
    ```

    becomes

    ```
    %weight = moe.wrap %w : memref<64x32xf32> to !moe.weight<64x32xf32>
    moe.grouped_matmul accumulate ins(%x : memref<?x64xf32>) weights(%weight : !moe.weight<64x32xf32>) outs(%y : memref<?x32xf32>)
    ```
  }];
  let dependentDialects = ["::moec::moe::MoEDialect", "::mlir::memref::MemRefDialect"];
}

def OrderLoopsPass : Pass<"moe-order-loops"> {
  let summary = "makes columns of a result the innermost dimension of a reduction";
  let description = [{
    Of a linalg operation on buffers with a reduction, the last dimension of its result goes to the inside, if each operand that
    depends on it has it as its last one too: loops then read and write numbers beside each other, and additions to different numbers
    do not wait for each other. The sums of a number are added in the order that they had before, so no bit changes. Reductions along
    rows stay: there is nothing else to go to the inside.

    ```
    linalg.matmul ins(%x, %w) outs(%y)     // for m, n, k   y[m, n] += x[m, k] * w[k, n]
    ```

    becomes

    ```
    linalg.generic {iterator_types = ["parallel", "reduction", "parallel"]} ...     // for m, k, n
    ```
  }];
  let dependentDialects = ["::mlir::linalg::LinalgDialect"];
}

def VectorizeLoopsPass : Pass<"moe-vectorize-loops"> {
  let summary = "makes vector loops of norms and element-wise operations";
  let description = [{
    A linalg operation on buffers of floats from f16 to f64 and of i32 whose body is arithmetic, square roots and absolute values becomes loops, of which the
    last takes 16 numbers at a time, and then what is left one by one; where a caller's numbers are not beside each other, all of them. What is the same
    along a row, such as the scale of a norm, is computed once in front of it. A reduction of f32 along rows, such as a sum of squares, has 16 partial sums, which
    are added in their order: its result does not depend on the number of threads, but in its last digits on this order. Rows, the first loop if it is
    parallel, are shared among threads. Operands must not overlap, unless they are the same: so they are where one-shot-bufferize made them.

    Left alone are functions of the C library, `linalg.index`, results narrower than 16 columns, reductions in other types, and operands that
    are not read along their last dimension.
  }];
  let dependentDialects = ["::mlir::affine::AffineDialect", "::mlir::arith::ArithDialect", "::mlir::memref::MemRefDialect",
                           "::mlir::scf::SCFDialect", "::mlir::vector::VectorDialect"];
}

def OutlineParallelPass : Pass<"moe-outline-parallel", "::mlir::ModuleOp"> {
  let summary = "runs parallel loops of entries on the caller's threads";
  let description = [{
    Runs on bufferised entries, the functions with `moec.arguments`. Each scf.parallel of one dimension with step 1 becomes
    a private function that runs a range of its turns, and a call of `moert_parallel_for` (moert/abi.h), which shares the
    turns among the threads of the call's executor, or runs them all where there is none. What the body uses from outside
    travels in a struct on the entry's stack; constants and addresses of globals are made again. The entry gets a last
    argument, the executor.

    ```
    scf.parallel (%i) = (%c0) to (%n) step (%c1) {
      func.call @task(%x, %i) : (memref<?xf32>, index) -> ()
    } {moe.grain = 4 : i64}
    ```
    becomes, with `@moec.f.parallel(%data: !llvm.ptr, %first: i64, %last: i64)` beside the entry,
    ```
    func.call @moert_parallel_for(%executor, %count, %c4, %body, %data)
        : (!llvm.ptr, i64, i64, !llvm.ptr, !llvm.ptr) -> ()
    ```

    `moe.grain` is the fewest turns worth a call of their own, 1 where it is missing. Loops inside such a loop, of more
    dimensions, of other steps or with reductions stay, and run one turn after the other. An alloca in the loop moves to
    the start of the private function, and must have constant extents.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::func::FuncDialect", "::mlir::LLVM::LLVMDialect",
                           "::mlir::scf::SCFDialect"];
}

def ConvertMoERTToLLVMPass : Pass<"convert-moert-to-llvm", "::mlir::ModuleOp"> {
  let summary = "asks the runtime for bases, and for other ranks' rows, by calls";
  let description = [{
    Runs on entries, the functions with `moec.arguments`, on buffers, behind moe-outline-parallel. The operations become calls of `moert_paging_prefetch`,
    `moert_paging_acquire` and `moert_paging_release` (moert/abi.h), and the entry gets a last argument behind the executor, the call's paging.

    ```
    %lease = moert.acquire ins(%clusters, %table : memref<?x2xi32>, memref<4xi32>) outs(%slots : memref<4xi32>)
    ```
    becomes
    ```
    func.call @moert_paging_acquire(%paging, %clusters, %count, %table, %c4, %slots) : (!llvm.ptr, !llvm.ptr, i64, !llvm.ptr, i64, !llvm.ptr) -> ()
    ```
    Numbers lie one behind the other; those of arguments do so because moe-export-entries asks for it.

    Exchanges become calls of `moert_exchange_begin` and the functions beside it, with one argument more, behind the paging; moert.read and moert.write
    copy rows from and to the memory that `moert_exchange_receive` names. The entry then has `moec.exchanges`, which its manifest repeats.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::func::FuncDialect", "::mlir::LLVM::LLVMDialect",
                           "::mlir::memref::MemRefDialect"];
}

def ExpandNarrowFloatsPass : Pass<"moe-expand-narrow-floats"> {
  let summary = "turns conversions from and to f16 and bf16 into integer operations";
  let description = [{
    arith.extf and arith.truncf between {f16, bf16} and {f32, f64} become integer operations that a plain CPU has: exact
    when widening, to nearest even when narrowing, from f64 too, in one rounding. LLVM would call functions of the C
    compiler's support library. Arithmetic on narrow floats is none of its business: `arith-emulate-unsupported-floats`
    and `math-extend-to-supported-types` come first.
  }];
  let options = [
    Option<"keepHalfVectors", "keep-half-vectors", "bool", "/*default=*/false",
           "Leave vectors of f16 that are widened to f32, or rounded from it: the CPU has instructions for it">
  ];
  let dependentDialects = ["::mlir::arith::ArithDialect"];
}

def KeepNarrowFloatsAsBitsPass : Pass<"moe-keep-narrow-floats-as-bits", "::mlir::ModuleOp"> {
  let summary = "replaces f16 and bf16 by i16 in the LLVM dialect";
  let description = [{
    Runs last, when f16 and bf16 are only loaded, stored, chosen and cast: constants, globals and types become those of
    i16. LLVM's optimiser otherwise forms selects of narrow floats, which plain CPUs do in f32, and calls functions of
    the C compiler's support library for the way back. Arithmetic on narrow floats that is left is refused.
  }];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect"];
}

#endif // MOEC_LOWERING_PASSES_TD
