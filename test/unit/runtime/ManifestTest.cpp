// Tests of the manifest: docs/artifact.md, every refusal with its message.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "runtime/src/manifest.h"

#include <gtest/gtest.h>

using namespace moec::runtime;

namespace {

std::string withEntries(const std::string &entries) {
  return R"({"moec_manifest":"0.1","abi":"0.1","entries":)" + entries + "}";
}

std::string withArguments(const std::string &arguments) {
  return withEntries(R"([{"name":"f","symbol":"moec_f","arguments":)" +
                     arguments + "}]");
}

std::string argument(const std::string &fields) {
  return withArguments(R"([{"name":"x",)" + fields + "}]");
}

std::string refusal(const std::string &text) {
  Manifest manifest;
  std::string error;
  EXPECT_EQ(parseManifest(text, manifest, error), MOERT_INCOMPATIBLE) << text;
  return error;
}

TEST(Manifest, readsEveryFieldAndIgnoresLaterOnes) {
  Manifest manifest;
  std::string error;
  ASSERT_EQ(
      parseManifest(
          R"({"moec_manifest":"0.9","abi":"0.1","compiler":"moec 0.1.0",)"
          R"("later":[1.5],"entries":[{"name":"f","symbol":"moec_f",)"
          R"("arguments":[{"name":"x","dtype":"bfloat16","shape":[-2,-1,8],)"
          R"("role":"input","later":true},)"
          R"({"name":"y","dtype":"bool","shape":[],"role":"output"}]}]})",
          manifest, error),
      MOERT_OK)
      << error;
  EXPECT_EQ(manifest.abiVersion, 1u);
  ASSERT_EQ(manifest.entries.size(), 1u);
  EXPECT_EQ(manifest.entries[0].symbol, "moec_f");
  const moert_argument &x = manifest.entries[0].arguments[0].description;
  EXPECT_STREQ(x.name, "x");
  EXPECT_EQ(x.code, kDLBfloat);
  EXPECT_EQ(x.bits, 16);
  EXPECT_EQ(x.role, 0);
  EXPECT_EQ(x.rank, 3);
  EXPECT_EQ(x.shape[0], -2);
  EXPECT_EQ(x.shape[1], MOERT_DYNAMIC);
  EXPECT_EQ(x.shape[2], 8);
  const moert_argument &y = manifest.entries[0].arguments[1].description;
  EXPECT_STREQ(y.name, "y");
  EXPECT_EQ(y.code, kDLBool);
  EXPECT_EQ(y.rank, 0);
  EXPECT_EQ(y.role, 1);
}

TEST(Manifest, readsEveryType) {
  const char *names[] = {"float64", "float32", "float16", "bfloat16",
                         "int64",   "int32",   "int8",    "bool"};
  const unsigned bits[] = {64, 32, 16, 16, 64, 32, 8, 8};
  for (int i = 0; i < 8; ++i) {
    Manifest manifest;
    std::string error;
    ASSERT_EQ(parseManifest(argument(std::string(R"("dtype":")") + names[i] +
                                     R"(","shape":[],"role":"input")"),
                            manifest, error),
              MOERT_OK)
        << error;
    EXPECT_EQ(manifest.entries[0].arguments[0].description.bits, bits[i]);
  }
}

TEST(Manifest, refusesVersions) {
  EXPECT_EQ(refusal("[]"), "manifest: expected an object");
  EXPECT_EQ(refusal("{"), "manifest: expected JSON, found at byte 1: Missing a "
                          "name for object member.");
  EXPECT_EQ(refusal("{}"), "manifest: expected 'moec_manifest' to be "
                           "\"MAJOR.MINOR\", found none");
  EXPECT_EQ(refusal(R"({"moec_manifest":"1.0"})"),
            "manifest: expected version 0.x, found 1.0");
  for (const char *version :
       {"", "1", "1.", ".1", "1.x", "1.0 ", "-1.0", "1.99999"})
    EXPECT_EQ(refusal(std::string(R"({"moec_manifest":")") + version + "\"}")
                  .substr(0, 61),
              "manifest: expected 'moec_manifest' to be \"MAJOR.MINOR\", found")
        << version;
  EXPECT_EQ(refusal(R"({"moec_manifest":"0.1"})"),
            "manifest: expected 'abi' to be \"MAJOR.MINOR\", found none");
}

TEST(Manifest, namesTheDeviceOfItsEntries) {
  auto on = [](const std::string &device) {
    return R"({"moec_manifest":"0.1","abi":"0.6",)" + device +
           R"("entries":[]})";
  };
  Manifest manifest;
  std::string error;
  ASSERT_EQ(parseManifest(on(R"("device":"cuda",)"), manifest, error), MOERT_OK)
      << error;
  EXPECT_EQ(manifest.device, kDLCUDA);
  for (const char *device : {"", R"("device":"cpu",)"}) {
    manifest = {};
    ASSERT_EQ(parseManifest(on(device), manifest, error), MOERT_OK) << error;
    EXPECT_EQ(manifest.device, kDLCPU);
  }
  EXPECT_EQ(refusal(on(R"("device":"tpu",)")),
            "manifest: expected device cpu or cuda, found 'tpu'");
  EXPECT_EQ(refusal(on(R"("device":2,)")),
            "manifest: expected device cpu or cuda, found no name");
}

TEST(Manifest, saysWhichEntriesExchangeRows) {
  auto entry = [](const std::string &field) {
    return withEntries(R"([{"name":"f","symbol":"moec_f",)" + field +
                       R"("arguments":[]}])");
  };
  Manifest manifest;
  std::string error;
  ASSERT_EQ(parseManifest(entry(R"("exchanges":true,)"), manifest, error),
            MOERT_OK)
      << error;
  EXPECT_TRUE(manifest.entries[0].exchanges);
  for (const char *field : {"", R"("exchanges":false,)"}) {
    manifest = {};
    ASSERT_EQ(parseManifest(entry(field), manifest, error), MOERT_OK) << error;
    EXPECT_FALSE(manifest.entries[0].exchanges);
  }
  EXPECT_EQ(refusal(entry(R"("exchanges":1,)")),
            "manifest: entry 'f': expected 'exchanges' to be true or false");
}

TEST(Manifest, refusesEntries) {
  EXPECT_EQ(refusal(withEntries("{}")),
            "manifest: expected an array 'entries' of at most 4096");
  EXPECT_EQ(refusal(withEntries("[1]")),
            "manifest: expected an object for each entry");
  EXPECT_EQ(refusal(withEntries(R"([{"name":"f"}])")),
            "manifest: expected strings 'name' and 'symbol' for each entry");
  EXPECT_EQ(refusal(withEntries(R"([{"name":"f\u0000","symbol":"moec_f"}])")),
            "manifest: expected strings 'name' and 'symbol' for each entry");
  EXPECT_EQ(refusal(withEntries(R"([{"name":"f","symbol":"system"}])")),
            "manifest: entry 'f': expected symbol moec_f, found system");
  EXPECT_EQ(refusal(withEntries(R"([{"name":"f","symbol":"moec_f"}])")),
            "manifest: entry 'f': expected an array 'arguments' of at most 64");
  std::string entry = R"({"name":"f","symbol":"moec_f","arguments":[]})";
  EXPECT_EQ(refusal(withEntries("[" + entry + "," + entry + "]")),
            "manifest: expected each entry once, found 'f' twice");
}

TEST(Manifest, refusesArguments) {
  EXPECT_EQ(refusal(withArguments("[1]")),
            "manifest: entry 'f': expected an object for each argument");
  EXPECT_EQ(refusal(withArguments("[{}]")),
            "manifest: entry 'f': expected a string 'name' for each argument");
  std::string where = "manifest: entry 'f': argument 'x': ";
  EXPECT_EQ(refusal(argument(R"("shape":[])")),
            where + "expected a known dtype, found none");
  EXPECT_EQ(refusal(argument(R"("dtype":"float8")")),
            where + "expected a known dtype, found 'float8'");
  EXPECT_EQ(refusal(argument(R"("dtype":"int8")")),
            where + "expected role input, output or binding, found none");
  EXPECT_EQ(refusal(argument(R"("dtype":"int8","role":"both")")),
            where + "expected role input, output or binding, found 'both'");
  EXPECT_EQ(refusal(argument(R"("dtype":"int8","role":"input")")),
            where + "expected an array 'shape' of at most 8 extents");
  EXPECT_EQ(
      refusal(argument(
          R"("dtype":"int8","role":"input","shape":[1,1,1,1,1,1,1,1,1])")),
      where + "expected an array 'shape' of at most 8 extents");
  EXPECT_EQ(refusal(argument(R"("dtype":"int8","role":"input","shape":["T"])")),
            where + "expected integers in its shape");
  std::string input =
      R"({"name":"x","dtype":"int8","shape":[],"role":"input"})";
  std::string output =
      R"({"name":"y","dtype":"int8","shape":[],"role":"output"})";
  EXPECT_EQ(refusal(withArguments("[" + input + "," + input + "]")),
            "manifest: entry 'f': expected each argument once, found 'x' "
            "twice");
  EXPECT_EQ(refusal(withArguments("[" + output + "," + input + "]")),
            "manifest: entry 'f': expected outputs last, found input "
            "'x' behind one");
}

/// A manifest of one entry with a table, and of these layers.
std::string withLayers(const std::string &layers,
                       const std::string &weights =
                           R"({"file":"w.safetensors","layout_hash":"7"})") {
  return R"({"moec_manifest":"0.1","abi":"0.2","entries":[{"name":"f",)"
         R"("symbol":"moec_f","arguments":[{"name":"t","dtype":"int32",)"
         R"("shape":[2],"role":"binding","below":2}]}],"weights":)" +
         weights + R"(,"layers":)" + layers + "}";
}
std::string withBinding(const std::string &binding) {
  return withLayers(R"([{"name":"l","entry":"f","binding":)" + binding + "}]");
}

TEST(Manifest, readsLayers) {
  Manifest manifest;
  std::string error;
  ASSERT_EQ(parseManifest(withBinding(R"([{"argument":"t","tensor":"l.t",)"
                                      R"("part":"table"}])"),
                          manifest, error),
            MOERT_OK)
      << error;
  EXPECT_EQ(manifest.weightsFile, "w.safetensors");
  EXPECT_EQ(manifest.layoutHash, "7");
  ASSERT_EQ(manifest.layers.size(), 1u);
  EXPECT_EQ(manifest.layers[0].name, "l");
  EXPECT_EQ(manifest.layers[0].entry, 0u);
  ASSERT_EQ(manifest.layers[0].binding.size(), 1u);
  EXPECT_EQ(manifest.layers[0].binding[0].tensor, "l.t");
  EXPECT_EQ(manifest.layers[0].binding[0].part, "table");
  EXPECT_EQ(manifest.entries[0].arguments[0].below, 2);
}

TEST(Manifest, refusesLayers) {
  EXPECT_EQ(refusal(withLayers("7")),
            "manifest: expected an array 'layers' of at most 65536");
  std::string weights = "manifest: expected 'weights' with a 'file' of the "
                        "artifact and a 'layout_hash' beside 'layers'";
  EXPECT_EQ(refusal(withLayers("[]", "1")), weights);
  EXPECT_EQ(refusal(withLayers("[]", R"({"file":"w"})")), weights);
  EXPECT_EQ(
      refusal(withLayers("[]", R"({"file":"../w","layout_hash":"7"})")),
      weights);
  EXPECT_EQ(refusal(withLayers("[1]")),
            "manifest: expected 'name', 'entry' and an array 'binding' for "
            "each layer");
  EXPECT_EQ(refusal(withLayers(R"([{"name":"l","entry":"g","binding":[]}])")),
            "manifest: layer 'l': expected an entry of the library, found 'g'");
  EXPECT_EQ(refusal(withBinding("[1]")),
            "manifest: layer 'l': expected 'argument', 'tensor' and 'part' for "
            "each binding");
  EXPECT_EQ(refusal(withBinding("[]")),
            "manifest: layer 'l': expected a binding of 't' at place 0, found "
            "none");
  std::string good = R"({"argument":"t","tensor":"l.t","part":"table"})";
  EXPECT_EQ(refusal(withBinding("[" + good + "," + good + "]")),
            "manifest: layer 'l': expected 1 bindings, found 2");
  EXPECT_EQ(refusal(withBinding(
                R"([{"argument":"u","tensor":"l.t","part":"table"}])")),
            "manifest: layer 'l': expected a binding of 't' at place 0, found "
            "'u'");
  EXPECT_EQ(refusal(withBinding(
                R"([{"argument":"t","tensor":"l.t","part":"codes"}])")),
            "manifest: layer 'l': expected 'below' of 't' for a table or slots "
            "alone, found part 'codes'");
  std::string layer =
      R"({"name":"l","entry":"f","binding":[)" + good + "]}";
  EXPECT_EQ(refusal(withLayers("[" + layer + "," + layer + "]")),
            "manifest: expected each layer once, found 'l' twice");
}

TEST(Manifest, refusesBoundsOfOtherArguments) {
  std::string where = "manifest: entry 'f': argument 'x': ";
  EXPECT_EQ(refusal(argument(
                R"("dtype":"int8","role":"input","below":2,"shape":[])")),
            where + "expected 'below' to be a positive integer, of an argument "
                    "of int32");
  EXPECT_EQ(refusal(argument(
                R"("dtype":"int32","role":"input","below":0,"shape":[])")),
            where + "expected 'below' to be a positive integer, of an argument "
                    "of int32");
}

//===----------------------------------------------------------------------===//
// Paged pools
//===----------------------------------------------------------------------===//

/// A manifest of a layer with a pool of that first extent, two tables of slots,
/// and what the layer brings for the pool and the first table.
std::string withPool(const std::string &pool, const std::string &tensor,
                     const std::string &other) {
  auto argument = [](const std::string &name, const std::string &rest) {
    return R"({"name":")" + name + R"(","role":"binding",)" + rest + "}";
  };
  auto bound = [](const char *name, const std::string &from, const char *part) {
    return std::string(R"({"argument":")") + name + R"(","tensor":")" + from +
           R"(","part":")" + part + R"("})";
  };
  return R"({"moec_manifest":"0.1","abi":"0.6","entries":[{"name":"f",)"
         R"("symbol":"moec_f","arguments":[)" +
         argument("p", pool) + "," + argument("q", pool) + "," +
         argument("s", R"("dtype":"int32","shape":[3],"below":3)") + "," +
         argument("t", R"("dtype":"int32","shape":[2],"below":2)") +
         R"(]}],"weights":{"file":"w","layout_hash":"7"},"layers":[{"name":"l",)"
         R"("entry":"f","binding":[)" +
         bound("p", tensor, "codes") + "," + bound("q", other, "codes") + "," +
         bound("s", "l.*.w", "slots") + "," + bound("t", "l.*.v", "slots") +
         "]}]}";
}

