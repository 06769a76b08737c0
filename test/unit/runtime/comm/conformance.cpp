// A rank of an MPI launcher, which does its part or does not.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
//
//   mpirun -n 3 moe-comm-conformance FOLDER all
//   mpirun -n 3 moe-comm-conformance FOLDER FAULT DEADLINE_MS
//
// In the second form rank 1 is killed, stopped or slow, aborts, or differs (the
// words for FAULT) instead of a barrier. Each rank writes what it has to say to
// the file FOLDER/RANK, since launchers lose what is printed while they clean
// up: "rank R of N NAME after SECONDS s: TEXT", in which TEXT is a message or
// "fine".
#include "test/unit/runtime/comm/Conformance.h"

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <unistd.h>

using namespace moec::test;

/// Stops this process; a child wakes it, since launchers wait for it.
static void stopFor(std::chrono::milliseconds time) {
  pid_t own = getpid();
  if (fork() == 0) {
    usleep(useconds_t(time.count() * 1000));
    kill(own, SIGCONT);
    _exit(0);
  }
  raise(SIGSTOP);
}

static std::string misbehave(const std::string &how, moert_communicator &on,
                             std::chrono::milliseconds deadline) {
  if (how == "killed")
    raise(SIGKILL);
  if (how == "stopped")
    stopFor(deadline + std::chrono::milliseconds(1500));
  if (how == "slow")
    std::this_thread::sleep_for(deadline + std::chrono::milliseconds(500));
  if (how == "aborts")
    on.abort(on.context, "no more tokens");
  if (how == "differs") {
    Message message;
    std::vector<char> all(size_t(on.ranks) * 8);
    return on.all_gather(on.context, all.data(), 3, all.data(), &message.sink)
               ? message.text
               : "";
  }
  Message message;
  return on.barrier(on.context, &message.sink) ? message.text : "";
}

int main(int count, char **arguments) {
  if (count < 3) {
    std::fprintf(stderr, "expected a folder and what to do\n");
    return 2;
  }
  std::string folder = arguments[1], what = arguments[2];
  moert_communicator_options options = {sizeof options, 0, 0, 0};
  if (count > 3)
    options.deadline = uint32_t(std::atoi(arguments[3]));
  Message message;
  moert_communicator *on = nullptr;
  bool isUp = !moert_mpi_communicator_create(&options, &message.sink, &on);
  // All are up after the barrier: what happens to ranks that never were is the
  // launcher's affair.
  if (!isUp || on->barrier(on->context, &message.sink)) {
    std::fprintf(stderr, "%s\n", message.text);
    return 2;
  }
  std::string answer;
  auto began = std::chrono::steady_clock::now();
  if (what == "all")
    answer = conform(*on);
  else if (on->rank == 1) {
    // The others shall be out of the first barrier.
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    answer = misbehave(what, *on, std::chrono::milliseconds(options.deadline));
  } else if (on->barrier(on->context, &message.sink))
    answer = message.text;
  double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - began)
          .count();
  std::string file = folder + "/" + std::to_string(on->rank);
  if (std::FILE *written = std::fopen(file.c_str(), "w")) {
    std::fprintf(written, "rank %d of %d %s after %.2f s: %s\n", int(on->rank),
                 int(on->ranks), on->name, seconds,
                 answer.empty() ? "fine" : answer.c_str());
    std::fclose(written);
  }
  moert_communicator_destroy(on);
  return 0;
}
