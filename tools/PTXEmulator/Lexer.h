// The tokens of PTX text.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_PTXEMULATOR_LEXER_H
#define MOEC_TOOLS_PTXEMULATOR_LEXER_H

#include "weights/Result.h"

#include <cstdint>
#include <string_view>
#include <vector>

namespace moec::ptx {

struct Token {
  enum class Kind : uint8_t {
    /// Names, opcodes and directives with their dots: `ld.global.u32`, `.reg`.
    Word,
    /// Integers and 0f/0d floats.
    Number,
    /// Text between quotes, which are not part of it.
    String,
    /// One character.
    Punctuation,
    End,
  };
  Kind kind;
  std::string_view text;
  unsigned line;
  /// Whether nothing but blanks stands before it on its line.
  bool startsLine;

  bool is(std::string_view expected) const {
    return kind != Kind::String && text == expected;
  }
};

/// The tokens of `text`, closed by one of kind End; they point into it. Errors
/// name the line of a comment or string without an end, and of a character that
/// PTX does not have.
weights::Result<std::vector<Token>> tokenize(std::string_view text);

} // namespace moec::ptx

#endif // MOEC_TOOLS_PTXEMULATOR_LEXER_H
