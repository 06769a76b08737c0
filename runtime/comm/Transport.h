// What a back end of communicators implements.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_RUNTIME_COMM_TRANSPORT_H
#define MOEC_RUNTIME_COMM_TRANSPORT_H

#include "moert/comm.h"
#include "weights/Result.h"

#include <chrono>
#include <string>

namespace moec::comm {

using Clock = std::chrono::steady_clock;

/// One that Communicator keeps to itself, behind those of callers.
inline constexpr int32_t ownChannel = MOERT_MAX_CHANNELS;
inline constexpr int32_t channelCount = MOERT_MAX_CHANNELS + 1;

/// How one rank's blocks reach the others. Communicator sees to it that a
/// channel is started only when it is free, and that nothing is asked for after
/// a failure. One thread calls, but for giveUp.
class Transport {
public:
  virtual ~Transport() = default;

  virtual int32_t rank() const = 0;
  virtual int32_t ranks() const = 0;
  /// Lives as long as the transport.
  virtual const char *name() const = 0;

  /// Begins to move blocks, which stay where they are until `test` answers true
  /// or `cancel` returns.
  virtual weights::Status start(int32_t channel,
                                const moert_all_to_all &blocks) = 0;
  /// Moves on; true when all blocks have come and gone.
  virtual weights::Result<bool> test(int32_t channel) = 0;
  /// Until `test` would answer true or an error, or until then: sleeps where it
  /// can, moves on where it must.
  virtual void await(int32_t channel, Clock::time_point until) = 0;
  /// The first rank whose block has not come, or -1: ours are still on their
  /// way.
  virtual int32_t missing(int32_t channel) = 0;
  /// Buffers of what was started are the caller's again.
  virtual void cancel() = 0;
  /// Tells the other ranks. Any thread may call.
  virtual void giveUp(const std::string &reason) = 0;
};

} // namespace moec::comm

#endif // MOEC_RUNTIME_COMM_TRANSPORT_H
