/* The ABI's layout as a C compiler sees it; AbiTest.cpp says the same of C++.
 * Part of moec, under the Apache License v2.0 with LLVM Exceptions. */
#include "moert/abi.h"
#include "moert/comm.h"
#include "moert/model.h"
#include "moert/regroup.h"

#define MOEC_ABI_LAYOUT_ASSERT(condition) _Static_assert(condition, #condition)
#include "test/unit/runtime/abi_layout.h"

/* The header can be used from C alone. */
moert_status_t abiLayoutSeenFromC(uint32_t *version);
moert_status_t abiLayoutSeenFromC(uint32_t *version) { return moert_runtime_abi_version(version); }
