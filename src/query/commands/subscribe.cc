// SUBSCRIBE TO ns.t [WHERE …] [OPTIONS (…)], SUBSCRIBE TO SELECT …, LIVE SELECT …: tells a client what to send over the
// WebSocket.
#include <nlohmann/json.hpp>

#include "query/commands.h"
#include "query/sources.h"

namespace kalamdb::query {

using model::TypeTag;

namespace {

class SubscribeTo : public Command {
 public:
  // `bare_table` is where the table's name stands in `select`, if it has no namespace.
  SubscribeTo(std::string select, std::optional<size_t> bare_table, nlohmann::json options)
      : select_(std::move(select)), bare_table_(bare_table), options_(std::move(options)) {}

  Result<> authorize(const Caller&) const override { return {}; }  // depends on the table: see run()

  Result<StatementResult> run(const Services& services, const StatementContext& context) const override {
    // The WebSocket knows nothing of the request's namespace.
    std::string select = select_;
    if (bare_table_) select.insert(*bare_table_, context.namespace_id + ".");
    KALAM_TRY(const auto statement, duck::Statement::parse(select));
    KALAM_TRY(const duck::LiveShape live, statement->live());
    KALAM_TRY(const model::TablePtr table, resolve_table(services, context, live.table, Access::kRead));
    const std::string uuid = model::format_uuid(platform::make_uuid_v4(services.random));
    const nlohmann::ordered_json subscription{
        {"id", "sub-" + table->namespace_id + "-" + table->name + "-" + uuid}, {"sql", select}, {"options", options_}};
    duck::ResultColumn subscription_column = result_column("subscription", TypeTag::kJson);
    subscription_column.inline_json = true;  // ready to be sent as it is
    StatementResult result;
    result.rows = make_result(
        {result_column("status", TypeTag::kText), result_column("ws_url", TypeTag::kText),
         std::move(subscription_column), result_column("message", TypeTag::kText)},
        {{std::string("subscription_required"), "ws://" + context.host + "/v1/ws", subscription.dump(),
          std::string(
              "Open a WebSocket at ws_url, authenticate, and send {\"type\":\"subscribe\",\"subscription\":…} with "
              "this subscription")}});
    return result;
  }

 private:
  std::string select_;
  std::optional<size_t> bare_table_;
  nlohmann::json options_;
};

// Whether the next token is a name without a namespace; stays.
bool is_bare_name(TokenReader& reader) {
  const size_t position = reader.position();
  const bool is_name = reader.name("a table name").has_value();
  const bool is_bare = is_name && !reader.peek({"."});
  reader.rewind(position);
  return is_bare;
}

// OPTIONS (key = number, …) at the end of the statement.
Result<nlohmann::json> read_options(TokenReader& reader) {
  nlohmann::json options = nlohmann::json::object();
  KALAM_CHECK(reader.expect("("));
  do {
    KALAM_TRY(const Name key, reader.name("an option"));
    std::string name = lower(key.text);
    if (name == "from_seq_id") name = "from";
    if (name != "last_rows" && name != "batch_size" && name != "from") {
      return fail(ErrorCode::kInvalidSql, "Unknown option '" + key.text + "'. Use last_rows, batch_size or from");
    }
    KALAM_CHECK(reader.expect("="));
    KALAM_TRY(options[name], reader.integer("a number"));
  } while (reader.accept(","));
  KALAM_CHECK(reader.expect(")"));
  KALAM_CHECK(reader.end());
  return options;
}

}  // namespace

ParsedCommand parse_subscribe(TokenReader& reader) {
  const bool is_select = reader.peek({"select"});
  const size_t begin = reader.offset();
  size_t end = reader.sql().size();
  nlohmann::json options = nlohmann::json::object();
  std::optional<size_t> bare_table;
  if (!is_select && is_bare_name(reader)) bare_table = begin;
  bool is_table_known = !is_select;
  while (!reader.at_end()) {
    // The SELECT list has plain columns, so that the first FROM is the table's.
    if (!is_table_known && reader.accept("from")) {
      is_table_known = true;
      if (is_bare_name(reader)) bare_table = reader.offset();
    } else if (reader.peek({"options", "("})) {
      end = reader.offset();
      reader.skip();
      KALAM_TRY(options, read_options(reader));
    } else {
      reader.skip();
    }
  }
  std::string select(reader.sql().substr(begin, end - begin));
  while (!select.empty() && std::isspace(static_cast<unsigned char>(select.back()))) select.pop_back();
  if (bare_table) *bare_table -= begin;
  if (!is_select) {
    constexpr std::string_view kAll = "SELECT * FROM ";
    select.insert(0, kAll);
    if (bare_table) *bare_table += kAll.size();
  }
  return std::make_unique<SubscribeTo>(std::move(select), bare_table, std::move(options));
}

}  // namespace kalamdb::query
