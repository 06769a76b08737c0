// The process's signals are not for a library's threads.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_RUNTIME_STORE_SIGNALSBLOCKED_H
#define MOEC_RUNTIME_STORE_SIGNALSBLOCKED_H

#include <csignal>
#include <pthread.h>

namespace moec::store {

/// Blocks all signals for the threads that are started meanwhile.
class SignalsBlocked {
public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before, nullptr); }
  SignalsBlocked(const SignalsBlocked &) = delete;

private:
  sigset_t before;
};

} // namespace moec::store

#endif // MOEC_RUNTIME_STORE_SIGNALSBLOCKED_H
