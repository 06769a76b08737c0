// Output that may not fit: the disk is full, the other end is closed.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_MOECOMPILE_OUTPUT_H
#define MOEC_TOOLS_MOECOMPILE_OUTPUT_H

#include "llvm/Support/raw_ostream.h"

#include <system_error>

namespace moec {

/// Writes out what is buffered; the first error there was. Without this the stream's destructor would end the program.
inline std::error_code finishOutput(llvm::raw_fd_ostream &os) {
  os.flush();
  std::error_code error = os.error();
  os.clear_error();
  return error;
}

} // namespace moec

#endif // MOEC_TOOLS_MOECOMPILE_OUTPUT_H
