// One line on a terminal that counts what is done.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_PASSES_TERMINALPROGRESS_H
#define MOEC_PASSES_TERMINALPROGRESS_H

#include <cstdint>
#include <functional>
#include <string>

namespace moec {

/// Writes "WHAT: DONE of TOTAL UNIT" over itself on stderr and erases it in the end. Null where stderr is no terminal, so
/// that logs and tests hold none of it.
std::function<void(int64_t done, int64_t total)>
progressOnTerminal(std::string what, std::string unit);

} // namespace moec

#endif // MOEC_PASSES_TERMINALPROGRESS_H
