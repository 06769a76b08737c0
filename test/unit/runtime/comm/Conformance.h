// What every communicator does, and the exchange of rows above it.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
//
// Each rank calls the same functions with its own communicator. They answer
// what is wrong, or nothing. Numbers are small integers, so that sums are the
// same in any order.
#ifndef MOEC_TEST_UNIT_RUNTIME_COMM_CONFORMANCE_H
#define MOEC_TEST_UNIT_RUNTIME_COMM_CONFORMANCE_H

#include "moert/comm.h"
#include "runtime/comm/Exchange.h"

#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace moec::test {

/// A sink with its text.
struct Message {
  char text[1024] = "";
  moert_error_sink sink = {text, sizeof text};
};

/// An all-to-all of one rank: bytes that say where they come from.
struct Letters {
  std::vector<int64_t> sendBytes, sendOffsets, receiveBytes, receiveOffsets;
  std::vector<uint8_t> sent, received;
  moert_all_to_all view = {};

  static uint8_t letter(int32_t from, int32_t to, int64_t at, int32_t salt) {
    return uint8_t(from * 31 + to * 7 + at * 3 + salt);
  }

  /// `bytes` says how many go from one rank to another.
  Letters(const moert_communicator &on, int32_t salt,
          const std::function<int64_t(int32_t from, int32_t to)> &bytes)
      : own(on.rank), ranks(on.ranks), salt(salt) {
    for (int32_t r = 0; r < ranks; ++r) {
      sendBytes.push_back(bytes(own, r));
      sendOffsets.push_back(int64_t(sent.size()));
      for (int64_t i = 0; i < sendBytes.back(); ++i)
        sent.push_back(letter(own, r, i, salt));
      receiveBytes.push_back(bytes(r, own));
      receiveOffsets.push_back(int64_t(received.size()));
      received.resize(received.size() + size_t(receiveBytes.back()));
    }
    view = {sent.data(),     sendBytes.data(),    sendOffsets.data(),
            received.data(), receiveBytes.data(), receiveOffsets.data()};
  }

  bool haveCome() const {
    for (int32_t r = 0; r < ranks; ++r)
      for (int64_t i = 0; i < receiveBytes[size_t(r)]; ++i)
        if (received[size_t(receiveOffsets[size_t(r)] + i)] !=
            letter(r, own, i, salt))
          return false;
    return true;
  }

private:
  int32_t own, ranks, salt;
};

