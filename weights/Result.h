// A value, or the message of what went wrong.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_WEIGHTS_RESULT_H
#define MOEC_WEIGHTS_RESULT_H

#include <cassert>
#include <optional>
#include <string>
#include <utility>

namespace moec::weights {

/// What went wrong: what was expected and what was found, in one line.
struct Error {
  std::string message;
};

/// A value or an error. Test it before the value is taken.
template <typename T> class [[nodiscard]] Result {
public:
  Result(T value) : value(std::move(value)) {}
  Result(Error error) : message(std::move(error.message)) {}

  explicit operator bool() const { return value.has_value(); }

  T &operator*() & {
    assert(value && "the result is an error");
    return *value;
  }
  const T &operator*() const & {
    assert(value && "the result is an error");
    return *value;
  }
  T &&operator*() && {
    assert(value && "the result is an error");
    return std::move(*value);
  }
  T *operator->() { return &**this; }
  const T *operator->() const { return &**this; }

  /// The message of a failed result; empty after success.
  const std::string &error() const { return message; }

private:
  std::optional<T> value;
  std::string message;
};

/// Success or an error. `return success();` or `return Error{"..."};`.
class [[nodiscard]] Status {
public:
  Status() = default;
  Status(Error error) : failed(true), message(std::move(error.message)) {}

  explicit operator bool() const { return !failed; }

  /// The message of a failure; empty after success.
  const std::string &error() const { return message; }

private:
  bool failed = false;
  std::string message;
};

inline Status success() { return Status(); }

} // namespace moec::weights

#endif // MOEC_WEIGHTS_RESULT_H
