#include "server/config.h"

#include <toml++/toml.h>
#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <variant>

namespace kalamdb::server {

namespace {

using Member =
    std::variant<std::string Config::*, int64_t Config::*, bool Config::*, std::vector<std::string> Config::*>;

struct Setting {
  std::string_view key;          // "section.name"
  std::string_view environment;  // empty: none
  Member member;
  int64_t min = 0;  // of numbers
  int64_t max = INT64_MAX;
  std::string_view meaning;
};

constexpr int64_t kGiB = int64_t{1} << 30;

const std::array kSettings{
    Setting{"server.host", "KALAMDB_SERVER_HOST", &Config::host, 0, 0, "Address to listen on."},
    Setting{"server.port", "KALAMDB_SERVER_PORT", &Config::port, 0, 65535, "Port; 0 lets the system choose one."},
    Setting{"server.workers", "KALAMDB_SERVER_WORKERS", &Config::io_threads, 0, 1024,
            "Network threads; 0 means one for each core."},
    Setting{"server.node_number", "", &Config::node_number, 0, 1023, "This node's number within `_seq`."},
    Setting{"storage.data_path", "KALAMDB_DATA_DIR", &Config::data_path, 0, 0, "Where the database lies."},
    Setting{
        "storage.durability", "", &Config::durability, 0, 0,
        "`fsync`: an acknowledged write is on the disk. `os`: the operating system has it; a power failure may lose "
        "the last moments."},
    Setting{"storage.block_cache_bytes", "", &Config::block_cache_bytes, 1 << 20, 1024 * kGiB,
            "Memory for blocks of hot rows."},
    Setting{"storage.segment_metadata_bytes", "", &Config::segment_metadata_bytes, 1 << 20, 1024 * kGiB,
            "Memory, about, for the footers of Parquet files that were read; when it is full, all are read anew."},
    Setting{"storage.write_buffer_bytes", "", &Config::write_buffer_bytes, 1 << 20, 16 * kGiB,
            "Memory for hot rows before they are written to tables."},
    Setting{"storage.min_free_bytes", "", &Config::min_free_bytes, 0, 1024 * 1024 * kGiB,
            "Room that is kept free on each disk for the database's own work: with less, no rows are added, and jobs "
            "write no files; 0 means none."},
    Setting{"storage.shared_tables_template", "", &Config::shared_tables_template, 0, 0,
            "Where files of SHARED tables lie in the storage `local`, until ALTER STORAGE says otherwise."},
    Setting{"storage.user_tables_template", "", &Config::user_tables_template, 0, 0, "The same for USER tables."},
    Setting{
        "storage.user_shards", "", &Config::user_shards, 1, 65536,
        "How many values `{shard}` has in paths of USER tables; a table keeps the number that it was created with."},
    Setting{"storage.s3_cache_bytes", "", &Config::s3_cache_bytes, 0, 16384 * kGiB,
            "Disk for what has been read from s3 storages; 0 means none."},
    Setting{"storage.allow_private_endpoints", "", &Config::allow_private_endpoints, 0, 0,
            "Endpoints of s3 storages may be on this machine and in private networks."},
    Setting{"catalog.schema_cache_size", "", &Config::schema_cache_size, 1, 1'000'000,
            "Table definitions that are kept in memory; others are read from the disk when they are used."},
    Setting{"logging.level", "KALAMDB_LOG_LEVEL", &Config::log_level, 0, 0, "`debug`, `info`, `warn` or `error`."},
    Setting{"logging.logs_path", "KALAMDB_LOGS_DIR", &Config::log_path, 0, 0,
            "Directory of `server.log` and `jobs.log` (rotated); empty logs to standard error only."},
    Setting{"auth.jwt_secret", "KALAMDB_JWT_SECRET", &Config::jwt_secret, 0, 0,
            "Signs tokens; at least 32 bytes. Empty: one is generated on first start and kept with the data."},
    Setting{"auth.jwt_expiry_hours", "KALAMDB_JWT_EXPIRY_HOURS", &Config::jwt_expiry_hours, 1, 24 * 365,
            "How long an access token lives; a refresh token lives 7 times as long."},
    Setting{"auth.root_password", "KALAMDB_ROOT_PASSWORD", &Config::root_password, 0, 0,
            "Root's password, set at a start at which root has none."},
    Setting{"auth.bcrypt_cost", "", &Config::bcrypt_cost, 4, 16, "Cost of password hashes."},
    Setting{"auth.min_password_length", "", &Config::min_password_length, 1, 72, "In bytes."},
    Setting{"auth.enforce_password_complexity", "", &Config::enforce_password_complexity, 0, 0,
            "Passwords need an upper-case and a lower-case letter, a digit and another character."},
    Setting{"auth.allow_common_passwords", "", &Config::allow_common_passwords, 0, 0, "For tests."},
    Setting{"auth.cookie_secure", "KALAMDB_COOKIE_SECURE", &Config::cookie_secure, 0, 0,
            "Cookies only travel over HTTPS."},
    Setting{"auth.allow_remote_setup", "KALAMDB_ALLOW_REMOTE_SETUP", &Config::allow_remote_setup, 0, 0,
            "The first set-up may come from another machine."},
    Setting{"auth.allow_basic", "", &Config::allow_basic, 0, 0, "HTTP Basic authentication works beside tokens."},
    Setting{"auth.lockout_attempts", "", &Config::lockout_attempts, 0, 1000,
            "Failures in a row that lock an account; 0 never locks."},
    Setting{"auth.lockout_minutes", "", &Config::lockout_minutes, 1, 60 * 24 * 30, "How long it stays locked."},
    Setting{"performance.max_connections", "", &Config::max_connections, 1, 1'000'000, "Open connections at a time."},
    Setting{"performance.keepalive_timeout", "", &Config::keepalive_timeout_s, 1, 3600,
            "Seconds that an idle HTTP connection is kept."},
    Setting{"performance.query_threads", "", &Config::worker_threads, 1, 1024, "Statements that run at a time."},
    Setting{"limits.max_request_bytes", "", &Config::max_request_bytes, 1024, 4 * kGiB, "Size of an HTTP body."},
    Setting{"limits.max_result_rows", "", &Config::max_result_rows, 0, INT64_MAX,
            "Rows of one result; 0 means no bound."},
    Setting{"limits.max_result_bytes", "", &Config::max_result_bytes, 0, INT64_MAX,
            "Bytes of one response; 0 means no bound."},
    Setting{"limits.query_memory_bytes", "", &Config::query_memory_bytes, 0, 1024 * kGiB,
            "Memory of all queries together; 0 means a quarter of the machine's."},
    Setting{"limits.max_statement_bytes", "", &Config::max_statement_bytes, 1 << 20, 64 * kGiB,
            "Memory for the rows that one INSERT writes, until it is committed."},
    Setting{"limits.max_nesting", "", &Config::max_nesting, 8, 1000, "Depth of JSON in requests."},
    Setting{"limits.max_subscriptions_per_connection", "", &Config::max_subscriptions_per_connection, 1, 100'000,
            "Live queries on one socket."},
    Setting{"execution.max_parameters", "", &Config::max_parameters, 0, 65535, "Parameters of one statement."},
    Setting{"execution.max_parameter_size_bytes", "", &Config::max_parameter_bytes, 1, kGiB, "Size of one of them."},
    Setting{"execution.handler_timeout_seconds", "", &Config::statement_timeout_s, 1, 24 * 3600,
            "How long a statement may run."},
    Setting{"execution.fast_lane", "", &Config::fast_lane, 0, 0,
            "Statements by key take the short way round the planner; off only for tests and diagnosis."},
    Setting{"transaction_timeout_secs", "", &Config::transaction_timeout_s, 1, 24 * 3600,
            "How long a transaction may stay open."},
    Setting{"max_transaction_buffer_bytes", "", &Config::max_transaction_bytes, 1024, kGiB,
            "Memory for the writes of one transaction until it commits."},
    Setting{"rate_limit.max_queries_per_sec", "", &Config::max_queries_per_second, 0, 1'000'000,
            "Requests of one user; 0 means no bound."},
    Setting{"rate_limit.max_messages_per_sec", "", &Config::max_messages_per_second, 1, 1'000'000,
            "Messages on one WebSocket."},
    Setting{"rate_limit.max_subscriptions_per_user", "", &Config::max_subscriptions_per_user, 1, 1'000'000,
            "Live queries of one user of role `user`."},
    Setting{"rate_limit.max_auth_requests_per_ip_per_sec", "KALAMDB_RATE_LIMIT_AUTH_REQUESTS_PER_IP_PER_SEC",
            &Config::max_auth_requests_per_second, 0, 1'000'000, "Logins from one address; 0 means no bound."},
    Setting{"rate_limit.apply_to_loopback", "", &Config::rate_limit_loopback, 0, 0,
            "Rate limits hold for clients on this machine too."},
    Setting{"security.max_ws_message_size", "", &Config::max_ws_message_bytes, 1024, kGiB,
            "Size of one WebSocket message."},
    Setting{"security.strict_ws_origin_check", "", &Config::strict_ws_origin_check, 0, 0,
            "WebSocket clients must send an Origin."},
    Setting{"security.cors.allowed_origins", "KALAMDB_SECURITY_CORS_ALLOWED_ORIGINS", &Config::allowed_origins, 0, 0,
            "Origins that browsers may connect from; empty or `*` means any."},
    Setting{"websocket.client_timeout_secs", "KALAMDB_WEBSOCKET_CLIENT_TIMEOUT_SECS", &Config::client_timeout_s, 1,
            3600, "A socket without a frame for this long is closed."},
    Setting{"websocket.heartbeat_interval_secs", "KALAMDB_WEBSOCKET_HEARTBEAT_INTERVAL_SECS",
            &Config::heartbeat_interval_s, 1, 3600, "How often that is looked at."},
    Setting{"live.queue_bytes_per_connection", "", &Config::max_queued_bytes, 64 << 10, 1 << 30,
            "Changes that wait for a client to take them; with more it gets `LAGGED`, and later reads what it missed."},
    Setting{"live.queue_bytes_total", "", &Config::max_queued_bytes_total, 1 << 20, int64_t{1} << 40,
            "The same of all clients together: past it, those that have not taken everything get `LAGGED`."},
    Setting{"live.max_result_bytes", "", &Config::max_live_result_bytes, 64 << 10, int64_t{1} << 40,
            "Memory of one live query with ORDER BY or aggregates; past it, it ends with `RESULT_TOO_LARGE`."},
    Setting{"live.result_bytes_total", "", &Config::max_live_result_bytes_total, 64 << 10, int64_t{1} << 40,
            "The same of all such queries together: past it, the largest ends."},
    Setting{"live.result_linger_secs", "", &Config::live_result_linger_s, 0, 86'400,
            "How long such a query is kept up to date behind its last subscriber, so that one who comes back resumes."},
    Setting{"live.lag_timeout_secs", "", &Config::lag_timeout_s, 1, 3600,
            "How long such a client may take nothing before its socket is closed with 1013."},
    Setting{"websocket.auth_timeout_secs", "KALAMDB_WEBSOCKET_AUTH_TIMEOUT_SECS", &Config::auth_timeout_s, 1, 3600,
            "How long a socket may stay without authentication."},
    Setting{"flush.check_interval_seconds", "", &Config::flush_check_interval_s, 1, 3600,
            "How often tables are looked at for flush policies."},
    Setting{"flush.at_shutdown", "", &Config::flush_at_shutdown, 0, 0,
            "The server flushes all tables before it stops."},
    Setting{
        "flush.job_shutdown_timeout_seconds", "", &Config::shutdown_flush_timeout_s, 1, 24 * 3600,
        "How long that may take, and how long running jobs may go on; what is not flushed by then stays hot, and what "
        "has not ended goes on at the next start."},
    Setting{"jobs.max_concurrent", "", &Config::max_concurrent_jobs, 3, 1000,
            "Background jobs that run at a time; each of the three queues has at least one of these places."},
    Setting{"jobs.max_retries", "", &Config::max_job_retries, 0, 1000,
            "How often a job is tried again after an error that may pass."},
    Setting{"jobs.retry_backoff_ms", "", &Config::job_retry_backoff_ms, 1, 3'600'000,
            "How long it waits before the first time; before each further one twice as long."},
    Setting{"jobs.retention_days", "", &Config::job_retention_days, 1, 3650,
            "How long jobs that have ended stay in `system.jobs`."},
    Setting{"jobs.cleanup_interval_seconds", "", &Config::cleanup_interval_s, 1, 7 * 86400,
            "How often old jobs and dropped users are looked for."},
    Setting{
        "user_management.deletion_grace_period_days", "", &Config::deletion_grace_days, 0, 3650,
        "How long ALTER USER … RESTORE brings a dropped user back; then a job removes the user and all of their rows."},
    Setting{"stream.eviction_interval_seconds", "", &Config::eviction_interval_s, 1, 86400,
            "How often STREAM tables are looked at for rows that are to go."},
    Setting{"stream.eviction_batch_size", "", &Config::eviction_batch_size, 1, 1'000'000,
            "Rows that an eviction removes at a time; fewer that have expired wait up to an hour."},
    Setting{"retention.check_interval_seconds", "", &Config::retention_check_interval_s, 1, 7 * 86400,
            "How often tables are looked at for deleted rows past their retention."},
    Setting{"retention.batch_size", "", &Config::retention_batch_size, 1, 1'000'000,
            "Deleted rows that are removed at a time."},
    Setting{"manifest.eviction_interval_seconds", "", &Config::manifest_eviction_interval_s, 1, 30 * 86400,
            "How often manifests without segments are removed."},
    Setting{"manifest.eviction_ttl_days", "", &Config::manifest_ttl_days, 0, 3650,
            "How long manifests stay that have no segments any more, as those of removed users."},
    Setting{"compaction.max_small_segments", "", &Config::max_small_segments, 0, 31,
            "Small segments that a table, or a user of it, may have; a flush that leaves more starts a compaction; 0 "
            "means that none starts by itself."},
    Setting{"stream.default_ttl_seconds", "", &Config::stream_ttl_s, 1, 10LL * 365 * 24 * 3600,
            "How long STREAM rows live where the table does not say."},
    Setting{"retention.default_deleted_retention_hours", "", &Config::deleted_retention_h, 0, 10LL * 365 * 24,
            "How long deleted rows stay readable (`_deleted = true`) where the table does not say; then VACUUM removes "
            "them."},
};

std::unexpected<Error> invalid(std::string message) { return fail(ErrorCode::kInvalidInput, std::move(message)); }

// Levenshtein distance, for "did you mean".
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = std::exchange(row[j], std::min({row[j] + 1, row[j - 1] + 1, replaced}));
    }
  }
  return row.back();
}

