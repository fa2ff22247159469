#include "model/column_stats.h"

#include <cmath>
#include <optional>

#include "model/key_codec.h"

namespace kalamdb::model {
namespace {

// Bounds of texts and bytes are not longer: manifests hold them for every column of every segment.
constexpr size_t kMaxTextBytes = 64;

struct Less {
  template <typename T>
  bool operator()(const T& a, const T& b) const {
    return a < b;
  }
  bool operator()(float a, float b) const { return (*this)(static_cast<double>(a), static_cast<double>(b)); }
  bool operator()(double a, double b) const { return std::isnan(b) ? !std::isnan(a) : a < b; }
  bool operator()(const Decimal& a, const Decimal& b) const { return a.unscaled < b.unscaled; }
  bool operator()(Null, Null) const { return false; }
  bool operator()(std::span<const float>, std::span<const float>) const { return false; }
  template <typename T, typename U>
  bool operator()(const T&, const U&) const {
    return false;  // values of a column are of one type
  }
};

bool less(const ValueView& a, const ValueView& b) { return std::visit(Less(), a, b); }

bool is_continuation(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }

// The first bytes of a text, without a part of a character at the end.
std::string_view cut(std::string_view text, bool utf8) {
  if (text.size() <= kMaxTextBytes) return text;
  size_t length = kMaxTextBytes;
  while (utf8 && length > 0 && is_continuation(text[length])) --length;
  return text.substr(0, length);
}

void append_utf8(std::string& out, uint32_t point) {
  const auto byte = [&](uint32_t bits) { out.push_back(static_cast<char>(bits)); };
  if (point < 0x80) return byte(point);
  if (point < 0x800) {
    byte(0xC0 | point >> 6);
  } else {
    if (point < 0x10000) {
      byte(0xE0 | point >> 12);
    } else {
      byte(0xF0 | point >> 18);
      byte(0x80 | (point >> 12 & 0x3F));
    }
    byte(0x80 | (point >> 6 & 0x3F));
  }
  byte(0x80 | (point & 0x3F));
}

// The code point that `character`, the whole UTF-8 of one, stands for.
uint32_t decode_utf8(std::string_view character) {
  constexpr uint32_t kLeadBits[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
  uint32_t point = static_cast<unsigned char>(character[0]) & kLeadBits[character.size()];
  for (const char next : character.substr(1)) point = point << 6 | (static_cast<unsigned char>(next) & 0x3F);
  return point;
}

// The least text that is greater than every one that begins with `prefix`, and is valid UTF-8 if that is; nullopt if
// there is none.
std::optional<std::string> after_all(std::string prefix, bool utf8) {
  constexpr uint32_t kLastPoint = 0x10FFFF;
  while (!prefix.empty()) {
    size_t begin = prefix.size() - 1;
    while (utf8 && begin > 0 && is_continuation(prefix[begin])) --begin;
    const std::string_view last = std::string_view(prefix).substr(begin);
    if (last.size() > 4) return std::nullopt;  // not UTF-8 after all
    const uint32_t point = utf8 ? decode_utf8(last) : static_cast<unsigned char>(last[0]);
    prefix.resize(begin);
    if (point >= (utf8 ? kLastPoint : 0xFF)) continue;
    if (!utf8) {
      prefix.push_back(static_cast<char>(point + 1));
    } else {
      append_utf8(prefix, point + 1 == 0xD800 ? 0xE000 : point + 1);  // between them are no characters
    }
    return prefix;
  }
  return std::nullopt;
}

std::string encode(const ValueView& value, const DataType& type) {
  std::string bytes;
  append_key(bytes, value, type);
  return bytes;
}

}  // namespace

bool ColumnStatsBuilder::can_be_bounded(const ColumnDefinition& column) { return can_be_key(column.type.tag); }

void ColumnStatsBuilder::add(const ValueView& value) {
  if (is_null(value)) {
    ++null_count_;
  } else if (!bounded_) {
    return;
  } else if (is_null(min_)) {
    min_ = to_value(value);
    max_ = min_;
  } else if (less(value, view(min_))) {
    min_ = to_value(value);
  } else if (less(view(max_), value)) {
    max_ = to_value(value);
  }
}

ColumnStats ColumnStatsBuilder::finish() const {
  ColumnStats stats{.slot = column_.slot(), .null_count = null_count_};
  if (is_null(min_)) return stats;
  const auto* max_text = std::get_if<std::string>(&max_);
  if (max_text == nullptr) {
    stats.min = encode(view(min_), column_.type);
    stats.max = encode(view(max_), column_.type);
    return stats;
  }
  const bool utf8 = column_.type.tag != TypeTag::kBytes;
  const std::string_view max = cut(*max_text, utf8);
  std::optional<std::string> bound = std::string(max);
  if (max.size() < max_text->size()) bound = after_all(std::string(max), utf8);
  if (!bound) return stats;
  stats.min = encode(cut(std::get<std::string>(min_), utf8), column_.type);
  stats.max = encode(std::string_view(*bound), column_.type);
  return stats;
}

}  // namespace kalamdb::model
