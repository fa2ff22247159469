// STORAGE COMPACT TABLE [ns.]t; STORAGE COMPACT ALL [IN ns] (without IN: the request's namespace); OPTIMIZE TABLE
// [ns.]t
#include "auth/permissions.h"
#include "query/commands.h"
#include "query/commands/maintained_table.h"
#include "query/maintenance.h"

namespace kalamdb::query {

namespace {

class CompactTable : public Command {
 public:
  explicit CompactTable(QualifiedName name) : name_(std::move(name)) {}

  Result<> authorize(const Caller& caller) const override {
    return auth::check_maintain_tables("STORAGE COMPACT", caller.role);
  }

  Result<StatementResult> run(const Services& services, const StatementContext& context) const override {
    KALAM_TRY(const model::TablePtr table, find_maintained_table(services, context, name_, "STORAGE COMPACT TABLE"));
    const auto job = start_compaction(services, table, std::nullopt, context.caller.user);
    return started_or_skipped(job, "Storage compaction", "a compaction", job_subject(*table));
  }

 private:
  QualifiedName name_;
};

class OptimizeTable : public Command {
 public:
  explicit OptimizeTable(QualifiedName name) : name_(std::move(name)) {}

  Result<> authorize(const Caller&) const override { return {}; }  // depends on the table: see run()

  Result<StatementResult> run(const Services& services, const StatementContext& context) const override {
    KALAM_TRY(const model::TablePtr table, find_maintained_table(services, context, name_, "OPTIMIZE TABLE"));
    KALAM_TRY(const auto user, maintained_user(*table, context.caller, "OPTIMIZE"));
    return started_or_skipped(start_compaction(services, table, user, context.caller.user), "Optimization",
                              "a compaction", job_subject(*table));
  }

 private:
  QualifiedName name_;
};

class CompactAll : public Command {
 public:
  // `namespace_id` nullopt: the request's.
  explicit CompactAll(std::optional<std::string> namespace_id) : namespace_id_(std::move(namespace_id)) {}

  Result<> authorize(const Caller& caller) const override {
    return auth::check_maintain_tables("STORAGE COMPACT", caller.role);
  }

  Result<StatementResult> run(const Services& services, const StatementContext& context) const override {
    const std::string namespace_id = namespace_id_.value_or(context.namespace_id);
    if (!services.catalog.has_namespace(namespace_id)) {
      return fail(ErrorCode::kNamespaceNotFound, "Namespace '" + namespace_id + "' not found");
    }
    KALAM_TRY(auto tables, services.catalog.tables(namespace_id));
    std::erase_if(tables, [](const model::TablePtr& table) { return !has_segments(table->type); });
    if (tables.empty()) {
      return fail(ErrorCode::kNotFound, "No compactable tables found in namespace " + namespace_id);
    }
    size_t started = 0;
    std::string ids;
    for (const auto& table : tables) {
      const auto job = start_compaction(services, table, std::nullopt, context.caller.user);
      if (!job && job.error().code == ErrorCode::kIdempotentConflict) continue;
      if (!job) return fail(job.error());
      ids += (started++ == 0 ? "" : ", ") + *job;
    }
    StatementResult result;
    result.message = "Storage compaction started for " + std::to_string(started) + " table(s) in namespace '" +
                     namespace_id + "'. Job IDs: [" + ids + "]";
    return result;
  }

 private:
  std::optional<std::string> namespace_id_;
};

}  // namespace

ParsedCommand parse_storage_compact_table(TokenReader& reader) {
  KALAM_TRY(QualifiedName name, reader.qualified_name("a table name"));
  KALAM_CHECK(reader.end());
  return std::make_unique<CompactTable>(std::move(name));
}

ParsedCommand parse_storage_compact_all(TokenReader& reader) {
  KALAM_TRY(auto namespace_id, read_in_namespace(reader));
  KALAM_CHECK(reader.end());
  return std::make_unique<CompactAll>(std::move(namespace_id));
}

ParsedCommand parse_optimize_table(TokenReader& reader) {
  KALAM_TRY(QualifiedName name, reader.qualified_name("a table name"));
  KALAM_CHECK(reader.end());
  return std::make_unique<OptimizeTable>(std::move(name));
}

}  // namespace kalamdb::query