std::string_view nearest_key(std::string_view key) {
  return std::ranges::min_element(kSettings, {},
                                  [&](const Setting& setting) { return edit_distance(setting.key, key); })
      ->key;
}

Result<> set_number(const Setting& setting, int64_t Config::*member, int64_t value, Config& config) {
  if (value < setting.min || value > setting.max) {
    return invalid(std::string(setting.key) + " is " + std::to_string(value) + "; it must be from " +
                   std::to_string(setting.min) + " to " + std::to_string(setting.max));
  }
  config.*member = value;
  return {};
}

Result<> set_from_toml(const Setting& setting, const toml::node& node, Config& config) {
  if (const auto* text = std::get_if<std::string Config::*>(&setting.member); text != nullptr && node.is_string()) {
    config.** text = node.as_string()->get();
  } else if (const auto* number = std::get_if<int64_t Config::*>(&setting.member);
             number != nullptr && node.is_integer()) {
    return set_number(setting, *number, node.as_integer()->get(), config);
  } else if (const auto* flag = std::get_if<bool Config::*>(&setting.member); flag != nullptr && node.is_boolean()) {
    config.** flag = node.as_boolean()->get();
  } else if (const auto* list = std::get_if<std::vector<std::string> Config::*>(&setting.member);
             list != nullptr && node.is_array()) {
    (config.**list).clear();
    for (const auto& element : *node.as_array()) {
      if (!element.is_string()) return invalid(std::string(setting.key) + " must be a list of strings");
      (config.**list).push_back(element.as_string()->get());
    }
  } else {
    return invalid(std::string(setting.key) + " has a value of the wrong type");
  }
  return {};
}

