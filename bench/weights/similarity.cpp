// How fast experts are compared, beside plain reading of the same bytes.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
//
//   weights-similarity [EXPERTS [WIDTH [INNER [THREADS [FILE]]]]]
//
// Writes bf16 experts to FILE (removed at the end), reads it from the disk, maps
// it, and reads it from the page cache. Each figure is the best of five rounds.
#include "weights/Similarity.h"
#include "weights/File.h"
#include "weights/Gram.h"
#include "weights/MatrixSource.h"
#include "weights/Parallel.h"
#include "weights/Seeded.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <functional>
#include <unistd.h>

using namespace moec::weights;

namespace {

/// Seconds of the fastest of five rounds.
double fastest(const std::function<void()> &round) {
  double best = 1e300;
  for (int i = 0; i < 5; ++i) {
    auto start = std::chrono::steady_clock::now();
    round();
    std::chrono::duration<double> spent =
        std::chrono::steady_clock::now() - start;
    best = std::min(best, spent.count());
  }
  return best;
}

void require(bool condition, const std::string &message) {
  if (condition)
    return;
  std::fprintf(stderr, "error: %s\n", message.c_str());
  std::exit(1);
}

/// Seconds to read the whole file past the page cache, as dd bs=8M
/// iflag=direct does.
double readFromDisk(const std::string &path) {
  constexpr size_t piece = size_t(8) << 20;
  std::unique_ptr<void, void (*)(void *)> room(
      std::aligned_alloc(4096, piece), std::free);
  int descriptor = ::open(path.c_str(), O_RDONLY | O_DIRECT);
  require(descriptor >= 0 && room, path + ": cannot read directly");
  double seconds = fastest([&] {
    ssize_t read = 0;
    for (off_t place = 0;
         (read = ::pread(descriptor, room.get(), piece, place)) > 0;
         place += read)
      ;
    require(read == 0, path + ": cannot read");
  });
  ::close(descriptor);
  return seconds;
}

} // namespace

int main(int argc, char **argv) {
  auto number = [&](int place, int64_t otherwise) {
    return argc > place ? std::atoll(argv[place]) : otherwise;
  };
  int64_t experts = number(1, 64), width = number(2, 2048),
          inner = number(3, 768), threads = number(4, 0);
  std::string path = argc > 5 ? argv[5] : "similarity-bench.bin";
  int64_t values = width * inner;
  require(experts > 0 && values > 0, "expected positive sizes");

  // Bits of bf16 numbers of magnitude 1/64: made quickly, and never NaN.
  std::vector<uint16_t> matrix(static_cast<size_t>(values));
  for (size_t n = 0; n < matrix.size(); ++n)
    matrix[n] = uint16_t(0x3C80 | (seededBits(1, n) & 0x807F));
  std::span<const uint8_t> bytes(
      reinterpret_cast<const uint8_t *>(matrix.data()), 2 * matrix.size());
  std::vector<std::span<const uint8_t>> parts(size_t(3 * experts), bytes);
  Status written = writeFileAtomically(path, parts);
  require(bool(written), written.error());
  Result<MappedFile> opened = MappedFile::open(path);
  require(bool(opened), opened.error());
  auto file = std::make_shared<MappedFile>(std::move(*opened));

  double gigabytes = double(file->bytes().size()) / 1e9;
  double disk = readFromDisk(path);
  ::unlink(path.c_str());

  std::vector<std::shared_ptr<const MatrixSource>> sources;
  for (int64_t part = 0; part < 3; ++part) {
    std::vector<StoredMatrix> entries;
    for (int64_t i = 0; i < experts; ++i)
      entries.push_back(
          {file->bytes().subspan(size_t((part * experts + i) * values * 2),
                                 size_t(values * 2)),
           ElementType::BF16});
    Result<std::shared_ptr<const MatrixSource>> source = storedMatrices(
        "part " + std::to_string(part), {experts, width, inner}, entries,
        /*transposed=*/true, file);
    require(bool(source), source.error());
    sources.push_back(*source);
  }

  ParallelOptions parallel;
  parallel.threads = threads;
  double copying = fastest([&] {
    (void)parallelFor(3 * experts, parallel, [&](int64_t job) {
      static thread_local std::vector<uint8_t> copy;
      copy.resize(size_t(values * 2));
      std::memcpy(copy.data(), file->bytes().data() + job * values * 2,
                  copy.size());
      return success();
    });
  });
  double reading = fastest([&] {
    (void)parallelFor(3 * experts, parallel, [&](int64_t job) {
      static thread_local std::vector<float> room;
      room.resize(size_t(1) << 14);
      for (int64_t begin = 0; begin < values; begin += int64_t(room.size()))
        if (Status status = sources[size_t(job / experts)]->readAnyOrder(
                job % experts, begin,
                std::span(room).first(
                    size_t(std::min(int64_t(room.size()), values - begin))));
            !status)
          return status;
      return success();
    });
  });
  std::printf("%lld experts of 3 x %lld x %lld bf16: %.2f GB, %s\n",
              static_cast<long long>(experts), static_cast<long long>(width),
              static_cast<long long>(inner), gigabytes,
              std::string(gramInstructions()).c_str());
  std::printf("disk               %6.2f GB/s\n", gigabytes / disk);
  std::printf("copying            %6.2f GB/s\n", gigabytes / copying);
  std::printf("converting to f32  %6.2f GB/s\n", gigabytes / reading);
  for (bool removeMean : {false, true}) {
    SimilarityOptions options;
    options.parallel = parallel;
    options.removeMean = removeMean;
    double comparing = fastest([&] {
      Result<Similarity> found = similarityOfWeights(sources, options);
      require(bool(found), found.error());
    });
    std::printf("%s %6.2f GB/s, %3.0f %% of the disk, %3.0f %% of converting, "
                "%5.1f G products/s\n",
                removeMean ? "without the mean  " : "comparing         ",
                gigabytes / comparing, 100 * disk / comparing,
                100 * reading / comparing,
                gigabytes / 2 * double(experts) / 2 / comparing);
  }
  return 0;
}
