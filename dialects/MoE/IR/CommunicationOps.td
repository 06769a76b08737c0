// Where rows leave for the ranks that have their experts, and come back.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_DIALECTS_MOE_IR_COMMUNICATIONOPS_TD
#define MOEC_DIALECTS_MOE_IR_COMMUNICATIONOPS_TD

include "dialects/MoE/IR/MoEOpBase.td"

/// An operation that all ranks of a program take part in, in the same order.
class MoE_CommunicationOp<string mnemonic, list<Trait> traits = []>
    : MoE_Op<mnemonic, [DeclareOpInterfaceMethods<MemoryEffectsOpInterface>] # traits> {
  let hasVerifier = 1;
}

/// A result that has an operand's type with a number of rows of its own.
class MoE_AnyRowsOf<string operand, string result>
    : TypesMatchWith<result # " is as " # operand # ", with any number of rows", operand, result,
                     "::moec::moe::withAnyRows($_self)">;

def MoE_DispatchOp : MoE_CommunicationOp<"dispatch", [MoE_AnyRowsOf<"input", "rows">, MoE_AnyRowsOf<"ids", "rowIds">,
                                                      MoE_AnyRowsOf<"weights", "rowWeights">]> {
  let summary = "sends tokens to the ranks that have their experts, and receives those of this rank's experts";
  let description = [{
    Ranks run one program, each on tokens of its own and with some of the clusters. A token goes once to each rank that was
    chosen for one of its clusters, with its ids and gate weights. Results: the rows that this rank receives, by rank of origin and then by
    token; the ids of their choices that are this rank's, −1 of all others; gate weights, 0 of those others. `by` says which expert is in which
    cluster; without it each expert is a cluster of its own. Which rank has which clusters is data that the runtime knows, and how many rows
    there are is known only when they are there. On one rank all results are the operands.

    The moe.return of `exchange` sends back what was computed of the rows. Ranks do all moe.dispatch and moe.return in one order: they have an effect on
    the resource `Communication`. Constraints X1, X2.

    ```mlir
    func.func @there_and_back(%x: tensor<?x64xf32>, %ids: tensor<?x2x!moe.id<expert[4]>>, %p: tensor<?x2xf32>, %t: !moe.table<expert[4] -> cluster[2]>) -> tensor<?x64xf32> {
      %rows, %row_ids, %row_weights, %exchange = moe.dispatch %x, %ids, %p by %t
        : tensor<?x64xf32>, tensor<?x2x!moe.id<expert[4]>>, tensor<?x2xf32> by !moe.table<expert[4] -> cluster[2]>
      %y = moe.return %rows, %exchange : tensor<?x64xf32> -> tensor<?x64xf32>
      return %y : tensor<?x64xf32>
    }
    ```
  }];
  let arguments = (ins MoE_Floats:$input, MoE_Ids:$ids, MoE_Floats:$weights, Optional<MoE_TableType>:$table);
  let results = (outs MoE_Floats:$rows, MoE_Ids:$rowIds, MoE_Floats:$rowWeights, MoE_ExchangeType:$exchange);
  let assemblyFormat = [{
    $input `,` $ids `,` $weights (`by` $table^)? attr-dict
    `:` type($input) `,` type($ids) `,` type($weights) (`by` qualified(type($table))^)?
  }];
}

def MoE_ReturnOp : MoE_CommunicationOp<"return", [
    DeclareOpInterfaceMethods<ReifyRankedShapedTypeOpInterface, ["reifyResultShapes"]>]> {
  let summary = "sends rows back to the ranks they came from, and sums what comes back for each token";
  let description = [{
    `rows` has a row for each row of the moe.dispatch that yielded `exchange`. y[t] is the sum over the ranks that token t was sent to, in the order
    of their numbers; zero if there are none. On one rank the result is `rows`. Constraint X3.

    ```mlir
    func.func @identity(%x: tensor<?x64xf32>, %ids: tensor<?x2x!moe.id<expert[4]>>, %p: tensor<?x2xf32>) -> tensor<?x64xf32> {
      %rows, %row_ids, %row_weights, %exchange = moe.dispatch %x, %ids, %p : tensor<?x64xf32>, tensor<?x2x!moe.id<expert[4]>>, tensor<?x2xf32>
      %y = moe.return %rows, %exchange : tensor<?x64xf32> -> tensor<?x64xf32>
      return %y : tensor<?x64xf32>
    }
    ```
  }];
  let arguments = (ins MoE_Floats:$rows, MoE_ExchangeType:$exchange);
  let results = (outs MoE_Floats:$result);
  let assemblyFormat = "$rows `,` $exchange attr-dict `:` type($rows) `->` type($result)";
  let extraClassDeclaration = [{
    /// What yielded the exchange: the verifier asks for it.
    DispatchOp getDispatch();
  }];
}

#endif // MOEC_DIALECTS_MOE_IR_COMMUNICATIONOPS_TD
