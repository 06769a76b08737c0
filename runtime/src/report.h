// How errors leave the runtime.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_RUNTIME_REPORT_H
#define MOEC_RUNTIME_REPORT_H

#include "moert/abi.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <string_view>

namespace moec::runtime {

/// Writes the message to the sink, cut to its capacity; returns the status.
inline moert_status_t report(const moert_error_sink *sink,
                             moert_status_t status, std::string_view message) {
  if (!sink || !sink->text || sink->capacity == 0)
    return status;
  size_t length = std::min(message.size(), sink->capacity - 1);
  std::memcpy(sink->text, message.data(), length);
  sink->text[length] = '\0';
  return status;
}

} // namespace moec::runtime

// The C++ library reports a lack of memory by an exception; it ends here.
#define MOERT_CATCH_OUT_OF_MEMORY(error)                                       \
  catch (const std::bad_alloc &) {                                             \
    return report(error, MOERT_OUT_OF_MEMORY, "out of memory");                \
  }

#endif // MOEC_RUNTIME_REPORT_H
