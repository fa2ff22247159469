// [STORAGE] FLUSH TABLE [ns.]t; STORAGE FLUSH ALL [IN ns] (without IN: the request's namespace); FLUSH ALL TABLES [IN
// ns] (without IN: every namespace)
#include "auth/permissions.h"
#include "query/commands.h"
#include "query/commands/maintained_table.h"
#include "query/maintenance.h"

namespace kalamdb::query {

namespace {

class FlushTable : public Command {
 public:
  explicit FlushTable(QualifiedName name) : name_(std::move(name)) {}

  Result<> authorize(const Caller& caller) const override {
    return auth::check_maintain_tables("STORAGE FLUSH", caller.role);
  }

  Result<StatementResult> run(const Services& services, const StatementContext& context) const override {
    KALAM_TRY(const model::TablePtr table, find_maintained_table(services, context, name_, "STORAGE FLUSH TABLE"));
    if (!is_flush_live(services, *table) && services.storage.pending_rows(table->id) == 0) {
      services.storage.export_manifests(table);
      StatementResult result;
      result.message = "Storage flush skipped: no pending writes for table '" + table->qualified_name() + "'";
      return result;
    }
    return started_or_skipped(start_flush(services, *table, context.caller.user), "Storage flush", "a flush",
                              job_subject(*table));
  }

 private:
  QualifiedName name_;
};

class FlushAll : public Command {
 public:
  // `namespace_id` nullopt: every namespace; empty: the request's.
  explicit FlushAll(std::optional<std::string> namespace_id) : namespace_id_(std::move(namespace_id)) {}

  Result<> authorize(const Caller& caller) const override {
    return auth::check_maintain_tables("STORAGE FLUSH", caller.role);
  }

  Result<StatementResult> run(const Services& services, const StatementContext& context) const override {
    std::string namespace_id = namespace_id_.value_or("");
    if (namespace_id_ && namespace_id.empty()) namespace_id = context.namespace_id;
    if (namespace_id_ && !services.catalog.has_namespace(namespace_id)) {
      return fail(ErrorCode::kNamespaceNotFound, "Namespace '" + namespace_id + "' not found");
    }
    size_t started = 0;
    std::string ids;
    KALAM_TRY(const auto tables, services.catalog.tables(namespace_id));
    for (const auto& table : tables) {
      if (!has_segments(table->type)) continue;
      if (services.storage.pending_rows(table->id) == 0) {
        services.storage.export_manifests(table);
        continue;
      }
      const auto job = start_flush(services, *table, context.caller.user);
      if (!job && job.error().code == ErrorCode::kIdempotentConflict) continue;
      if (!job) return fail(job.error());
      ids += (started++ == 0 ? "" : ", ") + *job;
    }
    const std::string where = namespace_id_ ? " in namespace '" + namespace_id + "'" : "";
    StatementResult result;
    result.message = started == 0 ? "Storage flush skipped: no pending writes" + where
                                  : "Storage flush started for " + std::to_string(started) + " table(s)" + where +
                                        ". Job IDs: [" + ids + "]";
    return result;
  }

 private:
  std::optional<std::string> namespace_id_;
};

}  // namespace

ParsedCommand parse_flush_table(TokenReader& reader) {
  KALAM_TRY(QualifiedName name, reader.qualified_name("a table name"));
  KALAM_CHECK(reader.end());
  return std::make_unique<FlushTable>(std::move(name));
}

ParsedCommand parse_flush_all_tables(TokenReader& reader) {
  KALAM_TRY(auto namespace_id, read_in_namespace(reader));
  KALAM_CHECK(reader.end());
  return std::make_unique<FlushAll>(std::move(namespace_id));
}

ParsedCommand parse_storage_flush_all(TokenReader& reader) {
  KALAM_TRY(auto namespace_id, read_in_namespace(reader));
  KALAM_CHECK(reader.end());
  return std::make_unique<FlushAll>(namespace_id.value_or(""));
}

}  // namespace kalamdb::query
