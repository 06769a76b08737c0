// Reads of a file that are under way beside each other.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_RUNTIME_STORE_READQUEUE_H
#define MOEC_RUNTIME_STORE_READQUEUE_H

#include "weights/Result.h"

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

namespace moec::store {

/// A read, and what it is called when it has ended.
struct Read {
  uint64_t offset = 0;
  std::span<uint8_t> into;
  uint64_t tag = 0;
};

struct EndedRead {
  uint64_t tag = 0;
  /// Bytes that were read – fewer than asked for at any time, none at the
  /// file's end – or an errno, negated.
  int64_t result = 0;
};

/// For one thread. Who lets it go waits for what is under way.
class ReadQueue {
public:
  virtual ~ReadQueue() = default;

  virtual std::string_view name() const = 0;
  /// Most reads at a time.
  virtual unsigned depth() const = 0;
  /// 0, or an errno: nothing has begun then.
  virtual int begin(const Read &read) = 0;
  /// The next one that has ended; some must be under way.
  virtual EndedRead wait() = 0;
};

/// By io_uring; fails where the system refuses a ring. `file` stays the
/// caller's and must outlive it.
weights::Result<std::unique_ptr<ReadQueue>> openReadRing(int file,
                                                         unsigned depth);

/// By pread, on as many threads.
std::unique_ptr<ReadQueue> openReadThreads(int file, unsigned depth);

} // namespace moec::store

#endif // MOEC_RUNTIME_STORE_READQUEUE_H
