// Names of tensors with placeholders for the layer and the expert.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "frontend/NamePattern.h"
#include "weights/Json.h"


#include <algorithm>

namespace moec::frontend {

using weights::Error;
using weights::quote;
using weights::Result;

Result<NamePattern> NamePattern::parse(std::string_view text) {
  auto refuse = [&](const char *message) {
    return Error{std::string("expected ") + message + ", found " + quote(text)};
  };
  NamePattern pattern;
  pattern.source = text;
  std::string_view rest = text;
  while (!rest.empty()) {
    size_t brace = rest.find_first_of("{}");
    if (brace != 0) {
      pattern.parts.emplace_back(Part::Literal, rest.substr(0, brace));
      rest = brace == rest.npos ? std::string_view() : rest.substr(brace);
      continue;
    }
    constexpr std::string_view layer = "{layer}", expert = "{expert}";
    Part part = rest.starts_with(layer) ? Part::Layer : Part::Expert;
    if (part == Part::Expert && !rest.starts_with(expert))
      return refuse("no braces but {layer} and {expert} in a name");
    if (part == Part::Layer ? pattern.hasLayer() : pattern.hasExpert())
      return refuse("each placeholder of a name once");
    // Digits of one would be taken for digits of the other.
    if (!pattern.parts.empty() && pattern.parts.back().first != Part::Literal)
      return refuse("text between the placeholders of a name");
    pattern.parts.emplace_back(part, std::string());
    rest.remove_prefix(part == Part::Layer ? layer.size() : expert.size());
  }
  return pattern;
}

std::optional<NamePattern::Match>
NamePattern::matchBeginning(std::string_view name) const {
  Match match;
  for (const auto &[part, literal] : parts) {
    std::string_view rest = name.substr(match.length);
    if (part == Part::Literal) {
      if (!rest.starts_with(literal))
        return std::nullopt;
      match.length += literal.size();
      continue;
    }
    size_t digits = 0;
    int64_t number = 0;
    while (digits < rest.size() && rest[digits] >= '0' && rest[digits] <= '9' &&
           digits < 10)
      number = number * 10 + (rest[digits++] - '0');
    if (digits == 0 || digits == 10 || (digits > 1 && rest[0] == '0'))
      return std::nullopt;
    (part == Part::Layer ? match.layer : match.expert) = number;
    match.length += digits;
  }
  return match;
}

std::optional<NamePattern::Match>
NamePattern::match(std::string_view name) const {
  std::optional<Match> match = matchBeginning(name);
  if (match && match->length != name.size())
    return std::nullopt;
  return match;
}

std::string NamePattern::name(int64_t layer, int64_t expert) const {
  std::string text;
  for (const auto &[part, literal] : parts)
    text += part == Part::Literal
                ? literal
                : std::to_string(part == Part::Layer ? layer : expert);
  return text;
}

bool NamePattern::hasLayer() const {
  return std::any_of(parts.begin(), parts.end(), [](const auto &part) {
    return part.first == Part::Layer;
  });
}

bool NamePattern::hasExpert() const {
  return std::any_of(parts.begin(), parts.end(), [](const auto &part) {
    return part.first == Part::Expert;
  });
}

} // namespace moec::frontend
