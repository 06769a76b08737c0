// One line of a result as JSON, CSV and Markdown.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/moe-bench/Measurement.h"

#include "weights/Json.h"
#include "tools/moe-bench/Statistics.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>

using moec::weights::JsonValue;
using namespace moec::weights;

namespace moec::bench {

namespace {

struct TextField {
  const char *key;
  std::string Measurement::*field;
};
struct IntegerField {
  const char *key;
  int64_t Measurement::*field;
};
struct NumberField {
  const char *key;
  double Measurement::*field;
};

// The order of columns and of JSON members.
constexpr TextField texts[] = {{"suite", &Measurement::suite},
                               {"problem", &Measurement::problem},
                               {"contender", &Measurement::contender},
                               {"baseline", &Measurement::baseline},
                               {"routing", &Measurement::routing}};
constexpr IntegerField integers[] = {{"tokens", &Measurement::tokens},
                                     {"threads", &Measurement::threads},
                                     {"rounds", &Measurement::rounds}};
constexpr NumberField numbers[] = {
    {"median_s", &Measurement::median},
    {"min_s", &Measurement::least},
    {"iqr_s", &Measurement::spread},
    {"speedup", &Measurement::speedup},
    {"bytes", &Measurement::bytes},
    {"flops", &Measurement::flops},
    {"experts_hit", &Measurement::expertsHit},
    {"clusters_hit", &Measurement::clustersHit},
    {"roofline_s", &Measurement::roofline},
    {"rotated_bytes", &Measurement::rotatedBytes},
    {"max_error", &Measurement::error},
    {"bytes_per_s", &Measurement::bytesPerSecond},
    {"flops_per_s", &Measurement::flopsPerSecond}};

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.9g", std::isfinite(value) ? value : 0.0);
  return text;
}

template <typename... Values>
std::string format(const char *pattern, Values... values) {
  char text[64];
  std::snprintf(text, sizeof text, pattern, values...);
  return text;
}

/// Text between quotes.
std::string quoted(const std::string &text) {
  std::string result = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\')
      result += '\\';
    result += c < 0x20 && c >= 0 ? ' ' : c;
  }
  return result + "\"";
}

/// What two measurements of one thing share.
auto key(const Measurement &m) {
  return std::tie(m.suite, m.problem, m.routing, m.threads, m.tokens,
                  m.contender);
}

/// What the measurements of one table share.
auto table(const Measurement &m) {
  return std::tie(m.suite, m.problem, m.routing, m.threads);
}

double bytesRate(const Measurement &m) { return m.bytes / m.median * 1e-9; }

} // namespace

std::string toJson(const Measurement &measurement) {
  std::string text;
  auto add = [&](const char *key, const std::string &value) {
    text += (text.empty() ? "{\"" : ", \"") + std::string(key) + "\": " + value;
  };
  for (const TextField &each : texts)
    add(each.key, quoted(measurement.*each.field));
  for (const IntegerField &each : integers)
    add(each.key, std::to_string(measurement.*each.field));
  for (const NumberField &each : numbers)
    add(each.key, number(measurement.*each.field));
  return text + "}";
}

Result<std::vector<Measurement>> parseMeasurements(const std::string &name,
                                                   std::string_view text) {
  std::vector<Measurement> all;
  for (size_t line = 1; !text.empty(); ++line) {
    size_t end = std::min(text.find('\n'), text.size());
    std::string_view one = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (one.find_first_not_of(" \r") == std::string_view::npos)
      continue;
    std::string where = name + ":" + std::to_string(line);
    Result<JsonValue> value = weights::parseJson(where, one);
    if (!value)
      return Error{value.error()};
    if (value->kind != JsonValue::Kind::Object)
      return Error{where + ": expected an object, found " + describe(*value)};
    Measurement measurement;
    auto wrong = [&](const char *key, const JsonValue &found) {
      return Error{where + ": expected another '" + key + "', found " +
                   describe(found)};
    };
    for (const TextField &each : texts)
      if (const JsonValue *member = value->member(each.key)) {
        if (member->kind != JsonValue::Kind::String)
          return wrong(each.key, *member);
        measurement.*each.field = member->string;
      }
    for (const IntegerField &each : integers)
      if (const JsonValue *member = value->member(each.key)) {
        if (member->kind != JsonValue::Kind::Integer)
          return wrong(each.key, *member);
        measurement.*each.field = member->integer;
      }
    for (const NumberField &each : numbers)
      if (const JsonValue *member = value->member(each.key)) {
        bool isInteger = member->kind == JsonValue::Kind::Integer;
        if (!isInteger && member->kind != JsonValue::Kind::Real)
          return wrong(each.key, *member);
        measurement.*each.field =
            isInteger ? double(member->integer) : member->real;
      }
    if (measurement.problem.empty() || measurement.contender.empty() ||
        !(measurement.median > 0))
      return Error{where + ": expected a problem, a contender and a median_s, "
                           "found too little"};
    all.push_back(std::move(measurement));
  }
  return all;
}

