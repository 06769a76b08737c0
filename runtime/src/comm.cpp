// How communicators are made and ended.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "moert/comm.h"

#include "report.h"
#include "runtime/comm/Communicator.h"
#include "runtime/comm/LocalTransport.h"
#include "runtime/comm/MpiTransport.h"

#include <algorithm>

using moec::runtime::report;
using namespace moec::comm;

moert_status_t
moert_local_communicators_create(const moert_communicator_options *options,
                                 int32_t ranks, const moert_error_sink *error,
                                 moert_communicator **communicators) try {
  if (!communicators)
    return report(error, MOERT_INVALID_ARGUMENT,
                  "moert_local_communicators_create: expected places for the "
                  "communicators, found null");
  if (ranks < 1 || ranks > MOERT_MAX_RANKS)
    return report(error, MOERT_INVALID_ARGUMENT,
                  "moert_local_communicators_create: expected 1 to " +
                      std::to_string(MOERT_MAX_RANKS) + " ranks, found " +
                      std::to_string(ranks));
  moert_communicator_options read = readOptions(options);
  LinkModel link = {std::chrono::nanoseconds(read.link_latency),
                    read.link_bytes_per_second};
  std::vector<std::unique_ptr<Transport>> transports =
      makeLocalTransports(ranks, link);
  for (int32_t r = 0; r < ranks; ++r)
    communicators[r] =
        Communicator::make(std::move(transports[size_t(r)]), read);
  return MOERT_OK;
}
MOERT_CATCH_OUT_OF_MEMORY(error)

moert_status_t
moert_mpi_communicator_create(const moert_communicator_options *options,
                              const moert_error_sink *error,
                              moert_communicator **communicator) try {
  if (!communicator)
    return report(error, MOERT_INVALID_ARGUMENT,
                  "moert_mpi_communicator_create: expected a place for the "
                  "communicator, found null");
  *communicator = nullptr;
  moert_communicator_options read = readOptions(options);
  auto transport = openMpi(deadlineOf(read));
  if (!transport)
    return report(error, MOERT_NOT_FOUND, transport.error());
  *communicator = Communicator::make(std::move(*transport), read);
  return MOERT_OK;
}
MOERT_CATCH_OUT_OF_MEMORY(error)

moert_status_t moert_communicator_destroy(moert_communicator *communicator) {
  if (communicator)
    communicator->destroy(communicator->context);
  return MOERT_OK;
}
