// Options with values, of the programs without LLVM.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_OPTIONREADER_H
#define MOEC_TOOLS_OPTIONREADER_H

#include "weights/Result.h"

#include <charconv>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <vector>

namespace moec {

/// Takes the value of an option, whose name stands in messages.
using OptionReader = std::function<weights::Status(const std::string &name,
                                                   std::string_view value)>;

/// By "--name".
using OptionReaders = std::map<std::string_view, OptionReader>;

/// Reads a command line. `takeWord` is asked first, with a word and its place:
/// whether it takes it, as flags and names of files are taken. Each other word
/// is the name of a reader, and its value what follows '=' or the next word.
/// `expected` says what there may be: "an option of moe-cost --help".
weights::Status
readOptions(std::span<char *const> arguments, const OptionReaders &readers,
            const std::string &expected,
            const std::function<weights::Result<bool>(std::string_view, size_t)>
                &takeWord);

/// "--rank: expected a number, found 'x'".
weights::Error unexpected(const std::string &name, const std::string &expected,
                          std::string_view found);

/// The parts between separators, empty ones too.
std::vector<std::string_view> splitText(std::string_view text, char separator);

/// The whole text as a number; nothing if it is none.
template <typename Number>
std::optional<Number> numberFromText(std::string_view text) {
  Number number = 0;
  auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size())
    return std::nullopt;
  return number;
}

/// A number from `least` to `most`.
template <typename Number>
OptionReader into(Number &number, std::type_identity_t<Number> least,
                  std::type_identity_t<Number> most) {
  return [&number, least, most](const std::string &name,
                                std::string_view value) -> weights::Status {
    std::optional<Number> found = numberFromText<Number>(value);
    // Nor is NaN in any range.
    if (!found || !(*found >= least && *found <= most)) {
      std::ostringstream expected;
      expected.precision(9);
      expected << "a number from " << least << " to " << most;
      return unexpected(name, expected.str(), value);
    }
    number = *found;
    return weights::success();
  };
}

/// What a reader of one value makes of each value between commas.
template <typename Value, typename MakeReader>
OptionReader intoEach(std::vector<Value> &values, MakeReader makeReader) {
  return [&values, makeReader](const std::string &name,
                               std::string_view list) -> weights::Status {
    values.clear();
    for (std::string_view part : splitText(list, ',')) {
      values.emplace_back();
      if (weights::Status status = makeReader(values.back())(name, part);
          !status)
        return status;
    }
    return weights::success();
  };
}

/// Any text.
OptionReader into(std::string &text);

} // namespace moec

#endif // MOEC_TOOLS_OPTIONREADER_H
