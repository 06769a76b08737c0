// Tests of the traffic profile: sums against loops over tokens, files there and
// back, and every refusal with its message.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/Profile.h"

#include "weights/Safetensors.h"
#include "weights/Seeded.h"

#include "test/unit/TemporaryFolder.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>

using namespace moec::weights;
using moec::test::TemporaryFolder;

namespace {

//===----------------------------------------------------------------------===//
// Collecting
//===----------------------------------------------------------------------===//

/// A batch that owns its values.
struct TestBatch {
  ProfileBatch view(bool withHidden = true) const {
    return {
        tokens,
        slots,
        inputs,
        ids,
        gates,
        withHidden ? std::span<const float>(hidden) : std::span<const float>()};
  }
  int64_t tokens, slots, width, hiddenWidth;
  std::vector<float> inputs, gates, hidden;
  std::vector<int32_t> ids;
};

/// Each slot is unused once in five times, and no expert is chosen twice.
TestBatch randomBatch(uint32_t seed, int64_t tokens, int64_t slots,
                      int64_t experts, int64_t width, int64_t hiddenWidth) {
  TestBatch batch{tokens, slots, width, hiddenWidth, {}, {}, {}, {}};
  batch.inputs = seededValues(seed, tokens * width, 2.0);
  batch.gates = seededValues(seed + 1, tokens * slots);
  batch.hidden = seededValues(seed + 2, tokens * slots * hiddenWidth);
  for (int64_t t = 0; t < tokens; ++t) {
    int64_t first = seededBits(seed + 3, uint64_t(t)) % experts;
    for (int64_t s = 0; s < slots; ++s) {
      bool unused = seededBits(seed + 4, uint64_t(t * slots + s)) % 5 == 0;
      batch.ids.push_back(unused ? -1 : int32_t((first + s * s) % experts));
      // What stands in unused slots is nobody's.
      if (unused) {
        batch.gates[size_t(t * slots + s)] = NAN;
        for (int64_t f = 0; f < hiddenWidth; ++f)
          batch.hidden[size_t((t * slots + s) * hiddenWidth + f)] = NAN;
      }
    }
    // Squares may meet again modulo the experts.
    for (int64_t s = 0; s < slots; ++s)
      for (int64_t r = 0; r < s; ++r)
        if (batch.ids[size_t(t * slots + r)] ==
            batch.ids[size_t(t * slots + s)])
          batch.ids[size_t(t * slots + s)] = -1;
  }
  return batch;
}

ProfileAccumulator accumulator(int64_t experts, int64_t width,
                               int64_t hiddenWidth, bool full = false,
                               double beta = 0.05) {
  Result<ProfileAccumulator> result = ProfileAccumulator::create(
      {experts, width, hiddenWidth, beta, full, full});
  EXPECT_TRUE(result) << result.error();
  return *result;
}

void expectNear(const char *what, const auto &found,
                const std::vector<double> &expected, double tolerance) {
  ASSERT_EQ(found.size(), expected.size()) << what;
  for (size_t n = 0; n < expected.size(); ++n)
    EXPECT_NEAR(double(found[n]), expected[n], tolerance)
        << what << " at " << n;
}

TEST(Profile, sumsAreWhatLoopsOverTokensSay) {
  constexpr int64_t experts = 6, width = 5, inner = 7, slots = 3;
  ProfileAccumulator collected = accumulator(experts, width, inner, true, 0.25);
  std::vector<int64_t> counts(experts), both(experts * experts);
  std::vector<double> gates(experts), sums(experts * width),
      mu(experts * width), squares(width), products(width * width),
      hidden(inner), hiddenProducts(inner * inner);
  int64_t tokens = 0, rows = 0;
  // Batches around the rows that are multiplied at once, and an empty one.
  for (int64_t size : {3, 0, 1, 127, 128, 129, 300}) {
    TestBatch batch =
        randomBatch(uint32_t(100 + size), size, slots, experts, width, inner);
    ASSERT_TRUE(collected.add(batch.view()));
    tokens += size;
    std::vector<double> batchSums(experts * width), batchCounts(experts);
    for (int64_t t = 0; t < size; ++t) {
      auto x = [&](int64_t d) {
        return double(batch.inputs[size_t(t * width + d)]);
      };
      for (int64_t c = 0; c < width; ++c) {
        squares[size_t(c)] += x(c) * x(c);
        for (int64_t d = 0; d < width; ++d)
          products[size_t(c * width + d)] += x(c) * x(d);
      }
      for (int64_t s = 0; s < slots; ++s) {
        int32_t i = batch.ids[size_t(t * slots + s)];
        if (i < 0)
          continue;
        ++batchCounts[size_t(i)];
        gates[size_t(i)] += double(batch.gates[size_t(t * slots + s)]);
        for (int64_t d = 0; d < width; ++d)
          batchSums[size_t(i * width + d)] += x(d);
        for (int64_t r = 0; r < slots; ++r)
          if (int32_t j = batch.ids[size_t(t * slots + r)]; j >= 0)
            ++both[size_t(i * experts + j)];
        ++rows;
        const float *h = &batch.hidden[size_t((t * slots + s) * inner)];
        for (int64_t f = 0; f < inner; ++f) {
          hidden[size_t(f)] += double(h[f]) * double(h[f]);
          for (int64_t g = 0; g < inner; ++g)
            hiddenProducts[size_t(f * inner + g)] +=
                double(h[f]) * double(h[g]);
        }
      }
    }
    for (size_t i = 0; i < experts; ++i) {
      for (size_t d = 0; d < width && batchCounts[i] > 0; ++d) {
        double mean = batchSums[i * width + d] / batchCounts[i];
        double &value = mu[i * width + d];
        value = counts[i] == 0 ? mean : 0.75 * value + 0.25 * mean;
        sums[i * width + d] += batchSums[i * width + d];
      }
      counts[i] += int64_t(batchCounts[i]);
    }
  }
  LayerProfile profile = collected.profile();
  EXPECT_EQ(profile.tokens, tokens);
  EXPECT_EQ(profile.counts, counts);
  EXPECT_EQ(profile.cooccurrence, both);
  EXPECT_EQ(profile.hiddenRows, rows);
  for (size_t i = 0; i < experts; ++i)
    EXPECT_EQ(profile.cooccurrence[i * experts + i], counts[i]);
  expectNear("gate sums", profile.gateSums, gates, 1e-9);
  for (size_t n = 0; n < sums.size(); ++n)
    sums[n] /= double(counts[n / width]);
  expectNear("means", profile.means, sums, 1e-6);
  expectNear("centroids", profile.centroids, mu, 1e-6);
  expectNear("input moments", profile.inputMoments, squares, 1e-9);
  expectNear("full", profile.inputMomentsFull, products, 1e-9);
  expectNear("hidden moments", profile.hiddenMoments, hidden, 1e-9);
  expectNear("hidden full", profile.hiddenMomentsFull, hiddenProducts, 1e-9);
}

TEST(Profile, collectsOnlyWhatIsAskedFor) {
  TestBatch batch = randomBatch(1, 4, 2, 3, 5, 6);
  ProfileAccumulator plain = accumulator(3, 5, 6);
  ASSERT_TRUE(plain.add(batch.view(false)));
  LayerProfile profile = plain.profile();
  EXPECT_EQ(profile.hiddenRows, 0);
  EXPECT_EQ(profile.hiddenMoments, std::vector<double>(6, 0.0));
  EXPECT_TRUE(profile.inputMomentsFull.empty());
  EXPECT_TRUE(profile.hiddenMomentsFull.empty());
  // Counts alone.
  ProfileAccumulator counts = accumulator(3, 0, 0);
  batch.inputs.clear();
  ASSERT_TRUE(counts.add(batch.view(false)));
  EXPECT_EQ(counts.profile().counts, profile.counts);
  EXPECT_TRUE(counts.profile().centroids.empty());
  EXPECT_TRUE(counts.profile().inputMoments.empty());
}

TEST(Profile, expertsNeverChosen) {
  ProfileAccumulator collected = accumulator(3, 2, 0);
  std::vector<float> x{1, 2, 3, 4}, gates{0.5f, 0.25f};
  std::vector<int32_t> ids{1, 1};
  ASSERT_TRUE(collected.add({2, 1, x, ids, gates, {}}));
  LayerProfile profile = collected.profile();
  EXPECT_EQ(profile.counts, (std::vector<int64_t>{0, 2, 0}));
  EXPECT_EQ(profile.gateSums, (std::vector<double>{0, 0.75, 0}));
  EXPECT_EQ(profile.means, (std::vector<float>{0, 0, 2, 3, 0, 0}));
  EXPECT_EQ(profile.centroids, profile.means);
  // A batch without it leaves a centroid as it is.
  ids = {0, -1};
  ASSERT_TRUE(collected.add({2, 1, x, ids, gates, {}}));
  EXPECT_EQ(collected.profile().centroids,
            (std::vector<float>{1, 2, 2, 3, 0, 0}));
}

TEST(Profile, refusedBatchesChangeNothing) {
  ProfileAccumulator collected = accumulator(4, 3, 2, true);
  TestBatch good = randomBatch(7, 5, 2, 4, 3, 2);
  good.ids = {0, 1, 2, 3, -1, 0, 1, 2, 3, 0};
  good.gates = seededValues(1, 10);
  good.hidden = seededValues(2, 20);
  ASSERT_TRUE(collected.add(good.view()));
  LayerProfile before = collected.profile();
  auto refuse = [&](const std::function<void(TestBatch &)> &change) {
    TestBatch batch = good;
    change(batch);
    Status status = collected.add(batch.view());
    EXPECT_FALSE(status);
    EXPECT_EQ(collected.profile(), before);
    return status.error();
  };
  EXPECT_EQ(refuse([](TestBatch &b) { b.tokens = -1; }),
            "expected a batch of 0 to 2^31 - 1 tokens, of 2^53 in all, found "
            "-1");
  EXPECT_EQ(refuse([](TestBatch &b) { b.tokens = int64_t(1) << 31; }),
            "expected a batch of 0 to 2^31 - 1 tokens, of 2^53 in all, found "
            "2147483648");
  EXPECT_EQ(refuse([](TestBatch &b) { b.slots = 5; }),
            "expected from 0 to 4 slots of a token, as many as experts, found "
            "5");
  EXPECT_EQ(refuse([](TestBatch &b) { b.slots = -1; }),
            "expected from 0 to 4 slots of a token, as many as experts, found "
            "-1");
  EXPECT_EQ(refuse([](TestBatch &b) { b.inputs.pop_back(); }),
            "expected 15 inputs for 5 tokens, found 14");
  EXPECT_EQ(refuse([](TestBatch &b) { b.ids.pop_back(); }),
            "expected 10 ids for 5 tokens, found 9");
  EXPECT_EQ(refuse([](TestBatch &b) { b.gates.push_back(1); }),
            "expected 10 gate weights for 5 tokens, found 11");
  EXPECT_EQ(refuse([](TestBatch &b) { b.hidden.pop_back(); }),
            "expected 20 hidden activations for 5 tokens, found 19");
  EXPECT_EQ(refuse([](TestBatch &b) { b.inputs[4] = NAN; }),
            "expected finite inputs, found one that is not at token 1");
  EXPECT_EQ(refuse([](TestBatch &b) { b.gates[8] = INFINITY; }),
            "expected finite gate weights, found one that is not at token 4");
  EXPECT_EQ(refuse([](TestBatch &b) { b.hidden[3] = NAN; }),
            "expected finite hidden activations, found one that is not at "
            "token 0");
  EXPECT_EQ(refuse([](TestBatch &b) { b.ids[9] = 4; }),
            "expected ids from -1 to 3, found 4 at token 4");
  EXPECT_EQ(refuse([](TestBatch &b) { b.ids[9] = -2; }),
            "expected ids from -1 to 3, found -2 at token 4");
  EXPECT_EQ(refuse([](TestBatch &b) { b.ids[9] = 3; }),
            "expected each expert once in a token, found expert 3 twice at "
            "token 4");
  // What stands in a slot not used is not looked at.
  good.gates[4] = NAN;
  good.hidden[8] = good.hidden[9] = NAN;
  EXPECT_TRUE(collected.add(good.view()));
}

TEST(Profile, refusesOptions) {
  auto refuse = [](AccumulatorOptions options) {
    Result<ProfileAccumulator> result = ProfileAccumulator::create(options);
    EXPECT_FALSE(result);
    return result.error();
  };
  EXPECT_EQ(refuse({0, 1, 1}), "expected from 1 to 4096 experts, found 0");
  EXPECT_EQ(refuse({4097, 1, 1}),
            "expected from 1 to 4096 experts, found 4097");
  EXPECT_EQ(refuse({1, -1, 1}),
            "expected inputs of width 0 to 65536, found -1");
  EXPECT_EQ(refuse({1, 65537, 1}),
            "expected inputs of width 0 to 65536, found 65537");
  EXPECT_EQ(refuse({1, 1, -1}),
            "expected hidden activations of width 0 to 65536, found -1");
  EXPECT_EQ(refuse({1, 1, 65537}),
            "expected hidden activations of width 0 to 65536, found 65537");
  EXPECT_EQ(refuse({1, 1, 1, 0.0}),
            "expected beta above 0, up to 1, found 0.000000");
  EXPECT_EQ(refuse({1, 1, 1, 1.5}),
            "expected beta above 0, up to 1, found 1.500000");
  EXPECT_EQ(refuse({1, 1, 1, NAN}),
            "expected beta above 0, up to 1, found nan");
}

TEST(Profile, loadFiguresOfKnownCounts) {
  // Computed with NumPy: np.var([1, 2, 3, 10]) and -sum(p * log(p)).
  LayerProfile layer;
  layer.counts = {1, 2, 3, 10};
  LoadFigures figures = loadFigures(layer);
  EXPECT_EQ(figures.mean, 4.0);
  EXPECT_EQ(figures.variance, 12.5);
  EXPECT_NEAR(figures.coefficientOfVariation, 0.8838834764831844, 1e-15);
  EXPECT_NEAR(figures.entropy, 1.0408398374232388, 1e-14);
  EXPECT_NEAR(figures.relativeEntropy, 0.7508072359050908, 1e-14);
  layer.counts = {5, 5, 5};
  figures = loadFigures(layer);
  EXPECT_EQ(figures.coefficientOfVariation, 0.0);
  EXPECT_NEAR(figures.relativeEntropy, 1.0, 1e-15);
  layer.counts = {0, 7};
  EXPECT_EQ(loadFigures(layer).entropy, 0.0);
  EXPECT_EQ(loadFigures(layer).coefficientOfVariation, 1.0);
  // Nothing seen, one expert, nothing at all.
  layer.counts = {0, 0};
  figures = loadFigures(layer);
  EXPECT_EQ(figures.mean + figures.variance + figures.coefficientOfVariation +
                figures.entropy + figures.relativeEntropy,
            0.0);
  layer.counts = {3};
  EXPECT_EQ(loadFigures(layer).relativeEntropy, 1.0);
  EXPECT_EQ(loadFigures(layer).variance, 0.0);
  layer.counts = {};
  EXPECT_EQ(loadFigures(layer).mean, 0.0);
}

//===----------------------------------------------------------------------===//
// Files
//===----------------------------------------------------------------------===//

Profile randomProfile(uint32_t seed, bool full, int64_t layers = 2) {
  Profile profile;
  profile.model = "0123456789abcdef0123456789abcdef";
  for (int64_t n = 0; n < layers; ++n) {
    ProfileAccumulator collected = accumulator(4, 3, 5, full);
    for (uint32_t batch = 0; batch < 3; ++batch)
      EXPECT_TRUE(collected.add(
          randomBatch(seed + 100 * batch + uint32_t(n), 20, 2, 4, 3, 5)
              .view()));
    profile.layers[n * 7] = collected.profile();
  }
  return profile;
}

TEST(Profile, filesThereAndBack) {
  TemporaryFolder folder;
  std::string path = folder.file("p.safetensors");
  for (bool full : {false, true}) {
    Profile profile = randomProfile(1, full);
    profile.beta = 0.1;
    for (auto &[number, layer] : profile.layers)
      layer.tokens += 1'000'000'000'000;
    ASSERT_TRUE(writeProfile(path, profile));
    Result<Profile> read = readProfile(path);
    ASSERT_TRUE(read) << read.error();
    EXPECT_TRUE(*read == profile);
  }
  // Counts alone, and no layer at all.
  Profile counts{"m", 1.0, {}};
  ProfileAccumulator collected = accumulator(4, 0, 0);
  counts.layers[0] = collected.profile();
  ASSERT_TRUE(writeProfile(path, counts));
  EXPECT_TRUE(*readProfile(path) == counts);
  Profile empty{"m", 1.0, {}};
  ASSERT_TRUE(writeProfile(path, empty));
  EXPECT_TRUE(*readProfile(path) == empty);
}

/// A profile's file as a table of tensors that can be changed.
struct TestFile {
  struct Tensor {
    ElementType type;
    std::vector<int64_t> shape;
    std::vector<uint8_t> bytes;
  };
  std::map<std::string, Tensor> tensors;
  std::map<std::string, std::string> metadata{
      {"moec.profile", R"({"version":"0.1","model":"m","beta":0.05})"}};

