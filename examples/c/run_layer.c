/* Runs a layer of a compiled checkpoint on a batch of tokens: `run_layer ARTIFACT LAYER [TOKENS [THREADS]]`.
 * Part of moec, under the Apache License v2.0 with LLVM Exceptions.
 *
 * C11 and libmoert.so alone:
 *   1. open the artifact, which maps its weights and checks their hashes;
 *   2. find the layer, and ask its entry for the width of a token;
 *   3. describe the caller's memory by DLTensor views;
 *   4. ask how much workspace a call of these shapes needs, and allocate it once;
 *   5. call; any number of times, from any thread that has a workspace of its own.
 * Each function of the runtime returns a status and writes one line of text for people, here into `text`. */
#include <moert/model.h>

#include <stdio.h>
#include <stdlib.h>

/* What one run needs, from opening to closing. */
typedef struct {
  char text[512];
  moert_error_sink error; /* points to `text` */
  moert_model *model;
  moert_layer *layer;
  int64_t width;
  void *workspace;
  float *x; /* [tokens, width], and so is y */
  float *y;
} Run;

/* Whether a status is an error; then says what was refused, and why. */
static int failed(const Run *run, moert_status_t status, const char *what) {
  if (status == MOERT_OK)
    return 0;
  const char *name = NULL;
  moert_status_name((int32_t)status, &name);
  fprintf(stderr, "%s: %s: %s\n", what, name, run->text);
  return 1;
}

static int fail(const char *what) {
  fprintf(stderr, "run_layer: error: %s\n", what);
  return 1;
}

/* A wrong command line: exit status 2. */
static int usage(const char *expected) {
  fail(expected);
  return 2;
}

/* The layer of that name, if it is from one float32 tensor [tokens, width] to another like it. */
static int find_layer(Run *run, const char *name) {
  const moert_library_entry *entry = NULL;
  int32_t count = 0, inputs = 0, outputs = 0;
  if (failed(run, moert_model_find_layer(run->model, name, &run->error, &run->layer), name))
    return 1;
  moert_layer_entry(run->layer, &entry);
  moert_library_argument_count(entry, &count);
  for (int32_t i = 0; i < count; ++i) {
    const moert_argument *argument = NULL;
    moert_library_argument(entry, i, &argument);
    if (argument->role == MOERT_BINDING)
      continue; /* The layer's weights: the runtime hands them in. */
    if (argument->code != kDLFloat || argument->bits != 32 || argument->rank != 2)
      return fail("expected a layer of float32 tensors [tokens, width]");
    run->width = argument->shape[1];
    inputs += argument->role == MOERT_INPUT;
    outputs += argument->role == MOERT_OUTPUT;
  }
  if (inputs != 1 || outputs != 1)
    return fail("expected a layer with one input and one output (compiled without --instrument)");
  return 0;
}

/* A view of compact rows. `shape` must outlive it: views own nothing. */
static DLTensor view_of(float *data, int64_t *shape) {
  DLTensor view = {.data = data, .device = {kDLCPU, 0}, .ndim = 2, .dtype = {kDLFloat, 32, 1}, .shape = shape};
  return view; /* Null strides stand for compact rows. */
}

/* Asks for the workspace of these shapes, and allocates it: 64-byte aligned, kept for all calls of up to this size. */
static int allocate_workspace(Run *run, moert_call *call, DLTensor *const *args) {
  uint64_t bytes = 0;
  if (failed(run, moert_layer_workspace_bytes(run->layer, call, args, 2, &bytes), "workspace"))
    return 1;
  call->workspace_bytes = (bytes + 63) / 64 * 64; /* aligned_alloc takes multiples of the alignment. */
  if (bytes > 0 && !(run->workspace = aligned_alloc(64, call->workspace_bytes)))
    return fail("out of memory for the workspace");
  call->workspace = run->workspace;
  return 0;
}

/* Any numbers: a token differs from its neighbours. */
static void fill(float *x, int64_t tokens, int64_t width) {
  for (int64_t t = 0; t < tokens; ++t)
    for (int64_t i = 0; i < width; ++i)
      x[t * width + i] = (float)((7 * t + i) % 11 - 5) / 4;
}

static void print_rows(const float *y, int64_t tokens, int64_t width) {
  for (int64_t t = 0; t < tokens && t < 3; ++t) {
    printf("y[%lld] =", (long long)t);
    for (int64_t i = 0; i < width && i < 4; ++i)
      printf(" %.4f", (double)y[t * width + i]);
    printf(" ...\n");
  }
}

/* Everything between opening and closing. */
static int run_batch(Run *run, int64_t tokens) {
  int64_t shape[] = {tokens, run->width};
  run->x = malloc(sizeof(float) * (size_t)(tokens * run->width));
  run->y = malloc(sizeof(float) * (size_t)(tokens * run->width));
  if (!run->x || !run->y)
    return fail("out of memory for the batch");
  fill(run->x, tokens, run->width);
  DLTensor x = view_of(run->x, shape), y = view_of(run->y, shape);
  DLTensor *args[] = {&x, &y}; /* Inputs, then outputs. */
  moert_call call = {.size = sizeof call, .abi_version = MOERT_ABI_VERSION, .error = run->error};
  if (allocate_workspace(run, &call, args) || failed(run, moert_layer_call(run->layer, &call, args, 2), "call"))
    return 1;
  print_rows(run->y, tokens, run->width);

  /* A call that does not fit computes nothing, and says why: here x is one column short. */
  int64_t narrow[] = {tokens, run->width - 1};
  DLTensor short_x = view_of(run->x, narrow);
  DLTensor *wrong[] = {&short_x, &y};
  printf("a call with another x: %s\n", moert_layer_call(run->layer, &call, wrong, 2) == MOERT_OK ? "taken" : run->text);
  return 0;
}

int main(int argc, char **argv) {
  if (argc < 3 || argc > 5)
    return usage("expected ARTIFACT LAYER [TOKENS [THREADS]]");
  long tokens = argc > 3 ? strtol(argv[3], NULL, 10) : 3;
  long threads = argc > 4 ? strtol(argv[4], NULL, 10) : 1;
  if (tokens < 1 || tokens > 1000000)
    return usage("expected from 1 to 1000000 tokens");
  if (threads < 0 || threads > MOERT_MAX_THREADS)
    return usage("expected up to 1024 threads, or 0 for one on each CPU");

  Run run = {.model = NULL};
  run.error.text = run.text;
  run.error.capacity = sizeof run.text;
  const char *source = "", *hash = "";
  int status = failed(&run, moert_model_open(argv[1], &run.error, &run.model), argv[1]) ||
               failed(&run, moert_model_set_threads(run.model, (int32_t)threads, &run.error), "threads") ||
               failed(&run, moert_model_source(run.model, &source, &hash), "source") || find_layer(&run, argv[2]);
  if (!status) {
    printf("%s\n%s: %ld tokens of %lld numbers\n", source, argv[2], tokens, (long long)run.width);
    status = run_batch(&run, tokens);
  }
  /* All of these take null. */
  free(run.workspace);
  free(run.x);
  free(run.y);
  moert_model_close(run.model);
  return status;
}
