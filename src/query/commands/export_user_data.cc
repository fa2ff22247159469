// EXPORT USER DATA; SHOW EXPORT
#include "cold/sigv4.h"
#include "query/commands.h"
#include "query/system_tables.h"
#include "query/user_export.h"

namespace kalamdb::query {

namespace {

using model::TypeTag;
using model::Value;

class ExportUserData : public Command {
 public:
  Result<> authorize(const Caller&) const override { return {}; }  // everybody's own

  Result<StatementResult> run(const Services& services, const StatementContext& context) const override {
    KALAM_TRY(const std::string job, start_user_export(services, context.caller.user));
    StatementResult result;
    result.message =
        "User data export started. Job ID: " + job + ". Use SHOW EXPORT to check status and get the download link.";
    return result;
  }
};

class ShowExport : public Command {
 public:
  Result<> authorize(const Caller&) const override { return {}; }
  bool is_allowed_in_transaction() const override { return true; }

  Result<StatementResult> run(const Services& services, const StatementContext& context) const override {
    KALAM_TRY(const auto exports, user_exports(services, context.caller.user));
    std::vector<model::Row> rows;
    for (const UserExport& one : exports) {
      std::string url;
      if (one.job.status == jobs::JobStatus::kCompleted) {
        url = "http://" + context.host + "/v1/exports/" + cold::encoded_path(context.caller.user.value + "/" + one.id);
      }
      rows.push_back({one.job.id, std::string(name(one.job.status)), one.job.created_at_us,
                      one.job.message.empty() ? Value() : Value(one.job.message), std::move(url)});
    }
    StatementResult result;
    result.rows = make_result({result_column("job_id", TypeTag::kText), result_column("status", TypeTag::kText),
                               result_column("created_at", TypeTag::kTimestamp),
                               result_column("message", TypeTag::kText), result_column("download_url", TypeTag::kText)},
                              std::move(rows));
    return result;
  }
};

}  // namespace

ParsedCommand parse_export_user_data(TokenReader& reader) {
  KALAM_CHECK(reader.end());
  return std::make_unique<ExportUserData>();
}

ParsedCommand parse_show_export(TokenReader& reader) {
  KALAM_CHECK(reader.end());
  return std::make_unique<ShowExport>();
}

}  // namespace kalamdb::query
