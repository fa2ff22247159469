// What follows ALTER TABLE t: one change of a definition.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "auth/permissions.h"
#include "query/existing_rows.h"

namespace kalamdb::query {

// Immutable once parsed.
class Alteration {
 public:
  virtual ~Alteration() = default;

  // Whether the caller may make it. Whoever may alter the table may, unless it says otherwise.
  virtual Result<> authorize(const model::TableDefinition& table, const auth::Actor& actor) const {
    return auth::check_alter_table(table, actor);
  }

  struct Outcome {
    bool changed = true;
    std::string description;  // "ADD COLUMN c TEXT"
    // What must hold of the rows that are there, if anything.
    std::function<Result<>(const ExistingRows& rows)> check;
  };
  // Makes `table`, a copy of the definition as it is, what it is to be. Errors: kInvalidOperation.
  virtual Result<Outcome> apply(const Services& services, const StatementContext& context,
                                model::TableDefinition& table) const = 0;
};
using ParsedAlteration = Result<std::unique_ptr<const Alteration>>;

// Everything behind the table's name, to the end of the statement. Errors: kInvalidSql, kNotImplemented.
ParsedAlteration parse_alteration(TokenReader& reader);

// ALTER TABLE as a statement, from its parts.
std::unique_ptr<const Command> alter_table(QualifiedName name, bool if_exists,
                                           std::unique_ptr<const Alteration> alteration);

// The kinds that concern a column: behind ADD, DROP, MODIFY, ALTER and RENAME, and COLUMN if it was written.
ParsedAlteration parse_add_column(TokenReader& reader);
ParsedAlteration parse_drop_column(TokenReader& reader);
ParsedAlteration parse_modify_column(TokenReader& reader);
ParsedAlteration parse_alter_column(TokenReader& reader);
ParsedAlteration parse_column_type(TokenReader& reader, std::string name);  // behind ALTER COLUMN name TYPE
ParsedAlteration parse_rename_column(TokenReader& reader);
// RENAME TO name.
std::unique_ptr<const Alteration> rename_table(std::string name);

}  // namespace kalamdb::query
