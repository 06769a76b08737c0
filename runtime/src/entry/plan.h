/* Who works on what: rows of groups cut into blocks, pairs sorted by block and expert. Linked into libraries, hidden.
 * Part of moec, under the Apache License v2.0 with LLVM Exceptions. */
#ifndef MOERT_ENTRY_PLAN_H
#define MOERT_ENTRY_PLAN_H

#include <stdint.h>

/** Rows [first, first + rows) of a group, or of none (-1): these are zero. */
typedef struct {
  int32_t group, first, rows;
} moert_block;

/** Pairs of one expert (-1: of none) in one block, from place `first` to that of the next segment. Their rows differ. */
typedef struct {
  int32_t expert, first;
} moert_segment;

/** Blocks of at most `most` rows that cover rows [0, rows): group g has rows offsets[g] to offsets[g + 1]; of groups that claim
 * one row the first one has it. Returns how many: at most `rows`. */
int64_t moert_plan_groups(const int32_t *offsets, int64_t groups, int64_t rows, int64_t most, moert_block *block);

/** Sorts rows by their entry, stably, those without one at the end: block `first` counts places in `order`. `count` is scratch
 * of groups + 2. Returns how many blocks: at most `rows`. */
int64_t moert_plan_entries(const int32_t *entries, int64_t rows, int64_t groups, int64_t most, int32_t *order,
                           moert_block *block, int32_t *count);

/** Sorts pairs by the block of their row, then expert, then row. At each place: which pair, its row, its weight (1 without
 * weights). Pairs whose row has no group stand at the end, behind the number returned, from the last place backwards.
 * segment_of_block has blocks + 1 numbers, segments one more than there are. Scratch: rows + 4·pairs +
 * max(rows, experts, blocks) + 2. */
int64_t moert_plan_pairs(const int32_t *row_of_pair, const int32_t *expert_of_pair, const float *weight_of_pair, int64_t pairs,
                         int64_t experts, const moert_block *block, int64_t blocks, int64_t rows, int32_t *scratch,
                         int32_t *pair, int32_t *row, float *weight, moert_segment *segment, int32_t *segment_of_block);

/** moe.group (docs/spec.md, section 6): clusters [tokens, places], ids, weights and slots [tokens, choices]; without slots
 * choice j belongs to place j. Scratch: groups + tokens·places. */
void moert_group_rows(const int32_t *clusters, const int32_t *ids, const float *weights, const int32_t *slots, int64_t tokens,
                      int64_t places, int64_t choices, int64_t groups, int64_t experts, int32_t *scratch, int32_t *row_token,
                      int64_t rows, int32_t *row_offsets, int32_t *pair_row, int32_t *pair_expert, float *pair_weight,
                      int64_t pairs);

#endif /* MOERT_ENTRY_PLAN_H */
