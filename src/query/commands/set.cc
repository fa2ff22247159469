// SET: refused, but for the harmless forms that client libraries send on connect, which change nothing.
#include <algorithm>
#include <array>

#include "query/commands.h"

namespace kalamdb::query {

namespace {

class HarmlessSet : public Command {
 public:
  Result<> authorize(const Caller&) const override { return {}; }
  bool is_allowed_in_transaction() const override { return true; }
  Result<StatementResult> run(const Services&, const StatementContext&) const override {
    StatementResult result;
    result.message = "SET";
    return result;
  }
};

constexpr std::array<std::string_view, 5> kHarmless{"names", "client_encoding", "application_name", "search_path",
                                                    "extra_float_digits"};

}  // namespace

ParsedCommand parse_set(TokenReader& reader) {
  if (reader.accept({"time", "zone"})) {
    KALAM_TRY(const std::string zone, reader.string_or_word("a time zone"));
    if (equal_ignoring_case(zone, "utc")) return std::make_unique<HarmlessSet>();
    return fail(ErrorCode::kInvalidSql, "SET TIME ZONE knows only 'UTC': all times are UTC");
  }
  KALAM_TRY(const Name setting, reader.name("a setting"));
  if (std::ranges::find(kHarmless, lower(setting.text)) == kHarmless.end()) {
    return fail(ErrorCode::kInvalidSql,
                "SET " + setting.text + " is not allowed: settings belong in the configuration");
  }
  return std::make_unique<HarmlessSet>();
}

}  // namespace kalamdb::query
