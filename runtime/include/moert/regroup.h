/* Clusters that follow the traffic of a running model (docs/regrouping.md).
 * Part of moec, under the Apache License v2.0 with LLVM Exceptions.
 *
 * In libmoert_regroup.so, beside libmoert.so, so that programs that only run models do without. Every function returns a
 * moert_status_t; a null handle or out-parameter is MOERT_INVALID_ARGUMENT. Any number of threads may use a regrouper until it is
 * stopped. */
#ifndef MOERT_REGROUP_H
#define MOERT_REGROUP_H

#include "moert/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A thread that watches a model's traffic, and loads other generations of its weights. */
typedef struct moert_regrouper moert_regrouper;

/** When and how a model is regrouped. Set `size` to sizeof(moert_regroup_options), and what is to be as ever to zero; unknown trailing
 * fields are ignored. Texts need not outlive the call. */
typedef struct {
  uint32_t size;
  /** Threads that compute; 0: one, so that steps keep theirs. */
  int32_t threads;
  /** The archive that the model has loaded last, which stays as it is. */
  const char *archive;
  /** A directory that exists, for archives of later generations: generation-N.safetensors. */
  const char *directory;
  /** The checkpoint that the archive was made from; null: clusters stay, and only prototypes follow the traffic. */
  const char *original;
  /** A folder of family files (docs/families.md), for reading the checkpoint; null: those beside the program, as moec installs them. */
  const char *families;
  /** A traffic profile that drift is first measured from; null: what is seen until the first regroup, whatever its drift. */
  const char *profile;
  /** A directory where similarities of weights are kept; null for none. */
  const char *cache;
  double period_seconds;      /**< regroup whenever so much time passed since the last attempt; 0: never */
  double drift;               /**< regroup when a layer's traffic drifted by more, from 0 to 1; 0: never */
  int64_t least_tokens;       /**< of each layer, seen since the last attempt; 0: 1024 */
  double alpha;               /**< share of the similarity that is of weights, above 0; 0: 0.7 */
  double min_gain;            /**< that clusters must have in their objective; 0: 0.01 */
  double max_error;           /**< bound on the relative error of a matrix; 0: the largest there is today */
} moert_regroup_options;

/** What a regrouper did. Set `size` to sizeof(moert_regroup_statistics) before. */
typedef struct {
  uint32_t size;
  uint64_t attempts;          /**< regroups that ended, whatever their end */
  uint64_t accepted;          /**< those that loaded another generation */
  uint64_t failures;          /**< those that ended with an error */
  uint64_t tokens;            /**< tokens of layers that were counted */
  uint64_t dropped;           /**< tokens of layers that came faster than they could be counted, and were not */
  uint64_t layers_regrouped;  /**< layers that got other clusters, of all accepted regroups */
  uint64_t epoch;             /**< of the weights that the last accepted one published; 0: none yet */
  double drift;               /**< the largest of a layer, when it was measured last */
  double seconds;             /**< that the last attempt took */
  double load_seconds;        /**< of these to load the generation beside the running one */
  uint64_t is_working;        /**< 1 while it regroups or loads, else 0 */
} moert_regroup_statistics;

/** Starts watching a model, which outlives the regrouper. MOERT_INVALID_ARGUMENT for options that contradict each other,
 * MOERT_IO_ERROR for files that cannot be read or do not belong together. */
MOERT_API moert_status_t moert_regrouper_start(moert_model *model, const moert_regroup_options *options,
                                               const moert_error_sink *error, moert_regrouper **regrouper);

/** Says what a layer did with some tokens: rows [tokens, width] of f32 that it was given, and for each token `slots` experts from 0,
 * or -1, with their gate weights, all compact. Copies them and returns; what comes faster than it is counted is dropped.
 * MOERT_NOT_FOUND for a layer without clusters. */
MOERT_API moert_status_t moert_regrouper_observe(moert_regrouper *regrouper, const moert_layer *layer, int64_t tokens,
                                                 int64_t width, int64_t slots, const float *rows, const int32_t *ids,
                                                 const float *gates);

/** Regroups as soon as may be, whatever period and drift say; does not wait for it. */
MOERT_API moert_status_t moert_regrouper_request(moert_regrouper *regrouper);

/** Fills `statistics`, up to its size. */
MOERT_API moert_status_t moert_regrouper_statistics(moert_regrouper *regrouper, moert_regroup_statistics *statistics);

/** The lines that the last attempt had to say, one for each layer or an error, into `text` of `capacity` bytes, shortened if need
 * be; `length`, which may be null, gets the bytes of all of them. */
MOERT_API moert_status_t moert_regrouper_report(moert_regrouper *regrouper, char *text, size_t capacity, size_t *length);

/** Ends the thread, in the middle of a regroup too, and frees the handle; the model keeps the generation it has. Null is allowed. */
MOERT_API moert_status_t moert_regrouper_stop(moert_regrouper *regrouper);

#ifdef __cplusplus
}
#endif
#endif /* MOERT_REGROUP_H */
