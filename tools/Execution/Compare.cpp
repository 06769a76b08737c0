// Comparing two artifacts on the same inputs: how far apart their outputs are.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/Execution/Compare.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <map>
#include <string_view>

using namespace moec::weights;

namespace moec::run {

namespace {

/// What differs between an argument and its counterpart, apart from extents.
Status matchArgument(const Tensor &tensor, size_t index,
                     const moert_argument &found, const std::string &other) {
  const moert_argument &expected = *tensor.argument;
  if (std::string_view(expected.name) != found.name)
    return Error{other + ": expected argument " + std::to_string(index) +
                 " to be '" + expected.name + "', found '" + found.name + "'"};
  auto differs = [&](const std::string &wanted, const std::string &seen) {
    return Error{other + ": argument '" + expected.name + "': expected " +
                 wanted + ", found " + seen};
  };
  auto role = [](const moert_argument &argument) {
    return std::string(argument.role == MOERT_OUTPUT ? "an output" : "an input");
  };
  if (expected.role != found.role)
    return differs(role(expected), role(found));
  if (expected.code != found.code || expected.bits != found.bits)
    return differs(describe(expected), describe(found));
  return success();
}

/// Whether the argument can have this shape, given the extents of classes.
bool takesShape(const moert_argument &argument, std::span<const int64_t> shape,
                std::map<int64_t, int64_t> &classes) {
  if (argument.rank != shape.size())
    return false;
  for (size_t d = 0; d < shape.size(); ++d) {
    int64_t expected = argument.shape[d];
    if (expected < MOERT_DYNAMIC)
      expected = classes.emplace(expected, shape[d]).first->second;
    if (expected != MOERT_DYNAMIC && expected != shape[d])
      return false;
  }
  return true;
}

/// |a - b|; equal infinities are 0 apart.
double distance(const Tensor &a, const Tensor &b, size_t i) {
  if (a.type == ElementType::I64) {
    // As doubles, neighbours beyond 2^53 would be equal.
    auto [least, largest] = std::minmax({a.integerAt(i), b.integerAt(i)});
    return double(uint64_t(largest) - uint64_t(least));
  }
  double left = a.valueAt(i), right = b.valueAt(i);
  return left == right ? 0 : std::abs(left - right);
}

/// part / whole, where nothing of nothing is nothing.
double ratio(double part, double whole) { return part == 0 ? 0 : part / whole; }

} // namespace

Result<std::vector<Tensor>>
tensorsOfOther(std::span<const Tensor> tensors,
               const moert_library_entry *otherEntry,
               const std::string &other) {
  int32_t count = 0;
  moert_library_argument_count(otherEntry, &count);
  std::vector<const moert_argument *> arguments;
  for (int32_t i = 0; i < count; ++i) {
    const moert_argument *argument = nullptr;
    moert_library_argument(otherEntry, i, &argument);
    if (argument->role != MOERT_BINDING)
      arguments.push_back(argument);
  }
  std::vector<Tensor> result(tensors.begin(), tensors.end());
  std::map<int64_t, int64_t> classes;
  for (size_t i = 0; i < result.size() && i < arguments.size(); ++i) {
    const moert_argument *found = arguments[i];
    if (Status status = matchArgument(result[i], i, *found, other); !status)
      return Error{status.error()};
    if (!takesShape(*found, result[i].shape, classes))
      return Error{
          other + ": argument '" + found->name + "': expected to take shape " +
          shapeToString(result[i].shape) + ", found " + describe(*found)};
    result[i].argument = found;
    // Outputs that one side leaves unwritten shall differ.
    if (found->role == MOERT_OUTPUT)
      std::fill(result[i].data.begin(), result[i].data.end(), uint8_t(0xFF));
  }
  if (result.size() != arguments.size())
    return Error{other + ": expected " + std::to_string(result.size()) +
                 " arguments, found " + std::to_string(arguments.size())};
  return result;
}

Difference compare(const Tensor &a, const Tensor &b) {
  Difference difference;
  size_t count = a.count();
  double largest = 0;
  for (size_t i = 0; i < count; ++i) {
    double left = a.valueAt(i), right = b.valueAt(i);
    if (std::isnan(left) || std::isnan(right)) {
      ++(!std::isnan(right)  ? difference.nansInFirst
         : !std::isnan(left) ? difference.nansInSecond
                             : difference.nansInBoth);
      continue;
    }
    if (std::isfinite(left))
      largest = std::max(largest, std::abs(left));
    double apart = distance(a, b, i);
    difference.absolute = std::max(difference.absolute, apart);
  }
  if (difference.nansInFirst || difference.nansInSecond ||
      std::isinf(difference.absolute)) {
    constexpr double infinity = std::numeric_limits<double>::infinity();
    difference.absolute = difference.relative = difference.rms = infinity;
    return difference;
  }
  difference.relative = ratio(difference.absolute, largest);
  // In units of the largest value, so that squares stay in range.
  double unit = largest > 0 ? largest : 1;
  double squares = 0, squaredErrors = 0;
  for (size_t i = 0; i < count; ++i) {
    double value = a.valueAt(i);
    if (!std::isfinite(value))
      continue;
    double error = distance(a, b, i) / unit;
    squares += (value / unit) * (value / unit);
    squaredErrors += error * error;
  }
  difference.rms = std::sqrt(ratio(squaredErrors, squares));
  return difference;
}

std::string describe(const Difference &difference) {
  char text[256];
  std::snprintf(text, sizeof text, "max abs %.3g max rel %.3g rms rel %.3g, ",
                difference.absolute, difference.relative, difference.rms);
  std::string line = text;
  if (difference.nansInFirst || difference.nansInSecond)
    return line + "NaN differ: " + std::to_string(difference.nansInFirst) +
           " only here, " + std::to_string(difference.nansInSecond) +
           " only in the other, " + std::to_string(difference.nansInBoth) +
           " in both";
  if (difference.nansInBoth)
    return line + "NaN agree: " + std::to_string(difference.nansInBoth) +
           " in both";
  return line + "no NaN";
}

} // namespace moec::run
