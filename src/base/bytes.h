// Fixed-width integers in byte strings. Big-endian where bytes must sort as numbers do, little-endian elsewhere.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace kalamdb {

template <typename T>
void append_big_endian(std::string& out, T value) {
  for (int shift = (sizeof(T) - 1) * 8; shift >= 0; shift -= 8) out.push_back(static_cast<char>(value >> shift));
}

// `bytes` holds at least sizeof(T) bytes.
template <typename T>
T read_big_endian(const char* bytes) {
  T value = 0;
  for (size_t i = 0; i < sizeof(T); ++i) value = static_cast<T>(value << 8) | static_cast<unsigned char>(bytes[i]);
  return value;
}

static_assert(std::endian::native == std::endian::little, "stored formats are little-endian and read in place");

template <typename T>
void append_little_endian(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

// `bytes` holds at least sizeof(T) bytes.
template <typename T>
T read_little_endian(const char* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

}  // namespace kalamdb
