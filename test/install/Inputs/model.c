/* Runs a layer of a model through the installed runtime: one token of ones.
 * Part of moec, under the Apache License v2.0 with LLVM Exceptions. */
#include <moert/model.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
  char text[256] = "";
  moert_error_sink sink = {text, sizeof text};
  moert_model *model = NULL;
  moert_layer *layer = NULL;
  if (argc != 3 || moert_model_open(argv[1], &sink, &model) != MOERT_OK ||
      moert_model_find_layer(model, argv[2], &sink, &layer) != MOERT_OK) {
    fprintf(stderr, "%s\n", text);
    return 1;
  }
  static float x[96], y[96];
  for (int i = 0; i < 96; ++i)
    x[i] = 1;
  int64_t shape[] = {1, 96};
  DLDataType f32 = {kDLFloat, 32, 1};
  DLDevice cpu = {kDLCPU, 0};
  DLTensor tx = {x, cpu, 2, f32, shape, NULL, 0}, ty = {y, cpu, 2, f32, shape, NULL, 0};
  DLTensor *args[] = {&tx, &ty};
  moert_call call = {sizeof call, MOERT_ABI_VERSION, NULL, NULL, 0, sink, NULL, NULL, NULL};
  uint64_t bytes = 0;
  moert_status_t status = moert_layer_workspace_bytes(layer, &call, args, 2, &bytes);
  if (status == MOERT_OK && bytes > 0) {
    call.workspace_bytes = (bytes + 63) / 64 * 64;
    call.workspace = aligned_alloc(64, call.workspace_bytes);
  }
  if (status == MOERT_OK)
    status = moert_layer_call(layer, &call, args, 2);
  if (status == MOERT_OK)
    printf("y[0][0] = %.4f\n", y[0]);
  else
    fprintf(stderr, "%s\n", text);
  free(call.workspace);
  moert_model_close(model);
  return status != MOERT_OK;
}
