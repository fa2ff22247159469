#include "query/sources.h"

#include <algorithm>

#include "auth/permissions.h"
#include "query/system_tables.h"
#include "query/views.h"

namespace kalamdb::query {

namespace {

std::string verb_of(Access access) {
  switch (access) {
    case Access::kInsert:
      return "insert";
    case Access::kUpdate:
      return "update";
    case Access::kDelete:
      return "delete";
    case Access::kRead:
      break;
  }
  return "read";
}

}  // namespace

duck::QueryContext query_context(const Services& services, const StatementContext& context, int64_t now_us) {
  duck::QueryContext query;
  query.current_user = context.caller.user.value;
  query.current_role = lower_name(context.caller.role);
  query.now_us = now_us;
  query.parameters = context.parameters;
  query.timeout_ms = services.limits.statement_timeout_ms;
  query.is_abandoned = context.is_abandoned;
  return query;
}

Error no_table(const std::string& namespace_id, const std::string& name, const StatementContext& context) {
  std::string qualified = namespace_id + "." + name;
  if (context.transaction() != nullptr) {
    auto same = context.request->transaction->check_definition(qualified, nullptr);
    if (!same) return std::move(same).error();
  }
  return {ErrorCode::kTableNotFound, std::move(qualified)};
}

Result<> check_access(const model::TableDefinition& table, const Caller& caller, Access access) {
  if (table.type == model::TableType::kShared && caller.as_user) {
    return fail(ErrorCode::kInvalidOperation,
                "EXECUTE AS USER is not allowed on SHARED tables (table '" + table.namespace_id + ":" + table.name +
                    "'). AS USER impersonation is only supported for USER and STREAM tables.");
  }
  return access == Access::kRead ? auth::check_read(table, caller.role) : auth::check_write(table, caller.role);
}

Result<model::TablePtr> resolve_table(const Services& services, const StatementContext& context,
                                      const duck::TableName& name, Access access) {
  const std::string& namespace_id = name.schema.empty() ? context.namespace_id : name.schema;
  if (is_system_namespace(namespace_id)) {
    if (access == Access::kRead) return find_subscribed_system_table(context.caller, namespace_id, name.name);
    return fail(ErrorCode::kInvalidOperation,
                "Cannot " + verb_of(access) + " system table '" + namespace_id + "." + name.name + "'");
  }
  KALAM_TRY(model::TablePtr table, services.catalog.find_table(namespace_id, name.name));
  if (table == nullptr) return fail(no_table(namespace_id, name.name, context));
  if (table->is_view()) {
    return fail(ErrorCode::kInvalidOperation, "View " + table->qualified_name() + " cannot be " +
                                                  (access == Access::kRead ? "subscribed to" : "written to") +
                                                  "; name a table beneath it");
  }
  KALAM_CHECK(check_access(*table, context.caller, access));
  KALAM_CHECK(check_definition(*table, context));
  return table;
}

const hot::SnapshotPtr& StatementSources::snapshot() {
  if (context_.transaction() != nullptr) return context_.transaction()->snapshot();
  if (snapshot_ == nullptr) snapshot_ = services_.storage.hot().snapshot();
  return snapshot_;
}

Result<bool> StatementSources::has_record(const model::TableDefinition& table, const hot::SnapshotPtr& snapshot) const {
  KALAM_TRY(const auto record,
            services_.storage.hot().get_record(hot::RecordSpace::kTable, table.qualified_name(), snapshot));
  return record.has_value();
}

Result<std::vector<std::optional<storage::FoundRow>>> StatementSources::find_rows(const model::TablePtr& table,
                                                                                  std::span<const std::string> keys) {
  const UserId user = scope_of(*table, context_.caller);
  if (!reads_segments_) {
    std::vector<std::string> not_hot;
    for (const std::string& key : keys) {
      KALAM_TRY(const auto hot, services_.storage.hot().get(table->id, user, key, nullptr));
      if (!hot) not_hot.push_back(key);
    }
    KALAM_CHECK(check_segment_reads(table, user, not_hot));
  }
  KALAM_TRY(auto found, context_.transaction() != nullptr ? context_.transaction()->find_all(table, user, keys)
                                                          : services_.storage.find_all(table, user, keys, snapshot()));
  // A definition that is older than the snapshot could not read what an ALTER TABLE in between has made; and the
  // catalog learns of a DROP TABLE behind its commit, when the rows are gone already.
  KALAM_TRY(const auto now, services_.catalog.find_table(table->namespace_id, table->name));
  KALAM_TRY(const bool is_there, std::ranges::all_of(found, [](const auto& row) { return row.has_value(); })
                                     ? Result<bool>(true)
                                     : has_record(*table, nullptr));
  if (!is_there || now == nullptr || now->id != table->id || now->schema_version != table->schema_version) {
    return fail(ErrorCode::kConflict, "Table " + table->qualified_name() + " was altered meanwhile");
  }
  return found;
}

Result<> StatementSources::check_segment_reads(const model::TablePtr& table, const UserId& user,
                                               std::span<const std::string> keys) {
  KALAM_TRY(const bool must_read, services_.storage.must_read_segments(table, user, keys));
  if (!must_read) return {};
  return fail(ErrorCode::kConflict, "Segments of " + table->qualified_name() + " have to be read first");
}

Result<storage::Storage::ColdKeys> StatementSources::taken_keys(const model::TablePtr& table,
                                                                std::span<const std::string> keys) {
  const UserId user = scope_of(*table, context_.caller);
  if (context_.transaction() != nullptr) return context_.transaction()->cold_keys(table, user, keys);
  if (!reads_segments_) KALAM_CHECK(check_segment_reads(table, user, keys));
  return services_.storage.cold_keys(table, user, keys, nullptr);
}

Result<uint64_t> StatementSources::segments_version(const model::TablePtr& table) {
  return services_.storage.segments_version(table, scope_of(*table, context_.caller), snapshot());
}

Result<duck::TableSource> StatementSources::open_in(const std::string& default_namespace, const duck::TableName& name,
                                                    std::shared_ptr<const ViewTables> view) {
  const std::string& namespace_id = name.schema.empty() ? default_namespace : name.schema;
  if (is_system_namespace(namespace_id)) {
    KALAM_TRY(auto source, open_system_table(services_, context_.caller, namespace_id, name.name));
    if (!source) return fail(ErrorCode::kTableNotFound, namespace_id + "." + name.name);
    return *std::move(source);
  }
  // The snapshot first: a definition that is older than it could not read what an ALTER TABLE in between has made.
  (void)snapshot();
  KALAM_TRY(const model::TablePtr table, services_.catalog.find_table(namespace_id, name.name));
  if (table == nullptr) return fail(no_table(namespace_id, name.name, context_));
  if (expected_ != nullptr && table->namespace_id == expected_->namespace_id && table->name == expected_->name &&
      (table->id != expected_->id || table->schema_version != expected_->schema_version)) {
    return fail(ErrorCode::kConflict, "Table " + table->qualified_name() + " was altered meanwhile");
  }
  if (table->is_view()) {
    KALAM_CHECK(check_definition(*table, context_));
    return open_view(services_, context_, *this, table, std::move(view));
  }
  KALAM_CHECK(check_access(*table, context_.caller, Access::kRead));
  KALAM_CHECK(check_definition(*table, context_));
  duck::TableSource source;
  const UserId user = scope_of(*table, context_.caller);
  // The catalog learns of a DROP TABLE behind its commit, when the rows are gone already.
  KALAM_TRY(const bool is_there, has_record(*table, snapshot()));
  if (!is_there) return fail(no_table(namespace_id, name.name, context_));
  if (context_.transaction() != nullptr) {
    KALAM_TRY(source.scan, context_.transaction()->scan(table, user));
  } else {
    KALAM_TRY(source.scan, services_.storage.scan(table, user, snapshot()));
  }
  return source;
}

}  // namespace kalamdb::query
