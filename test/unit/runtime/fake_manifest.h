/* The manifest of fake_library.c, for the library and for the test that writes manifest.json.
 * Part of moec, under the Apache License v2.0 with LLVM Exceptions. */
#ifndef MOEC_TEST_UNIT_RUNTIME_FAKE_MANIFEST_H
#define MOEC_TEST_UNIT_RUNTIME_FAKE_MANIFEST_H

/* What a variant changes: version of the manifest, the ABI it names, the name of its entry. */
#define FAKE_MANIFEST(version, abi, entry)                                                                             \
  "{\"moec_manifest\": \"" version "\", \"abi\": \"" abi                                                               \
  "\", \"compiler\": \"moec 0.1.0\", \"pipeline\": \"reference\", \"entries\": [{\"name\": \"" entry                   \
  "\", \"symbol\": \"moec_" entry                                                                                      \
  "\", \"arguments\": ["                                                                                               \
  "{\"name\": \"x\", \"dtype\": \"float32\", \"shape\": [-2, 4], \"role\": \"input\"}, "                               \
  "{\"name\": \"ids\", \"dtype\": \"int32\", \"shape\": [-2], \"role\": \"input\"}, "                                  \
  "{\"name\": \"y\", \"dtype\": \"float32\", \"shape\": [-2, 4], \"role\": \"output\"}]}]}"

#endif /* MOEC_TEST_UNIT_RUNTIME_FAKE_MANIFEST_H */
