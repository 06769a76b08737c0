// Options with values, of the programs without LLVM.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/OptionReader.h"

using namespace moec::weights;

namespace moec {

Status readOptions(
    std::span<char *const> arguments, const OptionReaders &readers,
    const std::string &expected,
    const std::function<Result<bool>(std::string_view, size_t)> &takeWord) {
  for (size_t i = 0; i < arguments.size(); ++i) {
    std::string_view word = arguments[i];
    Result<bool> isTaken = takeWord(word, i);
    if (!isTaken)
      return Error{isTaken.error()};
    if (*isTaken)
      continue;
    std::string name(word.substr(0, word.find('=')));
    auto reader = readers.find(name);
    if (reader == readers.end())
      return Error{"expected " + expected + ", found '" + std::string(word) +
                   "'"};
    std::string_view value;
    if (name.size() < word.size())
      value = word.substr(name.size() + 1);
    else if (++i < arguments.size())
      value = arguments[i];
    if (value.empty())
      return Error{name + ": expected a value, found none"};
    if (Status status = reader->second(name, value); !status)
      return status;
  }
  return success();
}

Error unexpected(const std::string &name, const std::string &expected,
                 std::string_view found) {
  return Error{name + ": expected " + expected + ", found '" +
               std::string(found) + "'"};
}

std::vector<std::string_view> splitText(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    size_t end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos)
      return parts;
    text.remove_prefix(end + 1);
  }
}

OptionReader into(std::string &text) {
  return [&text](const std::string &, std::string_view value) {
    text = value;
    return success();
  };
}

} // namespace moec
