/* Who works on what: rows of groups cut into blocks, pairs sorted by block and expert. Called by compiled code.
 * Part of moec, under the Apache License v2.0 with LLVM Exceptions.
 *
 * Lists come from a caller, through a model: any number may stand in them. Sizes are the lists' own. */
#include "plan.h"

#include <string.h>

static int32_t least(int64_t a, int64_t b) { return (int32_t)(a < b ? a : b); }

/* Appends rows [first, last) of a group as blocks of at most `most` rows, and of nearly equal size. */
static int64_t append(int64_t blocks, int32_t group, int64_t first, int64_t last, int64_t most, moert_block *block) {
  for (int64_t parts = first < last ? (last - first + most - 1) / most : 0; parts > 0; --parts) {
    int64_t size = (last - first + parts - 1) / parts;
    block[blocks++] = (moert_block){group, (int32_t)first, (int32_t)size};
    first += size;
  }
  return blocks;
}

int64_t moert_plan_groups(const int32_t *offsets, int64_t groups, int64_t rows, int64_t most, moert_block *block) {
  int64_t blocks = 0, row = 0;
  int rises = offsets[0] >= 0;
  for (int64_t g = 0; g < groups; ++g)
    rises &= offsets[g] <= offsets[g + 1];
  if (rises) {
    for (int64_t g = 0; g < groups; ++g) {
      int64_t first = least(offsets[g], rows), last = least(offsets[g + 1], rows);
      blocks = append(blocks, -1, row, first, most, block);
      blocks = append(blocks, (int32_t)g, first, last, most, block);
      row = last;
    }
    return append(blocks, -1, row, rows, most, block);
  }
  /* Of groups that claim one row the first one has it. */
  while (row < rows) {
    int64_t group = -1, last = rows;
    for (int64_t g = 0; g < groups && group < 0; ++g) {
      if (offsets[g] <= row && row < offsets[g + 1]) {
        group = g;
        last = least(last, offsets[g + 1]);
      } else if (offsets[g] > row) {
        last = least(last, offsets[g]);
      }
    }
    blocks = append(blocks, (int32_t)group, row, last, most, block);
    row = last;
  }
  return blocks;
}

int64_t moert_plan_entries(const int32_t *entries, int64_t rows, int64_t groups, int64_t most, int32_t *order,
                           moert_block *block, int32_t *count) {
  memset(count, 0, (size_t)(groups + 2) * sizeof *count);
  /* Place 0 of the count is of rows without an entry: they come last. */
  for (int64_t i = 0; i < rows; ++i) {
    int32_t e = entries[i];
    ++count[e >= 0 && e < groups ? e : groups];
  }
  int32_t next = 0;
  for (int64_t g = 0; g <= groups; ++g) {
    int32_t size = count[g];
    count[g] = next;
    next += size;
  }
  for (int64_t i = 0; i < rows; ++i) {
    int32_t e = entries[i];
    order[count[e >= 0 && e < groups ? e : groups]++] = (int32_t)i;
  }
  int64_t blocks = 0, first = 0;
  for (int64_t g = 0; g <= groups; ++g) {
    blocks = append(blocks, g < groups ? (int32_t)g : -1, first, count[g], most, block);
    first = count[g];
  }
  return blocks;
}

/* Stable counting sort of `from` into `to` by key, whose values are 0 ... keys - 1. */
static void sortBy(const int32_t *key, int64_t keys, const int32_t *from, int32_t *to, int64_t size, int32_t *count) {
  memset(count, 0, (size_t)(keys + 1) * sizeof *count);
  for (int64_t i = 0; i < size; ++i)
    ++count[key[from[i]] + 1];
  for (int64_t k = 0; k < keys; ++k)
    count[k + 1] += count[k];
  for (int64_t i = 0; i < size; ++i)
    to[count[key[from[i]]]++] = from[i];
}