  template <typename T>
  void set(const std::string &name, ElementType type,
           std::vector<int64_t> shape, std::vector<T> values) {
    Tensor tensor{type, std::move(shape), {}};
    tensor.bytes.resize(values.size() * sizeof(T));
    if (!values.empty())
      std::memcpy(tensor.bytes.data(), values.data(), tensor.bytes.size());
    tensors[name] = tensor;
  }
  std::string write(const TemporaryFolder &folder) const {
    std::vector<TensorToWrite> list;
    for (const auto &[name, tensor] : tensors)
      list.push_back({name, tensor.type, tensor.shape, tensor.bytes});
    std::string path = folder.file("p");
    EXPECT_TRUE(writeSafetensors(path, list, metadata));
    return path;
  }
};

/// Two experts, inputs of 3 and hidden activations of 2, in layer 4.
TestFile smallFile() {
  TestFile file;
  file.set<int64_t>("layers.4.tokens", ElementType::I64, {1}, {10});
  file.set<int64_t>("layers.4.counts", ElementType::I64, {2}, {6, 8});
  file.set<double>("layers.4.gate_sums", ElementType::F64, {2}, {3, 4});
  file.set<int64_t>("layers.4.cooccurrence", ElementType::I64, {2, 2},
                    {6, 5, 5, 8});
  file.set<float>("layers.4.centroids", ElementType::F32, {2, 3},
                  {1, 2, 3, 4, 5, 6});
  file.set<float>("layers.4.means", ElementType::F32, {2, 3},
                  {1, 2, 3, 4, 5, 7});
  file.set<double>("layers.4.input_moments", ElementType::F64, {3}, {1, 2, 3});
  file.set<float>("layers.4.input_moments_full", ElementType::F32, {3, 3},
                  {1, 0.5, 0, 0.5, 2, 0, 0, 0, 3});
  file.set<int64_t>("layers.4.hidden_rows", ElementType::I64, {1}, {14});
  file.set<float>("layers.4.hidden_moments", ElementType::F32, {2}, {4, 5});
  file.set<double>("layers.4.hidden_moments_full", ElementType::F64, {2, 2},
                   {4, -1, -1, 5});
  file.set<float>("layers.4.fisher", ElementType::F32, {3, 2},
                  {1, 0, 0.5, 2, 3, 4});
  return file;
}

TEST(Profile, readsWhatAFileSays) {
  TemporaryFolder folder;
  TestFile file = smallFile();
  // Names of a later minor version, and names like ours.
  file.set<float>("layers.4.colour", ElementType::F32, {1}, {1});
  for (const char *name :
       {"layers.04.counts", "layers.-4.counts", "layers..counts", "layers.4",
        "layers.4x.counts", "layers.1000001.counts", "layer.4.counts",
        "layers.99999999999999999999.counts"})
    file.set<float>(name, ElementType::F32, {1}, {1});
  file.metadata["moec.profile"] =
      R"({"new":[{"version":"7.0","beta":2}],"version":"0.9","model":"m",)"
      R"("flag":true,"nothing":null,"beta":1})";
  Result<Profile> read = readProfile(file.write(folder));
  ASSERT_TRUE(read) << read.error();
  EXPECT_EQ(read->model, "m");
  EXPECT_EQ(read->beta, 1.0);
  ASSERT_EQ(read->layers.size(), 1u);
  LayerProfile expected;
  expected.experts = 2;
  expected.width = 3;
  expected.hiddenWidth = 2;
  expected.tokens = 10;
  expected.counts = {6, 8};
  expected.gateSums = {3, 4};
  expected.cooccurrence = {6, 5, 5, 8};
  expected.centroids = {1, 2, 3, 4, 5, 6};
  expected.means = {1, 2, 3, 4, 5, 7};
  expected.inputMoments = {1, 2, 3};
  expected.inputMomentsFull = {1, 0.5, 0, 0.5, 2, 0, 0, 0, 3};
  expected.hiddenRows = 14;
  expected.hiddenMoments = {4, 5};
  expected.hiddenMomentsFull = {4, -1, -1, 5};
  expected.fisher = {1, 0, 0.5, 2, 3, 4};
  EXPECT_TRUE(read->layers.at(4) == expected);
}

/// The message that refuses a changed file, without its path.
std::string refusal(const std::function<void(TestFile &)> &change) {
  TemporaryFolder folder;
  TestFile file = smallFile();
  change(file);
  std::string path = file.write(folder);
  Result<Profile> read = readProfile(path);
  EXPECT_FALSE(read) << "was accepted";
  EXPECT_EQ(read.error().substr(0, path.size() + 2), path + ": ");
  return read.error().substr(std::min(read.error().size(), path.size() + 2));
}

std::string metadataRefusal(const std::string &json) {
  return refusal([&](TestFile &f) { f.metadata["moec.profile"] = json; });
}

TEST(Profile, refusesMetadata) {
  EXPECT_EQ(refusal([](TestFile &f) { f.metadata.clear(); }),
            "expected a profile, found no metadata 'moec.profile'");
  EXPECT_EQ(metadataRefusal(std::string(65537, ' ')),
            "moec.profile: expected at most 65536 bytes, found 65537");
  for (const char *json :
       {"", "[]", "{", "3", R"({"version":"0.1","version":"0.1"})",
        R"({"model":"m","beta":1} x)"})
    EXPECT_EQ(metadataRefusal(json),
              "moec.profile: expected a JSON object with no key twice, found "
              "something else");
  EXPECT_EQ(metadataRefusal(std::string("{}\0", 3)),
            "moec.profile: expected a JSON object with no key twice, found "
            "something else");
  // Deep nesting takes no stack.
  EXPECT_EQ(metadataRefusal("{\"a\":" + std::string(60000, '[')),
            "moec.profile: expected a JSON object with no key twice, found "
            "something else");
  EXPECT_EQ(metadataRefusal(R"({"version":1,"model":"m","beta":1})"),
            "moec.profile: expected a string as version, found none");
  EXPECT_EQ(metadataRefusal(R"({"version":"0.1","model":5,"beta":1})"),
            "moec.profile: expected a string as model, found none");
  EXPECT_EQ(metadataRefusal(R"({"version":"0.1","model":"m","beta":"1"})"),
            "moec.profile: expected a number as beta, found none");
  for (const char *version : {"x", "0", "0.", ".1", "0.1.2", "-0.1", "0,1"})
    EXPECT_EQ(metadataRefusal(std::string(R"({"version":")") + version +
                              R"(","model":"m","beta":1})"),
              "moec.profile: expected a version MAJOR.MINOR, found " +
                  std::to_string(std::string(version).size()) +
                  " other characters");
  EXPECT_EQ(metadataRefusal(R"({"version":"1.3"})"),
            "expected version 0.x of the profile format, found 1.3");
  EXPECT_EQ(metadataRefusal(R"({"version":"0.1","model":"","beta":1})"),
            "expected the identity of the model in 1 to 256 printable ASCII "
            "characters, found 0 bytes");
  EXPECT_EQ(metadataRefusal(R"({"version":"0.1","model":"a\n","beta":1})"),
            "expected the identity of the model in 1 to 256 printable ASCII "
            "characters, found 2 bytes");
  EXPECT_EQ(metadataRefusal(R"({"version":"0.1","model":")" +
                            std::string(257, 'm') + R"(","beta":1})"),
            "expected the identity of the model in 1 to 256 printable ASCII "
            "characters, found 257 bytes");
  EXPECT_EQ(metadataRefusal(R"({"version":"0.1","model":"m","beta":0})"),
            "expected beta above 0, up to 1, found 0.000000");
  EXPECT_EQ(metadataRefusal(R"({"version":"0.1","model":"m","beta":-2})"),
            "expected beta above 0, up to 1, found -2.000000");
}

