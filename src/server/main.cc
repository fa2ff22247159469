// kalamdb [--config FILE | FILE] | --settings | --version
#include <pthread.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <string>

#include <spdlog/sinks/rotating_file_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>

#include "base/log.h"
#include "server/server.h"

namespace {

using kalamdb::server::Config;
using kalamdb::server::Server;

// Standard error always; a rotated file as well where the configuration names a directory.
void start_logging(const Config& config) {
  std::vector<spdlog::sink_ptr> sinks{std::make_shared<spdlog::sinks::stderr_color_sink_mt>()};
  if (!config.log_path.empty()) {
    constexpr size_t kFileBytes = 64 << 20;
    constexpr size_t kFiles = 5;
    sinks.push_back(
        std::make_shared<spdlog::sinks::rotating_file_sink_mt>(config.log_path + "/server.log", kFileBytes, kFiles));
  }
  auto logger = std::make_shared<spdlog::logger>("kalamdb", sinks.begin(), sinks.end());
  logger->set_level(spdlog::level::from_str(config.log_level));
  logger->flush_on(spdlog::level::warn);
  spdlog::set_default_logger(std::move(logger));
}

int refuse(const std::string& reason) {
  std::fprintf(stderr, "kalamdb: %s\n", reason.c_str());
  return 1;
}

// Blocked here and inherited by every thread, so that only wait_for_stop() sees them.
sigset_t block_stop_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  // A write past a file size limit is an error like a full disk, not the end of the process.
  std::signal(SIGXFSZ, SIG_IGN);
  return signals;
}

// Every connection is a descriptor: takes as many as the system lets this process have.
void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

int serve(const std::string& config_path) {
  const auto config = kalamdb::server::load_config(config_path);
  if (!config) return refuse(config.error().message);
  const sigset_t signals = block_stop_signals();
  raise_descriptor_limit();
  try {
    start_logging(*config);
  } catch (const spdlog::spdlog_ex& error) {
    return refuse(std::string("cannot log to logging.logs_path: ") + error.what());
  }
  auto server = Server::start(*config);
  if (!server) return refuse(server.error().message);
  std::printf("KalamDB listening on %s\n", (*server)->url().c_str());
  if (const std::string hint = (*server)->setup_hint(); !hint.empty()) std::printf("%s\n", hint.c_str());
  std::fflush(stdout);
  int signal = 0;
  sigwait(&signals, &signal);
  kalamdb::log::info("stopping");
  (*server)->stop();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("KalamDB: SQL over HTTP, live queries over WebSocket");
  std::string config_path;
  bool settings = false;
  app.add_option("config,-c,--config", config_path, "Configuration file (default: ./server.toml if it exists)");
  app.add_flag("--settings", settings, "Print every setting with its default, and exit");
  app.set_version_flag("--version", "kalamdb " KALAMDB_VERSION);
  CLI11_PARSE(app, argc, argv);
  if (settings) {
    std::printf("%s", kalamdb::server::describe_settings().c_str());
    return 0;
  }
  return serve(config_path);
}
