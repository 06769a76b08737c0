// Rows to the ranks that compute them, and results back.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
//
// Each call of a step is an all-to-all on a channel of its own, so chunks may
// overlap as the caller likes:
//
//   begin      headers: how many rows of each chunk go to each rank
//   dispatch   the first one, after headers: ids and weights of all chunks;
//              then rows of the chunk
//   receive    waits for both
//   send_back  results, from where they were written
//   collect    waits; each token's results are added in the ranks' order
//
// A token goes once to each rank that computes one of its choices. Buffers grow
// when a step needs more than any before; a step like an earlier one allocates
// nothing.
#ifndef MOEC_RUNTIME_COMM_EXCHANGE_H
#define MOEC_RUNTIME_COMM_EXCHANGE_H

#include "moert/comm.h"
#include "runtime/comm/Placement.h"
#include "weights/Result.h"

#include <array>
#include <atomic>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

namespace moec::comm {

/// What a step moved, counted by the sender; of rows to other ranks alone.
struct ExchangeStatistics {
  uint64_t steps = 0;
  uint64_t tokens = 0;
  /// Rows that went, one for each token and rank.
  uint64_t rows = 0;
  /// Rows that would have gone one for each token and choice of an expert.
  uint64_t choices = 0;
  /// Of rows there and results back.
  uint64_t rowBytes = 0;
  /// Of headers, ids and weights.
  uint64_t otherBytes = 0;
};

/// Memory aligned to 64 bytes that grows and does not keep what was in it.
class ExchangeBuffer {
public:
  /// At least that many bytes.
  void *reserve(size_t wanted);
  void *data() const { return memory.get(); }

private:
  struct Free {
    void operator()(void *pointer) const { std::free(pointer); }
  };
  std::unique_ptr<void, Free> memory;
  size_t bytes = 0;
};

/// One rank's side, for all layers of a model, of which one is under way at a
/// time.
class Exchange {
public:
  /// The communicator lives longer.
  explicit Exchange(moert_communicator &communicator);

  const ExchangeStatistics &statistics() const { return counted; }

  /// Whether all ranks brought the same; else the first that did not.
  weights::Status agree(const std::string &what, uint64_t own);

private:
  friend class LayerExchange;

  /// What each rank tells each other one first. Plain data, as it lies in
  /// memory: ranks are of one architecture.
  struct Header {
    int64_t step, layer, chunks, xType, yType, choices, xWidth, yWidth;
    int64_t rows[MOERT_MAX_CHUNKS];
  };
  /// Blocks of an all-to-all, with the arrays that it names.
  struct Blocks {
    std::vector<int64_t> sendBytes, sendOffsets, receiveBytes, receiveOffsets;
    moert_all_to_all view = {};

    explicit Blocks(size_t ranks)
        : sendBytes(ranks), sendOffsets(ranks), receiveBytes(ranks),
          receiveOffsets(ranks) {}
    /// Lays blocks of that many bytes one behind the other; returns what both
    /// sides need.
    std::pair<size_t, size_t> layOut();
    const moert_all_to_all *with(const void *send, void *receive);
  };
  struct Chunk {
    explicit Chunk(size_t ranks)
        : tokens(ranks), incoming(ranks), rows(ranks), results(ranks) {}
    /// Which of this rank's tokens go to each rank, ascending.
    std::vector<std::vector<int64_t>> tokens;
    /// How many rows come from each rank.
    std::vector<int64_t> incoming;
    int64_t count = 0;
    Blocks rows, results;
    ExchangeBuffer packed, received, ids, weights, written, returned;
  };
  /// A token's row at one of the ranks that compute for it.
  struct Contribution {
    int32_t rank;
    int64_t row;
  };

  int32_t begin(const class LayerExchange &layer, const moert_routing &routing,
                const moert_error_sink *error);
  int32_t dispatch(int64_t chunk, const moert_error_sink *error);
  int32_t receive(int64_t chunk, moert_received &received,
                  const moert_error_sink *error);
  int32_t sendBack(int64_t chunk, const moert_error_sink *error);
  int32_t collect(int64_t chunk, const moert_error_sink *error);
  int32_t allReduce(float *values, int64_t count,
                    const moert_error_sink *error);

