// kalam: the terminal client. Reads the command line, logs in, and hands over to the shell, a live view or an import.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <optional>
#include <string>

#include "cli/import.h"
#include "cli/prompt.h"
#include "cli/session.h"
#include "cli/settings.h"
#include "cli/shell.h"
#include "cli/text.h"
#include "cli/url.h"

namespace kalamdb::cli {
namespace {

struct Arguments {
  UrlOptions url;
  LoginOptions login;
  std::string command;
  std::string file;
  std::string subscription;
  std::optional<std::string> format;
  std::string config_path = (kalam_directory() / "config.toml").string();
  bool json = false;
  bool csv = false;
  bool no_color = false;
  bool verbose = false;
  bool show_credentials = false;
  bool update_credentials = false;
  bool delete_credentials = false;
  bool list_instances = false;
  std::optional<int64_t> timeout_s;
  int64_t connection_timeout_s = 10;
  LiveOptions live;
  ImportOptions import;
};

void add_connection_options(CLI::App& app, Arguments& arguments) {
  constexpr const char* kGroup = "Connection";
  app.add_option("-u,--url", arguments.url.url, "Server, like http://localhost:8080")->group(kGroup);
  app.add_option("-H,--host", arguments.url.host, "Server's host (port 3000 unless --port says otherwise)")
      ->group(kGroup);
  app.add_option("-p,--port", arguments.url.port, "Server's port")->group(kGroup);
  app.add_option("--token", arguments.login.token, "Access token (JWT)")->group(kGroup);
  app.add_option("--user", arguments.login.user, "User to log in as")->group(kGroup);
  app.add_option("--password", arguments.login.password, "Password; asked for when empty and a terminal is there")
      ->expected(0, 1)
      ->group(kGroup);
  app.add_option("--instance", arguments.login.instance, "Name under which credentials are kept")
      ->capture_default_str()
      ->group(kGroup);
  app.add_option("--config", arguments.config_path, "Configuration file")->capture_default_str()->group(kGroup);
  app.add_option("--timeout,--receive-timeout", arguments.timeout_s, "Seconds to wait for an answer (30)")
      ->check(CLI::PositiveNumber)
      ->group(kGroup);
  app.add_option("--connection-timeout", arguments.connection_timeout_s, "Seconds to wait for a connection")
      ->check(CLI::PositiveNumber)
      ->capture_default_str()
      ->group(kGroup);
}

void add_action_options(CLI::App& app, Arguments& arguments) {
  app.add_option("-c,--command", arguments.command, "Run SQL or a backslash command, and leave");
  app.add_option("-f,--file", arguments.file, "Run a script, and leave (- = standard input)");
  app.add_option("--subscribe", arguments.subscription, "Show a live view of a SELECT, and leave");
  app.add_option("--format", arguments.format, "table, json or csv")->check(CLI::IsMember({"table", "json", "csv"}));
  app.add_flag("--json", arguments.json, "The same as --format json");
  app.add_flag("--csv", arguments.csv, "The same as --format csv");
  app.add_flag("--no-color", arguments.no_color, "No colours");
  app.add_flag("-v,--verbose", arguments.verbose, "Say what is being done");
  constexpr const char* kLive = "Live view";
  app.add_option("--max-changes", arguments.live.max_changes, "End after so many changes")
      ->check(CLI::NonNegativeNumber)
      ->group(kLive);
  app.add_option("--subscription-timeout", arguments.live.duration_s, "End after so many seconds (0 = never)")
      ->check(CLI::NonNegativeNumber)
      ->group(kLive);
  app.add_option("--auth-timeout", arguments.live.auth_timeout_s, "Seconds to wait for the login")
      ->check(CLI::PositiveNumber)
      ->capture_default_str()
      ->group(kLive);
  app.add_option("--initial-data-timeout", arguments.live.initial_data_timeout_s, "Seconds to wait for the first rows")
      ->check(CLI::PositiveNumber)
      ->capture_default_str()
      ->group(kLive);
  constexpr const char* kStored = "Stored credentials";
  app.add_flag("--save-credentials", arguments.login.save, "Keep the tokens of this login")->group(kStored);
  app.add_flag("--show-credentials", arguments.show_credentials, "Show what is kept")->group(kStored);
  app.add_flag("--update-credentials", arguments.update_credentials, "Log in anew and keep the tokens")->group(kStored);
  app.add_flag("--delete-credentials", arguments.delete_credentials, "Forget what is kept")->group(kStored);
  app.add_flag("--list-instances", arguments.list_instances, "Names under which credentials are kept")->group(kStored);
}

CLI::App* add_import(CLI::App& app, ImportOptions& import) {
  CLI::App* command = app.add_subcommand("import", "Load a file of JSON lines or CSV into a table");
  command->fallthrough();
  command->add_option("table", import.table, "namespace.table")->required();
  command->add_option("file", import.path, "File to read (- = standard input)")->required();
  command->add_option("--format", import.format, "jsonl or csv (by the file's name when left out)")
      ->check(CLI::IsMember({"jsonl", "csv"}));
  command->add_option("--on-conflict", import.on_conflict, "What to do with a row whose key is there already")
      ->check(CLI::IsMember({"skip", "fail"}))
      ->capture_default_str();
  command->add_option("--batch-rows", import.batch_rows, "Rows in one INSERT")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  command->add_option("--connections", import.connections, "Connections to send on")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  command->add_option("--as-user-column", import.as_user_column,
                      "Write each row as the user that this column of the file names");
  command->add_option("--rejects", import.rejects_path, "File for the lines that were refused");
  return command;
}

int report(const Error& error) {
  fmt::print(stderr, "Error: {}\n", error.message);
  return 1;
}

// The actions on the credentials file alone; nothing when none was asked for.
std::optional<int> manage_credentials(const Arguments& arguments, const CredentialStore& store) {
  if (arguments.delete_credentials) {
    if (const auto removed = store.remove(arguments.login.instance); !removed) return report(removed.error());
    return 0;
  }
  if (!arguments.show_credentials && !arguments.list_instances) return std::nullopt;
  const auto all = store.load();
  if (!all) return report(all.error());
  for (const auto& [name, credential] : *all) {
    if (arguments.list_instances) {
      fmt::print("{}\t{}\n", name, credential.server_url);
    } else if (name == arguments.login.instance) {
      print_credential(name, credential);
    }
  }
  if (arguments.show_credentials && !all->contains(arguments.login.instance)) {
    fmt::print("No credentials are stored for instance '{}' in {}.\n", arguments.login.instance, store.path().string());
  }
  return 0;
}

// The URL stored with the credentials, for when the command line names none.
std::optional<std::string> stored_url(const CredentialStore& store, const std::string& instance) {
  const auto all = store.load();
  if (!all) return std::nullopt;
  const auto found = all->find(instance);
  if (found == all->end() || found->second.server_url.empty()) return std::nullopt;
  return found->second.server_url;
}

int run(Arguments& arguments, bool import) {
  const CredentialStore store(CredentialStore::default_path());
  if (const auto done = manage_credentials(arguments, store)) return *done;
  const auto config = load_config(arguments.config_path);
  if (!config) return report(config.error());
  const auto url = choose_url(arguments.url, stored_url(store, arguments.login.instance));
  if (!url) return report(url.error());

  OutputOptions output;
  const std::string format = arguments.json  ? "json"
                             : arguments.csv ? "csv"
                                             : arguments.format.value_or(config->format);
  output.format = parse_format(format).value_or(Format::kTable);
  output.color = config->color && !arguments.no_color && isatty(STDERR_FILENO) == 1;
  if (!arguments.login.token && !arguments.login.user && !config->jwt_token.empty()) {
    arguments.login.token = config->jwt_token;
  }
  if (arguments.update_credentials) arguments.login.save = true;
  arguments.login.may_prompt = isatty(STDIN_FILENO) == 1 && isatty(STDERR_FILENO) == 1;
  const Timeouts timeouts{.connect = std::chrono::seconds(arguments.connection_timeout_s),
                          .receive = std::chrono::seconds(arguments.timeout_s.value_or(config->timeout_s))};
  if (arguments.verbose) fmt::print(stderr, "Connecting to {}\n", url->text());
  const auto session = Session::open(*url, timeouts, arguments.login, store);
  if (!session) return report(session.error());
  output.user = (*session)->user();
  if (arguments.verbose) {
    fmt::print(stderr, "Logged in as {}; server version {}\n", output.user,
               (*session)->server_version().empty() ? "unknown" : (*session)->server_version());
  }
  if (arguments.update_credentials) return 0;
  if (import) return run_import(**session, arguments.import);

  arguments.live.format = output.format;
  arguments.live.connect_timeout_s = arguments.connection_timeout_s;
  arguments.live.reconnect = config->auto_reconnect;
  arguments.live.reconnect_delay_ms = config->reconnect_delay_ms;
  arguments.live.max_reconnect_delay_ms = config->max_reconnect_delay_ms;
  arguments.live.max_reconnect_attempts = config->max_reconnect_attempts;
  Shell shell(**session, store, arguments.login.instance, output, arguments.live);
  if (!arguments.command.empty()) {
    const bool ok =
        arguments.command.front() == '\\' ? shell.run_meta(arguments.command) : shell.run_sql(arguments.command);
    return ok ? 0 : 1;
  }
  if (!arguments.subscription.empty()) return shell.subscribe(arguments.subscription) ? 0 : 1;
  if (!arguments.file.empty()) return shell.run_file(arguments.file) ? 0 : 1;
  if (isatty(STDIN_FILENO) != 1) return shell.run_file("-") ? 0 : 1;
  return run_prompt(shell, static_cast<int>(config->history_size));
}

}  // namespace
}  // namespace kalamdb::cli

int main(int argc, char** argv) {
  using namespace kalamdb::cli;
  use_utf8_locale();
  Arguments arguments;
  CLI::App app{"kalam: the terminal client of KalamDB. Without -c, -f or a subcommand it opens a prompt."};
  app.set_version_flag("--version", "kalam " KALAM_VERSION);
  add_connection_options(app, arguments);
  add_action_options(app, arguments);
  CLI::App* import = add_import(app, arguments.import);
  CLI11_PARSE(app, argc, argv);
  return run(arguments, import->parsed());
}
