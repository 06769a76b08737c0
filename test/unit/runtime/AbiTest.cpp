// The ABI's layout as a C++ compiler sees it; abi_layout.c says the same of C.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "moert/abi.h"
#include "moert/comm.h"
#include "moert/model.h"
#include "moert/regroup.h"

#include <gtest/gtest.h>

#include <cstddef>

#define MOEC_ABI_LAYOUT_ASSERT(condition) static_assert(condition, #condition)
#include "test/unit/runtime/abi_layout.h"

extern "C" moert_status_t abiLayoutSeenFromC(uint32_t *version);

namespace {

TEST(Abi, theRuntimeNamesTheVersionItWasMadeFor) {
  uint32_t version = 99;
  EXPECT_EQ(abiLayoutSeenFromC(&version), MOERT_OK);
  EXPECT_EQ(version, MOERT_ABI_VERSION);
  EXPECT_EQ(moert_runtime_abi_version(nullptr), MOERT_INVALID_ARGUMENT);
}

TEST(Abi, everyStatusHasAName) {
  const char *names[] = {"MOERT_OK",
                         "MOERT_INVALID_ARGUMENT",
                         "MOERT_WORKSPACE_TOO_SMALL",
                         "MOERT_INCOMPATIBLE",
                         "MOERT_NOT_FOUND",
                         "MOERT_IO_ERROR",
                         "MOERT_OUT_OF_MEMORY",
                         "MOERT_INTERNAL",
                         "MOERT_DEVICE_ERROR",
                         "MOERT_UNAVAILABLE",
                         "unknown status"};
  for (int32_t i = 0; i < 11; ++i) {
    const char *name = nullptr;
    EXPECT_EQ(moert_status_name(i, &name), MOERT_OK);
    EXPECT_STREQ(name, names[i]);
  }
  EXPECT_EQ(moert_status_name(0, nullptr), MOERT_INVALID_ARGUMENT);
}

} // namespace
