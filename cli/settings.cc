#include "cli/settings.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <sstream>

#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

namespace kalamdb::cli {

namespace fs = std::filesystem;

namespace {

constexpr const char* kDefaultConfig = R"([server]
timeout = 30            # seconds

[connection]
auto_reconnect = true   # live views
reconnect_delay_ms = 100
max_reconnect_delay_ms = 30000
max_reconnect_attempts = 10   # 0 = unlimited

[auth]
# jwt_token = "..."

[ui]
format = "table"        # table, json or csv
color = true
history_size = 1000
)";

Result<toml::table> parse_file(const fs::path& path) {
  toml::parse_result parsed = toml::parse_file(path.string());
  if (!parsed) {
    return fail(ErrorCode::kInvalidInput, fmt::format("{}:{}: {}", path.string(), parsed.error().source().begin.line,
                                                      std::string(parsed.error().description())));
  }
  return std::move(parsed).table();
}

Result<> write_private(const fs::path& path, std::string_view text) {
  auto failed = [&](const char* what) {
    return fail(ErrorCode::kIo, fmt::format("cannot {} {}: {}", what, path.string(), std::strerror(errno)));
  };
  std::error_code error;
  if (path.has_parent_path()) fs::create_directories(path.parent_path(), error);
  const std::string temporary = fmt::format("{}.{}.tmp", path.string(), getpid());
  const int file = open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0) return failed("create");
  const bool written = write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && fsync(file) == 0;
  close(file);
  if (!written || rename(temporary.c_str(), path.c_str()) != 0) {
    unlink(temporary.c_str());
    return failed("write");
  }
  return {};
}

}  // namespace

fs::path kalam_directory() {
  for (const char* name : {"HOME", "USERPROFILE"}) {
    if (const char* home = std::getenv(name); home != nullptr && *home != '\0') return fs::path(home) / ".kalam";
  }
  return ".kalam";
}

Result<Config> load_config(const fs::path& path) {
  Config config;
  std::error_code error;
  if (!fs::exists(path, error)) {
    // A home that cannot be written is no reason to refuse work: the defaults do.
    (void)write_private(path, kDefaultConfig);
    return config;
  }
  KALAM_TRY(const toml::table table, parse_file(path));
  config.timeout_s = table["server"]["timeout"].value_or(config.timeout_s);
  const auto connection = table["connection"];
  config.auto_reconnect = connection["auto_reconnect"].value_or(config.auto_reconnect);
  config.reconnect_delay_ms = connection["reconnect_delay_ms"].value_or(config.reconnect_delay_ms);
  config.max_reconnect_delay_ms = connection["max_reconnect_delay_ms"].value_or(config.max_reconnect_delay_ms);
  config.max_reconnect_attempts = connection["max_reconnect_attempts"].value_or(config.max_reconnect_attempts);
  config.jwt_token = table["auth"]["jwt_token"].value_or(std::string());
  config.format = table["ui"]["format"].value_or(config.format);
  config.color = table["ui"]["color"].value_or(config.color);
  config.history_size = table["ui"]["history_size"].value_or(config.history_size);
  return config;
}

fs::path CredentialStore::default_path() {
  const char* path = std::getenv("KALAMDB_CREDENTIALS_PATH");
  return path != nullptr && *path != '\0' ? fs::path(path) : kalam_directory() / "credentials.toml";
}

Result<std::map<std::string, Credential>> CredentialStore::load() const {
  std::map<std::string, Credential> all;
  std::error_code error;
  if (!fs::exists(path_, error)) return all;
  KALAM_TRY(toml::table table, parse_file(path_));
  const toml::table* instances = table["instances"].as_table();
  if (instances == nullptr) return all;
  for (const auto& [name, node] : *instances) {
    const toml::table* entry = node.as_table();
    if (entry == nullptr) continue;
    auto text = [&](const char* key) { return (*entry)[key].value_or(std::string()); };
    // expires_at may also be an RFC 3339 string, as older clients wrote it: those are taken as unknown.
    auto number = [&](const char* key) { return (*entry)[key].value_or(int64_t{0}); };
    all[std::string(name.str())] =
        Credential{text("jwt_token"),     text("user"),         text("server_url"),
                   text("refresh_token"), number("expires_at"), number("refresh_expires_at")};
  }
  return all;
}

Result<> CredentialStore::save(const std::string& instance, const Credential& credential) const {
  KALAM_TRY(auto all, load());
  all[instance] = credential;
  return write(all);
}

Result<> CredentialStore::remove(const std::string& instance) const {
  KALAM_TRY(auto all, load());
  if (all.erase(instance) == 0) {
    return fail(ErrorCode::kNotFound, fmt::format("no credentials are stored for instance '{}'", instance));
  }
  return write(all);
}

Result<> CredentialStore::write(const std::map<std::string, Credential>& all) const {
  toml::table instances;
  for (const auto& [name, credential] : all) {
    toml::table entry;
    entry.insert("jwt_token", credential.jwt_token);
    auto insert_text = [&](const char* key, const std::string& value) {
      if (!value.empty()) entry.insert(key, value);
    };
    auto insert_time = [&](const char* key, int64_t value) {
      if (value != 0) entry.insert(key, value);
    };
    insert_text("user", credential.user);
    insert_text("server_url", credential.server_url);
    insert_text("refresh_token", credential.refresh_token);
    insert_time("expires_at", credential.expires_at);
    insert_time("refresh_expires_at", credential.refresh_expires_at);
    instances.insert(name, std::move(entry));
  }
  std::ostringstream text;
  text << toml::table{{"instances", std::move(instances)}} << '\n';
  return write_private(path_, text.str());
}

}  // namespace kalamdb::cli