TEST(Profile, refusesMissingTensors) {
  for (const char *name : {"tokens", "counts", "gate_sums", "cooccurrence"})
    EXPECT_EQ(refusal([&](TestFile &f) {
                f.tensors.erase(std::string("layers.4.") + name);
              }),
              std::string("layers.4: expected a tensor ") + name +
                  ", found none");
  TemporaryFolder folder;
  TestFile few = smallFile();
  for (const char *name :
       {"centroids", "means", "input_moments", "input_moments_full",
        "hidden_rows", "hidden_moments", "hidden_moments_full", "fisher"})
    few.tensors.erase(std::string("layers.4.") + name);
  EXPECT_TRUE(readProfile(few.write(folder)));
}

TEST(Profile, refusesTypesAndShapes) {
  auto with = [](const std::string &name, ElementType type,
                 std::vector<int64_t> shape) {
    return refusal([&](TestFile &f) {
      f.set<uint8_t>("layers.4." + name, type, shape,
                     std::vector<uint8_t>(*tensorBytes(type, shape)));
    });
  };
  EXPECT_EQ(with("tokens", ElementType::I32, {1}),
            "layers.4.tokens: expected I64 of rank 1, found I32 of shape [1]");
  EXPECT_EQ(with("tokens", ElementType::I64, {2}),
            "layers.4.tokens: expected extent 1 on axis 0, found shape [2]");
  EXPECT_EQ(with("tokens", ElementType::I64, {0}),
            "layers.4.tokens: expected extent 1 on axis 0, found shape [0]");
  EXPECT_EQ(with("hidden_rows", ElementType::I64, {}),
            "layers.4.hidden_rows: expected I64 of rank 1, found I64 of shape "
            "[]");
  EXPECT_EQ(with("counts", ElementType::F64, {2}),
            "layers.4.counts: expected I64 of rank 1, found F64 of shape [2]");
  EXPECT_EQ(with("gate_sums", ElementType::F32, {2}),
            "layers.4.gate_sums: expected F64 of rank 1, found F32 of shape "
            "[2]");
  EXPECT_EQ(with("cooccurrence", ElementType::I64, {4}),
            "layers.4.cooccurrence: expected I64 of rank 2, found I64 of shape "
            "[4]");
  EXPECT_EQ(with("centroids", ElementType::F64, {2, 3}),
            "layers.4.centroids: expected F32 of rank 2, found F64 of shape "
            "[2, 3]");
  EXPECT_EQ(with("means", ElementType::F32, {6}),
            "layers.4.means: expected F32 of rank 2, found F32 of shape [6]");
  EXPECT_EQ(with("input_moments", ElementType::F16, {3}),
            "layers.4.input_moments: expected F64 or F32 of rank 1, found F16 "
            "of shape [3]");
  EXPECT_EQ(with("hidden_moments_full", ElementType::F32, {4}),
            "layers.4.hidden_moments_full: expected F64 or F32 of rank 2, "
            "found F32 of shape [4]");
  EXPECT_EQ(with("fisher", ElementType::F16, {3, 2}),
            "layers.4.fisher: expected F64 or F32 of rank 2, found F16 of shape "
            "[3, 2]");
  EXPECT_EQ(with("fisher", ElementType::F64, {2, 2}),
            "layers.4.fisher: expected extent 3 on axis 0, found shape [2, 2]");
  EXPECT_EQ(with("fisher", ElementType::F64, {3, 4}),
            "layers.4.fisher: expected extent 2 on axis 1, found shape [3, 4]");
  // Extents that differ between tensors: of two, the later one is named.
  EXPECT_EQ(with("counts", ElementType::I64, {3}),
            "layers.4.counts: expected extent 2 on axis 0, found shape [3]");
  EXPECT_EQ(with("cooccurrence", ElementType::I64, {2, 3}),
            "layers.4.cooccurrence: expected extent 2 on axis 1, found shape "
            "[2, 3]");
  EXPECT_EQ(with("means", ElementType::F32, {2, 4}),
            "layers.4.means: expected extent 3 on axis 1, found shape [2, 4]");
  EXPECT_EQ(with("input_moments", ElementType::F32, {4}),
            "layers.4.input_moments: expected extent 3 on axis 0, found shape "
            "[4]");
  EXPECT_EQ(with("input_moments_full", ElementType::F32, {3, 4}),
            "layers.4.input_moments_full: expected extent 3 on axis 1, found "
            "shape [3, 4]");
  EXPECT_EQ(with("hidden_moments", ElementType::F32, {3}),
            "layers.4.hidden_moments_full: expected extent 3 on axis 0, found "
            "shape [2, 2]");
  EXPECT_EQ(with("centroids", ElementType::F32, {0, 3}),
            "layers.4.centroids: expected extent 1 or more on axis 0, found "
            "shape [0, 3]");
}

