// A value that is nearly always the default one, and takes only a pointer then.
#pragma once

#include <concepts>
#include <memory>
#include <type_traits>
#include <utility>

namespace kalamdb {

// Reads as a T, copies as a T (deeply), and equals what an equal T is in; T{} is not stored.
template <typename T>
class Boxed {
 public:
  Boxed() = default;
  template <typename U>
  requires(std::constructible_from<T, U&&> && !std::same_as<std::remove_cvref_t<U>, Boxed>)
      Boxed(U&& value) {  // NOLINT: a Boxed<T> is given as a T is
    T given(std::forward<U>(value));
    if (!(given == T{})) value_ = std::make_unique<T>(std::move(given));
  }
  Boxed(const Boxed& other) : value_(other.value_ ? std::make_unique<T>(*other.value_) : nullptr) {}
  Boxed(Boxed&&) noexcept = default;
  Boxed& operator=(const Boxed& other) { return *this = Boxed(other); }
  Boxed& operator=(Boxed&&) noexcept = default;
  ~Boxed() = default;

  const T& operator*() const {
    static const T default_value{};
    return value_ ? *value_ : default_value;
  }
  const T* operator->() const { return &**this; }
  // To change it in place.
  T& edit() {
    if (!value_) value_ = std::make_unique<T>();
    return *value_;
  }
  bool operator==(const Boxed& other) const { return **this == *other; }

 private:
  std::unique_ptr<T> value_;
};

}  // namespace kalamdb
