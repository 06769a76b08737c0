// Rows that ranks exchange.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_DIALECTS_MOERT_IR_EXCHANGEOPS_TD
#define MOEC_DIALECTS_MOERT_IR_EXCHANGEOPS_TD

include "mlir/Interfaces/SideEffectInterfaces.td"
include "dialects/MoERT/IR/MoERTTypes.td"

/// A tensor of floats, or after bufferisation a buffer.
def MoERT_Rows : AnyTypeOf<[RankedTensorOf<[F32, F16, BF16]>, StridedMemRefOf<[F32, F16, BF16]>]>;
def MoERT_Ids : AnyTypeOf<[RankedTensorOf<[I32]>, StridedMemRefOf<[I32]>]>;
def MoERT_Gates : AnyTypeOf<[RankedTensorOf<[F32]>, StridedMemRefOf<[F32]>]>;
def MoERT_Part : ConfinedAttr<I32Attr, [IntNonNegative]>;

class MoERT_ExchangeOp<string mnemonic>
    : Op<MoERT_Dialect, mnemonic, [DeclareOpInterfaceMethods<MemoryEffectsOpInterface>]> {
  let hasVerifier = 1;
}

def MoERT_BeginOp : MoERT_ExchangeOp<"begin"> {
  let summary = "begins an exchange of rows between ranks";
  let description = [{
    `rows` are this rank's tokens, T x D; `ids`, `clusters` and `gates` are T x k: the experts of each token, the cluster that each of them is in (without
    `by`: the experts themselves) and its gate weight. An id of −1 goes nowhere. `outs` is where the sums will be that come back, T x D: moert.collect
    yields them, and nothing else touches it until then. Tokens go in `parts` parts, of which part c of n has the tokens from T·c/n on, up to T·(c+1)/n. Nothing is
    sent yet. All that is named here stays as it is until the last part is collected. Constraints Y1, Y2.

    ```mlir
    func.func @there_and_back(%x: tensor<?x64xf32>, %ids: tensor<?x2xi32>, %p: tensor<?x2xf32>, %o: tensor<?x64xf32>, %r: tensor<512x64xf32>, %i: tensor<512x2xi32>, %q: tensor<512x2xf32>) -> tensor<?x64xf32> {
      %c0 = arith.constant 0 : index
      %c512 = arith.constant 512 : index
      %e, %sums = moert.begin ins(%x, %ids, %p : tensor<?x64xf32>, tensor<?x2xi32>, tensor<?x2xf32>) outs(%o : tensor<?x64xf32>) parts 1 -> tensor<?x64xf32>
      moert.dispatch %e part 0
      %count, %received = moert.receive %e part 0
      scf.for %first = %c0 to %count step %c512 {
        %rows, %row_ids, %row_gates = moert.read %received[%first] outs(%r, %i, %q : tensor<512x64xf32>, tensor<512x2xi32>, tensor<512x2xf32>)
          -> tensor<512x64xf32>, tensor<512x2xi32>, tensor<512x2xf32>
        moert.write %received[%first] ins(%rows : tensor<512x64xf32>)
      }
      moert.send_back %received
      %y = moert.collect %e part 0 ins(%x, %ids, %p : tensor<?x64xf32>, tensor<?x2xi32>, tensor<?x2xf32>) outs(%sums : tensor<?x64xf32>) -> tensor<?x64xf32>
      return %y : tensor<?x64xf32>
    }
    ```
  }];
  let arguments = (ins MoERT_Rows:$rows, MoERT_Ids:$ids, MoERT_Gates:$gates, Optional<MoERT_Ids>:$clusters, MoERT_Rows:$init,
                       ConfinedAttr<I32Attr, [IntMinValue<1>, IntMaxValue<16>]>:$parts);
  let results = (outs MoERT_ExchangeType:$exchange, Optional<AnyRankedTensor>:$sums);
  let assemblyFormat = [{
    `ins` `(` $rows `,` $ids `,` $gates `:` type($rows) `,` type($ids) `,` type($gates) `)` (`by` `(` $clusters^ `:` type($clusters) `)`)?
    `outs` `(` $init `:` type($init) `)` `parts` $parts attr-dict (`->` type($sums)^)?
  }];
}

def MoERT_DispatchOp : MoERT_ExchangeOp<"dispatch"> {
  let summary = "starts sending one part's rows";
  let description = [{
    Each row goes once to each rank that has one of its clusters. Does not wait. Parts go in their order. Effects: writes `Exchanges`. Constraint Y3.

    ```mlir
    func.func @start(%e: !moert.exchange) {
      moert.dispatch %e part 0
      return
    }
    ```
  }];
  let arguments = (ins MoERT_ExchangeType:$exchange, MoERT_Part:$part);
  let assemblyFormat = "$exchange `part` $part attr-dict";
}

