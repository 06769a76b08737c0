// The moert dialect itself: prose, version log, defaults.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_DIALECTS_MOERT_IR_MOERTDIALECT_TD
#define MOEC_DIALECTS_MOERT_IR_MOERTDIALECT_TD

include "mlir/IR/OpBase.td"

def MoERT_Dialect : Dialect {
  let name = "moert";
  let cppNamespace = "::moec::moert";
  let summary = "What compiled code asks of the runtime: bases in memory, rows on other ranks";
  let description = [{
    Bases of clusters are most of a model's bytes, and may be on disk. A compiled layer says which ones it is about to read, and
    which ones are probably next; what is in memory, and what leaves it, is the runtime's business (docs/residency.md).

    ```
      moe-insert-prefetch     moert.prefetch as soon as ids exist; of the next layer by its own router, on this layer's rows
      convert-moe-to-moert    moert.acquire in front of the first product that reads a base, moert.release behind the last
      moe-verify-leases       one release on every path, no use behind it
      convert-moert-to-llvm   calls of moert_paging_prefetch, _acquire, _release (moert/abi.h)
    ```

    Experts may be on other ranks. A compiled layer says where its tokens' experts are, receives the rows of those that are here, and sends back what
    it computed; what lies between ranks is the runtime's business.

    ```
      moe-insert-communication     moe.dispatch and moe.return around an expert layer
      convert-moe-to-moert         a loop over the rows received between moert.receive and moert.send_back
      convert-moert-to-llvm        calls of moert_exchange_begin, _dispatch, _receive, _send_back, _collect (moert/abi.h)
    ```

    Each operation exists on tensors and on buffers, as those of moe's scheduled form do. On tensors the order of the text says
    what happens first: the operations have an effect on the resources `Residency` or `Exchanges`, so nothing erases them, merges them or moves them
    past each other, and products depend on the places that acquire yields. On buffers they also name the memory whose content
    they change: a load of a base before a release is another one than a load behind it.

    Version log: 0.1 first version.
  }];
  let useDefaultTypePrinterParser = 1;
}

#endif // MOEC_DIALECTS_MOERT_IR_MOERTDIALECT_TD
