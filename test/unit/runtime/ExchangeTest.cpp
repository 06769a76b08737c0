// Tests of what compiled code calls where other ranks compute some of its rows.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "moert/abi.h"

#include "test/unit/runtime/TestTensor.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <functional>
#include <string>
#include <vector>

using moec::test::TestCall;
using moec::test::TestTensor;

namespace {

/// Writes down what it is asked for, and fails where it is told to.
struct Recorder {
  std::string said, failsAt;
  moert_routing routing = {};
  float rows[2] = {}, results[2] = {};

  int32_t say(const std::string &what, const moert_error_sink *error) {
    said += what + ";";
    if (what != failsAt)
      return MOERT_OK;
    std::snprintf(error->text, error->capacity, "rank 2 is gone");
    return MOERT_UNAVAILABLE;
  }
  static Recorder &of(void *context) {
    return *static_cast<Recorder *>(context);
  }

  moert_exchange table = {
      sizeof(moert_exchange),
      0,
      3,
      this,
      [](void *context, const moert_routing *routing,
         const moert_error_sink *error) {
        of(context).routing = *routing;
        return of(context).say("begin", error);
      },
      [](void *context, int64_t chunk, const moert_error_sink *error) {
        return of(context).say("dispatch " + std::to_string(chunk), error);
      },
      [](void *context, int64_t chunk, moert_received *received,
         const moert_error_sink *error) {
        Recorder &self = of(context);
        *received = {2, self.rows, nullptr, nullptr, self.results};
        return self.say("receive " + std::to_string(chunk), error);
      },
      [](void *context, int64_t chunk, const moert_error_sink *error) {
        return of(context).say("send_back " + std::to_string(chunk), error);
      },
      [](void *context, int64_t chunk, const moert_error_sink *error) {
        return of(context).say("collect " + std::to_string(chunk), error);
      },
      [](void *context, float *values, int64_t count,
         const moert_error_sink *error) {
        for (int64_t i = 0; i < count; ++i)
          values[i] *= 3;
        return of(context).say("all_reduce", error);
      },
      [](void *context, const char *reason) {
        of(context).said += std::string("fail: ") + reason + ";";
      }};
};

/// What the kernel under test does with the call's paging and exchange.
std::function<void(void *paging, void *exchange)> body;

void kernel(void **descriptors) { body(descriptors[4], descriptors[5]); }

const moert_argument arguments[] = {
    {"x", kDLFloat, 32, MOERT_INPUT, 1, {4}, 0, 0},
    {"y", kDLFloat, 32, MOERT_OUTPUT, 1, {4}, 0, 0},
};
const moert_variant variant = {"portable", 0, kernel, nullptr, nullptr};
const moert_entry entry = {sizeof(moert_entry), 2,        "moec_spread",
                           arguments,           &variant, 1};

class ExchangeTest : public testing::Test {
protected:
  int32_t run(std::function<void(void *, void *)> what) {
    body = std::move(what);
    call.call.binding = &binding;
    return moert_entry_call(&entry, &call.call, args, 2);
  }
  /// 5 tokens of 3 f32 and 2 choices, to 2 numbers of f16 each.
  void begin(void *exchange, int64_t chunks) {
    moert_exchange_begin(exchange, tokens, ids, clusters, weights, sums, 5, 2,
                         3, 2, MOERT_ELEMENT(kDLFloat, 32),
                         MOERT_ELEMENT(kDLFloat, 16), chunks);
  }
  void expectRefused(const std::string &message) {
    EXPECT_EQ(run([](void *, void *) { ADD_FAILURE() << "the kernel ran"; }),
              MOERT_INVALID_ARGUMENT);
    EXPECT_EQ(call.message(), message);
  }

