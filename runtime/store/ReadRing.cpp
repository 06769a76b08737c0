// Reads by io_uring, of which the kernel's own header is all that is needed.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "runtime/store/ReadQueue.h"

#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <string>

using namespace moec::store;
using moec::weights::Error;
using moec::weights::Result;

namespace {

/// Memory that kernel and process share.
class Shared {
public:
  Shared(int ring, size_t bytes, uint64_t which) : bytes(bytes) {
    memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_POPULATE, ring, off_t(which));
  }
  ~Shared() {
    if (*this)
      ::munmap(memory, bytes);
  }
  Shared(const Shared &) = delete;

  explicit operator bool() const { return memory != MAP_FAILED; }
  template <typename T> T *at(size_t byte) const {
    return reinterpret_cast<T *>(static_cast<uint8_t *>(memory) + byte);
  }

private:
  void *memory;
  size_t bytes;
};

uint32_t load(const uint32_t *shared) {
  return std::atomic_ref(*const_cast<uint32_t *>(shared))
      .load(std::memory_order_acquire);
}
void store(uint32_t *shared, uint32_t value) {
  std::atomic_ref(*shared).store(value, std::memory_order_release);
}

class ReadRing : public ReadQueue {
public:
  ReadRing(int file, int ring, const io_uring_params &parameters)
      : file(file), ring(ring), parameters(parameters),
        submissions(ring,
                    parameters.sq_off.array +
                        parameters.sq_entries * sizeof(uint32_t),
                    IORING_OFF_SQ_RING),
        completions(ring,
                    parameters.cq_off.cqes +
                        parameters.cq_entries * sizeof(io_uring_cqe),
                    IORING_OFF_CQ_RING),
        entries(ring, parameters.sq_entries * sizeof(io_uring_sqe),
                IORING_OFF_SQES) {}
  ~ReadRing() override {
    while (underWay)
      wait();
    ::close(ring);
  }

  bool isMapped() const { return submissions && completions && entries; }

  std::string_view name() const override { return "io_uring"; }
  unsigned depth() const override { return parameters.sq_entries; }

  int begin(const Read &read) override {
    uint32_t *tail = submissions.at<uint32_t>(parameters.sq_off.tail);
    uint32_t mask = *submissions.at<uint32_t>(parameters.sq_off.ring_mask);
    uint32_t number = *tail, place = number & mask;
    auto *entry = entries.at<io_uring_sqe>(place * sizeof(io_uring_sqe));
    std::memset(entry, 0, sizeof *entry);
    entry->opcode = IORING_OP_READ;
    entry->fd = file;
    entry->off = read.offset;
    entry->addr = reinterpret_cast<uint64_t>(read.into.data());
    entry->len = uint32_t(read.into.size());
    entry->user_data = read.tag;
    submissions.at<uint32_t>(parameters.sq_off.array)[place] = place;
    store(tail, number + 1);
    if (int error = enter(/*begun=*/1, /*ended=*/0)) {
      // The kernel took nothing: the entry is not there.
      store(tail, number);
      return error;
    }
    ++underWay;
    return 0;
  }

  EndedRead wait() override {
    uint32_t *head = completions.at<uint32_t>(parameters.cq_off.head);
    const uint32_t *tail = completions.at<uint32_t>(parameters.cq_off.tail);
    uint32_t number = *head;
    // What fails here, a signal for one, does not end a read.
    while (number == load(tail))
      enter(/*begun=*/0, /*ended=*/1);
    uint32_t mask = *completions.at<uint32_t>(parameters.cq_off.ring_mask);
    auto *entry = completions.at<io_uring_cqe>(
        parameters.cq_off.cqes + (number & mask) * sizeof(io_uring_cqe));
    EndedRead ended{entry->user_data, entry->res};
    store(head, number + 1);
    --underWay;
    return ended;
  }

private:
  /// 0, or an errno.
  int enter(unsigned begun, unsigned ended) {
    long done = ::syscall(__NR_io_uring_enter, ring, begun, ended,
                          ended ? IORING_ENTER_GETEVENTS : 0, nullptr, 0);
    return done < 0 ? errno : 0;
  }

  int file, ring;
  io_uring_params parameters;
  Shared submissions, completions, entries;
  unsigned underWay = 0;
};

} // namespace

Result<std::unique_ptr<ReadQueue>> moec::store::openReadRing(int file,
                                                             unsigned depth) {
  io_uring_params parameters = {};
  auto ring = int(::syscall(__NR_io_uring_setup, depth, &parameters));
  if (ring < 0)
    return Error{std::string("io_uring: ") + std::strerror(errno)};
  auto queue = std::make_unique<ReadRing>(file, ring, parameters);
  if (!queue->isMapped())
    return Error{std::string("io_uring: ") + std::strerror(errno)};
  return std::unique_ptr<ReadQueue>(std::move(queue));
}
