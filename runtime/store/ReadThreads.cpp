// Reads by pread, each on a thread of its own.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "runtime/store/ReadQueue.h"

#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

using namespace moec::store;

namespace {

class ReadThreads : public ReadQueue {
public:
  ReadThreads(int file, unsigned depth) : file(file), most(depth) {
    asked.reserve(depth);
    ended.reserve(depth);
    for (unsigned i = 0; i < depth; ++i)
      threads.emplace_back([this] { work(); });
  }
  ~ReadThreads() override {
    {
      std::lock_guard lock(mutex);
      isEnding = true;
    }
    hasAsked.notify_all();
    for (std::thread &thread : threads)
      thread.join();
  }

  std::string_view name() const override { return "pread"; }
  unsigned depth() const override { return most; }

  int begin(const Read &read) override {
    {
      std::lock_guard lock(mutex);
      asked.push_back(read);
    }
    hasAsked.notify_one();
    return 0;
  }

  EndedRead wait() override {
    std::unique_lock lock(mutex);
    hasEnded.wait(lock, [&] { return !ended.empty(); });
    EndedRead last = ended.back();
    ended.pop_back();
    return last;
  }

private:
  void work() {
    for (;;) {
      Read read;
      {
        std::unique_lock lock(mutex);
        hasAsked.wait(lock, [&] { return isEnding || !asked.empty(); });
        if (asked.empty())
          return;
        // The oldest: hashing goes through a record from its begin.
        read = asked.front();
        asked.erase(asked.begin());
      }
      ssize_t count =
          ::pread(file, read.into.data(), read.into.size(), off_t(read.offset));
      EndedRead done{read.tag, count < 0 ? -int64_t(errno) : int64_t(count)};
      {
        std::lock_guard lock(mutex);
        ended.push_back(done);
      }
      hasEnded.notify_one();
    }
  }

  int file;
  unsigned most;
  std::vector<std::thread> threads;
  std::mutex mutex;
  std::condition_variable hasAsked, hasEnded;
  std::vector<Read> asked;
  std::vector<EndedRead> ended;
  bool isEnding = false;
};

} // namespace

std::unique_ptr<ReadQueue> moec::store::openReadThreads(int file,
                                                        unsigned depth) {
  return std::make_unique<ReadThreads>(file, depth);
}