/// Two all-to-alls at once, awaited in the other order; one of large blocks.
inline std::string conformAllToAll(moert_communicator &on, int32_t round) {
  Message message;
  Letters uneven(on, round, [&](int32_t from, int32_t to) {
    return int64_t((from * 5 + to * 3 + round) % 4) * 700;
  });
  Letters large(on, round + 1, [](int32_t from, int32_t to) {
    return int64_t(100'000 + from + 1000 * to);
  });
  for (auto [channel, letters] : {std::pair(3, &uneven), std::pair(0, &large)})
    if (on.start_all_to_all(on.context, channel, &letters->view, &message.sink))
      return message.text;
  int32_t hasEnded = 0;
  while (!hasEnded)
    if (on.test(on.context, 0, &hasEnded, &message.sink))
      return message.text;
  if (on.wait(on.context, 3, &message.sink))
    return message.text;
  return uneven.haveCome() && large.haveCome() ? "" : "other bytes came";
}

inline std::string conformCollectives(moert_communicator &on, int32_t round) {
  Message message;
  std::vector<int32_t> own = {on.rank, round}, all(size_t(2 * on.ranks));
  if (on.all_gather(on.context, own.data(), 8, all.data(), &message.sink))
    return message.text;
  for (int32_t r = 0; r < on.ranks; ++r)
    if (all[size_t(2 * r)] != r || all[size_t(2 * r + 1)] != round)
      return "all_gather: other numbers came";
  std::vector<float> parts(size_t(3 * on.ranks)), sums(3);
  for (size_t i = 0; i < parts.size(); ++i)
    parts[i] = float(on.rank + 1) * float(i);
  if (on.reduce_scatter(on.context, parts.data(), 3, sums.data(),
                        &message.sink))
    return message.text;
  float ranks = float(on.ranks * (on.ranks + 1) / 2);
  for (size_t i = 0; i < 3; ++i)
    if (sums[i] != ranks * float(size_t(on.rank) * 3 + i))
      return "reduce_scatter: other sums came";
  return on.barrier(on.context, &message.sink) ? message.text : "";
}

/// A layer of plain numbers: expert e of cluster e / 2 multiplies the row's
/// numbers by e + 1.
struct Step {
  int64_t tokens = 0, width = 0, choices = 0;
  int32_t chunks = 1;
  std::vector<float> x, y, weights, expected;
  std::vector<int32_t> ids, clusters;

  /// `choose` draws an expert, or -1.
  Step(int64_t tokens, int64_t width, int64_t choices, int32_t chunks,
       std::mt19937 &random, const std::function<int32_t()> &choose)
      : tokens(tokens), width(width), choices(choices), chunks(chunks) {
    for (int64_t i = 0; i < tokens * width; ++i)
      x.push_back(float(int(random() % 9) - 4));
    for (int64_t i = 0; i < tokens * choices; ++i) {
      ids.push_back(choose());
      clusters.push_back(ids.back() < 0 ? -1 : ids.back() / 2);
      weights.push_back(float(random() % 4));
    }
    y.assign(size_t(tokens * width), -77.0f);
    expected.assign(size_t(tokens * width), 0.0f);
    compute(tokens, x.data(), ids.data(), weights.data(), expected.data());
  }

  void compute(int64_t rows, const float *from, const int32_t *chosen,
               const float *gates, float *to) const {
    std::fill_n(to, rows * width, 0.0f);
    for (int64_t t = 0; t < rows; ++t)
      for (int64_t j = 0; j < choices; ++j)
        for (int64_t d = 0; d < width && chosen[t * choices + j] >= 0; ++d)
          to[t * width + d] += gates[t * choices + j] * from[t * width + d] *
                               float(chosen[t * choices + j] + 1);
  }

  moert_routing routing() {
    constexpr int32_t f32 = MOERT_ELEMENT(kDLFloat, 32);
    return {sizeof(moert_routing),
            f32,
            f32,
            chunks,
            x.data(),
            ids.data(),
            clusters.data(),
            weights.data(),
            y.data(),
            tokens,
            choices,
            width,
            width};
  }

  /// Runs it, chunks overlapped: two on their way while one is computed.
  std::string run(const moert_exchange &on) {
    Message message;
    moert_routing own = routing();
    moert_received received = {};
    auto fails = [&](int32_t status) { return status != MOERT_OK; };
    if (fails(on.begin(on.context, &own, &message.sink)) ||
        fails(on.dispatch(on.context, 0, &message.sink)))
      return message.text;
    for (int32_t c = 0; c < chunks; ++c) {
      if (c + 1 < chunks &&
          fails(on.dispatch(on.context, c + 1, &message.sink)))
        return message.text;
      if (fails(on.receive(on.context, c, &received, &message.sink)))
        return message.text;
      compute(received.count, static_cast<const float *>(received.rows),
              received.ids, received.weights,
              static_cast<float *>(received.results));
      if (fails(on.send_back(on.context, c, &message.sink)))
        return message.text;
    }
    for (int32_t c = 0; c < chunks; ++c)
      if (fails(on.collect(on.context, c, &message.sink)))
        return message.text;
    return y == expected ? "" : "other results came";
  }
};

/// Steps of random tokens: as many on each rank as it likes, none on some, all
/// to one rank, chunks, choices of nothing; with replicas, with more ranks than
/// clusters, and dealt by turns.
inline std::string conformExchange(moert_communicator &on, int32_t round) {
  std::vector<std::vector<int32_t>> replicated(4), few(2, {0});
  for (int32_t c = 0; c < 4; ++c)
    for (int32_t r = 0; r < on.ranks; ++r)
      if ((r + c) % 2 == 0 || r == c % on.ranks)
        replicated[size_t(c)].push_back(r);
  comm::Exchange exchange(on);
  comm::LayerExchange layers[] = {
      {exchange, 0, "dealt", comm::LayerPlacement::roundRobin(on.ranks)},
      {exchange, 1, "replicated", comm::LayerPlacement(replicated)},
      {exchange, 2, "few", comm::LayerPlacement(few)}};
  for (comm::LayerExchange &layer : layers) {
    std::mt19937 random(uint32_t(round * 97 + on.rank * 13 + layer.number()));
    int32_t experts = layer.number() == 2 ? 4 : 8;
    auto anyExpert = [&] { return int32_t(random() % 9) % experts; };
    auto orNone = [&] { return int32_t(random() % uint32_t(experts + 1)) - 1; };
    auto theFirst = [] { return 0; };
    Step steps[] = {
        {5 + on.rank * 3, 7, 2, 1, random, anyExpert},
        {on.rank % 2 ? 0 : 9, 3, 4, 3, random, orNone},
        {6, 5, 2, 2, random, theFirst},
        {40, 33, 3, 4, random, anyExpert},
        {0, 4, 2, 2, random, anyExpert},
    };
    for (Step &step : steps)
      if (std::string wrong = step.run(*layer.view()); !wrong.empty())
        return layer.name() + ": " + wrong;
  }
  return "";
}

/// All of it, several times.
inline std::string conform(moert_communicator &on) {
  for (int32_t round = 0; round < 5; ++round)
    for (auto *check : {conformAllToAll, conformCollectives, conformExchange})
      if (std::string wrong = check(on, round); !wrong.empty())
        return wrong;
  return "";
}

/// Local ranks, each in a thread of its own.
class LocalRanks {
public:
  explicit LocalRanks(int32_t ranks,
                      const moert_communicator_options &options =
                          {sizeof(moert_communicator_options), 0, 0, 0})
      : communicators(size_t(ranks)) {
    Message message;
    if (moert_local_communicators_create(&options, ranks, &message.sink,
                                         communicators.data()))
      std::abort();
  }
  ~LocalRanks() {
    for (moert_communicator *communicator : communicators)
      moert_communicator_destroy(communicator);
  }

  /// Runs a function on all ranks and returns what each answered.
  std::vector<std::string>
  run(const std::function<std::string(moert_communicator &)> &function) {
    std::vector<std::string> answers(communicators.size());
    std::vector<std::thread> threads;
    for (size_t r = 0; r < answers.size(); ++r)
      threads.emplace_back(
          [&, r] { answers[r] = function(*communicators[r]); });
    for (std::thread &thread : threads)
      thread.join();
    return answers;
  }

  moert_communicator &at(size_t rank) { return *communicators[rank]; }
  /// The rank leaves.
  void leave(size_t rank) {
    moert_communicator_destroy(communicators[rank]);
    communicators[rank] = nullptr;
  }

private:
  std::vector<moert_communicator *> communicators;
};

} // namespace moec::test

#endif // MOEC_TEST_UNIT_RUNTIME_COMM_CONFORMANCE_H
