// The server's configuration: a TOML file, overridden by the environment. Every setting is declared once, in the table
// in config.cc, from which parsing, validation and docs/configuration.md follow.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cold/path_template.h"
#include "query/server_facts.h"

namespace kalamdb::server {

struct Config {
  std::string host = "127.0.0.1";
  int64_t port = 8080;
  int64_t io_threads = 0;
  int64_t node_number = 1;
  std::string data_path = "./data";
  std::string durability = "fsync";
  std::string log_level = "info";
  std::string log_path;
  std::string jwt_secret;
  int64_t jwt_expiry_hours = 24;
  std::string root_password;
  int64_t bcrypt_cost = 12;
  int64_t min_password_length = 8;
  bool enforce_password_complexity = false;
  bool allow_common_passwords = false;
  bool cookie_secure = true;
  bool allow_remote_setup = false;
  bool allow_basic = true;
  int64_t lockout_attempts = 5;
  int64_t lockout_minutes = 15;
  int64_t max_connections = 100'000;
  int64_t keepalive_timeout_s = 75;
  int64_t worker_threads = 8;
  int64_t max_request_bytes = 10 << 20;
  int64_t max_result_rows = 0;
  int64_t max_result_bytes = 1 << 30;
  int64_t query_memory_bytes = 0;
  int64_t max_nesting = 200;
  int64_t max_parameters = 50;
  int64_t max_parameter_bytes = 512 << 10;
  int64_t statement_timeout_s = 30;
  bool fast_lane = true;
  int64_t max_statement_bytes = 512 << 20;
  int64_t transaction_timeout_s = 300;
  int64_t max_transaction_bytes = 100 << 20;
  int64_t max_queries_per_second = 100;
  int64_t max_messages_per_second = 50;
  int64_t max_subscriptions_per_user = 10;
  int64_t max_subscriptions_per_connection = 100;
  int64_t max_auth_requests_per_second = 20;
  bool rate_limit_loopback = false;
  int64_t max_ws_message_bytes = 1 << 20;
  bool strict_ws_origin_check = false;
  std::vector<std::string> allowed_origins;
  int64_t client_timeout_s = 10;
  int64_t heartbeat_interval_s = 5;
  int64_t auth_timeout_s = 3;
  int64_t max_queued_bytes = 4 << 20;
  int64_t max_queued_bytes_total = 1 << 30;
  int64_t max_live_result_bytes = 256 << 20;
  int64_t max_live_result_bytes_total = 1 << 30;
  int64_t live_result_linger_s = 60;
  int64_t lag_timeout_s = 60;
  int64_t flush_check_interval_s = 60;
  int64_t stream_ttl_s = 10;
  int64_t deleted_retention_h = 168;
  int64_t block_cache_bytes = 256 << 20;
  int64_t segment_metadata_bytes = 64 << 20;
  int64_t write_buffer_bytes = 64 << 20;
  int64_t min_free_bytes = 256 << 20;
  std::string shared_tables_template{cold::kDefaultSharedTemplate};
  std::string user_tables_template{cold::kDefaultUserTemplate};
  int64_t user_shards = cold::kDefaultUserShards;
  bool flush_at_shutdown = false;
  int64_t shutdown_flush_timeout_s = 300;
  int64_t max_concurrent_jobs = 10;
  int64_t max_job_retries = 3;
  int64_t job_retry_backoff_ms = 1000;
  int64_t job_retention_days = 30;
  int64_t retention_check_interval_s = 3600;
  int64_t retention_batch_size = 1000;
  int64_t eviction_interval_s = 60;
  int64_t eviction_batch_size = 10'000;
  int64_t deletion_grace_days = 30;
  int64_t cleanup_interval_s = 3600;
  int64_t manifest_eviction_interval_s = 86'400;
  int64_t manifest_ttl_days = 7;
  int64_t max_small_segments = 8;
  int64_t s3_cache_bytes = 1 << 30;
  bool allow_private_endpoints = false;
  int64_t schema_cache_size = 1000;
};

// Reads `path` (empty: ./server.toml if it is there, else defaults), then the environment, and checks the whole.
// Errors: kInvalidInput, one line naming file, key, reason and remedy; an unknown key names the nearest known one.
Result<Config> load_config(const std::string& path);

// What `config` holds, for system.settings; secrets are ***.
std::vector<query::SettingValue> list_settings(const Config& config);

// The settings as a Markdown table: what docs/configuration.md holds.
std::string describe_settings();

}  // namespace kalamdb::server
