/* Communicators: how the ranks that share one model move bytes between each other.
 * Part of moec, under the Apache License v2.0 with LLVM Exceptions.
 *
 * A communicator is a table of functions, one for each rank. The runtime makes it of threads of one process or of MPI's processes
 * (docs/communication.md); a host with a transport of its own fills one in and needs nothing of the functions below.
 *
 * Every rank makes the same calls in the same order. Each call that waits ends within the deadline: with MOERT_UNAVAILABLE and a message that names this
 * rank, the operation and the rank that it waited for. What one rank gives up is told to the others; a communicator that failed
 * answers every later call with the same message. One thread at a time uses a communicator; `abort` any thread may call. */
#ifndef MOERT_COMM_H
#define MOERT_COMM_H

#include "moert/library.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Of an all-to-all for callers; one can be under way on each. */
#define MOERT_MAX_CHANNELS 64
/** Most ranks of a communicator. */
#define MOERT_MAX_RANKS 4096

/** What a rank sends to each rank, itself among them, and receives from it: one number of bytes and one offset for each. */
typedef struct {
  const void *send;
  const int64_t *send_bytes;
  const int64_t *send_offsets;
  void *receive;
  const int64_t *receive_bytes;
  const int64_t *receive_offsets;
} moert_all_to_all;

/** One rank's end. Functions return a moert_status_t; `error` may be null. */
typedef struct {
  uint32_t size;              /**< sizeof(moert_communicator); unknown trailing fields are ignored */
  int32_t rank;
  int32_t ranks;
  const char *name;           /**< of the back end, for messages: "local", "MPI (Open MPI)" */
  void *context;
  /** Begins an all-to-all on a channel: every pair of ranks exchanges a block, of 0 bytes too. Buffers stay as they are, and are
   * this call's, until test or wait say that it has ended; `blocks` itself and its arrays too. Does not wait for other ranks. */
  int32_t (*start_all_to_all)(void *context, int32_t channel, const moert_all_to_all *blocks, const moert_error_sink *error);
  /** Moves on what is under way and says whether the channel's all-to-all has ended: 1, or 0. Does not wait. */
  int32_t (*test)(void *context, int32_t channel, int32_t *has_ended, const moert_error_sink *error);
  /** Waits for the end of the channel's all-to-all. */
  int32_t (*wait)(void *context, int32_t channel, const moert_error_sink *error);
  /** `receive` becomes what all ranks send, `bytes` of each, in the order of the ranks. */
  int32_t (*all_gather)(void *context, const void *send, int64_t bytes, void *receive, const moert_error_sink *error);
  /** Of ranks x count numbers this rank receives its own `count`, summed over all ranks in their order. */
  int32_t (*reduce_scatter)(void *context, const float *send, int64_t count, float *receive, const moert_error_sink *error);
  /** Waits until all ranks are here. */
  int32_t (*barrier)(void *context, const moert_error_sink *error);
  /** Ends all that is under way, on every rank, with that reason. */
  void (*abort)(void *context, const char *reason);
  /** The message of the failure that all calls answer; empty without one. Lives as long as the communicator. */
  const char *(*last_error)(void *context);
  /** Leaves; `context` is gone. Whoever still waits for this rank is told. */
  void (*destroy)(void *context);
} moert_communicator;

/** How communicators are made. Set `size` to sizeof(moert_communicator_options), and what is to be as ever to zero; unknown trailing
 * fields are ignored. */
typedef struct {
  uint32_t size;
  /** Milliseconds that a call waits for other ranks; 0: 30,000. */
  uint32_t deadline;
  /** Of local communicators: a link between ranks that takes this long, in nanoseconds, for each block, and this many bytes a second in each
   * direction of a rank; 0: as fast as memory. Who waits for it needs no CPU. */
  uint64_t link_latency;
  uint64_t link_bytes_per_second;
} moert_communicator_options;

/** Makes communicators of `ranks` threads of this process: communicators[r] is for the thread that is rank r. `options` may be null. */
MOERT_API moert_status_t moert_local_communicators_create(const moert_communicator_options *options, int32_t ranks,
                                                          const moert_error_sink *error, moert_communicator **communicators);

/** Makes this process's communicator among those that an MPI launcher started: Open MPI or MPICH, whichever the launcher is of, found
 * when it is asked for. Initialises MPI where the process has not, and then ends it with the communicator. MOERT_NOT_FOUND when there is no
 * MPI library. One at a time in a process. */
MOERT_API moert_status_t moert_mpi_communicator_create(const moert_communicator_options *options, const moert_error_sink *error,
                                                       moert_communicator **communicator);

/** Calls `destroy` of it. Null is allowed. */
MOERT_API moert_status_t moert_communicator_destroy(moert_communicator *communicator);

#ifdef __cplusplus
}
#endif
#endif /* MOERT_COMM_H */
