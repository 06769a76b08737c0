// The moe dialect itself: prose, version log, defaults.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_DIALECTS_MOE_IR_MOEDIALECT_TD
#define MOEC_DIALECTS_MOE_IR_MOEDIALECT_TD

include "mlir/IR/OpBase.td"

def MoE_Dialect : Dialect {
  let name = "moe";
  let cppNamespace = "::moec::moe";
  let summary = "Mixture-of-Experts layers whose experts share structure";
  let description = [{
    A layer's experts are written as *weight expressions*: a base shared by a cluster of experts plus what is an
    expert's own. Passes see that structure and rewrite the arithmetic exactly.

    ```
      graph form       moe.route, moe.experts, moe.weight.*       what the model says
          | moe-insert-communication                              if ranks share the experts: moe.dispatch, moe.return around a layer
          | moe-decompose-experts
      slot form        moe.apply, spread, combine, ...            where the algebra happens: [token, slot, feature]
          | moe-group-tokens, moe-fuse-residual
      scheduled form   moe.group, gather, grouped_matmul, ...     rows sorted by cluster, destination style
    ```

    Weights are symbolic: a value of type `!moe.weight` is never a buffer. Which expert is in which cluster is data (a
    table), so entry counts in types are capacities. `docs/spec.md` numbers every constraint; messages start with
    the number.

    Version log: 0.1 first version.
  }];
  let useDefaultTypePrinterParser = 1;
  let useDefaultAttributePrinterParser = 1;
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::tensor::TensorDialect"];
  let extraClassDeclaration = [{
    void registerAttributes();
    void registerTypes();
  }];
}

#endif // MOEC_DIALECTS_MOE_IR_MOEDIALECT_TD
