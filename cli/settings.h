// What `kalam` keeps between runs: ~/.kalam/config.toml and the credentials file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "base/result.h"

namespace kalamdb::cli {

// ~/.kalam/config.toml. Values are the file's, else these defaults.
struct Config {
  int64_t timeout_s = 30;
  bool auto_reconnect = true;
  int64_t reconnect_delay_ms = 100;
  int64_t max_reconnect_delay_ms = 30000;
  int64_t max_reconnect_attempts = 10;  // 0 = unlimited
  std::string jwt_token;
  std::string format = "table";
  bool color = true;
  int64_t history_size = 1000;
};

// The directory ~/.kalam (not created); relative to the working directory where there is no HOME.
std::filesystem::path kalam_directory();

// Reads the file; one that is missing is created with the defaults where that is possible. kInvalidInput names the
// file and line of what does not parse.
Result<Config> load_config(const std::filesystem::path& path);

// One entry of the credentials file. Times are seconds since the epoch.
struct Credential {
  std::string jwt_token;
  std::string user;
  std::string server_url;
  std::string refresh_token;
  int64_t expires_at = 0;  // 0 = unknown
  int64_t refresh_expires_at = 0;
};

// The credentials file: $KALAMDB_CREDENTIALS_PATH, else ~/.kalam/credentials.toml. Written whole through a temporary
// file with mode 0600, so that no reader ever sees half of it and nobody else can read it.
class CredentialStore {
 public:
  explicit CredentialStore(std::filesystem::path path) : path_(std::move(path)) {}
  static std::filesystem::path default_path();

  const std::filesystem::path& path() const { return path_; }
  Result<std::map<std::string, Credential>> load() const;
  Result<> save(const std::string& instance, const Credential& credential) const;
  // kNotFound when there is no such instance.
  Result<> remove(const std::string& instance) const;

 private:
  Result<> write(const std::map<std::string, Credential>& all) const;

  std::filesystem::path path_;
};

}  // namespace kalamdb::cli
