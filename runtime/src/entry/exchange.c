/* What compiled code calls where other ranks compute some of its rows.
 * Part of moec, under the Apache License v2.0 with LLVM Exceptions. */
#include "exchange.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static bool isUnderWay(const moert_call_exchange *call) { return call->exchange && call->status == MOERT_OK; }

static moert_error_sink sinkOf(moert_call_exchange *call) {
  moert_error_sink sink = {call->message, sizeof call->message};
  return sink;
}

void moert_exchange_begin(void *exchange, const void *x, const int32_t *ids, const int32_t *clusters, const float *weights, void *y,
                          int64_t tokens, int64_t choices, int64_t x_width, int64_t y_width, int32_t x_type, int32_t y_type,
                          int64_t chunks) {
  moert_call_exchange *call = exchange;
  moert_routing routing = {sizeof routing, x_type, y_type,  (int32_t)chunks, x,       ids,    clusters,
                           weights,        y,      tokens,  choices,         x_width, y_width};
  call->routing = routing;
  moert_error_sink sink = sinkOf(call);
  if (isUnderWay(call))
    call->status = call->exchange->begin(call->exchange->context, &call->routing, &sink);
}

void moert_exchange_dispatch(void *exchange, int64_t chunk) {
  moert_call_exchange *call = exchange;
  moert_error_sink sink = sinkOf(call);
  if (isUnderWay(call))
    call->status = call->exchange->dispatch(call->exchange->context, chunk, &sink);
}

/* Bytes of `count` elements. */
static int64_t bytesOf(int64_t count, int32_t type) { return count * ((type & 0xFF) / 8); }

/* The chunk itself: without an exchange this rank computes all of its rows. */
static void receiveOwn(const moert_routing *routing, int64_t chunk, moert_received *received) {
  int64_t first = routing->tokens * chunk / routing->chunks;
  received->count = routing->tokens * (chunk + 1) / routing->chunks - first;
  received->rows = (const char *)routing->x + bytesOf(first * routing->x_width, routing->x_type);
  received->ids = routing->ids + first * routing->choices;
  received->weights = routing->weights + first * routing->choices;
  received->results = (char *)routing->y + bytesOf(first * routing->y_width, routing->y_type);
}

int64_t moert_exchange_receive(void *exchange, int64_t chunk, moert_received *received) {
  moert_call_exchange *call = exchange;
  memset(received, 0, sizeof *received);
  moert_error_sink sink = sinkOf(call);
  if (!call->exchange)
    receiveOwn(&call->routing, chunk, received);
  else if (call->status == MOERT_OK)
    call->status = call->exchange->receive(call->exchange->context, chunk, received, &sink);
  if (call->status != MOERT_OK)
    received->count = 0;
  return received->count;
}

void moert_exchange_send_back(void *exchange, int64_t chunk) {
  moert_call_exchange *call = exchange;
  if (!isUnderWay(call))
    return;
  if (call->paging->status != MOERT_OK) {
    /* The results were made of whatever lay in the pools. */
    call->status = call->paging->status;
    memcpy(call->message, call->paging->message, sizeof call->message);
    call->exchange->fail(call->exchange->context, call->message);
    return;
  }
  moert_error_sink sink = sinkOf(call);
  call->status = call->exchange->send_back(call->exchange->context, chunk, &sink);
}

void moert_exchange_collect(void *exchange, int64_t chunk) {
  moert_call_exchange *call = exchange;
  moert_error_sink sink = sinkOf(call);
  if (isUnderWay(call))
    call->status = call->exchange->collect(call->exchange->context, chunk, &sink);
}

void moert_exchange_all_reduce(void *exchange, float *values, int64_t count) {
  moert_call_exchange *call = exchange;
  moert_error_sink sink = sinkOf(call);
  if (isUnderWay(call))
    call->status = call->exchange->all_reduce(call->exchange->context, values, count, &sink);
}