TEST(Profile, refusesValuesThatCannotBe) {
  auto tokens = [](int64_t value) {
    return [value](TestFile &f) {
      f.set<int64_t>("layers.4.tokens", ElementType::I64, {1}, {value});
    };
  };
  EXPECT_EQ(refusal(tokens(-1)),
            "layers.4.tokens: expected from 0 to 2^53, found -1");
  EXPECT_EQ(refusal(tokens((int64_t(1) << 53) + 1)),
            "layers.4.tokens: expected from 0 to 2^53, found "
            "9007199254740993");
  EXPECT_EQ(refusal(tokens(7)), "layers.4.counts: expected from 0 to the 7 "
                                "tokens seen, found 8 of expert 1");
  auto counts = [](std::vector<int64_t> values) {
    return [values](TestFile &f) {
      f.set<int64_t>("layers.4.counts", ElementType::I64, {2}, values);
    };
  };
  EXPECT_EQ(refusal(counts({-1, 8})),
            "layers.4.counts: expected from 0 to the 10 tokens seen, found -1 "
            "of expert 0");
  auto both = [](std::vector<int64_t> values) {
    return [values](TestFile &f) {
      f.set<int64_t>("layers.4.cooccurrence", ElementType::I64, {2, 2}, values);
    };
  };
  EXPECT_EQ(refusal(both({6, 5, 4, 8})),
            "layers.4.cooccurrence: expected a symmetric matrix, found 4 and 5 "
            "of experts 1 and 0");
  EXPECT_EQ(refusal(both({6, 7, 7, 8})),
            "layers.4.cooccurrence: expected from 0 to 6, found 7 of experts 1 "
            "and 0");
  EXPECT_EQ(refusal(both({6, -1, -1, 8})),
            "layers.4.cooccurrence: expected from 0 to 6, found -1 of experts "
            "1 and 0");
  EXPECT_EQ(refusal(both({6, 5, 5, 7})),
            "layers.4.cooccurrence: expected 8, found 7 of experts 1 and 1");
  EXPECT_EQ(refusal([](TestFile &f) {
              f.set<int64_t>("layers.4.hidden_rows", ElementType::I64, {1},
                             {-3});
            }),
            "layers.4.hidden_rows: expected from 0 to 2^53, found -3");
  EXPECT_EQ(refusal([](TestFile &f) {
              f.set<double>("layers.4.gate_sums", ElementType::F64, {2},
                            {1, NAN});
            }),
            "layers.4.gate_sums: expected finite values, found nan at 1");
  for (const char *name : {"centroids", "means"})
    EXPECT_EQ(refusal([&](TestFile &f) {
                f.set<float>(std::string("layers.4.") + name, ElementType::F32,
                             {2, 3}, {1, 2, 3, INFINITY, 5, 6});
              }),
              std::string("layers.4.") + name +
                  ": expected finite values, found inf at 3");
  auto moments = [](std::vector<double> values) {
    return [values](TestFile &f) {
      f.set<double>("layers.4.input_moments", ElementType::F64, {3}, values);
    };
  };
  EXPECT_EQ(refusal(moments({1, NAN, 2})),
            "layers.4.input_moments: expected finite values, found nan at 1");
  EXPECT_EQ(refusal(moments({1, -2, 2})),
            "layers.4.input_moments: expected sums of squares from 0, found "
            "-2.000000 at 1");
  auto full = [](std::vector<double> values) {
    return [values](TestFile &f) {
      f.set<double>("layers.4.hidden_moments_full", ElementType::F64, {2, 2},
                    values);
    };
  };
  EXPECT_EQ(refusal(full({1, 0, 0, -5})),
            "layers.4.hidden_moments_full: expected sums of squares from 0, "
            "found -5.000000 at 1");
  EXPECT_EQ(refusal(full({1, 0.5, 0.25, 1})),
            "layers.4.hidden_moments_full: expected a symmetric matrix, found "
            "0.250000 and 0.500000 at 1, 0");
}

