#include "cli/shell.h"

#include <fmt/format.h>
#include <simdjson.h>
#include <strings.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <fstream>
#include <functional>
#include <iterator>
#include <optional>
#include <vector>

#include "cli/text.h"

namespace kalamdb::cli {

namespace dom = simdjson::dom;

namespace {

bool same_word(std::string_view a, std::string_view b) {
  return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n;";
  const size_t start = text.find_first_not_of(kBlanks);
  if (start == std::string_view::npos) return {};
  return text.substr(start, text.find_last_not_of(kBlanks) + 1 - start);
}

// Cuts the first word off `text`.
std::string_view take_word(std::string_view& text) {
  text = trim(text);
  const size_t end = std::min(text.find_first_of(" \t\r\n"), text.size());
  const std::string_view word = text.substr(0, end);
  text = trim(text.substr(end));
  return word;
}

std::string unquoted(std::string_view name) {
  if (name.size() >= 2 && name.front() == name.back() && (name.front() == '"' || name.front() == '\'')) {
    name = name.substr(1, name.size() - 2);
  }
  return std::string(name);
}

// The namespace that a USE or SET NAMESPACE statement names; empty for any other statement.
std::string switched_namespace(std::string_view sql) {
  const std::string_view verb = take_word(sql);
  std::string_view name = take_word(sql);
  if (same_word(verb, "set")) {
    if (!same_word(name, "namespace")) return {};
    name = take_word(sql);
  } else if (!same_word(verb, "use")) {
    return {};
  } else if (same_word(name, "namespace") && !sql.empty()) {
    name = take_word(sql);
  }
  return sql.empty() ? unquoted(name) : std::string();
}

// The subscription that the server's answer to SUBSCRIBE TO asks the client to open.
std::optional<Subscription> requested_subscription(const HttpResponse& response) {
  if (response.body.find("subscription_required") == std::string::npos) return std::nullopt;
  dom::parser parser;
  dom::array row;
  if (parser.parse(response.body).at_pointer("/results/0/rows/0").get(row) != simdjson::SUCCESS) return std::nullopt;
  std::string_view status;
  dom::element described;
  if (row.at(0).get(status) != simdjson::SUCCESS || status != "subscription_required") return std::nullopt;
  if (row.at(2).get(described) != simdjson::SUCCESS) return std::nullopt;
  // The JSON column may come as an object or as its text.
  dom::parser inner;
  std::string_view text;
  if (described.get(text) == simdjson::SUCCESS && inner.parse(text).get(described) != simdjson::SUCCESS) {
    return std::nullopt;
  }
  Subscription subscription;
  if (described["sql"].get(text) != simdjson::SUCCESS) return std::nullopt;
  subscription.sql = text;
  dom::element options;
  if (described["options"].get(options) == simdjson::SUCCESS && options.is_object()) {
    subscription.options = simdjson::minify(options);
  }
  return subscription;
}

constexpr std::string_view kTables =
    "SELECT namespace_id AS namespace, table_name, table_type FROM system.tables ORDER BY namespace_id, table_name";
constexpr std::string_view kNamespaces = "SELECT name, table_count FROM system.namespaces ORDER BY name";
constexpr std::string_view kUsers = "SELECT user_id, role, email, created_at FROM system.users ORDER BY user_id";
constexpr std::string_view kStats =
    "SELECT metric_name, metric_value FROM system.stats ORDER BY metric_name LIMIT 5000";
constexpr std::string_view kSessions = "SELECT * FROM system.sessions ORDER BY last_seen_at DESC, session_id";
constexpr std::string_view kCluster =
    "SELECT cluster_id, node_id, role, status, api_addr, is_self, is_leader, version FROM system.cluster "
    "ORDER BY is_leader DESC, node_id ASC";

constexpr std::string_view kHelp = R"(General
  \q, \quit                 leave
  \?, \help                 this list
  \h, \history              the statements typed so far (at the prompt)
  \i FILE                   run a script
  \info, \session           the connection, the server and its nodes
  \health                   the server's health
Tables
  \dt, \tables              tables
  \d, \describe [NS.]TABLE  columns of a table
  \dn, \namespaces          namespaces
  \du, \users               users
  \c, \use NAMESPACE        namespace for unqualified names
  \flush                    move hot rows to storage (STORAGE FLUSH ALL)
  \as USER SQL              run a statement as another user
  \refresh, \refresh-tables read the names for completion again
Live views
  \subscribe, \watch, \live SELECT … [OPTIONS (last_rows=N)]
                            show rows and then each change; ctrl-c (or \unsubscribe) ends the view
Output
  \format table|json|csv    how results are shown
  \x                        one line a cell instead of one line a row, and back
Monitoring
  \stats, \metrics          counters of the server
  \sessions                 who is connected
Credentials
  \credentials, \show-credentials
  \update-credentials USER PASSWORD
  \delete-credentials
A statement ends with ';' and may span lines. BEGIN … COMMIT; is sent as one request.
)";

}  // namespace

