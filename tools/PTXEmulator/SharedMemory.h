// Shared memory of CTAs and clusters: places, and who may touch what.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_PTXEMULATOR_SHAREDMEMORY_H
#define MOEC_TOOLS_PTXEMULATOR_SHAREDMEMORY_H

#include "tools/PTXEmulator/Warp.h"

namespace moec::ptx {

/// A place in the shared memory of a CTA; the CTA is null after a fault.
struct SharedPlace {
  Cta *cta = nullptr;
  uint32_t offset = 0;

  explicit operator bool() const { return cta != nullptr; }
  uint8_t *bytes() const { return &cta->shared[offset]; }
};

/// What is done to shared memory. Threads read and write through the generic
/// proxy; bulk copies and warpgroup products through the asynchronous one,
/// which sees what threads wrote only behind a fence.proxy.async.
enum class Touch : uint8_t {
  Read,
  Write,
  /// A copy of a thread that begins, and is performed later.
  BeginWrite,
  AsyncRead,
  /// A bulk copy that begins.
  BeginAsyncWrite,
};

/// The space that a generic address means; leaves the offset within it.
Space resolveGeneric(uint64_t &address);

/// The place of an address in space Shared or Generic. A place outside a CTA's
/// shared memory, or of a CTA that has exited, is a fault.
SharedPlace findShared(Warp &warp, const Operation &operation, unsigned lane,
                       Space space, uint64_t address, uint64_t bytes);

/// Checks and notes that bytes are touched; false after a fault.
bool touchShared(Warp &warp, const Operation &operation, unsigned lane,
                 SharedPlace place, uint32_t bytes, Touch touch);

/// Notes that a copy that had begun has written its bytes.
void landShared(Warp &warp, unsigned lane, SharedPlace place, uint32_t bytes,
                bool isAsyncProxy);

/// Notes that an asynchronous operation reads bytes from now on (1), or that it
/// has been waited for (-1). Meanwhile nobody may write there.
void countAsyncReader(SharedPlace place, uint32_t bytes, int change);

/// What other threads of the cluster may know of what these lanes wrote: a
/// barrier lies between.
void publishWrites(Warp &warp, Mask lanes);

/// fence.proxy.async: the asynchronous proxy sees what these lanes wrote, and
/// what was published to them.
void fenceWrites(Warp &warp, Mask lanes);

} // namespace moec::ptx

#endif // MOEC_TOOLS_PTXEMULATOR_SHAREDMEMORY_H
