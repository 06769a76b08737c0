// Tests of whose MPI a process takes. What it then does: test/e2e/test_mpi.py.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "runtime/comm/MpiTransport.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

using namespace moec::comm;

namespace {

MpiKind chosenWith(const std::set<std::string> &variables) {
  return chooseMpi(
      [&](const char *name) { return variables.count(name) ? "4" : nullptr; });
}

TEST(MpiTransport, isOfTheLauncher) {
  EXPECT_EQ(chosenWith({"OMPI_COMM_WORLD_SIZE", "PMIX_RANK"}),
            MpiKind::OpenMpi);
  EXPECT_EQ(chosenWith({"PMI_RANK", "PMI_SIZE", "PMI_FD"}), MpiKind::Mpich);
  EXPECT_EQ(chosenWith({"PMI_FD"}), MpiKind::Mpich);
  // Open MPI's launcher inside one of another.
  EXPECT_EQ(chosenWith({"PMI_SIZE", "OMPI_COMM_WORLD_SIZE"}), MpiKind::OpenMpi);
  EXPECT_EQ(chosenWith({}), MpiKind::OpenMpi);
}

} // namespace
