// The functions of a communicator, over any transport.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "runtime/comm/Communicator.h"

#include "runtime/src/report.h"

#include <algorithm>
#include <cstring>

namespace moec::comm {

using runtime::report;

moert_communicator_options
readOptions(const moert_communicator_options *options) {
  moert_communicator_options read = {};
  if (options)
    std::memcpy(&read, options, std::min<size_t>(options->size, sizeof read));
  return read;
}

std::chrono::milliseconds
deadlineOf(const moert_communicator_options &options) {
  return std::chrono::milliseconds(options.deadline ? options.deadline
                                                    : 30'000);
}

//===----------------------------------------------------------------------===//
// The table
//===----------------------------------------------------------------------===//

template <typename Function>
static int32_t catchOutOfMemory(const moert_error_sink *error,
                                Function function) try {
  return function();
}
MOERT_CATCH_OUT_OF_MEMORY(error)

moert_communicator *
Communicator::make(std::unique_ptr<Transport> transport,
                   const moert_communicator_options &options) {
  return &(new Communicator(std::move(transport), options))->table;
}

Communicator::Communicator(std::unique_ptr<Transport> own,
                           const moert_communicator_options &options)
    : transport(std::move(own)), deadline(deadlineOf(options)) {
  size_t ranks = size_t(transport->ranks());
  same.resize(ranks);
  zeros.resize(ranks);
  places.resize(ranks);
  table.size = sizeof table;
  table.rank = transport->rank();
  table.ranks = transport->ranks();
  table.name = transport->name();
  table.context = this;
  table.start_all_to_all = [](void *context, int32_t channel,
                              const moert_all_to_all *blocks, Sink error) {
    auto *self = static_cast<Communicator *>(context);
    return catchOutOfMemory(
        error, [&] { return self->start(channel, blocks, error); });
  };
  table.test = [](void *context, int32_t channel, int32_t *hasEnded,
                  Sink error) {
    auto *self = static_cast<Communicator *>(context);
    return catchOutOfMemory(
        error, [&] { return self->test(channel, hasEnded, error); });
  };
  table.wait = [](void *context, int32_t channel, Sink error) {
    auto *self = static_cast<Communicator *>(context);
    return catchOutOfMemory(error, [&] { return self->wait(channel, error); });
  };
  table.all_gather = [](void *context, const void *send, int64_t bytes,
                        void *receive, Sink error) {
    auto *self = static_cast<Communicator *>(context);
    return catchOutOfMemory(
        error, [&] { return self->allGather(send, bytes, receive, error); });
  };
  table.reduce_scatter = [](void *context, const float *send, int64_t count,
                            float *receive, Sink error) {
    auto *self = static_cast<Communicator *>(context);
    return catchOutOfMemory(error, [&] {
      return self->reduceScatter(send, count, receive, error);
    });
  };
  table.barrier = [](void *context, Sink error) {
    auto *self = static_cast<Communicator *>(context);
    return catchOutOfMemory(error, [&] { return self->barrier(error); });
  };
  table.abort = [](void *context, const char *reason) {
    static_cast<Communicator *>(context)->abort(reason);
  };
  table.last_error = [](void *context) {
    auto *self = static_cast<Communicator *>(context);
    std::lock_guard lock(self->mutex);
    return self->failure.c_str();
  };
  table.destroy = [](void *context) {
    delete static_cast<Communicator *>(context);
  };
}

//===----------------------------------------------------------------------===//
// Failures
//===----------------------------------------------------------------------===//

std::string Communicator::where(const char *operation) const {
  return "rank " + std::to_string(table.rank) + ": " + operation + ": ";
}

int32_t Communicator::fail(const char *operation, const std::string &what,
                           Sink error) {
  std::string message = where(operation) + what;
  bool isFirst = false;
  {
    std::lock_guard lock(mutex);
    isFirst = failure.empty();
    if (isFirst)
      failure = message;
    else
      message = failure;
  }
  if (isFirst)
    transport->giveUp(message);
  transport->cancel();
  isUnderWay.fill(false);
  return report(error, MOERT_UNAVAILABLE, message);
}

bool Communicator::hasFailed(Sink error, int32_t &status) {
  std::string message;
  {
    std::lock_guard lock(mutex);
    if (failure.empty())
      return false;
    message = failure;
  }
  transport->cancel();
  isUnderWay.fill(false);
  status = report(error, MOERT_UNAVAILABLE, message);
  return true;
}

void Communicator::abort(const char *reason) {
  std::string message = where("abort") + (reason ? reason : "no reason given");
  {
    std::lock_guard lock(mutex);
    if (!failure.empty())
      return;
    failure = message;
  }
  transport->giveUp(message);
}

/// The caller's mistake; the communicator can go on.
int32_t Communicator::refuse(const char *operation, const std::string &what,
                             Sink error) const {
  return report(error, MOERT_INVALID_ARGUMENT, where(operation) + what);
}

//===----------------------------------------------------------------------===//
// All-to-all
//===----------------------------------------------------------------------===//

bool Communicator::areWhole(const moert_all_to_all &blocks) const {
  if (!blocks.send_bytes || !blocks.send_offsets || !blocks.receive_bytes ||
      !blocks.receive_offsets)
    return false;
  for (int32_t r = 0; r < table.ranks; ++r) {
    if (blocks.send_bytes[r] < 0 || blocks.receive_bytes[r] < 0 ||
        blocks.send_offsets[r] < 0 || blocks.receive_offsets[r] < 0)
      return false;
    if ((blocks.send_bytes[r] > 0 && !blocks.send) ||
        (blocks.receive_bytes[r] > 0 && !blocks.receive))
      return false;
  }
  return true;
}

int32_t Communicator::begin(const char *operation, int32_t channel,
                            const moert_all_to_all &blocks, Sink error) {
  int32_t status = MOERT_OK;
  if (hasFailed(error, status))
    return status;
  if (weights::Status started = transport->start(channel, blocks); !started)
    return fail(operation, started.error(), error);
  isUnderWay[size_t(channel)] = true;
  return MOERT_OK;
}

int32_t Communicator::finish(const char *operation, int32_t channel,
                             Sink error) {
  Clock::time_point until = Clock::now() + deadline;
  while (true) {
    int32_t status = MOERT_OK;
    if (hasFailed(error, status))
      return status;
    weights::Result<bool> hasEnded = transport->test(channel);
    if (!hasEnded)
      return fail(operation, hasEnded.error(), error);
    if (*hasEnded)
      break;
    if (Clock::now() >= until) {
      int32_t missing = transport->missing(channel);
      return fail(operation,
                  (missing < 0 ? "the last block is still on its way after "
                               : "rank " + std::to_string(missing) +
                                     " did not answer within ") +
                      std::to_string(deadline.count()) + " ms",
                  error);
    }
    transport->await(channel, until);
  }
  isUnderWay[size_t(channel)] = false;
  return MOERT_OK;
}

int32_t Communicator::start(int32_t channel, const moert_all_to_all *blocks,
                            Sink error) {
  constexpr const char *operation = "all-to-all";
  if (channel < 0 || channel >= MOERT_MAX_CHANNELS)
    return refuse(operation,
                  "expected a channel from 0 to " +
                      std::to_string(MOERT_MAX_CHANNELS - 1) + ", found " +
                      std::to_string(channel),
                  error);
  if (!blocks || !areWhole(*blocks))
    return refuse(operation,
                  "expected bytes and offsets of " +
                      std::to_string(table.ranks) +
                      " ranks, none negative, and memory for them",
                  error);
  if (isUnderWay[size_t(channel)])
    return refuse(operation,
                  "expected a free channel, found one under way on channel " +
                      std::to_string(channel),
                  error);
  return begin(operation, channel, *blocks, error);
}

int32_t Communicator::test(int32_t channel, int32_t *hasEnded, Sink error) {
  constexpr const char *operation = "all-to-all";
  if (!hasEnded || channel < 0 || channel >= MOERT_MAX_CHANNELS)
    return refuse(operation, "expected a channel and a place for the answer",
                  error);
  *hasEnded = 0;
  int32_t status = MOERT_OK;
  if (hasFailed(error, status))
    return status;
  if (isUnderWay[size_t(channel)]) {
    weights::Result<bool> ended = transport->test(channel);
    if (!ended)
      return fail(operation, ended.error(), error);
    isUnderWay[size_t(channel)] = !*ended;
  }
  *hasEnded = !isUnderWay[size_t(channel)];
  return MOERT_OK;
}

int32_t Communicator::wait(int32_t channel, Sink error) {
  constexpr const char *operation = "all-to-all";
  if (channel < 0 || channel >= MOERT_MAX_CHANNELS)
    return refuse(operation, "expected a channel", error);
  int32_t status = MOERT_OK;
  if (hasFailed(error, status))
    return status;
  return isUnderWay[size_t(channel)] ? finish(operation, channel, error)
                                     : MOERT_OK;
}

//===----------------------------------------------------------------------===//
// Collectives
//===----------------------------------------------------------------------===//

int32_t Communicator::run(const char *operation, const moert_all_to_all &blocks,
                          Sink error) {
  int32_t status = begin(operation, ownChannel, blocks, error);
  return status == MOERT_OK ? finish(operation, ownChannel, error) : status;
}

int32_t Communicator::allGather(const void *send, int64_t bytes, void *receive,
                                Sink error) {
  constexpr const char *operation = "all-gather";
  if (bytes < 0 || (bytes > 0 && (!send || !receive)))
    return refuse(operation, "expected memory of no less than 0 bytes", error);
  std::fill(same.begin(), same.end(), bytes);
  for (size_t r = 0; r < places.size(); ++r)
    places[r] = int64_t(r) * bytes;
  return run(
      operation,
      {send, same.data(), zeros.data(), receive, same.data(), places.data()},
      error);
}

int32_t Communicator::reduceScatter(const float *send, int64_t count,
                                    float *receive, Sink error) {
  constexpr const char *operation = "reduce-scatter";
  if (count < 0 || (count > 0 && (!send || !receive)))
    return refuse(operation, "expected memory of no less than 0 numbers",
                  error);
  int64_t bytes = count * int64_t(sizeof(float));
  std::fill(same.begin(), same.end(), bytes);
  for (size_t r = 0; r < places.size(); ++r)
    places[r] = int64_t(r) * bytes;
  parts.resize(size_t(count) * places.size());
  int32_t status = run(operation,
                       {send, same.data(), places.data(), parts.data(),
                        same.data(), places.data()},
                       error);
  if (status != MOERT_OK)
    return status;
  for (int64_t i = 0; i < count; ++i) {
    float sum = parts[size_t(i)];
    for (size_t r = 1; r < places.size(); ++r)
      sum += parts[r * size_t(count) + size_t(i)];
    receive[i] = sum;
  }
  return MOERT_OK;
}

int32_t Communicator::barrier(Sink error) {
  std::fill(same.begin(), same.end(), 0);
  return run(
      "barrier",
      {nullptr, same.data(), zeros.data(), nullptr, same.data(), zeros.data()},
      error);
}

} // namespace moec::comm
