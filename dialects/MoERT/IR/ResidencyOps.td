// What must be in memory, and when.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_DIALECTS_MOERT_IR_RESIDENCYOPS_TD
#define MOEC_DIALECTS_MOERT_IR_RESIDENCYOPS_TD

include "mlir/Interfaces/SideEffectInterfaces.td"
include "dialects/MoERT/IR/MoERTTypes.td"

/// A tensor of i32, or after bufferisation a buffer.
def MoERT_Numbers : AnyTypeOf<[RankedTensorOf<[I32]>, StridedMemRefOf<[I32]>]>;
/// The same of anything: a pool.
def MoERT_Pool : AnyTypeOf<[AnyRankedTensor, AnyStridedMemRef]>;

class MoERT_ResidencyOp<string mnemonic>
    : Op<MoERT_Dialect, mnemonic, [DeclareOpInterfaceMethods<MemoryEffectsOpInterface>]> {
  let hasVerifier = 1;
}

def MoERT_PrefetchOp : MoERT_ResidencyOp<"prefetch"> {
  let summary = "says which clusters' bases will probably be read soon";
  let description = [{
    A hint: reading may begin, nothing waits, and no result depends on it. `clusters` are ids of clusters in any order, −1 is none, repeats are
    allowed. They are this layer's, or with `ahead n` those of the layer n layers later in the model. Two equal ones in a row
    become one. Effects: writes `Residency`; reads the clusters. Constraint M2.

    ```mlir
    func.func @soon(%chosen: tensor<?x2xi32>, %next: tensor<?x2xi32>) {
      moert.prefetch %chosen : tensor<?x2xi32>
      moert.prefetch %next ahead 1 : tensor<?x2xi32>
      return
    }
    ```
  }];
  let arguments = (ins MoERT_Numbers:$clusters, DefaultValuedAttr<ConfinedAttr<I32Attr, [IntNonNegative]>, "0">:$ahead);
  let assemblyFormat = "$clusters (`ahead` $ahead^)? attr-dict `:` type($clusters)";
  let hasCanonicalizeMethod = 1;
}

def MoERT_AcquireOp : MoERT_ResidencyOp<"acquire"> {
  let summary = "waits until clusters' bases are in memory, and says where";
  let description = [{
    From here to the lease's release they stay there. `clusters` as of moert.prefetch, of this layer. The result, or the destination on
    buffers, is a table of places: where in `pools` each cluster of the layer is, −1 where it was not asked for. Without paging it
    is a copy of `table`, the places of a layer whose bases are all in memory.

    `pools` are what the places are of: arguments of the function, with one row for each place. If a base cannot be read, the call
    fails when it returns, and what is computed until then means nothing.

    Effects: reads and writes `Residency`; on buffers reads clusters and table, writes the destination and the pools. Constraints M1 to M4.

    ```mlir
    func.func @products(%chosen: tensor<?x2xi32>, %table: tensor<4xi32>, %pool: tensor<?x3x64x16xf32>, %places: tensor<4xi32>) {
      %lease, %slots = moert.acquire ins(%chosen, %table : tensor<?x2xi32>, tensor<4xi32>) pools(%pool : tensor<?x3x64x16xf32>)
        outs(%places : tensor<4xi32>) -> tensor<4xi32>
      moert.release %lease slots(%slots : tensor<4xi32>) pools(%pool : tensor<?x3x64x16xf32>)
      return
    }
    ```
  }];
  let arguments = (ins MoERT_Numbers:$clusters, MoERT_Numbers:$table, Variadic<MoERT_Pool>:$pools, MoERT_Numbers:$init);
  let results = (outs MoERT_LeaseType:$lease, Optional<RankedTensorOf<[I32]>>:$slots);
  let assemblyFormat = [{
    `ins` `(` $clusters `,` $table `:` type($clusters) `,` type($table) `)` (`pools` `(` $pools^ `:` type($pools) `)`)?
    `outs` `(` $init `:` type($init) `)` attr-dict (`->` type($slots)^)?
  }];
}

def MoERT_ReleaseOp : MoERT_ResidencyOp<"release"> {
  let summary = "ends a lease";
  let description = [{
    `slots` are the places that its moert.acquire yielded. From here on the pools hold whatever the runtime puts there. Effects: writes `Residency`, frees
    the lease; on buffers reads the slots and writes the pools. Constraints M1, M3, M4.

    ```mlir
    func.func @products(%chosen: memref<?xi32>, %table: memref<4xi32>, %pool: memref<?x64x32xf32>, %places: memref<4xi32>) {
      %lease = moert.acquire ins(%chosen, %table : memref<?xi32>, memref<4xi32>) pools(%pool : memref<?x64x32xf32>) outs(%places : memref<4xi32>)
      moert.release %lease slots(%places : memref<4xi32>) pools(%pool : memref<?x64x32xf32>)
      return
    }
    ```
  }];
  let arguments = (ins MoERT_LeaseType:$lease, MoERT_Numbers:$slots, Variadic<MoERT_Pool>:$pools);
  let assemblyFormat = [{
    $lease `slots` `(` $slots `:` type($slots) `)` (`pools` `(` $pools^ `:` type($pools) `)`)? attr-dict
  }];
}

#endif // MOEC_DIALECTS_MOERT_IR_RESIDENCYOPS_TD