int64_t moert_plan_pairs(const int32_t *row_of_pair, const int32_t *expert_of_pair, const float *weight_of_pair, int64_t pairs,
                         int64_t experts, const moert_block *block, int64_t blocks, int64_t rows, int32_t *scratch,
                         int32_t *pair, int32_t *row, float *weight, moert_segment *segment, int32_t *segment_of_block) {
  /* Scratch: block of a row, expert and block of a pair, two orders, counts. */
  int32_t *blockOfRow = scratch, *expert = blockOfRow + rows, *blockOf = expert + pairs, *one = blockOf + pairs,
          *two = one + pairs, *count = two + pairs;
  for (int64_t r = 0; r < rows; ++r)
    blockOfRow[r] = -1;
  for (int64_t b = 0; b < blocks; ++b)
    for (int32_t r = 0; block[b].group >= 0 && r < block[b].rows; ++r)
      blockOfRow[block[b].first + r] = (int32_t)b;

  /* A pair whose row is nowhere is zero; one without expert has no residual and comes first of its block. */
  int64_t valid = 0, invalid = 0;
  int sorted = 1;
  int32_t before = 0;
  for (int64_t p = 0; p < pairs; ++p) {
    int32_t r = row_of_pair[p], e = expert_of_pair[p];
    if (r < 0 || r >= rows || blockOfRow[r] < 0) {
      ++invalid;
      pair[pairs - invalid] = (int32_t)p;
      continue;
    }
    expert[p] = e >= 0 && e < experts ? e + 1 : 0;
    blockOf[p] = blockOfRow[r];
    sorted &= r >= before;
    before = r;
    one[valid++] = (int32_t)p;
  }
  if (!sorted) {
    sortBy(row_of_pair, rows, one, two, valid, count);
    memcpy(one, two, (size_t)valid * sizeof *one);
  }
  sortBy(expert, experts + 1, one, two, valid, count);
  sortBy(blockOf, blocks, two, one, valid, count);

  int64_t segments = 0, next = 0;
  for (int64_t i = 0; i < valid; ++i) {
    int32_t p = one[i], last = i ? one[i - 1] : 0;
    pair[i] = p;
    row[i] = row_of_pair[p];
    weight[i] = weight_of_pair ? weight_of_pair[p] : 1.0f;
    /* Rows of a segment differ: a kernel reads several before it writes them. */
    if (i && blockOf[p] == blockOf[last] && expert[p] == expert[last] && row_of_pair[p] != row_of_pair[last])
      continue;
    while (next <= blockOf[p])
      segment_of_block[next++] = (int32_t)segments;
    segment[segments++] = (moert_segment){expert[p] - 1, (int32_t)i};
  }
  while (next <= blocks)
    segment_of_block[next++] = (int32_t)segments;
  segment[segments] = (moert_segment){-1, (int32_t)valid};
  return valid;
}

void moert_group_rows(const int32_t *clusters, const int32_t *ids, const float *weights, const int32_t *slots, int64_t tokens,
                      int64_t places, int64_t choices, int64_t groups, int64_t experts, int32_t *scratch, int32_t *row_token,
                      int64_t rows, int32_t *row_offsets, int32_t *pair_row, int32_t *pair_expert, float *pair_weight,
                      int64_t pairs) {
  int32_t *offsets = row_offsets, *cursor = scratch, *slot = cursor + groups;
  int64_t row = 0, pair = 0;
  memset(offsets, 0, (size_t)(groups + 1) * sizeof *offsets);
  for (int64_t i = 0; i < tokens * places; ++i) {
    int32_t c = clusters[i];
    if (c >= 0 && c < groups)
      ++offsets[c + 1];
  }
  for (int64_t g = 0; g < groups; ++g) {
    offsets[g + 1] += offsets[g];
    cursor[g] = offsets[g];
  }
  for (int64_t t = 0; t < tokens; ++t)
    for (int64_t m = 0; m < places; ++m) {
      int32_t c = clusters[t * places + m];
      if (c < 0 || c >= groups)
        continue;
      row_token[cursor[c]] = (int32_t)t;
      slot[cursor[c]++] = (int32_t)m;
    }
  row = offsets[groups];
  for (int64_t r = 0; r < row; ++r) {
    int64_t t = row_token[r];
    for (int64_t j = 0; j < choices; ++j) {
      int32_t e = ids[t * choices + j];
      int32_t at = slots ? slots[t * choices + j] : (int32_t)j;
      if (at != slot[r] || e < 0 || e >= experts)
        continue;
      pair_row[pair] = (int32_t)r;
      pair_expert[pair] = e;
      pair_weight[pair++] = weights[t * choices + j];
    }
  }
  for (; row < rows; ++row)
    row_token[row] = -1;
  for (; pair < pairs; ++pair) {
    pair_row[pair] = pair_expert[pair] = -1;
    pair_weight[pair] = 0;
  }
}