bool Shell::report(const Error& error) const {
  fmt::print(stderr, "{}Error: {}{}\n", output_.color ? "\x1b[31m" : "", error.message, output_.color ? "\x1b[0m" : "");
  return false;
}

bool Shell::run_sql(std::string_view sql) {
  const auto response = session_.sql(sql);
  if (!response) return report(response.error());
  if (const auto subscription = requested_subscription(*response)) {
    const auto shown = run_live_view(session_, *subscription, live_);
    return shown ? *shown : report(shown.error());
  }
  if (!print_response(*response, output_)) return false;
  if (std::string name = switched_namespace(sql); !name.empty()) session_.use_namespace(std::move(name));
  return true;
}

bool Shell::subscribe(std::string_view sql) {
  std::string_view rest = sql;
  const std::string_view verb = take_word(rest);
  if (same_word(verb, "subscribe") || same_word(verb, "live")) return run_sql(sql);
  const auto subscription = parse_subscription(trim(sql));
  if (!subscription) return report(subscription.error());
  const auto shown = run_live_view(session_, *subscription, live_);
  return shown ? *shown : report(shown.error());
}

bool Shell::run_script(std::string_view text, std::string_view name) {
  const std::vector<SqlPiece> pieces = join_transactions(text, split_sql(text));
  for (size_t i = 0; i < pieces.size(); ++i) {
    const SqlPiece& piece = pieces[i];
    if (piece.meta ? run_meta(piece.text) : run_sql(piece.text)) {
      if (wants_quit_) return true;
      continue;
    }
    fmt::print(stderr, "in {}, line {} (statement {} of {})\n", name, piece.line, i + 1, pieces.size());
    return false;
  }
  return true;
}

bool Shell::run_file(const std::string& path) {
  if (path == "-") {
    std::string text;
    char buffer[65536];
    while (const size_t count = std::fread(buffer, 1, sizeof buffer, stdin)) text.append(buffer, count);
    return run_script(text, "standard input");
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) return report({ErrorCode::kIo, fmt::format("cannot read {}: {}", path, std::strerror(errno))});
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (file.bad()) return report({ErrorCode::kIo, fmt::format("cannot read {}", path)});
  return run_script(text, path);
}

bool Shell::run_meta(std::string_view line) {
  std::string_view arguments = line.substr(1);
  const std::string_view name = take_word(arguments);
  struct Command {
    std::initializer_list<std::string_view> names;
    std::function<bool()> run;
  };
  auto query = [this](std::string_view sql) { return [this, sql] { return run_sql(sql); }; };
  const Command commands[] = {
      {{"q", "quit", "exit"}, [&] { return wants_quit_ = true; }},
      {{"?", "help"},
       [&] {
         fmt::print("{}", kHelp);
         return true;
       }},
      {{"i"}, [&] { return run_file(unquoted(arguments)); }},
      {{"info", "session"}, [&] { return show_info(); }},
      {{"health"}, [&] { return show_health(); }},
      {{"dt", "tables"}, query(kTables)},
      {{"d", "describe"}, [&] { return arguments.empty() ? run_sql(kTables) : describe(arguments); }},
      {{"dn", "l", "namespaces"}, query(kNamespaces)},
      {{"du", "users"}, query(kUsers)},
      {{"c", "use"}, [&] { return run_sql(fmt::format("USE {}", arguments)); }},
      {{"flush"}, query("STORAGE FLUSH ALL")},
      {{"as"}, [&] { return run_as(arguments); }},
      {{"refresh", "refresh-tables"}, [&] { return wants_refresh_ = true; }},
      {{"subscribe", "watch", "live"}, [&] { return subscribe(arguments); }},
      // A view holds the terminal until ctrl-c, so there is never one left to end here.
      {{"unsubscribe", "unwatch"},
       [&] {
         fmt::print("No live view is open; ctrl-c ends one.\n");
         return true;
       }},
      {{"format"}, [&] { return set_format(arguments); }},
      {{"x"},
       [&] {
         output_.expanded = !output_.expanded;
         fmt::print("Expanded display is {}.\n", output_.expanded ? "on" : "off");
         return true;
       }},
      {{"stats", "metrics"}, query(kStats)},
      {{"sessions"}, query(kSessions)},
      {{"credentials", "show-credentials"}, [&] { return show_credentials(); }},
      {{"update-credentials"}, [&] { return update_credentials(arguments); }},
      {{"delete-credentials"},
       [&] {
         const auto removed = store_.remove(instance_);
         if (removed) fmt::print("The credentials of '{}' are deleted.\n", instance_);
         return removed ? true : report(removed.error());
       }},
  };
  for (const Command& command : commands) {
    for (const std::string_view known : command.names) {
      if (known == name) return command.run();
    }
  }
  return report({ErrorCode::kInvalidInput, fmt::format("unknown command \\{}; \\? lists them", name)});
}

