// Processes that an MPI launcher started as ranks.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_RUNTIME_COMM_MPITRANSPORT_H
#define MOEC_RUNTIME_COMM_MPITRANSPORT_H

#include "runtime/comm/Transport.h"

#include <functional>
#include <memory>

namespace moec::comm {

/// Whose library it is: their handles differ, so it matters.
enum class MpiKind { OpenMpi, Mpich };

/// Whose launcher started this process, by what it left in the environment;
/// without one Open MPI, whose library starts alone.
MpiKind
chooseMpi(const std::function<const char *(const char *name)> &environment);

/// Loads the library of the process's launcher, or the one that the process
/// has, and joins its ranks; `deadline` is how long the last call waits for the
/// others. The message of a failure says what could not be loaded or started.
weights::Result<std::unique_ptr<Transport>>
openMpi(std::chrono::milliseconds deadline);

} // namespace moec::comm

#endif // MOEC_RUNTIME_COMM_MPITRANSPORT_H
