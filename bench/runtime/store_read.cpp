// How fast records come from disk: by a ring and by threads, checked and not.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
//
//   runtime-store-read FILE [--records 64] [--bytes 16777216] [--chunk 1048576] [--depth 8] [--rounds 5]
//
// FILE is made, and kept for other programs to read; it is removed by who asked for it. Contenders read all records once a round,
// in turn, past the page cache. Medians, and ratios to the ring that does not check, within a round.
#include "bench/runtime/RecordsFile.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>

using namespace moec::bench;
using namespace moec::store;
using namespace moec::weights;

struct Contender {
  const char *name;
  RecordReader reader;
  std::vector<double> rates, ratios, busy;
};

static double processorSeconds() {
  timespec now;
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return double(now.tv_sec) + 1e-9 * double(now.tv_nsec);
}

int main(int argc, char **argv) {
  if (argc < 2)
    fail("expected a file to make");
  auto records = uint64_t(numberAfter(argc, argv, "--records", 64));
  auto bytes = uint64_t(numberAfter(argc, argv, "--bytes", 1 << 24));
  std::vector<RecordPlace> places = makeRecordsFile(argv[1], records, bytes);
  std::vector<Contender> contenders;
  for (bool byThreads : {false, true})
    for (bool verifies : {false, true}) {
      ReaderOptions options;
      options.chunkBytes =
          uint64_t(numberAfter(argc, argv, "--chunk", 1 << 20));
      options.depth = unsigned(numberAfter(argc, argv, "--depth", 8));
      options.verifies = verifies;
      if (byThreads)
        options.queue = [depth = options.depth](
                            int file) -> Result<std::unique_ptr<ReadQueue>> {
          return openReadThreads(file, depth);
        };
      auto reader = RecordReader::open(argv[1], options);
      if (!reader)
        fail(reader.error());
      if (!reader->notice().empty())
        std::printf("%s\n", reader->notice().c_str());
      contenders.push_back(
          {verifies ? "checked" : "unchecked", std::move(*reader), {}, {}, {}});
    }
  auto *memory = static_cast<uint8_t *>(std::aligned_alloc(pageBytes, bytes));
  for (int round = 0; round < int(numberAfter(argc, argv, "--rounds", 5));
       ++round)
    for (Contender &contender : contenders) {
      double busy = processorSeconds();
      auto begin = std::chrono::steady_clock::now();
      for (const RecordPlace &place : places)
        if (Status status = contender.reader.read(place, {memory, bytes});
            !status)
          fail(status.error());
      std::chrono::duration<double> seconds =
          std::chrono::steady_clock::now() - begin;
      contender.rates.push_back(double(records * bytes) / seconds.count());
      contender.ratios.push_back(contender.rates.back() /
                                 contenders[0].rates.back());
      contender.busy.push_back((processorSeconds() - busy) / seconds.count());
    }
  auto median = [](std::vector<double> &values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
  };
  std::printf("%-10s %-10s %10s %8s %10s\n", "queue", "", "GB/s", "ratio",
              "processor");
  for (Contender &contender : contenders)
    std::printf("%-10s %-10s %10.2f %8.3f %9.1f%%\n",
                std::string(contender.reader.queueName()).c_str(),
                contender.name, median(contender.rates) * 1e-9,
                median(contender.ratios), 100 * median(contender.busy));
  std::free(memory);
}
