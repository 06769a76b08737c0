// Threads of one process as ranks.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_RUNTIME_COMM_LOCALTRANSPORT_H
#define MOEC_RUNTIME_COMM_LOCALTRANSPORT_H

#include "runtime/comm/Transport.h"

#include <memory>
#include <vector>

namespace moec::comm {

/// A link between every two ranks, as a block sees it: it occupies the sender's
/// and the receiver's end for its bytes, and arrives a latency later.
struct LinkModel {
  std::chrono::nanoseconds latency{0};
  /// 0: no time.
  uint64_t bytesPerSecond = 0;
};

/// One transport for each rank. Blocks are copied once, from where the sender
/// has them to where the receiver wants them, by whichever of the two waits.
std::vector<std::unique_ptr<Transport>>
makeLocalTransports(int32_t ranks, const LinkModel &link);

} // namespace moec::comm

#endif // MOEC_RUNTIME_COMM_LOCALTRANSPORT_H
