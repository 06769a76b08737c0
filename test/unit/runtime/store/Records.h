// Files of records, and queues that get their reads wrong, for tests.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TEST_UNIT_RUNTIME_STORE_RECORDS_H
#define MOEC_TEST_UNIT_RUNTIME_STORE_RECORDS_H

#include "runtime/store/RecordReader.h"
#include "test/unit/TemporaryFolder.h"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <deque>
#include <random>
#include <string>
#include <vector>

namespace moec::store {

/// Memory that begins with a page.
class Pages {
public:
  explicit Pages(uint64_t bytes)
      : bytes(bytes),
        memory(static_cast<uint8_t *>(std::aligned_alloc(pageBytes, bytes))) {}
  ~Pages() { std::free(memory); }
  Pages(const Pages &) = delete;

  std::span<uint8_t> all() { return {memory, bytes}; }

private:
  uint64_t bytes;
  uint8_t *memory;
};

/// A file of records of random bytes, each at a page.
class RecordFile {
public:
  explicit RecordFile(std::vector<uint64_t> lengths) {
    std::mt19937 random(11);
    for (uint64_t length : lengths) {
      std::string bytes;
      for (uint64_t i = 0; i < length; ++i)
        bytes += char(random());
      contents.resize(bufferBytes(contents.size()));
      places.push_back({"r" + std::to_string(places.size()), contents.size(),
                        length, weights::hash64(bytes)});
      contents += bytes;
    }
    path = folder.write("records", contents);
  }

  std::string messageOf(size_t record, const std::string &message) const {
    const RecordPlace &place = places[record];
    return path + ": record '" + place.name + "' at " +
           std::to_string(place.offset) + " (" + std::to_string(place.length) +
           " bytes): " + message;
  }

  test::TemporaryFolder folder;
  std::string contents, path;
  std::vector<RecordPlace> places;
};

enum class Fault {
  /// The read does not begin, or ends with an error, once.
  RefusedOnce,
  InterruptedOnce,
  TryAgainOnce,
  /// A part comes; of some pages, of half a page.
  Short,
  ShortOfAPage,
  /// For good.
  Broken,
  BrokenToBegin,
  Ends,
  Flipped,
  AlwaysTryAgain
};

/// Whether the right bytes come nevertheless.
inline bool isMended(Fault fault) { return fault <= Fault::ShortOfAPage; }

/// Reads at once when they are begun, and does one thing wrong: in the read of
/// that number.
class FaultyQueue : public ReadQueue {
public:
  FaultyQueue(int file, Fault fault, int at, bool &hasHappened)
      : file(file), fault(fault), left(at), hasHappened(hasHappened) {}

  std::string_view name() const override { return "faulty"; }
  unsigned depth() const override { return 3; }

  int begin(const Read &read) override {
    bool isHit = left-- == 0;
    hasHappened |= isHit;
    if (isHit && fault == Fault::RefusedOnce)
      return EAGAIN;
    if (isHit && fault == Fault::BrokenToBegin)
      return EIO;
    ssize_t count =
        ::pread(file, read.into.data(), read.into.size(), off_t(read.offset));
    EndedRead done{read.tag, count};
    if (isHit)
      spoil(done, read);
    // Some later ones end first.
    if (done.tag % 2)
      ended.push_back(done);
    else
      ended.push_front(done);
    return 0;
  }

  EndedRead wait() override {
    EndedRead first = ended.front();
    ended.pop_front();
    return first;
  }

private:
  void spoil(EndedRead &done, const Read &read) {
    switch (fault) {
    case Fault::InterruptedOnce:
      done.result = -EINTR;
      break;
    case Fault::AlwaysTryAgain:
      left = 0;
      [[fallthrough]];
    case Fault::TryAgainOnce:
      done.result = -EAGAIN;
      break;
    case Fault::Short:
      done.result = done.result > 4096 ? 4096 : done.result;
      break;
    case Fault::ShortOfAPage:
      done.result = (done.result + 1) / 2;
      break;
    case Fault::Broken:
      done.result = -EIO;
      break;
    case Fault::Ends:
      done.result = 0;
      break;
    case Fault::Flipped:
      read.into[0] ^= 4;
      break;
    default:
      break;
    }
  }

  int file;
  Fault fault;
  int left;
  bool &hasHappened;
  std::deque<EndedRead> ended;
};

} // namespace moec::store

#endif // MOEC_TEST_UNIT_RUNTIME_STORE_RECORDS_H
