// A member that is rarely anything but T(): a pointer's worth of memory until it is.
#pragma once

#include <concepts>
#include <memory>
#include <type_traits>
#include <utility>

namespace kalamdb {

// A value of type T, copied and compared as such. Reads as T() while nothing else was assigned.
template <typename T>
class Boxed {
 public:
  Boxed() = default;
  template <typename U>
  requires(std::constructible_from<T, U> && !std::same_as<std::remove_cvref_t<U>, Boxed>) Boxed(U&& value)
      : value_(std::make_unique<T>(std::forward<U>(value))) {
    if (*value_ == T()) value_.reset();
  }
  Boxed(const Boxed& other) : value_(other.value_ == nullptr ? nullptr : std::make_unique<T>(*other.value_)) {}
  Boxed(Boxed&&) noexcept = default;
  Boxed& operator=(Boxed other) noexcept {
    value_ = std::move(other.value_);
    return *this;
  }
  ~Boxed() = default;

  const T& operator*() const {
    static const T none{};
    return value_ == nullptr ? none : *value_;
  }
  operator const T&() const { return **this; }
  bool operator==(const Boxed& other) const { return **this == *other; }

 private:
  std::unique_ptr<T> value_;
};

}  // namespace kalamdb
