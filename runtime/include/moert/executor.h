/* Threads for compiled code: a pool that an entry's parallel loops may use.
 * Part of moec, under the Apache License v2.0 with LLVM Exceptions.
 *
 * A host with threads of its own fills in a moert_executor (moert/abi.h) and needs nothing of this. Every function returns
 * a moert_status_t; a null pool or out-parameter is MOERT_INVALID_ARGUMENT. */
#ifndef MOERT_EXECUTOR_H
#define MOERT_EXECUTOR_H

#include "moert/library.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Most threads of a pool. */
#define MOERT_MAX_THREADS 1024

/** Threads that wait for work. */
typedef struct moert_pool moert_pool;

/** Makes a pool of that many threads, the caller's own among them: one of n starts n - 1. 0 is the number of CPUs that this
 * process may run on (its affinity mask). MOERT_OUT_OF_MEMORY when the system starts no more threads. `error` may be null.
 *
 * Threads without work look out for some tens of microseconds, if there is a CPU for each, and then sleep. The pool serves
 * one loop at a time: a loop inside a loop, and one of another thread while the pool is busy, runs on its caller alone. In
 * a child of fork() every loop does. */
MOERT_API moert_status_t moert_pool_create(int32_t threads, const moert_error_sink *error, moert_pool **pool);

/** The pool for `moert_call.executor`; lives as long as the pool. Any number of threads may use it. */
MOERT_API moert_status_t moert_pool_executor(const moert_pool *pool, const moert_executor **executor);

/** Ends the threads. Null is allowed. No loop may be running. */
MOERT_API moert_status_t moert_pool_destroy(moert_pool *pool);

#ifdef __cplusplus
}
#endif
#endif /* MOERT_EXECUTOR_H */
