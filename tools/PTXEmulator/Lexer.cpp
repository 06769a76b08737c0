// The tokens of PTX text.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/PTXEmulator/Lexer.h"

#include <cctype>
#include <string>

using namespace moec::weights;

namespace moec::ptx {

namespace {

bool startsWord(char c) {
  return std::isalpha(static_cast<unsigned char>(c)) || c == '_' || c == '$' ||
         c == '%' || c == '.';
}

bool continuesWord(char c) {
  return startsWord(c) || std::isdigit(static_cast<unsigned char>(c));
}

class Lexer {
public:
  explicit Lexer(std::string_view text) : text(text) {}

  Result<std::vector<Token>> run() {
    while (true) {
      if (Status status = skipBlanks(); !status)
        return Error{status.error()};
      if (position == text.size())
        break;
      if (Status status = take(); !status)
        return Error{status.error()};
    }
    add(Token::Kind::End, position);
    return std::move(tokens);
  }

private:
  char at(size_t place) const {
    return place < text.size() ? text[place] : '\0';
  }

  Error errorAt(unsigned where, const std::string &what) const {
    return Error{"line " + std::to_string(where) + ": " + what};
  }

  void add(Token::Kind kind, size_t begin) {
    tokens.push_back(
        {kind, text.substr(begin, position - begin), line, startsLine});
    startsLine = false;
  }

  Status skipBlanks() {
    while (position < text.size()) {
      char c = text[position];
      if (c == '\n') {
        ++line;
        startsLine = true;
        ++position;
      } else if (std::isspace(static_cast<unsigned char>(c)) || c == '\0') {
        ++position;
      } else if (c == '/' && at(position + 1) == '/') {
        while (position < text.size() && text[position] != '\n')
          ++position;
      } else if (c == '/' && at(position + 1) == '*') {
        if (Status status = skipComment(); !status)
          return status;
      } else {
        break;
      }
    }
    return success();
  }

  Status skipComment() {
    size_t end = text.find("*/", position + 2);
    if (end == std::string_view::npos)
      return errorAt(line,
                     "expected the comment to end, found the end of text");
    for (; position < end + 2; ++position)
      line += text[position] == '\n';
    return success();
  }

  Status take() {
    size_t begin = position;
    char c = text[position];
    if (startsWord(c)) {
      takeWord();
      add(Token::Kind::Word, begin);
    } else if (std::isdigit(static_cast<unsigned char>(c))) {
      while (std::isalnum(static_cast<unsigned char>(at(position))))
        ++position;
      add(Token::Kind::Number, begin);
    } else if (c == '"') {
      return takeString();
    } else if (std::string_view("(){}[]<>,;:|!@+-=").find(c) !=
               std::string_view::npos) {
      ++position;
      add(Token::Kind::Punctuation, begin);
    } else {
      return errorAt(line, "expected PTX, found the character '" +
                               std::string(1, c) + "'");
    }
    return success();
  }

  /// Words may hold "::", as `.mbarrier::complete_tx::bytes` does.
  void takeWord() {
    while (true) {
      if (continuesWord(at(position)))
        ++position;
      else if (at(position) == ':' && at(position + 1) == ':')
        position += 2;
      else
        return;
    }
  }

  Status takeString() {
    size_t end = text.find('"', position + 1);
    if (end == std::string_view::npos)
      return errorAt(line, "expected the string to end, found the end of text");
    size_t begin = position + 1;
    position = end;
    add(Token::Kind::String, begin);
    position = end + 1;
    return success();
  }

  std::string_view text;
  size_t position = 0;
  unsigned line = 1;
  bool startsLine = true;
  std::vector<Token> tokens;
};

} // namespace

Result<std::vector<Token>> tokenize(std::string_view text) {
  return Lexer(text).run();
}

} // namespace moec::ptx