TEST(Profile, refusesSizesBeyondLimits) {
  auto large = [](const std::string &name, ElementType type,
                  std::vector<int64_t> shape) {
    return [=](TestFile &f) {
      f.tensors.clear();
      f.set<int64_t>("layers.0.tokens", ElementType::I64, {1}, {0});
      f.set<int64_t>("layers.0.counts", ElementType::I64, {2}, {0, 0});
      f.set<double>("layers.0.gate_sums", ElementType::F64, {2}, {0, 0});
      f.set<int64_t>("layers.0.cooccurrence", ElementType::I64, {2, 2},
                     {0, 0, 0, 0});
      f.set<uint8_t>("layers.0." + name, type, shape,
                     std::vector<uint8_t>(*tensorBytes(type, shape)));
    };
  };
  EXPECT_EQ(refusal(large("input_moments", ElementType::F32, {65537})),
            "layers.0.inputs: expected a width of 0 to 65536, found 65537");
  EXPECT_EQ(refusal(large("hidden_moments", ElementType::F32, {65537})),
            "layers.0.hidden activations: expected a width of 0 to 65536, "
            "found 65537");
  Profile profile = randomProfile(1, false);
  TemporaryFolder folder;
  profile.layers[0].experts = 4097;
  EXPECT_EQ(writeProfile(folder.file("p"), profile).error(),
            folder.file("p") +
                ": layers.0.counts: expected from 1 to 4096 experts, found "
                "4097");
}

