// Bugs that the emulator must find: single changes of kernels that are right.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "test/unit/tools/PTXEmulator/Pipelines.h"

using namespace moec::ptx;

namespace {

/// Some of a few seeds must report a bug, or give wrong values.
struct Bug {
  const char *name;
  const char *original, *changed;
  /// A part of what must be reported.
  const char *report;
};

using Runner = std::string (*)(const std::string &text, uint64_t seed);

constexpr uint64_t seeds = 12;

void expectRight(Runner run, const std::string &text) {
  for (uint64_t seed = 1; seed <= seeds; ++seed)
    EXPECT_EQ(run(text, seed), "") << "seed " << seed;
}

/// The text with the first place that has the original changed.
std::string mutate(const std::string &text, const Bug &bug) {
  size_t place = text.find(bug.original);
  EXPECT_NE(place, std::string::npos) << bug.name << " does not apply";
  std::string changed = text;
  if (place != std::string::npos)
    changed.replace(place, std::string(bug.original).size(), bug.changed);
  return changed;
}

void expectFound(Runner run, const std::string &text,
                 std::initializer_list<Bug> bugs) {
  for (const Bug &bug : bugs) {
    std::string changed = mutate(text, bug), said;
    bool found = false;
    for (uint64_t seed = 1; seed <= seeds && !found; ++seed) {
      std::string report = run(changed, seed);
      found = has(report, bug.report) && !report.empty();
      if (!report.empty())
        said = report;
    }
    EXPECT_TRUE(found) << bug.name << ": expected '" << bug.report
                       << "', found '" << said << "'";
  }
}

} // namespace

TEST(Mutation, TheKernelsAreRight) {
  expectRight(runRing, ringKernel);
  expectRight(runAhead, aheadKernel);
  expectRight(runSplit, splitKernel);
  expectRight(runStore, storeKernel);
  expectRight(runPair, pairKernel);
}

TEST(Mutation, RingsOfTensorCopies) {
  expectFound(
      runRing, ringKernel,
      {{"no wait for a full stage", "@!%p3 bra FULL;", "",
        "a copy that nobody waited for writes there"},
       {"no wait for an empty stage", "@!%p3 bra EMPTY;", "",
        "more arrivals in the phase of the mbarrier"},
       {"wrong parity of the producer", "xor.b32 %r8, %r8, 1;", "", "deadlock"},
       {"wrong parity of the consumer", "and.b32 %r8, %r5, 1;\nFULL:",
        "add.u32 %r8, %r5, 1;\nFULL:", "nothing was written there"},
       {"too few bytes expected", "[%r7+20480], 10240;", "[%r7+20480], 8192;",
        ""},
       {"too many bytes expected", "[%r7+20480], 10240;", "[%r7+20480], 10256;",
        "deadlock"},
       {"barriers for two arrivals", "[%r1+20496], 1;", "[%r1+20496], 2;",
        "deadlock"},
       {"every thread arrives", "@%p5 mbarrier.arrive", "mbarrier.arrive", ""},
       {"nobody arrives", "setp.eq.u32 %p5, %r0, 0;",
        "setp.eq.u32 %p5, %r0, 500;", "deadlock"},
       {"no barrier after the initialisation", "READY:\n  bar.sync 0;",
        "READY:\n", "expected an mbarrier that was initialised"},
       {"no fence behind the initialisation",
        "fence.mbarrier_init.release.cluster;", "",
        "expected a fence.mbarrier_init or fence.proxy.async behind the "
        "initialisation of the mbarrier"},
       {"a stage is released before its products are done",
        "wgmma.wait_group.sync.aligned 0;\n  setp.eq.u32 %p5, %r0, 0;\n  "
        "@%p5 mbarrier.arrive.shared.b64 _, [%r7+20496];",
        "setp.eq.u32 %p5, %r0, 0;\n  @%p5 mbarrier.arrive.shared.b64 _, "
        "[%r7+20496];\n  wgmma.wait_group.sync.aligned 0;",
        "an asynchronous operation that nobody waited for reads there"},
       {"no fence before products", "wgmma.fence.sync.aligned;", "",
        "expected a wgmma.fence after its registers were written"},
       {"products are not committed", "wgmma.commit_group.sync.aligned;", "",
        ""},
       {"a group is left pending", "wgmma.wait_group.sync.aligned 0;",
        "wgmma.wait_group.sync.aligned 1;", ""},
       {"another stride of the descriptor", "0x4000004000010000",
        "0x4000002000010000", "wrong values"},
       {"no swizzle in the descriptor", "0x4000004000010000",
        "0x0000004000010000", ""},
       {"the product does not add", "%rd5, %rd6, 1, 1, 1, 0, 0;",
        "%rd5, %rd6, 0, 1, 1, 0, 0;", "wrong values"},
       {"the same depth twice", "add.u64 %rd5, %rd3, 4;",
        "add.u64 %rd5, %rd3, 2;", "wrong values"},
       {"accumulators are confused", "{%r22, %r23};", "{%r24, %r25};",
        "wrong values"},
       {"a misaligned destination", "[%r6+8192], [%rd2", "[%r6+8208], [%rd2",
        "expected a destination that is a multiple of 128"},
       {"another mbarrier is told", "[%rd2, {%r9, %r10}], [%r7+20480];",
        "[%rd2, {%r9, %r10}], [%r7+20496];", ""}});
}

