// Checksums: records of this folder end with the XXH3 of what is before it, files of backups have a SHA-256.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace kalamdb::cold {

void append_checksum(std::string& record);
// The record without its checksum; nullopt if that does not fit.
std::optional<std::string_view> check_and_strip(std::string_view record);

// Of bytes that come in parts. Not thread-safe.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  void add(std::string_view bytes);
  // Hexadecimal; nothing can be added behind it.
  std::string hex();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace kalamdb::cold
