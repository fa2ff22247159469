// Fields of the records of this folder: numbers are little-endian, texts [u32 length][bytes].
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace kalamdb::cold {

inline void append_text(std::string& out, std::string_view text) {
  append_little_endian<uint32_t>(out, static_cast<uint32_t>(text.size()));
  out.append(text);
}

// Reads fields one after another; after the first that is not there, all that follow are empty and ok() is false.
class RecordReader {
 public:
  explicit RecordReader(std::string_view bytes) : bytes_(bytes) {}

  template <typename T>
  T number() {
    if (!take(sizeof(T))) return T{};
    return read_little_endian<T>(taken_.data());
  }
  std::string text() {
    const auto length = number<uint32_t>();
    return take(length) ? std::string(taken_) : std::string();
  }
  bool ok() const { return ok_; }
  bool at_end() const { return ok_ && bytes_.empty(); }

 private:
  bool take(size_t length) {
    ok_ = ok_ && length <= bytes_.size();
    if (!ok_) return false;
    taken_ = bytes_.substr(0, length);
    bytes_.remove_prefix(length);
    return true;
  }

  std::string_view bytes_;
  std::string_view taken_;
  bool ok_ = true;
};

}  // namespace kalamdb::cold