bool Shell::describe(std::string_view name) {
  const size_t dot = name.find('.');
  const std::string table = unquoted(dot == std::string_view::npos ? name : name.substr(dot + 1));
  const std::string schema =
      dot == std::string_view::npos ? session_.current_namespace() : unquoted(name.substr(0, dot));
  std::string sql =
      "SELECT table_schema AS namespace, table_name, column_name, data_type, is_nullable, column_default, "
      "ordinal_position AS position FROM information_schema.columns WHERE table_name = lower(";
  append_sql_string(sql, table);
  sql += ")";
  if (!schema.empty()) {
    sql += " AND table_schema = lower(";
    append_sql_string(sql, schema);
    sql += ")";
  }
  return run_sql(sql + " ORDER BY table_schema, ordinal_position");
}

bool Shell::run_as(std::string_view arguments) {
  const std::string user = unquoted(take_word(arguments));
  if (user.empty() || arguments.empty()) {
    return report({ErrorCode::kInvalidInput, "\\as needs a user and a statement: \\as alice SELECT * FROM app.notes"});
  }
  std::string sql = "EXECUTE AS USER ";
  append_sql_string(sql, user);
  return run_sql(fmt::format("{} ({})", sql, arguments));
}

bool Shell::set_format(std::string_view name) {
  const auto format = parse_format(name);
  if (!format) return report({ErrorCode::kInvalidInput, "\\format takes table, json or csv"});
  output_.format = live_.format = *format;
  return true;
}

bool Shell::show_info() {
  fmt::print("Server:    {}\nUser:      {}\nNamespace: {}\nVersion:   {}\nClient:    kalam {}\n\n",
             session_.client().url().text(), session_.user(),
             session_.current_namespace().empty() ? "default" : session_.current_namespace(),
             session_.server_version().empty() ? "unknown" : session_.server_version(), KALAM_VERSION);
  return run_sql(kCluster);
}

bool Shell::show_health() {
  for (const std::string_view target : {"/v1/api/healthcheck", "/v1/api/cluster/health"}) {
    const auto response = session_.get(target);
    if (!response) return report(response.error());
    if (response->status != 200) {
      fmt::print(stderr, "{}", describe_failure(*response));
      return false;
    }
    fmt::print("{}\n", pretty_json(response->body));
  }
  return true;
}

bool Shell::show_credentials() {
  const auto all = store_.load();
  if (!all) return report(all.error());
  const auto found = all->find(instance_);
  if (found == all->end()) {
    fmt::print("No credentials are stored for instance '{}' in {}.\n", instance_, store_.path().string());
    return true;
  }
  print_credential(instance_, found->second);
  return true;
}

bool Shell::update_credentials(std::string_view arguments) {
  const std::string user(take_word(arguments));
  if (user.empty()) return report({ErrorCode::kInvalidInput, "\\update-credentials needs a user and a password"});
  LoginOptions login{.user = user, .password = std::string(arguments), .instance = instance_, .save = true};
  login.may_prompt = arguments.empty();
  const auto session = Session::open(session_.client().url(), session_.client().timeouts(), login, store_);
  if (!session) return report(session.error());
  fmt::print("The credentials of '{}' are stored.\n", instance_);
  return true;
}

void print_credential(const std::string& instance, const Credential& credential) {
  auto when = [](int64_t seconds) {
    if (seconds == 0) return std::string("unknown");
    const std::string text = format_timestamp(seconds * 1'000'000);
    return seconds < std::time(nullptr) ? text + " (expired)" : text;
  };
  fmt::print("Instance: {}\nServer:   {}\nUser:     {}\nToken:    {}…\nExpires:  {}\nRefresh:  {}\n", instance,
             credential.server_url, credential.user, credential.jwt_token.substr(0, 8), when(credential.expires_at),
             credential.refresh_token.empty() ? "none" : when(credential.refresh_expires_at));
}

}  // namespace kalamdb::cli