std::vector<Measurement> merge(std::span<const Measurement> measurements) {
  std::vector<std::vector<const Measurement *>> groups;
  std::map<decltype(key(measurements[0])), size_t> places;
  for (const Measurement &each : measurements) {
    auto [place, isFirst] = places.try_emplace(key(each), groups.size());
    if (isFirst)
      groups.emplace_back();
    groups[place->second].push_back(&each);
  }
  // Those of a problem side by side, whichever program they are of.
  std::map<decltype(table(measurements[0])), size_t> tables;
  std::vector<std::tuple<size_t, int64_t, size_t>> order;
  for (size_t i = 0; i < groups.size(); ++i)
    order.emplace_back(
        tables.try_emplace(table(*groups[i][0]), tables.size()).first->second,
        groups[i][0]->tokens, i);
  std::sort(order.begin(), order.end());
  std::vector<Measurement> merged;
  for (const auto &[place, tokens, index] : order) {
    const std::vector<const Measurement *> &group = groups[index];
    Measurement one = *group[0];
    auto medianOf = [&](double Measurement::*field) {
      std::vector<double> values;
      for (const Measurement *each : group)
        values.push_back(each->*field);
      return median(std::move(values));
    };
    for (double Measurement::*field :
         {&Measurement::median, &Measurement::spread, &Measurement::speedup,
          &Measurement::roofline, &Measurement::bytesPerSecond,
          &Measurement::flopsPerSecond})
      one.*field = medianOf(field);
    for (const Measurement *each : group) {
      one.least = std::min(one.least, each->least);
      one.error = std::max(one.error, each->error);
    }
    one.rounds = 0;
    for (const Measurement *each : group)
      one.rounds += each->rounds;
    merged.push_back(std::move(one));
  }
  // Other programs know neither the baseline nor the machine's rates.
  for (Measurement &one : merged)
    for (const Measurement &other : merged) {
      bool isBaseline = !other.baseline.empty() &&
                        other.contender == other.baseline &&
                        std::tie(one.suite, one.problem, one.routing,
                                 one.threads, one.tokens) ==
                            std::tie(other.suite, other.problem, other.routing,
                                     other.threads, other.tokens);
      if (!isBaseline)
        continue;
      if (one.speedup == 0) {
        one.speedup = other.median / one.median;
        one.baseline = other.baseline;
      }
      if (one.bytesPerSecond == 0) {
        one.bytesPerSecond = other.bytesPerSecond;
        one.flopsPerSecond = other.flopsPerSecond;
      }
      if (one.roofline == 0 && one.bytesPerSecond > 0 && one.flopsPerSecond > 0)
        one.roofline = std::max(one.bytes / one.bytesPerSecond,
                                one.flops / one.flopsPerSecond);
    }
  return merged;
}

std::string toCsv(std::span<const Measurement> measurements) {
  std::string text;
  auto addKey = [&](const char *key) {
    text += (text.empty() ? "" : ",") + std::string(key);
  };
  for (const TextField &each : texts)
    addKey(each.key);
  for (const IntegerField &each : integers)
    addKey(each.key);
  for (const NumberField &each : numbers)
    addKey(each.key);
  text += "\n";
  for (const Measurement &measurement : measurements) {
    std::string line;
    for (const TextField &each : texts) {
      std::string value;
      for (char c : measurement.*each.field)
        value += c == '"' ? "\"\"" : std::string(1, c);
      line += (line.empty() ? "\"" : ",\"") + value + "\"";
    }
    for (const IntegerField &each : integers)
      line += "," + std::to_string(measurement.*each.field);
    for (const NumberField &each : numbers)
      line += "," + number(measurement.*each.field);
    text += line + "\n";
  }
  return text;
}

std::string describeSeconds(double seconds) {
  if (seconds < 1e-3)
    return format("%.3g us", seconds * 1e6);
  if (seconds < 1)
    return format("%.3g ms", seconds * 1e3);
  return format("%.3g s", seconds);
}

std::string toMarkdown(std::span<const Measurement> measurements) {
  std::string text, title;
  for (const Measurement &m : measurements) {
    std::string own = m.problem + ", " + std::to_string(m.threads) +
                      (m.threads == 1 ? " thread" : " threads") +
                      (m.routing.empty() ? "" : ", routing " + m.routing);
    if (own != title) {
      title = own;
      text += (text.empty() ? "### " : "\n### ") + own + "\n\n";
      if (m.bytesPerSecond > 0)
        text += format("Rates of this run: %.1f GB/s read, ",
                       m.bytesPerSecond * 1e-9) +
                format("%.0f GFLOP/s FMA. ", m.flopsPerSecond * 1e-9);
      if (!m.baseline.empty())
        text += "Speedups are over " + m.baseline + ".";
      text += "\n\n| tokens | contender | median | least | spread | speedup | "
              "MB | GFLOP | experts | clusters | GB/s | GFLOP/s | bound | "
              "reached | error |\n|---|---|---|---|---|---|---|---|---|---|---|"
              "---|---|---|---|\n";
    }
    auto cell = [](bool isKnown, const std::string &value) {
      return (isKnown ? value : std::string("-")) + " | ";
    };
    text +=
        "| " + std::to_string(m.tokens) + " | " + m.contender + " | " +
        describeSeconds(m.median) + " | " + describeSeconds(m.least) + " | " +
        format("%.0f %%", 100 * m.spread / m.median) + " | " +
        cell(m.speedup > 0, format("%.2f", m.speedup)) +
        cell(m.bytes > 0, format("%.4g", m.bytes * 1e-6)) +
        cell(m.flops > 0, format("%.3g", m.flops * 1e-9)) +
        cell(m.expertsHit > 0, format("%.1f", m.expertsHit)) +
        cell(m.clustersHit > 0, format("%.1f", m.clustersHit)) +
        cell(m.bytes > 0, format("%.2f", bytesRate(m))) +
        cell(m.flops > 0, format("%.2f", m.flops / m.median * 1e-9)) +
        cell(m.roofline > 0, describeSeconds(m.roofline)) +
        cell(m.roofline > 0, format("%.0f %%", 100 * m.roofline / m.median)) +
        (m.error >= 0 ? format("%.0e", m.error) : "-") + " |\n";
  }
  return text;
}

} // namespace moec::bench
