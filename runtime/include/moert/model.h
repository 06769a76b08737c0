/* Layers of an artifact: compiled entries together with the weights they are run with.
 * Part of moec, under the Apache License v2.0 with LLVM Exceptions.
 *
 * Opening an artifact with layers maps its weight archive, checks every record's hash and brings the weights into the
 * pools that entries read (docs/binding.md); with a memory budget those of clusters' bases when they are needed (docs/residency.md). Every function returns a moert_status_t; a null handle or out-parameter is
 * MOERT_INVALID_ARGUMENT. After `moert_model_open` any number of threads may use a model until it is closed. */
#ifndef MOERT_MODEL_H
#define MOERT_MODEL_H

#include "moert/comm.h"
#include "moert/device.h"
#include "moert/executor.h"

#ifdef __cplusplus
extern "C" {
#endif

/** An open artifact with its weights. */
typedef struct moert_model moert_model;
/** One layer of an open model; lives as long as the model. */
typedef struct moert_layer moert_layer;
/** The weights of all layers at one moment. */
typedef struct moert_epoch moert_epoch;

/** Opens the artifact directory at `path`: library.so, manifest.json and, if the manifest names layers, its archive of
 * weights, on the device that the library is for, number 0. MOERT_INCOMPATIBLE when library and archive do not belong together or
 * a record is damaged. */
MOERT_API moert_status_t moert_model_open(const char *path, const moert_error_sink *error, moert_model **model);

/** The same on a device of the caller's choice, where weights and tables then are: MOERT_INCOMPATIBLE when it is of another type
 * than moert_library_device_type of the library. */
MOERT_API moert_status_t moert_model_open_on(const char *path, DLDevice device, const moert_error_sink *error,
                                             moert_model **model);

/** How a model is opened. Set `size` to sizeof(moert_model_options), and what is to be as ever to zero; unknown trailing fields are
 * ignored. */
typedef struct {
  uint32_t size;
  /** How many layers ahead bases are read that a step will probably meet; 0: one, or none without a predictor. */
  int32_t lookahead;
  /** Bytes of memory for the bases of clusters, which are read from the archive as steps need them; 0: all are loaded. For an artifact
   * of `moe-compile --page-bases`, on the CPU. */
  uint64_t memory_budget;
  /** What leaves when memory is full: "lru", "lfu" or "next_use" (docs/residency.md); null: "lru". */
  const char *eviction;
  /** Who says which bases are met next: "none", "rolling", "past_request", "hint" or "exact_hint"; null: "hint". */
  const char *predictor;
  /** A base that was not used in as many steps gives its memory back to the system; 0: never. */
  uint64_t idle_steps;
  const DLDevice *device;     /**< null: the first of the kind that the library is for */
  /** This rank's, where ranks share the clusters of each layer; for an artifact of `moe-compile --expert-parallel`, on the CPU. Outlives
   * the model; null: this process computes everything. Options may end in front of it. */
  moert_communicator *communicator;
  /** A file that says which rank has which cluster (docs/communication.md); null: placement.json of the artifact, or without one
   * cluster c belongs to rank c modulo the number of ranks. */
  const char *placement;
} moert_model_options;

/** The same as `moert_model_open` with options, null for none. MOERT_INVALID_ARGUMENT when they contradict each other, and when the
 * budget is less than all bases of one layer take; MOERT_INCOMPATIBLE when the artifact was not made for it. */
MOERT_API moert_status_t moert_model_open_with(const char *path, const moert_model_options *options,
                                               const moert_error_sink *error, moert_model **model);

/** What paging did since the present weights were loaded; all 0 of a model without a memory budget. Set `size` to
 * sizeof(moert_paging_statistics) before. */
typedef struct {
  uint32_t size;
  /** Bases that steps asked for: in memory, on their way, neither. */
  uint64_t hits;
  uint64_t late;
  uint64_t misses;
  /** Reads of a base; those of them ahead of time, and those of these whose base left unused. */
  uint64_t reads;
  uint64_t reads_ahead;
  uint64_t wasted;
  uint64_t failures;          /**< reads that failed */
  uint64_t demoted;           /**< bases that gave their memory back */
  uint64_t bytes_read;
  uint64_t resident_bytes;    /**< of slots that hold bases, or did and were not given back */
  uint64_t slot_bytes;        /**< of all slots: the most that it will be */
  uint64_t base_bytes;        /**< of all bases, as long as slots */
  double stall_seconds;       /**< for which steps waited */
  double read_seconds;        /**< in which there was a read */
  const char *notice;         /**< what reading does without, and why; else empty. Valid until other weights are loaded */
} moert_paging_statistics;

/** Fills `statistics`, up to its size. Any thread may ask at any time. */
MOERT_API moert_status_t moert_model_paging_statistics(moert_model *model, moert_paging_statistics *statistics);

/** What a model's exchange sent to other ranks since it was opened; all 0 without a communicator. Set `size` to
 * sizeof(moert_exchange_statistics) before. */
typedef struct {
  uint32_t size;
  uint64_t steps;             /**< layers that ran */
  uint64_t tokens;            /**< of this rank */
  uint64_t rows;              /**< sent: one for each token and rank */
  uint64_t expert_rows;       /**< that would have been sent one for each token and expert */
  uint64_t row_bytes;         /**< of rows there, and of results back */
  uint64_t other_bytes;       /**< of headers, ids and weights */
} moert_exchange_statistics;

/** Fills `statistics`, up to its size. No call may be in progress. */
MOERT_API moert_status_t moert_model_exchange_statistics(const moert_model *model, moert_exchange_statistics *statistics);

/** Says that steps from now on are of another sequence, or batch: the predictor "past_request" goes by it. */
MOERT_API moert_status_t moert_model_begin_request(moert_model *model);

/** The device that the model is on; owned by the model. */
MOERT_API moert_status_t moert_model_device(const moert_model *model, moert_device **device);

/** Closes the model. Null is allowed. No call may be in progress and no binding held. */
MOERT_API moert_status_t moert_model_close(moert_model *model);

/** The library in it, for entries without layers; owned by the model. */
MOERT_API moert_status_t moert_model_library(const moert_model *model, const moert_library **library);

/** Gives the model a pool of that many threads (moert/executor.h), which `moert_layer_call` uses where the call brings no
 * executor; 0 is one for each CPU, 1 is none, as in the beginning. No call may be in progress. On failure nothing changes. */
MOERT_API moert_status_t moert_model_set_threads(moert_model *model, int32_t threads, const moert_error_sink *error);

/** What the weights were made from: a description without paths, and a hash of content, both owned by the model and of
 * the archive that was read first; empty texts for an artifact without weights of its own. */
MOERT_API moert_status_t moert_model_source(const moert_model *model, const char **name, const char **hash);

/** Reads another archive of the same layout, a later generation of the weights, and publishes it: bindings acquired from
 * now on have the next epoch. Those that are held keep theirs. On failure nothing changes. With a memory budget bindings of each
 * epoch have slots of their own: as long as some of the old one are held, both take memory, each up to the budget. */
MOERT_API moert_status_t moert_model_load_weights(moert_model *model, const char *archive,
                                                  const moert_error_sink *error);

/** Takes hold of the weights of today, those of all layers together. They stay as they are until the epoch is released, whatever is
 * published meanwhile: a step acquires once, calls every layer with it, and so reads one epoch from start to end. Neither allocates
 * nor waits for who loads weights. MOERT_NOT_FOUND for an artifact without weights of its own. */
MOERT_API moert_status_t moert_model_acquire_epoch(moert_model *model, moert_epoch **epoch);

/** Gives an epoch back. Null is allowed. */
MOERT_API moert_status_t moert_epoch_release(moert_epoch *epoch);

/** Its number, as in moert_layer_binding: 1 of the weights that the model was opened with, then one more for each that was loaded. */
MOERT_API moert_status_t moert_epoch_number(const moert_epoch *epoch, uint64_t *number);

/** The oldest epoch that somebody holds; that of today if nobody does; 0 without weights. */
MOERT_API moert_status_t moert_model_oldest_epoch(moert_model *model, uint64_t *number);

/** How many layers there are; 0 for an artifact without weights of its own. */
MOERT_API moert_status_t moert_model_layer_count(const moert_model *model, int32_t *count);

/** Layer number `index`, in the manifest's order; MOERT_NOT_FOUND beyond the last. */
MOERT_API moert_status_t moert_model_layer_at(const moert_model *model, int32_t index, moert_layer **layer);

/** The layer of that name; MOERT_NOT_FOUND, with the names there are in `error`, when there is none. */
MOERT_API moert_status_t moert_model_find_layer(const moert_model *model, const char *name,
                                                const moert_error_sink *error, moert_layer **layer);

/** The layer's name, owned by the model. */
MOERT_API moert_status_t moert_layer_name(const moert_layer *layer, const char **name);

/** The entry that the layer runs; layers of one shape share theirs. */
MOERT_API moert_status_t moert_layer_entry(const moert_layer *layer, const moert_library_entry **entry);

/** Bytes of memory that the layer's pools and tables take, without the slots that all layers share under a memory budget. */
MOERT_API moert_status_t moert_layer_resident_bytes(const moert_layer *layer, uint64_t *bytes);

/** The layer's binding of today. It stays as it is until it is released, whatever is published meanwhile: a step acquires
 * once and reads one epoch from start to end. */
MOERT_API moert_status_t moert_layer_acquire(moert_layer *layer, const moert_layer_binding **binding);

/** Gives a binding back. */
MOERT_API moert_status_t moert_layer_release(moert_layer *layer, const moert_layer_binding *binding);

/** Runs the layer's entry with its binding of today: `call->binding` is not looked at. A call without an executor runs on
 * the model's threads. */
MOERT_API moert_status_t moert_layer_call(moert_layer *layer, const moert_call *call, DLTensor *const *args,
                                          int32_t count);

/** The same with the layer's binding of an epoch of its model. */
MOERT_API moert_status_t moert_epoch_call(moert_epoch *epoch, moert_layer *layer, const moert_call *call,
                                          DLTensor *const *args, int32_t count);

/** Bytes of workspace a call with these shapes needs; data pointers are not looked at. */
MOERT_API moert_status_t moert_layer_workspace_bytes(moert_layer *layer, const moert_call *call, DLTensor *const *args,
                                                     int32_t count, uint64_t *bytes);

#ifdef __cplusplus
}
#endif
#endif /* MOERT_MODEL_H */
