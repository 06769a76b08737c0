// Names of statuses, and the runtime's own version.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "moert/library.h"

#include <gtest/gtest.h>

TEST(Status, EachHasItsOwnName) {
  const char *name = nullptr;
  ASSERT_EQ(moert_status_name(MOERT_OK, &name), MOERT_OK);
  EXPECT_STREQ(name, "MOERT_OK");
  ASSERT_EQ(moert_status_name(MOERT_WORKSPACE_TOO_SMALL, &name), MOERT_OK);
  EXPECT_STREQ(name, "MOERT_WORKSPACE_TOO_SMALL");
  ASSERT_EQ(moert_status_name(MOERT_INTERNAL, &name), MOERT_OK);
  EXPECT_STREQ(name, "MOERT_INTERNAL");
}

TEST(Status, ANumberThatIsNoStatusHasANameToo) {
  const char *name = nullptr;
  ASSERT_EQ(moert_status_name(-1, &name), MOERT_OK);
  EXPECT_STREQ(name, "unknown status");
  ASSERT_EQ(moert_status_name(MOERT_UNAVAILABLE + 1, &name), MOERT_OK);
  EXPECT_STREQ(name, "unknown status");
}

TEST(Status, RuntimeSaysItsVersion) {
  uint32_t version = 0;
  ASSERT_EQ(moert_runtime_abi_version(&version), MOERT_OK);
  EXPECT_EQ(version, MOERT_ABI_VERSION);
  EXPECT_EQ(moert_runtime_abi_version(nullptr), MOERT_INVALID_ARGUMENT);
}