TEST(Profile, writesNothingThatCannotBeRead) {
  TemporaryFolder folder;
  std::string path = folder.file("p");
  auto refuse = [&](const std::function<void(Profile &)> &change) {
    Profile profile = randomProfile(1, true);
    change(profile);
    Status status = writeProfile(path, profile);
    EXPECT_FALSE(status);
    EXPECT_FALSE(std::filesystem::exists(path));
    return status.error().substr(
        std::min(status.error().size(), path.size() + 2));
  };
  EXPECT_EQ(refuse([](Profile &p) { p.layers[0].counts.pop_back(); }),
            "layers.0.counts: expected 4 values, found 3");
  EXPECT_EQ(refuse([](Profile &p) { p.layers[7].gateSums.clear(); }),
            "layers.7.gate_sums: expected 4 values, found 0");
  EXPECT_EQ(refuse([](Profile &p) { p.layers[7].cooccurrence.pop_back(); }),
            "layers.7.cooccurrence: expected 16 values, found 15");
  EXPECT_EQ(refuse([](Profile &p) { p.layers[7].centroids.pop_back(); }),
            "layers.7.centroids: expected 12 values, found 11");
  EXPECT_EQ(refuse([](Profile &p) { p.layers[7].means.pop_back(); }),
            "layers.7.means: expected 12 values, found 11");
  EXPECT_EQ(refuse([](Profile &p) { p.layers[7].inputMoments.pop_back(); }),
            "layers.7.input_moments: expected 3 values, found 2");
  EXPECT_EQ(refuse([](Profile &p) { p.layers[7].inputMomentsFull.pop_back(); }),
            "layers.7.input_moments_full: expected 9 values, found 8");
  EXPECT_EQ(refuse([](Profile &p) { p.layers[7].hiddenMoments.pop_back(); }),
            "layers.7.hidden_moments: expected 5 values, found 4");
  EXPECT_EQ(
      refuse([](Profile &p) { p.layers[7].hiddenMomentsFull.pop_back(); }),
      "layers.7.hidden_moments_full: expected 25 values, found 24");
  EXPECT_EQ(refuse([](Profile &p) { p.layers[7].fisher = {1, 2}; }),
            "layers.7.fisher: expected 12 values, found 2");
  EXPECT_EQ(refuse([](Profile &p) { p.layers[-1] = p.layers[0]; }),
            "expected layers from 0 to 1000000, found -1");
  EXPECT_EQ(refuse([](Profile &p) { p.layers[1000001] = p.layers[0]; }),
            "expected layers from 0 to 1000000, found 1000001");
  Profile profile = randomProfile(1, false);
  EXPECT_EQ(writeProfile(folder.file("no/p"), profile).error(),
            folder.file("no/p") +
                ": cannot create a temporary file beside it: No such file or "
                "directory");
  EXPECT_EQ(readProfile(folder.file("none")).error(),
            folder.file("none") + ": cannot open: No such file or directory");
}