TEST(Mutation, CopiesAhead) {
  expectFound(
      runAhead, aheadKernel,
      {{"a group is left pending", "cp.async.wait_group 1;",
        "cp.async.wait_group 2;", "a copy that nobody waited for"},
       {"the last group is left pending", "cp.async.wait_group 0;",
        "cp.async.wait_group 1;", "a copy that nobody waited for"},
       {"a group is not committed",
        "[%r8], [%rd3], 16;\n  cp.async.commit_group;", "[%r8], [%rd3], 16;",
        "a copy that nobody waited for"},
       {"no barrier before reading", "COMPUTE:\n  bar.sync 0;", "COMPUTE:\n",
        ""},
       {"no barrier after reading", "add.f32 %r10, %r10, %r9;\n  bar.sync 0;",
        "add.f32 %r10, %r10, %r9;\n", ""},
       {"one buffer", "mad.lo.u32 %r8, %r7, 1024, %r3;", "mov.u32 %r8, %r3;",
        ""},
       {"a misaligned source", "mul.wide.u32 %rd3, %r6, 1024;",
        "mul.wide.u32 %rd3, %r6, 1032;", "it must be a multiple of 16"},
       {"one step too many", "setp.ge.u32 %p1, %r6, %r1;",
        "setp.gt.u32 %p1, %r6, %r1;", "past the end of an allocation"}});
}

TEST(Mutation, SplitSums) {
  expectFound(
      runSplit, splitKernel,
      {{"the counter is not set back", "@!%p1 st.global.b32 [%rd5], 0;", "",
        "wrong values"},
       {"no barrier before arriving", "membar.gl;\n  bar.sync 0;",
        "membar.gl;\n", "wrong values"},
       {"no barrier before reading who is last", "DECIDED:\n  bar.sync 0;",
        "DECIDED:\n", "nothing was written there"},
       {"arriving is no atomic", "atom.global.add.u32 %r5, [%rd5], 1;",
        "ld.global.u32 %r5, [%rd5];\n  add.u32 %r6, %r5, 1;\n  "
        "st.global.u32 [%rd5], %r6;",
        "wrong values"},
       {"the last but one decides", "sub.u32 %r6, %r2, 1;",
        "sub.u32 %r6, %r2, 2;", "wrong values"}});
}

TEST(Mutation, BulkStores) {
  expectFound(
      runStore, storeKernel,
      {{"no proxy fence", "fence.proxy.async.shared::cta;", "",
        "it was written without a fence.proxy.async"},
       {"a fence of one thread's writes only",
        "fence.proxy.async.shared::cta;\n  bar.sync 0;\n  @%p1 bra STORED;",
        "@%p1 bra NEXT;\n  fence.proxy.async.shared::cta;\nNEXT:\n  "
        "bar.sync 0;\n  @%p1 bra STORED;",
        "it was written without a fence.proxy.async"},
       {"no wait", "cp.async.bulk.wait_group.read 0;", "",
        "an asynchronous operation that nobody waited for reads there"},
       {"not committed", "cp.async.bulk.commit_group;", "",
        "an asynchronous operation that nobody waited for reads there"},
       {"no barrier before the store",
        "fence.proxy.async.shared::cta;\n  bar.sync 0;",
        "fence.proxy.async.shared::cta;\n", ""},
       {"a size that is no multiple of 16", "[%r1], 256;", "[%r1], 248;",
        "expected a multiple of 16 bytes"}});
}

TEST(Mutation, Clusters) {
  expectFound(
      runPair, pairKernel,
      {{"no cluster barrier at the start",
        "barrier.cluster.arrive.aligned;\n  barrier.cluster.wait.aligned;\n  "
        "mov.u32 %r3",
        "mov.u32 %r3",
        "expected a barrier.cluster behind the initialisation of another "
        "CTA's mbarrier"},
       {"no fence behind the initialisation",
        "@!%p1 fence.mbarrier_init.release.cluster;", "",
        "expected a fence.mbarrier_init or fence.proxy.async behind the "
        "initialisation of the mbarrier"},
       {"leaving while the neighbour still writes", "WAIT:\n",
        "bra.uni LEAVE;\nWAIT:\n", "the CTA it belongs to has exited"},
       {"the own CTA's barrier", "mapa.shared::cluster.u32 %r8, %r7, %r2;",
        "mov.u32 %r8, %r7;", ""},
       {"a rank that is not there", "xor.b32 %r2, %r1, 1;",
        "add.u32 %r2, %r1, 1;", "expected a rank below 2, found 2"},
       {"no wait for the neighbour", "@!%p2 bra WAIT;", "",
        "nothing was written there"},
       {"arrive twice", "barrier.cluster.wait.aligned;",
        "barrier.cluster.arrive.aligned;",
        "expected barrier.cluster.wait before the next arrive"}});
}
