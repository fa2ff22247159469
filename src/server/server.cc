#include "server/server.h"

#include <algorithm>
#include <filesystem>
#include <mutex>
#include <thread>

#include "api/api.h"
#include "api/live_session.h"
#include "auth/secret.h"
#include "base/log.h"
#include "catalog/catalog.h"
#include "duck/engine.h"
#include "net/server.h"
#include "platform/file_system.h"
#include "query/maintenance.h"
#include "query/schedule.h"
#include "query/user_export.h"
#include "storage/storage.h"

namespace kalamdb::server {

namespace {

live::ResultLimits result_limits(const Config& config) {
  return {.max_bytes = static_cast<size_t>(config.max_live_result_bytes),
          .max_bytes_total = static_cast<size_t>(config.max_live_result_bytes_total),
          .linger_us = config.live_result_linger_s * 1'000'000};
}

}  // namespace

// Members are in the order in which they start: each may use those above it.
struct Server::Parts {
  explicit Parts(const Config& settings) : config(settings), files(static_cast<uint64_t>(settings.min_free_bytes)) {}

  Config config;
  platform::SystemClock clock;
  platform::SystemRandom random;
  platform::RealFileSystem files;
  std::string data_directory;

  std::unique_ptr<platform::SnowflakeGenerator> ids;
  std::unique_ptr<duck::Engine> engine;
  live::Hub hub{clock, result_limits(config)};
  std::unique_ptr<storage::Storage> storage;
  std::unique_ptr<catalog::Catalog> catalog;
  std::unique_ptr<jobs::JobManager> jobs;
  query::OpenTransactions transactions;
  std::unique_ptr<query::QueryService> queries;
  std::jthread schedule;

  std::unique_ptr<auth::CatalogAccounts> accounts;
  std::unique_ptr<auth::TokenSigner> signer;
  std::unique_ptr<auth::HashPool> hash_pool;
  std::unique_ptr<auth::PasswordCheck> passwords;
  std::unique_ptr<auth::Authenticator> authenticator;
  std::unique_ptr<auth::Login> login;
  std::unique_ptr<auth::RateLimiter> user_limiter;

  std::unique_ptr<platform::WorkerPool> workers;
  std::unique_ptr<api::Services> api;
  std::unique_ptr<net::Server> http;

  // Also after a start that failed half-way: jobs and the schedule use what is below them.
  ~Parts() {
    schedule = {};
    if (jobs != nullptr) jobs->stop();
  }