def MoERT_ReceiveOp : MoERT_ExchangeOp<"receive"> {
  let summary = "waits for one part's rows";
  let description = [{
    Yields how many rows this rank has received, and what holds them until moert.send_back. If they do not come, there are none, and the call fails when it
    returns. Effects: reads and writes `Exchanges`. Constraint Y3.

    ```mlir
    func.func @wait(%e: !moert.exchange) -> index {
      %count, %received = moert.receive %e part 0
      moert.send_back %received
      return %count : index
    }
    ```
  }];
  let arguments = (ins MoERT_ExchangeType:$exchange, MoERT_Part:$part);
  let results = (outs Index:$count, MoERT_ReceivedType:$received);
  let assemblyFormat = "$exchange `part` $part attr-dict";
}

def MoERT_ReadOp : MoERT_ExchangeOp<"read"> {
  let summary = "copies received rows";
  let description = [{
    Those from `first` on, as many as the destinations have rows: behind the last one that was received ids are −1 and gate weights 0, and nothing is said of
    rows. `first` is below the number of rows received. Ids of experts that are not this rank's are −1. Effects: reads `Exchanges`; on buffers
    writes the destinations. Constraints Y1, Y4.

    ```mlir
    func.func @first(%received: !moert.received, %r: memref<8x64xf32>, %i: memref<8x2xi32>, %p: memref<8x2xf32>) {
      %c0 = arith.constant 0 : index
      moert.read %received[%c0] outs(%r, %i, %p : memref<8x64xf32>, memref<8x2xi32>, memref<8x2xf32>)
      return
    }
    ```
  }];
  let arguments = (ins MoERT_ReceivedType:$received, Index:$first, MoERT_Rows:$rows, MoERT_Ids:$ids, MoERT_Gates:$gates);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let assemblyFormat = [{
    $received `[` $first `]` `outs` `(` $rows `,` $ids `,` $gates `:` type($rows) `,` type($ids) `,` type($gates) `)` attr-dict (`->` type($results)^)?
  }];
}

def MoERT_WriteOp : MoERT_ExchangeOp<"write"> {
  let summary = "says what was computed of received rows";
  let description = [{
    Of those from `first` on; rows behind the last one that was received are left out. Effects: writes `Exchanges`; on buffers reads the rows. Constraint Y4.

    ```mlir
    func.func @first(%received: !moert.received, %y: tensor<8x64xf32>) {
      %c0 = arith.constant 0 : index
      moert.write %received[%c0] ins(%y : tensor<8x64xf32>)
      return
    }
    ```
  }];
  let arguments = (ins MoERT_ReceivedType:$received, Index:$first, MoERT_Rows:$rows);
  let assemblyFormat = "$received `[` $first `]` `ins` `(` $rows `:` type($rows) `)` attr-dict";
}

def MoERT_SendBackOp : MoERT_ExchangeOp<"send_back"> {
  let summary = "starts the way back of received rows";
  let description = [{
    All rows have been written. Does not wait. Effects: writes `Exchanges`, frees what was received.

    ```mlir
    func.func @back(%received: !moert.received) {
      moert.send_back %received
      return
    }
    ```
  }];
  let arguments = (ins MoERT_ReceivedType:$received);
  let assemblyFormat = "$received attr-dict";
  let hasVerifier = 0;
}

def MoERT_CollectOp : MoERT_ExchangeOp<"collect"> {
  let summary = "waits for what comes back of one part's rows, and sums it";
  let description = [{
    Row t of the result is the sum over the ranks that token t was sent to, in the order of their numbers, or zero; rows of other parts are those of
    `outs`: the destination of the exchange's moert.begin, on tensors its result, or what an earlier moert.collect made of it. `ins` names what has had to stay as
    it was. Effects: reads and writes `Exchanges`; on buffers reads `ins` and writes the destination. Constraints Y1 to Y3.

    ```mlir
    func.func @end(%e: !moert.exchange, %x: memref<8x64xf32>, %ids: memref<8x2xi32>, %p: memref<8x2xf32>, %y: memref<8x64xf32>) {
      moert.collect %e part 0 ins(%x, %ids, %p : memref<8x64xf32>, memref<8x2xi32>, memref<8x2xf32>) outs(%y : memref<8x64xf32>)
      return
    }
    ```
  }];
  let arguments = (ins MoERT_ExchangeType:$exchange, MoERT_Rows:$rows, MoERT_Ids:$ids, MoERT_Gates:$gates, Optional<MoERT_Ids>:$clusters, MoERT_Rows:$init,
                       MoERT_Part:$part);
  let results = (outs Optional<AnyRankedTensor>:$result);
  let assemblyFormat = [{
    $exchange `part` $part `ins` `(` $rows `,` $ids `,` $gates `:` type($rows) `,` type($ids) `,` type($gates) `)` (`by` `(` $clusters^ `:` type($clusters) `)`)?
    `outs` `(` $init `:` type($init) `)` attr-dict (`->` type($result)^)?
  }];
}

#endif // MOEC_DIALECTS_MOERT_IR_EXCHANGEOPS_TD
