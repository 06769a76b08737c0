/* The ABI's headers after a host's dlpack.h: the host's types are taken, and the layout stays.
 * Part of moec, under the Apache License v2.0 with LLVM Exceptions. */
#include "test/unit/runtime/host_dlpack.h"

#include "moert/comm.h"
#include "moert/model.h"
#include "moert/regroup.h"

#define MOEC_ABI_LAYOUT_ASSERT(condition) _Static_assert(condition, #condition)
#include "test/unit/runtime/abi_layout.h"
