// Encryption of credentials where they are stored: AES-256-GCM with a key that lies in a file of its own.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "platform/file_system.h"
#include "platform/random.h"

namespace kalamdb::cold {

// Thread-safe.
class Cipher {
 public:
  // With the key in the file at `path`: 32 random bytes, which are made on first use, for the server's user alone.
  // Whoever has a copy of the database without this file can't read what is encrypted. `random` must outlive the
  // cipher. Errors: those of the file system; kCorruption when the file is no key.
  static Result<Cipher> open(platform::FileSystem& files, platform::Random& random, const std::string& path);

  // Different each time. `context` says whose it is, such as "storage:s1", so that nobody can pass one off as
  // another's; decrypt() needs the same.
  std::string encrypt(std::string_view plain, std::string_view context) const;
  // Errors: kCorruption when the bytes were not encrypted with this key and context, or have been changed.
  Result<std::string> decrypt(std::string_view sealed, std::string_view context) const;

 private:
  using Key = std::array<uint8_t, 32>;
  Cipher(const Key& key, platform::Random& random) : key_(key), random_(&random) {}

  Key key_;
  platform::Random* random_;
};

}  // namespace kalamdb::cold
