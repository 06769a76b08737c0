// Tests of the tokens of PTX.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/PTXEmulator/Lexer.h"

#include <gtest/gtest.h>

#include <string>

using namespace moec;
using namespace moec::ptx;

static std::string join(std::string_view text) {
  weights::Result<std::vector<Token>> tokens = tokenize(text);
  if (!tokens)
    return tokens.error();
  std::string joined;
  for (const Token &token : *tokens)
    joined += std::string(token.text) + "|";
  return joined;
}

TEST(Lexer, WordsKeepTheirDotsAndDoubleColons) {
  EXPECT_EQ(
      join("cp.async.bulk.mbarrier::complete_tx::bytes [%rd1+16], 0f3F800000;"),
      "cp.async.bulk.mbarrier::complete_tx::bytes|[|%rd1|+|16|]|,|"
      "0f3F800000|;||");
}

TEST(Lexer, ALabelIsNoPartOfAWord) {
  EXPECT_EQ(join("$L__BB0_1: ret;"), "$L__BB0_1|:|ret|;||");
}

TEST(Lexer, CommentsAreBlanksAndLinesAreCounted) {
  weights::Result<std::vector<Token>> tokens =
      tokenize("// one\n/* two\nthree */ add\n sub");
  ASSERT_TRUE(bool(tokens));
  EXPECT_EQ((*tokens)[0].line, 3u);
  EXPECT_EQ((*tokens)[1].line, 4u);
  EXPECT_TRUE((*tokens)[1].startsLine);
}

TEST(Lexer, StringsLoseTheirQuotes) {
  EXPECT_EQ(join(".pragma \"nounroll\";"), ".pragma|nounroll|;||");
}

TEST(Lexer, ErrorsNameTheLine) {
  EXPECT_EQ(join("\n/* x"),
            "line 2: expected the comment to end, found the end of text");
  EXPECT_EQ(join("\"x"),
            "line 1: expected the string to end, found the end of text");
  EXPECT_EQ(join("a\n?"), "line 2: expected PTX, found the character '?'");
}