//===----------------------------------------------------------------------===//
// Merging
//===----------------------------------------------------------------------===//

TEST(Profile, mergedIsAsIfCollectedTogether) {
  ProfileAccumulator together = accumulator(4, 3, 5, true),
                     first = accumulator(4, 3, 5, true),
                     second = accumulator(4, 3, 5, true);
  for (uint32_t n = 0; n < 6; ++n) {
    TestBatch batch = randomBatch(n * 10, 17, 2, 4, 3, 5);
    ASSERT_TRUE(together.add(batch.view()));
    ASSERT_TRUE((n < 2 ? first : second).add(batch.view()));
  }
  Profile merged{"m", 0.05, {{3, first.profile()}}};
  Profile other{"m", 0.05, {{3, second.profile()}, {9, second.profile()}}};
  ASSERT_TRUE(mergeProfile(merged, other));
  LayerProfile expected = together.profile(), found = merged.layers[3];
  EXPECT_EQ(found.tokens, expected.tokens);
  EXPECT_EQ(found.counts, expected.counts);
  EXPECT_EQ(found.cooccurrence, expected.cooccurrence);
  EXPECT_EQ(found.hiddenRows, expected.hiddenRows);
  auto wide = [](const auto &v) {
    return std::vector<double>(v.begin(), v.end());
  };
  expectNear("gate sums", found.gateSums, expected.gateSums, 1e-12);
  expectNear("means", found.means, wide(expected.means), 1e-6);
  expectNear("moments", found.inputMoments, expected.inputMoments, 1e-9);
  expectNear("full", found.inputMomentsFull, expected.inputMomentsFull, 1e-9);
  expectNear("hidden", found.hiddenMoments, expected.hiddenMoments, 1e-9);
  expectNear("hidden full", found.hiddenMomentsFull, expected.hiddenMomentsFull,
             1e-9);
  // A moving mean cannot be put together again: it is weighted by counts.
  LayerProfile a = first.profile(), b = second.profile();
  for (size_t n = 0; n < 12; ++n)
    EXPECT_NEAR(found.centroids[n],
                (double(a.counts[n / 3]) * double(a.centroids[n]) +
                 double(b.counts[n / 3]) * double(b.centroids[n])) /
                    double(a.counts[n / 3] + b.counts[n / 3]),
                1e-6);
  // A layer that only one has.
  EXPECT_TRUE(merged.layers[9] == b);
}