  Result<> open_engine();
  Result<> open_storage();
  Result<> open_catalog();
  std::shared_ptr<const query::ServerFacts> server_facts();
  Result<> start_jobs();
  Result<> open_auth();
  Result<> set_root_password();
  Result<> listen();
  void flush_all();
};

namespace {

auth::PasswordPolicy password_policy(const Config& config) {
  auth::PasswordPolicy policy;
  policy.min_bytes = static_cast<size_t>(config.min_password_length);
  policy.allow_common = config.allow_common_passwords;
  policy.enforce_complexity = config.enforce_password_complexity;
  return policy;
}

query::QueryLimits query_limits(const Config& config) {
  query::QueryLimits limits;
  limits.max_parameters = static_cast<uint32_t>(config.max_parameters);
  limits.max_parameter_bytes = static_cast<uint64_t>(config.max_parameter_bytes);
  limits.statement_timeout_ms = config.statement_timeout_s * 1000;
  limits.fast_lane = config.fast_lane;
  limits.default_stream_ttl_seconds = static_cast<uint64_t>(config.stream_ttl_s);
  limits.default_deleted_retention_hours = static_cast<uint64_t>(config.deleted_retention_h);
  limits.retention_batch_size = static_cast<uint64_t>(config.retention_batch_size);
  limits.eviction_batch_size = static_cast<uint64_t>(config.eviction_batch_size);
  limits.deletion_grace_days = static_cast<uint64_t>(config.deletion_grace_days);
  limits.job_retention_days = static_cast<uint64_t>(config.job_retention_days);
  limits.manifest_ttl_days = static_cast<uint64_t>(config.manifest_ttl_days);
  limits.bcrypt_cost = static_cast<unsigned>(config.bcrypt_cost);
  limits.passwords = password_policy(config);
  limits.max_statement_bytes = static_cast<uint64_t>(config.max_statement_bytes);
  limits.transactions.max_age_ms = config.transaction_timeout_s * 1000;
  limits.transactions.max_bytes = static_cast<uint64_t>(config.max_transaction_bytes);
  return limits;
}

query::ScheduleOptions schedule_options(const Config& config) {
  return {.flush_interval_s = config.flush_check_interval_s,
          .eviction_interval_s = config.eviction_interval_s,
          .retention_interval_s = config.retention_check_interval_s,
          .cleanup_interval_s = config.cleanup_interval_s,
          .manifest_eviction_interval_s = config.manifest_eviction_interval_s};
}

api::ApiOptions api_options(const Config& config) {
  api::ApiOptions options;
  options.max_result_rows = static_cast<uint64_t>(config.max_result_rows);
  options.max_result_bytes = static_cast<uint64_t>(config.max_result_bytes);
  options.max_nesting = static_cast<size_t>(config.max_nesting);
  options.cookie_secure = config.cookie_secure;
  options.max_subscriptions_per_connection = static_cast<uint32_t>(config.max_subscriptions_per_connection);
  options.max_subscriptions_per_user = static_cast<uint32_t>(config.max_subscriptions_per_user);
  options.max_messages_per_second = static_cast<uint32_t>(config.max_messages_per_second);
  options.auth_timeout_ms = config.auth_timeout_s * 1000;
  options.max_queued_bytes = static_cast<size_t>(config.max_queued_bytes);
  options.max_queued_bytes_total = static_cast<size_t>(config.max_queued_bytes_total);
  options.lag_timeout_ms = config.lag_timeout_s * 1000;
  options.max_message_bytes = static_cast<size_t>(config.max_ws_message_bytes);
  options.allowed_origins = config.allowed_origins;
  options.strict_origin_check = config.strict_ws_origin_check;
  options.rate_limit_loopback = config.rate_limit_loopback;
  return options;
}

}  // namespace

Result<> Server::Parts::open_engine() {
  std::error_code error;
  data_directory = std::filesystem::absolute(config.data_path, error).lexically_normal().string();
  KALAM_CHECK(files.create_directories(data_directory));
  ids = std::make_unique<platform::SnowflakeGenerator>(clock, static_cast<uint16_t>(config.node_number), 0);
  duck::EngineOptions options;
  options.memory_bytes = static_cast<uint64_t>(config.query_memory_bytes);
  options.temp_directory = data_directory + "/tmp";
  options.segment_metadata_bytes = static_cast<uint64_t>(config.segment_metadata_bytes);
  options.generators.snowflake_id = [this] { return ids->next(); };
  options.generators.uuid_v7 = [this] { return platform::make_uuid_v7(clock, random); };
  options.generators.ulid = [this] { return platform::make_ulid(clock, random); };
  KALAM_TRY(engine, duck::Engine::create(std::move(options)));
  return {};
}

Result<> Server::Parts::open_storage() {
  storage::StorageOptions options;
  options.data_directory = data_directory;
  options.durability = config.durability == "os" ? storage::Durability::kOs : storage::Durability::kFsync;
  options.node_number = static_cast<uint16_t>(config.node_number);
  options.max_small_segments = static_cast<uint64_t>(config.max_small_segments);
  options.hot.block_cache_bytes = static_cast<uint64_t>(config.block_cache_bytes);
  options.hot.write_buffer_bytes = static_cast<uint64_t>(config.write_buffer_bytes);
  // At least half of the threads stay for statements that need no service.
  options.remote_reads.max_stuck = static_cast<size_t>(std::max<int64_t>(config.worker_threads / 2, 1));
  options.storages.shared_template = config.shared_tables_template;
  options.storages.user_template = config.user_tables_template;
  options.storages.user_shards = static_cast<uint32_t>(config.user_shards);
  options.storages.s3_cache_bytes = static_cast<uint64_t>(config.s3_cache_bytes);
  options.storages.allow_private_endpoints = config.allow_private_endpoints;
  KALAM_TRY(storage, storage::Storage::open(std::move(options), files, clock, random, *engine));
  KALAM_TRY(auto system_changes, query::SystemChanges::open(*storage));
  hub.set_system_changes(std::move(system_changes));
  storage->add_listener([this](const storage::ChangeSetPtr& changes) { hub.publish(changes); });
  return {};
}

Result<> Server::Parts::open_catalog() {
  KALAM_TRY(catalog, catalog::Catalog::open(*storage, clock, static_cast<size_t>(config.schema_cache_size)));
  catalog->set_user_listener([this](const catalog::UserPtr& user) { hub.user_changed(*user); });
  return {};
}

std::shared_ptr<const query::ServerFacts> Server::Parts::server_facts() {
  auto facts = std::make_shared<query::ServerFacts>();
  facts->started_at_us = clock.now_us();
  facts->version = api::kServerVersion;
  facts->node_number = config.node_number;
  facts->data_directory = data_directory;
  facts->settings = list_settings(config);
  facts->live_queries = &hub;
  facts->counters = [this] {
    return std::vector<std::pair<std::string, std::string>>{{"total_live_queries", std::to_string(hub.size())},
                                                            {"live_lagged_total", std::to_string(hub.lagged())}};
  };
  return facts;
}

Result<> Server::Parts::start_jobs() {
  jobs::JobOptions options;
  options.max_concurrent = static_cast<size_t>(config.max_concurrent_jobs);
  options.max_retries = static_cast<uint32_t>(config.max_job_retries);
  options.retry_backoff_ms = config.job_retry_backoff_ms;
  options.shutdown_timeout_ms = config.shutdown_flush_timeout_s * 1000;
  options.node_number = config.node_number;
  if (!config.log_path.empty()) options.log_file = config.log_path + "/jobs.log";
  try {
    jobs = std::make_unique<jobs::JobManager>(*storage, clock, random, std::move(options));
  } catch (const spdlog::spdlog_ex& error) {
    return fail(ErrorCode::kIo, std::string("cannot log to logging.logs_path: ") + error.what());
  }
  queries = std::make_unique<query::QueryService>(query::Services{
      *catalog, *storage, *engine, *jobs, clock, random, *ids, transactions, query_limits(config), server_facts()});
  query::register_executors(queries->services(), *jobs);
  KALAM_CHECK(jobs->start());
  if (const auto removed = query::remove_exports(queries->services(), std::nullopt); !removed) {
    log::warn("exports: {}", removed.error().message);
  }
  schedule = std::jthread([this](const std::stop_token& stop) {
    query::Schedule recurring(queries->services(), schedule_options(config));
    std::mutex mutex;
    std::condition_variable_any wake;
    std::unique_lock lock(mutex);
    while (!stop.stop_requested()) {
      wake.wait_for(lock, stop, std::chrono::microseconds(recurring.run_due()), [] { return false; });
    }
  });
  return {};
}

Result<> Server::Parts::set_root_password() {
  const catalog::UserPtr root = catalog->find_user("root");
  if (config.root_password.empty() || root == nullptr || !root->password_hash.empty()) return {};
  if (auto strong = auth::check_password(config.root_password, password_policy(config)); !strong) {
    return fail(ErrorCode::kInvalidInput, "the root password is refused: " + strong.error().message);
  }
  KALAM_TRY(const std::string hash,
            auth::hash_password(config.root_password, static_cast<unsigned>(config.bcrypt_cost), random));
  KALAM_CHECK(catalog->change_user("root", [&](catalog::User& user) { user.password_hash = hash; }));
  return {};
}

Result<> Server::Parts::open_auth() {
  KALAM_CHECK(set_root_password());
  std::string secret = config.jwt_secret;
  if (secret.empty()) {
    KALAM_TRY(secret, auth::load_or_create_jwt_secret(*catalog, random));
  }
  accounts = std::make_unique<auth::CatalogAccounts>(*catalog);
  KALAM_TRY(signer, auth::TokenSigner::create(secret));
  hash_pool = std::make_unique<auth::HashPool>();
  const auto cost = static_cast<unsigned>(config.bcrypt_cost);
  passwords = std::make_unique<auth::PasswordCheck>(
      *accounts, *hash_pool, clock,
      auth::LockoutOptions{static_cast<uint32_t>(config.lockout_attempts), config.lockout_minutes}, cost);
  auth::AuthOptions options;
  options.allow_basic = config.allow_basic;
  options.auth_requests_per_second = static_cast<uint32_t>(config.max_auth_requests_per_second);
  options.rate_limit_loopback = config.rate_limit_loopback;
  authenticator = std::make_unique<auth::Authenticator>(*accounts, *signer, *passwords, clock, random, options);
  login = std::make_unique<auth::Login>(
      *accounts, *signer, *passwords, *authenticator, *hash_pool, clock, random,
      auth::LoginOptions{config.jwt_expiry_hours, cost, config.allow_remote_setup, password_policy(config)});
  user_limiter = std::make_unique<auth::RateLimiter>(clock, static_cast<uint32_t>(config.max_queries_per_second));
  return {};
}

Result<> Server::Parts::listen() {
  workers = std::make_unique<platform::WorkerPool>(static_cast<unsigned>(config.worker_threads), 10'000);
  api = std::make_unique<api::Services>(api::Services{*queries, *authenticator, *login, *user_limiter, hub, *workers,
                                                      clock, random, api_options(config)});
  net::ServerOptions options;
  options.host = config.host;
  options.port = static_cast<uint16_t>(config.port);
  options.io_threads = static_cast<unsigned>(config.io_threads);
  options.max_connections = static_cast<size_t>(config.max_connections);
  options.max_body_bytes = static_cast<size_t>(config.max_request_bytes);
  options.idle_timeout_ms = config.keepalive_timeout_s * 1000;
  options.websocket.max_message_bytes = static_cast<size_t>(config.max_ws_message_bytes);
  options.websocket.client_timeout_ms = config.client_timeout_s * 1000;
  options.websocket.heartbeat_interval_ms = config.heartbeat_interval_s * 1000;
  KALAM_TRY(http, net::Server::listen(
                      options, [this](api::ExchangePtr exchange) { api::handle_request(*api, std::move(exchange)); },
                      "/v1/ws", [this](const net::HttpRequest& request) { return api::check_origin(*api, request); },
                      [this](std::shared_ptr<net::WebSocketConnection> connection, const net::HttpRequest& request) {
                        return api::make_live_session(*api, std::move(connection), request);
                      }));
  return {};
}

// Before the storage stops, when nothing writes any more.
void Server::Parts::flush_all() {
  const int64_t deadline_us = clock.monotonic_us() + config.shutdown_flush_timeout_s * 1'000'000;
  const auto tables = catalog->tables();
  if (!tables) return log::error("nothing was flushed before the end: {}", tables.error().message);
  for (const auto& table : *tables) {
    if (table->is_view() || table->type == model::TableType::kStream || storage->pending_rows(table->id) == 0) continue;
    if (clock.monotonic_us() >= deadline_us) {
      return log::warn("not all tables were flushed within flush.job_shutdown_timeout_seconds; their rows stay hot");
    }
    if (auto flushed = storage->flush(table); !flushed) {
      log::warn("{} was not flushed, its rows stay hot: {}", table->qualified_name(), flushed.error().message);
    }
  }
}

Result<std::unique_ptr<Server>> Server::start(const Config& config) {
  auto parts = std::make_unique<Parts>(config);
  KALAM_CHECK(parts->open_engine());
  KALAM_CHECK(parts->open_storage());
  KALAM_CHECK(parts->open_catalog());
  KALAM_CHECK(parts->start_jobs());
  KALAM_CHECK(parts->open_auth());
  KALAM_CHECK(parts->listen());
  return std::unique_ptr<Server>(new Server(std::move(parts)));
}

Server::Server(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

Server::~Server() { stop(); }

std::string Server::url() const {
  const bool ipv6 = parts_->config.host.find(':') != std::string::npos;
  const std::string host = ipv6 ? "[" + parts_->config.host + "]" : parts_->config.host;
  return "http://" + host + ":" + std::to_string(parts_->http->port());
}

std::string Server::setup_hint() const {
  if (!parts_->login->needs_setup()) return {};
  return "Root has no password yet, so nobody can log in. Set one from this machine with\n"
         "  curl -X POST " +
         url() +
         "/v1/api/auth/setup -H 'Content-Type: application/json' \\\n"
         "    -d '{\"user\":\"admin\",\"password\":\"…\",\"root_password\":\"…\"}'\n"
         "or start the server with KALAMDB_ROOT_PASSWORD in its environment.";
}

void Server::stop() {
  constexpr int64_t kGraceMs = 5'000;
  if (parts_->http == nullptr) return;
  parts_->http->stop(kGraceMs);
  parts_->storage->stop_remote_reads();
  parts_->workers->stop();
  parts_->hash_pool->stop();
  parts_->schedule = {};
  parts_->jobs->stop();
  if (parts_->config.flush_at_shutdown) parts_->flush_all();
  parts_->storage->stop();
  parts_->hub.stop();
  parts_->http.reset();
}

}  // namespace kalamdb::server