TEST(Manifest, readsHowManyClustersArePaged) {
  std::string pool = R"("dtype":"int8","shape":[-1,4],"paged":true)";
  Manifest manifest;
  std::string error;
  ASSERT_EQ(parseManifest(withPool(pool, "l.*.w", "l.*.w"), manifest, error),
            MOERT_OK)
      << error;
  EXPECT_TRUE(manifest.entries[0].arguments[0].isPaged);
  EXPECT_FALSE(manifest.entries[0].arguments[2].isPaged);
  EXPECT_EQ(manifest.layers[0].pagedClusters, 3);
  // False is as good as nothing.
  manifest = {};
  pool = R"("dtype":"int8","shape":[3,4],"paged":false)";
  ASSERT_EQ(parseManifest(withPool(pool, "l.*.w", "l.*.w"), manifest, error),
            MOERT_OK)
      << error;
  EXPECT_EQ(manifest.layers[0].pagedClusters, 0);
}

TEST(Manifest, refusesPagedPools) {
  std::string pool = R"("dtype":"int8","shape":[-1,4],"paged":true)";
  EXPECT_EQ(refusal(withPool(pool, "l.w", "l.*.w")),
            "manifest: layer 'l': expected a tensor for each cluster of the "
            "paged 'p', found 'l.w'");
  EXPECT_EQ(refusal(withPool(pool, "l.*.u", "l.*.w")),
            "manifest: layer 'l': expected slots beside the paged 'p', as many "
            "as all paged ones have, found 0");
  EXPECT_EQ(refusal(withPool(pool, "l.*.w", "l.*.v")),
            "manifest: layer 'l': expected slots beside the paged 'q', as many "
            "as all paged ones have, found 2");
  std::string where = "manifest: entry 'f': argument 'x': ";
  EXPECT_EQ(refusal(argument(R"("dtype":"int8","role":"binding","paged":1)")),
            where + "expected 'paged' to be true or false");
  for (const char *fields : {R"("role":"binding","shape":[])",
                             R"("role":"binding","shape":[3])",
                             R"("role":"input","shape":[-1])"})
    EXPECT_EQ(refusal(argument(
                  R"("dtype":"int8","paged":true,)" + std::string(fields))),
              where + "expected 'paged' of a binding alone whose first extent "
                      "is -1");
}

} // namespace
