// What the jobs about a table share: its parameters, and the table as it is by the time they run.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "query/command.h"
#include "query/dml.h"

namespace kalamdb::query {

// What a job is about.
struct Subject {
  std::string namespace_id;
  std::string table;
  TableId id;
  std::optional<UserId> user;

  std::string display() const { return table.empty() ? "all tables" : namespace_id + ":" + table; }
};

Subject subject_of(const jobs::Job& job);
nlohmann::json parameters_of(const model::TableDefinition& table);

// Of a job that nobody asked for: an error is logged, unless one that is live, or the next start, does the work.
void note_started(const Result<std::string>& job, const std::string& what);

// How long the table's deleted rows are kept.
uint64_t retention_hours(const Services& services, const model::TableDefinition& table);

// The job's table under the name that it has by now; nullptr if it is gone.
Result<model::TablePtr> find_subject(const Services& services, const Subject& subject);

// Does the work on a table; again, with the new definition, when the table is altered meanwhile. Errors: kNotFound when
// it was dropped.
template <typename Work>
auto on_current(const Services& services, const Subject& subject, const Work& work)
    -> decltype(work(model::TablePtr())) {
  for (int attempt = 1;; ++attempt) {
    KALAM_TRY(const model::TablePtr table, find_subject(services, subject));
    if (table == nullptr) {
      return fail(ErrorCode::kNotFound,
                  "Table " + subject.namespace_id + "." + subject.table + " was dropped meanwhile");
    }
    auto done = work(table);
    if (done || done.error().code != ErrorCode::kConflict || attempt == kMaxAttempts) return done;
  }
}

}  // namespace kalamdb::query