TEST(Profile, fisherInformationStaysWhenTrafficAdds) {
  Profile profile = randomProfile(5, true), traffic = profile;
  std::vector<double> one(12, 0.5), two(12);
  for (size_t n = 0; n < two.size(); ++n)
    two[n] = double(n);
  profile.layers[0].fisher = one;
  traffic.layers[7].fisher = two;
  // Neither side needs to have it.
  ASSERT_TRUE(mergeProfile(profile, traffic));
  EXPECT_EQ(profile.layers[0].fisher, one);
  EXPECT_EQ(profile.layers[7].fisher, two);
  // Where both have it, it is one sum.
  ASSERT_TRUE(mergeProfile(profile, traffic));
  for (double &value : two)
    value *= 2;
  EXPECT_EQ(profile.layers[7].fisher, two);
  TemporaryFolder folder;
  ASSERT_TRUE(writeProfile(folder.file("p"), profile));
  Result<Profile> read = readProfile(folder.file("p"));
  ASSERT_TRUE(read) << read.error();
  EXPECT_TRUE(*read == profile);
}

TEST(Profile, mergingNothingChangesNothing) {
  Profile profile = randomProfile(5, true);
  Profile before = profile;
  Profile empty{profile.model, profile.beta, {}};
  for (const auto &[number, layer] : profile.layers)
    empty.layers[number] = accumulator(4, 3, 5, true).profile();
  ASSERT_TRUE(mergeProfile(profile, empty));
  EXPECT_TRUE(profile == before);
  ASSERT_TRUE(mergeProfile(empty, profile));
  EXPECT_TRUE(empty == before);
  // Experts that nobody chose keep their zeros.
  Profile none{"m", 0.05, {{0, accumulator(4, 3, 5, true).profile()}}};
  Profile same = none;
  ASSERT_TRUE(mergeProfile(none, same));
  EXPECT_TRUE(none == same);
}

TEST(Profile, refusesToMergeWhatDiffers) {
  auto refuse = [](const std::function<void(Profile &)> &change) {
    Profile profile = randomProfile(5, true), other = randomProfile(6, true);
    Profile before = profile;
    change(other);
    Status status = mergeProfile(profile, other);
    EXPECT_FALSE(status);
    EXPECT_TRUE(profile == before);
    return status.error();
  };
  EXPECT_EQ(refuse([](Profile &p) { p.model = "another"; }),
            "expected a profile of model '0123456789abcdef0123456789abcdef', "
            "found one of 'another'");
  EXPECT_EQ(refuse([](Profile &p) { p.beta = 0.5; }),
            "expected a profile of beta 0.050000, found 0.500000");
  EXPECT_EQ(refuse([](Profile &p) { p.layers[0].counts[0] = -1; }),
            "layers.0.counts: expected from 0 to the 60 tokens seen, found -1 "
            "of expert 0");
  auto shape = [&](int64_t experts, int64_t width, int64_t hidden, bool full) {
    return refuse([=](Profile &p) {
      p.layers[7] = accumulator(experts, width, hidden, full).profile();
    });
  };
  EXPECT_EQ(shape(5, 3, 5, true), "layers.7.counts: expected 4 values, as the "
                                  "other profile has, found 5");
  EXPECT_EQ(shape(4, 2, 5, true), "layers.7.centroids: expected 12 values, as "
                                  "the other profile has, found 8");
  EXPECT_EQ(shape(4, 3, 6, true), "layers.7.hidden_moments: expected 5 values, "
                                  "as the other profile has, found 6");
  EXPECT_EQ(shape(4, 3, 5, false),
            "layers.7.input_moments_full: expected 9 values, as the other "
            "profile has, found 0");
  EXPECT_EQ(refuse([](Profile &p) { p.layers[7].hiddenMomentsFull.clear(); }),
            "layers.7.hidden_moments_full: expected 25 values, as the other "
            "profile has, found 0");
  EXPECT_EQ(refuse([](Profile &p) { p.layers[7].means.clear(); }),
            "layers.7.means: expected 12 values, as the other profile has, "
            "found 0");
  EXPECT_EQ(refuse([](Profile &p) { p.layers[7].inputMoments.clear(); }),
            "layers.7.input_moments: expected 3 values, as the other profile "
            "has, found 0");
  EXPECT_EQ(refuse([](Profile &p) { p.layers[7].tokens = profileMaxTokens; }),
            "layers.7.tokens: expected at most 2^53 in both profiles, found 60 "
            "and 9007199254740992");
  EXPECT_EQ(
      refuse([](Profile &p) { p.layers[7].hiddenRows = profileMaxTokens; }),
      "layers.7.tokens: expected at most 2^53 in both profiles, found 60 and "
      "60");
}

} // namespace