  float xData[4] = {}, yData[4] = {};
  TestTensor x{xData, kDLFloat, 32, {4}}, y{yData, kDLFloat, 32, {4}};
  DLTensor *args[2] = {&x.view, &y.view};
  float tokens[15] = {}, weights[10] = {};
  int32_t ids[10] = {}, clusters[10] = {};
  uint16_t sums[10] = {};
  Recorder recorder;
  moert_layer_binding binding = {sizeof(moert_layer_binding), 0, nullptr, 1,
                                 nullptr, &recorder.table};
  TestCall call;
  moert_received received = {};
};

TEST_F(ExchangeTest, passesOnWhatTheCodeAsksFor) {
  EXPECT_EQ(run([&](void *, void *exchange) {
              begin(exchange, 2);
              moert_exchange_dispatch(exchange, 0);
              moert_exchange_dispatch(exchange, 1);
              EXPECT_EQ(moert_exchange_receive(exchange, 0, &received), 2);
              moert_exchange_send_back(exchange, 0);
              moert_exchange_collect(exchange, 0);
              float value = 2;
              moert_exchange_all_reduce(exchange, &value, 1);
              EXPECT_EQ(value, 6);
            }),
            MOERT_OK)
      << call.message();
  EXPECT_EQ(recorder.said, "begin;dispatch 0;dispatch 1;receive 0;send_back 0;"
                           "collect 0;all_reduce;");
  EXPECT_EQ(received.rows, recorder.rows);
  EXPECT_EQ(received.results, recorder.results);
  const moert_routing &routing = recorder.routing;
  EXPECT_EQ(routing.size, sizeof(moert_routing));
  EXPECT_EQ(routing.x, tokens);
  EXPECT_EQ(routing.ids, ids);
  EXPECT_EQ(routing.clusters, clusters);
  EXPECT_EQ(routing.weights, weights);
  EXPECT_EQ(routing.y, sums);
  EXPECT_EQ(routing.tokens, 5);
  EXPECT_EQ(routing.choices, 2);
  EXPECT_EQ(routing.x_width, 3);
  EXPECT_EQ(routing.y_width, 2);
  EXPECT_EQ(routing.x_type, 2 << 8 | 32);
  EXPECT_EQ(routing.y_type, 2 << 8 | 16);
  EXPECT_EQ(routing.chunks, 2);
}

TEST_F(ExchangeTest, isTheIdentityOnOneRank) {
  auto exchanges = [&](void *, void *exchange) {
    begin(exchange, 2);
    moert_exchange_dispatch(exchange, 0);
    moert_exchange_dispatch(exchange, 1);
    EXPECT_EQ(moert_exchange_receive(exchange, 0, &received), 2);
    EXPECT_EQ(received.count, 2);
    EXPECT_EQ(received.rows, tokens);
    EXPECT_EQ(received.results, sums);
    moert_exchange_send_back(exchange, 0);
    EXPECT_EQ(moert_exchange_receive(exchange, 1, &received), 3);
    EXPECT_EQ(received.rows, tokens + 2 * 3);
    EXPECT_EQ(received.ids, ids + 2 * 2);
    EXPECT_EQ(received.weights, weights + 2 * 2);
    EXPECT_EQ(received.results, sums + 2 * 2);
    moert_exchange_send_back(exchange, 1);
    moert_exchange_collect(exchange, 0);
    moert_exchange_collect(exchange, 1);
    float value = 2;
    moert_exchange_all_reduce(exchange, &value, 1);
    EXPECT_EQ(value, 2);
  };
  binding.exchange = nullptr;
  EXPECT_EQ(run(exchanges), MOERT_OK) << call.message();
  // A binding of an earlier minor ends in front of it.
  binding.exchange = &recorder.table;
  binding.size = offsetof(moert_layer_binding, exchange);
  EXPECT_EQ(run(exchanges), MOERT_OK) << call.message();
  EXPECT_EQ(recorder.said, "");
}

TEST_F(ExchangeTest, answersTheFirstErrorAndSendsNoMore) {
  recorder.failsAt = "receive 0";
  EXPECT_EQ(run([&](void *, void *exchange) {
              begin(exchange, 1);
              moert_exchange_dispatch(exchange, 0);
              EXPECT_EQ(moert_exchange_receive(exchange, 0, &received), 0);
              EXPECT_EQ(received.count, 0);
              EXPECT_EQ(moert_exchange_receive(exchange, 0, &received), 0);
              moert_exchange_send_back(exchange, 0);
              moert_exchange_collect(exchange, 0);
              moert_exchange_dispatch(exchange, 0);
              float value = 2;
              moert_exchange_all_reduce(exchange, &value, 1);
              EXPECT_EQ(value, 2);
              begin(exchange, 1);
            }),
            MOERT_UNAVAILABLE);
  EXPECT_EQ(call.message(), "moec_spread: rank 2 is gone");
  EXPECT_EQ(recorder.said, "begin;dispatch 0;receive 0;");
}

TEST_F(ExchangeTest, tellsTheOthersWhenPagingFailed) {
  moert_paging paging = {
      sizeof(moert_paging), nullptr,
      [](void *, const int32_t *, int64_t, int32_t *,
         const moert_error_sink *error) -> int32_t {
        std::snprintf(error->text, error->capacity, "base 3 is damaged");
        return MOERT_IO_ERROR;
      },
      [](void *, const int32_t *) {},
      [](void *, int32_t, const int32_t *, int64_t) {}};
  binding.paging = &paging;
  EXPECT_EQ(run([&](void *pager, void *exchange) {
              begin(exchange, 1);
              moert_exchange_dispatch(exchange, 0);
              moert_exchange_receive(exchange, 0, &received);
              int32_t cluster = 0, slot = 0;
              moert_paging_acquire(pager, &cluster, 1, &slot, 1, &slot);
              moert_exchange_send_back(exchange, 0);
              moert_exchange_collect(exchange, 0);
            }),
            MOERT_IO_ERROR);
  EXPECT_EQ(call.message(), "moec_spread: base 3 is damaged");
  EXPECT_EQ(recorder.said,
            "begin;dispatch 0;receive 0;fail: base 3 is damaged;");
}

TEST_F(ExchangeTest, refusesATableThatIsNotWhole) {
  recorder.table.size = 16;
  expectRefused("moec_spread: got an exchange of 16 bytes, expected at least "
                "80 and seven functions");
  recorder.table.size = sizeof(moert_exchange);
  recorder.table.fail = nullptr;
  expectRefused("moec_spread: got an exchange of 80 bytes that lacks a "
                "function, expected at least 80 and seven functions");
}

TEST_F(ExchangeTest, isOfCodeOfTheCpuAlone) {
  const moert_device_runtime runtime = {
      sizeof(moert_device_runtime), kDLCUDA, "CUDA",
      [](int32_t, int32_t *capability, char *, size_t) -> int32_t {
        *capability = 80;
        return MOERT_OK;
      },
      [](const moert_variant *, int32_t, const moert_call *, void **, void **,
         char *, size_t) -> int32_t {
        ADD_FAILURE() << "the kernel ran";
        return MOERT_OK;
      }};
  void *state = nullptr;
  const moert_device_code code = {sizeof(moert_device_code),
                                  80,
                                  0,
                                  0,
                                  nullptr,
                                  0,
                                  nullptr,
                                  nullptr,
                                  &state,
                                  &runtime,
                                  nullptr};
  const moert_variant onCuda = {"sm_80", 0, kernel, nullptr, &code};
  const moert_entry there = {sizeof(moert_entry), 2,       "moec_spread",
                             arguments,           &onCuda, 1};
  for (DLTensor *tensor : {&x.view, &y.view})
    tensor->device = {kDLCUDA, 0};
  call.call.binding = &binding;
  call.call.workspace = nullptr;
  EXPECT_EQ(moert_entry_call(&there, &call.call, args, 2),
            MOERT_INVALID_ARGUMENT);
  EXPECT_EQ(call.message(), "moec_spread: got a layer binding with an "
                            "exchange, expected none on CUDA");
}

} // namespace
