// Tests of decoding: nothing that is written is ignored.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "test/unit/tools/PTXEmulator/Kernel.h"

#include "tools/PTXEmulator/Decoder.h"

using namespace moec::ptx;

TEST(Decoder, UnknownInstructionsAreNamedWithLineAndText) {
  std::string error = loadError("frobnicate.b32 %r1, %r2;");
  EXPECT_TRUE(has(error, "in 'kernel': line 17: 'frobnicate.b32 %r1, %r2': the "
                         "emulator does not know the instruction 'frobnicate'"))
      << error;
}

TEST(Decoder, UnknownModifiersAndOperandsAreErrors) {
  EXPECT_TRUE(has(loadError("ld.global.turbo.u32 %r1, [%rd1];"),
                  "does not know the modifier '.turbo' here"));
  EXPECT_TRUE(
      has(loadError("add.s32 %r1, %r2;"), "expected 3 operands, found 2"));
  EXPECT_TRUE(has(loadError("add.s32 %r1, %r2, %r3, %r4;"),
                  "expected 3 operands, found 4"));
  EXPECT_TRUE(has(loadError("add %r1, %r2, %r3;"),
                  "expected a type among the modifiers"));
  EXPECT_TRUE(has(loadError("add.s32 5, %r2, %r3;"),
                  "expected a register to write to"));
  EXPECT_TRUE(has(loadError("ld.global.u32 %r1, %rd1;"),
                  "expected an address between brackets"));
  EXPECT_TRUE(has(loadError("ld.global.u32 %r1, [nothing];"),
                  "expected the address of a variable"));
  EXPECT_TRUE(has(loadError("mov.u64 %rd1, nothing;"),
                  "expected a variable, found 'nothing'"));
  EXPECT_TRUE(has(loadError("setp.eq.s32 %r1, %r2, %r3;"),
                  "expected '%r1' to have 1 bits, found 32"));
}

TEST(Decoder, EveryOpcodeIsInOneTable) {
  EXPECT_NE(findBuilder("wgmma"), nullptr);
  EXPECT_NE(findBuilder("add"), nullptr);
  EXPECT_EQ(findBuilder("addition"), nullptr);
}
