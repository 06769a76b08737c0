// The functions of a communicator, over any transport.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
//
// Here are deadlines, messages, the failure that stays, and the collectives,
// which are all-to-alls: what a transport has to do is small. Sums are added in
// the ranks' order, so they are the same bits on every rank and in every run.
#ifndef MOEC_RUNTIME_COMM_COMMUNICATOR_H
#define MOEC_RUNTIME_COMM_COMMUNICATOR_H

#include "runtime/comm/Transport.h"

#include <array>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace moec::comm {

/// Options as far as the caller's size goes, the rest zero.
moert_communicator_options
readOptions(const moert_communicator_options *options);

/// How long calls wait for other ranks.
std::chrono::milliseconds deadlineOf(const moert_communicator_options &options);

class Communicator {
public:
  /// Makes the table of functions, which owns the communicator.
  static moert_communicator *make(std::unique_ptr<Transport> transport,
                                  const moert_communicator_options &options);

private:
  Communicator(std::unique_ptr<Transport> transport,
               const moert_communicator_options &options);

  /// A status with its message in the caller's sink.
  using Sink = const moert_error_sink *;

  int32_t start(int32_t channel, const moert_all_to_all *blocks, Sink error);
  int32_t test(int32_t channel, int32_t *hasEnded, Sink error);
  int32_t wait(int32_t channel, Sink error);
  int32_t allGather(const void *send, int64_t bytes, void *receive, Sink error);
  int32_t reduceScatter(const float *send, int64_t count, float *receive,
                        Sink error);
  int32_t barrier(Sink error);
  void abort(const char *reason);

  /// An all-to-all on the own channel, from start to end, in the name of
  /// `operation`.
  int32_t run(const char *operation, const moert_all_to_all &blocks,
              Sink error);
  int32_t begin(const char *operation, int32_t channel,
                const moert_all_to_all &blocks, Sink error);
  int32_t finish(const char *operation, int32_t channel, Sink error);
  /// Whether blocks are there and none has a negative extent.
  bool areWhole(const moert_all_to_all &blocks) const;

  /// The failure stays, and the other ranks are told.
  int32_t fail(const char *operation, const std::string &what, Sink error);
  /// The failure, or what an `abort` of another thread said.
  bool hasFailed(Sink error, int32_t &status);
  int32_t refuse(const char *operation, const std::string &what,
                 Sink error) const;

  std::string where(const char *operation) const;

  moert_communicator table = {};
  std::unique_ptr<Transport> transport;
  std::chrono::milliseconds deadline;
  std::array<bool, channelCount> isUnderWay = {};
  /// One block for every rank: of collectives, whose blocks are alike.
  std::vector<int64_t> same, zeros, places;
  std::vector<float> parts;
  /// Guards `failure`, which an abort of another thread may write, once.
  std::mutex mutex;
  std::string failure;
};

} // namespace moec::comm

#endif // MOEC_RUNTIME_COMM_COMMUNICATOR_H
