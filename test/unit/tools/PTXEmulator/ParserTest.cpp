// Tests of the parser of PTX.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/PTXEmulator/Parser.h"

#include <gtest/gtest.h>

#include <string>

using namespace moec;
using namespace moec::ptx;

static Module parse(const std::string &text) {
  weights::Result<Module> module = parseModule(text);
  EXPECT_EQ(module.error(), "");
  return module ? *module : Module();
}

static std::string errorOf(const std::string &body) {
  return parseModule(".entry k() {\n" + body + "\n}").error();
}

TEST(Parser, TakesTheHead) {
  Module module = parse(".version 8.6\n.target sm_90a\n.address_size 64\n");
  EXPECT_EQ(module.versionMajor, 8u);
  EXPECT_EQ(module.versionMinor, 6u);
  EXPECT_EQ(module.target, "sm_90a");
}

TEST(Parser, VariablesHaveInitialBytesAndAddresses) {
  Module module = parse(".global .align 4 .u16 t[4] = {1, 0x203};\n"
                        ".global .u64 p[2] = {generic(t)+2, 7};\n"
                        ".extern .shared .align 128 .b8 dynamic[];");
  ASSERT_EQ(module.variables.size(), 3u);
  EXPECT_EQ(module.variables[0].bytes, 8u);
  EXPECT_EQ(module.variables[0].initial, (std::vector<uint8_t>{1, 0, 3, 2}));
  ASSERT_EQ(module.variables[1].addresses.size(), 1u);
  EXPECT_EQ(module.variables[1].addresses[0].symbol, "t");
  EXPECT_EQ(module.variables[1].addresses[0].offset, 2);
  EXPECT_TRUE(module.variables[2].isExternal);
  EXPECT_EQ(module.variables[2].alignment, 128u);
}

TEST(Parser, EntriesHaveParametersAndBounds) {
  Module module =
      parse(".visible .entry k(.param .u64 .ptr .global .align 1 a,\n"
            ".param .align 64 .b8 map[128])\n"
            ".maxntid 256, 2, 1\n.minnctapersm 1 { ret; }");
  const Function &function = module.functions.at("k");
  EXPECT_EQ(function.parameterCount, 2u);
  EXPECT_EQ(function.variables[1].bytes, 128u);
  EXPECT_EQ(function.variables[1].alignment, 64u);
  EXPECT_EQ(function.threads, (std::array<unsigned, 3>{256, 2, 1}));
}

TEST(Parser, NamesOfABlockHideThoseAround) {
  Module module = parse(".entry k() { .reg .b32 %r<4>; .reg .b64 x;\n"
                        "{ .reg .b32 x; mov.b32 x, 1; }\n mov.b64 x, 2; }");
  const Function &function = module.functions.at("k");
  ASSERT_EQ(function.statements.size(), 2u);
  const Operand &inner = function.statements[0].operands[0];
  const Operand &outer = function.statements[1].operands[0];
  EXPECT_EQ(function.registers[inner.index].type, Type::B32);
  EXPECT_EQ(function.registers[outer.index].type, Type::B64);
}

TEST(Parser, BranchesFindLabelsOfTheirBlockFirst) {
  Module module = parse(".entry k() { .reg .b32 %r<2>; L: ret;\n"
                        "{ bra L; L: ret; }\n bra.uni L; }");
  const Function &function = module.functions.at("k");
  EXPECT_EQ(function.statements[1].targets, (std::vector<uint32_t>{2}));
  EXPECT_EQ(function.statements[3].targets, (std::vector<uint32_t>{0}));
}

TEST(Parser, TablesOfTargets) {
  Module module = parse(".entry k() { .reg .b32 %r<2>;\n"
                        "T: .branchtargets A, B;\n brx.idx %r1, T;\n"
                        "A: ret;\nB: ret; }");
  EXPECT_EQ(module.functions.at("k").statements[0].targets,
            (std::vector<uint32_t>{1, 2}));
}

TEST(Parser, StatementsKeepWhatWasWritten) {
  Module module =
      parse(".entry k() { .reg .pred %p<2>; .reg .b64 %rd<2>;\n"
            ".reg .b32 %r<3>;\n"
            "@!%p1 st.global.v2.b32 [%rd1+-8], {%r1, 0f3F800000}; }");
  const Statement &statement = module.functions.at("k").statements[0];
  EXPECT_EQ(statement.text,
            "@!%p1 st.global.v2.b32 [%rd1+-8], {%r1, 0f3F800000}");
  EXPECT_TRUE(statement.guard.negated);
  EXPECT_EQ(statement.operands[0].offset, -8);
  EXPECT_EQ(statement.operands[1].parts[1].bits, 0x3F800000u);
}

TEST(Parser, ErrorsNameLineAndText) {
  EXPECT_EQ(errorOf("mov.b32 %r1, 1;"),
            "line 2: expected a register, found '%r1'");
  EXPECT_EQ(errorOf(".reg .b32 %r<2>;\nmov.b32 %r2, 1;"),
            "line 3: expected a register, found '%r2'");
  EXPECT_EQ(errorOf("bra Nowhere;"),
            "line 2: expected a label, found 'Nowhere'");
  EXPECT_EQ(errorOf(".reg .f33 %r;"),
            "line 2: expected the type of registers, found '.f33'");
  EXPECT_EQ(parseModule(".entry k() {").error(),
            "line 1: expected '}', found the end of the text");
  EXPECT_EQ(parseModule(".address_size 32").error(),
            "line 1: expected .address_size 64");
  EXPECT_EQ(parseModule(".entry k() .fast {}").error(),
            "line 1: expected a directive of a function, found '.fast'");
}