Result<> set_from_text(const Setting& setting, std::string_view text, Config& config) {
  if (const auto* member = std::get_if<std::string Config::*>(&setting.member)) {
    config.** member = text;
    return {};
  }
  if (const auto* member = std::get_if<bool Config::*>(&setting.member)) {
    if (text != "true" && text != "false" && text != "1" && text != "0") {
      return invalid(std::string(setting.environment) + " must be true or false");
    }
    config.** member = text == "true" || text == "1";
    return {};
  }
  if (const auto* member = std::get_if<std::vector<std::string> Config::*>(&setting.member)) {
    (config.**member).clear();
    while (!text.empty()) {
      const size_t comma = std::min(text.find(','), text.size());
      if (comma > 0) (config.**member).emplace_back(text.substr(0, comma));
      text.remove_prefix(std::min(comma + 1, text.size()));
    }
    return {};
  }
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) {
    return invalid(std::string(setting.environment) + " must be a whole number");
  }
  return set_number(setting, std::get<int64_t Config::*>(setting.member), value, config);
}

Result<> apply_table(const toml::table& table, const std::string& prefix, Config& config) {
  for (const auto& [name, node] : table) {
    std::string key = prefix + std::string(name.str());
    if (node.is_table()) {
      KALAM_CHECK(apply_table(*node.as_table(), key + ".", config));
      continue;
    }
    constexpr std::string_view kLegacyAuth = "authentication.";
    if (key.starts_with(kLegacyAuth)) key = "auth." + key.substr(kLegacyAuth.size());
    const auto* setting = std::ranges::find(kSettings, key, &Setting::key);
    if (setting == kSettings.end()) {
      return invalid("unknown setting '" + key + "'; did you mean '" + std::string(nearest_key(key)) + "'?");
    }
    KALAM_CHECK(set_from_toml(*setting, node, config));
  }
  return {};
}

