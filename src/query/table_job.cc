#include "query/table_job.h"

#include <algorithm>

#include "base/log.h"

namespace kalamdb::query {

Subject subject_of(const jobs::Job& job) {
  const auto parameters = nlohmann::json::parse(job.parameters, nullptr, false);
  Subject subject{parameters.value("namespace", ""), parameters.value("table", ""),
                  TableId(parameters.value("internal_id", uint32_t{0})), std::nullopt};
  if (const auto user = parameters.find("user_id"); user != parameters.end()) subject.user = UserId(*user);
  return subject;
}

nlohmann::json parameters_of(const model::TableDefinition& table) {
  return {{"table_id", table.qualified_name()},
          {"internal_id", table.id.value},
          {"table_type", pascal_name(table.type)},
          {"namespace", table.namespace_id},
          {"table", table.name}};
}

void note_started(const Result<std::string>& job, const std::string& what) {
  if (job || job.error().code == ErrorCode::kIdempotentConflict || job.error().code == ErrorCode::kUnavailable) return;
  log::error("{} cannot start: {}", what, job.error().message);
}

uint64_t retention_hours(const Services& services, const model::TableDefinition& table) {
  return table.options.deleted_retention_hours.value_or(services.limits.default_deleted_retention_hours);
}

Result<model::TablePtr> find_subject(const Services& services, const Subject& subject) {
  KALAM_TRY(model::TablePtr table, services.catalog.find_table(subject.namespace_id, subject.table));
  if (table != nullptr && table->id == subject.id) return table;
  KALAM_TRY(const auto tables, services.catalog.tables(subject.namespace_id));
  const auto renamed = std::ranges::find(tables, subject.id, [](const auto& other) { return other->id; });
  return renamed == tables.end() ? nullptr : *renamed;
}

}  // namespace kalamdb::query
