/* The manifest of fake_model.c, for the library and for the test that writes manifest.json.
 * Part of moec, under the Apache License v2.0 with LLVM Exceptions. */
#ifndef MOEC_TEST_UNIT_RUNTIME_FAKE_MODEL_H
#define MOEC_TEST_UNIT_RUNTIME_FAKE_MODEL_H

#define FAKE_MODEL_LAYER(name)                                                                                         \
  "{\"name\": \"" name "\", \"entry\": \"block\", \"binding\": ["                                                      \
  "{\"argument\": \"w\", \"tensor\": \"" name ".cluster.*.w\", \"part\": \"codes\"}, "                                 \
  "{\"argument\": \"w.slots\", \"tensor\": \"" name ".cluster.*.w\", \"part\": \"slots\"}, "                           \
  "{\"argument\": \"choice\", \"tensor\": \"" name ".choice\", \"part\": \"table\"}]}"

#define FAKE_MODEL_ASKS_THREADS (-77.0f)
#define FAKE_MODEL_MANIFEST FAKE_MODEL_MANIFEST_ON("cpu")
#define FAKE_MODEL_MANIFEST_ON(device)                                                                                 \
  "{\"moec_manifest\": \"0.1\", \"abi\": \"0.6\", \"device\": \"" device "\", \"entries\": [{\"name\": \"block\", \"symbol\": \"moec_block\", "    \
  "\"arguments\": ["                                                                                                   \
  "{\"name\": \"x\", \"dtype\": \"float32\", \"shape\": [-2, 4], \"role\": \"input\"}, "                               \
  "{\"name\": \"w\", \"dtype\": \"float32\", \"shape\": [2, 4], \"role\": \"binding\"}, "                              \
  "{\"name\": \"w.slots\", \"dtype\": \"int32\", \"shape\": [2], \"role\": \"binding\", \"below\": 2}, "               \
  "{\"name\": \"choice\", \"dtype\": \"int32\", \"shape\": [1], \"role\": \"binding\", \"below\": 2}, "                \
  "{\"name\": \"y\", \"dtype\": \"float32\", \"shape\": [-2, 4], \"role\": \"output\"}]}], "                           \
  "\"weights\": {\"file\": \"weights.safetensors\", \"layout_hash\": \"0000000000000007\"}, "                          \
  "\"layers\": [" FAKE_MODEL_LAYER("layer0") ", " FAKE_MODEL_LAYER("layer1") "]}"

#endif /* MOEC_TEST_UNIT_RUNTIME_FAKE_MODEL_H */