  /// Chooses a rank for each choice and lists rows; a message if a choice is of
  /// no cluster.
  weights::Status route(const LayerPlacement &placement);
  weights::Status routeToken(const LayerPlacement &placement, int64_t token,
                             Chunk &chunk);
  int32_t chooseRank(std::span<const int32_t> owners, int64_t token) const;
  void addRow(int32_t rank, int64_t token, Chunk &chunk);

  int32_t startHeaders(const moert_error_sink *error);
  int32_t readHeaders(const moert_error_sink *error);
  /// Whether that rank is where this one is.
  int32_t checkHeader(int32_t rank, const moert_error_sink *error);
  int32_t startChoices(const moert_error_sink *error);
  void packChoices(char *to, int32_t rank) const;
  void unpackChoices(int64_t chunk);
  void packRows(const Chunk &chunk, char *to) const;
  void sumResults(const Chunk &chunk, int64_t first, int64_t last);
  void count(const Chunk &chunk);

  int64_t firstToken(int64_t chunk) const {
    return routing.tokens * chunk / routing.chunks;
  }
  size_t rowBytes() const;
  size_t resultBytes() const;
  size_t choiceBytes() const;

  /// Whether the calls come in the order that they must; counts them.
  int32_t inTurn(const char *operation, int32_t &turn, int64_t chunk,
                 int32_t limit, const moert_error_sink *error);
  /// Starts and waits, with the operation's name in front of messages.
  int32_t start(const char *operation, int64_t chunk, int32_t channel,
                const moert_all_to_all *blocks, const moert_error_sink *error);
  int32_t wait(const char *operation, int64_t chunk, int32_t channel,
               const moert_error_sink *error);
  /// Tells the others what is wrong here.
  int32_t fail(int32_t status, const std::string &message,
               const moert_error_sink *error);
  /// Ends the step with a communicator's message.
  int32_t pass(const char *operation, int64_t chunk, int32_t status,
               const char *message, const moert_error_sink *error);

  moert_communicator &communicator;
  const size_t ranks;
  /// Of the step under way.
  std::atomic<bool> isBusy = false;
  moert_routing routing = {};
  const class LayerExchange *layer = nullptr;
  int64_t step = 0;
  /// Which chunk's turn it is.
  int32_t dispatched = 0, receivedChunks = 0, sentBack = 0, collected = 0;
  bool hasChoices = false;

  std::vector<Chunk> chunks;
  std::vector<Header> sentHeaders, headers;
  Blocks headerBlocks, choiceBlocks;
  ExchangeBuffer packedChoices, choices;
  /// Of each choice: the rank that computes it, or -1.
  std::vector<int32_t> rankOfChoice;
  /// Of each token: its contributions by rank, at most one for each choice.
  std::vector<Contribution> contributions;
  std::vector<int32_t> contributionCounts;
  /// Of each rank: the last token that goes there.
  std::vector<int64_t> lastToken;
  std::vector<float> gathered;
  /// Rows that are added up.
  std::vector<const char *> terms;
  ExchangeStatistics counted;
};

/// What one layer's binding brings: the exchange, where its clusters are, and
/// its number and name.
class LayerExchange {
public:
  /// The exchange lives longer.
  LayerExchange(Exchange &exchange, int32_t number, std::string name,
                LayerPlacement placement);
  LayerExchange(const LayerExchange &) = delete;

  const moert_exchange *view() const { return &table; }
  const LayerPlacement &placement() const { return places; }
  int32_t number() const { return own; }
  const std::string &name() const { return label; }

private:
  /// Calls a function; a lack of memory here ends the step for all.
  template <typename Function>
  int32_t guard(const moert_error_sink *error, Function function);

  Exchange &exchange;
  int32_t own;
  std::string label;
  LayerPlacement places;
  moert_exchange table;
};

} // namespace moec::comm

#endif // MOEC_RUNTIME_COMM_EXCHANGE_H
