// How long a layer's experts take to become bases and low-rank residuals.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
//
//   weights-factorize [EXPERTS [CLUSTERS [WIDTH [INNER [RANK [THREADS]]]]]]
//
// Experts are bf16 noise, OUT x IN as checkpoints keep them: their differences
// have no structure, the worst case for a sketch. Times are of one run:
// elapsed, and of processors, which other programs do not change.
#include "weights/ExpertFactors.h"
#include "weights/RankSelection.h"
#include "weights/Seeded.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <sys/resource.h>

using namespace moec::weights;

namespace {

void require(bool condition, const std::string &message) {
  if (condition)
    return;
  std::fprintf(stderr, "error: %s\n", message.c_str());
  std::exit(1);
}

template <typename T> T taken(Result<T> result) {
  require(bool(result), result.error());
  return *std::move(result);
}

class Clock {
public:
  std::string text() const {
    double elapsed =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start)
            .count();
    double busy = double(std::clock() - busyBefore) / CLOCKS_PER_SEC;
    char buffer[64];
    std::snprintf(buffer, sizeof(buffer), "%7.2f s, %7.2f s of processors",
                  elapsed, busy);
    return buffer;
  }

private:
  std::chrono::steady_clock::time_point start =
      std::chrono::steady_clock::now();
  std::clock_t busyBefore = std::clock();
};

double peakGigabytes() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return double(usage.ru_maxrss) / 1e6;
}

} // namespace

int main(int argc, char **argv) {
  auto number = [&](int place, int64_t otherwise) {
    return argc > place ? std::atoll(argv[place]) : otherwise;
  };
  int64_t experts = number(1, 128), clusters = number(2, 16),
          width = number(3, 2048), inner = number(4, 768), rank = number(5, 16);
  ParallelOptions parallel;
  parallel.threads = number(6, 0);
  require(experts > 0 && clusters > 0 && width > 0 && inner > 0,
          "expected positive sizes");

  // Bits of bf16 numbers around 1/64: made quickly, and never NaN.
  int64_t values = width * inner;
  auto bits = std::make_shared<std::vector<uint16_t>>(
      static_cast<size_t>(experts * values));
  for (size_t n = 0; n < bits->size(); ++n)
    (*bits)[n] = uint16_t(0x3C80 | (seededBits(1, n) & 0x807F));
  std::vector<StoredMatrix> stored;
  for (int64_t i = 0; i < experts; ++i)
    stored.push_back(
        {std::span(reinterpret_cast<const uint8_t *>(bits->data() + i * values),
                   size_t(values * 2)),
         ElementType::BF16});
  std::vector<int32_t> table;
  for (int64_t i = 0; i < experts; ++i)
    table.push_back(int32_t(i % clusters));

  // All roles share the bytes: that saves memory and no time.
  auto role = [&](const char *name, int64_t rows, int64_t cols) {
    return taken(
        storedMatrices(name, {experts, rows, cols}, stored, true, bits));
  };
  auto meanOf = [&](const MatrixSourcePtr &of) {
    return taken(meanMatrices(of->name() + " mean", of, table, clusters));
  };
  ResidualOptions options;
  options.factorization.rank = rank;
  const MatrixSourcePtr roles[] = {role("gate", width, inner),
                                   role("up", width, inner),
                                   role("down", inner, width)};
  std::printf("%lld experts of 3 x %lld x %lld in %lld clusters, rank %lld, "
              "%lld threads\n",
              (long long)experts, (long long)width, (long long)inner,
              (long long)clusters, (long long)rank,
              (long long)taken(threadsOf(parallel)));
  double before = peakGigabytes();
  Clock layer;
  for (const MatrixSourcePtr &of : roles) {
    Clock clock;
    ExpertFactors factors = taken(
        factorizeExperts(of->name(), of, meanOf(of), table, options, parallel));
    std::printf("  %-5s %s, relative error %.4f at most\n", of->name().c_str(),
                clock.text().c_str(), factors.errors.maxRelative());
  }
  std::printf("layer   %s, %.2f GB beside the weights\n", layer.text().c_str(),
              peakGigabytes() - before);

  const MatrixSourcePtr &gate = roles[0];
  Clock spectra;
  RoleSpectra known = {
      "gate",
      width,
      inner,
      taken(residualSpectra(gate, meanOf(gate), table, 0, options, parallel)),
      Encoding{},
      Encoding{}};
  std::printf("gate: all singular values %s\n", spectra.text().c_str());
  RankChoice choice = taken(ranksForErrorBound(known, 0.5));
  std::printf("gate: rank for an error of 0.5 is %lld\n",
              (long long)choice.rank);

  // Moments that fall off beside the diagonal.
  std::vector<float> moments(size_t(width * width));
  for (int64_t i = 0; i < width; ++i)
    for (int64_t j = 0; j < width; ++j)
      moments[size_t(i * width + j)] = 1 / float(1 + std::abs(i - j));
  options.inputs.moments =
      matricesOf("moments", {1, width, width}, std::move(moments));
  Clock whitened;
  ExpertFactors factors = taken(
      factorizeExperts("gate", gate, meanOf(gate), table, options, parallel));
  std::printf("gate: whitened %s, whitened error %.4f at most\n",
              whitened.text().c_str(), factors.errors.maxWhitened());
  return 0;
}
