// Types of the moert dialect: lease.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_DIALECTS_MOERT_IR_MOERTTYPES_TD
#define MOEC_DIALECTS_MOERT_IR_MOERTTYPES_TD

include "mlir/IR/AttrTypeBase.td"
include "dialects/MoERT/IR/MoERTDialect.td"

def MoERT_LeaseType : TypeDef<MoERT_Dialect, "Lease"> {
  let mnemonic = "lease";
  let summary = "the right to read the bases of some clusters";
  let description = [{
    From its moert.acquire to its moert.release they stay where they are. A lease is passed to nothing but its releases.
  }];
}

#endif // MOEC_DIALECTS_MOERT_IR_MOERTTYPES_TD
