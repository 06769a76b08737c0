// Types of the moert dialect: lease, exchange, received.
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

def MoERT_ExchangeType : TypeDef<MoERT_Dialect, "Exchange"> {
  let mnemonic = "exchange";
  let summary = "rows on their way between ranks";
  let description = [{
    From its moert.begin to the moert.collect of its last part.
  }];
}

def MoERT_ReceivedType : TypeDef<MoERT_Dialect, "Received"> {
  let mnemonic = "received";
  let summary = "rows that other ranks have sent, and what is computed of them";
  let description = [{
    From its moert.receive to its moert.send_back.
  }];
}

#endif // MOEC_DIALECTS_MOERT_IR_MOERTTYPES_TD
