/* The library of a model whose clusters may be paged, written by hand: y[t] = x[t] * sum(w of ids[t]) + b of ids[t] [1].
 * The clusters of a step are the hint for the next layer. With FAKE_PAGED_EXCHANGES rows go to the ranks of their clusters.
 * Part of moec, under the Apache License v2.0 with LLVM Exceptions. */
#include "test/unit/runtime/fake_paged_model.h"

#include "moert/abi.h"

#define EXPORT __attribute__((visibility("default")))

typedef struct {
  float *allocated, *aligned;
  int64_t offset, sizes[2], strides[2];
} Pool;
typedef struct {
  float *allocated, *aligned;
  int64_t offset, sizes[1], strides[1];
} Floats;
typedef struct {
  int32_t *allocated, *aligned;
  int64_t offset, sizes[1], strides[1];
} Integers;

static void compute(void **descriptors, const float *x, const int32_t *ids, float *y, int64_t count) {
  const Integers *table = descriptors[4];
  const Pool *w = descriptors[2], *b = descriptors[3];
  void *paging = descriptors[9];
  int32_t slots[FAKE_PAGED_CLUSTERS];
  moert_paging_prefetch(paging, 1, ids, count);
  moert_paging_acquire(paging, ids, count, table->aligned, FAKE_PAGED_CLUSTERS, slots);
  for (int64_t t = 0; t < count; ++t) {
    int32_t place = slots[ids[t]];
    float sum = 0;
    for (int64_t d = 0; d < FAKE_PAGED_WIDTH; ++d)
      sum += w->aligned[place * w->strides[0] + d];
    y[t] = x[t] * sum + b->aligned[place * b->strides[0] + 1];
  }
  moert_paging_release(paging, slots);
}

static void kernel(void **descriptors) {
  const Floats *x = descriptors[0], *y = descriptors[6];
  const Integers *ids = descriptors[1];
#ifdef FAKE_PAGED_EXCHANGES
  void *exchange = descriptors[10];
  const int32_t f32 = MOERT_ELEMENT(kDLFloat, 32);
  moert_received received;
  /* Nobody looks at the gate weights, of which there has to be one for each token. */
  moert_exchange_begin(exchange, x->aligned, ids->aligned, 0, x->aligned, y->aligned, x->sizes[0], 1, 1, 1, f32, f32, 1);
  moert_exchange_dispatch(exchange, 0);
  moert_exchange_receive(exchange, 0, &received);
  compute(descriptors, received.rows, received.ids, received.results, received.count);
  moert_exchange_send_back(exchange, 0);
  moert_exchange_collect(exchange, 0);
#else
  compute(descriptors, x->aligned, ids->aligned, y->aligned, x->sizes[0]);
#endif
}

static const moert_variant variant = {"portable", 0, kernel, 0, 0};
static const moert_argument arguments[] = {
    {"x", kDLFloat, 32, MOERT_INPUT, 1, {-2}, 1, 0},
    {"ids", kDLInt, 32, MOERT_INPUT, 1, {-2}, 1, 0},
    {"w", kDLFloat, 32, MOERT_BINDING, 2, {MOERT_DYNAMIC, FAKE_PAGED_WIDTH}, 2, 64},
    {"b", kDLFloat, 32, MOERT_BINDING, 2, {MOERT_DYNAMIC, 2}, 2, 64},
    {"w.slots", kDLInt, 32, MOERT_BINDING, 1, {FAKE_PAGED_CLUSTERS}, 1, 0},
    {"b.slots", kDLInt, 32, MOERT_BINDING, 1, {FAKE_PAGED_CLUSTERS}, 1, 0},
    {"y", kDLFloat, 32, MOERT_OUTPUT, 1, {-2}, 1, 0},
};
static const moert_entry block = {sizeof(moert_entry), 7, "moec_block", arguments, &variant, 1};

EXPORT int32_t moec_block(const moert_call *call, DLTensor *const *args, int32_t count);
EXPORT int32_t moec_block(const moert_call *call, DLTensor *const *args, int32_t count) {
  return moert_entry_call(&block, call, args, count);
}

EXPORT int32_t moec_block_workspace(const moert_call *call, DLTensor *const *args, int32_t count, uint64_t *bytes);
EXPORT int32_t moec_block_workspace(const moert_call *call, DLTensor *const *args, int32_t count, uint64_t *bytes) {
  return moert_entry_workspace(&block, call, args, count, bytes);
}

EXPORT const char *moec_manifest(void);
EXPORT const char *moec_manifest(void) {
#ifdef FAKE_PAGED_EXCHANGES
  return FAKE_EXCHANGING_MANIFEST;
#else
  return FAKE_PAGED_MANIFEST;
#endif
}

EXPORT uint32_t moec_abi_version(void);
EXPORT uint32_t moec_abi_version(void) { return MOERT_ABI_VERSION; }