Result<> read_file(const std::string& path, Config& config) {
  const std::string file = path.empty() ? "server.toml" : path;
  if (!std::filesystem::exists(file)) {
    if (path.empty()) return {};
    return invalid("the configuration file " + path + " does not exist");
  }
  try {
    if (auto applied = apply_table(toml::parse_file(file), "", config); !applied) {
      return invalid(file + ": " + applied.error().message);
    }
  } catch (const toml::parse_error& error) {
    return invalid(file + ", line " + std::to_string(error.source().begin.line) + ": " +
                   std::string(error.description()));
  }
  return {};
}

Result<> check(const Config& config) {
  if (auto valid = cold::validate_shared_template(config.shared_tables_template); !valid) {
    return invalid("storage.shared_tables_template: " + valid.error().message);
  }
  if (auto valid = cold::validate_user_template(config.user_tables_template); !valid) {
    return invalid("storage.user_tables_template: " + valid.error().message);
  }
  if (config.durability != "fsync" && config.durability != "os") {
    return invalid("storage.durability is '" + config.durability + "'; it must be fsync or os");
  }
  constexpr std::array<std::string_view, 4> kLevels{"debug", "info", "warn", "error"};
  if (std::ranges::find(kLevels, config.log_level) == kLevels.end()) {
    return invalid("logging.level is '" + config.log_level + "'; it must be debug, info, warn or error");
  }
  if (!config.jwt_secret.empty() && config.jwt_secret.size() < 32) {
    return invalid("auth.jwt_secret has " + std::to_string(config.jwt_secret.size()) +
                   " bytes; it must have at least 32, or be left out to have one generated");
  }
  const bool local = config.host == "127.0.0.1" || config.host == "localhost" || config.host == "::1";
  if (!local && config.allowed_origins.empty()) {
    return invalid("server.host is '" + config.host +
                   "', which others can reach: list the origins that browsers may connect from in "
                   "security.cors.allowed_origins (\"*\" for any)");
  }
  return {};
}

}  // namespace

