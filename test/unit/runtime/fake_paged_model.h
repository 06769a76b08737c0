/* The manifest of fake_paged_model.c, for the library and for tests.
 * Part of moec, under the Apache License v2.0 with LLVM Exceptions. */
#ifndef MOEC_TEST_UNIT_RUNTIME_FAKE_PAGED_MODEL_H
#define MOEC_TEST_UNIT_RUNTIME_FAKE_PAGED_MODEL_H

/* Extents of a cluster's matrix w, which is one row, and of b beside it. */
#define FAKE_PAGED_WIDTH 65536
#define FAKE_PAGED_CLUSTERS 4
#define FAKE_PAGED_LAYERS 12

#define FAKE_PAGED_LAYER(name)                                                                                         \
  "{\"name\": \"" name "\", \"entry\": \"block\", \"binding\": ["                                                      \
  "{\"argument\": \"w\", \"tensor\": \"" name ".cluster.*.w\", \"part\": \"codes\"}, "                                 \
  "{\"argument\": \"b\", \"tensor\": \"" name ".cluster.*.b\", \"part\": \"codes\"}, "                                 \
  "{\"argument\": \"w.slots\", \"tensor\": \"" name ".cluster.*.w\", \"part\": \"slots\"}, "                           \
  "{\"argument\": \"b.slots\", \"tensor\": \"" name ".cluster.*.b\", \"part\": \"slots\"}]}"

#define FAKE_PAGED_MANIFEST_WITH(field)                                                                                \
  "{\"moec_manifest\": \"0.1\", \"abi\": \"0.6\", \"entries\": [{\"name\": \"block\", \"symbol\": \"moec_block\", " field \
  "\"arguments\": ["                                                                                                   \
  "{\"name\": \"x\", \"dtype\": \"float32\", \"shape\": [-2], \"role\": \"input\"}, "                                  \
  "{\"name\": \"ids\", \"dtype\": \"int32\", \"shape\": [-2], \"role\": \"input\", \"below\": 4}, "                    \
  "{\"name\": \"w\", \"dtype\": \"float32\", \"shape\": [-1, 65536], \"role\": \"binding\", \"paged\": true}, "        \
  "{\"name\": \"b\", \"dtype\": \"float32\", \"shape\": [-1, 2], \"role\": \"binding\", \"paged\": true}, "            \
  "{\"name\": \"w.slots\", \"dtype\": \"int32\", \"shape\": [4], \"role\": \"binding\", \"below\": 4}, "               \
  "{\"name\": \"b.slots\", \"dtype\": \"int32\", \"shape\": [4], \"role\": \"binding\", \"below\": 4}, "               \
  "{\"name\": \"y\", \"dtype\": \"float32\", \"shape\": [-2], \"role\": \"output\"}]}], "                              \
  "\"weights\": {\"file\": \"weights.safetensors\", \"layout_hash\": \"0000000000000007\"}, "                          \
  "\"layers\": [" FAKE_PAGED_LAYER("l0") ", " FAKE_PAGED_LAYER("l1") ", " FAKE_PAGED_LAYER("l2") ", "                  \
  FAKE_PAGED_LAYER("l3") ", " FAKE_PAGED_LAYER("l4") ", " FAKE_PAGED_LAYER("l5") ", " FAKE_PAGED_LAYER("l6") ", "      \
  FAKE_PAGED_LAYER("l7") ", " FAKE_PAGED_LAYER("l8") ", " FAKE_PAGED_LAYER("l9") ", " FAKE_PAGED_LAYER("l10") ", "     \
  FAKE_PAGED_LAYER("l11") "]}"
#define FAKE_PAGED_MANIFEST FAKE_PAGED_MANIFEST_WITH("")
#define FAKE_EXCHANGING_MANIFEST FAKE_PAGED_MANIFEST_WITH("\"exchanges\": true, ")

#endif /* MOEC_TEST_UNIT_RUNTIME_FAKE_PAGED_MODEL_H */
