// Rows to the ranks that compute them, and results back.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "runtime/comm/Exchange.h"

#include "runtime/src/report.h"
#include "weights/FloatFormats.h"
#include "weights/Hash.h"

#include <algorithm>
#include <cstring>
#include <new>

namespace moec::comm {

using runtime::report;
using weights::Error;
using weights::Status;

namespace {

/// Channels of one step.
constexpr int32_t headerChannel = 0, choiceChannel = 1, firstRowChannel = 2,
                  firstResultChannel = firstRowChannel + MOERT_MAX_CHUNKS;
static_assert(firstResultChannel + MOERT_MAX_CHUNKS <= MOERT_MAX_CHANNELS);

constexpr int32_t f32 = MOERT_ELEMENT(kDLFloat, 32),
                  f16 = MOERT_ELEMENT(kDLFloat, 16),
                  bf16 = MOERT_ELEMENT(kDLBfloat, 16);

size_t elementBytes(int32_t type) { return size_t(type & 0xFF) / 8; }

/// What is wrong with a routing, or nothing.
std::string checkRouting(const moert_routing &routing) {
  if (routing.size < sizeof(moert_routing))
    return "expected a routing of at least " +
           std::to_string(sizeof(moert_routing)) + " bytes, found " +
           std::to_string(routing.size);
  if (routing.chunks < 1 || routing.chunks > MOERT_MAX_CHUNKS)
    return "expected 1 to " + std::to_string(MOERT_MAX_CHUNKS) +
           " chunks, found " + std::to_string(routing.chunks);
  if ((routing.x_type & 0xFF) == 0 || (routing.x_type & 7) != 0)
    return "expected tokens of whole bytes, found " +
           std::to_string(routing.x_type & 0xFF) + " bits";
  if (routing.y_type != f32 && routing.y_type != f16 && routing.y_type != bf16)
    return "expected results of f32, f16 or bf16, found type " +
           std::to_string(routing.y_type);
  if (routing.tokens < 0 || routing.choices < 0 || routing.x_width < 0 ||
      routing.y_width < 0)
    return "expected no negative extent";
  return "";
}

} // namespace

void *ExchangeBuffer::reserve(size_t wanted) {
  if (wanted > bytes) {
    size_t rounded = (wanted + 63) / 64 * 64;
    memory.reset(std::aligned_alloc(64, rounded));
    bytes = memory ? rounded : 0;
    if (!memory)
      throw std::bad_alloc();
  }
  return memory.get();
}

std::pair<size_t, size_t> Exchange::Blocks::layOut() {
  int64_t sent = 0, received = 0;
  for (size_t r = 0; r < sendBytes.size(); ++r) {
    sendOffsets[r] = sent;
    receiveOffsets[r] = received;
    sent += sendBytes[r];
    received += receiveBytes[r];
  }
  return {size_t(sent), size_t(received)};
}

const moert_all_to_all *Exchange::Blocks::with(const void *send,
                                               void *receive) {
  view = {send,    sendBytes.data(),    sendOffsets.data(),
          receive, receiveBytes.data(), receiveOffsets.data()};
  return &view;
}

Exchange::Exchange(moert_communicator &communicator)
    : communicator(communicator), ranks(size_t(communicator.ranks)),
      sentHeaders(ranks), headers(ranks), headerBlocks(ranks),
      choiceBlocks(ranks), lastToken(ranks), terms(ranks) {
  for (size_t r = 0; r < ranks; ++r)
    headerBlocks.sendBytes[r] = headerBlocks.receiveBytes[r] = sizeof(Header);
  headerBlocks.layOut();
}

size_t Exchange::rowBytes() const {
  return size_t(routing.x_width) * elementBytes(routing.x_type);
}
size_t Exchange::resultBytes() const {
  return size_t(routing.y_width) * elementBytes(routing.y_type);
}
size_t Exchange::choiceBytes() const {
  return size_t(routing.choices) * (sizeof(int32_t) + sizeof(float));
}

//===----------------------------------------------------------------------===//
// Failures
//===----------------------------------------------------------------------===//

int32_t Exchange::fail(int32_t status, const std::string &message,
                       const moert_error_sink *error) {
  communicator.abort(communicator.context, message.c_str());
  isBusy = false;
  return report(error, moert_status_t(status), message);
}

int32_t Exchange::pass(const char *operation, int64_t chunk, int32_t status,
                       const char *message, const moert_error_sink *error) {
  isBusy = false;
  return report(error, moert_status_t(status),
                "layer '" + layer->name() + "': " + operation + " of chunk " +
                    std::to_string(chunk) + ": " + message);
}

int32_t Exchange::inTurn(const char *operation, int32_t &turn, int64_t chunk,
                         int32_t limit, const moert_error_sink *error) {
  if (isBusy && chunk == turn && chunk < limit) {
    ++turn;
    return MOERT_OK;
  }
  return fail(MOERT_INTERNAL,
              std::string(operation) + " of chunk " + std::to_string(chunk) +
                  " is not in turn: expected chunk " + std::to_string(turn) +
                  ", below " + std::to_string(isBusy ? limit : 0),
              error);
}

int32_t Exchange::start(const char *operation, int64_t chunk, int32_t channel,
                        const moert_all_to_all *blocks,
                        const moert_error_sink *error) {
  char message[768] = "";
  moert_error_sink sink = {message, sizeof message};
  int32_t status = communicator.start_all_to_all(communicator.context, channel,
                                                 blocks, &sink);
  return status == MOERT_OK ? status
                            : pass(operation, chunk, status, message, error);
}

int32_t Exchange::wait(const char *operation, int64_t chunk, int32_t channel,
                       const moert_error_sink *error) {
  char message[768] = "";
  moert_error_sink sink = {message, sizeof message};
  int32_t status = communicator.wait(communicator.context, channel, &sink);
  return status == MOERT_OK ? status
                            : pass(operation, chunk, status, message, error);
}

//===----------------------------------------------------------------------===//
// Which rows go where
//===----------------------------------------------------------------------===//

int32_t Exchange::chooseRank(std::span<const int32_t> owners,
                             int64_t token) const {
  // A rank that gets the token anyway, then this one, then by turns.
  for (int32_t rank : owners)
    if (lastToken[size_t(rank)] == token)
      return rank;
  for (int32_t rank : owners)
    if (rank == communicator.rank)
      return rank;
  return owners[size_t(token) % owners.size()];
}

void Exchange::addRow(int32_t rank, int64_t token, Chunk &chunk) {
  lastToken[size_t(rank)] = token;
  std::vector<int64_t> &listed = chunk.tokens[size_t(rank)];
  Contribution *own = contributions.data() + token * routing.choices;
  int32_t at = contributionCounts[size_t(token)]++;
  for (; at > 0 && own[at - 1].rank > rank; --at)
    own[at] = own[at - 1];
  own[at] = {rank, int64_t(listed.size())};
  listed.push_back(token);
}

Status Exchange::routeToken(const LayerPlacement &placement, int64_t token,
                            Chunk &chunk) {
  int64_t first = token * routing.choices;
  const int32_t *clusters = routing.clusters ? routing.clusters : routing.ids;
  for (int64_t i = first; i < first + routing.choices; ++i) {
    rankOfChoice[size_t(i)] = -1;
    if (routing.ids[i] < 0)
      continue;
    if (!placement.knows(clusters[i]))
      return Error{"layer '" + layer->name() + "': token " +
                   std::to_string(token) + " chose cluster " +
                   std::to_string(clusters[i]) + ", expected one of the " +
                   std::to_string(placement.clusterCount()) +
                   " that its placement lists"};
    int32_t rank = chooseRank(placement.owners(clusters[i]), token);
    rankOfChoice[size_t(i)] = rank;
    counted.choices += rank != communicator.rank;
    if (lastToken[size_t(rank)] != token)
      addRow(rank, token, chunk);
  }
  return weights::success();
}

Status Exchange::route(const LayerPlacement &placement) {
  size_t pairs = size_t(routing.tokens) * size_t(routing.choices);
  rankOfChoice.resize(pairs);
  contributions.resize(pairs);
  contributionCounts.assign(size_t(routing.tokens), 0);
  terms.resize(std::max(ranks, size_t(routing.choices)));
  std::fill(lastToken.begin(), lastToken.end(), -1);
  while (chunks.size() < size_t(routing.chunks))
    chunks.emplace_back(ranks);
  for (int64_t c = 0; c < routing.chunks; ++c) {
    Chunk &chunk = chunks[size_t(c)];
    for (std::vector<int64_t> &tokens : chunk.tokens)
      tokens.clear();
    for (int64_t token = firstToken(c); token < firstToken(c + 1); ++token)
      if (Status routed = routeToken(placement, token, chunk); !routed)
        return routed;
  }
  return weights::success();
}

//===----------------------------------------------------------------------===//
// Headers
//===----------------------------------------------------------------------===//

int32_t Exchange::startHeaders(const moert_error_sink *error) {
  for (size_t r = 0; r < ranks; ++r) {
    Header &header = sentHeaders[r];
    header = {step,
              layer->number(),
              routing.chunks,
              routing.x_type,
              routing.y_type,
              routing.choices,
              routing.x_width,
              routing.y_width,
              {}};
    for (int32_t c = 0; c < routing.chunks; ++c)
      header.rows[c] = int64_t(chunks[size_t(c)].tokens[r].size());
  }
  return start("begin", 0, headerChannel,
               headerBlocks.with(sentHeaders.data(), headers.data()), error);
}

int32_t Exchange::checkHeader(int32_t rank, const moert_error_sink *error) {
  struct Field {
    const char *name;
    int64_t Header::*value;
  };
  static constexpr Field fields[] = {
      {"step", &Header::step},      {"layer", &Header::layer},
      {"chunks", &Header::chunks},  {"x_type", &Header::xType},
      {"y_type", &Header::yType},   {"choices", &Header::choices},
      {"x_width", &Header::xWidth}, {"y_width", &Header::yWidth}};
  const Header &own = headers[size_t(communicator.rank)],
               &other = headers[size_t(rank)];
  for (const Field &field : fields)
    if (other.*field.value != own.*field.value)
      return fail(MOERT_UNAVAILABLE,
                  "layer '" + layer->name() + "': dispatch: rank " +
                      std::to_string(rank) + " has " + field.name + " " +
                      std::to_string(other.*field.value) + ", rank " +
                      std::to_string(communicator.rank) + " " +
                      std::to_string(own.*field.value),
                  error);
  return MOERT_OK;
}

int32_t Exchange::readHeaders(const moert_error_sink *error) {
  if (int32_t status = wait("dispatch", 0, headerChannel, error))
    return status;
  for (size_t r = 0; r < ranks; ++r)
    if (int32_t status = checkHeader(int32_t(r), error))
      return status;
  for (int32_t c = 0; c < routing.chunks; ++c) {
    Chunk &chunk = chunks[size_t(c)];
    chunk.count = 0;
    for (size_t r = 0; r < ranks; ++r) {
      chunk.incoming[r] = headers[r].rows[c];
      chunk.count += chunk.incoming[r];
    }
  }
  return MOERT_OK;
}

//===----------------------------------------------------------------------===//
// Ids and weights
//===----------------------------------------------------------------------===//

void Exchange::packChoices(char *to, int32_t rank) const {
  for (int32_t c = 0; c < routing.chunks; ++c) {
    const std::vector<int64_t> &tokens = chunks[size_t(c)].tokens[size_t(rank)];
    size_t pairs = tokens.size() * size_t(routing.choices);
    auto *ids = reinterpret_cast<int32_t *>(to);
    auto *gates = reinterpret_cast<float *>(ids + pairs);
    for (int64_t token : tokens)
      for (int64_t i = token * routing.choices;
           i < (token + 1) * routing.choices; ++i) {
        bool isThere = rankOfChoice[size_t(i)] == rank;
        *ids++ = isThere ? routing.ids[i] : -1;
        *gates++ = isThere ? routing.weights[i] : 0.0f;
      }
    to += tokens.size() * choiceBytes();
  }
}

int32_t Exchange::startChoices(const moert_error_sink *error) {
  for (size_t r = 0; r < ranks; ++r) {
    size_t sent = 0, received = 0;
    for (int32_t c = 0; c < routing.chunks; ++c) {
      sent += chunks[size_t(c)].tokens[r].size();
      received += size_t(chunks[size_t(c)].incoming[r]);
    }
    choiceBlocks.sendBytes[r] = int64_t(sent * choiceBytes());
    choiceBlocks.receiveBytes[r] = int64_t(received * choiceBytes());
  }
  auto [sent, received] = choiceBlocks.layOut();
  auto *to = static_cast<char *>(packedChoices.reserve(sent));
  for (size_t r = 0; r < ranks; ++r)
    if (choiceBlocks.sendBytes[r] > 0)
      packChoices(to + choiceBlocks.sendOffsets[r], int32_t(r));
  hasChoices = false;
  return start("dispatch", 0, choiceChannel,
               choiceBlocks.with(to, choices.reserve(received)), error);
}

void Exchange::unpackChoices(int64_t at) {
  Chunk &chunk = chunks[size_t(at)];
  size_t bytes = size_t(chunk.count) * choiceBytes() / 2;
  auto *ids = static_cast<char *>(chunk.ids.reserve(bytes));
  auto *gates = static_cast<char *>(chunk.weights.reserve(bytes));
  for (size_t r = 0; r < ranks; ++r) {
    size_t half = size_t(chunk.incoming[r]) * choiceBytes() / 2;
    if (half == 0)
      continue;
    const char *from = static_cast<const char *>(choices.data()) +
                       choiceBlocks.receiveOffsets[r];
    for (int64_t c = 0; c < at; ++c)
      from += size_t(chunks[size_t(c)].incoming[r]) * choiceBytes();
    std::memcpy(ids, from, half);
    std::memcpy(gates, from + half, half);
    ids += half;
    gates += half;
  }
}

//===----------------------------------------------------------------------===//
// A step
//===----------------------------------------------------------------------===//

int32_t Exchange::begin(const LayerExchange &own, const moert_routing &wanted,
                        const moert_error_sink *error) {
  if (isBusy.exchange(true))
    return report(error, MOERT_INVALID_ARGUMENT,
                  "layer '" + own.name() +
                      "': expected one call at a time of a model with a "
                      "communicator, found another under way");
  layer = &own;
  if (std::string wrong = checkRouting(wanted); !wrong.empty())
    return fail(MOERT_INVALID_ARGUMENT, "layer '" + own.name() + "': " + wrong,
                error);
  routing = wanted;
  ++step;
  dispatched = receivedChunks = sentBack = collected = 0;
  if (Status routed = route(own.placement()); !routed)
    return fail(MOERT_INVALID_ARGUMENT, routed.error(), error);
  ++counted.steps;
  counted.tokens += uint64_t(routing.tokens);
  counted.otherBytes += (ranks - 1) * sizeof(Header);
  return startHeaders(error);
}

void Exchange::packRows(const Chunk &chunk, char *to) const {
  size_t bytes = rowBytes();
  const char *x = static_cast<const char *>(routing.x);
  for (const std::vector<int64_t> &tokens : chunk.tokens)
    for (int64_t token : tokens) {
      std::memcpy(to, x + size_t(token) * bytes, bytes);
      to += bytes;
    }
}

void Exchange::count(const Chunk &chunk) {
  for (size_t r = 0; r < ranks; ++r) {
    if (int32_t(r) == communicator.rank)
      continue;
    uint64_t rows = chunk.tokens[r].size();
    counted.rows += rows;
    counted.rowBytes +=
        rows * rowBytes() + uint64_t(chunk.incoming[r]) * resultBytes();
    counted.otherBytes += rows * choiceBytes();
  }
}

int32_t Exchange::dispatch(int64_t at, const moert_error_sink *error) {
  if (int32_t status =
          inTurn("dispatch", dispatched, at, routing.chunks, error))
    return status;
  if (at == 0) {
    if (int32_t status = readHeaders(error))
      return status;
    if (int32_t status = startChoices(error))
      return status;
  }
  Chunk &chunk = chunks[size_t(at)];
  count(chunk);
  for (size_t r = 0; r < ranks; ++r) {
    int64_t sent = int64_t(chunk.tokens[r].size());
    chunk.rows.sendBytes[r] = sent * int64_t(rowBytes());
    chunk.rows.receiveBytes[r] = chunk.incoming[r] * int64_t(rowBytes());
    chunk.results.sendBytes[r] = chunk.incoming[r] * int64_t(resultBytes());
    chunk.results.receiveBytes[r] = sent * int64_t(resultBytes());
  }
  auto [sent, received] = chunk.rows.layOut();
  auto *packed = static_cast<char *>(chunk.packed.reserve(sent));
  packRows(chunk, packed);
  return start("dispatch", at, firstRowChannel + int32_t(at),
               chunk.rows.with(packed, chunk.received.reserve(received)),
               error);
}

int32_t Exchange::receive(int64_t at, moert_received &received,
                          const moert_error_sink *error) {
  if (int32_t status = inTurn("receive", receivedChunks, at, dispatched, error))
    return status;
  if (!hasChoices)
    if (int32_t status = wait("receive", at, choiceChannel, error))
      return status;
  hasChoices = true;
  if (int32_t status =
          wait("receive", at, firstRowChannel + int32_t(at), error))
    return status;
  unpackChoices(at);
  Chunk &chunk = chunks[size_t(at)];
  auto [written, returned] = chunk.results.layOut();
  chunk.returned.reserve(returned);
  received = {chunk.count, chunk.received.data(),
              static_cast<const int32_t *>(chunk.ids.data()),
              static_cast<const float *>(chunk.weights.data()),
              chunk.written.reserve(written)};
  return MOERT_OK;
}

int32_t Exchange::sendBack(int64_t at, const moert_error_sink *error) {
  if (int32_t status = inTurn("send_back", sentBack, at, receivedChunks, error))
    return status;
  Chunk &chunk = chunks[size_t(at)];
  return start("send_back", at, firstResultChannel + int32_t(at),
               chunk.results.with(chunk.written.data(), chunk.returned.data()),
               error);
}

int32_t Exchange::collect(int64_t at, const moert_error_sink *error) {
  if (int32_t status = inTurn("collect", collected, at, sentBack, error))
    return status;
  if (int32_t status =
          wait("collect", at, firstResultChannel + int32_t(at), error))
    return status;
  sumResults(chunks[size_t(at)], firstToken(at), firstToken(at + 1));
  if (collected == routing.chunks)
    isBusy = false;
  return MOERT_OK;
}

//===----------------------------------------------------------------------===//
// Sums
//===----------------------------------------------------------------------===//

namespace {

struct F32 {
  using Bits = float;
  static float read(Bits bits) { return bits; }
  static Bits write(float value) { return value; }
};
struct F16 {
  using Bits = uint16_t;
  static float read(Bits bits) { return weights::f16ToFloat(bits); }
  static Bits write(float value) { return weights::floatToF16(value); }
};
struct BF16 {
  using Bits = uint16_t;
  static float read(Bits bits) { return weights::bf16ToFloat(bits); }
  static Bits write(float value) { return weights::floatToBF16(value); }
};

/// to = the sum of `count` rows, added in their order.
template <typename Format>
void sumRows(char *to, const char *const *rows, int32_t count, int64_t width) {
  auto *sums = reinterpret_cast<typename Format::Bits *>(to);
  auto number = [&](int32_t row, int64_t i) {
    return Format::read(
        reinterpret_cast<const typename Format::Bits *>(rows[row])[i]);
  };
  for (int64_t i = 0; i < width; ++i) {
    float sum = number(0, i);
    for (int32_t row = 1; row < count; ++row)
      sum += number(row, i);
    sums[i] = Format::write(sum);
  }
}

} // namespace

void Exchange::sumResults(const Chunk &chunk, int64_t first, int64_t last) {
  size_t bytes = resultBytes();
  const char *returned = static_cast<const char *>(chunk.returned.data());
  auto *sum = routing.y_type == f32   ? sumRows<F32>
              : routing.y_type == f16 ? sumRows<F16>
                                      : sumRows<BF16>;
  for (int64_t token = first; token < last; ++token) {
    char *to = static_cast<char *>(routing.y) + size_t(token) * bytes;
    int32_t count = contributionCounts[size_t(token)];
    for (int32_t i = 0; i < count; ++i) {
      const Contribution &from =
          contributions[size_t(token * routing.choices + i)];
      terms[size_t(i)] = returned +
                         chunk.results.receiveOffsets[size_t(from.rank)] +
                         size_t(from.row) * bytes;
    }
    if (count == 0)
      std::memset(to, 0, bytes);
    else if (count == 1)
      std::memcpy(to, terms[0], bytes);
    else
      sum(to, terms.data(), count, routing.y_width);
  }
}

int32_t Exchange::allReduce(float *values, int64_t count,
                            const moert_error_sink *error) {
  gathered.resize(ranks * size_t(count));
  if (int32_t status = communicator.all_gather(communicator.context, values,
                                               count * int64_t(sizeof(float)),
                                               gathered.data(), error))
    return status;
  for (size_t r = 0; r < ranks; ++r)
    terms[r] =
        reinterpret_cast<const char *>(gathered.data() + r * size_t(count));
  sumRows<F32>(reinterpret_cast<char *>(values), terms.data(), int32_t(ranks),
               count);
  return MOERT_OK;
}

Status Exchange::agree(const std::string &what, uint64_t own) {
  std::vector<uint64_t> all(ranks);
  char message[1024] = "";
  moert_error_sink sink = {message, sizeof message};
  if (communicator.all_gather(communicator.context, &own, sizeof own,
                              all.data(), &sink))
    return Error{message};
  for (size_t r = 0; r < ranks; ++r)
    if (all[r] != own)
      return Error{"rank " + std::to_string(communicator.rank) + ": expected " +
                   what + " " + weights::hashText(own) +
                   " on all ranks, found " + weights::hashText(all[r]) +
                   " on rank " + std::to_string(r)};
  return weights::success();
}

//===----------------------------------------------------------------------===//
// The table
//===----------------------------------------------------------------------===//

template <typename Function>
int32_t LayerExchange::guard(const moert_error_sink *error,
                             Function function) try {
  return function(exchange);
} catch (const std::bad_alloc &) {
  return exchange.fail(MOERT_OUT_OF_MEMORY,
                       "layer '" + label + "': out of memory", error);
}

LayerExchange::LayerExchange(Exchange &exchange, int32_t number,
                             std::string name, LayerPlacement placement)
    : exchange(exchange), own(number), label(std::move(name)),
      places(std::move(placement)) {
  using Sink = const moert_error_sink *;
  table = {};
  table.size = sizeof table;
  table.rank = exchange.communicator.rank;
  table.ranks = exchange.communicator.ranks;
  table.context = this;
  table.begin = [](void *context, const moert_routing *routing, Sink error) {
    auto *self = static_cast<LayerExchange *>(context);
    return self->guard(
        error, [&](Exchange &on) { return on.begin(*self, *routing, error); });
  };
  table.dispatch = [](void *context, int64_t chunk, Sink error) {
    return static_cast<LayerExchange *>(context)->guard(
        error, [&](Exchange &on) { return on.dispatch(chunk, error); });
  };
  table.receive = [](void *context, int64_t chunk, moert_received *received,
                     Sink error) {
    return static_cast<LayerExchange *>(context)->guard(
        error,
        [&](Exchange &on) { return on.receive(chunk, *received, error); });
  };
  table.send_back = [](void *context, int64_t chunk, Sink error) {
    return static_cast<LayerExchange *>(context)->guard(
        error, [&](Exchange &on) { return on.sendBack(chunk, error); });
  };
  table.collect = [](void *context, int64_t chunk, Sink error) {
    return static_cast<LayerExchange *>(context)->guard(
        error, [&](Exchange &on) { return on.collect(chunk, error); });
  };
  table.all_reduce = [](void *context, float *values, int64_t count,
                        Sink error) {
    return static_cast<LayerExchange *>(context)->guard(
        error,
        [&](Exchange &on) { return on.allReduce(values, count, error); });
  };
  table.fail = [](void *context, const char *reason) {
    auto *self = static_cast<LayerExchange *>(context);
    self->exchange.fail(MOERT_UNAVAILABLE,
                        "layer '" + self->label + "': " + reason, nullptr);
  };
}

} // namespace moec::comm