Result<Config> load_config(const std::string& path) {
  Config config;
  KALAM_CHECK(read_file(path, config));
  for (const Setting& setting : kSettings) {
    if (setting.environment.empty()) continue;
    if (const char* text = std::getenv(std::string(setting.environment).c_str())) {
      KALAM_CHECK(set_from_text(setting, text, config));
    }
  }
  KALAM_CHECK(check(config));
  return config;
}

std::vector<query::SettingValue> list_settings(const Config& config) {
  std::vector<query::SettingValue> settings;
  for (const Setting& setting : kSettings) {
    std::string value;
    if (const auto* text = std::get_if<std::string Config::*>(&setting.member)) value = config.**text;
    if (const auto* number = std::get_if<int64_t Config::*>(&setting.member)) value = std::to_string(config.**number);
    if (const auto* flag = std::get_if<bool Config::*>(&setting.member)) value = config.**flag ? "true" : "false";
    if (const auto* list = std::get_if<std::vector<std::string> Config::*>(&setting.member)) {
      for (const auto& element : config.**list) value += (value.empty() ? "" : ",") + element;
    }
    const bool secret = setting.key.ends_with("secret") || setting.key.ends_with("password");
    if (secret && !value.empty()) value = "***";
    settings.push_back({std::string(setting.key), std::move(value), std::string(setting.meaning)});
  }
  return settings;
}

std::string describe_settings() {
  const Config defaults;
  std::string out = "| setting | default | environment | meaning |\n| --- | --- | --- | --- |\n";
  for (const Setting& setting : kSettings) {
    std::string value;
    if (const auto* text = std::get_if<std::string Config::*>(&setting.member)) value = "\"" + defaults.**text + "\"";
    if (const auto* number = std::get_if<int64_t Config::*>(&setting.member)) value = std::to_string(defaults.**number);
    if (const auto* flag = std::get_if<bool Config::*>(&setting.member)) value = defaults.**flag ? "true" : "false";
    if (std::holds_alternative<std::vector<std::string> Config::*>(setting.member)) value = "[]";
    out += "| `" + std::string(setting.key) + "` | `" + value + "` | ";
    if (!setting.environment.empty()) out += "`" + std::string(setting.environment) + "`";
    out += " | " + std::string(setting.meaning) + " |\n";
  }
  return out;
}

}  // namespace kalamdb::server
